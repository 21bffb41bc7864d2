"""Answers already given, by a key over everything that decides them. One SQLite file.

Knows neither questions nor engines; values are JSON.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from rag.errors import CollectionError

__all__ = ["Cache"]


class Cache:
    """A mapping on disk that survives being killed. `Cache(None)` holds nothing."""

    def __init__(self, path: Path | None) -> None:
        self._database: sqlite3.Connection | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
            )
        except (sqlite3.Error, OSError) as error:
            raise CollectionError(
                f"{path}: the answer cache can't be used ({error}); delete it or use --no-cache"
            ) from None

    def get(self, key: str) -> Any | None:
        """The value under `key`, or None."""
        if self._database is None:
            return None
        row = self._database.execute("SELECT value FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, key: str, value: Any) -> None:
        """Keep `value`; an older one under the key is replaced."""
        if self._database is not None:
            text = json.dumps(value, ensure_ascii=False)
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, text))

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
