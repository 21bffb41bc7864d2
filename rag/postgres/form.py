"""How a document, a chunk and a vector stand in rows, and back. Pure.

A text's NUL, which PostgreSQL can't hold, is stored as a code point that no text has. Vectors are
halfvec (passages) and int8 scaled by 127 (sentences), bit for bit as in SQLite.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from rag.embed import Embedding
from rag.records import Chunk, Document, Mark
from rag.stored import StoredChunk, StoredDocument

__all__ = [
    "chunk_of",
    "chunk_row",
    "document_of",
    "given",
    "halves",
    "handle",
    "held",
    "listed_of",
    "marks_text",
]

_NUL = "\U0010ffff"


def handle(document_id: str) -> bytes:
    """An identifier as an index holds it, however long it is."""
    return hashlib.sha256(document_id.encode()).digest()[:16]


def held(text: str) -> str:
    """A text as it is stored."""
    return text.replace("\0", _NUL)


def given(text: str) -> str:
    """A stored text as it was."""
    return text.replace(_NUL, "\0")


def halves(sent: bytes) -> np.ndarray:
    """A halfvec as the server sends it: shape (d,), float16."""
    return np.frombuffer(sent, ">f2", offset=4).astype(np.float16)


def marks_text(document: Document) -> str:
    """A document's marks as JSON."""
    return json.dumps([list(asdict(mark).values()) for mark in document.marks])


def document_of(row: Sequence[Any]) -> Document:
    """(id, text, title, date, media_type, marks) as a document."""
    identifier, text, title, date, media_type, marks = row
    placed = tuple(Mark(*mark) for mark in json.loads(given(marks)))
    return Document(given(identifier), given(text), given(title), date, media_type, placed)


def listed_of(row: Sequence[Any]) -> StoredDocument:
    """The columns that a list of documents shows, in the order of the record's fields."""
    texts = [given(one) for one in row[:6]]
    return StoredDocument(*[*texts, *row[6:]])


def chunk_row(
    document: Document, chunk: Chunk, places: Sequence[tuple[int, int]], embedding: Embedding
) -> list[Any]:
    """(start, end, page, context, text, vector, spans, sentences) of a chunk."""
    from pgvector import HalfVector

    spans = [[*span, document.page_at(chunk.start + span[0])] for span in places]
    return [
        *(chunk.start, chunk.end, chunk.page, held(chunk.context), held(chunk.text)),
        HalfVector(embedding.passage.astype("<f2")),
        json.dumps(spans),
        np.round(embedding.sentences * 127).astype(np.int8).tobytes(),
    ]


def chunk_of(row: Sequence[Any]) -> StoredChunk:
    """(key, id, start, end, text, context, page, title, date, vector, spans, sentences) as a chunk."""
    key, document, start, end, text, context, page, title, date, sent, spans, packed = row
    vector = halves(sent).astype(np.float32)
    sentences = np.frombuffer(packed, np.int8).astype(np.float32) / np.float32(127)
    placed = json.loads(spans)
    return StoredChunk(
        key,
        Chunk(given(document), start, end, given(text), given(context), page),
        given(title),
        date,
        vector,
        tuple((a, b) for a, b, _ in placed),
        sentences.reshape(-1, len(vector)),
        tuple(page for _, _, page in placed),
    )
