"""Who did what and when. What was asked in so many words is kept only where that was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from rag.utf8 import storable
from ui.database import Database
from ui.history import days_ago, utc_now

__all__ = ["ACTIONS", "ERASED", "Action", "Audit", "Entry"]

Action = Literal[
    "login",
    "logout",
    "login failed",
    "ask",
    "search",
    "upload",
    "delete",
    "export",
    "open",
    "share",
    "create",
    "remove",
    "reindex",
    "feedback",
    "erase",
]
ACTIONS: tuple[str, ...] = get_args(Action)
ERASED = "erased"  # stands for every name that was to be forgotten

_SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, user TEXT NOT NULL, action TEXT NOT NULL,
    object TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_at ON audit (at);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done. `at` is ISO 8601, UTC; `detail` is "" unless texts are kept."""

    at: str
    user: str
    action: str
    object: str
    detail: str


class Audit:
    """The log. `with_text`: whether details, such as the words of a question, are stored."""

    def __init__(self, database: Database, with_text: bool) -> None:
        self._database = database
        self._with_text = with_text
        database.script(_SCHEMA)

    def note(self, user: str, action: Action, object: str = "", detail: str = "") -> None:
        """Store that `user` did `action` to `object` now."""
        if action not in ACTIONS:
            raise ValueError(f"action {action!r} is none of {', '.join(ACTIONS)}")
        self._database.run(
            "INSERT INTO audit (at, user, action, object, detail) VALUES (?, ?, ?, ?, ?)",
            (
                utc_now(),
                storable(user),
                action,
                storable(object),
                storable(detail) * self._with_text,
            ),
        )

    def entries(
        self, user: str | None = None, since: str | None = None, limit: int = 1000
    ) -> list[Entry]:
        """The latest entries, newest first; of one user, and from `since` (ISO 8601, UTC) on."""
        rows = self._database.rows(
            "SELECT at, user, action, object, detail FROM audit "
            "WHERE (:user IS NULL OR user = :user) AND at >= :since ORDER BY id DESC LIMIT :limit",
            {"user": user, "since": since or "", "limit": max(0, limit)},
        )
        return [Entry(*row) for row in rows]

    def forget_user(self, user: str) -> int:
        """Keep what was done but not by whom, nor in what words; how many entries were changed."""
        with self._database.transaction():
            mine = self._database.run(
                "UPDATE audit SET user = ?, detail = '' WHERE user = ?", (ERASED, user)
            )
            # What others did to this person, such as making an account.
            self._database.run("UPDATE audit SET object = ? WHERE object = ?", (ERASED, user))
        return mine

    def forget_older(self, days: int) -> int:
        """Remove entries older than `days` days; how many."""
        return self._database.run("DELETE FROM audit WHERE at < ?", (days_ago(days),))
