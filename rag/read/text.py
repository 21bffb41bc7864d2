"""Plain text, Markdown and CSV: the text is the file's own characters, decoded and normalised.

Nothing is added or left out, so a quote from the document is found in the file too. What the
formats say about structure (headings, columns) goes into marks.
"""

from __future__ import annotations

import codecs
import csv
import re
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from rag.errors import ReadError
from rag.read.draft import Draft, clean, normalise, one_line, parse_date
from rag.read.limits import Limits
from rag.read.tables import is_number
from rag.records import Mark

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch
    from markdown_it import MarkdownIt

__all__ = ["decode", "markdown_headings", "read_csv", "read_markdown", "read_text"]

_BOMS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODINGS = (
    *("cp1251", "koi8_u", "iso8859_5", "cp866", "cp1252", "cp1250", "cp1253", "cp1254", "cp1255"),
    *("cp1256", "cp1257", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MARKUP = re.compile(r"[*_`\[\]<>&!\\\n]")
_SAMPLE = 200_000
_NOT_TEXT = "is not text in a known encoding: save it as UTF-8 (or as the format that it really is)"
_FRONT_MATTER = re.compile(r"---[ \t]*\n((?:.*\n){0,200}?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_DATE_LINE = re.compile(
    r"^(?:date|dated|published|updated|revised)[ \t]*:[ \t]*(.{4,60})$",
    re.MULTILINE | re.IGNORECASE,
)
_FIELD = re.compile(r"^(title|date)[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)


def decode(data: bytes, declared: str | None = None) -> str:
    """`data` as text: by its byte order mark, as UTF-8, as `declared`, or by detection.

    UTF-8 with a few broken bytes is still read as UTF-8, with U+FFFD in their places. Raises
    `ReadError` for binary data.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _checked(data.decode(encoding, errors="replace"))
    try:
        return _checked(data.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if declared:
        try:
            return _checked(data.decode(declared))
        except (UnicodeError, LookupError, ValueError):
            pass  # a wrong declaration is common: look at the bytes instead
    if b"\0" in data[:_SAMPLE]:
        raise ReadError(_NOT_TEXT)
    lenient = data.decode("utf-8", errors="replace")
    broken = lenient.count("\ufffd")
    if broken * 20 <= sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", lenient))):
        return _checked(lenient)
    return _checked(_detect(data))


def read_text(data: bytes, limits: Limits) -> Draft:
    """A plain text file. Its first line is the title if it is short and more follows.

    A line such as "Date: 3 May 2024" among the first ten gives the date.
    """
    text = normalise(decode(data))
    first, _, rest = text.partition("\n")
    title = one_line(first) if len(first.strip()) <= 120 and rest.strip() else ""
    head = "\n".join(text.split("\n", 10)[:10])
    dated = _DATE_LINE.search(head)
    return Draft(text, title=title, date=parse_date(dated[1]) if dated else None)


def read_markdown(data: bytes, limits: Limits) -> Draft:
    """A Markdown file with its headings as marks; `title:` and `date:` of its front matter."""
    text = normalise(decode(data))
    fields: dict[str, str] = {}
    body = 0
    if match := _FRONT_MATTER.match(text):
        body = match.end()
        for name, value in _FIELD.findall(match[1]):
            fields.setdefault(name.lower(), value.strip("'\""))
    marks = markdown_headings(text, body)
    title = fields.get("title") or (marks[0].label if marks else "")
    return Draft(text, marks, one_line(title), parse_date(fields.get("date")))


def markdown_headings(text: str, begin: int = 0) -> tuple[Mark, ...]:
    """The CommonMark headings (ATX and setext) of `text[begin:]`, at the starts of their lines.

    `text` is normalised; `begin` is the start of a line. A `#` in a code block is no heading.
    """
    from markdown_it import MarkdownIt

    blocks = MarkdownIt("commonmark")
    blocks.core.ruler.enableOnly(["block"])  # the text is normalised, and needs no inline parsing
    inline = MarkdownIt("commonmark")
    starts = [begin]
    starts += [begin + match.end() for match in re.finditer("\n", text[begin:])]
    marks = []
    for token, content in pairwise(blocks.parse(text[begin:])):
        if token.type == "heading_open" and token.map:
            label = one_line(_without_markup(content.content, inline))
            marks.append(Mark(starts[token.map[0]], "heading", int(token.tag[1:]), label))
    return tuple(marks)


def _without_markup(words: str, parser: MarkdownIt) -> str:
    """The words of a heading as they are shown."""
    if not _MARKUP.search(words):
        return words
    shown = [
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for token in parser.parseInline(words)
        for child in token.children or []
        if child.type != "html_inline"
    ]
    return "".join(shown)


def read_csv(data: bytes, limits: Limits) -> Draft:
    """A table of comma, semicolon, tab or bar separated values.

    Where the first row names the columns, a heading mark with the names stands at the second row,
    so that each later row can be shown with them.
    """
    text = normalise(decode(data))
    header, end = _csv_header(text)
    if not header or not text[end:].strip():
        return Draft(text)
    return Draft(text, (Mark(end, "heading", 1, ", ".join(header)),))


def _csv_header(text: str) -> tuple[list[str], int]:
    """The names in the first row and the offset after it; no names where it holds numbers."""
    end = _row_end(text)
    sample = text[:_SAMPLE]
    best: tuple[int, str] = (1, "")
    for delimiter in ";\t|,":  # in a tie the comma is a decimal one
        widths = [len(row) for row in islice(_rows(sample, delimiter), 20) if row]
        # The delimiter is the one that cuts the first row into most cells, and later rows alike.
        if widths and widths[0] > best[0] and widths.count(widths[0]) * 2 > len(widths):
            best = (widths[0], delimiter)
    if not best[1]:
        return [], end
    row = next((row for row in _rows(text[:end], best[1]) if row), [])
    names = [one_line(clean(cell), 100) for cell in row]
    return ([], end) if any(is_number(name) for name in names) else (list(filter(None, names)), end)


def _rows(text: str, delimiter: str) -> list[list[str]]:
    lines = text.split("\n")
    rows: list[list[str]] = []
    try:
        for row in csv.reader((line + "\n" for line in lines), delimiter=delimiter):
            rows.append(row)
            if len(rows) == 50:
                break
    except csv.Error:  # a cell over the csv module's limit: no table worth naming columns for
        pass
    return rows


def _row_end(text: str) -> int:
    """The offset after the first row: its line end may not stand between quotes."""
    quoted = False
    for match in re.finditer('["\n]', text):
        if match[0] == '"':
            quoted = not quoted
        elif not quoted:
            return match.end()
    return len(text)


def _checked(text: str) -> str:
    """`text`, unless control characters show that it is binary."""
    sample = text[:_SAMPLE]
    if len(_CONTROLS.findall(sample)) > max(2, len(sample) // 50):
        raise ReadError(_NOT_TEXT)
    return text


def _detect(data: bytes) -> str:
    """`data` in the likeliest of the usual encodings; where several are as likely, mostly ASCII
    text is Western European and other text is what stands first in `_ENCODINGS`."""
    from charset_normalizer import from_bytes

    matches = list(from_bytes(data[:_SAMPLE], cp_isolation=list(_ENCODINGS)))
    if not matches:
        raise ReadError(_NOT_TEXT)
    likely = [m.encoding for m in matches if (m.chaos, m.coherence) == _score(matches[0])]
    accented = sum(byte > 127 for byte in data[:_SAMPLE]) / len(data[:_SAMPLE])
    order = ("cp1252", *_ENCODINGS) if accented < 0.3 else _ENCODINGS
    encoding = min(likely, key=lambda name: order.index(name) if name in order else len(order))
    return data.decode(encoding, errors="replace")


def _score(match: CharsetMatch) -> tuple[float, float]:
    return match.chaos, match.coherence
