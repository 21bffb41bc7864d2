"""The part of a text around some highlights, cut into plain and highlighted pieces. Pure.

Offsets count code points of the whole text, half open. Knows nothing of HTML.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

__all__ = ["Block", "Excerpt", "Highlight", "Piece", "excerpts"]

_AROUND = 320  # code points shown before and after a highlight
_SLACK = 80  # how far a cut may move to reach a paragraph's or a word's edge
_WRAPPED = range(50, 121)  # code points of the widest line of a paragraph that was wrapped
_OWN_LINE = re.compile(r"\s*(?:[-*•>|#]|\d{1,3}[.)]\s|[\w-]{1,20}: )")  # a list, a head, a table

Piece = tuple[str, tuple[str, ...]]
"""Text, and the labels of the highlights over it."""


@dataclass(frozen=True, slots=True)
class Highlight:
    """Characters `start..end` of a text, under a label."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """A line as it is set: its pieces, and whether an empty line stands before it."""

    text: str
    pieces: tuple[Piece, ...]
    apart: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`text` is characters `start..end` of a whole; the highlights lie within it."""

    text: str
    start: int
    end: int
    highlights: tuple[Highlight, ...]

    def pieces(self) -> Iterator[Piece]:
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

    def blocks(self, unwrap: bool = False) -> Iterator[Block]:
        """The lines that are not empty, in order; only the line ends between them are left out.

        With `unwrap`, a line end that only kept a line short is a space: where the next line's first
        word would not have fit into the paragraph's widest line.
        """
        whole = replace(self, text=_unwrapped(self.text)) if unwrap else self
        apart = False
        for match in re.finditer(r"[^\n]+", whole.text):
            low, high = match.span()
            apart = apart or "\n\n" in whole.text[max(0, low - 2) : low]
            if not match[0].strip():
                apart = True
                continue
            line = whole.cut(self.start + low, self.start + high)
            yield Block(line.text, tuple(line.pieces()), apart)
            apart = False

    def cut(self, start: int, end: int) -> Excerpt:
        """Characters `start..end` of the whole, as far as they are in here, highlights clipped."""
        start = min(max(start, self.start), self.end)
        end = min(max(end, start), self.end)
        clipped = (
            Highlight(one.label, max(one.start, start), min(one.end, end))
            for one in self.highlights
        )
        kept = tuple(one for one in clipped if one.start < one.end)
        return Excerpt(self.text[start - self.start : end - self.start], start, end, kept)


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


def _unwrapped(text: str) -> str:
    """The same text, as long as before, with a space for each line end that only wraps a line."""
    lines = text.split("\n")
    joints = ["\n"] * len(lines)
    at = 0
    for filled, group in itertools.groupby(lines, key=lambda line: bool(line.strip())):
        size = len(list(group))
        widest = max(len(line) for line in lines[at : at + size])
        for here in range(at, at + size - 1):
            following = lines[here + 1]
            word = following.split(" ", 1)[0]
            if (
                filled
                and widest in _WRAPPED
                and len(lines[here]) + 1 + len(word) > widest
                and not _OWN_LINE.match(following)
            ):
                joints[here] = " "
        at += size
    return "".join(itertools.chain(*zip(lines, joints, strict=True)))[:-1]
