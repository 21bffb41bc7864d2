"""A collection: its store, its index and the embedder that both were made with.

This is where files become searchable passages. Folders are compared with what the store has by
content hash; only what is new or changed is read and embedded.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rag.chunk import CountTokens, chunk_document
from rag.embed import Embedder, Vectors, load_embedder
from rag.errors import CollectionError, InputError, ReadError
from rag.index import VectorIndex
from rag.plan import Found, make_plan, spelled
from rag.read import Limits, read_files
from rag.records import Document, Hit
from rag.retrieve import Candidate, merge_neighbours, rank_chunks, without_duplicates
from rag.sentences import sentence_spans
from rag.settings import Settings
from rag.store import Move, Store, StoredDocument

__all__ = ["Collection", "IndexReport", "Progress", "Retrieved"]

Progress = Callable[[int, int], None]
"""Called with (documents done, documents to do)."""

_BATCH_DOCUMENTS = 64
_WAIT_FOR_WRITER_S = 10


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run of indexing did. `failed` and `skipped` hold a path and a reason each."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    documents: int = 0
    chunks: int = 0
    seconds: float = 0.0
    skipped: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What one question found: passages to show, and the ranked chunks behind them.

    `vector` is the question's embedding, shape (d,); `count` counts the embedder's tokens.
    """

    hits: tuple[Hit, ...]
    candidates: tuple[Candidate, ...]
    vector: Vectors
    count: CountTokens
    embedder: str
    collection: str
    generation: int


@dataclass(frozen=True, slots=True)
class _Job:
    """A document to be written: where it comes from and what it replaces."""

    document: Document
    source: str
    path: str
    digest: str
    stamp: str


