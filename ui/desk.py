"""Where questions are answered: a fair line, threads that answer, pages that watch.

A question is a `Job` from the moment that it is stored until nobody looks at it any more. A thread
takes jobs in turn, writes what happens into them and the answer into the history, so an answer needs
no open page. A job that nobody watches for a while is stopped: its reader has left. One thread
answers, or `answers_at_once` where the model says that several may use it.

Knows nothing of Gradio, HTTP or HTML.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

from rag.assistant import Assistant
from rag.collection import Collection
from rag.errors import RagError
from rag.generate import Generator as Model
from rag.generate import load_generator
from rag.prompt import Style
from rag.records import Answer
from rag.scope import Scope
from rag.settings import Settings
from ui.history import History, Turn
from ui.job import Busy, Closing, Job, Outcome
from ui.line import Line
from ui.worker import Collections, Worker

__all__ = ["Busy", "Chore", "Closing", "Collections", "Desk", "Job"]

_log = logging.getLogger(__name__)
_HISTORY = 3  # earlier turns that a follow-up may lean on
_HOUR_S = 3600
_IDLE_S = 1.0  # without a question, before the chore goes on
_CLOSING_S = 10.0  # for all threads together: a model may be reading a long prompt
_MANY = 8  # answers at once of a model that several may use, where the settings don't say


class Chore(Protocol):
    """What may be done with the model while nobody asks."""

    def step(
        self, collection: Collection, assistant: Assistant, interrupted: Callable[[], bool]
    ) -> bool:
        """Do a little; False where nothing is left to do for this collection."""
        ...


class Desk:
    """Answers questions. `start` it before asking; `close` stops what is written.

    `model` stands in for the generator that the settings name. An unwatched job is stopped after
    `patience_s` seconds. Each of `on_ended` is called with every job that has ended, in any thread.
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
        self.on_ended: list[Callable[[Job], object]] = []
        self._collections = collections
        self._history = history
        self._settings = settings
        self._model = model
        self._loading = threading.Lock()
        self._patience_s = patience_s
        self._chore = chore
        self._unready: list[str] = []  # collections for which the chore may have something to do
        self._line = Line()
        self._jobs: dict[str, Job] = {}
        self._asked: dict[str, deque[float]] = {}
        self._lock = threading.Condition()
        self._closed = False
        self._warm = False
        self._threads: list[threading.Thread] = []
        self._first: Worker | None = None  # the one that does the chore

    @property
    def started(self) -> bool:
        """Whether questions are being answered."""
        return bool(self._threads) and not self._closed

    @property
    def ready(self) -> bool:
        """Whether the next question finds everything loaded that it needs."""
        return self.started and self._warm

    def start(self) -> None:
        """Begin to answer. The models are loaded at once, so that the first question need not wait."""
        self._first = self._grow()

    def drain(self) -> None:
        """Take no more questions, and end all there are: those that wait will be told of a restart."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
            waiting = set(self._line.order())
            for turn in waiting:
                self._line.leave(turn)
            left = [job for job in self._jobs.values() if not job.done]
        for job in left:
            job.closing = True
            if job.turn.id in waiting:
                self._done(job, "stopped")
            else:
                self.end(job, "stopped")

    def close(self) -> None:
        """Stop the answers that are being written and end the threads."""
        self.drain()
        until = time.monotonic() + _CLOSING_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def ask(
        self,
        user: str,
        turn: Turn,
        collection: str,
        scope: Scope,
        earlier: Sequence[Turn] = (),
        *,
        messages: Sequence[dict[str, str]] = (),
        style: Style | None = None,
        kept: bool = True,
        trace: object = None,
    ) -> Job:
        """Put a question in line: a stored one, or one that is not to be `kept`.

        `messages` are what was said before, where that is not `earlier` turns.

        Raises:
            Busy: the person has as many questions in hand as the settings allow. Check with `admit`
                before storing a question.
            Closing: there will be no more answers.
        """
        said = [*messages][-2 * _HISTORY :] or _history(earlier)
        job = Job(turn, user, collection, scope, said, style, kept, trace)
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
        """Nothing, if the person may ask now; else raises `Busy` or `Closing`."""
        with self._lock:
            self._admit(user)

    def job(self, turn: str) -> Job | None:
        """The job of a turn that is in hand."""
        return self._jobs.get(turn)

    def waiting(self) -> int:
        """How many questions wait."""
        with self._lock:
            return len(self._line)

    def writing(self) -> int:
        """How many are being answered."""
        with self._lock:
            return self._writing()

    def stop(self, turn: str) -> None:
        """Stop a job, whether it waits or is being written. Unknown ones are no error.

        It has ended when this returns; the model itself ends at its next token.
        """
        with self._lock:
            job = self._jobs.get(turn)
            if job is None or job.done:
                return
            self._line.leave(turn)
        self.end(job, "stopped")

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

    # For the workers

    def take(self, worker: Worker) -> Job | None:
        """The next question, waited for; None where there will be no more."""
        while not self._closed:
            for left in self._unwatched():
                self.end(left, "stopped")
            with self._lock:
                turn = self._line.take()
                if turn is not None:
                    job = self._jobs[turn]
                    job.now("loading")
                    self._place()
                    return job
                idle = not (self._closed or self._lock.wait(_IDLE_S) or len(self._line))
                if idle and worker is self._first:
                    self._tidy(worker)
        return None

    def unwanted(self, job: Job) -> bool:
        """Whether nobody wants the answer any more."""
        return job.done or self._closed or self._left(job)

    def model(self) -> Model:
        """The model that writes, loaded at first use, which comes after the embedder's.

        With it come the threads that share it.

        Raises:
            ModelError: it can't be loaded.
        """
        with self._loading:
            if self._model is None:
                self._model = load_generator(self._settings)
            at_once = self._settings.answers_at_once or _MANY
            shared = bool(getattr(self._model, "concurrent", False))
            while shared and len(self._threads) < at_once and self.started:
                self._grow()
            self._warm = True
            return self._model

    def end(self, job: Job, outcome: Outcome, note: str = "") -> None:
        """The question is done with; `note` is the error line of a failed one."""
        if job.kept and not job.done:
            with _logged():
                if outcome == "stopped":
                    self._history.stop(job.turn.id, job.draft)
                elif outcome == "failed":
                    self._history.fail(job.turn.id, note)
        self._done(job, outcome)

    # Everything below holds the lock, or takes it for a moment.

    def _done(self, job: Job, outcome: Outcome) -> None:
        with self._lock:
            first = not job.done
            if first:
                job.end(outcome)
            if not job.watchers:
                self._jobs.pop(job.turn.id, None)
            self._place()
        for hook in self.on_ended if first else ():
            with _logged():
                hook(job)

    def _grow(self) -> Worker:
        worker = Worker(self, self._collections, self._history, self._settings)
        name = f"desk-{len(self._threads) + 1}"
        thread = threading.Thread(target=worker.run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return worker

    def _admit(self, user: str) -> None:
        if self._closed:
            raise Closing
        in_hand = sum(1 for one in self._jobs.values() if one.user == user and not one.done)
        if in_hand >= self._settings.questions_waiting:
            raise Busy("waiting", in_hand)
        limit = self._settings.questions_an_hour
        recent, now = self._asked.get(user, deque()), time.monotonic()
        while recent and now - recent[0] > _HOUR_S:
            recent.popleft()
        if limit and len(recent) >= limit:
            raise Busy("hour", limit, int(recent[0] + _HOUR_S - now) + 1)

    def _writing(self) -> int:
        return sum(1 for one in self._jobs.values() if one.at[0] != "queued" and not one.done)

    def _place(self) -> None:
        """Tell every waiting job how many are before it."""
        busy = self._writing() - max(0, len(self._threads) - 1)
        for at, turn in enumerate(self._line.order()):
            job, before = self._jobs[turn], max(0, at + busy)
            if job.before != before:
                job.before = before
                job.changed()

    def _tidy(self, worker: Worker) -> None:
        """One step of the chore, without the lock; a question that comes ends it at once."""
        chore = self._chore
        if chore is None or not self._unready:
            return
        name = self._unready[0]
        self._lock.release()
        more = False
        try:
            more = chore.step(*worker.assistant(name), self._wanted)
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
