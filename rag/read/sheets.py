"""Excel workbooks (xlsx): each sheet's rows beside the names of their columns.

Values are those last calculated by the program that saved the file; a formula that was never
calculated has none. Charts and comments are not read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from rag.errors import ReadError
from rag.read.draft import Draft, Writer
from rag.read.limits import Limits
from rag.read.office import cell_words, check_archive, core_date
from rag.read.tables import find_header, plain_line, row_line

__all__ = ["read_xlsx"]

_MAX_ROWS = 1_048_576  # Excel's own limit


def read_xlsx(data: bytes, limits: Limits) -> Draft:
    """A workbook: each sheet's rows with their column names. Values are those last calculated."""
    import openpyxl

    check_archive(data, "xlsx", limits)
    book = openpyxl.load_workbook(
        io.BytesIO(data), read_only=True, data_only=True, keep_links=False
    )
    writer = Writer(limits.max_text_chars)
    for number, sheet in enumerate(book.worksheets, start=1):
        writer.mark("sheet", number, sheet.title)
        writer.block(sheet.title)
        sheet.reset_dimensions()  # a declared size may lie, and would be padded to
        for block in _sheet_blocks(sheet):
            writer.lines(block)
    properties = book.properties
    return writer.finish(properties.title or "", core_date(properties))


def _sheet_blocks(sheet: Any) -> Iterator[list[str]]:
    """The lines of each run of filled rows. A run without a header of its own keeps the last."""
    names: list[str] = []
    for run in _filled_runs(sheet):
        lines = []
        while run:
            if len(run) > 1 and sum(map(bool, run[0])) == 1:
                lines.append(plain_line(run.pop(0)))  # a caption above the table
            else:
                break
        if find_header(run):
            names = run[0]
            lines.append(plain_line(run.pop(0)))
        elif run and len(run[0]) != len(names):
            names = []
        yield lines + [row_line(row, names) if names else plain_line(row) for row in run]


def _filled_runs(sheet: Any) -> Iterator[list[list[str]]]:
    """Runs of rows with values in them, cut to the columns that the run uses."""
    run: list[list[str]] = []
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number > _MAX_ROWS:  # a false row number: every row before it comes as an empty one
            raise ReadError("is damaged (a row has an impossible number): save it anew")
        row = [cell_words(cell.value, getattr(cell, "number_format", "")) for cell in cells]
        if any(row):
            run.append(row)
        elif run:
            yield _trimmed(run)
            run = []
    if run:
        yield _trimmed(run)


def _trimmed(rows: list[list[str]]) -> list[list[str]]:
    used = [column for row in rows for column, cell in enumerate(row) if cell]
    first, last = min(used), max(used)
    cut = [row[first : last + 1] for row in rows]
    return [row + [""] * (last + 1 - first - len(row)) for row in cut]
