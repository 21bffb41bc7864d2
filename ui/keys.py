"""Keys with which programs use the service as one of its people, instead of a login.

A key is 256 random bits that only its owner has; the database holds its SHA-256, which is enough for
a secret that can't be guessed. Knows nothing of requests.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rag.errors import InputError
from ui.database import Database
from ui.people import People, Person

__all__ = ["PREFIX", "Key", "Keys"]

PREFIX = "fn_"  # so that a scanner of secrets, and a person, can tell what it is
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DAY_S = 86_400
_NOTED = 60  # seconds: last use is written down this often at most
_LONGEST = 200  # characters of what may be a key

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    hash BLOB PRIMARY KEY,         -- SHA-256 of the key
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    user TEXT NOT NULL COLLATE NOCASE,
    made REAL NOT NULL,            -- seconds since 1970
    ends REAL,                     -- NULL: never
    used REAL                      -- NULL: not yet
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Key:
    """All that is known of a key. Times are ISO 8601, UTC; "" for never."""

    name: str
    user: str
    made: str
    ends: str
    used: str


class Keys:
    """Everybody's keys. A key has its user's rights as they are at the time; it goes with the user."""

    def __init__(
        self, database: Database, people: People, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._people = people
        self._clock = clock
        database.script(_TABLES)

    def add(self, name: str, user: str, days: int | None = None) -> str:
        """Make a key for a user, for so many days or for good. It can't be shown again.

        Raises:
            InputError: the name is unfit or taken, or there is no such user.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"'{name}' can't be a key's name: up to 64 letters a-z, digits, '.', '_', '@' and '-', "
                "a letter or digit first"
            )
        person = self._people.person(user)
        if person is None:
            raise InputError(f"there is no user '{user}': see `footnote users list`")
        key, now = PREFIX + secrets.token_urlsafe(32), self._clock()
        ends = None if days is None else now + days * _DAY_S
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM keys WHERE name = ?", (name,)).fetchone():
                raise InputError(f"there is a key '{name}' already: choose another name")
            connection.execute(
                "INSERT INTO keys (hash, name, user, made, ends) VALUES (?, ?, ?, ?, ?)",
                (_digest(key), name, person.name, now, ends),
            )
        return key

    def all(self) -> list[Key]:
        """Every key, ordered by name."""
        rows = self._database.rows("SELECT * FROM keys ORDER BY name")
        return [
            Key(
                row["name"], row["user"], _time(row["made"]), _time(row["ends"]), _time(row["used"])
            )
            for row in rows
        ]

    def remove(self, name: str) -> None:
        """Remove a key; it opens nothing from now on.

        Raises:
            InputError: there is no such key.
        """
        if not self._database.run("DELETE FROM keys WHERE name = ?", (name,)):
            raise InputError(f"there is no key '{name}': see `footnote keys list`")

    def remove_all(self, user: str) -> int:
        """Remove every key of a user; how many."""
        return self._database.run("DELETE FROM keys WHERE user = ?", (user,))

    def person(self, key: str) -> Person | None:
        """Whose live key this is; None where there is none. Notes that it was used.

        The keys of a user who is gone are removed: another of that name must not have them.
        """
        if len(key) > _LONGEST:
            return None
        found = self._database.rows("SELECT * FROM keys WHERE hash = ?", (_digest(key),))
        if not found:
            return None
        row, now = found[0], self._clock()
        if row["ends"] is not None and now >= row["ends"]:
            return None
        person = self._people.person(row["user"])
        if person is None:
            self.remove_all(row["user"])
        elif now >= (row["used"] or 0) + _NOTED:
            self._database.run("UPDATE keys SET used = ? WHERE hash = ?", (now, row["hash"]))
        return person


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
