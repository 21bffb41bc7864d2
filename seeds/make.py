"""Write the binary sample documents: `seeds/source/NAME.EXT.md` becomes `documents/NAME.EXT`.

The same sources give the same files: dates inside them come from the source's `date:` line, never
from the clock. This script knows a small part of Markdown (headings, paragraphs, lists, tables and
`---` for a new page) and four writers; it knows nothing of how Footnote reads the files again.

    python seeds/make.py [FOLDER]        FOLDER is seeds/documents unless given
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

__all__ = ["Block", "Source", "main", "make", "parse"]

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "source"
DOCUMENTS = HERE / "documents"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Block:
    """A heading, paragraph, list, table or page break.

    `rows` holds the table's rows of cells; a list has one cell per row; a heading or paragraph has
    one row of one cell. `level` is the heading's (1 is the top), else 0.
    """

    kind: str
    rows: tuple[tuple[str, ...], ...] = ()
    level: int = 0

    @property
    def text(self) -> str:
        """The words of a heading or paragraph."""
        return self.rows[0][0]


@dataclass(frozen=True)
class Source:
    """A parsed source: what the file's properties say, and its blocks."""

    title: str
    author: str
    date: datetime
    blocks: tuple[Block, ...]


def parse(text: str) -> Source:
    """Read a source: `key: value` lines, an empty line, then blocks parted by empty lines."""
    head, *parts = re.split(r"\n\s*\n", text.strip())
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    date = datetime.fromisoformat(fields["date"])
    return Source(fields["title"], fields["author"], date, tuple(map(_block, parts)))


def _block(part: str) -> Block:
    lines = part.splitlines()
    if part == "---":
        return Block("break")
    if heading := re.fullmatch(r"(#+) (.+)", part):
        return Block("heading", ((heading[2],),), len(heading[1]))
    if part.startswith("- "):
        return Block("list", tuple((line.removeprefix("- "),) for line in lines))
    if part.startswith("|"):
        rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
        return Block("table", (rows[0], *rows[2:]))  # the second line only draws the rule
    return Block("paragraph", ((" ".join(lines),),))


def make(source: Path, folder: Path) -> Path:
    """Write one document into `folder` and return its path."""
    target = folder / source.name.removesuffix(".md")
    data = WRITERS[target.suffix](parse(source.read_text(encoding="utf-8")))
    target.write_bytes(data)
    return target


def _pdf(source: Source) -> bytes:
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

    styles = getSampleStyleSheet()
    grid = [("GRID", (0, 0), (-1, -1), 0.5, colors.grey)]
    story = []
    for block in source.blocks:
        if block.kind == "break":
            story.append(PageBreak())
        elif block.kind == "heading":
            story.append(Paragraph(block.text, styles[f"Heading{block.level}"]))
        elif block.kind == "list":
            story += [Paragraph(row[0], styles["Normal"], bulletText="•") for row in block.rows]
        elif block.kind == "table":
            story += [Table(block.rows, style=grid, hAlign="LEFT")]
        else:
            story.append(Paragraph(block.text, styles["BodyText"]))
        story.append(Spacer(1, 6))
    stream = BytesIO()
    layout = SimpleDocTemplate(
        stream, pagesize=A4, title=source.title, author=source.author, invariant=1
    )
    # `invariant` leaves the clock out but dates every file 2000-01-01: write the source's date.
    layout.build(
        story,
        onFirstPage=lambda canvas, _: canvas.setDateFormatter(
            lambda *_: f"D:{source.date:%Y%m%d}000000Z"
        ),
    )
    return stream.getvalue()


def _docx(source: Source) -> bytes:
    from docx import Document

    document = Document()
    _stamp(document.core_properties, source)
    for block in source.blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=block.level)
        elif block.kind == "list":
            for (item,) in block.rows:
                document.add_paragraph(item, style="List Bullet")
        elif block.kind == "table":
            table = document.add_table(len(block.rows), len(block.rows[0]), style="Table Grid")
            for at, value in _cells(block):
                table.cell(*at).text = value
        else:
            document.add_paragraph(block.text)
    return _saved(document.save)


def _pptx(source: Source) -> bytes:
    from pptx import Presentation
    from pptx.util import Cm

    deck = Presentation()
    _stamp(deck.core_properties, source)
    for block in source.blocks:
        if block.kind == "heading":
            slide = deck.slides.add_slide(deck.slide_layouts[5])  # title only
            slide.shapes.title.text = block.text
            continue
        box = (Cm(2), Cm(5), Cm(21), Cm(9))
        if block.kind == "table":
            table = slide.shapes.add_table(len(block.rows), len(block.rows[0]), *box).table
            for at, value in _cells(block):
                table.cell(*at).text = value
        else:
            slide.shapes.add_textbox(*box).text_frame.text = "\n".join(row[0] for row in block.rows)
    return _saved(deck.save)


def _xlsx(source: Source) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    book.properties.title, book.properties.creator = source.title, source.author
    book.properties.created = source.date
    for block in source.blocks:
        if block.kind == "heading":
            sheet = book.create_sheet(block.text)
        else:
            for row in block.rows:
                sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
    return _saved(book.save, source.date)


def _cells(table: Block) -> Iterator[tuple[tuple[int, int], str]]:
    for y, row in enumerate(table.rows):
        for x, value in enumerate(row):
            yield (y, x), value


def _stamp(properties: Any, source: Source) -> None:
    """Set the properties that python-docx and python-pptx name alike."""
    properties.title, properties.author = source.title, source.author
    properties.last_modified_by = source.author
    properties.created = properties.modified = source.date


def _saved(save: Callable[[BytesIO], object], modified: datetime | None = None) -> bytes:
    """What `save` writes, zipped again in order of name and without the clock.

    `modified` replaces the time that openpyxl takes from the clock whatever it was told.
    """
    saved, repacked = BytesIO(), BytesIO()
    save(saved)
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(repacked, "w") as new:
        for name in sorted(old.namelist()):
            data = old.read(name)
            if modified and name == "docProps/core.xml":
                stamp = rb"\g<1>" + modified.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", stamp, data)
            info = zipfile.ZipInfo(name, date_time=ZIP_EPOCH)
            new.writestr(info, data, zipfile.ZIP_DEFLATED)
    return repacked.getvalue()


WRITERS: dict[str, Callable[[Source], bytes]] = {
    ".pdf": _pdf,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
}


def main(folder: Path = DOCUMENTS) -> list[Path]:
    """Write every binary document into `folder`; return their paths in order of name."""
    return [make(source, folder) for source in sorted(SOURCES.glob("*.md"))]


if __name__ == "__main__":
    for written in main(*map(Path, sys.argv[1:2])):
        print(written)
