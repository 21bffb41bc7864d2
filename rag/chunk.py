"""Document -> chunks: runs of whole sentences within one section, bounded by the embedder's tokens.

Pure but for the token counter that is handed in. `document.text[c.start:c.end] == c.text` for every
chunk, chunks are ordered and never overlap, and together they hold every sentence. The title and the
heading path go with a chunk as `context`; the embedder reads them, a quotation never holds them.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence

from rag.records import Chunk, Document
from rag.sentences import Span, sentence_spans

__all__ = ["CountTokens", "chunk_document"]

CountTokens = Callable[[Sequence[str]], list[int]]
"""Texts -> how many of the embedder's tokens each takes, without special tokens."""

# Title and date at the head of a Markdown file: read already, and no passage to quote. The first line
# tells front matter from text between two rules.
_FRONT_MATTER = re.compile(
    r"---[ \t]*\n[\w-]+[ \t]*:.*\n(?:.*\n){0,200}?(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
)
_CONTEXT_SHARE = 4  # the context may take a quarter of a chunk's tokens


def chunk_document(document: Document, count: CountTokens, max_tokens: int) -> list[Chunk]:
    """Cut a document into chunks of at most `max_tokens`, the context's tokens included.

    A sentence longer than that is cut at white space; one without any (a hash, a line of CJK) is cut
    at code points.
    """
    chunks: list[Chunk] = []
    for start, end in _sections(document):
        spans = sentence_spans(document.text, start, end)
        if not spans:
            continue
        context = _context(document, spans[0][0], count, max_tokens // _CONTEXT_SHARE)
        room = max_tokens - count([context])[0]
        for piece_start, piece_end in _pack(document.text, spans, count, room):
            text = document.text[piece_start:piece_end]
            page = document.page_at(piece_start)
            chunks.append(Chunk(document.id, piece_start, piece_end, text, context, page))
    return chunks


def _sections(document: Document) -> Iterator[Span]:
    """Spans between headings, sheets and slides. Pages are no sections: sentences run across them."""
    cuts = {mark.start for mark in document.marks if mark.kind != "page"}
    front = _FRONT_MATTER.match(document.text) if document.media_type == "text/markdown" else None
    edges = sorted(cuts | {0, len(document.text)} | ({front.end()} if front else set()))
    for start, end in itertools.pairwise(edges):
        if not (front and end <= front.end()):
            yield start, end


def _context(document: Document, offset: int, count: CountTokens, limit: int) -> str:
    path = [document.title, *document.headings_at(offset)]
    distinct = [part for at, part in enumerate(path) if part and part not in path[:at]]
    context = " > ".join(distinct)
    while context and count([context])[0] > limit:
        context = context[: len(context) * 3 // 4].rstrip()
    return context


def _pack(text: str, spans: list[Span], count: CountTokens, room: int) -> Iterator[Span]:
    """Fill chunks evenly: a section of 1.1 rooms becomes two halves, not a whole and a crumb."""
    pieces = [piece for span in spans for piece in _fit(text, span, count, room)]
    sizes = count([text[start:end] for start, end in pieces])
    share = sum(sizes) / max(1, math.ceil(sum(sizes) / room))
    held = 0
    first = pieces[0][0]
    last = first
    for (start, end), size in zip(pieces, sizes, strict=True):
        # Close a chunk where stopping short misses the even share by less than going on.
        if held and (held + size > room or held + size / 2 > share):
            yield first, last
            first, held = start, 0
        held += size
        last = end
    yield first, last


def _fit(text: str, span: Span, count: CountTokens, room: int) -> Iterator[Span]:
    """The span itself, or pieces of it that fit, cut after white space where there is some."""
    start, end = span
    if count([text[start:end]])[0] <= room:
        yield span
        return
    middle = (start + end) // 2
    space = max(text.rfind(" ", start, middle), text.rfind("\n", start, middle))
    cut = space + 1 if space > start else max(middle, start + 1)
    if cut >= end:
        yield span
        return
    for half in ((start, cut), (cut, end)):
        stop = half[1]
        while stop > half[0] and text[stop - 1].isspace():
            stop -= 1
        if stop > half[0]:
            yield from _fit(text, (half[0], stop), count, room)
