"""The chat's one SQLite file: connections, transactions, and errors in plain words.

Knows no tables: each module that owns some creates them with `script`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rag.database import use_wal
from rag.errors import RagError

__all__ = ["ChatDataError", "Database", "private_folder"]

Parameters = Sequence[Any] | Mapping[str, Any]

_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_BUSY: "another process holds it: wait for that to end, then try again",
    sqlite3.SQLITE_LOCKED: "another process holds it: wait for that to end, then try again",
    sqlite3.SQLITE_CORRUPT: "it is damaged: put back a copy, or move it away to start anew",
    sqlite3.SQLITE_NOTADB: "it is not a database: put back a copy, or move it away to start anew",
    sqlite3.SQLITE_READONLY: "it can't be written: check the file's permissions",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened: check the path and its permissions",
    sqlite3.SQLITE_PERM: "it can't be opened: check the path and its permissions",
    sqlite3.SQLITE_IOERR: "it can't be read or written: check the disk",
}


class ChatDataError(RagError):
    """The chat's own data (history, sessions, accounts) can't be read or written."""


class _Connection(sqlite3.Connection):
    """A connection that can be held weakly: it closes when its thread is gone."""


class Database:
    """`chat.db`: WAL, foreign keys on, deleted rows overwritten; usable from any thread.

    Each thread has a connection of its own. With `path` None all threads share one private
    database in memory, in turns. `patience` is how many seconds to wait for another writer.

    A broken constraint raises `sqlite3.IntegrityError`, and faulty SQL its own error, as ever.

    Raises (from every method):
        ChatDataError: the disk is full, or the file is damaged, locked or can't be opened.
    """

    def __init__(self, path: Path | None, *, patience: float = 60.0) -> None:
        self.path = path
        self._patience = patience
        self._mine = threading.local()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._opening = threading.Lock()
        self._writing = threading.Lock()
        self._closed = False
        self._shared: _Connection | None = None
        self._turn: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if path is None:
            self._turn = threading.RLock()
            self._shared = self._connect(":memory:")
            return
        private_folder(path.parent)
        with self._told():
            try:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                os.chmod(path, 0o600)
            except OSError as error:
                raise ChatDataError(f"{path}: {error.strerror}: check its permissions") from None
            self._connection()

    def script(self, sql: str) -> None:
        """Run several statements, such as `CREATE TABLE IF NOT EXISTS`, as one transaction.

        Not to be called inside `transaction`.
        """
        with self._turn, self._told():
            connection = self._connection()
            assert not connection.in_transaction, "script() can't join a transaction"
            try:
                connection.executescript(f"BEGIN IMMEDIATE; {sql}; COMMIT;")
            finally:
                if connection.in_transaction:
                    connection.rollback()

    def rows(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """All rows that a query finds, readable by column name."""
        with self._turn, self._told():
            return self._connection().execute(sql, parameters).fetchall()

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement in a transaction; how many rows it touched."""
        with self.transaction() as connection:
            return connection.execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one INSERT in a transaction; the id of its row."""
        with self.transaction() as connection:
            return connection.execute(sql, parameters).lastrowid or 0

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is run inside, or nothing of it. Nested calls join the open transaction."""
        with self._turn, self._told():
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            # In turns here, because SQLite waits for another writer by sleeping ever longer.
            with self._writing:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.rollback()

    def close(self) -> None:
        """Close every thread's connection. The database can't be used afterwards."""
        self._closed = True
        with self._opening:
            for connection in list(self._open):
                connection.close()

    def _connection(self) -> _Connection:
        if self._closed:
            raise ChatDataError("the chat's database is closed")
        if self._shared is not None:
            return self._shared
        mine: _Connection | None = getattr(self._mine, "connection", None)
        if mine is None:
            mine = self._mine.connection = self._connect(str(self.path))
        return mine

    def _connect(self, name: str) -> _Connection:
        # Any thread may close it, so SQLite's own check is off; only one thread uses it.
        connection = sqlite3.connect(
            name,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            use_wal(connection, self._patience)
        except BaseException:
            connection.close()
            raise
        with self._opening:
            self._open.add(connection)
        return connection

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the disk or another process does into one line; leave mistakes in SQL alone."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            reason = _REASONS.get(_code(error))
            if reason is None:
                raise
            raise ChatDataError(f"{self.path or 'the chat'}: {reason}") from error


def private_folder(folder: Path) -> None:
    """Create a folder that only its owner may enter; one that exists is left as it is.

    Raises:
        ChatDataError: it can't be created.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ChatDataError(f"{folder}: can't be created ({reason}): check the path") from None


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where Python raised by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
