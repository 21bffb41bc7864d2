"""One page of a PDF as an image, with spans of its text highlighted.

Loads that page alone. Runs in the reading process: the file is untrusted, and pdfium is not
thread-safe. Knows nothing of documents; `rag.pages` is the caller's side.
"""

from __future__ import annotations

import base64
import ctypes
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ReadError
from rag.read.formats import file_bytes
from rag.read.limits import Limits
from rag.read.pdf import Box, line_boxes, load_page, open_pdf, page_text

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["draw_page"]

Fractions = tuple[float, float, float, float]

_CHANGED = "has changed since it was indexed: index its folder again"
_TALLEST = 4  # times the width
_YELLOW, _STRENGTH = (0xFC, 0xD3, 0x4D), 0.45
_PADDING = 0.12  # of a line's height
_GRID = 1_000_000  # pdfium gives places on a grid of whole numbers: this one is the page


def draw_page(
    path: Path, limits: Limits, number: int, text: str, spans: list[tuple[int, int]], width: int
) -> dict[str, Any]:
    """Page `number` (from 1) of the PDF at `path`, `width` pixels wide (less if it is very tall).

    `text` is what the page should say, and `spans` are offsets into it. Returns `png` (base64) and
    `boxes` (one for each line of a span: left, top, right, bottom as fractions of the page as it
    is shown, from its top left). Raises `ReadError`, also where the page says something else.
    """
    document = open_pdf(file_bytes(path, limits)[0])
    if not 1 <= number <= len(document):
        raise ReadError(_CHANGED)
    page, text_page = load_page(document, number)
    found = page_text(text_page)
    if found.text != text:
        raise ReadError(_CHANGED)
    boxes = []
    for start, end in spans:
        wanted = [at for at in found.index[start:end] if at >= 0]
        shown = (_shown(page, box) for box in line_boxes(text_page, wanted))
        boxes += [box for box in shown if box is not None]
    image = _highlighted(_render(page, width), boxes)
    text_page.close()
    page.close()
    document.close()
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=2)
    return {"png": base64.b64encode(file.getvalue()).decode("ascii"), "boxes": boxes}


def _render(page: Any, width: int) -> Image:
    """The page as a person sees it, on white: cropped and turned as the file says."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    wide, high = page.get_size()
    ratio = high / wide if wide > 0 and high > 0 else 1.0
    if not math.isfinite(ratio):
        ratio = 1.0
    if ratio > _TALLEST:  # the height is what is bounded
        size = max(round(width * _TALLEST / ratio), 1), width * _TALLEST
    else:
        size = width, max(round(width * ratio), 1)
    bitmap = pypdfium2.PdfBitmap.new_native(*size, pdfium.FPDFBitmap_BGRx, rev_byteorder=True)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, *size)
    flags = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER
    pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, *size, 0, flags)
    image: Image = bitmap.to_pil().convert("RGB")
    bitmap.close()
    return image


def _shown(page: Any, box: Box) -> Fractions | None:
    """Where a box of the page's own coordinates is seen; None where it is cropped away."""
    import pypdfium2.raw as pdfium

    xs, ys = [], []
    for x, y in ((box.left, box.bottom), (box.right, box.top)):
        across, down = ctypes.c_int(), ctypes.c_int()
        placed = pdfium.FPDF_PageToDevice(
            page, 0, 0, _GRID, _GRID, 0, x, y, ctypes.byref(across), ctypes.byref(down)
        )
        if not placed:
            return None
        xs.append(min(max(across.value / _GRID, 0.0), 1.0))
        ys.append(min(max(down.value / _GRID, 0.0), 1.0))
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _highlighted(image: Image, boxes: list[Fractions]) -> Image:
    """`image` multiplied by a light yellow in the boxes: what is dark stays as dark."""
    from PIL import Image, ImageChops, ImageDraw

    if not boxes:
        return image
    wide, high = image.size
    tint = tuple(round(255 - _STRENGTH * (255 - channel)) for channel in _YELLOW)
    veil = Image.new("RGB", image.size, "white")
    pen = ImageDraw.Draw(veil)
    for left, top, right, bottom in boxes:
        # Of a line that runs up the page the height is its width.
        height = min((bottom - top) * high, (right - left) * wide)
        pad = max(_PADDING * height, 1.0)
        place = (left * wide - pad, top * high - pad, right * wide + pad, bottom * high + pad)
        pen.rounded_rectangle(place, radius=max(0.25 * height, 2.0), fill=tint)
    return ImageChops.multiply(image, veil)
