"""A collection moved from files to a database, or back, without reading or embedding anything again.

It is copied under a hidden name, read back, compared with what it was copied from (every text, offset
and vector, to the bit) and only then given its name: a copy that is broken off leaves no collection.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rag.backend import Backend, Passages, missing
from rag.embed import Embedding
from rag.errors import CollectionError, InputError
from rag.stored import StoredChunk, StoredDocument

__all__ = ["CopyReport", "copy_collection"]

_TOGETHER = 64  # documents in a transaction
_PUBLISHED = 5_000  # documents in a publication


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied and compared. `sha256` is of everything, in the order of the documents."""

    collection: str
    documents: int
    chunks: int
    sentences: int
    sha256: str
    seconds: float


def copy_collection(
    name: str,
    source: Backend,
    target: Backend,
    wanted: str,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> CopyReport:
    """Copy collection `name` of `source` to `target`, where it is called `wanted`.

    `progress` is told of documents done; each counts twice, once copied and once compared.

    Raises:
        InputError: the target has a collection of that name.
        CollectionError: there is none to copy, one of the two can't be read or written, or what
            arrived is not what was sent.
    """
    started = time.perf_counter()
    scratch = f".{wanted}.copy"
    with target.writing(wanted):
        if target.exists(wanted):
            raise InputError(
                f"there is a collection '{wanted}' in {target.place}: choose another name with --as, "
                f"or remove it first"
            )
        if target.exists(scratch):  # of a copy that was broken off
            target.remove(scratch)
        opened = source.open(name, lambda: 0, create=False)
        if opened is None:
            raise missing(name, source)
        with contextlib.closing(opened[0]) as held:
            try:
                done = _copied(held, target, scratch, progress)
            except BaseException:
                with contextlib.suppress(CollectionError):
                    target.remove(scratch)
                raise
        target.rename(scratch, wanted)
        _make_ready(target, wanted, done[1])
    return CopyReport(wanted, *done, round(time.perf_counter() - started, 3))


def _copied(
    held: Passages, target: Backend, scratch: str, progress: Callable[[int, int], None]
) -> tuple[int, int, int, str]:
    """Copy and compare one generation; how many documents, chunks and sentences, and their hash."""
    opened = target.open(scratch, lambda: 0, create=True)
    assert opened
    with contextlib.closing(opened[0]) as copy, held.transaction(write=False):
        documents = _in_order(held)
        embedder = held.meta("embedder")
        if embedder is not None:
            copy.set_meta("embedder", embedder)
        for at in range(0, len(documents), _PUBLISHED):
            some = documents[at : at + _PUBLISHED]
            for part in range(0, len(some), _TOGETHER):
                with copy.transaction():
                    for one in some[part : part + _TOGETHER]:
                        _stage(held, copy, one)
                progress(min(at + part + _TOGETHER, len(documents)), 2 * len(documents))
            copy.publish([one.id for one in some])
        with copy.transaction(write=False):
            return _compared(held, copy, documents, progress)


def _in_order(held: Passages) -> list[StoredDocument]:
    """All documents in the order in which they came, by which equal scores are told apart."""
    documents = held.documents()
    first = {one.id: min(held.chunk_keys([one.id]).tolist(), default=0) for one in documents}
    return sorted(documents, key=lambda one: first[one.id])


def _chunks(held: Passages, document_id: str) -> list[StoredChunk]:
    return held.chunks(held.chunk_keys([document_id]).tolist())


def _stage(held: Passages, copy: Passages, one: StoredDocument) -> None:
    document = held.document(one.id)
    assert document
    chunks = _chunks(held, one.id)
    copy.stage(
        document,
        [chunk.chunk for chunk in chunks],
        [chunk.spans for chunk in chunks],
        [Embedding(chunk.vector, chunk.sentences) for chunk in chunks],
        source=one.source,
        path=one.path,
        digest=one.hash,
        stamp=one.stamp,
        added=one.added,
    )


def _compared(
    held: Passages,
    copy: Passages,
    documents: Sequence[StoredDocument],
    progress: Callable[[int, int], None],
) -> tuple[int, int, int, str]:
    if held.counts() != copy.counts():
        raise CollectionError(
            f"the copy has {copy.counts()} documents and passages, not {held.counts()}: nothing was "
            "published; copy it again"
        )
    listed = {one.id: one for one in copy.documents()}
    total = hashlib.sha256()
    chunks = sentences = 0
    for at, one in enumerate(documents):
        sent, count, spans = _digest(held, one)
        if one.id not in listed or _digest(copy, listed[one.id])[0] != sent:
            raise CollectionError(
                f"document '{one.id}' did not arrive as it was sent: nothing was published; copy the "
                "collection again, or index its folders in the new place"
            )
        total.update(sent)
        chunks, sentences = chunks + count, sentences + spans
        progress(len(documents) + at + 1, 2 * len(documents))
    return len(documents), chunks, sentences, total.hexdigest()


def _digest(held: Passages, one: StoredDocument) -> tuple[bytes, int, int]:
    """SHA-256 of all that is stored of a document; how many chunks and sentences that is."""
    chunks = _chunks(held, one.id)
    found = hashlib.sha256()
    for piece in _pieces(held, one, chunks):
        found.update(len(piece).to_bytes(8, "little") + piece)
    return found.digest(), len(chunks), sum(len(chunk.spans) for chunk in chunks)


def _pieces(held: Passages, one: StoredDocument, chunks: Sequence[StoredChunk]) -> Iterator[bytes]:
    document = held.document(one.id)
    assert document
    yield json.dumps([asdict(one), asdict(document)]).encode()
    for chunk in chunks:
        yield json.dumps([asdict(chunk.chunk), chunk.spans, chunk.pages]).encode()
        yield chunk.vector.astype("<f2").tobytes()
        yield np.round(chunk.sentences * 127).astype(np.int8).tobytes()


def _make_ready(target: Backend, name: str, chunks: int) -> None:
    """Make what searches need, so that the first question does not wait for it."""
    opened = target.open(name, lambda: 0, create=False)
    if opened and chunks:
        with contextlib.closing(opened[0]):
            opened[1].renew()
