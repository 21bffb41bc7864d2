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
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rag.embed import Embedding, Vectors
from rag.errors import CollectionError
from rag.records import Chunk, Document, Mark
from rag.words import content_words, words

__all__ = ["Store", "StoredChunk", "StoredDocument", "SCHEMA"]

SCHEMA = 1

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, live INTEGER NOT NULL, source TEXT NOT NULL, path TEXT NOT NULL,
    hash TEXT NOT NULL, stamp TEXT NOT NULL,
    title TEXT NOT NULL, date TEXT, media_type TEXT NOT NULL, text TEXT NOT NULL, marks TEXT NOT NULL,
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
    """What the store knows of a live document without its text. `size` is in code points."""

    id: str
    source: str
    path: str
    hash: str
    stamp: str
    title: str
    date: str | None
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its key, its document's title and date, and its vectors.

    `vector` has shape (d,), `sentences` shape (n, d), `spans` the n sentence spans within `text`.
    """

    key: int
    chunk: Chunk
    title: str
    date: str | None
    vector: Vectors
    spans: tuple[tuple[int, int], ...]
    sentences: Vectors


class Store:
    """One collection's database: a file, or memory when `path` is None.

    Raises:
        CollectionError: the file is not a collection, or was written by another schema.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(
                path or ":memory:", timeout=60, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            with self.transaction():
                tables = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
                if tables is None:
                    self._create()
        except sqlite3.DatabaseError as error:
            raise CollectionError(f"{path}: can't be opened as a collection: {error}") from None
        if self.meta("schema") != str(SCHEMA):
            raise CollectionError(
                f"{path}: was written by another version (schema {self.meta('schema')}, not {SCHEMA}): "
                "index its folders again with --rebuild"
            )

    def close(self) -> None:
        """Close the database. Further calls fail."""
        self._db.close()

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
        try:
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise CollectionError(
                f"{self.path}: can't be written or read ({error}): nothing was changed; free some disk "
                "space or end the other process, then run the same command again"
            ) from None

    # What the collection was made with

    def meta(self, key: str) -> str | None:
        """A value that belongs to the collection as a whole."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: str) -> None:
        """Set a value. Part of the transaction that is open, if one is."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> int:
        """Raised by one whenever what readers see changes."""
        return int(self.meta("generation") or 0)

    # Writing

    def staged(self) -> dict[str, str]:
        """Identifiers and content hashes of documents that an earlier run left staged."""
        return dict(self._db.execute("SELECT id, hash FROM documents WHERE live = 0"))

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
            (*fields, document.media_type, document.text, marks),
        )
        key = cursor.lastrowid
        self._db.executemany(
            "INSERT INTO chunks (document, start, end, page, context, vector, spans, sentences) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(key, chunk.start, chunk.end, chunk.page, chunk.context),
                    embedding.passage.astype("<f2").tobytes(),
                    json.dumps([list(span) for span in places]),
                    np.round(embedding.sentences * 127).astype(np.int8).tobytes(),
                )
                for chunk, places, embedding in zip(chunks, spans, embeddings, strict=True)
            ],
        )

    def publish(
        self, ids: Iterable[str], removed: Iterable[str], renamed: Iterable[tuple[str, str, str, str]]
    ) -> int:
        """Make staged documents live, in one transaction with removals and renames.

        `renamed` holds (old id, new id, new path, new stamp). Returns the new generation.
        """
        with self.transaction():
            for old, new, path, stamp in renamed:
                # The live document of the new name, if any, is replaced.
                self._db.execute("DELETE FROM documents WHERE live = 1 AND id = ?", (new,))
                self._db.execute(
                    "UPDATE documents SET id = ?, path = ?, stamp = ? WHERE live = 1 AND id = ?",
                    (new, path, stamp, old),
                )
            for one in removed:
                self._db.execute("DELETE FROM documents WHERE live = 1 AND id = ?", (one,))
            for one in ids:
                self._db.execute("DELETE FROM documents WHERE live = 1 AND id = ?", (one,))
                self._db.execute(
                    "INSERT INTO words (rowid, context, text) SELECT c.key, c.context, "
                    "substr(d.text, c.start + 1, c.end - c.start) FROM documents d JOIN chunks c "
                    "ON c.document = d.key WHERE d.live = 0 AND d.id = ?",
                    (one,),
                )
                self._db.execute("UPDATE documents SET live = 1 WHERE live = 0 AND id = ?", (one,))
            generation = self.generation + 1
            self.set_meta("generation", str(generation))
        return generation

    def touch(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """Note (source, path, stamp, id) of files that were rewritten or moved with the same content."""
        with self.transaction():
            self._db.executemany(
                "UPDATE documents SET source = ?, path = ?, stamp = ? WHERE live = 1 AND id = ?",
                list(rows),
            )

    # Reading

    def documents(self) -> list[StoredDocument]:
        """Every live document, ordered by identifier."""
        rows = self._db.execute(
            "SELECT id, source, path, hash, stamp, title, date, media_type, length(text) "
            "FROM documents WHERE live = 1 ORDER BY id"
        )
        return [StoredDocument(*row) for row in rows]

    def document(self, document_id: str) -> Document | None:
        """A live document with its text, or None."""
        row = self._db.execute(
            "SELECT id, text, title, date, media_type, marks FROM documents WHERE live = 1 AND id = ?",
            (document_id,),
        ).fetchone()
        if row is None:
            return None
        return Document(*row[:5], marks=tuple(Mark(*mark) for mark in json.loads(row[5])))

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks are live."""
        documents = self._db.execute("SELECT count(*) FROM documents WHERE live = 1").fetchone()[0]
        chunks = self._db.execute(
            "SELECT count(*) FROM chunks c JOIN documents d ON c.document = d.key WHERE d.live = 1"
        ).fetchone()[0]
        return documents, chunks

    def vectors(self, dimensions: int) -> tuple[np.ndarray, Vectors]:
        """All live passages: keys, shape (n,), int64; vectors, shape (n, d), in order of key."""
        rows = self._db.execute(
            "SELECT c.key, c.vector FROM chunks c JOIN documents d ON c.document = d.key "
            "WHERE d.live = 1 ORDER BY c.key"
        ).fetchall()
        keys = np.array([row[0] for row in rows], np.int64)
        joined = np.frombuffer(b"".join(row[1] for row in rows), "<f2")
        return keys, joined.reshape(len(rows), dimensions).astype(np.float32)

    def chunks(self, keys: Sequence[int]) -> list[StoredChunk]:
        """The live chunks with these keys, in order of key; others are left out."""
        marks = ",".join("?" * len(keys))
        rows = self._db.execute(
            "SELECT c.key, d.id, c.start, c.end, substr(d.text, c.start + 1, c.end - c.start), c.context, "
            "c.page, d.title, d.date, c.vector, c.spans, c.sentences FROM chunks c JOIN documents d "
            f"ON c.document = d.key WHERE d.live = 1 AND c.key IN ({marks}) ORDER BY c.key",
            list(keys),
        )
        return [_stored_chunk(row) for row in rows]

    def search_words(self, question: str, limit: int) -> list[tuple[int, float]]:
        """BM25 over words (Robertson & Zaragoza 2009, as FTS5 has it): (chunk key, score), best first.

        Any of the question's content words may match; every word is quoted, so that no character of
        the question is an operator.
        """
        asked = list(dict.fromkeys(content_words(question) or words(question)))
        if not asked:
            return []
        query = " OR ".join('"' + word.replace('"', '""') + '"' for word in asked[:64])
        rows = self._db.execute(
            "SELECT rowid, -bm25(words) AS score FROM words WHERE words MATCH ? "
            "ORDER BY score DESC, rowid LIMIT ?",
            (query, limit),
        )
        return [(key, score) for key, score in rows]


def _stored_chunk(row: tuple) -> StoredChunk:
    key, document, start, end, text, context, page, title, date, vector, spans, sentences = row
    passage = np.frombuffer(vector, "<f2").astype(np.float32)
    by_sentence = np.frombuffer(sentences, np.int8).astype(np.float32) / 127
    places = tuple((a, b) for a, b in json.loads(spans))
    chunk = Chunk(document, start, end, text, context, page)
    shaped = by_sentence.reshape(len(places), len(passage))
    return StoredChunk(key, chunk, title, date, passage, places, shaped)
