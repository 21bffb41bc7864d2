"""The rows and cells of a table as it stands in a document's text. Pure.

Reads csv as the `csv` module does, Markdown with its bars, and the lines that `rag.read.tables`
makes of docx, xlsx, pptx, html and mail:

    Country | Year | Aid (EUR bn)
    Germany — Year: 2024; Aid (EUR bn): 7.1

Offsets count code points of the document's text, half open. Knows nothing of highlights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from rag.read.formats import FORMATS
from rag.read.tables import is_number
from rag.records import Document

__all__ = ["Field", "Span", "Table", "find_table"]

_SAMPLE_ROWS = 20
_DELIMITERS = ";\t|,"  # in a tie the comma is a decimal one
_CSV = ("text/csv", "text/tab-separated-values")
_OFFICE = ("docx", "pptx", "xlsx")
_BARRED = ("text/markdown", "text/plain")
_BUILT = ("text/html", "message/rfc822", *(FORMATS[f".{x}"].media_type for x in _OFFICE))
_RULE_CELL = r"[ \t]*+:?+-++:?+"
_RULE = re.compile(rf"[ \t]*+\|?+(?:{_RULE_CELL}[ \t]*+\|)*+(?:{_RULE_CELL})?+[ \t]*+")
_BAR = re.compile(r"(?<!\\)(?:\\\\)*\|")
_LONGEST_NAME = 80

Span = tuple[int, int]


class Field(NamedTuple):
    """A cell's words and the span that they stand in.

    `begin` is `start`, or before it where the name of the cell's column stands in the row.
    """

    text: str
    start: int
    end: int
    begin: int


class Table(NamedTuple):
    """The spans of a table's header and rows, without line ends, and how to cut each into fields."""

    header: Span | None
    rows: Sequence[Span]
    head: Callable[[Span], list[Field]]
    cut: Callable[[Span], list[Field]]


def find_table(document: Document, low: int, high: int) -> Table | None:
    """The table at characters `low..high`; None where none stands there. It may end before `high`.

    A csv file is one table, whatever the place.
    """
    if document.media_type in _CSV:
        return _csv_table(document)
    if document.media_type in _BARRED:
        return _barred_table(document.text, low, high)
    return _built_table(document, low, high) if document.media_type in _BUILT else None


def _lines(text: str, start: int, end: int) -> list[Span]:
    """The spans of the lines of `text[start:end]`."""
    spans = []
    at = start
    for line in text[start:end].split("\n"):
        spans.append((at, at + len(line)))
        at += len(line) + 1
    return spans


# --- csv


def _csv_table(document: Document) -> Table | None:
    """The whole of a csv file. A heading mark after its first row says that this is a header."""
    text = document.text
    best: tuple[int, str] = (1, "")
    for delimiter in _DELIMITERS:  # chosen as the reader does
        sample = list(islice(_csv_rows(text, delimiter, _SAMPLE_ROWS), _SAMPLE_ROWS))
        widths = [len(_csv_fields(text, row, delimiter)) for row in sample]
        if widths and widths[0] > best[0] and widths.count(widths[0]) * 2 > len(widths):
            best = (widths[0], delimiter)
    if not best[1]:
        return None
    rows = _csv_rows(text, best[1])

    def cut(row: Span) -> list[Field]:
        return _csv_fields(text, row, best[1])

    if document.marks and len(rows) > 1 and document.marks[0].start <= rows[1][0]:
        return Table(rows[0], rows[1:], cut, cut)
    return Table(None, rows, cut, cut)


def _csv_cell(delimiter: str) -> re.Pattern[str]:
    """A cell; a quote at its start that is never closed is a character like any other."""
    end = re.escape(delimiter)
    return re.compile(rf'(?:"(?P<quoted>(?:[^"]++|"")*+)")?+(?P<rest>[^{end}\n]*+)(?P<end>{end}|)')


