"""A question's words, looked up in a collection's inverted index and scored (`rag.postgres.words`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from rag.postgres import words
from rag.postgres.words import POSTING, Counts, asked_terms, score, score_texts

__all__ = ["search_words"]

RESCORED = 200  # passages, chosen by rare words, that are scored by frequent ones too

_HOLDING = (
    "SELECT term, sum(passages)::bigint FROM footnote.words WHERE collection = {k} "
    "AND term = ANY(%s) GROUP BY term"
)
# Of a word that has too many postings, the latest.
_POSTINGS = (
    "SELECT term, string_agg(substr(postings, 1, %s), ''::bytea) FROM (SELECT term, postings, "
    "sum(octet_length(postings)) OVER (PARTITION BY term ORDER BY part DESC) AS total "
    "FROM footnote.words WHERE collection = {k} AND term = ANY(%s)) AS part "
    "WHERE total - octet_length(postings) < %s GROUP BY term"
)
_THERE = "SELECT key FROM footnote.chunks WHERE collection = {k} AND key = ANY(%s)"
_TEXTS = (
    "SELECT key, context, text FROM footnote.chunks WHERE collection = {k} AND key = ANY(%s) "
    "ORDER BY key"
)

Rows = Callable[[str, Sequence[Any]], list[Any]]


class _State(Protocol):
    @property
    def chunks(self) -> int: ...
    @property
    def tokens(self) -> int: ...
    @property
    def dead(self) -> int: ...


def search_words(
    question: str, limit: int, within: np.ndarray | None, rows: Rows, state: _State
) -> list[tuple[int, float]]:
    """The best passages for any of the question's content words: (key, score), best first.

    `within`, shape (n,), int64, holds the keys that may be found; None leaves them all in.
    """
    terms = asked_terms(question)
    if not terms or not limit or not state.chunks or (within is not None and not len(within)):
        return []
    counts = Counts(state.chunks, state.tokens, dict(rows(_HOLDING, (terms,))))
    read, frequent = counts.affordable()
    most = POSTING.itemsize * words.MOST
    postings = {
        term: np.frombuffer(packed, POSTING) for term, packed in rows(_POSTINGS, (most, read, most))
    }
    keys, scores = score(postings, counts)
    if within is not None:
        allowed = np.isin(keys, within)
        keys, scores = keys[allowed], scores[allowed]
    wanted = max(limit, RESCORED) if frequent else limit
    if state.dead:
        keys, scores = _there(keys, scores, wanted, rows)
    keys, scores = keys[:wanted], scores[:wanted]
    if frequent and len(keys):
        scores = scores + _also(keys, frequent, counts, rows)
        order = np.lexsort((keys, -scores))
        keys, scores = keys[order], scores[order]
    return [(int(key), float(one)) for key, one in zip(keys[:limit], scores[:limit], strict=True)]


def _there(
    keys: np.ndarray, scores: np.ndarray, wanted: int, rows: Rows
) -> tuple[np.ndarray, np.ndarray]:
    """The best of those that were not removed since."""
    looked_at = 2 * wanted
    while True:
        some = keys[:looked_at]
        found = np.array([key for (key,) in rows(_THERE, (some.tolist(),))], np.int64)
        kept = np.isin(some, found)
        if kept.sum() >= wanted or looked_at >= len(keys):
            return some[kept], scores[:looked_at][kept]
        looked_at *= 4


def _also(keys: np.ndarray, terms: Sequence[str], counts: Counts, rows: Rows) -> np.ndarray:
    """What terms add to the scores of passages that were chosen without them, shape (n,)."""
    found = rows(_TEXTS, (keys.tolist(),))
    added = score_texts([f"{context}\n{text}" for _, context, text in found], terms, counts)
    by_key = {key: one for (key, _, _), one in zip(found, added, strict=True)}
    return np.array([by_key.get(int(key), 0.0) for key in keys])
