"""PDF files: the words of each page in lines and paragraphs, by pdfium.

PDF stores glyphs at places, not text. pdfium gives characters in drawing order; this module puts
them into lines (cells drawn on one height are one line, so a table's row reads across), joins the
lines of a wrapped paragraph with a blank, undoes hyphenation at line ends, and separates
paragraphs by an empty line.

Every character of a page's text is kept with its index in pdfium's text page (-1 for blanks that
were added here), so `line_boxes` finds the rectangles of any span again from that page alone.
pdfium is not thread-safe and its input is untrusted: run this in the reading process only.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from rag.errors import ReadError
from rag.read.draft import Draft, one_line, parse_date
from rag.read.layout import Face, Line, PageText, compose, find_headings
from rag.read.limits import Limits
from rag.records import Mark

__all__ = ["PAGE_GAP", "Box", "line_boxes", "load_page", "open_pdf", "page_text", "read_pdf"]

PAGE_GAP = "\n\n"  # between the texts of two pages; none after a page without text

_HYPHEN = "\ufffe"  # pdfium's sign for a hyphen at a line's end, instead of hyphen and line end
_NO_TEXT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b\u202a-\u202e\u2060-\u206f\ufeff\uffff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
_PASSWORD, _FORMAT, _SECURITY = 4, 3, 5  # FPDF_GetLastError
_NO_LETTERS = re.compile(r"[\W\d_]*")
_MACHINE_TITLE = re.compile(r"untitled|microsoft (?:word|powerpoint|excel)\b.*|.*\.\w{3,4}|slide 1")


class Box(NamedTuple):
    """A rectangle in a page's own coordinates: points, as if the page were not rotated; y goes up."""

    left: float
    bottom: float
    right: float
    top: float


def read_pdf(data: bytes, limits: Limits) -> Draft:
    """A PDF with a mark for each page; title and date from its metadata.

    Raises `ReadError` for files that are encrypted, damaged, or have no text layer.
    """
    document = open_pdf(data)
    parts: list[str] = []
    marks: list[Mark] = []
    faces: list[Face] = []
    length = 0
    for number, page in enumerate(_pages(document), start=1):
        if parts and parts[-1]:
            parts.append(PAGE_GAP)
            length += len(PAGE_GAP)
        marks.append(Mark(length, "page", number))
        parts.append(page.text)
        faces += [face._replace(offset=length + face.offset) for face in page.faces]
        length += len(page.text)
        if length > limits.max_text_chars:
            raise ReadError(f"holds more than {limits.max_text_chars:,} characters: split it")
    if not any(parts):
        raise ReadError(
            "has no text layer (scanned?): run OCR, e.g. with ocrmypdf, and index the result"
        )
    text = "".join(parts)
    marks = sorted([*marks, *find_headings(text, faces)], key=lambda mark: mark.start)
    info = document.get_metadata_dict(skip_empty=True)
    date = parse_date(info.get("CreationDate")) or parse_date(info.get("ModDate"))
    return Draft(text, tuple(marks), _title(info.get("Title", "")), date)


def open_pdf(data: bytes) -> Any:
    """The `pypdfium2.PdfDocument` of a file's bytes; it has a page at least.

    Raises `ReadError` for what is no PDF, is encrypted or damaged.
    """
    import pypdfium2
    import pypdfium2.raw as pdfium

    if b"%PDF-" not in data[:1024]:
        raise ReadError("is not a PDF: rename it after its real format or export it as PDF again")
    if b"%%EOF" not in data[-4096:] and b"startxref" not in data[-4096:]:
        raise ReadError("is cut short (its end is missing): get a whole copy of the file")
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        code = pdfium.FPDF_GetLastError() if error.err_code is None else error.err_code
        if code in (_PASSWORD, _SECURITY):
            message = "is encrypted: save a copy without a password and index that"
            raise ReadError(message) from error
        raise ReadError("is damaged or cut short: get a whole copy of the file") from error
    if len(document) == 0:
        raise ReadError("is damaged (it has no pages): get a whole copy of the file")
    return document


def load_page(document: Any, number: int) -> tuple[Any, Any]:
    """Page `number` (from 1) and its text page; the caller closes both, the text page first.

    A page that can't be loaded raises `ReadError`: it is an error, not a gap.
    """
    import pypdfium2

    try:
        page = document[number - 1]
        return page, page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise ReadError(
            f"is damaged (page {number} can't be read): get a whole copy of the file"
        ) from error


def page_text(text_page: Any) -> PageText:
    """The text of one page, in NFC; it depends on no other page."""
    return compose(_lines(text_page))


