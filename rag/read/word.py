"""Word documents (docx): paragraphs, headings, lists, tables and notes in order.

Walks the XML itself, since tracked insertions and content controls hold words too. Page headers
and footers, comments and images are not read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from rag.read.draft import Draft, Writer
from rag.read.limits import Limits
from rag.read.office import check_archive, core_date
from rag.read.tables import table_lines

__all__ = ["read_docx"]

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TRANSPARENT = {_W + tag for tag in ("sdt", "sdtContent", "customXml", "ins", "moveTo")}
_BREAKS = {_W + "tab": " ", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-"}


def read_docx(data: bytes, limits: Limits) -> Draft:
    """A Word document: paragraphs, headings, lists, tables and notes in order.

    Tracked insertions are read and deletions left out, as if the changes were accepted; hidden
    text is left out.
    """
    import docx

    check_archive(data, "docx", limits)
    document = docx.Document(io.BytesIO(data))
    writer = Writer(limits.max_text_chars)
    levels = _style_levels(document)
    listed = False
    for element in _blocks(document.element.body):
        if element.tag == _W + "tbl":
            writer.lines(table_lines(*_docx_rows(element)))
            listed = False
            continue
        words = _docx_words(element)
        if not words.strip():
            continue
        style = element.find(f"{_W}pPr/{_W}pStyle")
        level = levels.get(style.get(_W + "val") if style is not None else None)
        if level is not None:
            writer.mark("heading", max(level, 1), words)
        item = level is None and _is_list_item(element, style)
        writer.block(f"- {words}" if item else words, "\n" if item and listed else "\n\n")
        listed = item
    for note in _docx_notes(document):
        writer.block(note)
    properties = document.core_properties
    return writer.finish(properties.title or "", core_date(properties))


def _style_levels(document: Any) -> dict[str | None, int]:
    """Style id -> heading level, for the styles that make headings ("Title" is level 1)."""
    levels: dict[str | None, int] = {}
    for style in document.styles.element.iter(_W + "style"):
        name = style.find(_W + "name")
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        words = (name.get(_W + "val") or "") if name is not None else ""
        if match := re.fullmatch(r"heading ([1-9])", words, re.IGNORECASE):
            levels[style.get(_W + "styleId")] = int(match[1])
        elif words.lower() == "title":
            levels[style.get(_W + "styleId")] = 1
        elif outline is not None and (outline.get(_W + "val") or "").isdigit():
            level = int(outline.get(_W + "val")) + 1
            if level <= 9:
                levels[style.get(_W + "styleId")] = level
    return levels


def _blocks(container: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, also those inside content controls and insertions."""
    for child in container:
        if child.tag in (_W + "p", _W + "tbl"):
            yield child
        elif child.tag in _TRANSPARENT:
            yield from _blocks(child)


def _docx_words(root: Any) -> str:
    """The words of a paragraph or cell; paragraphs in it stand on lines of their own."""
    words: list[str] = []
    stack = [root]
    while stack:
        element = stack.pop()
        tag = element.tag
        if tag == _W + "t":
            words.append(element.text or "")
        elif tag in _BREAKS:
            words.append(_BREAKS[tag])
        elif tag in (_W + "del", _W + "moveFrom", _FALLBACK, _W + "pPr"):
            continue
        elif tag == _W + "r" and _is_hidden(element):
            continue
        else:
            if tag == _W + "p" and words:
                words.append("\n")
            stack += reversed(element)
    return "".join(words)


def _is_hidden(run: Any) -> bool:
    """Whether a run is marked as hidden, a point high at most, or white on the page itself."""
    form = run.find(_W + "rPr")
    if form is None:
        return False
    vanish, size = form.find(_W + "vanish"), form.find(_W + "sz")
    if vanish is not None and vanish.get(_W + "val") not in ("0", "false", "off"):
        return True
    if size is not None and (size.get(_W + "val") or "") in ("0", "1", "2"):  # half points
        return True
    colour = form.find(_W + "color")
    if colour is None or (colour.get(_W + "val") or "").upper() != "FFFFFF":
        return False
    # Tables, boxes and styled paragraphs may be dark: what colour they have is not worked out.
    paragraph = next(run.iterancestors(_W + "p"), None)
    dark = paragraph is None or any(
        paragraph.find(f"{_W}pPr/{_W}{name}") is not None for name in ("shd", "pStyle")
    )
    shaded = any(form.find(_W + name) is not None for name in ("shd", "highlight"))
    held = next(run.iterancestors(_W + "tbl", _W + "txbxContent"), None) is not None
    return not (dark or shaded or held)


def _is_list_item(paragraph: Any, style: Any) -> bool:
    if paragraph.find(f"{_W}pPr/{_W}numPr") is not None:
        return True
    return style is not None and (style.get(_W + "val") or "").startswith("List")


def _docx_rows(table: Any) -> tuple[list[list[str]], int | None]:
    """The rows of a table and how many of them it declares to be its header (None: none)."""
    rows: list[list[str]] = []
    header = 0
    for tr in table.iter(_W + "tr"):
        if next(tr.iterancestors(_W + "tbl")) is not table:
            continue  # a table in a cell: its words are in that cell
        row: list[str] = []
        for tc in tr.iter(_W + "tc"):
            if next(tc.iterancestors(_W + "tr")) is not tr:
                continue
            span = tc.find(f"{_W}tcPr/{_W}gridSpan")
            merge = tc.find(f"{_W}tcPr/{_W}vMerge")
            words = _docx_words(tc)
            if merge is not None and merge.get(_W + "val") != "restart" and rows:
                words = rows[-1][len(row)] if len(row) < len(rows[-1]) else ""
            value = span.get(_W + "val") if span is not None else "1"
            width = int(value) if value and value.isdigit() else 1
            row += [words] + [""] * (min(width, 50) - 1)
        if header == len(rows) and tr.find(f"{_W}trPr/{_W}tblHeader") is not None:
            header += 1
        rows.append(row)
    return rows, header or None


def _docx_notes(document: Any) -> Iterator[str]:
    """Footnotes and endnotes, in the order of their parts."""
    from lxml import etree

    for relation in document.part.rels.values():
        if not relation.is_external and relation.reltype.endswith(("/footnotes", "/endnotes")):
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            for note in etree.fromstring(relation.target_part.blob, parser):
                if note.get(_W + "type") is None and (words := _docx_words(note).strip()):
                    yield f"[{note.get(_W + 'id')}] {words}"
