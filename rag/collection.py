"""A collection: its store, its index and the embedder that both were made with.

This is where files become searchable passages. Folders are compared with what the store has by
content hash; only what is new or changed is read and embedded.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rag.chunk import CountTokens, chunk_document
from rag.embed import Embedder, Vectors, load_embedder
from rag.errors import CollectionError, InputError, ReadError
from rag.index import VectorIndex
from rag.read import Limits, find_files, read_files
from rag.records import Document, Hit
from rag.retrieve import Candidate, merge_neighbours, rank_chunks, without_duplicates
from rag.sentences import sentence_spans
from rag.settings import Settings
from rag.store import Store, StoredDocument

__all__ = ["Collection", "IndexReport", "Progress", "Retrieved"]

Progress = Callable[[int, int], None]
"""Called with (documents done, documents to do)."""

_BATCH_DOCUMENTS = 64


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
        self, name: str, store: Store, folder: Path | None, settings: Settings, embedder: Embedder | None
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
        if rebuild:
            shutil.rmtree(folder, ignore_errors=True)
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
        collection._check_embedder()
        return collection

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
                generation=index.generation,
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
        generation = self._store.generation
        if self._index is not None and self._index.generation == generation:
            return self._index
        index = VectorIndex.load(self._folder, generation) if self._folder else None
        if index is None:
            keys, vectors = self._store.vectors(self.embedder.dimensions)
            index = VectorIndex.build(keys, vectors, generation)
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
        known = {one.id: one for one in self._store.documents()}
        jobs: list[_Job] = []
        for document in given:
            digest = hashlib.sha256(repr(document).encode("utf-8", "replace")).hexdigest()
            old = known.get(document.id)
            if old is None or old.hash != digest:
                clean = replace(document, text=document.text.replace("\0", "\ufffd"))
                jobs.append(_Job(clean, source, "", digest, ""))
        gone = {one.id for one in known.values() if one.source == source} - {one.id for one in given}
        self._write(iter(jobs), len(jobs), progress)
        updated = sum(job.document.id in known for job in jobs)
        report = IndexReport(
            added=len(jobs) - updated,
            updated=updated,
            unchanged=len(given) - len(jobs),
            removed=len(gone),
        )
        return self._publish([job.document.id for job in jobs], gone, [], report, started)

    def update(self, path: Path, progress: Progress = lambda done, of: None) -> IndexReport:
        """Bring the collection up to date with a file or a folder.

        What is unreadable is reported and keeps the version that was stored before.

        Raises:
            InputError: there is no such file or folder.
            CollectionError: the collection can't be written; it is as it was before.
        """
        started = time.perf_counter()
        path = path.expanduser()
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        plan = _plan(path, self._store.documents())
        staged = self._store.staged()
        todo = [item for item in plan.to_read if staged.get(item.id) != item.hash]
        ready = [item.id for item in plan.to_read if staged.get(item.id) == item.hash]
        self._store.drop_staged(set(staged) - set(ready))
        failed = list(plan.unreadable)
        written = self._write(self._read(todo, plan.source, failed), len(todo), progress)
        ready += written
        if plan.touched:
            self._store.touch(plan.touched)
        updated = sum(one in plan.known for one in ready)
        report = IndexReport(
            added=len(ready) - updated,
            updated=updated,
            unchanged=plan.unchanged + len(plan.renamed),
            removed=len(plan.gone),
            failed=failed,
            skipped=plan.skipped,
        )
        return self._publish(ready, plan.gone, plan.renamed, report, started)

    def forget(self, document_ids: Iterable[str]) -> None:
        """Remove documents from the collection (their files stay)."""
        self._publish([], list(document_ids), [], IndexReport(), time.perf_counter())

    def _read(
        self, todo: list[_Found], source: str, failed: list[dict[str, str]]
    ) -> Iterator[_Job]:
        limits = Limits(
            max_bytes=self.settings.max_file_mb * 1_000_000,
            seconds=self.settings.parse_seconds,
            memory_mb=self.settings.parse_memory_mb,
        )
        found = {item.id: item for item in todo}
        for document_id, path, result in read_files([(one.id, one.path) for one in todo], limits):
            if isinstance(result, ReadError):
                failed.append({"path": str(path), "error": str(result)})
                continue
            item = found[document_id]
            yield _Job(result, source, str(item.path), item.hash, item.stamp)

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
        ready: Iterable[str],
        gone: Iterable[str],
        renamed: list[tuple[str, str, str, str]],
        report: IndexReport,
        started: float,
    ) -> IndexReport:
        ready, gone = list(ready), list(gone)
        if ready or gone or renamed or self._store.generation == 0:
            self._store.publish(ready, gone, renamed)
            if self._folder:
                with self._store.transaction(write=False):
                    self._current_index()
        documents, chunks = self._store.counts()
        seconds = round(time.perf_counter() - started, 3)
        return replace(report, documents=documents, chunks=chunks, seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that must be read. `stamp` changes whenever the file may have."""

    id: str
    path: Path
    hash: str
    stamp: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """What has to happen for the store to agree with the disk."""

    source: str
    known: frozenset[str]
    to_read: list[_Found]
    unchanged: int
    touched: list[tuple[str, str, str, str]]
    renamed: list[tuple[str, str, str, str]]
    gone: list[str]
    unreadable: list[dict[str, str]]
    skipped: list[dict[str, str]]


