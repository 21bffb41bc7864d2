"""Two runs of the same questions, paired: differences with intervals, wins and losses, a gate.

Differences are second minus first. Knows files and statistics; renders nothing.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import stats
from eval.metrics import METRICS, POOLED
from eval.score import PAIR, Scored, holding, load, pairs, slices
from rag.errors import InputError

__all__ = ["Comparison", "Difference", "Gate", "compare", "parse_gate"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric on one slice: both means, the paired difference and its 95% interval.

    `p` is McNemar's for metrics of 0 and 1, else None. `verdict` is `better`, `worse`, `changed`
    (where neither end is good) or `same`: whether the interval leaves out 0.
    """

    metric: str
    slice: str
    n: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float | None
    verdict: str
    wins: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences, and the runs that they are between. `notes` are the caveats."""

    first: Scored
    second: Scored
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    def find(self, metric: str, name: str | None = None) -> Difference:
        """A difference by metric and slice (unless named: all questions that have the metric)."""
        there = {d.slice: d for d in self.differences if d.metric == metric}
        if not there:
            known = ", ".join(dict.fromkeys(d.metric for d in self.differences))
            raise InputError(f"no metric {metric} in this comparison; there are: {known}")
        wanted = name or ("all" if "all" in there else next(iter(there)))
        if wanted not in there:
            raise InputError(f"no slice {wanted} of {metric}; there are: {', '.join(there)}")
        return there[wanted]


def compare(first: Path, second: Path) -> Comparison:
    """Pair two finished runs by question; InputError where they share none."""
    a, b = load(first), load(second)
    at = {sample.id: position for position, sample in enumerate(b.samples)}
    shared = [i for i, sample in enumerate(a.samples) if sample.id in at]
    if not shared:
        raise InputError(f"{first} and {second} have no question in common")
    for i in shared:
        if a.samples[i].question.gold != b.samples[at[a.samples[i].id]].question.gold:
            raise InputError(
                f"question {a.samples[i].id} has another gold in {second}; run one of them again"
            )
    differences = []
    cut = slices([a.samples[i] for i in shared])
    for metric in METRICS:
        seen: set[tuple[int, ...]] = set()
        for name, positions in cut.items():
            ours = holding(metric, name, a.numbers, [shared[p] for p in positions])
            needed = PAIR if metric in POOLED else {metric}
            held = tuple(i for i in ours if b.numbers[at[a.samples[i].id]].keys() >= needed)
            if not held or held in seen or name.startswith("type: "):
                continue
            seen.add(held)
            both = [(i, at[a.samples[i].id]) for i in held]
            differences.append(_difference(metric, name, a, b, both))
    return Comparison(a, b, tuple(differences), tuple(_notes(a, b, len(shared))))


def _difference(
    metric: str, name: str, a: Scored, b: Scored, held: Sequence[tuple[int, int]]
) -> Difference:
    clusters = [a.samples[i].question.cluster or a.samples[i].id for i, _ in held]
    if metric in POOLED:
        return _pooled(metric, name, a, b, held, clusters)
    before = [a.numbers[i][metric] for i, _ in held]
    after = [b.numbers[j][metric] for _, j in held]
    change = [second - first for first, second in zip(before, after, strict=True)]
    estimate = stats.mean_of_clusters(change, clusters)
    binary = set(before) | set(after) <= {0.0, 1.0} and not METRICS[metric].size
    sign = METRICS[metric].better or 1
    ids = [a.samples[i].id for i, _ in held]
    return Difference(
        metric,
        name,
        len(held),
        sum(before) / len(before),
        sum(after) / len(after),
        estimate.value,
        estimate.low,
        estimate.high,
        stats.mcnemar(before, after) if binary else None,
        _verdict(metric, estimate.low, estimate.high),
        tuple(i for i, c in zip(ids, change, strict=True) if c * sign > 0),
        tuple(i for i, c in zip(ids, change, strict=True) if c * sign < 0),
    )


def _pooled(
    metric: str,
    name: str,
    a: Scored,
    b: Scored,
    held: Sequence[tuple[int, int]],
    clusters: Sequence[str],
) -> Difference:
    before = pairs([a.numbers[i] for i, _ in held])
    after = pairs([b.numbers[j] for _, j in held])
    statistic = POOLED[metric]

    def change(items: Sequence[Any]) -> float:
        return statistic([s for _, s in items]) - statistic([f for f, _ in items])

    both = list(zip(before, after, strict=True))
    found = stats.pooled_of_clusters(both, clusters, change)
    verdict = _verdict(metric, found.low, found.high)
    means = statistic(before), statistic(after)
    return Difference(
        metric, name, len(held), *means, found.value, found.low, found.high, None, verdict
    )


def _verdict(metric: str, low: float, high: float) -> str:
    if low <= 0 <= high:
        return "same"
    better = METRICS[metric].better
    if not better:
        return "changed"
    return "better" if (low > 0) == (better > 0) else "worse"


def _notes(a: Scored, b: Scored, shared: int) -> list[str]:
    notes = [
        (
            "Differences are second minus first; intervals are 95%, by bootstrap over clusters of "
            "questions."
        ),
        "With many metrics, one in twenty leaves out 0 by chance.",
    ]
    alone = len(a.samples) + len(b.samples) - 2 * shared
    if alone:
        notes.append(f"{alone} questions are in one of the runs only, and left out.")
    if a.run["hardware"] != b.run["hardware"]:
        notes.append("The runs are from different machines: seconds can't be compared.")
    if a.run["timings"].get("reused") or b.run["timings"].get("reused"):
        notes.append("Some answers were reused from a cache: seconds are of the earlier run.")
    return notes


@dataclass(frozen=True, slots=True)
class Gate:
    """`metric[@slice] < limit`: fails when the interval's lower bound is below the limit.

    With `>` it is the upper bound, for metrics where less is better.
    """

    metric: str
    slice: str | None
    sign: str
    limit: float

    def fails(self, comparison: Comparison) -> bool:
        """Whether the comparison does not pass."""
        difference = comparison.find(self.metric, self.slice)
        test: Callable[[float, float], bool] = operator.lt if self.sign == "<" else operator.gt
        return test(difference.low if self.sign == "<" else difference.high, self.limit)


def parse_gate(text: str) -> Gate:
    """Read `f1 < -0.02` or `refused@answerable > 0.05`; InputError for anything else."""
    found = re.fullmatch(r"\s*([\w@]+?)(?:@([a-z]+))?\s*([<>])\s*([+-]?\d*\.?\d+)\s*", text)
    if found is None:
        raise InputError(
            f'--fail-if {text!r}: write it as "f1 < -0.02" or "refused@answerable > 0.05"'
        )
    metric, name, sign, limit = found.groups()
    if f"{metric}@{name}" in METRICS:
        metric, name = f"{metric}@{name}", None
    if metric not in METRICS:
        raise InputError(f"--fail-if {text!r}: no metric {metric}; there are: {', '.join(METRICS)}")
    return Gate(metric, name, sign, float(limit))
