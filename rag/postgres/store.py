"""One collection in PostgreSQL: documents, chunks, vectors and words. The same steps as in SQLite.

Documents are *staged* in short transactions, by as many programs at once as there are; then one
transaction makes them live, removes what they replace and what is gone, and raises the generation.
Publications wait for one another, readers for nobody: theirs is a snapshot. What a killed program
staged is seen by no reader.

A text's NUL, which PostgreSQL can't hold, is stored as a code point that no text has. Vectors are
halfvec (passages) and int8 scaled by 127 (sentences), bit for bit as in SQLite.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.embed import Embedding
from rag.errors import CollectionError
from rag.postgres.database import Database
from rag.postgres.lexical import search_words
from rag.postgres.schema import SCHEMA
from rag.postgres.words import pack
from rag.records import Chunk, Document, Mark
from rag.stored import Move, StoredChunk, StoredDocument, Touch, last_page

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["PostgresStore", "State"]

_NUL = "\U0010ffff"
_LISTED = "id, source, path, hash, stamp, title, date, media_type, size, pages, added"
_KNOWN = 256  # collections of which the latest generation is remembered
_seen: dict[tuple[str, int], int] = {}


@dataclass(frozen=True, slots=True)
class State:
    """What a collection is at one moment."""

    name: str
    schema: int
    generation: int
    edition: str
    documents: int
    chunks: int
    tokens: int
    dead: int
    dimensions: int | None
    graph: bool
    meta: dict[str, str]


class PostgresStore:
    """One collection, whose key is `key`. For one thread at a time; many may be open.

    `run` names who stages: what one run staged, no other lists or drops. A document that two runs
    stage is the later one's.

    Raises:
        CollectionError: it was written by another schema, or the server is away.
    """

    def __init__(self, database: Database, key: int, name: str, run: str = "") -> None:
        self.key, self.name, self.run = key, name, run
        self.database = database
        self._open: Connection[Any] | None = None
        self._state: State | None = None
        schema = self.state.schema
        if schema != SCHEMA:
            raise CollectionError(
                f"{database.place}: collection '{name}' was written by another version (schema "
                f"{schema}, not {SCHEMA}): index its folders again with --rebuild"
            )

    def close(self) -> None:
        """Nothing is held between transactions."""

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[None]:
        """Run a block as one transaction; a read transaction sees one generation throughout.

        Raises:
            CollectionError: the server is away, died or refused. Nothing has changed.
        """
        assert self._open is None, "a transaction is open already"
        with self.database.transaction(self.key, write, self._sees) as connection:
            self._open, self._state = connection, None
            try:
                yield
            finally:
                self._open = self._state = None

    def _sees(self, connection: Any) -> bool:
        """Whether a replica has what this program knows to be there."""
        row = connection.execute(
            f"SELECT generation FROM footnote.collections WHERE key = {self.key}"
        ).fetchone()
        return row is not None and row[0] >= _seen.get((self.database.place, self.key), 0)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Every row of a query, in the open transaction or in one of its own.

        `{k}` stands for the collection's key: with a number in its place, one partition is planned.
        """
        if self._open is None:
            with self.transaction(write=False):
                return self.rows(sql, parameters)
        return self._open.execute(
            self._keyed(sql),
            parameters or None,
            binary=True,
        ).fetchall()

    def _keyed(self, sql: str) -> bytes:
        return sql.replace("{k}", str(self.key)).encode()

    def _run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        assert self._open is not None
        return self._open.execute(self._keyed(sql), parameters or None).rowcount

    def _run_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        assert self._open is not None
        with self._open.cursor() as cursor:
            cursor.executemany(self._keyed(sql), parameters)
            return max(0, cursor.rowcount)

    # What the collection was made with

    @property
    def state(self) -> State:
        """What the open transaction sees, or the present."""
        if self._open is None:
            with self.transaction(write=False):
                return self.state
        if self._state is None:
            rows = self.rows(
                "SELECT name, schema, generation, edition, documents, chunks, tokens, dead, "
                "dimensions, graph, meta FROM footnote.collections WHERE key = {k}"
            )
            if not rows:
                raise CollectionError(
                    f"{self.database.place}: collection '{self.name}' was removed: open it again"
                )
            self._state = State(*rows[0])
            _note(self.database.place, self.key, self._state.generation)
        return self._state

    @property
    def generation(self) -> int:
        """Raised by one whenever what readers see changes."""
        return self.state.generation

    @property
    def edition(self) -> str:
        """The generation with a random part: no two collections share one, whatever befell them."""
        return f"{self.state.generation}-{self.state.edition}"

    def meta(self, key: str) -> str | None:
        """A value that belongs to the collection as a whole."""
        return self.state.meta.get(key)

    def set_meta(self, key: str, value: str) -> None:
        """Set a value. Part of the transaction that is open, if one is."""
        if self._open is None:
            with self.transaction():
                return self.set_meta(key, value)
        self._run(
            "UPDATE footnote.collections SET meta = meta || jsonb_build_object(%s::text, %s::text) "
            "WHERE key = {k}",
            (key, value),
        )
        self._state = None

    # Writing

    def staged(self) -> dict[str, tuple[str, str]]:
        """(Content hash, path) by identifier of the documents that this run left staged."""
        rows = self.rows(
            "SELECT id, hash, path FROM footnote.documents WHERE collection = {k} AND live = 0 "
            "AND run = %s",
            (self.run,),
        )
        return {one: (digest, path) for one, digest, path in rows}

    def drop_staged(self, ids: Iterable[str]) -> None:
        """Forget documents that this run staged."""
        handles = [_handle(one) for one in ids]
        if handles:
            with self.transaction():
                self._delete("live = 0 AND run = %s AND handle = ANY(%b)", (self.run, handles))

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

        `spans` are each chunk's sentences, in offsets of the chunk's text. A document that this run
        staged with the same content, from the same place, stays as it is.
        """
        from pgvector import HalfVector

        self._check_dimensions(embeddings)
        keys = [key for (key,) in self._keys(len(chunks))]
        texts = [f"{chunk.context}\n{chunk.text}" for chunk in chunks]
        terms, postings, tokens = pack(texts, keys)
        marks = json.dumps([list(asdict(mark).values()) for mark in document.marks])
        fields = {
            "id": document.id,
            "handle": _handle(document.id),
            "live": 0,
            "run": self.run,
            "source": source,
            "path": path,
            "hash": digest,
            "stamp": stamp,
            "title": _held(document.title),
            "date": document.date,
            "media_type": document.media_type,
            "text": _held(document.text),
            "marks": _held(marks),
            "added": added,
            "size": len(document.text),
            "pages": last_page(marks),
            "chunks": len(chunks),
            "keys": np.array(keys, "<u4").tobytes(),
            "tokens": tokens,
            "terms": terms,
            "postings": postings,
        }
        key = self._insert(fields)
        if key is None:
            return
        self._run_many(
            'INSERT INTO footnote.chunks (collection, key, document, "start", "end", page, context, '
            "text, vector, spans, sentences) VALUES ({k}, %s, %s, %s, %s, %s, %s, %s, %b, %s, %s)",
            [
                (
                    *(chunk_key, key, chunk.start, chunk.end, chunk.page),
                    *(_held(chunk.context), _held(chunk.text)),
                    HalfVector(embedding.passage.astype("<f2")),
                    json.dumps(
                        [[*span, document.page_at(chunk.start + span[0])] for span in places]
                    ),
                    np.round(embedding.sentences * 127).astype(np.int8).tobytes(),
                )
                for chunk_key, chunk, places, embedding in zip(
                    keys, chunks, spans, embeddings, strict=True
                )
            ],
        )

    def _keys(self, count: int) -> list[Any]:
        return self.rows(
            "SELECT nextval('footnote.chunk_key_{k}') FROM generate_series(1, %s)", (count,)
        )

    def _check_dimensions(self, embeddings: Sequence[Embedding]) -> None:
        if not embeddings:
            return
        given = len(embeddings[0].passage)
        if self.state.dimensions is None:
            self._run(
                "UPDATE footnote.collections SET dimensions = %s WHERE key = {k} "
                "AND dimensions IS NULL",
                (given,),
            )
            self._state = None
        if self.state.dimensions != given:
            raise CollectionError(
                f"collection '{self.name}' has vectors of {self.state.dimensions} dimensions, not "
                f"{given}: set embedder back, or index its folders again with --rebuild"
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
            self._delete("live = 0 AND handle = %s", (fields["handle"],))

    def _delete(self, condition: str, parameters: Sequence[Any]) -> int:
        """Delete documents with their chunks; how many documents."""
        keys = [
            key
            for (key,) in self.rows(
                f"DELETE FROM footnote.documents WHERE collection = {{k}} AND {condition} "
                "RETURNING key",
                parameters,
            )
        ]
        self._run(
            "DELETE FROM footnote.chunks WHERE collection = {k} AND document = ANY(%s)", (keys,)
        )
        return len(keys)

    def publish(
        self,
        ids: Sequence[str],
        removed: Sequence[str] = (),
        moved: Sequence[Move] = (),
    ) -> int:
        """Make staged documents live, in one transaction with all else; returns the new generation.

        A live document whose identifier a staged or a moved one takes is replaced. Of `ids` those
        count that this run has staged.
        """
        with self.transaction():
            # Whoever publishes too waits here, and then sees what this one made.
            [(generation,)] = self.rows(
                "SELECT generation + 1 FROM footnote.collections WHERE key = {k} FOR UPDATE"
            )
            staged = self._staged_keys(ids)
            self._run_many(
                "UPDATE footnote.documents SET live = %s WHERE collection = {k} AND live = 1 "
                "AND handle = %s",
                [(-n, _handle(one.old)) for n, one in enumerate(moved, 1)],
            )
            names = [*removed, *(one for one, _ in staged), *(one.id for one in moved)]
            gone = self._live_keys([_handle(one) for one in dict.fromkeys(names)])
            added = [key for _, key in staged]
            self._count_words(generation, added, gone)
            self._delete("key = ANY(%s)", (gone,))
            self._run_many(
                "UPDATE footnote.documents SET live = 1, id = %s, handle = %s, source = %s, path = %s, "
                "stamp = %s, title = %s WHERE collection = {k} AND live = %s",
                [
                    (one.id, _handle(one.id), one.source, one.path, one.stamp, _held(one.title), -n)
                    for n, one in enumerate(moved, 1)
                ],
            )
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._run(
                "UPDATE footnote.documents SET live = 1, added = CASE added WHEN '' THEN %s ELSE added "
                "END WHERE collection = {k} AND key = ANY(%s)",
                (now, added),
            )
            self._tidy_words()
        _note(self.database.place, self.key, generation)
        return int(generation)

    def _staged_keys(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        """Identifiers and keys of what this run staged, which until the end no other may replace."""
        return self.rows(
            "SELECT id, key FROM footnote.documents WHERE collection = {k} AND live = 0 "
            "AND run = %s AND handle = ANY(%b) ORDER BY key FOR UPDATE",
            (self.run, [_handle(one) for one in dict.fromkeys(ids)]),
        )

    def _live_keys(self, handles: Sequence[bytes]) -> list[int]:
        rows = self.rows(
            "SELECT key FROM footnote.documents WHERE collection = {k} AND live = 1 "
            "AND handle = ANY(%b)",
            (list(handles),),
        )
        return [key for (key,) in rows]

    def _count_words(self, generation: int, added: list[int], gone: list[int]) -> None:
        """Add the postings of what comes, take what goes from the counts, and count everything."""
        self._run(
            "INSERT INTO footnote.words (collection, term, part, passages, postings) "
            "SELECT {k}, term, %s, sum(sign * octet_length(posting) / 8), "
            "string_agg(CASE sign WHEN 1 THEN posting ELSE '' END, ''::bytea ORDER BY key) "
            "FROM (SELECT key, terms, postings, CASE WHEN key = ANY(%s) THEN 1 ELSE -1 END AS sign "
            "FROM footnote.documents WHERE collection = {k} AND key = ANY(%s)) d, "
            "unnest(d.terms, d.postings) AS one (term, posting) GROUP BY term",
            (generation, added, [*added, *gone]),
        )
        self._run(
            "UPDATE footnote.collections c SET generation = %s, edition = %s, "
            "documents = c.documents + came.documents - went.documents, "
            "chunks = c.chunks + came.chunks - went.chunks, "
            "tokens = c.tokens + came.tokens - went.tokens, dead = c.dead + went.chunks "
            f"FROM ({_TOTALS}) came, ({_TOTALS}) went WHERE c.key = {{k}}",
            (generation, secrets.token_hex(8), added, gone),
        )
        self._state = None

    def _tidy_words(self) -> None:
        """Make the rows of words anew where a fifth of what they hold is gone."""
        state = self.state
        if state.dead <= max(_FEW_DEAD, state.chunks * _DEAD_SHARE):
            return
        self._run("DELETE FROM footnote.words WHERE collection = {k}")
        self._run(
            "INSERT INTO footnote.words (collection, term, part, passages, postings) "
            "SELECT {k}, term, -1 - key / %s, sum(octet_length(posting) / 8), "
            "string_agg(posting, ''::bytea ORDER BY key) FROM footnote.documents d, "
            "unnest(d.terms, d.postings) AS one (term, posting) "
            "WHERE d.collection = {k} AND d.live = 1 GROUP BY 2, 3",
            (_DOCUMENTS_A_ROW,),
        )
        self._run("UPDATE footnote.collections SET dead = 0 WHERE key = {k}")
        self._state = None

    def touch(self, touched: Sequence[Touch]) -> None:
        """Note new stamps alone: what readers see does not change."""
        with self.transaction():
            self._run_many(
                "UPDATE footnote.documents SET stamp = %s WHERE collection = {k} AND live = 1 "
                "AND handle = %s",
                [(one.stamp, _handle(one.id)) for one in touched],
            )

    # Reading

    def documents(self) -> list[StoredDocument]:
        """Every live document, ordered by identifier."""
        rows = self.rows(
            f"SELECT {_LISTED} FROM footnote.documents WHERE collection = {{k}} AND live = 1 "
            "ORDER BY id"
        )
        return [StoredDocument(*[*row[:5], _given(row[5]), *row[6:]]) for row in rows]

    def document(self, document_id: str) -> Document | None:
        """A live document with its text, or None."""
        rows = self.rows(
            "SELECT id, text, title, date, media_type, marks FROM footnote.documents "
            "WHERE collection = {k} AND live = 1 AND handle = %s",
            (_handle(document_id),),
        )
        if not rows:
            return None
        identifier, text, title, date, media_type, marks = rows[0]
        placed = tuple(Mark(*mark) for mark in json.loads(_given(marks)))
        return Document(identifier, _given(text), _given(title), date, media_type, placed)

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks are live."""
        return self.state.documents, self.state.chunks

    def chunk_keys(self, ids: Iterable[str]) -> np.ndarray:
        """The keys of all chunks of the live documents with these identifiers: (n,), int64."""
        [(packed,)] = self.rows(
            "SELECT string_agg(keys, ''::bytea) FROM footnote.documents "
            "WHERE collection = {k} AND live = 1 AND handle = ANY(%b)",
            ([_handle(one) for one in dict.fromkeys(ids)],),
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
        return [_stored(row) for row in rows]

    def search_words(
        self, question: str, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """BM25 over words (`rag.postgres.words`): (chunk key, score), best first.

        Any of the question's content words may match. `within` holds the chunk keys that may be
        found, None leaves them all in; how rare a word is stays a matter of the whole collection.
        """
        if self._open is None:
            with self.transaction(write=False):
                return self.search_words(question, limit, within)
        return search_words(question, limit, within, self.rows, self.state)


_TOTALS = (
    "SELECT count(*) AS documents, coalesce(sum(chunks), 0) AS chunks, "
    "coalesce(sum(tokens), 0) AS tokens FROM footnote.documents "
    "WHERE collection = {k} AND key = ANY(%s)"
)
_FEW_DEAD, _DEAD_SHARE = 1000, 0.2
_DOCUMENTS_A_ROW = 1_000_000  # of words made anew: a value holds a gigabyte at most


def _note(place: str, key: int, generation: int) -> None:
    """Remember the latest generation of a collection that this program saw."""
    known = (place, key)
    _seen[known] = max(generation, _seen.pop(known, 0))
    while len(_seen) > _KNOWN:
        _seen.pop(next(iter(_seen)))


def _handle(document_id: str) -> bytes:
    """An identifier as an index holds it, however long it is."""
    return hashlib.sha256(document_id.encode()).digest()[:16]


def _held(text: str) -> str:
    return text.replace("\0", _NUL)


def _given(text: str) -> str:
    return text.replace(_NUL, "\0")


def halves(sent: bytes) -> np.ndarray:
    """A halfvec as it is sent: shape (d,), float16."""
    return np.frombuffer(sent, ">f2", offset=4).astype(np.float16)


def _stored(row: tuple[Any, ...]) -> StoredChunk:
    key, document, start, end, text, context, page, title, date, sent, spans, packed = row
    vector = halves(sent).astype(np.float32)
    sentences = np.frombuffer(packed, np.int8).astype(np.float32) / np.float32(127)
    placed = json.loads(spans)
    return StoredChunk(
        key,
        Chunk(document, start, end, _given(text), _given(context), page),
        _given(title),
        date,
        vector,
        tuple((a, b) for a, b, _ in placed),
        sentences.reshape(-1, len(vector)),
        tuple(page for _, _, page in placed),
    )
