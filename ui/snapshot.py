"""What an answer rests on, as it was when the answer was given: kept, so that it can always be shown.

Documents change and go; the sources of an old answer must not. Knows no store, server or page: the
documents come through two functions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import RagError
from rag.records import Answer, Citation, Document, Hit
from rag.store import StoredDocument
from ui.excerpt import Excerpt, Highlight, excerpts
from ui.tables import TableExcerpt, table_around

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Part", "Source", "from_json", "snapshot", "to_json"]

_CLOSEST = 3  # passages that a refusal shows


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a source with its highlights, and where it stands.

    `heading` is what stands above the first highlight, outermost first, without the title. `table`
    is the same as rows and columns where the source is a table. `last`: the document ends with it.
    """

    excerpt: Excerpt
    heading: tuple[str, ...]
    page: int | None
    table: TableExcerpt | None
    last: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A document that an answer cites. `hash` is of its file; "" where unknown, like `path`."""

    document: str
    title: str
    date: str | None
    media_type: str
    hash: str
    path: str
    parts: tuple[Part, ...]


def snapshot(
    answer: Answer,
    document: Callable[[str], Document],
    stored: Callable[[str], StoredDocument | None],
) -> tuple[Source, ...]:
    """The cited documents in the order of their first marker, each with its parts in text order.

    Highlights are labelled by marker. A refusal has the documents of its three closest passages,
    each passage a part of its own, labelled "p1" to "p3".

    `document` raises a `RagError` where there is no such document. Where it is gone, or does not hold
    the quote at its offsets, the part is the quote alone: its own offsets, no heading, not `last`.
    """
    quotes = _closest(answer.passages) if answer.refused else answer.citations
    parts_of = _one_by_one if answer.refused else _merged
    cited: dict[str, list[Citation]] = {}
    for one in sorted(quotes, key=lambda one: one.marker):
        cited.setdefault(one.document, []).append(one)
    found = []
    for name, held in cited.items():
        whole = _whole(name, document)
        found.append(_source(held[0], whole, stored(name), parts_of(held, whole)))
    return tuple(found)


def to_json(sources: Sequence[Source]) -> str:
    """Sources as JSON text."""
    return _adapter().dump_json(tuple(sources)).decode()


def from_json(text: str) -> tuple[Source, ...]:
    """The inverse of `to_json`. Unknown keys are ignored.

    Raises:
        ValueError: the text is something else.
    """
    return _adapter().validate_json(text)


@functools.cache
def _adapter() -> TypeAdapter[tuple[Source, ...]]:
    from pydantic import TypeAdapter

    return TypeAdapter(tuple[Source, ...])


def _whole(name: str, document: Callable[[str], Document]) -> Document | None:
    try:
        return document(name)
    except RagError:  # removed since the search: the quotes are still shown
        return None


def _source(
    first: Citation, whole: Document | None, stored: StoredDocument | None, parts: Iterable[Part]
) -> Source:
    known = whole or stored
    return Source(
        document=first.document,
        title=first.title or first.document,
        date=first.date,
        media_type=known.media_type if known else "",
        hash=stored.hash if stored else "",
        path=stored.path if stored else "",
        parts=tuple(sorted(parts, key=lambda part: part.excerpt.start)),
    )


def _closest(passages: Sequence[Hit]) -> list[Citation]:
    """The passages that a refusal shows, as citations of all of their text."""
    return [
        Citation(at, hit.document, hit.title, hit.date, hit.page, hit.start, hit.end, hit.text)
        for at, hit in enumerate(passages[:_CLOSEST], start=1)
    ]


def _merged(citations: Sequence[Citation], whole: Document | None) -> Iterator[Part]:
    """The text around the citations, neighbours as one."""
    highlights = []
    for one in citations:
        highlight = Highlight(str(one.marker), one.start, one.end)
        if _holds(whole, one):
            highlights.append(highlight)
        else:
            yield _alone(one, highlight)
    if whole is not None:
        for excerpt in excerpts(whole.text, highlights):
            # A passage may cross pages: the document knows the page that the quote itself is on.
            yield _part(excerpt, whole, whole.page_at(excerpt.highlights[0].start))


def _one_by_one(citations: Sequence[Citation], whole: Document | None) -> Iterator[Part]:
    """Each citation by itself, with nothing around it."""
    for one in citations:
        highlight = Highlight(f"p{one.marker}", one.start, one.end)
        if whole is not None and _holds(whole, one):
            yield _part(Excerpt(one.quote, one.start, one.end, (highlight,)), whole, one.page)
        else:
            yield _alone(one, highlight)


def _holds(whole: Document | None, one: Citation) -> bool:
    return whole is not None and whole.text[one.start : one.end] == one.quote


def _part(excerpt: Excerpt, whole: Document, page: int | None) -> Part:
    labels = whole.headings_at(excerpt.highlights[0].start)
    return Part(
        excerpt,
        heading=tuple(label for label in labels if label != whole.title),
        page=page,
        table=table_around(whole, excerpt.highlights),
        last=excerpt.end >= len(whole.text),
    )


def _alone(one: Citation, highlight: Highlight) -> Part:
    excerpt = Excerpt(one.quote, one.start, one.end, (highlight,))
    return Part(excerpt, heading=(), page=one.page, table=None, last=False)
