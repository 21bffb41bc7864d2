"""Connections, transactions of the application's role, and the set-up of a database by its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag.errors import CollectionError
from rag.postgres.schema import APP_ROLE, STATEMENTS

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["CONNECT_S", "begin", "configure", "connected", "connecting", "set_up"]

CONNECT_S = 5  # to wait for a server, or for a connection to be free

_SET_UP = 0x466F6F74  # the advisory lock of whoever makes the schema
_paths: dict[str, str] = {}  # where each server has pgvector's types
_VECTOR = (
    "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n "
    "ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
)


def connecting() -> dict[str, Any]:
    """How every connection is made."""
    return {
        "autocommit": True,
        "connect_timeout": CONNECT_S,
        "application_name": "footnote",
        # A server that vanished without a word is missed within half a minute.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }


def connected(url: str, place: str) -> Connection[Any]:
    """A new connection; messages call the server `place`."""
    import psycopg

    connection = psycopg.connect(url, **connecting())
    try:
        configure(connection, place)
    except BaseException:
        connection.close()
        raise
    return connection


def configure(connection: Connection[Any], place: str) -> None:
    """Have a connection know vectors; set the database up where that was not done.

    Raises:
        CollectionError: it was not, and this user may not do so.
    """
    from pgvector.psycopg import register_vector

    ready = connection.execute("SELECT to_regclass('footnote.collections') IS NOT NULL").fetchone()
    if ready is None or not ready[0]:
        set_up(connection, place)
    where = connection.execute(_VECTOR).fetchone()
    _paths[place] = f"{where[0] if where else 'public'}, pg_catalog"
    # Types are looked for along the path, which of a session's is left as it was.
    with connection.transaction():
        connection.execute(f"SET LOCAL search_path = {_paths[place]}".encode())
        register_vector(connection)


def begin(place: str, kind: str, collection: int | None, limit_ms: int) -> bytes:
    """What begins a transaction of the application's role about a collection, or about none.

    Nothing is left to the session: a pooler between may give each transaction another.
    """
    path = _paths.get(place, "public, pg_catalog")
    return (
        f"BEGIN {kind}; SET LOCAL ROLE {APP_ROLE}; SET LOCAL search_path = {path}; "
        f"SET LOCAL footnote.collection = '{collection or ''}'; "
        f"SET LOCAL statement_timeout = {limit_ms}"
    ).encode()


def set_up(connection: Connection[Any], place: str, user: str = "") -> None:
    """Make extension, roles, tables and policies where there are none; let `user` work with them.

    Raises:
        CollectionError: the address is not that of an owner, or the server lacks pgvector.
    """
    from psycopg import errors, sql

    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SET_UP,))
            made = connection.execute("SELECT to_regclass('footnote.collections')").fetchone()
            if made is None or made[0] is None:
                _make(connection)
            if user:
                connection.execute(
                    sql.SQL("GRANT {} TO {}").format(sql.Identifier(APP_ROLE), sql.Identifier(user))
                )
    except errors.FeatureNotSupported as error:
        raise CollectionError(
            f"{place}: has no pgvector ({_first(error)}): install it on the server"
        ) from None
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as error:
        raise CollectionError(
            f"{place}: is not set up, and this user may not do so ({_first(error)}): run "
            "'footnote store init' with the address of a superuser, or of an owner where pgvector "
            "is installed already"
        ) from None


def _make(connection: Connection[Any]) -> None:
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    where = connection.execute(_VECTOR).fetchone()
    vector = where[0] if where else "public"
    connection.execute(f"SET LOCAL search_path = {vector}, pg_catalog".encode())
    for statement in STATEMENTS:
        connection.execute(statement.replace("@vector@", vector).encode())


def _first(error: Exception) -> str:
    return str(error).split("\n")[0]
