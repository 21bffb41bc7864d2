"""One PostgreSQL database: pooled connections, transactions, and what is said when they fail.

A transaction declares the collection that it is about, and row-level security lets it see no other.
One that only reads sees a single snapshot throughout; it goes to a replica where there are some, and
to the primary where a replica is away or has not yet what the reader knows to be there. Whatever
fails is told in one line that names the server, never a password.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rag.address import shown
from rag.errors import CollectionError, SettingsError, StoreUnavailable
from rag.postgres.connect import CONNECT_S, begin, configure, connected, connecting, set_up
from rag.settings import Settings

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

__all__ = ["Database", "Sees", "close_pools"]

_SOON_S = 1  # to wait before asking why there is none
_REPLICA_S = 1
_AWAY_S = 20  # for so long a replica that did not answer is not asked

_pools: dict[tuple[int, str], Any] = {}
_pools_lock = threading.Lock()
_away: dict[str, float] = {}
_turn = itertools.count()
_asking = threading.Lock()

Sees = Callable[[Any], bool]
"""Whether what a connection's transaction sees is recent enough."""


class Database:
    """The database that the settings name, and its replicas. May be used by many threads."""

    def __init__(self, settings: Settings) -> None:
        if importlib.util.find_spec("psycopg_pool") is None:
            raise CollectionError(
                "setting 'store' names a database, for which a package is missing: "
                "pip install 'footnote[postgres]'"
            )
        for url in (settings.store, *settings.store_replicas):
            _check(url)
        self._url = settings.store
        self._replicas = settings.store_replicas
        self._size = settings.store_connections
        self._timeout_ms = settings.store_timeout_s * 1000
        self.place = shown(settings.store)

    @property
    def has_replicas(self) -> bool:
        """Whether questions may be answered without the primary."""
        return bool(self._replicas)

    @contextlib.contextmanager
    def transaction(
        self, declared: int | None, write: bool, sees: Sees | None = None
    ) -> Iterator[Connection[Any]]:
        """Run a block as one transaction about the collection whose key is `declared`.

        With `sees`, a replica may answer whose transaction sees enough.

        Raises:
            CollectionError: the server is away, died or refused. Nothing has changed, or, where it
                died in the moment of committing, everything has.
        """
        with contextlib.ExitStack() as stack:
            found = None if write or not sees else self._replica(declared, sees, stack)
            if found is None:
                with self._failures():
                    connection = self._primary(stack)
                    self._begin(connection, self._url, declared, write)
                found = self._url, connection
            url, connection = found
            with self._failures(url):
                try:
                    yield connection
                except BaseException:
                    if not connection.closed and not connection.broken:
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")

    def _primary(self, stack: contextlib.ExitStack) -> Connection[Any]:
        import psycopg_pool

        pool = self._pool(self._url)
        try:
            return stack.enter_context(pool.connection(_SOON_S))
        except psycopg_pool.PoolTimeout:
            # All are busy, or the server is away: whoever asks first says which.
            if _asking.acquire(timeout=CONNECT_S):
                try:
                    connected(self._url, self.place).close()
                finally:
                    _asking.release()
        return stack.enter_context(pool.connection(CONNECT_S))

    def _begin(
        self, connection: Connection[Any], url: str, declared: int | None, write: bool
    ) -> None:
        kind = "READ WRITE" if write else "ISOLATION LEVEL REPEATABLE READ READ ONLY"
        # Writing may take as long as it takes; a lock that it waits for is held for moments.
        limit = 0 if write else self._timeout_ms
        connection.execute(begin(shown(url), kind, declared, limit))

    def _replica(
        self, declared: int | None, sees: Sees, stack: contextlib.ExitStack
    ) -> tuple[str, Connection[Any]] | None:
        """A replica and a transaction on it; None where the primary has to answer."""
        import psycopg
        import psycopg_pool

        now, turn = time.monotonic(), next(_turn)
        there = [url for url in self._replicas if _away.get(url, 0) < now]
        for at in range(len(there)):
            url = there[(at + turn) % len(there)]
            try:
                connection: Connection[Any] = stack.enter_context(
                    self._pool(url).connection(_REPLICA_S)
                )
                self._begin(connection, url, declared, write=False)
                if sees(connection):
                    return url, connection
                connection.execute("ROLLBACK")
            except (psycopg.Error, psycopg_pool.PoolTimeout):
                _away[url] = now + _AWAY_S
            stack.pop_all().close()
        return None

    @contextlib.contextmanager
    def alone(self) -> Iterator[Connection[Any]]:
        """A connection outside the pool and of any transaction, for a lock that outlasts them."""
        with self._failures(), contextlib.closing(connected(self._url, self.place)) as connection:
            yield connection

    def set_up(self, user: str = "") -> None:
        """Make what the database needs; let the role `user` work with it.

        Raises:
            CollectionError: the server is away, or this user may not.
        """
        import psycopg

        with (
            self._failures(),
            contextlib.closing(psycopg.connect(self._url, **connecting())) as connection,
        ):
            set_up(connection, self.place, user)

    def _pool(self, url: str) -> ConnectionPool[Any]:
        with _pools_lock:
            known = _pools.get((os.getpid(), url))
            if known is None:
                known = _pools[os.getpid(), url] = _made_pool(url, self._size, shown(url))
            pool: ConnectionPool[Any] = known
            return pool

    @contextlib.contextmanager
    def _failures(self, url: str = "") -> Iterator[None]:
        """Say in one line what is wrong with the server (at `url`), its set-up or the connection."""
        import psycopg
        import psycopg_pool

        try:
            yield
        except psycopg_pool.PoolTimeout:
            raise StoreUnavailable(
                f"{self.place}: no connection within {CONNECT_S} s, of {self._size} at most: see that "
                "the server runs, or raise store_connections, then run the same again"
            ) from None
        except psycopg.Error as error:
            if isinstance(
                error, (psycopg.ProgrammingError, psycopg.DataError)
            ) and not _set_up_lacks(error):
                raise  # a mistake of the program
            if url in self._replicas and isinstance(error, psycopg.OperationalError):
                _away[url] = time.monotonic() + _AWAY_S
            passing = isinstance(error, psycopg.OperationalError)
            kind = StoreUnavailable if passing else CollectionError
            raise kind(f"{shown(url or self._url)}: {_said(error)}") from None


