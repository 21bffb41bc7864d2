"""One thread that answers: it takes a question from the desk, and writes what happens into its job.

Each has connections and assistants of its own; only the model may be shared, where it says that
several may use it at once. Knows nothing of lines, people or pages.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, Protocol, cast

from rag.assistant import Assistant, Finished, Stage, Token
from rag.collection import Collection
from rag.errors import RagError
from rag.failover import Chooser
from rag.generate import Generation, Message
from rag.generate import Generator as Model
from rag.records import Answer
from rag.settings import Settings
from ui.history import History
from ui.job import INSIDE, Job, Outcome
from ui.snapshot import snapshot

__all__ = ["Clocked", "Collections", "Worker"]

_log = logging.getLogger(__name__)


class Collections(Protocol):
    """What answering needs of `ui.library.Library`."""

    def reader(self, name: str) -> Collection:
        """The collection, for the thread that asks for it."""
        ...


class Place(Protocol):
    """What a worker needs of the desk."""

    def take(self, worker: Worker) -> Job | None:
        """The next question, waited for; None where there will be no more."""
        ...

    def unwanted(self, job: Job) -> bool:
        """Whether nobody wants the answer any more."""
        ...

    def model(self) -> Model:
        """The model that writes."""
        ...

    def end(self, job: Job, outcome: Outcome, note: str = "") -> None:
        """The question is done with; `note` is the error line of a failed one."""
        ...


class Clocked:
    """A model that counts the `seconds` that it takes; those between two pieces are not its own.

    `total` counts for it, where it is one of two (`rag.failover.Chooser`).
    """

    def __init__(self, model: Model, total: Clocked | None = None) -> None:
        self.model = model
        self.name = model.name
        self.seconds = 0.0
        self._total = total or self

    @contextlib.contextmanager
    def chosen(self, local: bool = False) -> Iterator[Model]:
        """The model of one whole answer."""
        if isinstance(self.model, Chooser):
            with self.model.chosen(local) as one:
                yield Clocked(one, self)
        else:
            yield self

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **named: Any
    ) -> Iterator[str]:
        """As `rag.generate.Generator.stream`."""
        stream = cast(Any, self.model.stream(messages, max_tokens, into, **named))
        with closing(stream) as pieces:
            while True:
                began = time.perf_counter()
                try:
                    piece = next(pieces, None)
                finally:
                    self._total.seconds += time.perf_counter() - began
                if piece is None:
                    return
                yield piece


class Worker:
    """Answers until the desk has no more."""

    def __init__(
        self, desk: Place, collections: Collections, history: History, settings: Settings
    ) -> None:
        self._desk = desk
        self._collections = collections
        self._history = history
        self._settings = settings
        self._model: Clocked | None = None
        self._assistants: dict[str, tuple[Collection, Assistant]] = {}

    def run(self) -> None:
        """The thread's work."""
        self._warm()
        while job := self._desk.take(self):
            outcome: Outcome = "failed"
            note = INSIDE
            try:
                outcome = self._answer(job)
            except RagError as error:
                job.error, note = error, str(error)
            except Exception:
                _log.exception("footnote: a question could not be answered")
            finally:
                self._desk.end(job, outcome, note)

    def assistant(self, name: str) -> tuple[Collection, Assistant]:
        """The assistant over a collection; a new one where the collection was opened anew.

        Raises:
            RagError: the collection or the model can't be opened.
        """
        collection = self._collections.reader(name)
        held = self._assistants.get(name)
        if held is None or held[0] is not collection:
            if self._model is None:
                self._model = Clocked(self._desk.model())
            held = (collection, Assistant(collection, self._settings, self._model))
            self._assistants[name] = held
        return held

    def _warm(self) -> None:
        """Load what the first question needs, so that it need not wait."""
        try:
            with contextlib.suppress(RagError):  # told again when a question needs it
                _ = self._collections.reader(self._settings.collection).embedder.dimensions
            self._desk.model()
        except RagError as error:
            _log.warning("footnote: %s", error)
        except Exception:  # told again, too; and the thread must live on
            _log.exception("footnote: the models could not be loaded")

    def _answer(self, job: Job) -> Outcome:
        """Write what happens into the job, and the answer into the history; say how it ended."""
        collection, assistant = self.assistant(job.collection)
        assert self._model is not None
        before = self._model.seconds
        stream = assistant.stream(
            job.turn.question,
            history=job.history,
            scope=job.scope if job.scope else None,
            style=job.style,
        )
        try:
            with closing(cast("Generator[Any, None, None]", stream)) as events:
                for event in events:
                    if self._desk.unwanted(job):
                        return "stopped"
                    if isinstance(event, Token):
                        job.write(event.text)
                    elif isinstance(event, Stage):
                        if event.name == "restarting":
                            job.restart()
                        job.now(event.name, event.detail)
                    elif isinstance(event, Finished):
                        self._keep(job, event.answer, collection)
        finally:
            job.model_s = self._model.seconds - before
        return "refused" if job.answer and job.answer.refused else "answered"

    def _keep(self, job: Job, answer: Answer, collection: Collection) -> None:
        if job.kept:
            job.mark("storing")
            stored = {one.id: one for one in collection.documents()}
            sources = snapshot(answer, collection.document, stored.get)
            self._history.finish(job.turn.id, answer, sources)
        job.answer = answer
