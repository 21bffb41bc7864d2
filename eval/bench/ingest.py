"""Measure indexing: abstracts, one long PDF file, and a large folder in which nothing has changed.

    python -m eval.bench.ingest --data DIR --documents 1000 --json PATH

Abstracts go into a searchable collection, in turns with a plain `SentenceTransformer.encode` of the
same texts, which stops at 256 tokens of each. The PDF file is drawn in a temporary folder.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from eval.bench.corpus import abstracts
from eval.bench.generated import DIMENSIONS, GivenEmbedder
from eval.bench.part import timed, track
from rag.chunk import chunk_document
from rag.collection import Collection
from rag.convert import packaged_encoder
from rag.embed import Embedder, Embedding, load_embedder
from rag.errors import InputError, RagError
from rag.read import find_files, read_file, read_files
from rag.records import Document
from rag.sentences import Span, sentence_spans
from rag.settings import Settings, load_settings

__all__ = ["StopWatch", "measure", "write_pdf"]

_SEEDS = Path(__file__).resolve().parents[2] / "seeds" / "documents"
_ROUNDS = 3
_PAGES, _PAGE_WORDS = 300, 300
_FILES = 10_000


def main(
    data: Annotated[Path | None, typer.Option(help="A folder with scifact/corpus.jsonl.")] = None,
    documents: Annotated[int, typer.Option(min=1, help="How many abstracts.")] = 1000,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write results here.")] = None,
) -> None:
    """Print one table."""
    try:
        row = measure(data, documents)
    except RagError as error:
        typer.echo(f"footnote: {error}", err=True)
        raise typer.Exit(1) from None
    _print(row)
    if json_path:
        json_path.write_text(json.dumps(row, indent=1) + "\n", "utf-8")


def measure(
    data: Path | None = None,
    documents: int = 1000,
    *,
    pages: int = _PAGES,
    files: int = _FILES,
    embedder: Embedder | None = None,
) -> dict[str, float]:
    """Every measurement; `_s` are seconds, `_per_s` a second. `embedder` stands in for the real one.

    Raises:
        InputError: the data folder lacks the abstracts, or reportlab is not installed.
    """
    settings = load_settings()
    texts = _texts(data, documents)
    watch = StopWatch(embedder or load_embedder(settings))
    watch.embed(["warm up"] * 64)
    with tempfile.TemporaryDirectory(prefix="footnote-bench-") as folder:
        changed = settings.model_copy(update={"indexes": Path(folder) / "indexes"})
        row: dict[str, float] = {}
        row |= _abstracts(changed, texts, watch)
        words = " ".join(one.text for one in texts).split()
        row |= _long_file(changed, Path(folder), words, pages, watch)
        row |= _unchanged(changed, Path(folder) / "files", files)
    return row


class StopWatch:
    """Another embedder, with the `seconds` that embedding took and the `tokens` that it read."""

    def __init__(self, inner: Embedder) -> None:
        self.name, self.dimensions, self.max_tokens = inner.name, inner.dimensions, inner.max_tokens
        self.count = inner.count
        self.seconds = 0.0
        self._inner = inner
        self._read: list[str] = []

    def embed(
        self,
        texts: Sequence[str],
        contexts: Sequence[str] = (),
        spans: Sequence[Sequence[Span]] = (),
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Embedding]:
        """As the other does it."""
        started = time.perf_counter()
        found = self._inner.embed(texts, contexts, spans, progress)
        self.seconds += time.perf_counter() - started
        heads = list(contexts) or [""] * len(texts)
        self._read += [f"{head}\n{text}" for head, text in zip(heads, texts, strict=True)]
        return found

    @property
    def tokens(self) -> int:
        """How many were read. Counted when asked for, which takes time of its own."""
        return sum(min(size + 2, self.max_tokens) for size in self.count(self._read))

    def restart(self) -> None:
        """Count from nothing."""
        self.seconds, self._read = 0.0, []


def _abstracts(settings: Settings, texts: list[Document], watch: StopWatch) -> dict[str, float]:
    """Documents and tokens a second, beside a plain encode, in turns; medians."""
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(packaged_encoder("minilm")), device="cpu")
    plain.encode(["warm up"])
    whole = [f"{one.title}. {one.text}" for one in texts]
    ours, theirs = [], []
    passages = 0
    for turn in track(range(_ROUNDS), "abstracts"):
        watch.restart()
        with Collection.open(f"abstracts{turn}", settings, create=True, embedder=watch) as made:
            seconds, report = timed(lambda made=made: made.put(texts, "bench"))  # type: ignore[misc]
            passages = report.chunks
        ours.append(seconds)
        theirs.append(timed(lambda: plain.encode(whole, show_progress_bar=False))[0])
    ours_s, theirs_s = statistics.median(ours), statistics.median(theirs)
    read = sum(min(size + 2, 256) for size in watch.count(whole))
    tokens = watch.tokens
    return {
        "documents": len(texts),
        "passages": passages,
        "tokens": tokens,
        "index_per_s": len(texts) / ours_s,
        "index_tokens_per_s": tokens / ours_s,
        "plain_encode_tokens": read,
        "plain_encode_per_s": len(texts) / theirs_s,
        "plain_encode_tokens_per_s": read / theirs_s,
        "ratio": theirs_s / ours_s,
        "tokens_ratio": (tokens / ours_s) / (read / theirs_s),
    }


def _long_file(
    settings: Settings, folder: Path, words: list[str], pages: int, watch: StopWatch
) -> dict[str, float]:
    """From the file to its being searchable; reading and chunking are timed once more, alone."""
    file = folder / "long.pdf"
    write_pdf(file, words, pages)
    watch.restart()
    with Collection.open("long", settings, create=True, embedder=watch) as collection:
        whole, report = timed(lambda: collection.update(file))
    if report.documents != 1:
        raise InputError(f"{file}: was not indexed: {report.failed}")
    read, document = timed(lambda: read_file(file, "long.pdf"))
    chunk, _ = timed(lambda: _cut(document, watch, settings))
    stages = {"read_s": read, "chunk_s": chunk, "embed_s": watch.seconds}
    stages["write_s"] = max(0.0, whole - sum(stages.values()))
    return {
        "pdf_pages": pages,
        "pdf_words_a_page": _PAGE_WORDS,
        "pdf_tokens": watch.tokens,
        "pdf_passages": report.chunks,
        "pdf_s": whole,
        "pdf_pages_per_s": pages / whole,
        **{f"pdf_{name}": seconds for name, seconds in stages.items()},
    }


def _cut(document: Document, embedder: Embedder, settings: Settings) -> list[list[Span]]:
    limit = min(settings.chunk_tokens, embedder.max_tokens - 2)
    return [sentence_spans(chunk.text) for chunk in chunk_document(document, embedder.count, limit)]


def _unchanged(settings: Settings, folder: Path, files: int) -> dict[str, float]:
    """A folder of small files: indexed with made-up vectors, then looked at again."""
    folder.mkdir()
    for n in track(range(files), "files"):
        (folder / f"note{n:05}.txt").write_text(f"Note {n}. It says that {n * 7} is the number.")
    given = GivenEmbedder([], np.zeros((0, DIMENSIONS), np.float32))
    named = settings.model_copy(update={"embedder": given.name})
    with Collection.open("files", named, create=True, embedder=given) as collection:
        first, _ = timed(lambda: collection.update(folder))
        again, report = timed(lambda: collection.update(folder))
    if report.unchanged != files:
        raise InputError(f"{folder}: {report.unchanged} of {files} files were found unchanged")
    return {"files": files, "files_first_per_s": files / first, "files_unchanged_s": again}


def write_pdf(file: Path, words: Sequence[str], pages: int) -> None:
    """A PDF file of running text, so many `pages` of 300 words."""
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.utils import simpleSplit
        from reportlab.pdfgen.canvas import Canvas
    except ImportError:
        raise InputError("the PDF file needs reportlab: pip install 'footnote[dev]'") from None
    canvas = Canvas(str(file), pagesize=A4, invariant=True)
    running = cycle(words)
    for _ in range(pages):
        lines = canvas.beginText(72, A4[1] - 72)
        lines.setFont("Helvetica", 11)
        text = " ".join(islice(running, _PAGE_WORDS)).encode("latin-1", "replace").decode("latin-1")
        for line in simpleSplit(text, "Helvetica", 11, A4[0] - 144):
            lines.textLine(line)
        canvas.drawText(lines)
        canvas.showPage()
    canvas.save()


def _texts(data: Path | None, limit: int) -> list[Document]:
    """SciFact abstracts, or the sample documents again and again."""
    if data is None:
        found = find_files(_SEEDS).files
        read = [one for _, _, one in read_files(found) if isinstance(one, Document)]
        return [
            Document(f"{n}-{one.id}", one.text, one.title)
            for n, one in enumerate(islice(cycle(read), min(limit, 100)))
        ]
    return abstracts(data, limit)


def _print(row: dict[str, float]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "", title="Indexing")
    for name, value in row.items():
        table.add_row(name, f"{value:,.4g}" if value < 1000 else f"{value:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
