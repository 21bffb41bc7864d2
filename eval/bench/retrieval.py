"""Measure retrieval as a collection grows, beside the plain exact way of doing the same.

    python -m eval.bench.retrieval --sizes 10000,100000,1000000 --json PATH
    python -m eval.bench.retrieval --folder DIR         collections are kept there, and used again

Collections are made up (`eval.bench.generated`) in a temporary folder: about 3.5 kB a passage. The
plain way is one exact float32 index over every vector, written anew with each change, and every row
that has a word of the question scored. A fresh process reads, so that opening and memory are its own.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer

from eval.bench.generated import DIMENSIONS, GivenEmbedder, fill_store
from eval.bench.part import timed
from rag.collection import Collection
from rag.current import CurrentIndex
from rag.embed import Vectors
from rag.index import VectorIndex
from rag.part import LISTS, PROBED, Part
from rag.records import Document
from rag.retrieve import best_passages, rank_chunks
from rag.scope import Scope
from rag.settings import Settings, load_settings
from rag.store import Store
from rag.words import content_words

__all__ = ["measure", "on_paper", "spread"]

_BYTES_A_PASSAGE = 4_000  # on disk while a collection is built
_FETCHED, _COMPARED = 50, 10
_ASKED, _MOST = "questions.json", 300  # kept with a collection
_SCANNED = 300_000  # rows of the lists that are timed
Row = dict[str, Any]


def main(
    sizes: Annotated[str, typer.Option(help="How many passages, separated by commas.")] = (
        "10000,100000,1000000"
    ),
    json_path: Annotated[Path | None, typer.Option("--json", help="Write results here.")] = None,
    questions: Annotated[int, typer.Option(help="How many questions are asked of each.")] = 200,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the collections here; use those that are here.")
    ] = None,
) -> None:
    """Print one table, and what a hundred million passages would need."""
    counts = [int(size) for size in sizes.split(",")]
    place = folder or Path(tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    needed = _BYTES_A_PASSAGE * max([size for size in counts if not _filled(folder, size)] or [0])
    if needed > shutil.disk_usage(place).free:
        raise typer.BadParameter(
            f"{max(counts)} passages need {needed / 1e9:.0f} GB in {place}: free some, or name "
            "another --folder"
        )
    rows = {size: measure(size, questions, folder=folder) for size in counts}
    _print(rows)
    typer.echo(on_paper(rows[max(counts)], max(counts)))
    if json_path:
        json_path.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def measure(size: int, asked: int = 200, quiet: bool = False, folder: Path | None = None) -> Row:
    """Every measurement of one collection; "plain_" ones are of the plain way.

    What is built is kept in `folder`; None keeps nothing.
    """
    from rich.progress import Progress

    with tempfile.TemporaryDirectory(prefix="footnote-bench-") as scratch, Progress() as bars:
        bars.disable = quiet
        root = folder / str(size) if folder else Path(scratch)
        settings = load_settings(indexes=root, embedder=GivenEmbedder.name)
        task = bars.add_task(f"{size:,} passages", total=size)
        row, texts, vectors = _build(root, size, asked, lambda done: bars.advance(task, done))
        bars.update(task, completed=size)
        given = (settings, texts, vectors)
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            for part in (_read, _plain, _change, _scan):
                task = bars.add_task(part.__name__.strip("_"), total=None)
                row |= fresh.apply(part, given)
                bars.update(task, total=1, completed=1)
    found, true = (np.array(row.pop(name)) for name in ("found", "plain_found"))
    row["recall"] = float(
        np.mean([len(set(a) & set(b)) / _COMPARED for a, b in zip(found, true, strict=True)])
    )
    pairs = zip(row.pop("words_found"), row.pop("plain_words_found"), strict=False)
    row["words_overlap"] = float(np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs if b]))
    return row


def _filled(folder: Path | None, size: int) -> bool:
    return folder is not None and (folder / str(size) / _ASKED).exists()


def _build(
    root: Path, size: int, asked: int, progress: Callable[[int], None]
) -> tuple[Row, list[str], Vectors]:
    """Fill a collection and make its base, unless that was done; its questions and their vectors."""
    (root / "bench").mkdir(parents=True, exist_ok=True)
    about = root / _ASKED  # written last: what has none is begun anew
    store = Store(root / "bench" / "collection.db")
    if not about.exists():
        store.close()
        shutil.rmtree(root / "bench")
        (root / "bench").mkdir()
        store = Store(root / "bench" / "collection.db")
        row: Row = {}
        row["fill_s"], (texts, vectors) = timed(lambda: fill_store(store, size, progress, _MOST))
        current = CurrentIndex(store, root / "bench", lambda: DIMENSIONS)
        row["base_s"], _ = timed(current.renew)
        np.save(root / "questions.npy", vectors)
        about.write_text(json.dumps({"row": row, "texts": texts}) + "\n", "utf-8")
    store.close()
    kept = json.loads(about.read_text("utf-8"))
    return kept["row"], kept["texts"][:asked], np.load(root / "questions.npy")[:asked]


def _read(settings: Settings, texts: list[str], vectors: Vectors) -> dict[str, Any]:
    """What a reader sees: opening, memory, and each search."""
    import faiss  # noqa: F401  (loaded before the clock starts)

    before = _resident()
    embedder = GivenEmbedder(texts, vectors)
    started = time.perf_counter()
    collection = Collection.open("bench", settings, embedder=embedder)
    index = cast(VectorIndex, collection._current.get())
    store = collection._store
    store.search_words(texts[0], 1)
    row: dict[str, Any] = {"open_s": time.perf_counter() - started}
    collection.search(texts[0])
    row |= spread("dense", lambda at: index.search(vectors[at], _FETCHED), len(texts))
    row |= spread("words", lambda at: store.search_words(texts[at], _FETCHED), len(texts))
    row |= spread("fused", lambda at: collection.search(texts[at]), len(texts))
    row["resident_b"] = (_resident() - before) / store.counts()[1]
    row["kind"] = index.base.kind
    row["file_b"] = sum(one.stat().st_size for one in settings.indexes.glob("bench/*.faiss"))
    names = [one.id for one in collection.documents()]
    scopes = [Scope(frozenset(names[at :: max(1, len(names) // 10)][:10])) for at in range(20)]
    count = min(len(texts), 40)
    row |= spread("filter", lambda at: collection.search(texts[at], scope=scopes[at % 20]), count)
    row["found"] = [[key for key, _ in index.search(one, _COMPARED)] for one in vectors]
    row["words_found"] = [[key for key, _ in store.search_words(one, _FETCHED)] for one in texts]
    collection.close()
    return row


class _PlainStore(Store):
    """Every row that has a word of the question is scored."""

    def search_words(
        self, question: str, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        words = " OR ".join(f'"{word}"' for word in dict.fromkeys(content_words(question)))
        return self.rows(
            "SELECT rowid, -bm25(words) AS score FROM words WHERE words MATCH ? "
            "ORDER BY score DESC, rowid LIMIT ?",
            (words, limit),
        )


class _PlainIndex:
    """One exact index over every vector."""

    def __init__(self, keys: np.ndarray, vectors: Vectors) -> None:
        import faiss

        self.index = faiss.IndexIDMap2(faiss.IndexFlatIP(DIMENSIONS))
        self.index.add_with_ids(vectors, keys)

    def search(
        self, query: Vectors, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        scores, keys = self.index.search(query.reshape(1, -1), limit)
        return list(zip(keys[0].tolist(), scores[0].tolist(), strict=True))


def _plain(settings: Settings, texts: list[str], vectors: Vectors) -> dict[str, Any]:
    """The same with one exact index and every row scored."""
    import faiss

    store = _PlainStore(settings.indexes / "bench" / "collection.db")
    index = _PlainIndex(*store.vectors(DIMENSIONS))
    file = settings.indexes / "plain"

    def write() -> None:
        data = faiss.serialize_index(_PlainIndex(*store.vectors(DIMENSIONS)).index).tobytes()
        hashlib.sha256(data).hexdigest()
        file.write_bytes(data)

    def read() -> None:
        data = file.read_bytes()
        hashlib.sha256(data).hexdigest()
        faiss.deserialize_index(np.frombuffer(data, np.uint8))

    def fused(at: int) -> None:
        best_passages(
            rank_chunks(texts[at], vectors[at], store, cast(Any, index), settings), store, few
        )

    row: dict[str, Any] = {"plain_add_s": timed(write)[0], "plain_open_s": timed(read)[0]}
    few = settings.top_k
    some = min(len(texts), 50)
    row |= spread("plain_dense", lambda at: index.search(vectors[at], _FETCHED), some)
    row |= spread("plain_words", lambda at: store.search_words(texts[at], _FETCHED), some)
    row |= spread("plain_fused", fused, some)
    row["plain_found"] = [[key for key, _ in index.search(one, _COMPARED)] for one in vectors]
    row["plain_words_found"] = [
        [key for key, _ in store.search_words(one, _FETCHED)] for one in texts[:some]
    ]
    store.close()
    return row


def _change(settings: Settings, texts: list[str], vectors: Vectors) -> dict[str, Any]:
    """Add and remove a document, until a reader that is open finds it and finds it no more."""
    embedder = GivenEmbedder(texts, vectors)
    row: dict[str, Any] = {}
    with (
        Collection.open("bench", settings, embedder=embedder) as writer,
        Collection.open("bench", settings, embedder=embedder) as reader,
    ):
        reader.search(texts[0])
        writer._current.get()
        added = []
        for n in range(3):
            taken, _ = timed(lambda n=n: _add(writer, reader, f"zyzzyva{n}"))  # type: ignore[misc]
            added.append(taken)
        row["add_s"] = statistics.median(added)
        row["delete_s"], _ = timed(lambda: _delete(writer, reader, "zyzzyva0"))
        row["counts_s"], _ = timed(writer.counts)
        writer.forget(["zyzzyva1", "zyzzyva2"])  # a collection that is kept is as it was
    return row


def _scan(settings: Settings, texts: list[str], vectors: Vectors) -> Row:
    """Nanoseconds that a 1-bit row takes in inverted lists, as of a much larger collection."""
    import faiss

    store = Store(settings.indexes / "bench" / "collection.db")
    keys = store.live_keys()[:_SCANNED]
    rows = store.vectors_of(keys)[1]
    store.close()
    sample = rows[:: max(1, len(rows) // Part.sample_size(LISTS, len(rows)))]
    lists = Part.empty(LISTS, sample, len(keys)).extended([(keys, rows)])
    lists.search(vectors[0], _FETCHED)
    stats: Any = faiss.cvar  # whose type hints are not whole
    seen, started = stats.indexIVF_stats.ndis, time.thread_time()
    for vector in vectors:
        lists.search(vector, _FETCHED)
    looked_at = max(1, stats.indexIVF_stats.ndis - seen)
    return {"scan_ns": (time.thread_time() - started) * 1e9 / looked_at}


def _add(writer: Collection, reader: Collection, name: str) -> None:
    writer.put([Document(name, f"An unheard of {name} sits here.")], source=name)
    assert reader.search(name, 1)[0].document == name


def _delete(writer: Collection, reader: Collection, name: str) -> None:
    writer.forget([name])
    assert name not in {hit.document for hit in reader.search(name, 50)}


def spread(name: str, ask: Callable[[int], Any], count: int) -> Row:
    """Percentiles of the time that a question takes: on the clock, and of this thread's alone.

    The second is what the first would be on a machine that has nothing else to do.
    """
    clock, thread = [], []
    for at in range(count):
        started, worked = time.perf_counter(), time.thread_time()
        ask(at)
        thread.append((time.thread_time() - worked) * 1000)
        clock.append((time.perf_counter() - started) * 1000)
    return {
        f"{name}_{kind}p{share}_ms": float(np.percentile(taken, share))
        for kind, taken in (("", clock), ("cpu_", thread))
        for share in (50, 95)
    }


def _resident() -> int:
    """Bytes of memory in use, pages of mapped files among them; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * 4096


