"""The desk: events become turns; stop and close reach the model; errors are turns too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from rag.assistant import Finished, Stage, Token
from rag.errors import InputError, ModelError
from rag.records import Answer, AnswerSentence, Citation, Document
from ui.desk import Desk, Turn

TEXT = "The toll is nine crowns."
ANSWER = Answer(
    question="What is the toll?",
    standalone_question="What is the toll?",
    text="The toll is nine crowns [1].",
    refused=False,
    confidence=0.9,
    sentences=(AnswerSentence(TEXT, "supported", (1,)),),
    citations=(Citation(1, "toll.txt", "Tolls", None, None, 0, len(TEXT), TEXT),),
)
EVENTS = [
    Stage("searching"),
    Stage("reading", "6"),
    Stage("writing"),
    Token("The toll"),
    Token(" is <b>eleven</b>"),
    Stage("checking"),
    Finished(ANSWER),
]


class FakeAssistant:
    """Streams events; an exception among them is raised. Records what it was asked."""

    def __init__(self, *events: Any) -> None:
        self.events = events
        self.asked: list[tuple[str, list[dict[str, str]]]] = []
        self.closed = 0

    def stream(self, question: str, *, history: Sequence[dict[str, str]] = ()) -> Iterator[Any]:
        self.asked.append((question, list(history)))
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed += 1


class FakeDocuments:
    def document(self, document_id: str) -> Document:
        if document_id != "toll.txt":
            raise InputError(f"there is no document '{document_id}'")
        return Document("toll.txt", TEXT, "Tolls")


def turns(assistant: FakeAssistant, stop: threading.Event | None = None) -> list[Turn]:
    desk = Desk(assistant, FakeDocuments())
    return list(desk.answer("What is the toll?", (), stop or threading.Event()))


def test_stages_then_text_then_the_checked_answer_in_its_place() -> None:
    found = turns(FakeAssistant(*EVENTS))
    assert "Searching the documents" in found[0].html
    assert "Reading 6 passages" in found[1].html
    assert "Writing" in found[2].html
    assert "The toll is" not in found[3].html and "The toll" in found[3].html
    assert "&#60;b&#62;eleven" in found[4].html and "<b>" not in found[4].html
    assert "eleven" in found[5].html and "Checking" in found[5].html
    assert "nine crowns" in found[6].html and "eleven" not in found[6].html
    assert [one.waiting for one in found] == [True] * 6 + [False]
    assert found[-1].answer is ANSWER


def test_stop_closes_the_stream_and_keeps_the_draft_as_unchecked() -> None:
    assistant = FakeAssistant(*EVENTS)
    stop = threading.Event()
    growing = Desk(assistant, FakeDocuments()).answer("What is the toll?", (), stop)
    for _ in range(4):
        next(growing)
    stop.set()
    (last,) = list(growing)
    assert "The toll" in last.html and "Nothing here was checked" in last.html
    assert not last.waiting and last.answer is None
    assert assistant.closed == 1


def test_closing_closes_the_stream_and_frees_the_desk_for_the_next() -> None:
    assistant = FakeAssistant(*EVENTS)
    desk = Desk(assistant, FakeDocuments())
    growing = desk.answer("What is the toll?", (), threading.Event())
    next(growing)
    growing.close()
    assert assistant.closed == 1
    assert list(desk.answer("Again?", (), threading.Event()))[-1].answer is ANSWER


def test_a_question_waits_while_another_is_answered_and_can_be_stopped_there() -> None:
    desk = Desk(FakeAssistant(*EVENTS), FakeDocuments())
    first = desk.answer("What is the toll?", (), threading.Event())
    next(first)
    stop = threading.Event()
    second = desk.answer("And then?", (), stop)
    assert "Waiting for the model" in next(second).html
    stop.set()
    assert "Stopped" in list(second)[-1].html
    first.close()


def test_a_users_error_is_one_plain_line() -> None:
    (last,) = turns(FakeAssistant(ModelError("weights <missing>: run 'footnote prepare'")))
    assert "weights &#60;missing&#62;" in last.html and not last.waiting


def test_an_unexpected_error_is_logged_and_its_text_stays_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        found = turns(FakeAssistant(Stage("searching"), ValueError("secret path /x")))
    assert "Something went wrong" in found[-1].html and "secret" not in found[-1].html
    assert "secret path /x" in caplog.text


def test_follow_ups_get_the_last_three_answered_turns_without_markers() -> None:
    assistant = FakeAssistant(*EVENTS)
    desk = Desk(assistant, FakeDocuments())
    earlier = [Turn(f"q{at}", "", ANSWER, waiting=False) for at in range(4)]
    earlier.insert(3, Turn("stopped", "", None, waiting=False))
    list(desk.answer("And why?", earlier, threading.Event()))
    question, history = assistant.asked[0]
    assert question == "And why?"
    assert [one["role"] for one in history] == ["user", "assistant"] * 3
    assert {one["content"] for one in history} == {"What is the toll?", TEXT}


def test_sources_are_read_from_the_collection_and_gone_ones_said_so() -> None:
    desk = Desk(FakeAssistant(), FakeDocuments())
    shown = desk.sources([Turn("q", "", ANSWER, waiting=False), Turn("stopped", "", waiting=False)])
    assert f'<mark class="cite-1-1">{TEXT}</mark>' in shown
    assert "has changed" not in shown
    gone = Citation(1, "gone.txt", "Gone", None, None, 0, len(TEXT), TEXT)
    answer = Answer("q", "q", "x [1]", False, 0.9, (AnswerSentence("x", "partial", (1,)),), (gone,))
    assert "has changed since" in desk.sources([Turn("q", "", answer, waiting=False)])


def test_warming_up_loads_both_models_and_survives_a_missing_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loaded: list[str] = []

    class Warm(FakeAssistant):
        @property
        def generator(self) -> None:
            loaded.append("generator")
            raise ModelError("no weights")

    class WarmDocuments(FakeDocuments):
        @property
        def embedder(self) -> None:
            loaded.append("embedder")

    desk = Desk(Warm(*EVENTS), WarmDocuments())
    desk.warm()
    assert loaded == ["embedder", "generator"]
    assert "no weights" in caplog.text
    assert list(desk.answer("q", (), threading.Event()))[-1].answer is ANSWER
