"""SQLite holds everything: documents, chunks, vectors and words. The only writer.

A change is written in two steps. Documents are *staged* as they are read and embedded, in short
transactions, invisible to every reader; then one transaction makes them live, removes what they
replace and what is gone, and raises the generation. Readers (WAL) see one generation or the next,
never a mixture; a killed run leaves staged rows that the next run takes up without embedding again.

Vectors are stored as little-endian float16 (passages) and int8 (sentences, scaled by 127).
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rag.embed import Embedding, Vectors
from rag.errors import CollectionError
from rag.records import Chunk, Document, Mark
from rag.words import content_words, words

__all__ = ["Move", "Store", "StoredChunk", "StoredDocument", "Touch", "SCHEMA"]

SCHEMA = 2

_WAIT_S = 60  # how long to wait for another process's transaction
# SQL functions end a text at NUL, so it is stored as a code point that no text has.
_NUL = "\U0010ffff"

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, live INTEGER NOT NULL, source TEXT NOT NULL, path TEXT NOT NULL,
    hash TEXT NOT NULL, stamp TEXT NOT NULL,
    title TEXT NOT NULL, date TEXT, media_type TEXT NOT NULL, text TEXT NOT NULL, marks TEXT NOT NULL,
    added TEXT NOT NULL DEFAULT '',
    UNIQUE (id, live)
);
CREATE TABLE chunks (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents (key) ON DELETE CASCADE,
    start INTEGER NOT NULL, end INTEGER NOT NULL, page INTEGER, context TEXT NOT NULL,
    vector BLOB NOT NULL, spans TEXT NOT NULL, sentences BLOB NOT NULL
);
CREATE INDEX chunks_document ON chunks (document);
CREATE VIRTUAL TABLE words USING fts5 (
    context, text, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER forget AFTER DELETE ON chunks BEGIN DELETE FROM words WHERE rowid = OLD.key; END;
"""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What the store knows of a live document without its text. `size` is in code points.

    `pages` is the number of the last page, slide or sheet, None where there are none. `added` is
    when this version of the document was published, ISO 8601 in UTC to the second; "" for those
    that an earlier version of the program wrote.
    """

    id: str
    source: str
    path: str
    hash: str
    stamp: str
    title: str
    date: str | None
    media_type: str
    size: int
    pages: int | None = None
    added: str = ""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its key, its document's title and date, and its vectors.

    `vector` has shape (d,), `sentences` shape (n, d), `spans` the n sentence spans within `text`,
    `pages` the page on which each of them begins (a chunk may run across pages).
    """

    key: int
    chunk: Chunk
    title: str
    date: str | None
    vector: Vectors
    spans: tuple[tuple[int, int], ...]
    sentences: Vectors
    pages: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """A live document, called `old` so far, whose file has another name now."""

    old: str
    id: str
    source: str
    path: str
    stamp: str
    title: str


@dataclass(frozen=True, slots=True)
class Touch:
    """A live document whose file was written again with the same content."""

    id: str
    stamp: str


