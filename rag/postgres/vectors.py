"""The nearest passages: by pgvector's HNSW in a large collection, by looking at all in a small one.

HNSW chooses a few more passages than are asked for, comparing in float16; those are scored again from
their stored vectors in float32, so every score that is given is exact. Where only some passages may be
found, either those are all looked at, or the graph gives so many that enough of them are among these:
whichever looks at fewer. Where the graph gives too few, every passage is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rag.embed import Vectors
from rag.postgres.form import halves
from rag.postgres.store import PostgresStore

__all__ = ["CurrentVectors", "PassageVectors", "graph_sql", "half"]

# Up to here every passage is compared: 0.5 µs each.
EXACT = 10_000
EF_SEARCH = 120
_BESIDES = 14  # rows fetched besides those wanted: float16 swaps neighbours
_SPARE = 1.3  # times as many are asked of the graph as should do

_LIVE = (
    "FROM footnote.chunks c JOIN footnote.documents d ON d.key = c.document AND d.collection = {k} "
    "AND d.live = 1 WHERE c.collection = {k}"
)
_VECTORS = f"SELECT c.key, halfvec_send(c.vector) {_LIVE} AND c.key = ANY(%s::bigint[])"
_EXACT = f"SELECT c.key {_LIVE}{{within}} ORDER BY 0 + (c.vector <#> %b) LIMIT {{wanted}}"
# The graph's order is kept, and nothing else is tried, whatever the planner knows of the tables.
_GRAPH_ONLY = (
    "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.max_scan_tuples', %s, true), "
    "set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('enable_sort', 'off', true), "
    "set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), "
    "set_config('enable_mergejoin', 'off', true)"
)


def half(query: Vectors) -> Any:
    """A vector as a statement takes it."""
    from pgvector import HalfVector

    return HalfVector(query.astype("<f2"))


def graph_sql(size: int, wanted: int) -> str:
    """The statement that asks the graph of vectors of `size` dimensions."""
    near = f"c.vector::halfvec({size}) <#> %b::halfvec({size})"
    return f"SELECT c.key {_LIVE} ORDER BY {near} LIMIT {wanted}"


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
        wanted = limit + _BESIDES
        asked = wanted if within is None else int(_SPARE * wanted * state.chunks / count)
        if state.graph and count > (EXACT if within is None else asked):
            for _ in range(2):
                keys = self._by_graph(query, asked)
                if within is not None:
                    keys = keys[np.isin(keys, within)]
                if len(keys) >= min(wanted, count):
                    return self._scored(keys[:wanted], query, limit)
                asked *= 4
        return self.search_exactly(query, limit, within)

    def search_exactly(
        self, query: Vectors, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """The same by looking at every passage."""
        wanted = limit + _BESIDES
        if within is not None and len(within) <= wanted:
            return self._scored(within, query, limit)
        asked: list[Any] = [half(query)]
        if within is not None:
            asked.insert(0, _listed(within))
        condition = "" if within is None else " AND c.key = ANY(%s::bigint[])"
        sql = _EXACT.replace("{within}", condition).replace("{wanted}", str(wanted))
        keys = [key for (key,) in self._store.rows(sql, asked)]
        return self._scored(np.array(keys, np.int64), query, limit)

    def _by_graph(self, query: Vectors, wanted: int) -> np.ndarray:
        effort = str(min(1000, max(EF_SEARCH, wanted)))
        self._store.rows(_GRAPH_ONLY, (effort, str(max(20_000, 2 * wanted))))
        rows = self._store.rows(graph_sql(len(query), wanted), (half(query),))
        return np.array([key for (key,) in rows], np.int64)

    def _scored(self, keys: np.ndarray, query: Vectors, limit: int) -> list[tuple[int, float]]:
        """Those of some keys that there are, with exact scores, the best first."""
        rows = self._store.rows(_VECTORS, (_listed(keys),))
        if not rows:
            return []
        found = np.array([key for key, _ in rows], np.int64)
        vectors = np.stack([halves(sent) for _, sent in rows]).astype(np.float32)
        scores = vectors @ query
        best = np.lexsort((found, -scores))[:limit]
        return [(int(found[at]), float(scores[at])) for at in best]


def _listed(keys: np.ndarray) -> str:
    """Keys as an array is written: many are sooner sent so than one by one."""
    return "{" + ",".join(map(str, keys.tolist())) + "}"


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
