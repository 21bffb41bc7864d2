"""Numbers out of measurements: medians with intervals, a fitted line, the roofline. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "WHOLE_TOKENS",
    "Figure",
    "Line",
    "Weights",
    "attainable",
    "fit_line",
    "median",
    "percentile",
    "speed",
]

Figure = dict[str, float]
"""{"n", "value", "low", "high"}: a median and its 95% interval; no interval below five values."""

WHOLE_TOKENS = 64
"""Answers differ in length: what a whole one takes is told for this one."""
_FEWEST = 5
_FEWEST_TOKENS = 8  # of a reply, for its speed to mean something
_RESAMPLES = 2000


def median(values: Sequence[float]) -> Figure:
    """The median, with a percentile bootstrap interval (Efron 1979). Seeded.

    Raises:
        ValueError: there are no values.
    """
    import numpy as np
    from scipy.stats import bootstrap

    if not len(values):
        raise ValueError("no values")
    figure = {"n": len(values), "value": float(np.median(values))}
    if len(values) >= _FEWEST:
        found = bootstrap(
            (np.asarray(values, float),),
            np.median,
            n_resamples=_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        figure |= {"low": float(found.low), "high": float(found.high)}
    return figure


def speed(tokens: int, seconds: float) -> float | None:
    """Tokens a second after the first of `tokens`, which took `seconds` from it; None for a few."""
    return (tokens - 1) / seconds if tokens >= _FEWEST_TOKENS and seconds > 0 else None


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` per cent of the values lie."""
    import numpy as np

    return float(np.percentile(values, share))


@dataclass(frozen=True, slots=True)
class Line:
    """`fixed` + `slope` times x."""

    fixed: float
    slope: float


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """The line through the median of all slopes (Theil 1950, Sen 1968): one slow run bends nothing.

    Raises:
        ValueError: all x are the same.
    """
    from scipy.stats import theilslopes

    if len(set(x)) < 2:
        raise ValueError("a line needs two different x")
    slope, fixed, *_ = theilslopes(y, x)
    return Line(float(fixed), float(slope))


@dataclass(frozen=True, slots=True)
class Weights:
    """What a model multiplies with: `layers` for every token read, `head` for a token written.

    `read_bytes` is what one pass reads of the weights: all but a table that rows are looked up in.
    A multiplication and an addition are two operations.
    """

    layers: int
    head: int
    read_bytes: int

    @property
    def read_flop(self) -> float:
        """Operations for one token of a prompt."""
        return 2.0 * self.layers

    @property
    def write_flop(self) -> float:
        """Operations for one token that is written."""
        return 2.0 * (self.layers + self.head)

    def read_intensity(self, tokens: float) -> float:
        """Operations a byte while a prompt of `tokens` is read in one pass."""
        return self.read_flop * tokens / self.read_bytes

    @property
    def write_intensity(self) -> float:
        """Operations a byte where every pass writes one token."""
        return self.write_flop / self.read_bytes


def attainable(intensity: float, bandwidth_gbs: float, peak_gflops: float) -> float:
    """The roofline (Williams, Waterman and Patterson 2009): GFLOP/s at `intensity` FLOP a byte."""
    return min(peak_gflops, bandwidth_gbs * intensity)