def _check(url: str) -> None:
    """Raise SettingsError for what is no address. libpq's own words would repeat a password."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(url)
    except ProgrammingError:
        raise SettingsError(
            f"{shown(url)}: is no address of a database: write every character of a name or password "
            "but letters, digits, '-', '.', '_' and '~' as '%' and two hexadecimal digits, and "
            "parameters as libpq knows them"
        ) from None


def _set_up_lacks(error: Exception) -> bool:
    from psycopg import errors

    lacking = errors.UndefinedTable, errors.UndefinedObject, errors.UndefinedFunction
    return isinstance(error, (errors.InsufficientPrivilege, *lacking))


def _said(error: Any) -> str:
    """What happened, and what to do about it."""
    from psycopg import errors

    first = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
    if isinstance(error, errors.InsufficientPrivilege):
        return f"{first}: let the owner of the database run 'footnote store init --user NAME'"
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedObject, errors.UndefinedFunction)):
        return f"{first}: run 'footnote store init' with the address of the database's owner"
    if isinstance(error, errors.QueryCanceled):
        return f"{first}: ask again, or raise store_timeout_s"
    if isinstance(error, (errors.LockNotAvailable, errors.DeadlockDetected)):
        return f"busy ({first}): nothing was changed; run the same again"
    if isinstance(error, (errors.DiskFull, errors.OutOfMemory, errors.ReadOnlySqlTransaction)):
        return f"can't be written ({first}): nothing was changed; mend that and run the same again"
    return (
        f"can't be reached, or failed ({first}): see that the server runs, then run the same again"
    )


def _made_pool(url: str, size: int, place: str) -> Any:
    from psycopg_pool import ConnectionPool

    pool = ConnectionPool(
        url,
        min_size=0,
        max_size=size,
        open=False,
        check=ConnectionPool.check_connection,  # what a restart of the server broke is left
        configure=lambda connection: configure(connection, place),
        kwargs=connecting(),
        max_idle=300,
        reconnect_timeout=CONNECT_S,
        name="footnote",
    )
    logging.getLogger("psycopg").addHandler(logging.NullHandler())  # errors tell the same
    pool.open()
    return pool


def close_pools() -> None:
    """Close every connection that this process keeps."""
    with _pools_lock:
        for (process, _), pool in _pools.items():
            if process == os.getpid():
                pool.close()
        _pools.clear()
        _away.clear()


atexit.register(close_pools)
