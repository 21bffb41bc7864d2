"""One assistant, many readers: questions are answered one at a time, each as a stream of turns.

Knows the assistant and the collection; knows nothing of Gradio or of who is asking.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, cast

from rag.assistant import Finished, Stage, Token
from rag.errors import RagError
from rag.records import Answer, Document
from ui.render import (
    answer_html,
    draft_html,
    failure_html,
    sources_html,
    stage_html,
    stopped_html,
)

__all__ = ["Asks", "Desk", "Documents", "Turn"]

_log = logging.getLogger(__name__)
_HISTORY = 3  # earlier turns that a follow-up may lean on
_POLL_S = 0.2  # how often a question that waits for the model looks at its stop button
_IN_PANEL = 20  # answers whose sources stay open to a click


class Asks(Protocol):
    """What the desk needs of `rag.assistant.Assistant`."""

    def stream(self, question: str, *, history: Sequence[dict[str, str]] = ()) -> Iterator[Any]:
        """Stages, tokens and the finished answer; closing it stops the model."""
        ...


class Documents(Protocol):
    """What the desk needs of `rag.collection.Collection`."""

    def document(self, document_id: str) -> Document:
        """The document of that identifier; `RagError` where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what stands below it now. `waiting` until there is nothing more to come."""

    question: str
    html: str
    answer: Answer | None = None
    waiting: bool = True


class Desk:
    """Answers for every open page, through one lock around the assistant."""

    def __init__(self, assistant: Asks, documents: Documents) -> None:
        self._assistant = assistant
        self._documents = documents
        self._busy = threading.Lock()

    def warm(self) -> None:
        """Load the models now, so that the first question need not. An error waits for a question."""
        with self._busy:
            try:
                for owner, name in ((self._documents, "embedder"), (self._assistant, "generator")):
                    getattr(owner, name)
            except RagError as error:
                _log.warning("footnote: %s", error)

    def answer(
        self, question: str, earlier: Sequence[Turn], stop: threading.Event
    ) -> Generator[Turn]:
        """The turn as it grows; the last one is not `waiting`. Closing or `stop` stops the model.

        Errors end as a turn too: one line for what the user can mend, a log entry for the rest.
        """
        while not self._busy.acquire(timeout=_POLL_S):
            yield Turn(question, stage_html("loading"))
            if stop.is_set():
                yield Turn(question, stopped_html(""), waiting=False)
                return
        try:
            yield from self._answer(question, earlier, stop)
        except RagError as error:
            yield Turn(question, failure_html(str(error)), waiting=False)
        except Exception:
            _log.exception("footnote: a question could not be answered")
            told = "Something went wrong inside. The terminal that runs Footnote says what."
            yield Turn(question, failure_html(told), waiting=False)
        finally:
            self._busy.release()

    def sources(self, turns: Sequence[Turn]) -> str:
        """The source panel for the latest answers, read from the collection as it is now."""
        answers = [
            (number, turn.answer)
            for number, turn in enumerate(turns, start=1)
            if turn.answer is not None
        ][-_IN_PANEL:]
        cited = {one.document for _, answer in answers for one in answer.citations}
        with self._busy:
            return sources_html(answers, dict(self._read(sorted(cited))))

    def _answer(
        self, question: str, earlier: Sequence[Turn], stop: threading.Event
    ) -> Iterator[Turn]:
        draft = ""
        stream = self._assistant.stream(question, history=_history(earlier))
        with closing(cast("Generator[Any, None, None]", stream)) as events:
            for event in events:
                if stop.is_set():
                    yield Turn(question, stopped_html(draft), waiting=False)
                    return
                if isinstance(event, Token):
                    draft += event.text
                    yield Turn(question, draft_html(draft))
                elif isinstance(event, Stage):
                    now = stage_html(event.name, event.detail)
                    yield Turn(question, draft_html(draft, event.name) if draft else now)
                elif isinstance(event, Finished):
                    answer = event.answer
                    html = answer_html(answer, len(earlier) + 1)
                    yield Turn(question, html, answer, waiting=False)

    def _read(self, names: Sequence[str]) -> Iterator[tuple[str, Document]]:
        for name in names:
            try:
                yield name, self._documents.document(name)
            except RagError as error:  # removed since: the panel shows the stored quote and says so
                _log.info("footnote: %s", error)


def _history(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """The last answered turns as messages, oldest first, without markers."""
    messages: list[dict[str, str]] = []
    for turn in [one for one in turns if one.answer is not None][-_HISTORY:]:
        answer = cast(Answer, turn.answer)
        said = " ".join(one.text for one in answer.sentences) or answer.text
        messages.append({"role": "user", "content": answer.standalone_question or turn.question})
        messages.append({"role": "assistant", "content": said})
    return messages