class Collection:
    """Open one with `Collection.open` or `Collection.temporary`; usable as a context manager."""

    def __init__(
        self,
        name: str,
        store: Store,
        folder: Path | None,
        settings: Settings,
        embedder: Embedder | None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._store = store
        self._folder = folder
        self._embedder = embedder
        self._index: VectorIndex | None = None

    @classmethod
    def open(
        cls,
        name: str,
        settings: Settings,
        *,
        create: bool = False,
        rebuild: bool = False,
        embedder: Embedder | None = None,
    ) -> Collection:
        """Open a collection under `settings.indexes`; `create` makes it where there is none.

        `rebuild` starts it anew. `embedder` stands in for the one that the settings name.

        Raises:
            CollectionError: there is no such collection, it is damaged, or it was made by another
                embedder or schema.
        """
        folder = settings.indexes / name
        database = folder / "collection.db"
        if rebuild and folder.exists():
            cls.remove(name, settings)
        if not database.is_file():
            if not (create or rebuild):
                raise CollectionError(
                    f"there is no collection '{name}' in {settings.indexes}: make it with "
                    f"'footnote index FOLDER -c {name}'"
                )
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CollectionError(
                    f"{folder}: can't be made ({error.strerror}): set FOOTNOTE_INDEXES to a folder "
                    "that can be written"
                ) from None
        collection = cls(name, Store(database), folder, settings, embedder)
        try:
            collection._check_embedder()
        except CollectionError:
            collection.close()
            raise
        return collection

    @staticmethod
    def remove(name: str, settings: Settings) -> None:
        """Remove a collection, whole or damaged, in one step. Its files' originals stay.

        Raises:
            CollectionError: it can't be removed, or another process is writing to it.
        """
        with _writing(name, settings.indexes):
            try:
                # Renamed first: a removal that is killed half way leaves no half collection.
                doomed = Path(
                    tempfile.mkdtemp(prefix=f".{name}-", suffix=".removed", dir=settings.indexes)
                )
                (settings.indexes / name).rename(doomed / name)
            except OSError as error:
                raise CollectionError(
                    f"{settings.indexes / name}: can't be removed ({error.strerror}): check its "
                    "permissions"
                ) from None
            for left in settings.indexes.glob(f".{name}-*.removed"):
                shutil.rmtree(left, ignore_errors=True)

    @classmethod
    def temporary(
        cls, documents: Iterable[Document], settings: Settings, *, embedder: Embedder | None = None
    ) -> Collection:
        """A collection in memory over `documents`, whose text is taken as it is."""
        collection = cls("", Store(None), None, settings, embedder)
        collection.put(documents, source="given")
        return collection

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database. Idempotent."""
        self._store.close()

    @property
    def embedder(self) -> Embedder:
        """The embedder, loaded at first use."""
        if self._embedder is None:
            self._embedder = load_embedder(self.settings)
        return self._embedder

    @property
    def generation(self) -> int:
        """Raised by one whenever what readers see changes."""
        return self._store.generation

    # Reading

    def search(self, question: str, k: int | None = None) -> list[Hit]:
        """The k best passages (default: `settings.top_k`), best first.

        Raises:
            InputError: the question is empty.
        """
        return list(self.retrieve(question, k).hits)

    def retrieve(self, question: str, k: int | None = None) -> Retrieved:
        """The k best passages and the ranked chunks that they were made from, of one generation.

        Raises:
            InputError: the question is empty.
        """
        if not question.strip():
            raise InputError("the question is empty: ask something")
        wanted = k or self.settings.top_k
        question = _storable(question)
        vector = self.embedder.embed([question])[0].passage
        with self._store.transaction(write=False):
            index = self._current_index()
            ranked = without_duplicates(
                rank_chunks(question, vector, self._store, index, self.settings)
            )
            return Retrieved(
                hits=tuple(merge_neighbours(ranked, self._store, wanted)),
                candidates=tuple(ranked[:wanted]),
                vector=vector,
                count=self.embedder.count,
                embedder=self.embedder.name,
                collection=self.name,
                generation=self._store.generation,
            )

    def document(self, document_id: str) -> Document:
        """A document with its text.

        Raises:
            InputError: there is no such document.
        """
        found = self._store.document(document_id)
        if found is None:
            raise InputError(
                f"there is no document '{document_id}' in collection '{self.name}': "
                f"'footnote collections -c {self.name}' lists them"
            )
        return found

    def documents(self) -> list[StoredDocument]:
        """Every document without its text, ordered by identifier."""
        return self._store.documents()

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks there are."""
        return self._store.counts()

    def _current_index(self) -> VectorIndex:
        """The vector index of the generation that the open transaction sees."""
        edition = self._store.edition
        if self._index is not None and self._index.edition == edition:
            return self._index
        index = VectorIndex.load(self._folder, edition) if self._folder else None
        if index is None:
            keys, vectors = self._store.vectors(self.embedder.dimensions)
            index = VectorIndex.build(keys, vectors, edition)
            if self._folder:
                index.save(self._folder)
        self._index = index
        return index

    def _check_embedder(self) -> None:
        made_with = self._store.meta("embedder")
        if made_with is not None and made_with != self.settings.embedder:
            raise CollectionError(
                f"collection '{self.name}' was made with embedder '{made_with}', not "
                f"'{self.settings.embedder}': set embedder back, or index its folders again with "
                f"'footnote index FOLDER -c {self.name} --rebuild'"
            )

    # Writing

    def put(
        self, documents: Iterable[Document], source: str, progress: Progress = lambda done, of: None
    ) -> IndexReport:
        """Add or refresh documents that are in memory already; others of `source` are removed."""
        started = time.perf_counter()
        given = list(documents)
        ids: set[str] = set()
        for one in given:
            if one.id in ids or one.id != _storable(one.id):
                raise InputError(
                    f"document {one.id!r}: give every document an identifier of its own"
                )
            ids.add(one.id)
        with self._lock():
            known = {one.id: one for one in self._store.documents()}
            jobs = [_given(one, source) for one in given]
            jobs = [job for job in jobs if _digest(known.get(job.document.id)) != job.digest]
            gone = [old.id for old in known.values() if old.source == source and old.id not in ids]
            written = self._write(iter(jobs), len(jobs), progress)
            updated = sum(name in known for name in written)
            report = IndexReport(
                added=len(written) - updated,
                updated=updated,
                unchanged=len(given) - len(written),
                removed=len(gone),
            )
            return self._publish(written, gone, [], report, started)

    def update(self, path: Path, progress: Progress = lambda done, of: None) -> IndexReport:
        """Bring the collection up to date with a file or a folder.

        What is unreadable is reported and keeps the version that was stored before.

        Raises:
            InputError: there is no such file or folder, or it can't be listed.
            CollectionError: the collection can't be written; it is as it was before.
        """
        started = time.perf_counter()
        path = path.expanduser()
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        with self._lock():
            plan = make_plan(path, self._store.documents())
            staged = self._store.staged()
            ready = [
                one.id
                for one in plan.to_read
                if staged.get(one.id) == (one.hash, spelled(one.path))
            ]
            self._store.drop_staged(set(staged) - set(ready))
            todo = [one for one in plan.to_read if one.id not in ready]
            failed = list(plan.unreadable)
            ready += self._write(self._read(todo, plan.source, failed), len(todo), progress)
            if plan.touched:
                self._store.touch(plan.touched)
            updated = sum(one in plan.known for one in ready)
            report = IndexReport(
                added=len(ready) - updated,
                updated=updated,
                unchanged=plan.unchanged,
                removed=len(plan.gone),
                failed=failed,
                skipped=plan.skipped,
            )
            return self._publish(ready, plan.gone, plan.moved, report, started)

    def forget(self, document_ids: Iterable[str]) -> None:
        """Remove documents from the collection (their files stay)."""
        with self._lock():
            self._publish([], list(document_ids), [], IndexReport(), time.perf_counter())

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        """Keep other writers out; readers are never kept."""
        if self._folder is None:
            return contextlib.nullcontext()
        return _writing(self.name, self._folder.parent)

    def _read(self, todo: list[Found], source: str, failed: list[dict[str, str]]) -> Iterator[_Job]:
        limits = Limits(
            max_bytes=self.settings.max_file_mb * 1_000_000,
            seconds=self.settings.parse_seconds,
            memory_mb=self.settings.parse_memory_mb,
        )
        found = {item.id: item for item in todo}
        for document_id, path, result in read_files([(one.id, one.path) for one in todo], limits):
            if isinstance(result, ReadError):
                failed.append({"path": spelled(path), "error": str(result)})
                continue
            item = found[document_id]
            yield _Job(result, source, spelled(item.path), item.hash, item.stamp)

    def _write(self, jobs: Iterator[_Job], total: int, progress: Progress) -> list[str]:
        """Stage documents in batches: chunk, embed, one short transaction each."""
        written: list[str] = []
        batch: list[_Job] = []
        for job in jobs:
            batch.append(job)
            if len(batch) == _BATCH_DOCUMENTS:
                written += self._stage(batch)
                batch = []
                progress(len(written), total)
        if batch:
            written += self._stage(batch)
        progress(total, total)
        return written

    def _stage(self, batch: list[_Job]) -> list[str]:
        limit = min(self.settings.chunk_tokens, self.embedder.max_tokens - 2)
        if self.settings.whole_documents:
            limit = sys.maxsize
        by_document = [chunk_document(job.document, self.embedder.count, limit) for job in batch]
        chunks = [chunk for one in by_document for chunk in one]
        spans = [sentence_spans(chunk.text) for chunk in chunks]
        embedded = self.embedder.embed(
            [chunk.text for chunk in chunks], [chunk.context for chunk in chunks], spans
        )
        at = 0
        with self._store.transaction():
            if self._store.meta("embedder") is None:
                self._store.set_meta("embedder", self.settings.embedder)
            for job, one in zip(batch, by_document, strict=True):
                part = slice(at, at + len(one))
                at += len(one)
                self._store.stage(
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

    def _publish(
        self,
        ready: list[str],
        gone: list[str],
        moved: list[Move],
        report: IndexReport,
        started: float,
    ) -> IndexReport:
        if ready or gone or moved or self._store.generation == 0:
            self._store.publish(ready, gone, moved)
            if self._folder:
                with self._store.transaction(write=False):
                    self._current_index()
        documents, chunks = self._store.counts()
        seconds = round(time.perf_counter() - started, 3)
        return replace(report, documents=documents, chunks=chunks, seconds=seconds)


@contextlib.contextmanager
def _writing(name: str, indexes: Path) -> Iterator[None]:
    """Hold the one right to write to a collection; the system frees it when its holder dies."""
    import filelock

    lock = filelock.FileLock(indexes / f".{name}.lock")
    try:
        lock.acquire(timeout=_WAIT_FOR_WRITER_S)
    except filelock.Timeout:
        raise CollectionError(
            f"collection '{name}' is being written by another process: wait until that has ended, "
            "then run the same command again"
        ) from None
    except OSError as error:
        raise CollectionError(
            f"{indexes}: can't be written ({error.strerror}): free some disk space, or set "
            "FOOTNOTE_INDEXES to a folder that can be written"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _given(document: Document, source: str) -> _Job:
    clean = replace(document, text=_storable(document.text), title=_storable(document.title))
    digest = hashlib.sha256(repr(clean).encode()).hexdigest()
    return _Job(clean, source, "", digest, "")


def _digest(stored: StoredDocument | None) -> str:
    return stored.hash if stored else ""


def _storable(text: str) -> str:
    """`text` with "?" for lone surrogates, which UTF-8 can't hold. The length stays."""
    return text.encode("utf-8", "replace").decode()