def line_boxes(text_page: Any, wanted: list[int]) -> list[Box]:
    """The boxes around the characters with the pdfium indices `wanted`, merged per line.

    A line may run upward, as it does on pages that are stored on their side.
    """
    import pypdfium2.raw as pdfium

    rect = pdfium.FS_RECTF()
    boxes: list[Box] = []
    upward = False
    for at in wanted:
        if not pdfium.FPDFText_GetLooseCharBox(text_page.raw, at, ctypes.byref(rect)):
            continue
        box = Box(rect.left, rect.bottom, rect.right, rect.top)
        before, upward = upward, _runs_upward(text_page.raw, at)
        if boxes and before == upward and _on_line(boxes[-1], box, upward):
            last = boxes[-1]
            boxes[-1] = Box(
                min(last.left, box.left),
                min(last.bottom, box.bottom),
                max(last.right, box.right),
                max(last.top, box.top),
            )
        else:
            boxes.append(box)
    return boxes


def _pages(document: Any) -> Iterator[PageText]:
    """The text of each page in turn."""
    for number in range(1, len(document) + 1):
        page, text_page = load_page(document, number)
        yield page_text(text_page)
        text_page.close()
        page.close()


def _lines(text_page: Any) -> list[Line]:
    """The words of a page in lines. Neighbours in drawing order on one height share a line."""
    import pypdfium2.raw as pdfium

    raw = text_page.raw
    chars = _characters(raw)
    first, last = pdfium.FS_RECTF(), pdfium.FS_RECTF()
    at_first, at_last = ctypes.byref(first), ctypes.byref(last)
    lines: list[Line] = []
    line = Line()
    for match in re.finditer(f"[^\\s{_HYPHEN}]+{_HYPHEN}?|{_HYPHEN}", chars):
        begin, end = match.span()
        pdfium.FPDFText_GetLooseCharBox(raw, begin, at_first)
        pdfium.FPDFText_GetLooseCharBox(raw, end - 1, at_last)
        left, bottom, top = first.left, first.bottom, first.top
        right = max(first.right, last.right)
        if not lines or line.hyphen or not _level(line, left, bottom, top):
            line = Line(left=left, right=right, bottom=bottom, top=top, word=right - left)
            line.bold = _is_bold(raw, begin, pdfium)
            lines.append(line)
        else:
            line.chars.append(" ")
            line.index.append(-1)
            line.gap = max(line.gap, left - line.right)
            line.right = max(line.right, right)
        line.chars += match[0].replace(_HYPHEN, "-")
        line.index += range(begin, end)
        line.hyphen = match[0].endswith(_HYPHEN)
    return lines


def _characters(raw: Any) -> str:
    """The page's characters by their index in the text page; what is no text becomes a blank."""
    import pypdfium2.raw as pdfium

    count = max(pdfium.FPDFText_CountChars(raw), 0)
    buffer = ctypes.create_string_buffer(2 * count + 2)
    units = pdfium.FPDFText_GetText(
        raw, 0, count, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
    )
    text = buffer.raw[: 2 * max(units - 1, 0)].decode("utf-16-le", "replace")
    if len(text) != count:  # a character beyond 16 bits, or one that pdfium leaves out
        codes = (pdfium.FPDFText_GetUnicode(raw, i) for i in range(count))
        text = "".join(chr(code) if 0 < code <= 0x10FFFF else " " for code in codes)
        text = text.replace("\x02", _HYPHEN)
    return _NO_TEXT.sub(" ", text)


def _level(line: Line, left: float, bottom: float, top: float) -> bool:
    """Whether a character goes on `line`: it overlaps in height (as a raised one does) and is
    not drawn back to the left."""
    overlap = min(line.top, top) - max(line.bottom, bottom)
    height = min(line.height, top - bottom)
    return overlap > 0.5 * height and left >= line.right - 0.5 * max(line.height, 1.0)


def _is_bold(raw: Any, at: int, pdfium: Any) -> bool:
    """Whether a character is bold, by its font's weight or name."""
    if pdfium.FPDFText_GetFontWeight(raw, at) >= 600:
        return True
    name, flags = ctypes.create_string_buffer(80), ctypes.c_int()
    size = pdfium.FPDFText_GetFontInfo(raw, at, name, len(name), ctypes.byref(flags))
    return 0 < size <= len(name) and b"bold" in name.value.lower()


def _runs_upward(raw: Any, at: int) -> bool:
    """Whether a character stands on a line that runs up or down, not across."""
    import pypdfium2.raw as pdfium

    angle = pdfium.FPDFText_GetCharAngle(raw, at)  # in radians; below 0 where it has none
    return angle > 0 and abs(math.sin(angle)) > 0.7


def _on_line(line: Box, box: Box, upward: bool) -> bool:
    """Whether `box` goes on `line`: they overlap in height, and it is not drawn far back."""
    if upward:
        line, box = (Box(b.bottom, b.left, b.top, b.right) for b in (line, box))
    overlap = min(line.top, box.top) - max(line.bottom, box.bottom)
    height = min(line.top - line.bottom, box.top - box.bottom)
    back = 0.0 if upward else line.left - box.right  # upward or down: a line may run either way
    return overlap > 0.5 * height and back < height


def _title(given: str) -> str:
    """The metadata's title, unless a program made it up (a number, a file's name)."""
    title = one_line(given)
    made_up = _NO_LETTERS.fullmatch(title) or _MACHINE_TITLE.fullmatch(title.lower())
    return "" if made_up else title
