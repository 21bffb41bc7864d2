"""The one thread that reads folders into collections, and what anybody may know of its work.

Knows tasks and their progress; what reading a folder means is handed in.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rag.batch import merge_reports
from rag.collection import IndexReport, Progress
from rag.errors import CollectionError, RagError, StoreUnavailable
from ui.uploads import now

__all__ = ["Indexer", "State", "Task"]

State = Literal["waiting", "running", "done", "failed"]

_log = logging.getLogger(__name__)
_KEPT = 5  # finished tasks of a collection
_PAUSES_S = (1.0, 3.0, 10.0, 30.0, 60.0)  # before each further try, while a database is away
_MOST_NAMES = 200  # names that a report lists of a kind


class _Stopped(Exception):
    """Raised by a progress callback, because nobody wants the rest."""


@dataclass(slots=True)
class Task:
    """One run over some folders of a collection. `done` and `total` count documents.

    `report` is an `IndexReport` as a dictionary, once there is one, with base names for paths;
    `changes` holds the names of what was added, updated and removed. Times are ISO 8601, UTC.
    """

    number: int
    collection: str
    sources: tuple[Path, ...]
    state: State = "waiting"
    done: int = 0
    total: int = 0
    started: str = ""
    finished: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, list[str]] = field(default_factory=dict)
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def to_dict(self) -> dict[str, Any]:
        """What a page shows: no path of this machine among it."""
        shown = ("number", "state", "done", "total", "started", "finished", "report", "changes")
        return {name: getattr(self, name) for name in shown} | {"error": self.error}


class Indexer:
    """Runs tasks one after the other, in the order in which they were asked for.

    `update(collection, folder, progress)` does the reading; `finished(task, failed)` is told of every
    task's end, with the reasons of what could not be read by path. A store that is away is tried
    again after each of `pauses_s`.
    """

    def __init__(
        self,
        update: Callable[[str, Path, Progress], IndexReport],
        finished: Callable[[Task, dict[str, str]], None],
        pauses_s: Sequence[float] = _PAUSES_S,
    ) -> None:
        self._pauses_s = pauses_s
        self._update = update
        self._finished = finished
        self._lock = threading.Lock()
        self._tasks: dict[str, list[Task]] = {}
        self._queue: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._numbers = 0

    def tasks(self, collection: str) -> list[Task]:
        """A collection's tasks, oldest first: the last finished ones and all that are not."""
        with self._lock:
            return list(self._tasks.get(collection, ()))

    def ask(self, collection: str, sources: Sequence[Path]) -> Task:
        """The task that will read `sources`: one that has not begun yet, where it covers them."""
        with self._lock:
            held = self._tasks.setdefault(collection, [])
            for one in held:
                if one.state == "waiting" and set(sources) <= set(one.sources):
                    return one
            self._numbers += 1
            task = Task(self._numbers, collection, tuple(sources))
            over = [one for one in held if one.ended.is_set()][-_KEPT:]
            self._tasks[collection] = [
                one for one in held if not one.ended.is_set() or one in over
            ] + [task]
            self._queue.put(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="indexing", daemon=True)
                self._thread.start()
            return task

    def forget(self, collection: str) -> None:
        """Drop a collection's tasks, and stop the one that runs as soon as it can be."""
        with self._lock:
            for one in self._tasks.pop(collection, ()):
                one.stop.set()

    def close(self) -> None:
        """Stop, after the documents that are being written right now. Idempotent."""
        with self._lock:
            thread, self._thread = self._thread, None
            for tasks in self._tasks.values():
                for one in tasks:
                    one.stop.set()
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout=30)

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            with self._ending(task):
                if task.stop.is_set():
                    raise _Stopped
                self._work(task)

    @contextmanager
    def _ending(self, task: Task) -> Iterator[None]:
        """However a task ends, it says so, and the thread goes on."""
        try:
            yield
        except _Stopped:
            task.error = "was stopped"
        except RagError as error:
            task.error = str(error)
        except Exception:
            _log.exception("footnote: '%s' could not be indexed", task.collection)
            task.error = "Something went wrong inside. The terminal that runs Footnote says what."
        finally:
            task.finished = now()
            task.state = "failed" if task.error else "done"
            task.ended.set()

    def _work(self, task: Task) -> None:
        """Read every source; one that is gone does not keep the others from being read."""
        task.started, task.state = now(), "running"
        reports: list[IndexReport] = []
        errors: list[str] = []
        for source in task.sources:
            before = task.done

            def progress(done: int, total: int, before: int = before) -> None:
                if task.stop.is_set():
                    raise _Stopped
                task.done, task.total = before + done, before + total

            try:
                reports.append(self._read(task, source, progress))
            except CollectionError:
                raise
            except RagError as error:
                errors.append(str(error).replace(str(source), source.name))
        failed = {one["path"]: one["error"] for report in reports for one in report.failed}
        merged = merge_reports(reports) if reports else {}
        merged.pop("skipped", None)
        changes = merged.pop("changes", {})
        task.changes = {kind: names[:_MOST_NAMES] for kind, names in changes.items()}
        if merged:
            shown = [{"path": Path(path).name, "error": why} for path, why in failed.items()]
            merged["failed"] = shown[:_MOST_NAMES]
        task.report = merged
        task.error = "; ".join(errors)
        self._finished(task, failed)

    def _read(self, task: Task, source: Path, progress: Progress) -> IndexReport:
        for pause in self._pauses_s:
            try:
                return self._update(task.collection, source, progress)
            except StoreUnavailable as error:
                _log.warning("footnote: '%s' is read again later: %s", task.collection, error)
            if task.stop.wait(pause):
                raise _Stopped
        return self._update(task.collection, source, progress)