def _plan(path: Path, stored: list[StoredDocument]) -> _Plan:
    """Compare the files below `path` with what is stored."""
    listed = find_files(path)
    source = str(path.resolve())
    by_path = {one.path: one for one in stored if one.path}
    foreign = {one.id for one in stored if one.source != source}
    root = path.resolve()
    prefix = root.name if root.is_dir() else root.parent.name
    plan = _Plan(
        source=source,
        known=frozenset(one.id for one in stored),
        to_read=[],
        unchanged=0,
        touched=[],
        renamed=[],
        gone=[],
        unreadable=[],
        skipped=[{"path": shown, "reason": reason} for shown, reason in listed.skipped],
    )
    unchanged = 0
    kept: set[str] = set()
    for document_id, file in listed.files:
        real = str(file.resolve())
        old = by_path.get(real)
        if old is None and document_id in foreign:
            document_id = f"{prefix}/{document_id}"
        document_id = old.id if old else document_id
        kept.add(document_id)
        try:
            stamp = _stamp(file)
            if old and old.stamp == stamp and old.source == source:
                unchanged += 1
                continue
            digest = _hash(file)
        except OSError as error:
            plan.unreadable.append(
                {"path": str(file), "error": f"can't be read ({error.strerror}): check its permissions"}
            )
            continue
        if old and old.hash == digest:
            plan.touched.append((source, real, stamp, old.id))
            unchanged += 1
        else:
            plan.to_read.append(_Found(document_id, file.resolve(), digest, stamp))
    gone = {one.id: one for one in stored if one.source == source and one.id not in kept}
    return replace(_with_renames(plan, gone), unchanged=unchanged)


def _with_renames(plan: _Plan, gone: dict[str, StoredDocument]) -> _Plan:
    """A file that is new and has the content of one that is gone was renamed: keep its vectors."""
    by_hash = {one.hash: one for one in gone.values()}
    to_read: list[_Found] = []
    renamed: list[tuple[str, str, str, str]] = []
    for item in plan.to_read:
        old = by_hash.pop(item.hash, None) if item.id not in plan.known else None
        if old is None:
            to_read.append(item)
        else:
            renamed.append((old.id, item.id, str(item.path), item.stamp))
            del gone[old.id]
    return replace(plan, to_read=to_read, renamed=renamed, gone=sorted(gone))


def _stamp(file: Path) -> str:
    """Size, times and inode: a file whose stamp is the same is taken to be the same."""
    stat = file.stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}-{stat.st_ino}"


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
