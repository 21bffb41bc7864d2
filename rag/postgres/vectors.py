"""The nearest passages: by pgvector's HNSW in a large collection, by looking at all in a small one.

HNSW chooses a few more passages than are asked for, comparing in float16; those are scored again from
their stored vectors in float32, so every score that is given is exact. Where few passages may be found
they are all scored. Where HNSW gives fewer than there are, every passage is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rag.embed import Vectors
from rag.postgres.store import PostgresStore, halves

__all__ = ["CurrentVectors", "PassageVectors", "half", "nearest_sql"]

# Up to here every passage is compared: 0.4 µs each.
EXACT = 10_000
LOOKED_UP = 2_000  # so few are had by their keys sooner than by any search
SHARE = 0.05  # of all; a graph loses its way where fewer may be found
EF_SEARCH = 100
_BESIDES = 14  # rows fetched besides those wanted: float16 swaps neighbours

_FOUND = (
    "SELECT c.key, halfvec_send(c.vector) FROM footnote.chunks c JOIN footnote.documents d "
    "ON d.key = c.document AND d.collection = {k} AND d.live = 1 WHERE c.collection = {k}"
)


def half(query: Vectors) -> Any:
    """A vector as a statement takes it."""
    from pgvector import HalfVector

    return HalfVector(query.astype("<f2"))


def nearest_sql(size: int, wanted: int, within: bool = False, exact: bool = False) -> str:
    """The statement that finds the nearest of vectors of `size` dimensions, by the graph or not."""
    near = f"c.vector::halfvec({size}) <#> %b::halfvec({size})"
    if exact:
        near = "0 + (c.vector <#> %b)"  # no index has that: every row is looked at
    sql = f"{_FOUND} AND c.key = ANY(%s)" if within else _FOUND
    return f"{sql} ORDER BY {near} LIMIT {wanted}"


class PassageVectors:
    """Search in what the open transaction of a store sees."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store

    def search(
        self, query: Vectors, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """The nearest passages to `query`, shape (d,): (chunk key, cosine), best first.

        `within`, shape (n,), int64, holds the keys that may be found; None leaves them all in.
        """
        state = self._store.state
        count = state.chunks if within is None else len(within)
        if not limit or not count or not state.dimensions:
            return []
        if within is not None and count <= LOOKED_UP:
            return self._scored(
                self._store.rows(f"{_FOUND} AND c.key = ANY(%s)", (within.tolist(),)), query, limit
            )
        rows = []
        if state.graph and count > EXACT and count >= SHARE * state.chunks:
            rows = self._nearest(query, limit, within, exact=False)
        if len(rows) < min(limit, count):
            rows = self._nearest(query, limit, within, exact=True)
        return self._scored(rows, query, limit)

    def search_exactly(
        self, query: Vectors, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """The same by looking at every passage."""
        return self._scored(self._nearest(query, limit, within, exact=True), query, limit)

    def _nearest(
        self, query: Vectors, limit: int, within: np.ndarray | None, exact: bool
    ) -> list[Any]:
        wanted = limit + _BESIDES
        if not exact:
            self._store.rows(
                "SELECT set_config('hnsw.ef_search', %s, true), "
                "set_config('hnsw.iterative_scan', 'relaxed_order', true)",
                (str(min(1000, max(EF_SEARCH, 2 * wanted))),),
            )
        sql = nearest_sql(len(query), wanted, within is not None, exact)
        asked = [half(query)] if within is None else [within.tolist(), half(query)]
        return self._store.rows(sql, asked)

    def _scored(self, rows: list[Any], query: Vectors, limit: int) -> list[tuple[int, float]]:
        """Rows with exact scores, the best first."""
        if not rows:
            return []
        keys = np.array([key for key, _ in rows], np.int64)
        vectors = np.stack([halves(sent) for _, sent in rows]).astype(np.float32)
        scores = vectors @ query
        best = np.lexsort((keys, -scores))[:limit]
        return [(int(keys[at]), float(scores[at])) for at in best]


class CurrentVectors:
    """Stands where an index file is kept up to date: here the database does it."""

    def __init__(self, store: PostgresStore, dimensions: Callable[[], int]) -> None:
        self._store = store

    def find(self) -> PassageVectors:
        """The search over what the open transaction sees."""
        return PassageVectors(self._store)

    get = find

    def renew(self, least: int = EXACT) -> None:
        """Count what the planner goes by; make the graph where more than `least` are live.

        0 makes it at once, over what is staged as well.
        """
        with self._store.transaction():
            self._store.rows("SELECT footnote.tend({k}, %s)", (least,))
