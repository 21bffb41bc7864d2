"""SQLite holds everything: documents, chunks, vectors and words. The only writer.

A change is written in two steps. Documents are *staged* as they are read and embedded, in short
transactions, invisible to every reader; then one transaction makes them live, removes what they
replace and what is gone, and raises the generation. Readers (WAL) see one generation or the next,
never a mixture; a killed run leaves staged rows that the next run takes up without embedding again.

Vectors are stored as little-endian float16 (passages) and int8 (sentences, scaled by 127).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rag.changes import ChangeLog, Changes, count_all, generation_of
from rag.database import Database
from rag.embed import Embedding, Vectors
from rag.errors import CollectionError
from rag.lexical import WordIndex
from rag.migrate import SCHEMA, schema_of
from rag.records import Chunk, Document, Mark
from rag.stored import Move, StoredChunk, StoredDocument, Touch, last_page

__all__ = ["Move", "Store", "StoredChunk", "StoredDocument", "Touch", "SCHEMA"]

# SQL functions end a text at NUL, so it is stored as a code point that no text has.
_NUL = "\U0010ffff"
_BOUND = 500  # variables bound to one statement; SQLite has a limit

# What a list of documents shows is an index of its own: the rows beside it hold whole texts.
_LISTED = "id, source, path, hash, stamp, title, date, media_type, size, pages, added"
_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, live INTEGER NOT NULL, source TEXT NOT NULL, path TEXT NOT NULL,
    hash TEXT NOT NULL, stamp TEXT NOT NULL,
    title TEXT NOT NULL, date TEXT, media_type TEXT NOT NULL, text TEXT NOT NULL, marks TEXT NOT NULL,
    added TEXT NOT NULL DEFAULT '', size INTEGER, pages INTEGER,
    UNIQUE (id, live)
);
CREATE INDEX listed ON documents (live, {_LISTED});
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


class Store(Database):
    """One collection's database: a file, or memory when `path` is None.

    Raises:
        CollectionError: the file is not a collection, or was written by another schema.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self._log = ChangeLog(self)
        self._word_index = WordIndex(self)
        try:
            with self._failures():
                self._set_up()
                # Looked at before it is locked: opening must not wait for a writer.
                if not self.has_table("meta"):
                    with self.transaction():
                        if not self.has_table("meta"):
                            self._create()
                schema = schema_of(self)
            if schema < SCHEMA:
                name = path.parent.name if path else ""
                raise CollectionError(
                    f"{path}: was written by an earlier version (schema {schema}, not {SCHEMA}): "
                    f"'footnote upgrade -c {name}' brings it up to date and embeds nothing again "
                    f"('footnote backup -c {name} --out FILE' keeps a copy before)"
                )
        except BaseException:
            self._db.close()
            raise

    def _create(self) -> None:
        for statement in _TABLES.split(";\n"):
            # A trigger's body has a semicolon of its own, never at a line's end.
            if statement.strip():
                self.run(statement)
        self.run_many(
            "INSERT INTO meta VALUES (?, ?)", [("schema", str(SCHEMA)), ("generation", "0")]
        )

    # What the collection was made with

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
        rows = self.rows("SELECT id, hash, path FROM documents WHERE live = 0")
        return {one: (digest, path) for one, digest, path in rows}

    def drop_staged(self, ids: Iterable[str]) -> None:
        """Forget staged documents."""
        with self.transaction():
            self.run_many(
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
        added: str = "",
    ) -> None:
        """Write a document where no reader sees it yet. Call within a transaction.

        `spans` are each chunk's sentences, in offsets of the chunk's text. `added` is when the
        document was published before it came here; "" where it was not.
        """
        self.run("DELETE FROM documents WHERE live = 0 AND id = ?", (document.id,))
        listed = [list(asdict(mark).values()) for mark in document.marks]
        marks = json.dumps(listed)
        fields = (document.id, source, path, digest, stamp, document.title, document.date)
        cursor = self._db.execute(
            "INSERT INTO documents (id, live, source, path, hash, stamp, title, date, media_type, text, "
            "marks, size, pages, added) VALUES (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(*fields, document.media_type, document.text.replace("\0", _NUL), marks),
                *(len(document.text), last_page(marks), added),
            ),
        )
        key = cursor.lastrowid
        self.run_many(
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
        embedder: str = "",
    ) -> int:
        """Make staged documents live, in one transaction with all else; returns the new generation.

        A live document whose identifier a staged or a moved one takes is replaced. `embedder` is named
        where another one made the vectors: then no index of the old ones is followed any more.
        """
        with self.transaction():
            generation, before = self.generation + 1, self.edition
            documents, chunks = self._log.begin(generation - 1, before)
            # Out of the way first (live = -n), so that files may swap their names.
            self.run_many(
                "UPDATE documents SET live = ? WHERE live = 1 AND id = ?",
                [(-n, one.old) for n, one in enumerate(moved, 1)],
            )
            gone = list(dict.fromkeys([*removed, *ids, *(one.id for one in moved)]))
            chunks -= self._log.note(generation, gone, gone=True)
            documents -= self.run_many(
                "DELETE FROM documents WHERE live = 1 AND id = ?", [(one,) for one in gone]
            )
            self.run_many(
                "UPDATE documents SET live = 1, id = ?, source = ?, path = ?, stamp = ?, title = ? "
                "WHERE live = ?",
                [
                    (one.id, one.source, one.path, one.stamp, one.title, -n)
                    for n, one in enumerate(moved, 1)
                ],
            )
            chunks += self._log.note(generation, ids, gone=False)
            documents += self._make_live(ids)
            self.set_meta("generation", str(generation))
            self.set_meta("edition", secrets.token_hex(8))
            self._log.end(generation, self.edition, documents, chunks)
            self._word_index.prepare(before, self.edition, self._log, chunks)
            if embedder:
                self.set_meta("embedder", embedder)
                self._log.cut(generation)
        return generation

    def _make_live(self, ids: Sequence[str]) -> int:
        """Show staged documents, and make their words findable; how many there were."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.run_many(
            "INSERT INTO words (rowid, context, text) SELECT c.key, c.context, "
            "substr(d.text, c.start + 1, c.end - c.start) FROM documents d JOIN chunks c "
            "ON c.document = d.key WHERE d.live = 0 AND d.id = ?",
            [(one,) for one in ids],
        )
        return self.run_many(
            "UPDATE documents SET live = 1, added = iif(added = '', ?, added) "
            "WHERE live = 0 AND id = ?",
            [(now, one) for one in ids],
        )

    def touch(self, touched: Sequence[Touch]) -> None:
        """Note new stamps alone: what readers see does not change."""
        with self.transaction():
            self.run_many(
                "UPDATE documents SET stamp = ? WHERE live = 1 AND id = ?",
                [(one.stamp, one.id) for one in touched],
            )

    # Reading

    def documents(self) -> list[StoredDocument]:
        """Every live document, ordered by identifier."""
        rows = self.rows(f"SELECT {_LISTED} FROM documents WHERE live = 1 ORDER BY id")
        return [StoredDocument(*row) for row in rows]

    def document(self, document_id: str) -> Document | None:
        """A live document with its text, or None."""
        rows = self.rows(
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
        return self._log.counts(self.edition) or count_all(self)

    def changes(self, edition: str) -> Changes | None:
        """What came and went between `edition` and now; None where that is not known."""
        return self._log.since(edition, self.edition)

    def cut_changes(self, edition: str) -> None:
        """Keep no record of what came and went before `edition`."""
        with self.transaction():
            self._log.cut(generation_of(edition))

    def live_keys(self) -> np.ndarray:
        """The keys of all live chunks, ascending: (n,), int64. Reads no vector."""
        found = self.rows(
            "SELECT c.key FROM documents d JOIN chunks c ON c.document = d.key WHERE d.live = 1"
        )
        return np.sort(np.array([row[0] for row in found], np.int64))

    def vectors_of(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of `keys` that there are, ascending: (n,), int64; vectors, shape (n, d), float16."""
        rows = self.rows(
            "SELECT key, vector FROM chunks WHERE key IN (SELECT value FROM json_each(?)) "
            "ORDER BY key",
            (json.dumps(keys.tolist()),),
        )
        found = np.array([row[0] for row in rows], np.int64)
        joined = np.frombuffer(b"".join(row[1] for row in rows), "<f2")
        return found, joined.reshape(len(rows), len(joined) // max(1, len(rows)))

    def vectors(self, dimensions: int) -> tuple[np.ndarray, Vectors]:
        """All live passages: keys, shape (n,), int64; vectors, shape (n, d), in order of key."""
        keys, vectors = self.vectors_of(self.live_keys())
        return keys, vectors.reshape(len(keys), dimensions).astype(np.float32)

    def chunk_keys(self, ids: Iterable[str]) -> np.ndarray:
        """The keys of all chunks of the live documents with these identifiers: (n,), int64."""
        wanted = list(set(ids))
        found: list[int] = []
        for at in range(0, len(wanted), _BOUND):
            some = wanted[at : at + _BOUND]
            rows = self.rows(
                "SELECT c.key FROM documents d JOIN chunks c ON c.document = d.key "
                f"WHERE d.live = 1 AND d.id IN ({','.join('?' * len(some))})",
                some,
            )
            found += [row[0] for row in rows]
        return np.sort(np.array(found, np.int64))

    def chunks(self, keys: Sequence[int]) -> list[StoredChunk]:
        """The live chunks with these keys, in order of key; others are left out."""
        # Its text is taken from the word index: a document's may be a thousand times as long.
        rows = self.rows(
            "SELECT c.key, d.id, c.start, c.end, w.text, c.context, c.page, d.title, d.date, "
            "c.vector, c.spans, c.sentences FROM json_each(?) k JOIN chunks c ON c.key = k.value "
            "JOIN documents d ON c.document = d.key JOIN words w ON w.rowid = c.key "
            "WHERE d.live = 1 ORDER BY c.key",
            (json.dumps([int(key) for key in keys]),),
        )
        return _stored_chunks(rows)

    def search_words(
        self, question: str, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """BM25 over words (`rag.lexical`): (chunk key, score), best first.

        Any of the question's content words may match. `within` holds the chunk keys that may be
        found, None leaves them all in; how rare a word is stays a matter of the whole collection.
        """
        return self._word_index.search(question, limit, within, self.edition, self.counts()[1])


def _stored_chunks(rows: Sequence[tuple[Any, ...]]) -> list[StoredChunk]:
    """Rows of chunks as values. All vectors are decoded at once: they are views of two arrays."""
    passages = np.frombuffer(b"".join(row[9] for row in rows), "<f2").astype(np.float32)
    passages = passages.reshape(len(rows), -1) if rows else passages
    packed = np.frombuffer(b"".join(row[11] for row in rows), np.int8)
    sentences = (packed.astype(np.float32) / np.float32(127)).reshape(-1, *passages.shape[1:])
    found, at = [], 0
    for row, passage in zip(rows, passages, strict=True):
        key, document, start, end, text, context, page, title, date, _, spans, _ = row
        placed = json.loads(spans)
        chunk = Chunk(document, start, end, text.replace(_NUL, "\0"), context, page)
        places = tuple((a, b) for a, b, _ in placed)
        pages = tuple(page for _, _, page in placed)
        theirs = sentences[at : at + len(placed)]
        found.append(StoredChunk(key, chunk, title, date, passage, places, theirs, pages))
        at += len(placed)
    return found
