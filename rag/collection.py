"""A collection: its store, its index and the embedder that both were made with.

This is where files become searchable passages. Folders are compared with what the store has by
content hash; only what is new or changed is read and embedded.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rag.backend import Backend, Index, Keeper, Passages, backend, missing
from rag.chunk import CountTokens
from rag.current import CurrentIndex
from rag.embed import Embedder, Vectors, load_embedder
from rag.errors import CollectionError, InputError
from rag.ingest import Job, batches, given_job, read_jobs, stage_batch
from rag.plan import Found, make_plan, spelled
from rag.records import Document, Hit
from rag.report import IndexReport, make_report
from rag.retrieve import Candidate, best_passages, rank_chunks
from rag.scope import Scope
from rag.settings import Settings
from rag.store import Store
from rag.stored import Move, StoredDocument
from rag.utf8 import storable

__all__ = ["Collection", "IndexReport", "Progress", "Retrieved", "Staging", "Within"]

Progress = Callable[[int, int], None]
"""Called with (documents done, documents to do) when more are written."""

Within = Callable[[float, int, float], None]
"""Called while a batch is embedded, with (documents done, documents to do, pages done).

Documents in the batch count as the share of its passages that is embedded.
"""

Staging = Callable[[list[Found], str, Progress], list[dict[str, str]]]
"""Reads files that belong to a source, chunks and embeds them, and stages them in the collection.