def _csv_rows(text: str, delimiter: str, most: int = 1 << 60) -> list[Span]:
    """The spans of the rows that are not empty, `most` at most."""
    rows: list[Span] = []
    cell = _csv_cell(delimiter)
    start = 0
    while start < len(text) and len(rows) < most:
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if text.find('"', start, end) >= 0:  # only quotes can hold a line end
            at = start
            while (match := cell.match(text, at)) is not None and match["end"]:
                at = match.end()
            end = match.end() if match else end
        if end > start:
            rows.append((start, end))
        start = end + 1
    return rows


def _csv_fields(text: str, row: Span, delimiter: str) -> list[Field]:
    cell = _csv_cell(delimiter)
    fields: list[Field] = []
    at = row[0]
    while match := cell.match(text, at, row[1]):
        end = match.end("rest")
        value = (match["quoted"] or "").replace('""', '"') + match["rest"]
        fields.append(Field(value.strip(), at, end, at))
        at = match.end()
        if not match["end"]:
            break
    return fields


# --- Markdown


def _barred_table(text: str, low: int, high: int) -> Table | None:
    """The run of lines with bars around `low..high`; its second line is a rule of hyphens."""
    lines = _lines(text, *_block(text, low, high))
    rules = [
        at
        for at in range(1, len(lines))
        if lines[at - 1][0] <= low and _is_rule(text, lines[at], lines[at - 1])
    ]
    if not rules:
        return None
    rule = rules[-1]
    rows = []
    for a, b in lines[rule + 1 :]:
        if "|" not in text[a:b]:
            break
        rows.append((a, b))

    def cut(row: Span) -> list[Field]:
        return _barred_fields(text, row)

    return Table(lines[rule - 1], rows, cut, cut)


def _is_rule(text: str, row: Span, above: Span) -> bool:
    """Whether a line is "| --- | --- |" with as many cells as the line above it has."""
    line = text[slice(*row)]
    return (
        {"-", "|"} <= set(line)
        and _RULE.fullmatch(line) is not None
        and "|" in text[slice(*above)]
        and len(_barred_fields(text, row)) == len(_barred_fields(text, above))
    )


def _barred_fields(text: str, row: Span) -> list[Field]:
    """The cells between bars; a bar after a backslash is none."""
    start, end = row
    line = text[start:end]
    bars = [match.end() - 1 for match in _BAR.finditer(line)]
    if bars and not line[: bars[0]].strip():
        left = bars.pop(0) + 1
    else:
        left = 0
    if bars and not line[bars[-1] + 1 :].strip():
        edges = bars
    else:
        edges = [*bars, len(line)]
    fields = []
    for edge in edges:
        words = line[left:edge].strip().replace("\\|", "|")
        fields.append(Field(words, start + left, start + edge, start + left))
        left = edge + 1
    return fields


# --- Lines of rag.read.tables


def _built_table(document: Document, low: int, high: int) -> Table | None:
    """The block of lines around `low..high`, if they are the rows of a table.

    Where columns are not named in the rows, the reader saw no header; a first row of short words
    is shown as one all the same.
    """
    text = document.text
    if "\n\n" in text[low:high]:  # the readers put no empty line into a table
        return None
    lines = _lines(text, *_block(text, low, high))
    barred = list(islice((n for n, (a, b) in enumerate(lines) if text.find(" | ", a, b) >= 0), 2))
    found = _named_table(document, lines, barred[0] if barred else None)
    if found is not None or len(barred) < 2:
        return found
    rows = lines[barred[0] :]
    if any(text.startswith("- ", a) for a, _ in rows):
        return None  # a list

    def cut(row: Span) -> list[Field]:
        return _plain_fields(text, row)

    first = cut(rows[0])
    names = all(
        len(field.text) <= _LONGEST_NAME and not is_number(field.text) and field.text[-1:] != ":"
        for field in first
    )
    if names and len(first) == max(len(cut(row)) for row in rows[:_SAMPLE_ROWS]):
        return Table(rows[0], rows[1:], cut, cut)
    return Table(None, rows, cut, cut)


