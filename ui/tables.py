"""The rows of a table around highlighted spans, cut into cells. Pure.

Which rows are shown, and which cells are lit; how a table stands in a text is the business of
`ui.table_rows`. Offsets count code points of the document's text, half open. Knows nothing of HTML.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from rag.records import Document
from ui.excerpt import Highlight
from ui.table_rows import Field, Span, find_table

__all__ = ["Cell", "TableExcerpt", "table_around"]

_MOST_ROWS = 40
_MOST_CELLS, _MOST_CHARS = 10_000, 100_000  # of an excerpt: beyond, a table is no help


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its words, the characters `start..end` that they stand in, and what is lit.

    `text` is `document.text[start:end]` without blanks around it; for csv also without its quotes
    (and `""` in them is `"`), for Markdown with `\\|` as `|`. An empty cell may have no characters.
    `marks` are the labels of the highlights that overlap the cell or its column's name in the row.
    """

    text: str
    start: int
    end: int
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableExcerpt:
    """The header, and the rows around the highlights, all with equally many cells.

    `header` is empty where nothing names the columns. `rows` do not contain it; where offsets jump
    between two rows, others are left out. `start..end` are the characters from the first of `rows`
    to the last (the header's where there are none); `more_before` and `more_after` tell of rows
    before and after those.
    """

    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    start: int
    end: int
    more_before: bool
    more_after: bool


def table_around(
    document: Document, highlights: Sequence[Highlight], around: int = 3
) -> TableExcerpt | None:
    """The rows that `highlights` lie in and `around` rows on each side, 40 in all at most.

    None where the highlights do not all lie within the rows of one table, or where the rows are
    too large to look at as a table (10,000 cells or 100,000 characters).
    """
    if not highlights:
        return None
    low, high = min(one.start for one in highlights), max(one.end for one in highlights)
    if not 0 <= low < high <= len(document.text):
        return None
    table = find_table(document, low, high)
    if table is None:
        return None
    every = [*([table.header] if table.header else []), *table.rows]
    inside = all(_rows_under(every, one) for one in highlights)
    # The last row's line end may be highlighted too.
    if not inside or low < every[0][0] or high > every[-1][1] + 1:
        return None
    hit = sorted({at for one in highlights for at in _rows_under(table.rows, one)})
    chosen = _nearest(hit, around, len(table.rows))
    header = table.head(table.header) if table.header else []
    rows = [table.cut(table.rows[at]) for at in chosen]
    width = max(map(len, [header, *rows]))
    spans = [table.rows[at] for at in chosen] or every[:1]
    chars = sum(end - start for start, end in spans)
    if width * len(spans) > _MOST_CELLS or chars > _MOST_CHARS:
        return None
    return TableExcerpt(
        _cells(header, width, highlights) if header else (),
        tuple(_cells(row, width, highlights) for row in rows),
        spans[0][0],
        spans[-1][1],
        bool(chosen) and chosen[0] > 0,
        bool(table.rows) and (not chosen or chosen[-1] < len(table.rows) - 1),
    )


def _rows_under(rows: Sequence[Span], one: Highlight) -> range:
    """The positions of the rows that a highlight overlaps."""
    first = bisect.bisect_right(rows, one.start, key=lambda row: row[1])
    return range(first, bisect.bisect_left(rows, one.end, key=lambda row: row[0]))


def _nearest(hit: list[int], around: int, count: int) -> list[int]:
    """Up to `_MOST_ROWS` positions: those in `hit`, then those nearest to them.

    Without any, the highlights lie in the header, and the first rows are what stands around.
    """
    if not hit:
        return list(range(min(around, count, _MOST_ROWS)))
    distance = dict.fromkeys(hit[:_MOST_ROWS], 0)
    for step in range(1, around + 1):
        for at in hit[:_MOST_ROWS]:
            for near in (at - step, at + step):
                if 0 <= near < count:
                    distance.setdefault(near, step)
        if len(distance) >= _MOST_ROWS:
            break
    return sorted(sorted(distance, key=lambda at: (distance[at], at))[:_MOST_ROWS])


def _cells(fields: list[Field], width: int, lit: Sequence[Highlight]) -> tuple[Cell, ...]:
    """`fields` with their marks, filled up to `width` with empty cells at the row's end."""
    cells = [
        Cell(
            field.text,
            field.start,
            field.end,
            tuple(
                one.label for one in lit if max(one.start, field.begin) < min(one.end, field.end)
            ),
        )
        for field in fields
    ]
    end = cells[-1].end if cells else 0
    return (*cells, *[Cell("", end, end, ())] * (width - len(cells)))