_SHOWN = (
    ("open", "open_s", "plain_open_s", "s"),
    ("resident a passage", "resident_b", "", "B"),
    *(
        (f"{part} {label}", f"{part}_{name}_ms", f"plain_{part}_{name}_ms", "ms")
        for part in ("dense", "words", "fused")
        for label, name in (
            ("p50", "p50"),
            ("p95", "p95"),
            ("p50, processor", "cpu_p50"),
            ("p95, processor", "cpu_p95"),
        )
    ),
    ("recall@10", "recall", "", ""),
    ("words overlap@50", "words_overlap", "", ""),
    ("filter of 10 documents p50", "filter_p50_ms", "", "ms"),
    ("filter of 10 documents p95", "filter_p95_ms", "", "ms"),
    ("filter p95, processor", "filter_cpu_p95_ms", "", "ms"),
    ("add one, found", "add_s", "plain_add_s", "s"),
    ("delete one, not found", "delete_s", "plain_add_s", "s"),
    ("make a base", "base_s", "", "s"),
    ("a 1-bit row in lists", "scan_ns", "", "ns"),
)


def _print(rows: dict[int, Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", *[f"{size:,} ({rows[size]['kind']})" for size in rows], title="Retrieval")
    for label, name, plain, unit in _SHOWN:
        cells = []
        for row in rows.values():
            cell = f"{row[name]:.4g} {unit}".strip()
            if plain:
                cell += f"  (plain {row[plain]:.4g}, x{row[plain] / max(row[name], 1e-9):.3g})"
            cells.append(cell)
        table.add_row(label, *cells)
    Console(width=200).print(table)


def on_paper(row: Row, size: int, passages: int = 100_000_000) -> str:
    """What `passages` would need on one machine, from what was measured at `size`."""
    base = passages * (DIMENSIONS / 8 + 8 + 8 + 8)  # a bit a dimension, two factors, an id, a key
    lists = int(2 * passages**0.5)
    scanned, nanoseconds = passages * PROBED, row["scan_ns"]
    return (
        f"On paper, {passages:,} passages: base {base / 1e9:.1f} GB in memory "
        f"({lists:,} lists of 1-bit rows; a search looks at {scanned:,.0f} of them, "
        f"{scanned * nanoseconds / 1e6:.0f} ms at the {nanoseconds:.1f} ns measured), "
        f"database {passages * 3.5e3 / 1e9:,.0f} GB at 3.5 kB, "
        f"filled in {row['fill_s'] / size * passages / 3600:,.0f} h without embedding; exact float32 "
        f"vectors alone would be {passages * DIMENSIONS * 4 / 1e9:,.0f} GB, and looking at them "
        f"{row['plain_dense_cpu_p50_ms'] / size * passages / 1000:.0f} s a question."
    )


if __name__ == "__main__":
    typer.run(main)
