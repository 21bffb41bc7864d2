"""Tables as text: one line per row, each value beside the names of its row and column.

    Country | Year | Aid (EUR bn)
    Germany — Year: 2024; Aid (EUR bn): 7.1

A passage cut from the middle of a table so still says what its numbers are. Without a header row,
cells are joined by " | ". Knows nothing of the formats that tables come from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.read.draft import one_line

__all__ = ["find_header", "is_number", "table_lines"]

_NUMBER = re.compile(r"[\s$€£¥₴%‰()+−–—.,'’/:\d-]*\d[\s$€£¥₴%‰()+−–—.,'’/:\d-]*(?:%|[A-Za-z]{0,3})")
_YEAR = re.compile(r"(?:FY\s?)?(?:1[89]|20)\d\d(?:[/–-]\d\d(?:\d\d)?)?")
_LONGEST_LABEL = 80

Row = Sequence[str]


def is_number(cell: str) -> bool:
    """Whether `cell` is a figure (with currency, percent sign, short unit) or a date in digits."""
    return bool(_NUMBER.fullmatch(cell.strip()))


def find_header(rows: Sequence[Row]) -> int:
    """How many leading rows (0 or 1) are a header, judged by their words alone.

    A header has names in its cells (a year counts as one; the corner may be empty), and either a
    column of numbers stands under a name, or it has three columns or more and no name twice.
    """
    if len(rows) < 2 or len(rows[0]) < 2:
        return 0
    first, rest = rows[0], rows[1:]
    if not all(_is_label(cell) for cell in first[1:]) or (first[0] and not _is_label(first[0])):
        return 0
    numbers = any(
        cells and all(is_number(cell) for cell in cells)
        for cells in ([r[c] for r in rest if c < len(r) and r[c]] for c in range(1, len(first)))
    )
    return int(numbers or (len(first) > 2 and len(set(first)) == len(first)))


def table_lines(rows: Sequence[Row], header_rows: int | None = None) -> list[str]:
    """The lines of a table. `header_rows` leading rows name the columns; None: `find_header`.

    Several header rows are joined per column ("2024" over "Q1" is "2024 Q1"). The first column
    names the row. Empty cells are left out.
    """
    rows = [[one_line(cell, 1 << 30) for cell in row] for row in rows]
    rows = [row for row in rows if any(row)]
    count = find_header(rows) if header_rows is None else min(header_rows, len(rows))
    head, body = rows[:count], rows[count:]
    width = max((len(row) for row in head), default=0)
    names = [_join_names([row[c] for row in head if c < len(row)]) for c in range(width)]
    lines = [" | ".join(filter(None, row)) for row in head] if count == 1 else []
    if count > 1:
        lines = [" | ".join(filter(None, names))]
    return lines + [row_line(row, names) if any(names[1:]) else plain_line(row) for row in body]


def row_line(row: Row, names: Sequence[str]) -> str:
    """One row with its header: "Germany — Year: 2024; Aid: 7.1"."""
    pairs = []
    for column, cell in enumerate(row[1:], start=1):
        name = names[column] if column < len(names) else ""
        if cell:
            pairs.append(f"{name}: {cell}" if name else cell)
    return " — ".join(filter(None, [row[0], "; ".join(pairs)]))


def plain_line(row: Row) -> str:
    """One row without a header: "Germany | 2024 | 7.1"."""
    return " | ".join(filter(None, row))


def _is_label(cell: str) -> bool:
    named = bool(_YEAR.fullmatch(cell)) or not is_number(cell)
    return bool(cell) and named and len(cell) <= _LONGEST_LABEL


def _join_names(cells: Sequence[str]) -> str:
    distinct = dict.fromkeys(filter(None, cells))  # a cell over two rows names the column once
    return " ".join(distinct)
