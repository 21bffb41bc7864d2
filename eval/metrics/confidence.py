"""Does the confidence say how often an answer is right? Pure: pairs (confidence, right) in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Bin", "area", "calibration_error", "equal_mass_error", "reliability", "risk_coverage"]

Pairs = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram: `low <= confidence < high` (the last includes 1)."""

    low: float
    high: float
    n: int
    confidence: float
    right: float


def reliability(pairs: Pairs, bins: int = 10) -> list[Bin]:
    """Bins of equal width that hold at least one pair."""
    held: dict[int, list[tuple[float, float]]] = {}
    for confidence, right in pairs:
        held.setdefault(min(int(confidence * bins), bins - 1), []).append((confidence, right))
    return [
        Bin(
            at / bins,
            (at + 1) / bins,
            len(pair),
            sum(c for c, _ in pair) / len(pair),
            sum(r for _, r in pair) / len(pair),
        )
        for at, pair in sorted(held.items())
    ]


def calibration_error(pairs: Pairs, bins: int = 10) -> float:
    """Expected calibration error: |confidence - right| over the bins, weighted by size."""
    found = reliability(pairs, bins)
    return sum(b.n * abs(b.confidence - b.right) for b in found) / len(pairs)


def equal_mass_error(pairs: Pairs, bins: int = 10) -> float:
    """Calibration error over bins that hold equally many pairs (sizes differ by one at most)."""
    ordered = sorted(pairs)
    size = len(ordered)
    cuts = [round(at * size / bins) for at in range(bins + 1)]
    held = [ordered[low:high] for low, high in zip(cuts, cuts[1:], strict=False) if high > low]
    return sum(abs(sum(c - r for c, r in part)) for part in held) / size


def risk_coverage(pairs: Pairs) -> list[tuple[float, float]]:
    """(coverage, risk) as the threshold falls: the wrong share of the most confident answers.

    Answers of equal confidence come in together, so the order of ties changes nothing.
    """
    points: list[tuple[float, float]] = []
    taken = wrong = 0.0
    ordered = sorted(pairs, key=lambda pair: -pair[0])
    for at, (confidence, right) in enumerate(ordered):
        taken += 1
        wrong += 1 - right
        if at + 1 == len(ordered) or ordered[at + 1][0] != confidence:
            points.append((taken / len(ordered), wrong / taken))
    return points


def area(pairs: Pairs) -> float:
    """Area under the risk-coverage curve: the mean risk over coverages 1/n, 2/n, … 1.

    Inside a tie each coverage has the risk of the tie's end. 0 is perfect.
    """
    total = at = 0.0
    for coverage, risk in risk_coverage(pairs):
        total += (coverage - at) * risk
        at = coverage
    return total
