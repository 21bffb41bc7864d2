"""Documents on their way into the store: read, chunked, embedded, staged.

What is staged is seen by no reader. When it is published, and what it replaces, is decided by
`rag.collection`.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace

from rag.backend import Passages
from rag.chunk import chunk_document
from rag.embed import Embedder
from rag.errors import ReadError
from rag.hardware import thread_count
from rag.plan import Found, spelled
from rag.read import Limits, read_files
from rag.records import Document
from rag.sentences import sentence_spans
from rag.settings import Settings
from rag.utf8 import storable

__all__ = ["Job", "batches", "given_job", "read_jobs", "read_limits", "stage_batch"]

# What is embedded and written together, some ten seconds of work: a killed run loses no more.
_BATCH_DOCUMENTS = 64
_BATCH_CHARS = 200_000

_FILES_A_READER = 16  # a second process has to earn its start
_AHEAD = 16  # files read beside the embedding of those before them
_PAGE_CHARS = 3000


@dataclass(frozen=True, slots=True)
class Job:
    """A document to be written, and where it comes from."""

    document: Document
    source: str
    path: str
    digest: str
    stamp: str

    @property
    def pages(self) -> int:
        """How many pages there are; of what has none, how many would print."""
        marked = sum(mark.kind == "page" for mark in self.document.marks)
        return marked or 1 + len(self.document.text) // _PAGE_CHARS


def given_job(document: Document, source: str) -> Job:
    """A document that is in memory already: its content is what its digest is made of."""
    clean = replace(document, text=storable(document.text), title=storable(document.title))
    digest = hashlib.sha256(repr(clean).encode()).hexdigest()
    return Job(clean, source, "", digest, "")


def read_limits(settings: Settings) -> Limits:
    """What reading one file may cost."""
    return Limits(
        max_bytes=settings.max_file_mb * 1_000_000,
        seconds=settings.parse_seconds,
        memory_mb=settings.parse_memory_mb,
    )


def read_jobs(
    todo: list[Found], source: str, settings: Settings, failed: list[dict[str, str]]
) -> Generator[Job]:
    """Read files in order, the next batch while the caller embeds this one.

    Those that can't be read are put into `failed`, with the reason. Close it to end the reading.
    """
    found = {item.id: item for item in todo}
    items = [(one.id, one.path) for one in todo]
    readers = min(thread_count(settings.threads), 1 + len(items) // _FILES_A_READER)
    outcomes = read_files(items, read_limits(settings), readers, ahead=_AHEAD)
    with contextlib.closing(outcomes):
        for document_id, path, result in outcomes:
            if isinstance(result, ReadError):
                failed.append({"path": spelled(path), "error": str(result)})
                continue
            item = found[document_id]
            yield Job(result, source, spelled(item.path), item.hash, item.stamp)


def batches(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """As many documents at a time as are embedded and written together."""
    batch: list[Job] = []
    chars = 0
    for job in jobs:
        batch.append(job)
        chars += len(job.document.text)
        if len(batch) == _BATCH_DOCUMENTS or chars >= _BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def stage_batch(
    batch: list[Job],
    store: Passages,
    embedder: Embedder,
    settings: Settings,
    progress: Callable[[float], None] = lambda share: None,
) -> list[str]:
    """Chunk and embed documents, and stage them in one short transaction; returns their ids.

    `progress` is called with the share of their passages that are embedded.
    """
    limit = min(settings.chunk_tokens, embedder.max_tokens - 2)
    if settings.whole_documents:
        limit = sys.maxsize
    by_document = [chunk_document(job.document, embedder.count, limit) for job in batch]
    chunks = [chunk for one in by_document for chunk in one]
    spans = [sentence_spans(chunk.text) for chunk in chunks]
    embedded = embedder.embed(
        [chunk.text for chunk in chunks],
        [chunk.context for chunk in chunks],
        spans,
        lambda done: progress(done / len(chunks)),
    )
    at = 0
    with store.transaction():
        if store.meta("embedder") is None:
            store.set_meta("embedder", settings.embedder)
        if store.meta("staged_by") != settings.embedder:
            store.set_meta("staged_by", settings.embedder)
        for job, one in zip(batch, by_document, strict=True):
            part = slice(at, at + len(one))
            at += len(one)
            store.stage(
                job.document,
                one,
                spans[part],
                embedded[part],
                source=job.source,
                path=job.path,
                digest=job.digest,
                stamp=job.stamp,
            )
    return [job.document.id for job in batch]
