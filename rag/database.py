"""A SQLite file with a write-ahead log: opening, transactions, and what is said when they fail.

Knows nothing of what is in its tables but `meta`, a table of names and values.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rag.errors import CollectionError

__all__ = ["Database", "use_wal"]

_WAIT_S = 60  # how long to wait for another process's transaction
_COPIED = 2_000  # pages copied at a time: 8 MB
_CACHE_KIB = 32_000  # pages kept in memory: the upper levels of the trees of a large collection


_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


def use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Switch to a write-ahead log. SQLite does not wait for others that switch too: ask again.

    Raises:
        sqlite3.OperationalError: it can't be done, or not within `patience` seconds.
    """
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


class Database:
    """A database: a file, or memory when `path` is None."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._failures():
            self._db = sqlite3.connect(
                path or ":memory:", timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )

    def _set_up(self) -> None:
        use_wal(self._db, _WAIT_S)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def close(self) -> None:
        """Close the database. Further calls fail."""
        self._db.close()

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

    def copy_to(
        self, other: Database, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> None:
        """Make `other` what one transaction sees of this one, in one transaction of its own.

        Keeps no reader or writer of this one waiting; readers of `other` see the old, then the new.
        `progress` is called with (pages done, pages to do).

        Raises:
            CollectionError: one can't be read or the other not be written; `other` is as it was.
        """
        with self.transaction(write=False):
            self.has_table("")  # the first thing that is read settles what the transaction sees
            try:
                self._db.backup(
                    other._db,
                    pages=_COPIED,
                    progress=lambda status, left, pages: progress(pages - left, pages),
                )
            except sqlite3.OperationalError:  # busy or full: that is the other one
                with other._failures():
                    raise

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Every row of a query."""
        with self._failures():
            return self._db.execute(sql, parameters).fetchall()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement as part of the open transaction; how many rows it changed."""
        return self._db.execute(sql, parameters).rowcount

    def run_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> int:
        """Run a statement with each of `parameters`; how many rows that changed in all."""
        return max(0, self._db.executemany(sql, parameters).rowcount)

    def has_table(self, name: str) -> bool:
        """Whether there is such a table."""
        return bool(self.rows("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)))

    def meta(self, key: str) -> str | None:
        """A value that belongs to the collection as a whole."""
        rows = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Set a value. Part of the transaction that is open, if one is."""
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
