"""BM25 (Robertson & Zaragoza 2009) over SQLite's word index or, in a large collection, a cache of it.

Where there are more than `LARGE` passages, a folder beside the database (`rag.wordfile`) is made
before its edition is published, so whoever sees the edition finds it. SQLite's index has the same
rows and answers in small collections, where only some rows may be found, and where there is no
folder: it was lost, or tantivy is not installed.

FTS5 scores every row that has any of the words, about 2 µs each, though only the best few are asked
for. So where a question's words stand in more rows than `ROWS`, the rows are chosen by its rare words
and scored with all of them; rows that have frequent words alone are looked at where they could
matter, those with all of those words first. Whatever is found has its exact BM25 score; in a
collection whose postings fit into `ROWS`, nothing is left out. The result follows from the question
and the generation alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import numpy as np

from rag.changes import ChangeLog
from rag.database import Database
from rag.wordfile import (
    Row,
    WordFile,
    extend_words,
    tidy_words,
    words_at,
    words_available,
)
from rag.words import content_words, words

__all__ = ["WordIndex"]

LARGE = 50_000  # passages: FTS5 takes 10 ms up to here, tantivy 3 ms for a million
ROWS = 6_000  # rows scored for one expression: about 12 ms
COUNTED = 20_000  # a word in more rows than this counts as in this many: about 1 ms a word
_WORDS = 64  # of a question, at most
_BLOCK = 10_000  # rows read at a time
_KEPT = 4096  # counts of words kept for a generation

# An inner limit is taken in order of rowid. "+rowid" keeps FTS5 from running the whole query once
# for every key.
_BEST = (
    "SELECT key, score FROM (SELECT rowid AS key, -bm25(words) AS score FROM words "
    "WHERE words MATCH ? AND (? IS NULL OR +rowid IN (SELECT value FROM json_each(?))) LIMIT ?) "
    "ORDER BY score DESC, key LIMIT ?"
)
_TEXTS = (
    "SELECT rowid, context, text FROM words WHERE rowid IN (SELECT value FROM json_each(?)) "
    "ORDER BY rowid"
)
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"


class WordIndex:
    """Word search in one database, with the counts of words of the last generation asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._folder = database.path.parent if database.path and words_available() else None
        self._edition = ""
        self._counts: dict[str, int] = {}
        self._opened: tuple[str, WordFile | None] = ("", None)

    def prepare(self, before: str, edition: str, log: ChangeLog, chunks: int) -> None:
        """Make the folder of an edition that is about to be published, and tidy up.

        Part of the transaction that publishes: `log` leads from edition `before`, which readers still
        see and whose folder is kept, to what the tables hold now, `chunks` rows.
        """
        if self._folder is None:
            return
        if chunks > LARGE:
            changes = log.since(before, edition) if self._at(before) else None
            if changes is not None:
                rows = self._rows(changes.added)
                extend_words(self._folder, before, edition, rows, changes.gone.tolist())
            else:
                extend_words(self._folder, "", edition, self._rows(None), ())
        tidy_words(self._folder, (before, edition))

    def _rows(self, keys: np.ndarray | None) -> Iterator[Row]:
        """The rows with these keys, ascending, or all of them; few are in memory at a time."""
        if keys is None:
            keys = np.array(
                self._database.rows("SELECT id FROM words_docsize ORDER BY id"), np.int64
            )[:, 0]
        for at in range(0, len(keys), _BLOCK):
            yield from self._database.rows(_TEXTS, (json.dumps(keys[at : at + _BLOCK].tolist()),))

    def _at(self, edition: str) -> WordFile | None:
        """The folder of an edition, looked for once: it is there before the edition is."""
        if self._opened[0] != edition:
            self._opened = (edition, words_at(self._folder, edition) if self._folder else None)
        return self._opened[1]

    def search(
        self, question: str, limit: int, within: np.ndarray | None, edition: str, chunks: int
    ) -> list[tuple[int, float]]:
        """The best rows for any of the question's content words: (key, score), best first.

        `within`, shape (n,), int64, holds the keys that may be found; None leaves them all in.
        `chunks` is how many rows there are at `edition`.
        """
        asked = list(dict.fromkeys(content_words(question) or words(question)))[:_WORDS]
        if not asked or not limit:
            return []
        keys = None if within is None else json.dumps(within.tolist())
        if within is None and chunks > LARGE and (large := self._at(edition)):
            return large.search(asked, limit)
        # Few rows can be scored, or there are few in all: all of them, with all words.
        if chunks <= ROWS or (within is not None and len(within) <= ROWS):
            return self._best(_any(asked), keys, -1, limit)
        counted = sorted(((self._count(one, edition), one) for one in asked), key=lambda o: o[0])
        present = [(count, one) for count, one in counted if count]
        if sum(count for count, _ in present) <= ROWS:
            return self._best(_any(asked), keys, -1, limit)
        found: dict[int, float] = {}
        for expression, repeats, promise in _steps(present, chunks):
            if len(found) >= limit and sorted(found.values())[-limit] >= promise:
                continue
            for key, score in self._best(expression, keys, ROWS, limit):
                found.setdefault(key, score / repeats)
        return sorted(found.items(), key=lambda one: (-one[1], one[0]))[:limit]

    def _best(
        self, expression: str, keys: str | None, rows: int, limit: int
    ) -> list[tuple[int, float]]:
        return self._database.rows(_BEST, (expression, keys, keys, rows, limit))

    def _count(self, word: str, edition: str) -> int:
        """In how many rows a word is, `COUNTED` at most."""
        if edition != self._edition or len(self._counts) > _KEPT:
            self._edition, self._counts = edition, {}
        if word not in self._counts:
            [(count,)] = self._database.rows(_COUNT, (_quoted(word), COUNTED))
            self._counts[word] = count
        return self._counts[word]


def _steps(counted: Sequence[tuple[int, str]], chunks: int) -> Iterator[tuple[str, int, float]]:
    """Expressions to be run in turn: each with how often it names a word, and what it promises.

    The promise is about the best score of a row that no earlier expression looked at: that of a
    passage of mean length with each word once, which is the sum of the words' weights.
    """
    total = 0
    rare: list[str] = []
    for count, word in counted:
        total += count
        if total > ROWS:
            break
        rare.append(word)
    frequent = [word for _, word in counted[len(rare) :]]
    weights = [_weight(count, chunks) for count, _ in counted[len(rare) :]]
    if rare:
        # A phrase's score is added as often as the phrase is named: each is named twice.
        others = "".join(f" OR {_quoted(word)} OR {_quoted(word)}" for word in frequent)
        yield f"({_any(rare)}) AND ({_any(rare)}{others})", 2, math.inf
    if len(frequent) > 1:
        yield " AND ".join(map(_quoted, frequent)), 1, sum(weights)
    if len(frequent) > 2:
        first, *rest = frequent
        yield f"{_quoted(first)} AND ({_any(rest)})", 1, sum(weights) - min(weights)
    yield _any(frequent), 1, weights[0]


def _weight(count: int, chunks: int) -> float:
    """A word's inverse document frequency, as FTS5 computes it."""
    return max(1e-6, math.log((chunks - count + 0.5) / (count + 0.5)))


def _any(asked: Sequence[str]) -> str:
    return " OR ".join(map(_quoted, asked))


def _quoted(word: str) -> str:
    """A word of which no character is an operator."""
    return '"' + word.replace('"', '""') + '"'
