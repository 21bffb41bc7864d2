"""The part of a text around some highlights, cut into plain and highlighted pieces. Pure.

Offsets count code points of the whole text, half open. Knows nothing of HTML.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Excerpt", "Highlight", "excerpts"]

_AROUND = 320  # code points shown before and after a highlight
_SLACK = 80  # how far a cut may move to reach a paragraph's or a word's edge


@dataclass(frozen=True, slots=True)
class Highlight:
    """Characters `start..end` of a text, under a label."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`text` is characters `start..end` of a whole; the highlights lie within it."""

    text: str
    start: int
    end: int
    highlights: tuple[Highlight, ...]

    def pieces(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """(text, labels of the highlights over it), in order; together they are `text`.

        Highlights may overlap or nest: the text is cut at each edge.
        """
        edges = {self.start, self.end}
        edges |= {edge for one in self.highlights for edge in (one.start, one.end)}
        for left, right in itertools.pairwise(sorted(edges)):
            over = tuple(
                one.label for one in self.highlights if one.start <= left and right <= one.end
            )
            yield self.text[left - self.start : right - self.start], over


def excerpts(text: str, highlights: Iterable[Highlight], around: int = _AROUND) -> list[Excerpt]:
    """The text around each highlight, in order; those that would overlap or touch become one."""
    ordered = sorted(highlights, key=lambda one: (one.start, one.end))
    windows: list[tuple[int, int, list[Highlight]]] = []
    for one in ordered:
        start, end = _left(text, one.start, around), _right(text, one.end, around)
        if windows and start <= windows[-1][1]:
            opened, closed, held = windows[-1]
            windows[-1] = (opened, max(closed, end), [*held, one])
        else:
            windows.append((start, end, [one]))
    return [Excerpt(text[start:end], start, end, tuple(held)) for start, end, held in windows]


def _left(text: str, at: int, around: int) -> int:
    """Where to begin: `around` before `at`, moved left or right a little to a clean edge."""
    rough = at - around
    if rough <= _SLACK:
        return 0
    window = text[rough - _SLACK : rough + _SLACK]
    for edge in ("\n\n", "\n", ". ", " "):
        found = window.rfind(edge)
        if found >= 0:
            return min(at, rough - _SLACK + found + len(edge))
    return rough


def _right(text: str, at: int, around: int) -> int:
    rough = at + around
    if rough + _SLACK >= len(text):
        return len(text)
    window = text[rough - _SLACK : rough + _SLACK]
    for edge in ("\n\n", "\n", ". ", " "):
        found = window.find(edge)
        if found >= 0:
            return max(at, rough - _SLACK + found + (1 if edge == ". " else 0))
    return rough
