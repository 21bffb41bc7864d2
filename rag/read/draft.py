"""What every reader produces, and the small text tools that they share.

A reader turns bytes into a `Draft`; `rag.read.formats` completes it to a `Document`. This module
knows nothing of formats, files or processes.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime

from rag.errors import ReadError
from rag.records import Mark, MarkKind

__all__ = ["Draft", "Writer", "clean", "normalise", "one_line", "parse_date"]

_SURROGATES = re.compile("[\ud800-\udfff]")
# Invisible characters that carry no words: zero-width space, soft hyphen, word joiner, byte order
# mark, bidirectional overrides, invisible operators, annotation anchors, and the tag block with the
# variation selectors beyond 16 bits (ways to smuggle text past a reader's eyes).
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f\u00ad\u200b\u2060\ufeff"
    "\u202a-\u202e\u2061-\u2064\u2066-\u206f\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0\u0085\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


@dataclass(frozen=True, slots=True)
class Draft:
    """A reader's result: normalised text, marks in order, and what the file says of itself.

    `title` and `date` are empty where the file has none; the caller finds a substitute.
    """

    text: str
    marks: tuple[Mark, ...] = ()
    title: str = ""
    date: str | None = None


def normalise(raw: str) -> str:
    """`raw` in the one form that every offset counts in: NFC, `\\n` line ends, no leading BOM.

    NUL is dropped and lone surrogates become U+FFFD, since neither survives JSON and SQLite. All
    other characters stay. Idempotent.
    """
    text = raw.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    return unicodedata.normalize("NFC", _SURROGATES.sub("\ufffd", text))


def clean(raw: str) -> str:
    """`raw` as built text holds it: normalised, invisible characters out, runs of blanks one space.

    Line ends stay; blanks around them go.
    """
    text = _BLANKS.sub(" ", _INVISIBLE.sub("", normalise(raw)))
    return "\n".join(line.strip() for line in text.split("\n"))


def one_line(raw: str, limit: int = 300) -> str:
    """`raw` as a single printable line of at most `limit` characters, for titles and messages."""
    line = " ".join(clean(raw).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


class Writer:
    """Builds a text block by block with marks at the right offsets.

    Each block is cleaned before it is appended, so an offset taken here holds in the final text.
    """

    def __init__(self, max_chars: int) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._max = max_chars
        self._gap = ""
        self._marks: list[Mark] = []
        self._pending: list[tuple[MarkKind, int, str]] = []

    def mark(self, kind: MarkKind, number: int, label: str = "") -> None:
        """Mark the beginning of the next block (or the end of the text, if none follows)."""
        self._pending.append((kind, number, one_line(label)))

    def block(self, raw: str, gap: str = "\n\n") -> None:
        """Append `raw`, separated by `gap` from what stands before; blank text adds nothing.

        Raises `ReadError` when the text grows past the limit.
        """
        text = clean(raw).strip("\n")
        if not text:
            return
        if self._parts:
            self._append(gap)
        self._place_marks()
        self._append(text)

    def lines(self, lines: list[str]) -> None:
        """Append `lines` as one block, each on a line of its own; empty ones are left out."""
        self.block("\n".join(line for line in (one_line(raw, 1 << 30) for raw in lines) if line))

    def finish(self, title: str = "", date: str | None = None) -> Draft:
        """The finished draft. Its title is `title`, or else the first heading."""
        self._place_marks()
        title = title or next((m.label for m in self._marks if m.kind == "heading"), "")
        return Draft("".join(self._parts), tuple(self._marks), one_line(title), date)

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        if self._length > self._max:
            raise ReadError(
                f"holds more than {self._max:,} characters of text: split it into smaller files"
            )

    def _place_marks(self) -> None:
        self._marks += [Mark(self._length, *mark) for mark in self._pending]
        self._pending.clear()


def parse_date(raw: object) -> str | None:
    """`raw` (a string in any usual form, a date) as `YYYY-MM-DD`, `YYYY-MM` or `YYYY`; else None.

    A time of day and its zone are dropped, not converted: a document is dated by its own clock.
    """
    if isinstance(raw, datetime | date):
        return f"{raw.year:04}-{raw.month:02}-{raw.day:02}"
    text = one_line(str(raw or ""), 100)
    if match := re.match(r"D:(\d{4})(\d\d)?(\d\d)?", text):  # PDF
        text = "-".join(part for part in match.groups() if part)
    from dateutil import parser

    # Two defaults that differ in every part show which parts the string really gives.
    try:
        low, high = (
            parser.parse(text, default=base, ignoretz=True)
            for base in (datetime(2001, 1, 1), datetime(2002, 2, 2))
        )
    except (ValueError, OverflowError, TypeError, AttributeError, IndexError):
        return None
    if low.year != high.year or not 1000 <= low.year <= 9999:
        return None
    if low.month != high.month:
        return f"{low.year:04}"
    return f"{low:%Y-%m}" if low.day != high.day else f"{low:%Y-%m-%d}"
