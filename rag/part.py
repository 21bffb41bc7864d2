"""Passage vectors in one FAISS index: exact, a graph or inverted lists, by how many there are.

Rows are never removed from the index: they are marked as gone and left out of every search. What is
found is complete all the same: where the quick way gives fewer rows than there are, every row is
looked at. Scores of anything but an exact part are estimates, good enough to choose which rows to
score exactly. Knows neither files nor SQLite.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from rag.embed import Vectors

__all__ = ["FLAT", "GRAPH", "KINDS", "LISTS", "Part", "kind_for"]

KINDS = FLAT, GRAPH, LISTS = "flat", "graph", "lists"  # in order of size

# Up to here every row is compared, in float16 as the store has it: 0.1 µs a row, 5 ms in all.
FLAT_ROWS = 50_000
# HNSW (Malkov & Yashunin 2018) with 8-bit rows: 0.66 kB a row, 3 to 4 ms a search. Beyond, its
# memory and the time to build it (0.6 ms a row and more) are too much; inverted lists of 1-bit rows
# (RaBitQ, Gao & Long 2024) take 0.07 kB and are scored again from the store.
GRAPH_ROWS = 2_000_000
_TYPES = {FLAT: "SQfp16", GRAPH: "HNSW32_SQ8", LISTS: "IVF{lists},RaBitQ"}
# How many rows are fetched for each that is wanted, and besides: estimates swap neighbours.
_FETCHED = {FLAT: (1, 0), GRAPH: (2, 0), LISTS: (8, 150)}
# Over 1,000,000 generated rows, recall@10: .978 at 128 (1.3 ms), .988 at 256 (2.1 ms), .988 at 512
# (3.6 ms). A graph built with FAISS's 40 had .960 at 256. Not the 8 bits: looking at all of 100,000
# such rows and scoring twenty again found everything.
EF_SEARCH, EF_CONSTRUCTION = 256, 100
PROBED = 1 / 16  # of all lists
_TRAINED = 40  # rows for each list, as FAISS advises
# A graph loses its way where few rows may be found; so many are scanned instead, at 0.1 µs a row.
SCANNED = 20_000


def kind_for(rows: int) -> str:
    """The kind of index for so many rows."""
    return FLAT if rows <= FLAT_ROWS else GRAPH if rows <= GRAPH_ROWS else LISTS


class Part:
    """Rows of one index. `keys`, shape (n,), int64, are theirs; `live` says which are still there."""

    def __init__(self, kind: str, index: Any, keys: np.ndarray, live: np.ndarray) -> None:
        self.kind, self.index, self.keys, self.live = kind, index, keys, live
        ascending = bool(np.all(keys[1:] > keys[:-1]))
        self._order = None if ascending else np.argsort(keys)
        self.count = int(live.sum())
        self._selector = None if self.count == len(keys) else _only(live)

    @classmethod
    def empty(cls, kind: str, sample: np.ndarray, rows: int = 0) -> Part:
        """A part without rows, for about `rows` of them; `sample`, shape (m, d), is like them."""
        import faiss

        faiss.omp_set_num_threads(os.cpu_count() or 1)
        lists = max(1, min(int(2 * math.sqrt(rows)), len(sample) // _TRAINED))
        index: Any = faiss.index_factory(
            sample.shape[1], _TYPES[kind].format(lists=lists), faiss.METRIC_INNER_PRODUCT
        )
        if kind == GRAPH:
            index.hnsw.efConstruction = EF_CONSTRUCTION
        if len(sample):
            index.train(np.ascontiguousarray(sample, np.float32))
        index.is_trained = True  # where it has no rows, there is nothing to learn from
        return cls(kind, index, np.zeros(0, np.int64), np.zeros(0, bool))

    @staticmethod
    def sample_size(kind: str, rows: int) -> int:
        """How many rows `empty` wants to see."""
        return {FLAT: 1, GRAPH: 20_000, LISTS: int(2 * math.sqrt(rows)) * _TRAINED}[kind]

    def extended(self, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> Part:
        """This part, whose index is added to, with blocks of keys and vectors, shape (n, d)."""
        import faiss

        faiss.omp_set_num_threads(os.cpu_count() or 1)
        keys = [self.keys]
        for some, vectors in blocks:
            if len(some):
                self.index.add(np.ascontiguousarray(vectors, np.float32))
                keys.append(some)
        every = np.concatenate(keys)
        added = np.ones(len(every) - len(self.keys), bool)
        return Part(self.kind, self.index, every, np.concatenate([self.live, added]))

    def without(self, keys: np.ndarray) -> Part:
        """The same rows without those of `keys`; keys that it does not hold are no matter."""
        at = self._places(keys)
        if not self.live[at].any():
            return self
        live = self.live.copy()
        live[at] = False
        return Part(self.kind, self.index, self.keys, live)

    def search(
        self, query: Vectors, limit: int, within: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keys and (estimated) scores, best first, of the nearest `limit` rows or a few more.

        `within`, shape (n,), int64, holds the keys that may be found; None leaves all in.
        """
        selector, count = self._selector, self.count
        if within is not None:
            allowed = np.zeros(len(self.keys), bool)
            allowed[self._live_places(within)] = True
            selector, count = _only(allowed), int(allowed.sum())
        times, besides = _FETCHED[self.kind]
        wanted = min(limit * times + besides, count)
        if not limit or not count:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        if self.kind == FLAT or count <= SCANNED:
            at, scores = self._scan(query, wanted, selector)
        else:
            at, scores = self._seek(query, wanted, selector, len(self.keys) / count)
            if len(at) < min(limit, count):
                at, scores = self._scan(query, wanted, selector)
        return self.keys[at], scores

    def holds(self, keys: np.ndarray) -> np.ndarray:
        """Which of `keys` are rows that are still there, shape (n,), bool."""
        held: np.ndarray = np.isin(keys, self.keys[self._live_places(keys)])
        return held

    def _live_places(self, keys: np.ndarray) -> np.ndarray:
        at = self._places(keys)
        live: np.ndarray = at[self.live[at]]
        return live

    def _scan(self, query: Vectors, wanted: int, selector: Any) -> tuple[np.ndarray, np.ndarray]:
        """Look at every row that the selector lets through."""
        import faiss

        if self.kind == LISTS:
            every = _parameters("IVFRaBitQSearchParameters", selector, nprobe=self.index.nlist)
            return _found(self.index, query, wanted, every)
        rows = faiss.downcast_index(self.index.storage) if self.kind == GRAPH else self.index
        return _found(rows, query, wanted, _parameters("SearchParameters", selector))

    def _seek(
        self, query: Vectors, wanted: int, selector: Any, rarity: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Follow the graph, or the nearest lists, the further the rarer a row may be found."""
        if self.kind == LISTS:
            probed = min(self.index.nlist, max(8, int(self.index.nlist * PROBED * rarity)))
            parameters = _parameters("IVFRaBitQSearchParameters", selector, nprobe=probed)
        else:
            effort = int(max(EF_SEARCH, wanted) * rarity)
            parameters = _parameters("SearchParametersHNSW", selector, efSearch=effort)
        return _found(self.index, query, wanted, parameters)

    def _places(self, keys: np.ndarray) -> np.ndarray:
        """Where those of `keys` stand that this part holds."""
        if not len(self.keys):
            return np.zeros(0, np.int64)
        at = np.searchsorted(self.keys, keys, sorter=self._order)
        at = np.minimum(at, len(self.keys) - 1)
        if self._order is not None:
            at = self._order[at]
        held: np.ndarray = at[self.keys[at] == keys]
        return held


def _only(allowed: np.ndarray) -> Any:
    """A selector of the rows where `allowed`, shape (n,), bool, is true."""
    import faiss

    # FAISS's wrapper takes arrays and keeps hold of them, which its type hints do not know.
    selector: Any = faiss.IDSelectorBitmap
    return selector(np.packbits(allowed, bitorder="little"))


def _parameters(kind: str, selector: Any, **fields: int) -> Any:
    """Search parameters of FAISS, by the name of their class."""
    import faiss

    if selector is not None:
        fields["sel"] = selector
    return getattr(faiss, kind)(**fields)


def _found(
    index: Any, query: Vectors, wanted: int, parameters: Any
) -> tuple[np.ndarray, np.ndarray]:
    import faiss

    faiss.omp_set_num_threads(
        1
    )  # one question is one thread's work: others would only be waited for
    scores, at = index.search(query.reshape(1, -1), wanted, params=parameters)
    # FAISS fills up with -1 where it finds fewer.
    whole = at[0] >= 0
    return at[0][whole], scores[0][whole]
