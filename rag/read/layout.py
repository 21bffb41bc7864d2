"""The lines of a page as text: what belongs together, what is apart, and what is a heading.

Pure geometry and words: lines with their places and sizes come in, text with the source index of
every character comes out. Knows nothing of files or of pdfium.
"""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from rag.read.draft import normalise, one_line
from rag.records import Mark

__all__ = ["Face", "Line", "PageText", "compose", "find_headings"]

_BULLET = re.compile(r"[•●▪■◦‣–—*-]\s|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)]\s")
_CONJUNCTIONS = frozenset("and or to und oder bis et ou y o e і та й або".split())
_NO_LETTERS = re.compile(r"[\W\d_]*")


@dataclass(slots=True)
class Line:
    """Words on one height: their characters, indices in the text page, and extent in points."""

    chars: list[str] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    left: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    top: float = 0.0
    gap: float = 0.0  # the widest blank between two characters
    word: float = 0.0  # the width of the first word
    bold: bool = False  # the first letter is
    hyphen: bool = False  # a hyphen at the end was a line break

    @property
    def height(self) -> float:
        return self.top - self.bottom


class Face(NamedTuple):
    """How a line of the text is set: where it begins, its length, its height in half points."""

    offset: int
    length: int
    size: int
    bold: bool
    alone: bool  # it has no wide gaps: it is not a row of a table


@dataclass(slots=True)
class PageText:
    """A page's text; `index[i]` is the pdfium index of `text[i]`, or -1.

    `faces` say where its lines stand and how they are set.
    """

    text: str
    index: list[int]
    faces: list[Face] = field(default_factory=list)


def compose(lines: list[Line]) -> PageText:
    """The lines of a page as text: joined where a paragraph wraps, apart where one ends."""
    if not lines:
        return PageText("", [])
    pitch = _pitch(lines)
    gaps = [_between(a, b, pitch) for a, b in zip(lines, lines[1:], strict=False)]
    _join_wrapped(lines, gaps)
    _join_stacked_cells(lines, gaps)
    text: list[str] = []
    index: list[int] = []
    faces = []
    whole = {word for line in lines for word in "".join(line.chars).split()}
    for number, line in enumerate(lines):
        alone = line.gap < 1.5 * line.height
        size = round(2 * line.height)
        faces.append(Face(len(text), len(line.chars), size, line.bold, alone))
        text += line.chars
        index += line.index
        if number == len(gaps):
            break
        if gaps[number] != "\n\n" and (joint := _joint(line, lines[number + 1], whole)) is not None:
            if not joint:
                text.pop()
                index.pop()
            gaps[number] = joint[1:]
        text += gaps[number]
        index += [-1] * len(gaps[number])
    page = PageText("".join(text), index, faces)
    return page if normalise(page.text) == page.text else _recomposed(page.text, index)


def _recomposed(text: str, index: list[int]) -> PageText:
    """The page with its text in NFC, the index following; its faces are given up."""
    pieces: list[str] = []
    places: list[int] = []
    starts = [i for i, char in enumerate(text) if not unicodedata.combining(char)] or [0]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        piece = normalise(text[start:end])
        pieces.append(piece)
        places += [index[start]] * len(piece)
    joined = "".join(pieces)
    if normalise(joined) != joined:  # letters that compose without marks (Hangul): lose the places
        joined = normalise(joined)
        places = [-1] * len(joined)
    return PageText(joined, places)


def _pitch(lines: list[Line]) -> float:
    """The usual distance from one line to the next, in heights of a line."""
    steps = [
        (a.bottom - b.bottom) / a.height
        for a, b in zip(lines, lines[1:], strict=False)
        if a.height > 0 and 0.5 < (a.bottom - b.bottom) / a.height < 3
    ]
    return statistics.median_low(steps) if steps else 1.2


def _between(a: Line, b: Line, pitch: float) -> str:
    """An empty line where `b` begins a paragraph: further down than usual, or in another size."""
    height = max(a.height, 1.0)
    step = (a.bottom - b.bottom) / height
    if 0 < step < 2.5 and min(a.gap, b.gap) > 1.5 * height:
        return "\n"  # rows of one table, however far apart
    resized = abs(a.height - b.height) > 0.12 * max(a.height, b.height)
    return "\n\n" if step < 0 or step > 1.25 * pitch or resized else "\n"