def _named_table(document: Document, lines: list[Span], first: int | None) -> Table | None:
    """The table whose rows name their columns; its header is line `first` of `lines`, or stands in
    an earlier block of the sheet, as after an empty row."""
    text = document.text
    if first is not None:
        header, rows = lines[first], lines[first + 1 :]
        found = _named_columns(text, header, rows)
        return found and Table(header, rows, *found)
    sheets = [m.start for m in document.marks if m.kind == "sheet" and m.start <= lines[0][0]]
    if not sheets or " — " not in text[lines[0][0] : lines[-1][1]]:
        return None
    bar = text.rfind(" | ", sheets[-1], lines[0][0])
    if bar < 0:
        return None
    end = text.find("\n", bar)
    header = text.rfind("\n", 0, bar) + 1, end
    found = _named_columns(text, header, lines)
    rows = [row for row in _lines(text, end + 1, lines[-1][1]) if row[0] < row[1]]
    return found and Table(header, rows, *found)


def _named_columns(
    text: str, header: Span, rows: Sequence[Span]
) -> tuple[Callable[[Span], list[Field]], Callable[[Span], list[Field]]] | None:
    """How to cut a header and rows that name its columns; None where no row names any."""
    names = [field.text for field in _plain_fields(text, header)]
    longest_first = sorted(set(filter(None, names)), key=len, reverse=True)
    if not longest_first:
        return None
    names_re = "|".join(map(re.escape, longest_first))
    label = re.compile(rf"(?P<sign>^| — |; )(?P<name>{names_re}): ")
    sample = rows[:_SAMPLE_ROWS]
    labels = {match["name"] for a, b in sample for match in label.finditer(text[a:b])}
    if not labels:
        return None
    # The first column is never named in a row: if its name is, the corner of the table is empty.
    corner = names[0] in labels and names.count(names[0]) == 1
    columns = ["", *names] if corner else names

    def head(row: Span) -> list[Field]:
        empty = [Field("", row[0], row[0], row[0])] if corner else []
        return empty + _plain_fields(text, row)

    def cut(row: Span) -> list[Field]:
        return _named_fields(text, row, columns, label)

    return head, cut


def _named_fields(text: str, row: Span, columns: list[str], label: re.Pattern[str]) -> list[Field]:
    """The cells of "Germany — Year: 2024; Aid: 7.1" in the order of `columns`."""
    start, end = row
    line = text[start:end]
    found: list[tuple[int, re.Match[str]]] = []
    for match in label.finditer(line):
        after = found[-1][0] + 1 if found else 1
        signs = ("; ",) if found else ("", " — ")  # before the dash all is the row's name
        if match["sign"] in signs and match["name"] in columns[after:]:
            found.append((columns.index(match["name"], after), match))
    places = {column: at for at, (column, _) in enumerate(found)}
    stop = start + (found[0][1].start() if found else len(line))
    fields = [Field(text[start:stop].strip(), start, stop, start)]
    for column in range(1, len(columns)):
        if (at := places.get(column)) is None:
            fields.append(Field("", stop, stop, stop))
            continue
        match = found[at][1]
        stop = start + (found[at + 1][1].start() if at + 1 < len(found) else len(line))
        value = start + match.end()
        fields.append(Field(text[value:stop].strip(), value, stop, start + match.start("name")))
    return fields


def _plain_fields(text: str, row: Span) -> list[Field]:
    """The cells of "Germany | 2024 | 7.1"."""
    fields = []
    at = row[0]
    for words in text[slice(*row)].split(" | "):
        fields.append(Field(words.strip(), at, at + len(words), at))
        at += len(words) + 3
    return fields


def _block(text: str, low: int, high: int) -> Span:
    """The lines around `low..high` up to the next empty ones; what a span holds counts as one."""
    before = text.rfind("\n\n", 0, low + 1)
    after = text.find("\n\n", max(high - 1, 0))
    return (before + 2 if before >= 0 else 0), (after if after >= 0 else len(text))
