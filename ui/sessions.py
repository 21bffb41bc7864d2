"""Login sessions and the brake on guessing passwords. Knows nothing of requests or pages.

A session is a random token that only its browser has; the database holds the token's SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable

from rag.errors import InputError
from ui.database import Database
from ui.people import People, is_name

__all__ = ["COOKIE", "LONGEST", "Sessions", "Throttle"]

COOKIE = "footnote"
LONGEST = 7 * 24 * 3600  # seconds that a session lasts at most
_IDLE = 12 * 3600  # seconds without a request that end one
_NOTED = 60  # seconds: last use is written down this often at most

_TABLES = """
CREATE TABLE IF NOT EXISTS sessions (
    token BLOB PRIMARY KEY,        -- SHA-256 of what the cookie holds
    name TEXT NOT NULL COLLATE NOCASE,
    fingerprint TEXT NOT NULL,     -- People.fingerprint when the session began
    began REAL NOT NULL,           -- seconds since 1970
    seen REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_name ON sessions (name)
"""


class Sessions:
    """Who is logged in. Ends by itself after 12 hours idle, 7 days, or when the account changes."""

    def __init__(
        self, database: Database, people: People, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._people = people
        self._clock = clock
        database.script(_TABLES)

    def begin(self, name: str) -> str:
        """A new session's token: 256 random bits in URL-safe characters.

        Raises:
            InputError: there is no such account (any more).
        """
        fingerprint = self._people.fingerprint(name)
        if fingerprint is None:
            raise InputError(f"there is no user '{name}'")
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE began <= ? OR seen <= ?", (now - LONGEST, now - _IDLE)
            )
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (_digest(token), name, fingerprint, now, now),
            )
        return token

    def name_of(self, token: str) -> str | None:
        """Whose live session this is; None where there is none. Notes that it was used."""
        found = self._database.rows("SELECT * FROM sessions WHERE token = ?", (_digest(token),))
        if not found:
            return None
        row, now = found[0], self._clock()
        fingerprint = self._people.fingerprint(row["name"]) or ""
        if (
            now >= row["began"] + LONGEST
            or now >= row["seen"] + _IDLE
            or not hmac.compare_digest(fingerprint, row["fingerprint"])
        ):
            self.end(token)
            return None
        if now >= row["seen"] + _NOTED:
            self._database.run(
                "UPDATE sessions SET seen = ? WHERE token = ?", (now, _digest(token))
            )
        return str(row["name"])

    def end(self, token: str) -> None:
        """End one session, if it is there."""
        self._database.run("DELETE FROM sessions WHERE token = ?", (_digest(token),))

    def end_all(self, name: str) -> None:
        """End every session of a person."""
        self._database.run("DELETE FROM sessions WHERE name = ?", (name,))


class Throttle:
    """Slows down guessing: so many tries in five minutes for a name, and for an address.

    Kept in memory. An IPv6 address counts with its whole /64 network.
    """

    def __init__(
        self,
        *,
        for_name: int = 5,
        for_address: int = 20,
        seconds: float = 300,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {"name": for_name, "address": for_address}
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[tuple[str, str], deque[float]] = {}

    def attempt(self, name: str, address: str) -> float:
        """Count a try, before the password is looked at; 0, or the seconds to wait instead.

        Counting first keeps many tries at the same moment from all getting through.
        """
        now = self._clock()
        with self._lock:
            self._forget(now)
            keys = _keys(name, address)
            waits = [
                self._tries[key][0] + self._seconds - now
                for key in keys
                if len(self._tries.get(key, ())) >= self._limits[key[0]]
            ]
            if waits:
                return max(waits)
            for key in keys:
                self._tries.setdefault(key, deque()).append(now)
        return 0

    def succeeded(self, name: str, address: str) -> None:
        """The last try was right: forget the name's tries, and that one of the address."""
        with self._lock:
            for key in _keys(name, address):
                tries = self._tries.get(key)
                if not tries:
                    continue
                tries.clear() if key[0] == "name" else tries.pop()
                if not tries:
                    del self._tries[key]

    def _forget(self, now: float) -> None:
        for key, tries in list(self._tries.items()):
            while tries and tries[0] <= now - self._seconds:
                tries.popleft()
            if not tries:
                del self._tries[key]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _keys(name: str, address: str) -> list[tuple[str, str]]:
    """What a try counts for. What can't be a name counts for the address alone."""
    try:
        parsed = ipaddress.ip_address(address)
        if parsed.version == 6:
            address = str(ipaddress.ip_network((parsed.packed, 64), strict=False))
    except ValueError:
        pass
    names = [("name", name.lower())] if is_name(name) else []
    return [*names, ("address", address)]
