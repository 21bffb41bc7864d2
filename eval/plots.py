"""Figures of a report as SVG text, drawn by matplotlib, with no reference to the outside."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from eval.metrics.confidence import reliability, risk_coverage

__all__ = ["figures", "svg"]

_INK, _ACCENT, _PALE = "#333333", "#1f5fa8", "#c9d8ea"


def figures(
    pairs: Sequence[tuple[float, float]], seconds: Sequence[float], words: Sequence[float]
) -> dict[str, str]:
    """SVG by caption; a figure is left out where there is nothing to draw."""
    found: dict[str, str] = {}
    if len(pairs) > 1:
        found["Risk and coverage"] = _draw(lambda axes: _risk(axes, pairs))
        found["Confidence and rightness"] = _draw(lambda axes: _reliability(axes, pairs))
    if seconds:
        found["Seconds a question"] = _draw(lambda axes: _histogram(axes, seconds, "seconds"))
    if words:
        found["Words an answer"] = _draw(lambda axes: _histogram(axes, words, "words"))
    return found


def _risk(axes: Any, pairs: Sequence[tuple[float, float]]) -> None:
    points = risk_coverage(pairs)
    overall = sum(1 - right for _, right in pairs) / len(pairs)
    axes.plot([x for x, _ in points], [y for _, y in points], color=_ACCENT, marker=".")
    axes.axhline(overall, color=_INK, linewidth=0.8, linestyle=":", label="random order")
    axes.set(xlabel="share answered", ylabel="share wrong", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)


def _reliability(axes: Any, pairs: Sequence[tuple[float, float]]) -> None:
    bins = reliability(pairs)
    axes.bar(
        [(b.low + b.high) / 2 for b in bins],
        [b.right for b in bins],
        width=0.09,
        color=_PALE,
        edgecolor=_ACCENT,
    )
    for b in bins:
        axes.annotate(str(b.n), ((b.low + b.high) / 2, b.right), ha="center", va="bottom", size=7)
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="confidence", ylabel="share right (n above)", xlim=(0, 1), ylim=(0, 1.08))


def _histogram(axes: Any, values: Sequence[float], unit: str) -> None:
    axes.hist(values, bins=min(20, max(3, len(values) // 3)), color=_PALE, edgecolor=_ACCENT)
    middle = sorted(values)[len(values) // 2]
    axes.axvline(middle, color=_INK, linewidth=0.8, linestyle=":", label=f"median {middle:.3g}")
    axes.set(xlabel=unit, ylabel="questions")
    axes.legend(frameon=False)


def _draw(paint: Callable[[Any], None]) -> str:
    text = svg(paint, (4.2, 3))
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # In an HTML page the name spaces are known; without them no address is left in the file.
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    return text.replace("xlink:href", "href")


def svg(paint: Callable[[Any], None], size: tuple[float, float]) -> str:
    """An SVG file's text: what `paint` draws on the axes that it is given, `size` in inches.

    The same drawing gives the same bytes.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "footnote", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        paint(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
