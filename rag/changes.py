"""Which chunks came and went with each generation, so that a cache can follow without a scan.

The log begins somewhere: with the first write by a version of the program that keeps one, or where
it was last cut. A cache of a generation that it does not reach, or of another database, learns so
and is made anew. Every generation's entry has its edition, which no two databases share; a
generation without an entry was written by a program that keeps no log, so the log begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rag.database import Database

__all__ = ["ChangeLog", "Changes", "count_all", "generation_of"]

_TABLES = (
    "CREATE TABLE IF NOT EXISTS history (generation INTEGER PRIMARY KEY, edition TEXT NOT NULL, "
    "documents INTEGER NOT NULL, chunks INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS changes (generation INTEGER NOT NULL, key INTEGER NOT NULL, "
    "gone INTEGER NOT NULL, PRIMARY KEY (generation, key, gone)) WITHOUT ROWID",
)
_LIVE_CHUNKS = (
    "SELECT ?, c.key, ? FROM documents d JOIN chunks c ON c.document = d.key "
    "WHERE d.live = ? AND d.id = ?"
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Chunk keys, shape (n,), int64, that are there since and that were there and are not."""

    added: np.ndarray
    gone: np.ndarray


class ChangeLog:
    """The log of one database. What writes is part of the transaction that publishes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, generation: int, edition: str) -> tuple[int, int]:
        """Have a log that reaches `generation`; returns how many documents and chunks are live."""
        for statement in _TABLES:
            self._database.run(statement)
        counts = self.counts(edition)
        if counts is None:
            self._database.run("DELETE FROM history")
            self._database.run("DELETE FROM changes")
            counts = count_all(self._database)
            self.end(generation, edition, *counts)
        return counts

    def note(self, generation: int, ids: Iterable[str], gone: bool) -> int:
        """Note the chunks of live documents that go, or of staged ones that come; how many."""
        return self._database.run_many(
            f"INSERT OR IGNORE INTO changes {_LIVE_CHUNKS}",
            [(generation, int(gone), int(gone), one) for one in ids],
        )

    def end(self, generation: int, edition: str, documents: int, chunks: int) -> None:
        """Close the entry of a generation."""
        self._database.run(
            "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)",
            (generation, edition, documents, chunks),
        )

    def cut(self, generation: int) -> None:
        """Forget what led up to `generation`: no cache older than that is followed any more."""
        if self._database.has_table("history"):
            self._database.run("DELETE FROM changes WHERE generation <= ?", (generation,))
            self._database.run("DELETE FROM history WHERE generation < ?", (generation,))

    def counts(self, edition: str) -> tuple[int, int] | None:
        """How many documents and chunks were live with `edition`; None where the log has none."""
        if not self._database.has_table("history"):
            return None
        rows = self._database.rows(
            "SELECT documents, chunks FROM history WHERE generation = ? AND edition = ?",
            (generation_of(edition), edition),
        )
        return rows[0] if rows else None

    def since(self, edition: str, now: str) -> Changes | None:
        """What changed from `edition` to the present one, `now`; None where nobody knows."""
        nothing = np.zeros(0, np.int64)
        if edition == now:
            return Changes(nothing, nothing)
        if self.counts(edition) is None or self.counts(now) is None:
            return None
        first, last = generation_of(edition), generation_of(now)
        [(steps,)] = self._database.rows(
            "SELECT count(*) FROM history WHERE generation > ? AND generation <= ?", (first, last)
        )
        if first > last or steps != last - first:
            return None
        rows = self._database.rows("SELECT key, gone FROM changes WHERE generation > ?", (first,))
        # A key is given once: what came and went in between is no longer there.
        keys = np.array(rows, np.int64).reshape(-1, 2)
        gone = np.unique(keys[keys[:, 1] == 1, 0])
        return Changes(np.setdiff1d(keys[keys[:, 1] == 0, 0], gone), gone)


def count_all(database: Database) -> tuple[int, int]:
    """Count the live documents and chunks one by one."""
    [(documents,)] = database.rows("SELECT count(*) FROM documents WHERE live = 1")
    [(chunks,)] = database.rows(
        "SELECT count(*) FROM documents d JOIN chunks c ON c.document = d.key WHERE d.live = 1"
    )
    return documents, chunks


def generation_of(edition: str) -> int:
    """The number that an edition begins with."""
    return int(edition.partition("-")[0])
