"""One part of a source as it stands in the document: text or table, with its quotes marked. Pure.

Each quote's anchor, `src-TURN-MARKER`, stands once, before its first character, and carries what the
small card above a marker says. Its marks have the class `cite-TURN-MARKER`, in as many pieces as
overlapping quotes, lines and cells cut it into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rag.records import Answer
from rag.scope import kind_of
from ui.excerpt import Block, Piece
from ui.render.text import esc, one_line
from ui.snapshot import Part, Source
from ui.strings import Say
from ui.tables import Cell, TableExcerpt

__all__ = ["SIGNS", "Passage", "page_words", "quote_of"]

SIGNS = {"supported": "✓", "partial": "◐", "unsupported": "✗"}
"""What stands for a status, the best first."""

_WRAPPED = {"md", "txt", "eml"}  # where a line's end may be nothing but the width of a page
_PARAGRAPHS = {"pdf", "docx", "pptx", "html"}  # where it ends a paragraph, or an item
_SHORT_LINE = 60  # characters of a line that may be a heading
_ITEM = re.compile(r"\s*(?:[-*•]|\d{1,3}[.)])\s")
_HEAD = re.compile(r"#{1,6}\s")
_JOINT = 8  # characters between two rows at most: where there are more, a row was left out
_SHORT_CELL = 12  # characters
_IN_CARD = 400  # characters of a quote


def page_words(kind: str, page: int, say: Say) -> str:
    """ "page 3" or "slide 3"."""
    return say("sources.slide" if kind == "pptx" else "sources.page", page=page)


def quote_of(part: Part, label: str) -> str:
    """The cited words, exactly."""
    at = part.excerpt.start
    spans = (one for one in part.excerpt.highlights if one.label == label)
    return "\n".join(part.excerpt.text[one.start - at : one.end - at] for one in spans)


class Passage:
    """Writes one part of `source`, cited by `answer`, for the panel of `turn`."""

    def __init__(self, turn: str, answer: Answer, source: Source, part: Part, say: Say) -> None:
        self._turn, self._answer, self._source, self._part = turn, answer, source, part
        self._say = say
        self._kind = kind_of(source.media_type, source.document)
        self._named: set[str] = set()

    def html(self) -> str:
        """The part as a table where it is one, else as text."""
        if self._part.table is None:
            shown = self._text(self._part.excerpt.blocks(unwrap=self._kind in _WRAPPED))
        else:
            shown = self._table(self._part.table)
        # A click must always lead somewhere, also to words that no cell shows.
        rest = self._new(one.label for one in self._part.excerpt.highlights)
        return "".join(rest) + shown

    # Text

    def _text(self, blocks: Iterable[Block]) -> str:
        lines = [self._line(block) for block in blocks]
        if self._part.excerpt.start > 0:
            lines[0] = (lines[0][0], '<span aria-hidden="true">… </span>' + lines[0][1])
        if not self._part.last:
            lines[-1] = (lines[-1][0], lines[-1][1] + '<span aria-hidden="true"> …</span>')
        inner = "".join(f'<p class="{names}">{text}</p>' for names, text in lines)
        return f'<blockquote dir="auto">{inner}</blockquote>'

    def _line(self, block: Block) -> tuple[str, str]:
        """The classes of a line, and its text."""
        names = ["fn-line"] + (["fn-apart"] if block.apart else [])
        text = block.text.strip()
        if self._is_head(text, block.apart):
            names.append("fn-line-head")
        elif _ITEM.match(block.text):
            names.append("fn-line-item")
        return " ".join(names), "".join(self._piece(piece) for piece in block.pieces)

    def _is_head(self, text: str, apart: bool) -> bool:
        """Whether a line is a heading, or looks like one where a line is a whole paragraph."""
        if text in (*self._part.heading, self._source.title):
            return True
        if self._kind == "md":
            return bool(_HEAD.match(text))
        short = len(text) <= _SHORT_LINE and text[0].isupper() and text[-1].isalnum()
        return self._kind in _PARAGRAPHS and apart and short

    def _piece(self, piece: Piece) -> str:
        text, labels = piece
        if not labels:
            return esc(text)
        cites = " ".join(f"cite-{esc(self._turn)}-{esc(label)}" for label in labels)
        return f'{"".join(self._new(labels))}<mark class="{cites}">{esc(text)}</mark>'

    # Anchors

    def _new(self, labels: Iterable[str]) -> Iterator[str]:
        for label in labels:
            if label not in self._named:
                self._named.add(label)
                yield self._anchor(label)

    def _anchor(self, label: str) -> str:
        said = [one.status for one in self._answer.sentences if label in map(str, one.citations)]
        worst = max(said, key=list(SIGNS).index, default="")
        facts = {
            "marker": label,
            "title": one_line(self._source.title or self._source.document),
            "where": self._where(label),
            "date": self._source.date or "",
            "kind": worst,
            "status": f"{SIGNS[worst]} {self._say('sources.status.' + worst)}" if worst else "",
            "quote": one_line(quote_of(self._part, label), _IN_CARD),
        }
        data = " ".join(f'data-{name}="{esc(value)}"' for name, value in facts.items())
        number = f'<span class="fn-number">{label}</span>' if label.isdigit() else ""
        return (
            f'<span class="fn-anchor" id="src-{esc(self._turn)}-{esc(label)}" tabindex="-1" {data}>'
            f'<span class="fn-hidden">{esc(self._say("sources.source"))} </span>{number}</span>'
        )

    def _where(self, label: str) -> str:
        cited = (one.page for one in self._answer.citations if str(one.marker) == label)
        page = next(cited, None) or self._part.page
        if page is not None:
            return page_words(self._kind, page, self._say)
        if self._kind == "xlsx" and self._part.heading:
            return self._say("sources.sheet", name=self._part.heading[0])
        return ""

    # Tables

    def _table(self, table: TableExcerpt) -> str:
        head = "".join(f'<th scope="col">{self._cell(one)}</th>' for one in table.header)
        width = max([len(table.header), *(len(row) for row in table.rows)])
        gap = (
            f'<tr class="fn-more"><td colspan="{width}"><span aria-hidden="true">…</span>'
            f'<span class="fn-hidden">{esc(self._say("sources.more"))}</span></td></tr>'
        )
        body = gap if table.more_before else ""
        end = table.start
        for row in table.rows:
            body += (gap if row[0].start > end + _JOINT else "") + self._row(row)
            end = row[-1].end
        body += gap if table.more_after else ""
        label = esc(self._say("sources.table", name=one_line(self._source.title, 80)))
        return (
            f'<div class="fn-table" role="region" tabindex="0" aria-label="{label}"><table dir="auto">'
            + (f"<thead><tr>{head}</tr></thead>" if head else "")
            + f"<tbody>{body}</tbody></table></div>"
        )

    def _row(self, row: Sequence[Cell]) -> str:
        lit = ' class="fn-row-lit"' if any(cell.marks for cell in row) else ""
        return f"<tr{lit}>{''.join(f'{self._td(one)}' for one in row)}</tr>"

    def _td(self, cell: Cell) -> str:
        short = ' class="fn-short"' if len(cell.text) <= _SHORT_CELL else ""  # a date stays whole
        return f"<td{short}>{self._cell(cell)}</td>"

    def _cell(self, cell: Cell) -> str:
        return self._piece((one_line(cell.text), cell.marks)) if cell.text else ""
