"""Counting the rows of a table or list that a question asks about. Pure.

"How many of the missions started in 2022?" has no sentence that answers it, and a model that counts
guesses. Rows are lines as the readers write them: "Orbital — Run by: United Kingdom; Started: 2015",
"Armour | Poland, Germany" or "- an item". A row counts if it holds the question's names and numbers,
in the column that the question names, where it names one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.words import fold, stem_set

__all__ = ["Row", "count_rows"]

_ROW = re.compile(
    r"(?P<cells>\S.{0,80}? — (?=[^\n]*: ))|(?P<bars>\S[^|\n]{0,80} \| )|(?P<item>[-*•] \S)"
    r"|(?P<number>\d{1,3}[.)] \S)"
)
_TABLE = re.compile(r" — | \| ")
_CELL = re.compile(r"(?:^| — |; )([^:;—]{1,40}): ([^;]*)")
_LEAST_ROWS = 2
_TITLE = 200  # characters at the head of a document


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a document: `text[start:end]`; `head` is what stands first in it."""

    start: int
    end: int
    text: str

    @property
    def head(self) -> str:
        return re.sub(
            r"^(?:[-*•]|\d{1,3}[.)])\s+", "", _TABLE.split(self.text, maxsplit=1)[0]
        ).strip()


def count_rows(question: str, text: str, near: int) -> list[Row]:
    """The rows that `question` counts, of the table or list that begins nearest to offset `near`.

    Empty where there is no such table, or no row of it has all that was asked for.
    """
    block = _block(text, near)
    if len(block) < _LEAST_ROWS:
        return []
    asked = stem_set(question)
    if " | " in block[0].text and stem_set(block[0].head) <= asked:
        block = block[1:]  # the heads of the columns
    # What the document's title says holds for every row: "the September minutes".
    title = text[: min(_TITLE, block[0].start)]
    names = [name for name in _filters(question) if not _holds(title, name)]
    wanted = [name for name in names if any(_holds(row.text, name) for row in block)]
    labels = {label for row in block for label, _ in _CELL.findall(row.text)}
    named = {label for label in labels if stem_set(label) & asked}
    return [row for row in block if all(_fits(row, name, named) for name in wanted)]


def _block(text: str, near: int) -> list[Row]:
    """The run of rows of one kind that holds `near` or stands closest to it.

    A blank line does not end a run.
    """
    blocks: list[list[Row]] = [[]]
    at, kind = 0, ""
    for line in text.split("\n"):
        match = _ROW.match(line)
        if line.strip() and (match.lastgroup if match else "") != kind:
            blocks.append([])
            kind = (match.lastgroup or "") if match else ""
        if match:
            blocks[-1].append(Row(at, at + len(line), line))
        at += len(line) + 1
    found = [block for block in blocks if len(block) >= _LEAST_ROWS]
    return min(found, key=lambda b: max(0, b[0].start - near, near - b[-1].end), default=[])


def _filters(question: str) -> list[str]:
    """Names and numbers of a question, its first word aside."""
    _, _, rest = question.strip().partition(" ")
    return re.findall(r"\b(?:[A-Z][\w-]+|\d[\d.,]*\d|\d)\b", rest)


def _holds(text: str, name: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(fold(name))}(?!\w)", fold(text)))


def _fits(row: Row, name: str, named: set[str]) -> bool:
    """Whether a row holds a name: in a column that the question names, if one of those can."""
    cells = [value for label, value in _CELL.findall(row.text) if label in named]
    if any(re.search(r"\d", value) for value in cells) and name[0].isdigit():
        return any(_holds(value, name) for value in cells)
    return _holds(row.text, name)