Returns a path and a reason for each that can't be read. What was staged the store knows best.
"""


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


class Collection:
    """Open one with `Collection.open` or `Collection.temporary`; usable as a context manager."""

    def __init__(
        self,
        name: str,
        opened: tuple[Passages, Keeper],
        kept: Backend | None,
        settings: Settings,
        load: Callable[[], Embedder],
    ) -> None:
        self.name = name
        self.settings = settings
        self._store, self._current = opened
        self._kept = kept
        self._load = load
        self._held: tuple[str, list[StoredDocument]] = ("", [])

    @classmethod
    def open(
        cls,
        name: str,
        settings: Settings,
        *,
        create: bool = False,
        rebuild: bool = False,
        embedder: Embedder | None = None,
        any_embedder: bool = False,
    ) -> Collection:
        """Open a collection where `settings` keep them; `create` makes it where there is none.

        `create` also brings one of an earlier schema up to date. `rebuild` starts it anew. `embedder`
        stands in for the one that the settings name. With `any_embedder` a collection that another
        one made is opened too, for `reembed`.

        Raises:
            CollectionError: there is no such collection, it is damaged, or it was made by another
                embedder or schema.
        """
        kept = backend(settings)
        if rebuild and kept.exists(name):
            kept.remove(name)
        load = _loader(settings, embedder)
        opened = kept.open(name, lambda: load().dimensions, create or rebuild)
        if opened is None:
            raise missing(name, kept)
        collection = cls(name, opened, kept, settings, load)
        try:
            if not any_embedder:
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
        backend(settings).remove(name)

    @classmethod
    def temporary(
        cls, documents: Iterable[Document], settings: Settings, *, embedder: Embedder | None = None
    ) -> Collection:
        """A collection in memory over `documents`, whose text is taken as it is."""
        load = _loader(settings, embedder)
        store = Store(None)
        current = CurrentIndex(store, None, lambda: load().dimensions)
        collection = cls("", (store, current), None, settings, load)
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
        return self._load()

    @property
    def generation(self) -> int:
        """Raised by one whenever what readers see changes."""
        return self._store.generation

    # Reading

    def search(self, question: str, k: int | None = None, scope: Scope | None = None) -> list[Hit]:
        """The k best passages (default: `settings.top_k`) within `scope`, best first.

        Raises:
            InputError: the question is empty, or the scope names an unknown document or admits none.
        """
        return list(self.retrieve(question, k, scope).hits)

    def retrieve(
        self, question: str, k: int | None = None, scope: Scope | None = None
    ) -> Retrieved:
        """The k best passages and the ranked chunks that they were made from, of one generation.

        Raises:
            InputError: the question is empty, or the scope names an unknown document or admits none.
        """
        if not question.strip():
            raise InputError("the question is empty: ask something")
        wanted = k or self.settings.top_k
        question = storable(question)
        vector = self.embedder.embed([question])[0].passage
        # A base that was made meanwhile may be newer than what this transaction sees: begin another.
        with self._store.transaction(write=False):
            index = self._current.find()
            if index is not None:
                return self._retrieved(question, vector, wanted, scope, index)
        with self._store.transaction(write=False):
            return self._retrieved(question, vector, wanted, scope, self._current.get())

    def _retrieved(
        self, question: str, vector: Vectors, wanted: int, scope: Scope | None, index: Index
    ) -> Retrieved:
        self._check_embedder()  # another may have come since this was opened
        within = None
        if scope:
            within = self._store.chunk_keys(one.id for one in self.documents(scope))
        ranked = rank_chunks(question, vector, self._store, index, self.settings, within)
        hits, candidates = best_passages(ranked, self._store, wanted)
        return Retrieved(
            hits=tuple(hits),
            candidates=tuple(candidates),
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

    def documents(self, scope: Scope | None = None) -> list[StoredDocument]:
        """Every document (within `scope`) without its text, ordered by identifier.

        Read anew for each generation: a `stamp` that another process changed alone may be old.

        Raises:
            InputError: the scope names an unknown document or admits none.
        """
        edition = self._store.edition
        if self._held[0] != edition:
            self._held = (edition, self._store.documents())
        held = self._held[1]
        place = f"collection '{self.name}'" if self.name else "the collection"
        return scope.choose(held, place) if scope else list(held)

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks there are."""
        return self._store.counts()

    def _check_embedder(self) -> None:
        made_with = self._store.meta("embedder")
        if made_with is not None and made_with != self.settings.embedder:
            raise CollectionError(
                f"collection '{self.name}' was made with embedder '{made_with}', not "
                f"'{self.settings.embedder}': set embedder back, have its stored texts embedded again "
                f"with 'footnote upgrade -c {self.name} --embedder', or index its folders again with "
                f"'footnote index FOLDER -c {self.name} --rebuild'"
            )

    # Writing

    def put(
        self,
        documents: Iterable[Document],
        source: str,
        progress: Progress = lambda done, of: None,
        within: Within = lambda done, of, pages: None,
    ) -> IndexReport:
        """Add or refresh documents that are in memory already; others of `source` are removed."""
        started = time.perf_counter()
        given = list(documents)
        ids: set[str] = set()
        for one in given:
            if one.id in ids or one.id != storable(one.id):
                raise InputError(
                    f"document {one.id!r}: give every document an identifier of its own"
                )
            ids.add(one.id)
        with self._lock():
            self._staged()
            known = {one.id: one for one in self._store.documents()}
            jobs = [given_job(one, source) for one in given]
            stored = {one.id: one.hash for one in known.values()}
            jobs = [job for job in jobs if stored.get(job.document.id) != job.digest]
            gone = [old.id for old in known.values() if old.source == source and old.id not in ids]
            written = self._stage(jobs, len(jobs), progress, within)
            report = make_report(written, known, gone, unchanged=len(given) - len(written))
            return self._publish(written, gone, [], report, started)

    def update(
        self,
        path: Path,
        progress: Progress = lambda done, of: None,
        within: Within = lambda done, of, pages: None,
        staging: Staging | None = None,
        *,
        keep: bool = False,
    ) -> IndexReport:
        """Bring the collection up to date with a file or a folder.

        What is unreadable is reported and keeps the version that was stored before; with `keep` so
        does what is no longer there. `staging` does the reading and embedding elsewhere than in this
        process.

        Raises:
            InputError: there is no such file or folder, or it can't be listed.
            CollectionError: the collection can't be written; it is as it was before.
        """
        started = time.perf_counter()
        path = path.expanduser()
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        with self._lock():
            plan = make_plan(path, self._store.documents(), keep)
            staged = self._staged()
            ready = _ready(plan.to_read, staged)
            self._store.drop_staged(set(staged) - ready)
            todo = [one for one in plan.to_read if one.id not in ready]
            stage = staging or partial(self._stage_files, within=within)
            reasons = stage(todo, plan.source, progress)
            # Asked of the store, not of who staged: that may have been many, and some were lost.
            ready = _ready(plan.to_read, self._store.staged())
            failed = [*plan.unreadable, *_unstaged(plan.to_read, ready, reasons)]
            if plan.touched:
                self._store.touch(plan.touched)
            written = sorted(ready)
            report = make_report(
                written,
                plan.known,
                plan.gone,
                plan.moved,
                unchanged=plan.unchanged,
                failed=failed,
                skipped=plan.skipped,
            )
            return self._publish(written, plan.gone, plan.moved, report, started)

    @property
    def made_with(self) -> str:
        """The embedder that made the vectors; "" where there are none."""
        return self._store.meta("embedder") or ""

    def reembed(
        self,
        progress: Progress = lambda done, of: None,
        within: Within = lambda done, of, pages: None,
    ) -> int:
        """Give every document vectors of the settings' embedder, from its stored text: no file is read.

        Returns how many documents there are. Readers see the old vectors, then the new ones; a run
        that is killed is taken up by the next.

        Raises:
            CollectionError: the collection can't be written; it is as it was before.
        """
        with self._lock():
            staged = self._staged()
            live = self._store.documents()
            ready = [one.id for one in live if staged.get(one.id) == (one.hash, one.path)]
            self._store.drop_staged(set(staged) - set(ready))
            done = set(ready)
            todo = [one for one in live if one.id not in done]
            jobs = (
                Job(self.document(one.id), one.source, one.path, one.hash, one.stamp)
                for one in todo
            )
            ready += self._stage(jobs, len(todo), progress, within)
            self._held = ("", [])
            self._store.publish(ready, embedder=self.settings.embedder)
            self._current.renew()
            return len(live)

    def _staged(self) -> dict[str, tuple[str, str]]:
        """What an earlier run left staged; nothing, and dropped, where another embedder made it."""
        staged = self._store.staged()
        made_with = self._store.meta("staged_by") or self.made_with
        if staged and made_with != self.settings.embedder:
            self._store.drop_staged(staged)
            return {}
        return staged

    def forget(self, document_ids: Iterable[str]) -> None:
        """Remove documents from the collection (their files stay)."""
        with self._lock():
            self._publish([], list(document_ids), [], IndexReport(), time.perf_counter())

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        """Keep other writers out; readers are never kept."""
        return self._kept.writing(self.name) if self._kept else contextlib.nullcontext()

    def _stage_files(
        self, todo: list[Found], source: str, progress: Progress, within: Within
    ) -> list[dict[str, str]]:
        """The `Staging` of this process."""
        failed: list[dict[str, str]] = []
        with contextlib.closing(read_jobs(todo, source, self.settings, failed)) as jobs:
            self._stage(jobs, len(todo), progress, within)
        return failed

    def _stage(
        self, jobs: Iterable[Job], total: int, progress: Progress, within: Within
    ) -> list[str]:
        staged: list[str] = []
        pages = 0
        for batch in batches(jobs):
            new = sum(job.pages for job in batch)
            so_far = partial(_within, within, total, (len(staged), len(batch)), (pages, new))
            staged += stage_batch(batch, self._store, self.embedder, self.settings, so_far)
            pages += new
            progress(len(staged), total)
        if not staged or len(staged) < total:  # what failed is done with too
            progress(total, total)
        return staged

    def _publish(
        self,
        ready: list[str],
        gone: list[str],
        moved: list[Move],
        report: IndexReport,
        started: float,
    ) -> IndexReport:
        self._held = ("", [])  # stamps may have changed, which raises no generation
        if ready or gone or moved or self._store.generation == 0:
            self._store.publish(ready, gone, moved)
        self._current.renew()
        documents, chunks = self._store.counts()
        seconds = round(time.perf_counter() - started, 3)
        return replace(report, documents=documents, chunks=chunks, seconds=seconds)


def _ready(to_read: list[Found], staged: dict[str, tuple[str, str]]) -> set[str]:
    """Which files are staged as they are now."""
    return {one.id for one in to_read if staged.get(one.id) == (one.hash, spelled(one.path))}


def _unstaged(
    to_read: list[Found], ready: set[str], reasons: list[dict[str, str]]
) -> list[dict[str, str]]:
    """Files that are not ready, and why."""
    told = {one["path"]: one["error"] for one in reasons}
    lost = "was not staged, or was changed by another process: run the same command again"
    paths = [spelled(one.path) for one in to_read if one.id not in ready]
    return [{"path": path, "error": told.get(path, lost)} for path in paths]


def _loader(settings: Settings, embedder: Embedder | None) -> Callable[[], Embedder]:
    """Gives the embedder that stands in, or the one that the settings name, loaded once."""
    return functools.cache(lambda: embedder or load_embedder(settings))


def _within(
    within: Within, total: int, documents: tuple[int, int], pages: tuple[int, int], share: float
) -> None:
    """Tell of a `share` of a batch; `documents` and `pages` are those done before, and in it."""
    within(documents[0] + share * documents[1], total, pages[0] + share * pages[1])
