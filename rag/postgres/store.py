"""One collection in PostgreSQL: documents, chunks, vectors and words. The same steps as in SQLite.

Documents are *staged* in short transactions, by as many programs at once as there are; then one
transaction makes them live, removes what they replace and what is gone, and raises the generation
(`rag.postgres.publish`). Readers wait for nobody: theirs is a snapshot. What a killed program staged
is seen by no reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rag.embed import Embedding
from rag.errors import CollectionError
from rag.postgres.database import Database
from rag.postgres.form import (
    chunk_of,
    chunk_row,
    document_of,
    given,
    handle,
    held,
    listed_of,
    marks_text,
)
from rag.postgres.lexical import search_words
from rag.postgres.publish import delete, publish
from rag.postgres.schema import SCHEMA
from rag.postgres.session import Session, note
from rag.postgres.words import pack
from rag.records import Chunk, Document
from rag.stored import Move, StoredChunk, StoredDocument, Touch, last_page

__all__ = ["PostgresStore"]

_LISTED = "id, source, path, hash, stamp, title, date, media_type, size, pages, added"


class PostgresStore(Session):
    """One collection, whose key is `key`. For one thread at a time; many may be open.

    `run` names who stages: what one run staged, no other lists or drops. A document that two runs
    stage is the later one's.

    Raises:
        CollectionError: it was written by another schema, or the server is away.
    """

    def __init__(self, database: Database, key: int, name: str, run: str = "") -> None:
        super().__init__(database, key, name)
        self.run_name = run
        schema = self.state.schema
        if schema != SCHEMA:
            raise CollectionError(
                f"{database.place}: collection '{name}' was written by another version (schema "
                f"{schema}, not {SCHEMA}): index its folders again with --rebuild"
            )

    def close(self) -> None:
        """Nothing is held between transactions."""

    # What the collection was made with

    @property
    def generation(self) -> int:
        """Raised by one whenever what readers see changes."""
        return self.state.generation

    @property
    def edition(self) -> str:
        """The generation with a random part: no two collections share one, whatever befell them."""
        state = self.state
        return f"{state.generation}-{state.edition}"

    def meta(self, key: str) -> str | None:
        """A value that belongs to the collection as a whole."""
        return self.state.meta.get(key)

    def set_meta(self, key: str, value: str) -> None:
        """Set a value. Part of the transaction that is open, if one is."""
        with self.within(write=True):
            self.run(
                "UPDATE footnote.collections "
                "SET meta = meta || jsonb_build_object(%s::text, %s::text) WHERE key = {k}",
                (key, value),
            )
            self.changed()

    # Writing

    def staged(self) -> dict[str, tuple[str, str]]:
        """(Content hash, path) by identifier of the documents that this run left staged."""
        with self.within(write=True):  # the primary alone knows
            rows = self.rows(
                "SELECT id, hash, path FROM footnote.documents WHERE collection = {k} AND live = 0 "
                "AND run = %s",
                (self.run_name,),
            )
        return {given(one): (digest, given(path)) for one, digest, path in rows}

    def drop_staged(self, ids: Iterable[str]) -> None:
        """Forget documents that this run staged."""
        handles = [handle(one) for one in ids]
        if handles:
            with self.transaction():
                delete(self, "live = 0 AND run = %s AND handle = ANY(%b)", (self.run_name, handles))

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
        document was published before it came here; "" where it was not. A document that this run
        staged with the same content, from the same place, stays as it is.
        """
        self._check_dimensions(embeddings)
        keys = [
            key
            for (key,) in self.rows(
                "SELECT nextval('footnote.chunk_key_{k}') FROM generate_series(1, %s)",
                (len(chunks),),
            )
        ]
        terms, postings, tokens = pack([f"{one.context}\n{one.text}" for one in chunks], keys)
        marks = marks_text(document)
        key = self._insert(
            {
                "id": held(document.id),
                "handle": handle(document.id),
                "live": 0,
                "run": self.run_name,
                "source": held(source),
                "path": held(path),
                "hash": digest,
                "stamp": held(stamp),
                "title": held(document.title),
                "date": document.date,
                "media_type": document.media_type,
                "text": held(document.text),
                "marks": held(marks),
                "added": added,
                "size": len(document.text),
                "pages": last_page(marks),
                "chunks": len(chunks),
                "keys": np.array(keys, "<u4").tobytes(),
                "tokens": tokens,
                "terms": terms,
                "postings": postings,
            }
        )
        if key is not None:
            every = zip(keys, chunks, spans, embeddings, strict=True)
            self.run_many(
                'INSERT INTO footnote.chunks (collection, key, document, "start", "end", page, '
                "context, text, vector, spans, sentences) "
                "VALUES ({k}, %s, %s, %s, %s, %s, %s, %s, %b, %s, %s)",
                [
                    (chunk_key, key, *chunk_row(document, chunk, places, embedding))
                    for chunk_key, chunk, places, embedding in every
                ],
            )

    def _check_dimensions(self, embeddings: Sequence[Embedding]) -> None:
        if not embeddings:
            return
        size = len(embeddings[0].passage)
        if self.state.dimensions is None:
            self.run(
                "UPDATE footnote.collections SET dimensions = %s WHERE key = {k} "
                "AND dimensions IS NULL",
                (size,),
            )
            self.changed()
        if self.state.dimensions != size:
            raise CollectionError(
                f"collection '{self.name}' has vectors of {self.state.dimensions} dimensions, not "
                f"{size}: set embedder back, or index its folders again with --rebuild"
            )

    def _insert(self, fields: dict[str, Any]) -> int | None:
        """Write a document's row; its key, or None where the same is staged already."""
        names = ", ".join(fields)
        # In binary, as psycopg would quote every item of a list.
        values = ", ".join("%b" if isinstance(one, list) else "%s" for one in fields.values())
        while True:
            rows = self.rows(
                f"INSERT INTO footnote.documents (collection, {names}) VALUES ({{k}}, {values}) "
                "ON CONFLICT (collection, handle, live) DO NOTHING RETURNING key",
                list(fields.values()),
            )
            if rows:
                return int(rows[0][0])
            same = self.rows(
                "SELECT key FROM footnote.documents WHERE collection = {k} AND handle = %s "
                "AND live = 0 AND (run, hash, source, path, stamp, title) = (%s, %s, %s, %s, %s, %s) "
                "FOR UPDATE",
                [fields[one] for one in "handle run hash source path stamp title".split()],
            )
            if same:
                return None
            delete(self, "live = 0 AND handle = %s", (fields["handle"],))

    def publish(
        self,
        ids: Sequence[str],
        removed: Sequence[str] = (),
        moved: Sequence[Move] = (),
        embedder: str = "",
    ) -> int:
        """Make staged documents live, in one transaction with all else; returns the new generation.

        A live document whose identifier a staged or a moved one takes is replaced. Of `ids` those
        count that this run has staged. `embedder` is named where another one made the vectors.
        """
        with self.transaction():
            generation = publish(self, self.run_name, ids, removed, moved)
            if embedder:
                self.set_meta("embedder", embedder)
        note(self.database.place, self.key, generation)
        return generation

    def touch(self, touched: Sequence[Touch]) -> None:
        """Note new stamps alone: what readers see does not change."""
        with self.transaction():
            self.run_many(
                "UPDATE footnote.documents SET stamp = %s WHERE collection = {k} AND live = 1 "
                "AND handle = %s",
                [(held(one.stamp), handle(one.id)) for one in touched],
            )

    # Reading

    def documents(self) -> list[StoredDocument]:
        """Every live document, ordered by identifier."""
        rows = self.rows(
            f"SELECT {_LISTED} FROM footnote.documents WHERE collection = {{k}} AND live = 1 "
            "ORDER BY id"
        )
        return [listed_of(row) for row in rows]

    def document(self, document_id: str) -> Document | None:
        """A live document with its text, or None."""
        rows = self.rows(
            "SELECT id, text, title, date, media_type, marks FROM footnote.documents "
            "WHERE collection = {k} AND live = 1 AND handle = %s",
            (handle(document_id),),
        )
        return document_of(rows[0]) if rows else None

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks are live."""
        state = self.state
        return state.documents, state.chunks

    def chunk_keys(self, ids: Iterable[str]) -> np.ndarray:
        """The keys of all chunks of the live documents with these identifiers: (n,), int64."""
        [(packed,)] = self.rows(
            "SELECT string_agg(keys, ''::bytea) FROM footnote.documents "
            "WHERE collection = {k} AND live = 1 AND handle = ANY(%b)",
            ([handle(one) for one in dict.fromkeys(ids)],),
        )
        return np.sort(np.frombuffer(packed or b"", "<u4").astype(np.int64))

    def chunks(self, keys: Sequence[int]) -> list[StoredChunk]:
        """The live chunks with these keys, in order of key; others are left out."""
        rows = self.rows(
            'SELECT c.key, d.id, c."start", c."end", c.text, c.context, c.page, d.title, d.date, '
            "halfvec_send(c.vector), c.spans, c.sentences FROM footnote.chunks c "
            "JOIN footnote.documents d ON d.key = c.document AND d.collection = {k} "
            "WHERE c.collection = {k} AND d.live = 1 AND c.key = ANY(%s) ORDER BY c.key",
            ([int(key) for key in keys],),
        )
        return [chunk_of(row) for row in rows]

    def search_words(
        self, question: str, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """BM25 over words (`rag.postgres.words`): (chunk key, score), best first.

        Any of the question's content words may match. `within` holds the chunk keys that may be
        found, None leaves them all in; how rare a word is stays a matter of the whole collection.
        """
        with self.within():
            return search_words(question, limit, within, self.rows, self.state)
