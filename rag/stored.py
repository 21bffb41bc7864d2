"""What the store gives back, and the small changes that it takes. Values alone; knows no SQL."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rag.embed import Vectors
from rag.records import Chunk

__all__ = ["Move", "StoredChunk", "StoredDocument", "Touch", "last_page"]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What the store knows of a live document without its text. `size` is in code points.

    `pages` is the number of the last page, slide or sheet, None where there are none. `added` is
    when this version of the document was published, ISO 8601 in UTC to the second; "" for those
    that an earlier version of the program wrote.
    """

    id: str
    source: str
    path: str
    hash: str
    stamp: str
    title: str
    date: str | None
    media_type: str
    size: int
    pages: int | None = None
    added: str = ""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with its key, its document's title and date, and its vectors.

    `vector` has shape (d,), `sentences` shape (n, d), `spans` the n sentence spans within `text`,
    `pages` the page on which each of them begins (a chunk may run across pages).
    """

    key: int
    chunk: Chunk
    title: str
    date: str | None
    vector: Vectors
    spans: tuple[tuple[int, int], ...]
    sentences: Vectors
    pages: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """A live document, called `old` so far, whose file has another name now."""

    old: str
    id: str
    source: str
    path: str
    stamp: str
    title: str


@dataclass(frozen=True, slots=True)
class Touch:
    """A live document whose file was written again with the same content."""

    id: str
    stamp: str


def last_page(marks: str) -> int | None:
    """The number of the last page, slide or sheet among a document's marks, which are JSON."""
    numbers = (n for _, kind, n, _ in json.loads(marks) if kind in ("page", "slide", "sheet"))
    return max(numbers, default=None)
