"""The collections of one PostgreSQL database: names, opening, removing, the right to write."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, LiteralString

from rag.errors import CollectionError
from rag.postgres.database import Database, Sees
from rag.postgres.schema import SCHEMA
from rag.postgres.session import note
from rag.postgres.store import PostgresStore
from rag.postgres.vectors import CurrentVectors
from rag.settings import Settings

__all__ = ["PostgresBackend"]

_WAIT_FOR_WRITER_S = 10
_LOCKS = 0x466F6F75  # the class of the advisory locks
_PATIENCE = "3s"  # for readers of any collection to end, when one is removed; others wait as long


class PostgresBackend:
    """The database that `settings.store` names."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(settings)
        self.place = self._database.place

    def names(self) -> list[str]:
        """Of all collections, in order."""
        rows = self._answered("SELECT name FROM footnote.collections ORDER BY name")
        return [name for (name,) in rows if not name.startswith(".")]

    def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        return self._key(name) is not None

    def identity(self, name: str) -> tuple[int, int] | None:
        """What tells a collection from another made anew in its place; None where there is none."""
        key = self._key(name)
        return None if key is None else (0, key)

    def open(
        self, name: str, dimensions: Callable[[], int], create: bool, run: str = ""
    ) -> tuple[PostgresStore, CurrentVectors] | None:
        """A collection's store and index; None where there is none and `create` is false.

        `run` names who stages, where several programs do (`PostgresStore`).
        """
        key = self._key(name)
        if key is None and create:
            with self._database.transaction(None, write=True) as connection:
                made = connection.execute(
                    "SELECT footnote.create_collection(%s, %s)", (name, SCHEMA)
                ).fetchone()
                key = made[0] if made else None
        if key is None:
            return None
        store = PostgresStore(self._database, key, name, run)
        return store, CurrentVectors(store, dimensions)

    def remove(self, name: str) -> None:
        """Remove a collection, in one statement.

        Raises:
            CollectionError: another program is writing to it, or reads for too long.
        """
        with self.writing(name):
            self._drop(name)

    def rename(self, name: str, wanted: str) -> None:
        """Give a collection a name that none has."""
        with self._database.transaction(None, write=True) as connection:
            connection.execute("SELECT footnote.rename_collection(%s, %s)", (name, wanted))

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Hold the right to write to a collection; the server frees it when its holder dies.

        Raises:
            CollectionError: another program holds it.
        """
        lock = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big", signed=True)
        until = time.monotonic() + _WAIT_FOR_WRITER_S
        with self._database.alone() as connection:
            while True:
                row = connection.execute(
                    "SELECT pg_try_advisory_lock(%s::integer, %s::integer)", (_LOCKS, lock)
                ).fetchone()
                if row and row[0]:
                    break
                if time.monotonic() > until:
                    raise CollectionError(
                        f"collection '{name}' is being written by another process: wait until that "
                        "has ended, then run the same command again"
                    )
                time.sleep(0.05)
            self._see_latest(name)
            yield

    def _see_latest(self, name: str) -> None:
        """Whoever writes goes by the present, not by what a replica has."""
        if self._database.has_replicas:
            with self._database.transaction(None, write=False) as connection:
                row = connection.execute(
                    "SELECT key, generation FROM footnote.collections WHERE name = %s", (name,)
                ).fetchone()
            if row:
                note(self.place, *row)

    def _drop(self, name: str) -> None:
        with self._database.transaction(None, write=True) as connection:
            connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'".encode())
            connection.execute("SELECT footnote.drop_collection(%s)", (name,))

    def _key(self, name: str) -> int | None:
        rows = self._answered("SELECT key FROM footnote.collections WHERE name = %s", name)
        return rows[0][0] if rows else None

    def _answered(self, sql: LiteralString, *values: str) -> list[Any]:
        """What the list of collections says: the primary knows; where it is away, a replica."""
        try:
            return self._asked(sql, values, None)
        except CollectionError:
            if not self._database.has_replicas:
                raise
            return self._asked(sql, values, lambda connection: True)

    def _asked(self, sql: LiteralString, values: Sequence[str], sees: Sees | None) -> list[Any]:
        with self._database.transaction(None, write=False, sees=sees) as connection:
            return connection.execute(sql, values).fetchall()
