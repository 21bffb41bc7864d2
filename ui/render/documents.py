"""A collection's documents -> the list of them, and the text of one. Pure: knows no server or store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from rag.records import Document, Mark
from rag.scope import KINDS, kind_of
from ui.listing import Filters, Listing, Row
from ui.render.text import esc, one_line
from ui.strings import Say

__all__ = ["About", "TextPage", "list_html", "text_html", "text_page", "view_html"]

_PART = 20_000  # characters of a text that are shown at once
_COLUMNS = ("title", "kind", "pages", "size", "date", "status", "added")


@dataclass(frozen=True, slots=True)
class About:
    """A collection as its view shows it. `endings` are those of files that can be read."""

    name: str
    chunks: int
    may_edit: bool
    private: bool
    endings: tuple[str, ...]
    most_mb: int


# The view


def view_html(about: About, listing: Listing, filters: Filters, say: Say) -> str:
    """The whole view of a collection: heading, drop zone, filters, list."""
    private = f'<span class="fn-badge">{esc(say("documents.private"))}</span>'
    edit = _editing(about, say) if about.may_edit else ""
    drop = _drop(about, say) if about.may_edit else ""
    return (
        f'<div class="fn-docs" data-collection="{esc(about.name)}" data-edit="{int(about.may_edit)}"'
        f' data-endings="{esc(" ".join(about.endings))}" data-kinds="{" ".join(KINDS)}"'
        f' data-most="{about.most_mb * 1_000_000}"'
        f' data-most-mb="{about.most_mb}">'
        f'<div class="fn-docs-top"><h2 tabindex="-1"><bdi>{esc(about.name)}</bdi></h2>'
        f"{private if about.private else ''}{edit}</div>{drop}"
        '<ul class="fn-docs-uploads"></ul>'
        '<div class="fn-docs-tasks" role="status" aria-live="polite"></div>'
        f"{_filter_row(listing.kinds, filters, say)}"
        f'<div class="fn-docs-list">{list_html(about, listing, filters, say)}</div>'
        '<div class="fn-docs-reader" hidden></div></div>'
    )


def _editing(about: About, say: Say) -> str:
    return (
        '<div class="fn-docs-edit">'
        f"{_button('index', say('documents.index'))}"
        f"{_button('create', say('documents.create'), 'fn-quiet')}"
        f"{_button('remove', say('documents.remove'), 'fn-quiet fn-docs-danger')}</div>"
    )


def _drop(about: About, say: Say) -> str:
    hint = esc(say("documents.drop.hint", kinds=" ".join(KINDS), most=about.most_mb))
    return (
        f'<div class="fn-docs-drop"><p>{esc(say("documents.drop"))} '
        f"{_button('choose', say('documents.choose'), 'fn-primary')}</p>"
        f'<p class="fn-docs-hint">{hint}</p>'
        f'<input type="file" multiple hidden aria-hidden="true" tabindex="-1"'
        f' accept="{esc(",".join(about.endings))}"></div>'
    )


def _filter_row(kinds: Mapping[str, int], filters: Filters, say: Say) -> str:
    options = f'<option value="">{esc(say("documents.kind.all"))}</option>' + "".join(
        f'<option value="{esc(kind)}"{" selected" if kind == filters.kind else ""}>'
        f"{esc(kind)} ({count})</option>"
        for kind, count in kinds.items()
    )
    return (
        f'<form class="fn-docs-filters" role="search" aria-label="{esc(say("documents.filters"))}">'
        f'<label class="fn-docs-q"><span>{esc(say("documents.search"))}</span>'
        f'<input type="search" name="q" value="{esc(filters.q)}" autocomplete="off"></label>'
        f"<label><span>{esc(say('documents.kind'))}</span>"
        f'<select name="kind">{options}</select></label>'
        f"<label><span>{esc(say('documents.after'))}</span>"
        f'<input type="date" name="after" value="{esc(filters.after)}"></label>'
        f"<label><span>{esc(say('documents.before'))}</span>"
        f'<input type="date" name="before" value="{esc(filters.before)}"></label>'
        '<div class="fn-docs-filter-buttons">'
        f"{_button('clear', say('documents.clear'), 'fn-quiet')}"
        f"{_button('use', say('documents.use'))}</div></form>"
    )


# The list


def list_html(about: About, listing: Listing, filters: Filters, say: Say) -> str:
    """The part of the view that filters, sorting and indexing change."""
    if not listing.total:
        hint = say("documents.empty.edit" if about.may_edit else "documents.empty.read")
        return _nothing(say("documents.empty"), hint)
    counts = (
        say("documents.count", n=listing.total) + ", " + say("documents.chunks", n=about.chunks)
    )
    if filters:
        counts = say("documents.matching", n=listing.matching) + " · " + counts
    head = f'<p class="fn-docs-counts" role="status">{esc(counts)}</p>'
    if not listing.rows:
        return head + _nothing(say("documents.nomatch"), say("documents.nomatch.hint"))
    rows = "".join(_row(row, about.may_edit, say) for row in listing.rows)
    pager = _pager("page", listing.page, listing.pages, say)
    return (
        f"{head}{_selection(about.may_edit, say)}"
        f'<table class="fn-docs-table" role="table">'
        f'<caption class="fn-hidden">{esc(say("documents.title"))}</caption>'
        f'<thead role="rowgroup"><tr role="row">{_heads(filters.sort, say)}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table>{pager}'
    )


def _nothing(title: str, hint: str) -> str:
    return f'<div class="fn-docs-nothing"><p><b>{esc(title)}</b></p><p>{esc(hint)}</p></div>'


def _selection(may_edit: bool, say: Say) -> str:
    delete = _button("delete-chosen", say("documents.delete"), "fn-quiet fn-docs-danger")
    return (
        '<div class="fn-docs-selection" hidden><span class="fn-docs-chosen" role="status"></span>'
        f"{_button('ask-chosen', say('documents.ask.these'))}{delete if may_edit else ''}</div>"
    )


def _heads(sort: str, say: Say) -> str:
    every = esc(say("documents.select.all"))
    cells = [
        '<th role="columnheader" scope="col">'
        f'<input type="checkbox" data-do="documents.all" aria-label="{every}"></th>'
    ]
    for name in _COLUMNS:
        down = sort == f"-{name}"
        order = "descending" if down else "ascending"
        state = f' aria-sort="{order}"' if sort.removeprefix("-") == name else ""
        arrow = (' <span aria-hidden="true">' + ("▾" if down else "▴") + "</span>") if state else ""
        cells.append(
            f'<th role="columnheader" scope="col"{state}><button type="button" class="fn-docs-sort"'
            f' data-do="documents.sort" data-sort="{name if down or not state else "-" + name}">'
            f"{esc(say(f'documents.column.{name}'))}{arrow}</button></th>"
        )
    return "".join(cells)


def _row(row: Row, may_edit: bool, say: Say) -> str:
    title = one_line(row.title, 200)
    key = f' data-id="{quote(row.id, safe="")}" data-upload="{quote(row.upload, safe="")}"'
    label = esc(say("documents.select", title=title))
    cells = [
        f'<td role="cell" class="fn-docs-check"><input type="checkbox" aria-label="{label}"></td>',
        f'<td role="cell" class="fn-docs-name"><b dir="auto">{esc(title)}</b>'
        + (f"<small><bdi>{esc(row.name)}</bdi></small>" if row.name != title else "")
        + f'<div class="fn-docs-actions">{_actions(row, title, may_edit, say)}</div></td>',
        _cell("kind", esc(row.kind), say),
        _cell("pages", str(row.pages) if row.pages else "", say),
        _cell("size", esc(_size(row, say)), say),
        _cell("date", esc(row.date), say),
        _cell("status", _status(row, say), say),
        _cell("added", _added(row, say), say),
    ]
    return f'<tr role="row"{key}>{"".join(cells)}</tr>'


def _cell(column: str, inner: str, say: Say) -> str:
    label = esc(say(f"documents.column.{column}"))
    empty = "" if inner else " fn-docs-none"
    return f'<td role="cell" class="fn-docs-{column}{empty}" data-label="{label}">{inner}</td>'


def _status(row: Row, say: Say) -> str:
    words = esc(say(f"documents.status.{row.status}"))
    if row.status == "failed":
        older = f" {esc(say('documents.status.older'))}" if row.id else ""
        words = f'<b>{words}</b>: <span dir="auto">{esc(one_line(row.reason, 300))}</span>{older}'
    return f'<span class="fn-docs-state fn-docs-{row.status}">{words}</span>'


def _added(row: Row, say: Say) -> str:
    day = f'<time datetime="{esc(row.added)}">{esc(row.added[:10])}</time>' if row.added else ""
    return day + (f" <small><bdi>{esc(row.by)}</bdi></small>" if row.by else "")


def _actions(row: Row, title: str, may_edit: bool, say: Say) -> str:
    named = [("ask", "fn-quiet"), ("read", "fn-quiet")] if row.id else []
    if may_edit:
        named.append(("delete", "fn-quiet fn-docs-danger"))
    pieces = []
    for name, kind in named:
        words = say(f"documents.{name}")
        pieces.append(_button(name, words, kind, f"{words}: {title}"))
    return "".join(pieces)


def _size(row: Row, say: Say) -> str:
    return _length(row.size, say) if row.id else _bytes(row.bytes, say)


def _length(size: int, say: Say) -> str:
    if size < 1000:
        return say("documents.size", n=size)
    step, key = (1e6, "documents.size.m") if size >= 999_500 else (1e3, "documents.size.k")
    return say(key, size=f"{size / step:.3g}")


def _bytes(size: int, say: Say) -> str:
    if size < 999_500:
        return say("documents.bytes.k", size=f"{max(size / 1e3, 0.1):.3g}")
    return say("documents.bytes.m", size=f"{size / 1e6:.3g}")


def _pager(what: str, page: int, pages: int, say: Say) -> str:
    if pages == 1:
        return ""
    before = _paged(what, page - 1, say("documents.previous"), page > 1)
    after = _paged(what, page + 1, say("documents.next"), page < pages)
    where = esc(say("documents.page.of", page=page, pages=pages))
    named = f'role="group" aria-label="{esc(say("documents.pager"))}"'
    return f'<div class="fn-docs-pager" {named}>{before}<span>{where}</span>{after}</div>'


def _paged(what: str, page: int, words: str, there: bool) -> str:
    off = "" if there else " disabled"
    return (
        f'<button type="button" class="fn-button fn-quiet" data-do="documents.{what}"'
        f' data-page="{page}"{off}>{esc(words)}</button>'
    )


def _button(name: str, words: str, kind: str = "", label: str = "") -> str:
    named = f' aria-label="{esc(label)}"' if label else ""
    return (
        f'<button type="button" class="{f"fn-button {kind}".strip()}" data-do="documents.{name}"'
        f"{named}>{esc(words)}</button>"
    )


# One document's text


@dataclass(frozen=True, slots=True)
class TextPage:
    """Characters `start..end` of a document's text: part `page` of `pages`, both from 1."""

    start: int
    end: int
    page: int
    pages: int


