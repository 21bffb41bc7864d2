"""The keyword floor: BM25 over whole documents, with SQLite's FTS5 and nothing tuned."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable

from rag.records import Document

__all__ = ["Keywords"]


class Keywords:
    """A BM25 index in memory. Title and text weigh the same; words are folded by `porter`."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._database = sqlite3.connect(":memory:")
        self._database.execute(
            "CREATE VIRTUAL TABLE pool USING fts5(id UNINDEXED, size UNINDEXED, title, text, "
            "tokenize='porter unicode61')"
        )
        self._database.executemany(
            "INSERT INTO pool VALUES (?, ?, ?, ?)",
            ((d.id, len(d.text), d.title, d.text) for d in documents),
        )

    def search(self, question: str, k: int) -> list[dict[str, object]]:
        """The best `k` documents, whole, as `document`, `start`, `end`, `score`."""
        tokens = dict.fromkeys(re.findall(r"\w+", question.lower()))
        if not tokens:
            return []
        query = " OR ".join(f'"{token}"' for token in tokens)
        found = self._database.execute(
            "SELECT id, size, -rank FROM pool WHERE pool MATCH ? ORDER BY rank, id LIMIT ?",
            (query, k),
        )
        return [
            {"document": name, "start": 0, "end": size, "score": round(score, 6)}
            for name, size, score in found
        ]
