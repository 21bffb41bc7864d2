"""Images of PDF pages with the cited spans highlighted: the caller's side.

The file is opened, checked against the document and drawn by the reading process (`rag.read`), in
its limits: a file that crashes or hangs it costs a `ReadError`. What comes back is checked here.
"""

from __future__ import annotations

import base64
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from rag.errors import ReadError
from rag.read import Limits, Worker
from rag.read.pdf import PAGE_GAP
from rag.records import Document

__all__ = ["PageImage", "Pages", "page_image"]

Spans = tuple[tuple[int, int], ...]

_WIDEST = 1600  # pixels; the height is four times the width at most
_SECONDS = 20.0  # nobody waits longer for a page
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page as PNG, `width` x `height` pixels.

    `boxes` are the highlighted lines without their padding: left, top, right, bottom as fractions
    0..1 of the page as it is shown, from its top left.
    """

    png: bytes
    width: int
    height: int
    boxes: tuple[tuple[float, float, float, float], ...]


def page_image(
    path: Path,
    document: Document,
    page: int,
    spans: Sequence[tuple[int, int]],
    *,
    width: int = 1000,
    limits: Limits | None = None,
) -> PageImage:
    """One image, by a process of its own (half a second more): see `Pages.image`."""
    with Pages(limits) as pages:
        return pages.image(path, document, page, spans, width=width)


class Pages:
    """Draws pages, one after the other, in one reading process that is kept; so are the images.

    Safe to use from several threads. `keep` images and `keep_bytes` bytes of them are kept at most,
    the last used. `limits` bound each image; their default is that of reading, but 20 seconds.
    """

    def __init__(
        self, limits: Limits | None = None, *, keep: int = 64, keep_bytes: int = 64_000_000
    ) -> None:
        self._worker = Worker(limits or replace(Limits(), seconds=_SECONDS))
        self._drawing = threading.Lock()  # held while the process works
        self._images: OrderedDict[tuple[Any, ...], PageImage] = OrderedDict()
        self._keeping = threading.Lock()  # held for a moment, to look at `_images`
        self._keep, self._keep_bytes = keep, keep_bytes

    def __enter__(self) -> Pages:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def image(
        self,
        path: Path,
        document: Document,
        page: int,
        spans: Sequence[tuple[int, int]],
        *,
        width: int = 1000,
    ) -> PageImage:
        """Page `page` (from 1) of the PDF at `path`, with characters `spans` highlighted.

        `spans` are offsets of `document.text`; parts on other pages are left out. `width` is in
        pixels, cut to 1600; a page over four times as tall as wide is drawn narrower.

        Raises `ReadError` (one line, without the file's name) where the file is no PDF, is gone,
        lacks the page, can't be drawn in the limits, or no longer says what the document does.
        """
        text, inside = _page_text(document, page, spans)
        width = min(max(width, 1), _WIDEST)
        key = (str(path), _version(path), page, hash(text), inside, width)
        if found := self._kept(key):
            return found
        with self._drawing:
            if found := self._kept(key):  # drawn for another thread in the meantime
                return found
            image = _checked(self._worker.draw(path, page, text, inside, width), width)
        self._remember(key, image)
        return image

    def close(self) -> None:
        """End the process, also in the middle of a page."""
        self._worker.close()

    def _kept(self, key: tuple[Any, ...]) -> PageImage | None:
        with self._keeping:
            if key in self._images:
                self._images.move_to_end(key)
            return self._images.get(key)

    def _remember(self, key: tuple[Any, ...], image: PageImage) -> None:
        with self._keeping:
            self._images[key] = image
            size = sum(len(one.png) for one in self._images.values())
            while self._images and (len(self._images) > self._keep or size > self._keep_bytes):
                size -= len(self._images.popitem(last=False)[1].png)


def _page_text(
    document: Document, page: int, spans: Sequence[tuple[int, int]]
) -> tuple[str, Spans]:
    """The text of a page, and the parts of `spans` on it, in order, as offsets into that text."""
    if document.media_type != "application/pdf":
        raise ReadError("is not a PDF: only pages of a PDF can be shown as they look")
    marks = [mark for mark in document.marks if mark.kind == "page"]
    at = next((at for at, mark in enumerate(marks) if mark.number == page), None)
    if at is None:
        raise ReadError(f"has no page {page}: its pages are 1 to {len(marks)}")
    start = marks[at].start
    end = marks[at + 1].start if at + 1 < len(marks) else len(document.text)
    text = document.text[start:end].removesuffix(PAGE_GAP)
    cut = {(max(low - start, 0), min(high - start, len(text))) for low, high in spans}
    return text, tuple(sorted((low, high) for low, high in cut if low < high))


def _version(path: Path) -> tuple[int, int]:
    """What tells one state of a file from another."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0, 0  # the reading process tells what is wrong with it
    return status.st_mtime_ns, status.st_size


def _checked(image: dict[str, Any], width: int) -> PageImage:
    """The image that the process gave, its parts checked: that process has read untrusted bytes."""
    try:
        png = base64.b64decode(image["png"], validate=True)
        assert png[:8] == _PNG and png[12:16] == b"IHDR"
        wide, high = struct.unpack(">II", png[16:24])
        assert 0 < wide <= width and 0 < high <= 4 * width
        boxes = []
        for box in image["boxes"]:
            left, top, right, bottom = (float(edge) for edge in box)
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
            boxes.append((left, top, right, bottom))
        return PageImage(png, wide, high, tuple(boxes))
    except (KeyError, TypeError, ValueError, AssertionError, struct.error) as error:
        raise ReadError("made its reader answer nonsense: save it anew") from error