def text_page(text: str, page: int) -> TextPage:
    """Part `page` (the nearest there is) of a text cut at line ends every 20,000 characters or so."""
    cuts = [0]
    while len(text) - cuts[-1] > _PART * 1.25:
        low, high = cuts[-1] + _PART // 2, cuts[-1] + _PART
        cut = text.rfind("\n\n", low, high) + 2
        if cut < low:
            cut = text.rfind("\n", low, high) + 1
        cuts.append(cut if cut > low else high)
    page = min(max(page, 1), len(cuts))
    return TextPage(cuts[page - 1], [*cuts[1:], len(text)][page - 1], page, len(cuts))


def text_html(document: Document, page: int, say: Say) -> str:
    """The reader's view of one part of a document: its normalised text, its headings and pages."""
    part = text_page(document.text, page)
    kind = kind_of(document.media_type, document.id)
    facts = [document.id, kind, document.date or "", _length(len(document.text), say)]
    shown = " · ".join(f"<bdi>{esc(fact)}</bdi>" for fact in facts if fact)
    pager = _pager("part", part.page, part.pages, say)
    title = one_line(document.title or document.id, 300)
    return (
        f'<article class="fn-reader" data-id="{quote(document.id, safe="")}">'
        f"{_button('back', say('documents.back'), 'fn-quiet')}"
        f'<h2 tabindex="-1" dir="auto">{esc(title)}</h2><p class="fn-docs-hint">{shown}</p>{pager}'
        f'<div class="fn-reader-text">{"".join(_pieces(document, part, say))}</div>{pager}</article>'
    )


def _pieces(document: Document, part: TextPage, say: Say) -> Iterator[str]:
    """Headings as headings, pages and sheets as lines between, all other text as it is."""
    at = part.start
    for mark in _within(document.marks, part):
        yield _plain(document.text[at : mark.start])
        at = max(at, mark.start)
        if mark.kind != "heading":
            label = f": {one_line(mark.label, 120)}" if mark.label else ""
            words = say(f"documents.mark.{mark.kind}", number=mark.number) + label
            yield f'<p class="fn-reader-mark" dir="auto">{esc(words)}</p>'
            continue
        end = document.text.find("\n", at, part.end)
        end = part.end if end < 0 else end
        level = min(mark.number + 2, 6)
        if line := document.text[at:end].strip():
            yield f'<h{level} dir="auto">{esc(line)}</h{level}>'
        at = end
    yield _plain(document.text[at : part.end])


def _within(marks: Iterable[Mark], part: TextPage) -> list[Mark]:
    return [mark for mark in marks if part.start <= mark.start < part.end]


def _plain(text: str) -> str:
    return f'<div dir="auto">{esc(text.strip(chr(10)))}</div>' if text.strip() else ""
