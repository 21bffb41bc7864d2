"""The collections that the settings speak of: opening, filling and removing them, for many readers.

All collections share one embedder, which serves in turns. Changes are written by one thread at a time
for each collection; reading never waits for that. Knows nothing of requests, pages or the model that
answers.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

from rag.backend import backend
from rag.collection import Collection, IndexReport, Progress
from rag.embed import Embedder, load_embedder
from rag.errors import CollectionError, InputError
from rag.plan import spelled
from rag.settings import Settings
from ui.database import Database
from ui.embedding import SharedEmbedder
from ui.indexing import Indexer, Task
from ui.people import People, Person
from ui.uploads import Upload, Uploads

__all__ = ["Library", "Task"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IDLE = 4  # connections kept for each collection
_WAIT_S = 0.5  # how long a deletion waits for indexing
_STOP_S = 120  # how long a removal waits for indexing to stop


class Library:
    """Every method may be called from any thread.

    Hooks in `on_removed` are called with the name of a collection that was removed.
    """

    def __init__(
        self,
        settings: Settings,
        people: People,
        database: Database,
        embedder: Embedder | None = None,
    ) -> None:
        self.settings = settings
        self.on_removed: list[Callable[[str], object]] = []
        self._kept = backend(settings)
        self._people = people
        self._uploads = Uploads(settings.chat_folder / "uploads", database)
        self._embedder = SharedEmbedder(lambda: embedder or load_embedder(settings))
        self._readers: dict[tuple[int, str], tuple[tuple[int, int], Collection]] = {}
        self._idle: dict[str, list[tuple[tuple[int, int], Collection]]] = defaultdict(list)
        self._lock = threading.Lock()  # of the dictionaries; held for moments
        self._writing: dict[str, threading.Lock] = {}
        self._indexer = Indexer(self._update, self._indexed)

    def resume(self) -> None:
        """Have the uploads read that were not when the program ended.

        That is of all collections, because a file may have been replaced right before its row was
        written. What has not changed is not read again.
        """
        for name in self._uploads.collections():
            if self._exists(name):
                self._indexer.ask(name, [self._uploads.folder(name)])

    def warm(self) -> None:
        """Load the embedder now, so that the first question need not.

        Raises:
            ModelError: it is missing or damaged.
        """
        _ = self._embedder.dimensions

    # Reading

    def names(self, person: Person) -> list[str]:
        """The collections that a person may read, damaged ones too: the default one first."""
        found = [name for name in self._kept.names() if _NAME.fullmatch(name)]
        mine = [name for name in found if self._people.may_read(person, name)]
        return sorted(mine, key=lambda name: (name != self.settings.collection, name))

    def reader(self, name: str) -> Collection:
        """The collection for a thread that answers: opened once, and again if it was made anew.

        Each thread that asks has its own, for its own use alone.

        Raises:
            CollectionError: it is missing, damaged or was made with other settings.
        """
        mine = (threading.get_ident(), name)
        with self._lock:
            held = self._readers.pop(mine, None)
        try:
            identity = self._identity(name)
        except CollectionError:
            if held:
                held[1].close()
            raise
        if held and held[0] != identity:
            held[1].close()
            held = None
        collection = held[1] if held else self._open(name)
        with self._lock:
            self._readers[mine] = (identity, collection)
        return collection

    def embedding_s(self) -> float:
        """How many seconds the embedder has worked for the thread that asks."""
        return self._embedder.seconds

    @contextlib.contextmanager
    def view(self, name: str) -> Iterator[Collection]:
        """A collection to list and show: never waits for the model or for indexing.

        Raises:
            CollectionError: as `reader`.
        """
        identity = self._identity(name)
        collection = None
        with self._lock:
            while self._idle[name] and collection is None:
                known, idle = self._idle[name].pop()
                if known == identity:
                    collection = idle
                else:
                    idle.close()
        collection = collection or self._open(name)
        kept = False
        try:
            yield collection
            with self._lock:
                kept = len(self._idle[name]) < _IDLE
                if kept:
                    self._idle[name].append((identity, collection))
        finally:
            if not kept:
                collection.close()

    def uploads(self, name: str) -> list[Upload]:
        """What was uploaded into a collection, read or not."""
        return self._uploads.of(name)

    def upload_path(self, upload: Upload) -> str:
        """An upload's file, as `StoredDocument.path` spells it."""
        return spelled(self._uploads.folder(upload.collection) / upload.name)

    def sources(self, name: str) -> list[Path]:
        """The folders and files that a collection was made from, its uploads among them."""
        with self.view(name) as collection:
            found = {one.source for one in collection.documents() if one.path}
        if self._uploads.of(name):
            found.add(spelled(self._uploads.folder(name)))
        return [Path(one) for one in sorted(found)]

    def tasks(self, name: str) -> list[Task]:
        """The collection's runs of indexing: the last ones that ended, and what runs or waits."""
        return self._indexer.tasks(name)

    # Changing

    def create(self, person: Person, name: str) -> None:
        """Make an empty collection; private to the person's groups, where they are in any.

        Raises:
            InputError: the person may not, or the name is unfit or taken.
            CollectionError: it can't be written.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                "a collection's name has up to 64 letters a-z, digits, '.', '_' and '-', a letter or "
                "digit first"
            )
        self._check_edits(person, name)
        if self._kept.exists(name):
            raise InputError(f"there is a collection '{name}' already: choose another name")
        if person.groups and not self._people.groups_of(name):
            self._people.restrict(name, person.groups)
        self._uploads.clear(name)
        self._open(name, create=True).close()

    def remove(self, person: Person, name: str) -> None:
        """Remove a collection with its uploads; the files of other folders stay.

        Raises:
            InputError: the person may not.
            CollectionError: it can't be removed, or another process is writing to it.
        """
        self._check_edits(person, name)
        self._check_there(name)
        self._indexer.forget(name)
        with self._writes(name, _STOP_S):
            self._kept.remove(name)
            with self._lock:
                for _, idle in self._idle.pop(name, ()):
                    idle.close()
            self._uploads.clear(name)
        for hook in self.on_removed:
            hook(name)
        # Last of all: until here nobody else may see what was in it.
        if self._people.groups_of(name):
            self._people.restrict(name, ())

    def upload(self, person: Person, name: str, filename: str, stream: Iterable[bytes]) -> Path:
        """Take a file and have it indexed. A file of the same name is replaced.

        Raises:
            InputError: the person may not, or the file is of no type that is read, empty or too large.
            CollectionError: there is no such collection, or the file can't be written.
        """
        self._check_edits(person, name)
        self._check_there(name)
        limits = (self.settings.max_file_mb, self.settings.uploads_mb)
        path = self._uploads.receive(name, person.name, filename, stream, *limits)
        try:
            self._check_there(name)
        except CollectionError:  # removed meanwhile: another of its name must not get the file
            self._uploads.clear(name)
            raise
        self._indexer.ask(name, [path.parent])
        return path

    def index(self, person: Person, name: str, source: Path | None = None) -> Task:
        """Have a folder read again that the collection was made from; None: all of them.

        Raises:
            InputError: the person may not, or the collection was not made from `source`.
            CollectionError: there is no such collection, or it is damaged.
        """
        self._check_edits(person, name)
        known = self.sources(name)
        if source is not None and source not in known:
            raise InputError(f"'{source.name}' is no folder that '{name}' was made from")
        return self._indexer.ask(name, known if source is None else [source])

    def delete(
        self,
        person: Person,
        name: str,
        document_ids: Sequence[str],
        uploads: Sequence[str] = (),
    ) -> None:
        """Forget documents, and delete the files of those that were uploaded.

        `uploads` are names of uploaded files that may have no document, because they can't be read. A
        file in another folder stays there, and comes back when that folder is read again.

        Raises:
            InputError: the person may not, or there is no such document.
            CollectionError: the collection is missing, or is being written.
        """
        self._check_edits(person, name)
        with self._writes(name, _WAIT_S):
            self._delete(name, set(document_ids), set(uploads))

    def remove_uploads(self, user: str) -> int:
        """Delete all that a person uploaded, with the documents made of it; how many files.

        Raises:
            CollectionError: a collection can't be written.
        """
        mine: dict[str, set[str]] = defaultdict(set)
        for one in self._uploads.of_user(user):
            mine[one.collection].add(one.name)
        for name, files in mine.items():
            with self._writes(name, _STOP_S):
                if self._exists(name):
                    self._delete(name, set(), files)
                else:
                    self._uploads.clear(name)
        return sum(len(files) for files in mine.values())

    def close(self) -> None:
        """Stop indexing and close every connection. Idempotent."""
        self._indexer.close()
        with self._lock:
            opened = [*self._readers.values()]
            opened += [one for idle in self._idle.values() for one in idle]
            self._readers.clear()
            self._idle.clear()
        for _, collection in opened:
            collection.close()

    # Inside

    def _delete(self, name: str, ids: set[str], names: set[str]) -> None:
        held = {self.upload_path(one): one.name for one in self._uploads.of(name)}
        names &= set(held.values())
        with self._fresh(name) as collection:
            documents = collection.documents()
            if unknown := ids - {one.id for one in documents}:
                raise InputError(f"there is no document '{min(unknown)}' in '{name}' any more")
            doomed = [one for one in documents if one.id in ids or held.get(one.path) in names]
            if doomed:
                collection.forget([one.id for one in doomed])
        # After the documents: a run that is cut off here leaves a file that is only read again.
        for one in names | {held[one.path] for one in doomed if one.path in held}:
            self._uploads.delete(name, one)

    def _update(self, name: str, source: Path, progress: Progress) -> IndexReport:
        """Read one folder: what the indexing thread does."""
        with self._writes(name, _STOP_S), self._fresh(name) as collection:
            # An upload goes by `delete` alone: in a database, others may have come from the same path
            # of another machine, or of one whose disk is lost.
            return collection.update(source, progress, keep=source == self._uploads.folder(name))

    def _indexed(self, task: Task, failed: dict[str, str]) -> None:
        folder = self._uploads.folder(task.collection)
        if folder in task.sources:
            reasons = {
                spelled(folder / one.name): one.name for one in self.uploads(task.collection)
            }
            by_name = {reasons[path]: why for path, why in failed.items() if path in reasons}
            self._uploads.mark(task.collection, task.started, by_name)

    @contextlib.contextmanager
    def _writes(self, name: str, patience: float) -> Iterator[None]:
        with self._lock:
            lock = self._writing.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=patience):
            raise CollectionError(f"'{name}' is being read in: try again when that has ended")
        try:
            yield
        finally:
            lock.release()

    def _check_edits(self, person: Person, name: str) -> None:
        if not self._people.may_edit(person, name):
            raise InputError(f"{person.name} may not change '{name}': ask an editor")

    def _check_there(self, name: str) -> None:
        self._identity(name)

    def _exists(self, name: str) -> bool:
        return bool(_NAME.fullmatch(name)) and self._kept.identity(name) is not None

    def _identity(self, name: str) -> tuple[int, int]:
        """What tells a collection's database from another one in its place."""
        identity = self._kept.identity(name) if _NAME.fullmatch(name) else None
        if identity is None:
            raise CollectionError(f"there is no collection '{name}': choose another")
        return identity

    def _open(self, name: str, create: bool = False) -> Collection:
        # As good as one, though its attributes can't be set.
        embedder = cast(Embedder, self._embedder)
        return Collection.open(name, self.settings, create=create, embedder=embedder)

    def _fresh(self, name: str) -> contextlib.closing[Collection]:
        """A connection for one change, which leaves those that are kept alone."""
        self._check_there(name)
        return contextlib.closing(self._open(name))
