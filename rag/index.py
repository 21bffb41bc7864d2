"""Nearest passages by inner product: a large base that stays, and a small part that grows.

What is new since the base was made is held in an exact part beside it, what is gone is marked in
both. So a change costs what it changes, whatever the size of the base. Rows of a base that is not
exact are scored again with the vectors that the store has: every score that is given is exact.
Knows neither files nor SQLite; what it holds follows from the store alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from rag.embed import Vectors
from rag.part import FLAT, KINDS, Part, kind_for

__all__ = ["Block", "VectorIndex"]

Block = tuple[np.ndarray, np.ndarray]
"""Keys, shape (n,), int64, and their vectors, shape (n, d)."""

# A base is due when so many rows came or went since it was made, looked at in 2 ms; or a tenth of a
# smaller one's, but not for every other document.
PENDING_ROWS, PENDING_SHARE, FEW = 20_000, 0.1, 1_000
# Rows that are gone stay in the base, in the way of every search, until they are so many of it.
GONE_SHARE = 0.2
# So few rows are had from the store sooner than by marking them in a large base: 3 µs each.
LOOKED_UP = 500


class VectorIndex:
    """Search over the passages of one edition; keys are the store's chunk keys."""

    def __init__(
        self,
        base: Part,
        delta: Part,
        edition: str,
        made: tuple[str, int],
        exact: Callable[[np.ndarray], Block],
    ) -> None:
        """`made`: the base's edition, and how many rows it had that were not gone.

        `exact` gives those of some keys that there are, ascending, and their vectors.
        """
        self.base, self.delta, self.edition = base, delta, edition
        self._made, self._exact = made, exact

    @classmethod
    def over(cls, base: Part, edition: str, exact: Callable[[np.ndarray], Block]) -> VectorIndex:
        """An index of a base alone."""
        delta = Part.empty(FLAT, np.zeros((0, base.index.d)))
        return cls(base, delta, edition, (edition, base.count), exact)

    def moved_on(self, edition: str, added: Iterable[Block], gone: np.ndarray) -> VectorIndex:
        """The index of a later edition, which differs by these rows. This one is used up."""
        base, delta = self.base.without(gone), self.delta.extended(added).without(gone)
        return VectorIndex(base, delta, edition, self._made, self._exact)

    @property
    def base_edition(self) -> str:
        """The edition that the base was made of."""
        return self._made[0]

    @property
    def count(self) -> int:
        """How many passages there are."""
        return self.base.count + self.delta.count

    @property
    def due(self) -> bool:
        """Whether it is time for another base."""
        pending = len(self.delta.keys) + self._made[1] - self.base.count
        share = min(PENDING_ROWS, int(PENDING_SHARE * len(self.base.keys)))
        return self.outgrown or pending > max(FEW, share)

    @property
    def outgrown(self) -> bool:
        """Whether the next base has to be of another kind, or freed of rows that are gone."""
        gone = len(self.base.keys) - self.base.count
        return KINDS.index(kind_for(self.count)) > KINDS.index(self.base.kind) or gone > max(
            FEW, GONE_SHARE * len(self.base.keys)
        )

    def search(
        self, query: Vectors, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """The nearest passages to `query`, shape (d,): (chunk key, cosine), best first.

        `within`, shape (n,), int64, holds the keys that may be found; None leaves them all in.
        """
        if within is not None and len(within) <= LOOKED_UP:
            keys, scores = self._scored(within[self._held(within)], query)
        else:
            keys, scores = self.base.search(query, limit, within)
            if self.base.kind != FLAT:
                keys, scores = self._scored(keys, query)
            more, theirs = self.delta.search(query, limit, within)
            keys, scores = np.concatenate([keys, more]), np.concatenate([scores, theirs])
        best = np.lexsort((keys, -scores))[:limit]
        return [(int(keys[at]), float(scores[at])) for at in best]

    def _scored(self, keys: np.ndarray, query: Vectors) -> tuple[np.ndarray, np.ndarray]:
        """Keys and exact scores."""
        found, vectors = self._exact(keys)
        return found, vectors.astype(np.float32).reshape(len(found), len(query)) @ query

    def _held(self, keys: np.ndarray) -> np.ndarray:
        """Which of `keys` are passages of this edition, shape (n,), bool."""
        held: np.ndarray = self.base.holds(keys) | self.delta.holds(keys)
        return held
