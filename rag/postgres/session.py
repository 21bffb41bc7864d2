"""Transactions about one collection, and what it is at the moment that one sees."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag.errors import CollectionError
from rag.postgres.database import Database

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["Session", "State", "note"]

_KNOWN = 4096  # collections of which the latest generation is remembered
_seen: dict[tuple[str, int], int] = {}


def note(place: str, key: int, generation: int) -> None:
    """Remember a generation that this program saw: no older one is shown to it any more."""
    known = (place, key)
    _seen[known] = max(generation, _seen.pop(known, 0))
    while len(_seen) > _KNOWN:
        _seen.pop(next(iter(_seen)))


@dataclass(frozen=True, slots=True)
class State:
    """What a collection is at one moment. `tokens` are the words of all its chunks.

    `dead` chunks are gone, but still among the postings; `graph` says whether there is one.
    """

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


class Session:
    """Of the collection whose key is `key`. For one thread at a time; many may be open."""

    def __init__(self, database: Database, key: int, name: str) -> None:
        self.database, self.key, self.name = database, key, name
        self._open: Connection[Any] | None = None
        self._state: State | None = None

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

    @contextlib.contextmanager
    def within(self, write: bool = False) -> Iterator[None]:
        """The transaction that is open, or one for the block."""
        if self._open is not None:
            yield
            return
        with self.transaction(write):
            yield

    def _sees(self, connection: Any) -> bool:
        """Whether a replica has what this program knows to be there."""
        row = connection.execute(
            f"SELECT generation FROM footnote.collections WHERE key = {self.key}"
        ).fetchone()
        return row is not None and row[0] >= _seen.get((self.database.place, self.key), 0)

    # In all statements `{k}` stands for the collection's key: with a number in its place, only one
    # partition is planned for.

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Every row of a query, in the open transaction or in one of its own that only reads."""
        with self.within():
            return self._connection.execute(
                self._keyed(sql), parameters or None, binary=True
            ).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement as part of the open transaction; how many rows it changed."""
        return self._connection.execute(self._keyed(sql), parameters or None).rowcount

    def run_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        """Run a statement with each of `parameters`; how many rows that changed in all."""
        with self._connection.cursor() as cursor:
            cursor.executemany(self._keyed(sql), parameters)
            return max(0, cursor.rowcount)

    def changed(self) -> None:
        """The open transaction changed the collection's state."""
        self._state = None

    @property
    def state(self) -> State:
        """What the open transaction sees, or the present.

        Raises:
            CollectionError: the collection was removed.
        """
        with self.within():
            if self._state is None:
                self._state = self._asked()
            return self._state

    def _asked(self) -> State:
        rows = self.rows(
            "SELECT name, schema, generation, edition, documents, chunks, tokens, dead, dimensions, "
            "graph, meta FROM footnote.collections WHERE key = {k}"
        )
        if not rows:
            raise CollectionError(
                f"{self.database.place}: collection '{self.name}' was removed: open it again"
            )
        found = State(*rows[0])
        note(self.database.place, self.key, found.generation)
        return found

    @property
    def _connection(self) -> Connection[Any]:
        assert self._open is not None, "no transaction is open"
        return self._open

    def _keyed(self, sql: str) -> bytes:
        return sql.replace("{k}", str(self.key)).encode()
