"""Where questions are answered: one thread with the model, a fair line before it, pages that watch.

A question is a `Job` from the moment that it is stored until nobody looks at it any more. The thread
takes jobs in turn, writes what happens into them and the answer into the history, so an answer needs
no open page. A job that nobody watches for a while is stopped: its reader has left.

Knows nothing of Gradio, HTTP or HTML.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from rag.assistant import Assistant, Finished, Stage, Token
from rag.collection import Collection
from rag.errors import InputError, RagError
from rag.generate import Generator as Model
from rag.generate import load_generator
from rag.records import Answer
from rag.scope import Scope
from rag.settings import Settings
from ui.history import History, Turn
from ui.line import Line
from ui.snapshot import snapshot

__all__ = ["Busy", "Chore", "Collections", "Desk", "Job"]

_log = logging.getLogger(__name__)
_HISTORY = 3  # earlier turns that a follow-up may lean on
_HOUR_S = 3600
_IDLE_S = 1.0  # without a question, before the chore goes on
_INSIDE = "inside"  # a failure whose reason is for the log, not for the reader


class Collections(Protocol):
    """What the desk needs of `ui.library.Library`."""

    def reader(self, name: str) -> Collection:
        """The collection, for the thread that answers."""
        ...


class Chore(Protocol):
    """What may be done with the model while nobody asks."""

    def step(
        self, collection: Collection, assistant: Assistant, interrupted: Callable[[], bool]
    ) -> bool:
        """Do a little; False where nothing is left to do for this collection."""
        ...


class Busy(InputError):
    """A person has too many questions in hand. `limit` is "waiting" or "hour", `number` how many."""

    def __init__(self, limit: str, number: int) -> None:
        super().__init__(f"too many questions ({limit}: {number}): wait for an answer first")
        self.limit = limit
        self.number = number


@dataclass(slots=True, eq=False)
class Job:
    """A question in hand. `version` rises whenever what a page would show has changed.

    `at` is the stage ("queued", "loading" or the name of a `rag.assistant.Stage`) and its
    detail, one pair so that another thread never sees half a change; `before` counts the questions
    that are answered earlier.
    """

    turn: Turn
    user: str
    collection: str
    scope: Scope
    history: list[dict[str, str]]
    at: tuple[str, str] = ("queued", "")
    draft: str = ""
    before: int = 0
    version: int = 0
    done: bool = False
    watchers: int = 0
    alone_since: float = field(default_factory=time.monotonic)

    def now(self, stage: str, detail: str = "") -> None:
        """Enter a stage."""
        self.at = (stage, detail)
        self.version += 1


class Desk:
    """Answers questions one at a time. `start` it before asking; `close` stops what is written.

    `model` stands in for the generator that the settings name. An unwatched job is stopped after
    `patience_s` seconds.
    """

    def __init__(
        self,
        collections: Collections,
        history: History,
        settings: Settings,
        model: Model | None = None,
        patience_s: float = 20.0,
        chore: Chore | None = None,
    ) -> None:
        self._collections = collections
        self._history = history
        self._settings = settings
        self._model = model
        self._patience_s = patience_s
        self._chore = chore
        self._unready: list[str] = []  # collections for which the chore may have something to do
        self._line = Line()
        self._jobs: dict[str, Job] = {}
        self._asked: dict[str, deque[float]] = {}
        self._lock = threading.Condition()
        self._closed = False
        self._assistants: dict[str, tuple[Collection, Assistant]] = {}
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)

    def start(self) -> None:
        """Begin to answer. The models are loaded at once, so that the first question need not wait."""
        self._thread.start()

    def close(self) -> None:
        """Stop the answer that is being written and end the thread."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        if self._thread.is_alive():
            self._thread.join(10)

    def ask(
        self, user: str, turn: Turn, collection: str, scope: Scope, earlier: Sequence[Turn]
    ) -> Job:
        """Put a stored question in line.

        Raises:
            Busy: the person has as many questions in hand as the settings allow. Check with `admit`
                before storing a question.
        """
        job = Job(turn, user, collection, scope, _history(earlier))
        with self._lock:
            self._admit(user)
            self._asked.setdefault(user, deque()).append(time.monotonic())
            self._jobs[turn.id] = job
            self._line.join(user, turn.id)
            self._place()
            self._lock.notify_all()
        return job

    def prepare(self, collection: str) -> None:
        """Let the chore look after a collection when there is time."""
        with self._lock:
            if self._chore and collection not in self._unready:
                self._unready.append(collection)

    def admit(self, user: str) -> None:
        """Nothing, if the person may ask now; else raises `Busy`."""
        with self._lock:
            self._admit(user)

    def job(self, turn: str) -> Job | None:
        """The job of a turn that is in hand."""
        return self._jobs.get(turn)

    def waiting(self) -> int:
        """How many questions wait."""
        with self._lock:
            return len(self._line)

    def stop(self, turn: str) -> None:
        """Stop a job, whether it waits or is being written. Unknown ones are no error.

        It has ended when this returns; the model itself ends at its next token.
        """
        with self._lock:
            job = self._jobs.get(turn)
            if job is None or job.done:
                return
            self._line.leave(turn)
        self._end_stopped(job)

    @contextlib.contextmanager
    def watch(self, job: Job) -> Iterator[Job]:
        """Look at a job for as long as the block runs."""
        with self._lock:
            job.watchers += 1
        try:
            yield job
        finally:
            with self._lock:
                job.watchers -= 1
                job.alone_since = time.monotonic()
                if job.done and not job.watchers:
                    self._jobs.pop(job.turn.id, None)

    # Everything below holds the lock or runs in the desk's own thread.

    def _admit(self, user: str) -> None:
        in_hand = sum(1 for one in self._jobs.values() if one.user == user and not one.done)
        if in_hand >= self._settings.questions_waiting:
            raise Busy("waiting", in_hand)
        limit = self._settings.questions_an_hour
        recent = self._asked.get(user, deque())
        while recent and time.monotonic() - recent[0] > _HOUR_S:
            recent.popleft()
        if limit and len(recent) >= limit:
            raise Busy("hour", limit)

    def _place(self) -> None:
        """Tell every waiting job how many are before it."""
        writing = sum(1 for one in self._jobs.values() if one.at[0] != "queued" and not one.done)
        for at, turn in enumerate(self._line.order()):
            job = self._jobs[turn]
            if job.before != at + writing:
                job.before = at + writing
                job.version += 1

    def _work(self) -> None:
        self._warm()
        while job := self._next():
            try:
                self._answer(job)
            except RagError as error:
                self._fail(job, str(error))
            except Exception:
                _log.exception("footnote: a question could not be answered")
                self._fail(job, _INSIDE)
            finally:
                self._end(job)

    def _warm(self) -> None:
        try:
            with contextlib.suppress(RagError):  # told again when a question needs it
                _ = self._collections.reader(self._settings.collection).embedder.dimensions
            if self._model is None:
                self._model = load_generator(self._settings)
        except RagError as error:
            _log.warning("footnote: %s", error)
        except Exception:  # told again, too; and the thread must live on
            _log.exception("footnote: the models could not be loaded")

    def _next(self) -> Job | None:
        while not self._closed:
            for left in self._unwatched():
                self._end_stopped(left)
            with self._lock:
                turn = self._line.take()
                if turn is not None:
                    job = self._jobs[turn]
                    job.now("loading")
                    self._place()
                    return job
                if not (self._closed or self._lock.wait(_IDLE_S) or len(self._line)):
                    self._tidy()
        return None

    def _tidy(self) -> None:
        """One step of the chore, without the lock; a question that comes ends it at once."""
        chore = self._chore
        if chore is None or not self._unready:
            return
        name = self._unready[0]
        self._lock.release()
        more = False
        try:
            more = chore.step(*self._assistant(name), self._wanted)
        except RagError as error:
            _log.info("footnote: %s", error)
        except Exception:
            _log.exception("footnote: nothing was prepared for '%s'", name)
        finally:
            self._lock.acquire()
            if not more:
                self._unready.remove(name)

    def _wanted(self) -> bool:
        """Whether somebody waits for the model."""
        with self._lock:
            return self._closed or bool(len(self._line))

    def _unwatched(self) -> list[Job]:
        """The waiting jobs whose reader has left; they wait no longer."""
        with self._lock:
            left = [self._jobs[turn] for turn in self._line.order() if self._left(self._jobs[turn])]
            for job in left:
                self._line.leave(job.turn.id)
        return left

    def _left(self, job: Job) -> bool:
        return not job.watchers and time.monotonic() - job.alone_since > self._patience_s

    def _answer(self, job: Job) -> None:
        collection, assistant = self._assistant(job.collection)
        stream = assistant.stream(
            job.turn.question, history=job.history, scope=job.scope if job.scope else None
        )
        with closing(cast("Generator[Any, None, None]", stream)) as events:
            for event in events:
                if job.done or self._closed or self._left(job):
                    self._history.stop(job.turn.id, job.draft)
                    return
                if isinstance(event, Token):
                    job.draft += event.text
                    job.version += 1
                elif isinstance(event, Stage):
                    if event.name == "restarting":
                        job.draft = ""
                    job.now(event.name, event.detail)
                elif isinstance(event, Finished):
                    self._keep(job, event.answer, collection)

    def _keep(self, job: Job, answer: Answer, collection: Collection) -> None:
        stored = {one.id: one for one in collection.documents()}
        self._history.finish(job.turn.id, answer, snapshot(answer, collection.document, stored.get))

    def _assistant(self, name: str) -> tuple[Collection, Assistant]:
        """The assistant over a collection; a new one where the collection was opened anew."""
        collection = self._collections.reader(name)
        held = self._assistants.get(name)
        if held is None or held[0] is not collection:
            if self._model is None:
                self._model = load_generator(self._settings)
            held = (collection, Assistant(collection, self._settings, self._model))
            self._assistants[name] = held
        return held

    def _fail(self, job: Job, message: str) -> None:
        with _logged():
            self._history.fail(job.turn.id, message)

    def _end_stopped(self, job: Job) -> None:
        with _logged():
            self._history.stop(job.turn.id, job.draft)
        self._end(job)

    def _end(self, job: Job) -> None:
        with self._lock:
            job.done = True
            job.version += 1
            if not job.watchers:
                self._jobs.pop(job.turn.id, None)
            self._place()


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """For what is written last of a job: if it can't be, the next job is answered all the same."""
    try:
        yield
    except RagError as error:
        _log.error("footnote: %s", error)
    except Exception:
        _log.exception("footnote: how a question ended could not be stored")


def _history(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """The last answered turns as messages, oldest first, without markers."""
    messages: list[dict[str, str]] = []
    for turn in [one for one in turns if one.answer is not None][-_HISTORY:]:
        answer = cast(Answer, turn.answer)
        said = " ".join(one.text for one in answer.sentences) or answer.text
        messages.append({"role": "user", "content": answer.standalone_question or turn.question})
        messages.append({"role": "assistant", "content": said})
    return messages