class Store:
    """One collection's database: a file, or memory when `path` is None.

    Raises:
        CollectionError: the file is not a collection, or was written by another schema.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._failures():
            self._db = sqlite3.connect(
                path or ":memory:", timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
        try:
            with self._failures():
                self._use_wal()
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("PRAGMA foreign_keys = ON")
                # Looked at before it is locked: opening must not wait for a writer.
                if not self._has_tables():
                    with self.transaction():
                        if not self._has_tables():
                            self._create()
                schema = self.meta("schema")
            if schema != str(SCHEMA):
                raise CollectionError(
                    f"{path}: was written by another version (schema {schema}, not {SCHEMA}): "
                    "index its folders again with --rebuild"
                )
        except BaseException:
            self._db.close()
            raise

    def _use_wal(self) -> None:
        """Switch to a write-ahead log. SQLite does not wait for others at this one: ask again."""
        until = time.monotonic() + _WAIT_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        """Close the database. Further calls fail."""
        self._db.close()

    def _has_tables(self) -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"))

    def _has_added(self) -> bool:
        """False in a database of an earlier version: its first writer adds the column, so that a
        reader needs no lock, nor the right to write."""
        return bool(self._rows("SELECT 1 FROM pragma_table_info('documents') WHERE name = 'added'"))

    def _create(self) -> None:
        for statement in _TABLES.split(";\n"):
            # A trigger's body has a semicolon of its own, never at a line's end.
            if statement.strip():
                self._db.execute(statement)
        rows = [("schema", str(SCHEMA)), ("generation", "0")]
        self._db.executemany("INSERT INTO meta VALUES (?, ?)", rows)

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[None]:
        """Run a block as one transaction; a read transaction sees one generation throughout.

        Raises:
            CollectionError: the disk is full or the file can't be written. Nothing has changed.
        """
        with self._failures():
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Say in one line what is wrong with the file or the disk."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            # The subclasses but one are mistakes of the program, not of the disk.
            if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):
                raise
            if isinstance(error, sqlite3.OperationalError):
                remedy = (
                    "nothing was changed; free some disk space or end the other process, then run "
                    "the same command again"
                )
                raise CollectionError(
                    f"{self.path}: can't be read or written ({error}): {remedy}"
                ) from None
            raise CollectionError(
                f"{self.path}: is damaged or no collection ({error}): index its folders again with "
                "--rebuild"
            ) from None

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self._failures():
            return self._db.execute(sql, parameters).fetchall()

    # What the collection was made with

    def meta(self, key: str) -> str | None:
        """A value that belongs to the collection as a whole."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Set a value. Part of the transaction that is open, if one is."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> int:
        """Raised by one whenever what readers see changes."""
        return int(self.meta("generation") or 0)

    @property
    def edition(self) -> str:
        """The generation with a random part: no two databases share one, whatever befell them."""
        return f"{self.generation}-{self.meta('edition') or 0}"

    # Writing

    def staged(self) -> dict[str, tuple[str, str]]:
        """(Content hash, path) by identifier of documents that an earlier run left staged."""
        rows = self._rows("SELECT id, hash, path FROM documents WHERE live = 0")
        return {one: (digest, path) for one, digest, path in rows}

    def drop_staged(self, ids: Iterable[str]) -> None:
        """Forget staged documents."""
        with self.transaction():
            self._db.executemany(
                "DELETE FROM documents WHERE live = 0 AND id = ?", [(one,) for one in ids]
            )

    def stage(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        spans: Sequence[Sequence[tuple[int, int]]],
        embeddings: Sequence[Embedding],
        *,
        source: str,
        path: str,
        digest: str,
        stamp: str,
    ) -> None:
        """Write a document where no reader sees it yet. Call within a transaction.

        `spans` are each chunk's sentences, in offsets of the chunk's text.
        """
        self._db.execute("DELETE FROM documents WHERE live = 0 AND id = ?", (document.id,))
        marks = json.dumps([list(asdict(mark).values()) for mark in document.marks])
        fields = (document.id, source, path, digest, stamp, document.title, document.date)
        cursor = self._db.execute(
            "INSERT INTO documents (id, live, source, path, hash, stamp, title, date, media_type, text, "
            "marks) VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*fields, document.media_type, document.text.replace("\0", _NUL), marks),
        )
        key = cursor.lastrowid
        self._db.executemany(
            "INSERT INTO chunks (document, start, end, page, context, vector, spans, sentences) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(key, chunk.start, chunk.end, chunk.page, chunk.context),
                    embedding.passage.astype("<f2").tobytes(),
                    json.dumps(
                        [[*span, document.page_at(chunk.start + span[0])] for span in places]
                    ),
                    np.round(embedding.sentences * 127).astype(np.int8).tobytes(),
                )
                for chunk, places, embedding in zip(chunks, spans, embeddings, strict=True)
            ],
        )

    def publish(
        self,
        ids: Sequence[str],
        removed: Sequence[str] = (),
        moved: Sequence[Move] = (),
    ) -> int:
        """Make staged documents live, in one transaction with all else; returns the new generation.

        A live document whose identifier a staged or a moved one takes is replaced.
        """
        with self.transaction():
            # Out of the way first (live = -n), so that files may swap their names.
            self._db.executemany(
                "UPDATE documents SET live = ? WHERE live = 1 AND id = ?",
                [(-n, one.old) for n, one in enumerate(moved, 1)],
            )
            self._db.executemany(
                "DELETE FROM documents WHERE live = 1 AND id = ?",
                [(one,) for one in [*removed, *ids, *(one.id for one in moved)]],
            )
            self._db.executemany(
                "UPDATE documents SET live = 1, id = ?, source = ?, path = ?, stamp = ?, title = ? "
                "WHERE live = ?",
                [
                    (one.id, one.source, one.path, one.stamp, one.title, -n)
                    for n, one in enumerate(moved, 1)
                ],
            )
            if not self._has_added():
                self._db.execute("ALTER TABLE documents ADD COLUMN added TEXT NOT NULL DEFAULT ''")
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            for one in ids:
                self._db.execute(
                    "INSERT INTO words (rowid, context, text) SELECT c.key, c.context, "
                    "substr(d.text, c.start + 1, c.end - c.start) FROM documents d JOIN chunks c "
                    "ON c.document = d.key WHERE d.live = 0 AND d.id = ?",
                    (one,),
                )
                self._db.execute(
                    "UPDATE documents SET live = 1, added = ? WHERE live = 0 AND id = ?", (now, one)
                )
            generation = self.generation + 1
            self.set_meta("generation", str(generation))
            self.set_meta("edition", secrets.token_hex(8))
        return generation

    def touch(self, touched: Sequence[Touch]) -> None:
        """Note new stamps alone: what readers see does not change."""
        with self.transaction():
            self._db.executemany(
                "UPDATE documents SET stamp = ? WHERE live = 1 AND id = ?",
                [(one.stamp, one.id) for one in touched],
            )

    # Reading

    def documents(self) -> list[StoredDocument]:
        """Every live document, ordered by identifier."""
        added = "added" if self._has_added() else "''"
        rows = self._rows(
            "SELECT id, source, path, hash, stamp, title, date, media_type, length(text), marks, "
            f"{added} FROM documents WHERE live = 1 ORDER BY id"
        )
        return [StoredDocument(*[*row[:9], _pages(row[9]), row[10]]) for row in rows]

    def document(self, document_id: str) -> Document | None:
        """A live document with its text, or None."""
        rows = self._rows(
            "SELECT id, text, title, date, media_type, marks FROM documents WHERE live = 1 AND id = ?",
            (document_id,),
        )
        if not rows:
            return None
        row = rows[0]
        marks = tuple(Mark(*mark) for mark in json.loads(row[5]))
        identifier, text, title, date, media_type = row[:5]
        return Document(identifier, text.replace(_NUL, "\0"), title, date, media_type, marks)

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks are live."""
        documents = self._rows("SELECT count(*) FROM documents WHERE live = 1")[0][0]
        chunks = self._rows(
            "SELECT count(*) FROM chunks c JOIN documents d ON c.document = d.key WHERE d.live = 1"
        )[0][0]
        return documents, chunks

    def vectors(self, dimensions: int) -> tuple[np.ndarray, Vectors]:
        """All live passages: keys, shape (n,), int64; vectors, shape (n, d), in order of key."""
        rows = self._rows(
            "SELECT c.key, c.vector FROM chunks c JOIN documents d ON c.document = d.key "
            "WHERE d.live = 1 ORDER BY c.key"
        )
        keys = np.array([row[0] for row in rows], np.int64)
        joined = np.frombuffer(b"".join(row[1] for row in rows), "<f2")
        return keys, joined.reshape(len(rows), dimensions).astype(np.float32)

    def chunk_keys(self, ids: Iterable[str]) -> np.ndarray:
        """The keys of all chunks of the live documents with these identifiers: (n,), int64."""
        wanted = set(ids)
        rows = self._rows("SELECT id, key FROM documents WHERE live = 1")
        # As one JSON value: the number of bound variables is limited.
        documents = json.dumps([key for one, key in rows if one in wanted])
        found = self._rows(
            "SELECT key FROM chunks WHERE document IN (SELECT value FROM json_each(?)) ORDER BY key",
            (documents,),
        )
        return np.array([row[0] for row in found], np.int64)

    def chunks(self, keys: Sequence[int]) -> list[StoredChunk]:
        """The live chunks with these keys, in order of key; others are left out."""
        marks = ",".join("?" * len(keys))
        rows = self._rows(
            "SELECT c.key, d.id, c.start, c.end, substr(d.text, c.start + 1, c.end - c.start), "
            "c.context, c.page, d.title, d.date, c.vector, c.spans, c.sentences "
            "FROM chunks c JOIN documents d ON c.document = d.key "
            f"WHERE d.live = 1 AND c.key IN ({marks}) ORDER BY c.key",
            list(keys),
        )
        return [_stored_chunk(row) for row in rows]

    def search_words(
        self, question: str, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """BM25 over words (Robertson & Zaragoza 2009, as FTS5 has it): (chunk key, score), best first.

        Any of the question's content words may match; every word is quoted, so that no character of
        the question is an operator. `within` holds the chunk keys that may be found, None leaves
        them all in; how rare a word is stays a matter of the whole collection.
        """
        asked = list(dict.fromkeys(content_words(question) or words(question)))
        if not asked:
            return []
        keys = None if within is None else json.dumps(within.tolist())
        query = " OR ".join('"' + word.replace('"', '""') + '"' for word in asked[:64])
        rows = self._rows(
            # "+rowid" keeps FTS5 from running the whole query once for every key.
            "SELECT rowid, -bm25(words) AS score FROM words WHERE words MATCH ? "
            "AND (? IS NULL OR +rowid IN (SELECT value FROM json_each(?))) "
            "ORDER BY score DESC, rowid LIMIT ?",
            (query, keys, keys, limit),
        )
        return [(key, score) for key, score in rows]


def _pages(marks: str) -> int | None:
    numbers = (n for _, kind, n, _ in json.loads(marks) if kind in ("page", "slide", "sheet"))
    return max(numbers, default=None)


def _stored_chunk(row: tuple[Any, ...]) -> StoredChunk:
    key, document, start, end, text, context, page, title, date, vector, spans, sentences = row
    passage = np.frombuffer(vector, "<f2").astype(np.float32)
    by_sentence = np.frombuffer(sentences, np.int8).astype(np.float32) / np.float32(127)
    placed = json.loads(spans)
    places = tuple((a, b) for a, b, _ in placed)
    chunk = Chunk(document, start, end, text.replace(_NUL, "\0"), context, page)
    shaped = by_sentence.reshape(len(places), len(passage))
    pages = tuple(page for _, _, page in placed)
    return StoredChunk(key, chunk, title, date, passage, places, shaped, pages)
