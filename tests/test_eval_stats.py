"""Intervals and tests: against known values, and by how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from eval.stats import mcnemar, mean_of_clusters, pooled_of_clusters


def test_mean_and_error_of_independent_values() -> None:
    values = [0.0, 1.0] * 200
    found = mean_of_clusters(values, [str(n) for n in range(400)])
    # standard error of a proportion of .5 over 400: .5 / 20 = .025; interval .5 +- 1.96 * .025
    assert (found.n, found.clusters, found.value) == (400, 400, 0.5)
    assert found.error == pytest.approx(0.025, rel=0.06)
    assert found.low == pytest.approx(0.451, abs=0.006)
    assert found.high == pytest.approx(0.549, abs=0.006)


def test_repeating_each_value_in_its_cluster_does_not_narrow_the_interval() -> None:
    once = mean_of_clusters([0.0, 1.0] * 50, [str(n) for n in range(100)])
    values = [v for v in [0.0, 1.0] * 50 for _ in range(5)]
    clusters = [str(n) for n in range(100) for _ in range(5)]
    assert mean_of_clusters(values, clusters).error == pytest.approx(once.error)
    # taken for independent, 500 values would seem to be sqrt(5) times as sure
    naive = mean_of_clusters(values, [str(n) for n in range(500)])
    assert naive.error < once.error / 2


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for trial in range(200):
        chance = rng.beta(2, 2, 60)  # each cluster has its own difficulty; the mean is .5
        values = [float(v) for p in chance for v in rng.random(5) < p]
        clusters = [str(c) for c in range(60) for _ in range(5)]
        found = mean_of_clusters(values, clusters, seed=trial)
        held += found.low <= 0.5 <= found.high
    assert 0.90 <= held / 200 <= 0.99


def test_all_alike_is_not_certain() -> None:
    found = mean_of_clusters([1.0] * 10, [str(n) for n in range(10)], proportion=True)
    # Wilson for 10 of 10: low end n / (n + z^2) = 10 / 13.8415
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6)
    assert mean_of_clusters([0.0] * 4, list("abcd")).high == 0  # a difference of nothing


def test_the_same_numbers_give_the_same_interval() -> None:
    values, clusters = [0.1, 0.9, 0.4, 0.7], list("aabc")
    assert mean_of_clusters(values, clusters) == mean_of_clusters(values, clusters)
    with pytest.raises(ValueError, match="no values"):
        mean_of_clusters([], [])


def test_a_pooled_mean_agrees_with_the_plain_one() -> None:
    rng = np.random.default_rng(2)
    values = [float(v) for v in rng.random(200)]
    clusters = [str(n // 4) for n in range(200)]
    plain = mean_of_clusters(values, clusters)
    pooled = pooled_of_clusters(values, clusters, lambda v: float(np.mean(v)), resamples=2000)
    assert pooled.value == pytest.approx(plain.value)
    assert pooled.error == pytest.approx(plain.error, rel=0.08)


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 5, 2 / 2**5),  # all five for the worse: both tails of a fair coin
        (1, 9, 2 * 11 / 2**10),  # 2 * (C(10,0) + C(10,1)) / 2^10
    ],
)
def test_mcnemar(better: int, worse: int, p: float) -> None:
    first = [0.0] * better + [1.0] * worse + [1.0, 0.0]
    second = [1.0] * better + [0.0] * worse + [1.0, 0.0]
    assert mcnemar(first, second) == pytest.approx(p)
