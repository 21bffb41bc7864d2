"""Estimates with intervals, for questions that come in clusters. Pure; knows no metric.

Questions about one document are not independent, so whole clusters are resampled (Cameron, Gelbach
and Miller 2008). Everything is seeded: the same numbers give the same interval.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Estimate", "mcnemar", "mean_of_clusters", "pooled_of_clusters"]

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` values in `clusters` clusters, its standard error and 95% interval."""

    n: int
    clusters: int
    value: float
    error: float
    low: float
    high: float


def _positions(clusters: Sequence[str]) -> tuple[Any, int]:
    import numpy as np

    names, positions = np.unique(
        np.asarray(clusters, dtype=object).astype(str), return_inverse=True
    )
    return positions, len(names)


def mean_of_clusters(
    values: Sequence[float], clusters: Sequence[str], *, proportion: bool = False, seed: int = 0
) -> Estimate:
    """The mean of `values`, with a percentile interval from resampling whole clusters.

    A resample's mean is the sum over its clusters divided by the number of its values. With
    `proportion`, values that are all 0 or all 1 get Wilson's interval over the clusters instead of
    one of no width: ten successes out of ten do not prove certainty.
    """
    import numpy as np
    from scipy.stats import binomtest

    if not values:
        raise ValueError("no values")
    array = np.asarray(values, dtype=float)
    positions, count = _positions(clusters)
    mean = float(array.mean())
    if proportion and mean in (0.0, 1.0) and (array == mean).all():
        interval = binomtest(count if mean else 0, count).proportion_ci(LEVEL, method="wilson")
        return Estimate(len(array), count, mean, 0.0, float(interval.low), float(interval.high))
    sums = np.bincount(positions, weights=array, minlength=count)
    sizes = np.bincount(positions, minlength=count)
    drawn = _draws(count, seed)
    means = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    error = float(means.std(ddof=1))
    return Estimate(len(array), count, mean, error, float(low), float(high))


@functools.lru_cache(maxsize=4)
def _draws(count: int, seed: int) -> Any:
    """How often each of `count` clusters is drawn: (RESAMPLES, count), rows sum to `count`."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(float)


def pooled_of_clusters(
    items: Sequence[Any],
    clusters: Sequence[str],
    statistic: Callable[[Sequence[Any]], float],
    *,
    seed: int = 0,
    resamples: int = 400,
) -> Estimate:
    """The same for a statistic that is no mean, such as a calibration error."""
    import numpy as np

    positions, count = _positions(clusters)
    members = [[items[int(i)] for i in np.flatnonzero(positions == c)] for c in range(count)]
    rng = np.random.default_rng(seed)
    found = [
        statistic([item for c in rng.integers(0, count, count) for item in members[c]])
        for _ in range(resamples)
    ]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    error = float(np.std(found, ddof=1))
    return Estimate(len(items), count, statistic(items), error, float(low), float(high))


def mcnemar(first: Sequence[float], second: Sequence[float]) -> float:
    """Exact two-sided McNemar p of paired 0/1 values: are changes as often for better as for worse?

    1 where nothing changed.
    """
    from scipy.stats import binomtest

    better = sum(1 for a, b in zip(first, second, strict=True) if a < b)
    worse = sum(1 for a, b in zip(first, second, strict=True) if a > b)
    if better + worse == 0:
        return 1.0
    p = float(binomtest(better, better + worse).pvalue)
    return 1.0 if math.isnan(p) else p