def _join_wrapped(lines: list[Line], gaps: list[str]) -> None:
    """Turn the line ends inside paragraphs into blanks.

    A line was wrapped if the next line's first word did not fit behind it, within the right edge
    of the lines that begin below one another. Lines with wide gaps are rows of a table, and stay.
    """
    edges: dict[int, float] = {}
    for line in lines:
        edges[round(line.left)] = max(edges.get(round(line.left), 0.0), line.right)
    for i, gap in enumerate(gaps):
        a, b = lines[i], lines[i + 1]
        height = max(a.height, 1.0)
        edge = max(edges[round(a.left)], edges[round(b.left)])
        full = a.right + b.word + 0.2 * height > edge and abs(a.left - b.left) < 2.5 * height
        table = max(a.gap, b.gap) > 1.5 * height
        item = _BULLET.match("".join(b.chars[:8]))
        if gap == "\n" and full and not table and not item:
            gaps[i] = " "


def _join_stacked_cells(lines: list[Line], gaps: list[str]) -> None:
    """Turn line ends into blanks in rows whose cells, of several lines each, are drawn one by one.

    After "July 1," and below it "2023" the drawing goes up again, to the right, for "June 25,".
    """
    for i in range(1, len(lines)):
        above, b = lines[i - 1], lines[i]
        height = max(b.height, 1.0)
        if not 0.5 * height < b.bottom - above.bottom < 6 * height:
            continue
        first = i  # the row begins at the first line back that is not above this one
        while first > 0 and i - first < 24 and lines[first - 1].top <= b.top + 0.5 * height:
            first -= 1
        row = lines[first:i]
        if not row or row[-1].right > b.left + height:
            continue
        floor = min(line.bottom for line in row) - 0.5 * height
        end = i + 1
        while end < len(lines) and lines[end].bottom >= floor and lines[end].left >= above.right:
            end += 1
        gaps[first : end - 1] = [" "] * (end - 1 - first)
        if end < len(lines) and gaps[end - 1] == " ":
            gaps[end - 1] = "\n"


def _joint(a: Line, b: Line, words: set[str]) -> str | None:
    """What stands between two lines where the first ends in a hyphen; None where it does not.

    Nothing within a word ("secu-", "rity"); "-" within a compound, known by its second part's
    capital or because the page has it elsewhere; "- " before a conjunction ("short-", "and long").
    """
    before, after = "".join(a.chars).split()[-1], "".join(b.chars).split()[0]
    if not before.endswith("-") or not before[-2:-1].isalpha():
        return None
    if not after[0].islower():
        return "-" if after[0].isalpha() and a.hyphen else None
    if after in _CONJUNCTIONS:
        return "- "
    return "-" if before + after in words and before[:-1] + after not in words else ""


def find_headings(text: str, faces: list[Face]) -> list[Mark]:
    """Paragraphs of one short line that are set larger than most of the text, or in bold.

    The largest size makes level 1, the next level 2, and so on; bold text comes last.
    """
    counts: Counter[int] = Counter()
    bold = 0
    for face in faces:
        counts[face.size] += face.length
        bold += face.length * face.bold
    body = max(counts, key=lambda size: (counts[size], -size), default=0)
    telling = bold * 3 < counts.total()  # where much is bold, it says nothing
    found = []
    for face in faces:
        large = face.size >= 1.15 * body
        begins = face.offset == 0 or text[face.offset - 1] == "\n"
        if not (begins and face.alone and (large or (face.bold and telling and face.size >= body))):
            continue
        end = text.find("\n", face.offset)
        words = one_line(text[face.offset : end if end >= 0 else len(text)])
        if 3 <= len(words) <= 120 and not _NO_LETTERS.fullmatch(words):
            found.append((face.offset, face.size if large else body, words))
    levels = {size: n for n, size in enumerate(sorted({f[1] for f in found}, reverse=True), 1)}
    return [Mark(offset, "heading", min(levels[size], 6), words) for offset, size, words in found]
