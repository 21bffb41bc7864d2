"""PowerPoint presentations (pptx): titles, words, tables, chart figures and speaker notes.

A mark stands at each slide, hidden ones included. Images and SmartArt are not read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from rag.read.draft import Draft, Writer, one_line
from rag.read.limits import Limits
from rag.read.office import cell_words, check_archive, core_date
from rag.read.tables import table_lines

__all__ = ["read_pptx"]


def read_pptx(data: bytes, limits: Limits) -> Draft:
    """A presentation: each slide's title, words, tables, chart figures and speaker notes."""
    import pptx

    check_archive(data, "pptx", limits)
    presentation = pptx.Presentation(io.BytesIO(data))
    writer = Writer(limits.max_text_chars)
    for number, slide in enumerate(presentation.slides, start=1):
        title = slide.shapes.title
        words = one_line(title.text_frame.text) if title is not None else ""
        writer.mark("slide", number, words)
        if words:
            writer.mark("heading", 1, words)
        for shape in _shapes(slide.shapes):
            _write_shape(writer, shape)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.strip()
            writer.block(f"Notes: {notes}" if notes else "")
    properties = presentation.core_properties
    given = properties.title or ""
    made_up = given == "PowerPoint Presentation"
    return writer.finish("" if made_up else given, core_date(properties))


def _shapes(shapes: Any) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _write_shape(writer: Writer, shape: Any) -> None:
    if shape.has_text_frame:
        paragraphs = [(p.text.replace("\v", "\n"), p.level) for p in shape.text_frame.paragraphs]
        filled = [(words, level) for words, level in paragraphs if words.strip()]
        items = len(filled) > 1
        writer.block("\n".join(f"- {words}" if items else words for words, _ in filled))
    elif shape.has_table:
        rows = [
            ["" if cell.is_spanned else cell.text.replace("\v", " ") for cell in row.cells]
            for row in shape.table.rows
        ]
        writer.lines(table_lines(rows))
    elif shape.has_chart:
        for plot in shape.chart.plots:
            series = list(plot.series)
            rows = [["", *(s.name or "" for s in series)]]
            for at, category in enumerate(plot.categories):
                values = [s.values[at] if at < len(s.values) else None for s in series]
                rows.append([str(category), *(cell_words(value, "") for value in values)])
            writer.lines(table_lines(rows, 1))
