"""Word search in a large collection: a tantivy index in a folder beside the database. Never the truth.

Tantivy skips whole blocks of rows that can't be among the best (block-max WAND, Ding & Suel 2011),
which SQLite's word index can't. A folder belongs to one edition of the store and is never changed:
the next edition's is made of hard links to the same files, with what came and without what went.
It is named, sealed with the SHA-256 of every file and renamed into place, so one that is stale,
foreign, half written or damaged is never opened: the store's own word index answers until the next
change makes another.

Scores are BM25 with the lengths of passages rounded (one byte each). Knows no SQL.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.words import fold

__all__ = ["Row", "WordFile", "extend_words", "tidy_words", "words_at", "words_available"]

Row = tuple[int, str, str]
"""A passage's key, its context and its text."""

_PREFIX, _SCRATCH, _SEAL = "words-", ".words-", "seal.json"
_LOCKS = ".tantivy-"  # tantivy's own, empty: not part of what is sealed
_HEAP = 50_000_000  # bytes of a writer, before it writes a segment
_ANALYSER = "folded"
_FORM = 1  # of fields and analyser: a folder of another is none


def words_available() -> bool:
    """Whether tantivy is installed."""
    return importlib.util.find_spec("tantivy") is not None


def _tantivy() -> Any:
    return importlib.import_module("tantivy")


class WordFile:
    """An open folder. Many threads may search it."""

    def __init__(self, folder: Path) -> None:
        index = _tantivy().Index.open(str(folder))
        index.config_reader("manual")  # it never changes: nothing to watch for
        index.reload()
        self._schema, self._searcher, self._analyser = index.schema, index.searcher(), _analyser()

    def search(self, asked: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """The best rows for any of the words asked: (key, score), best first."""
        tantivy = _tantivy()
        words = list(filter(None, map(self._word, dict.fromkeys(asked))))
        if not words or not limit:
            return []
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, word) for word in words])
        hits = self._searcher.search(query, limit, count=False).hits
        keys = self._searcher.fast_field_values("key", [address for _, address in hits])
        found = [(int(key), float(score)) for key, (score, _) in zip(keys, hits, strict=True)]
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def _word(self, word: str) -> Any:
        """What looks for a word; for each part of one like "1,900"; None where it has none."""
        tantivy = _tantivy()
        parts = [
            tantivy.Query.term_query(self._schema, "words", part, "freq")
            for part in self._analyser.analyze(fold(word))
        ]
        if len(parts) < 2:
            return parts[0] if parts else None
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, part) for part in parts])


def words_at(folder: Path, edition: str) -> WordFile | None:
    """The folder of an edition, opened; None where there is none that is whole.

    Every byte is checked first: 0.1 s at a million passages.
    """
    path = folder / f"{_PREFIX}{edition}"
    try:
        sealed = json.loads((path / _SEAL).read_bytes())
        if (sealed["form"], sealed["edition"]) != (_FORM, edition) or sealed["files"] != _digests(
            path
        ):
            return None
        return WordFile(path)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def extend_words(
    folder: Path, before: str, edition: str, added: Iterable[Row], gone: Iterable[int]
) -> bool:
    """Make the folder of `edition` from that of `before`, or from nothing where that is "".

    False where that fails, which costs only time.
    """
    scratch = folder / f"{_SCRATCH}{edition}.tmp"  # of which no other process knows
    try:
        scratch.mkdir()
        known: dict[str, str] = {}
        if before:
            known = _linked(folder / f"{_PREFIX}{before}", scratch)
        _write(scratch, added, gone)
        sealed = {"form": _FORM, "edition": edition, "files": _digests(scratch, known)}
        with (scratch / _SEAL).open("w", encoding="utf-8") as file:
            json.dump(sealed, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(folder / f"{_PREFIX}{edition}")
    except BaseException as error:  # tantivy's own end as what is no Exception
        shutil.rmtree(scratch, ignore_errors=True)
        if isinstance(error, (KeyboardInterrupt, SystemExit, RagError)):
            raise
        return False
    return True


def tidy_words(folder: Path, kept: Iterable[str]) -> None:
    """Remove the folders of all other editions. For the one process that may write."""
    names = {f"{_PREFIX}{edition}" for edition in kept}
    for pattern in (f"{_PREFIX}*", f"{_SCRATCH}*.tmp"):
        for path in folder.glob(pattern):
            if path.is_dir() and path.name not in names:
                shutil.rmtree(path, ignore_errors=True)  # what is open somewhere goes next time


def _write(folder: Path, added: Iterable[Row], gone: Iterable[int]) -> None:
    tantivy = _tantivy()
    # A number in Python is an integer field: tantivy's threads give up over any other.
    fields = tantivy.SchemaBuilder().add_integer_field("key", indexed=True, fast=True)
    fields = fields.add_text_field("words", tokenizer_name=_ANALYSER, index_option="freq")
    index = tantivy.Index(fields.build(), str(folder))
    index.register_tokenizer(_ANALYSER, _analyser())
    writer = index.writer(_HEAP, num_threads=1)
    for key in gone:
        writer.delete_documents_by_term("key", key)
    for key, context, text in added:
        writer.add_document(tantivy.Document(key=key, words=fold(f"{context}\n{text}")))
    writer.commit()
    writer.wait_merging_threads()


def _analyser() -> Any:
    """Of folded text: runs of letters and digits, as SQLite's word index has them, stemmed."""
    tantivy = _tantivy()
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(r"[\p{L}\p{N}\p{Co}]+"))
    return (
        builder.filter(tantivy.Filter.remove_long(255))
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def _linked(source: Path, target: Path) -> dict[str, str]:
    """Link every file; returns what the seal says of those that tantivy never writes again."""
    sealed: dict[str, str] = json.loads((source / _SEAL).read_bytes())["files"]
    for name in sealed:
        try:
            os.link(source / name, target / name)
        except OSError:  # a file system without links
            shutil.copyfile(source / name, target / name)
    return {name: digest for name, digest in sealed.items() if not name.endswith(".json")}


def _digests(folder: Path, known: dict[str, str] | None = None) -> dict[str, str]:
    return {path.name: (known or {}).get(path.name) or _digest(path) for path in _sealed(folder)}


def _sealed(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name != _SEAL and not path.name.startswith(_LOCKS):
            yield path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
