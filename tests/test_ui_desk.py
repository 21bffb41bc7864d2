"""The desk: answers need no open page, nothing asked is lost, everyone gets a turn."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from argon2 import PasswordHasher
from fakes import HashEmbedder, ScriptedGenerator

from rag.assistant import Assistant
from rag.collection import Collection
from rag.errors import ModelError, ModelUnavailable
from rag.failover import Circuit, Failover
from rag.generate import Generation, Message
from rag.records import Document
from rag.scope import Scope
from rag.settings import Settings
from ui.database import ChatDataError, Database
from ui.desk import Busy, Desk, Job
from ui.history import History, Turn
from ui.library import Library
from ui.people import People

TEXT = "The toll of the old bridge is nine crowns. It was built in 1904 by Ada Stone.\n"
WHAT = "What is the toll of the old bridge?"
SAID = "The toll of the old bridge is nine crowns."


class Model(ScriptedGenerator):
    """Says the same to every question; sentences only while `go` is set, telling so by `writing`."""

    def __init__(self, wrong: Exception | None = None) -> None:
        super().__init__()
        self.wrong = wrong
        self.go, self.writing = threading.Event(), threading.Event()
        self.go.set()

    def _reply(self, again: bool) -> Any:
        return self.wrong or (SAID if again else "nine crowns")

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **named: Any
    ) -> Iterator[str]:
        stream = cast(Any, super().stream(messages, max_tokens, into, **named))
        with closing(stream) as pieces:
            for piece in pieces:
                yield piece
                if named.get("again"):
                    self.writing.set()
                    assert self.go.wait(10)


class Chat:
    """A desk over real storage: `ask` stores a question and puts it in line."""

    def __init__(self, folder: Path, database: Path | None = None, **values: Any) -> None:
        self.model = values.pop("model", Model())
        chore, patience = values.pop("chore", None), values.pop("patience", 20.0)
        values = {"refuse_below": 0, "search_gate": 0, "rival_closeness": 1.01, **values}
        self.settings = Settings(collection="papers", indexes=folder / "indexes", **values)
        embedder = HashEmbedder()
        with Collection.open("papers", self.settings, create=True, embedder=embedder) as made:
            made.put([Document("toll.txt", TEXT, "Tolls")], "given")
        self.database = Database(database)
        self.history = History(self.database)
        people = People(folder / "people.json", hasher=PasswordHasher(1, 8, 1))
        self.library = Library(self.settings, people, self.database, embedder)
        self.desk = Desk(self.library, self.history, self.settings, self.model, patience, chore)

    def ask(self, user: str = "anna", question: str = WHAT, collection: str = "papers") -> Job:
        turn = self.history.ask(
            user, self.history.begin(user, collection, question).id, question, {}
        )
        return self.desk.ask(user, turn, collection, Scope(), [])

    def turn(self, job: Job) -> Turn:
        return self.history.turn(job.user, job.turn.id)

    def close(self) -> None:
        self.desk.close()
        self.library.close()
        self.database.close()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Chat]]:
    """Makes chats; started unless told otherwise."""
    chats: list[Chat] = []

    def make(*, start: bool = True, **values: Any) -> Chat:
        chats.append(Chat(tmp_path, **values))
        if start:
            chats[-1].desk.start()
        return chats[-1]

    yield make
    for one in chats:
        if isinstance(one.model, Model):
            one.model.go.set()
        one.close()


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.005)


def test_an_answer_is_stored_with_its_sources_though_nobody_watches(made: Any) -> None:
    chat = made()
    job = chat.ask()
    until(lambda: job.done)
    turn = chat.turn(job)
    assert (turn.status, turn.answer.collection) == ("answered", "papers")
    assert "nine crowns" in turn.answer.text
    assert [one.document for one in turn.sources] == ["toll.txt"]
    quote = turn.answer.citations[0]
    assert TEXT[quote.start : quote.end] == quote.quote
    assert job.draft.split() == SAID.split()
    assert chat.desk._jobs == {}


def test_what_nobody_watches_is_stopped_when_patience_ends(made: Any) -> None:
    chat = made(patience=0.05)
    chat.model.go.clear()
    first, second = chat.ask(), chat.ask("ben")
    with chat.desk.watch(first):
        assert chat.model.writing.wait(10)
        time.sleep(0.1)  # ben's patience ends, anna watches
    time.sleep(0.1)  # anna has left, too
    chat.model.go.set()
    until(lambda: first.done and second.done)
    assert [chat.turn(one).status for one in (first, second)] == ["stopped", "stopped"]
    assert chat.turn(first).note.strip() == "The", "the draft is kept"
    assert (chat.model.stopped, len(chat.model.messages)) == (1, 2)


def test_patience_begins_when_the_last_page_leaves(made: Any) -> None:
    chat = made(patience=1.0)
    chat.model.go.clear()
    job = chat.ask()
    job.alone_since -= 5
    with chat.desk.watch(job):
        assert chat.model.writing.wait(10)
    chat.model.go.set()
    until(lambda: job.done)
    assert chat.turn(job).status == "answered"


def test_stopping_what_is_written_closes_the_models_stream(made: Any) -> None:
    chat = made()
    chat.model.go.clear()
    job = chat.ask()
    assert chat.model.writing.wait(10)
    chat.desk.stop(job.turn.id)
    assert job.done and chat.turn(job).status == "stopped", "at once, whatever the model is at"
    chat.model.go.set()
    until(lambda: chat.model.stopped == 1)
    assert chat.turn(job).status == "stopped"
    chat.desk.stop(job.turn.id)  # no error
    chat.desk.stop("unknown")


def test_stopping_what_waits_ends_it_at_once_and_others_move_up(made: Any) -> None:
    chat = made()
    chat.model.go.clear()
    jobs = [chat.ask(user) for user in ("anna", "ben", "cara", "dan")]
    assert chat.model.writing.wait(10)
    assert [one.before for one in jobs[1:]] == [1, 2, 3]
    assert chat.desk.waiting() == 3
    version = jobs[3].version
    chat.desk.stop(jobs[1].turn.id)
    assert jobs[1].done and chat.turn(jobs[1]).status == "stopped"
    assert [one.before for one in jobs[2:]] == [1, 2]
    assert jobs[3].version > version
    chat.model.go.set()
    until(lambda: jobs[3].done)
    assert [chat.turn(one).status for one in jobs] == ["answered", "stopped"] + ["answered"] * 2


def test_people_are_served_in_turns(made: Any) -> None:
    chat = made(start=False)
    jobs = {
        name: chat.ask(name[0], f"{WHAT[:-1]} {name}?")
        for name in ("a1", "a2", "a3", "b1", "b2", "c1")
    }
    assert [jobs[name].before for name in ("a1", "b1", "c1", "a2", "b2", "a3")] == [*range(6)]
    chat.desk.start()
    until(lambda: all(one.done for one in jobs.values()))
    asked = [one[-1]["content"] for one in chat.model.messages[::2]]
    order = [next(name for name in jobs if f"bridge {name}" in text) for text in asked]
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]


@pytest.mark.parametrize("wrong", [ModelError("no weights: run it"), ValueError("secret /path")])
def test_a_failing_model_fails_its_question_alone(
    made: Any, wrong: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    chat = made(model=Model(wrong))
    job = chat.ask()
    until(lambda: job.done)
    inside = isinstance(wrong, ValueError)
    assert chat.turn(job).status == "failed"
    assert chat.turn(job).note == ("inside" if inside else "no weights: run it")
    assert ("secret /path" in caplog.text) == inside
    chat.model.wrong = None
    again, lost = chat.ask(), chat.ask(collection="nowhere")
    until(lambda: again.done and lost.done)
    assert chat.turn(again).status == "answered"
    assert "there is no collection 'nowhere'" in chat.turn(lost).note


def test_a_disk_that_fails_ends_the_question_and_not_the_desk(
    made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(History):
        full = True

        def _end(self, *what: Any) -> None:
            if self.full:
                raise ChatDataError("the disk is full: free some space")
            super()._end(*what)

    chat = made(start=False, patience=0.0)
    chat.history = chat.desk._history = Full(chat.database)
    left, stopped = chat.ask("anna"), chat.ask("ben")
    chat.desk.stop(stopped.turn.id)
    time.sleep(0.01)
    with caplog.at_level(logging.ERROR):
        chat.desk.start()
        until(lambda: left.done and stopped.done)
    assert "the disk is full" in caplog.text
    chat.history.full = False
    next_one = chat.ask("cara")
    with chat.desk.watch(next_one):
        until(lambda: next_one.done)
    assert chat.turn(next_one).status == "answered"


def test_a_person_has_so_many_questions_in_hand_and_an_hour(made: Any) -> None:
    chat = made(start=False, questions_waiting=2, questions_an_hour=3)
    first, second = chat.ask(), chat.ask()
    for ask in (chat.ask, lambda: chat.desk.admit("anna")):
        with pytest.raises(Busy) as raised:
            ask()
        assert (raised.value.limit, raised.value.number) == ("waiting", 2)
    chat.ask("ben")
    chat.desk.start()
    until(lambda: first.done and second.done)
    third = chat.ask()
    until(lambda: third.done)
    with pytest.raises(Busy) as raised:
        chat.desk.admit("anna")
    assert (raised.value.limit, raised.value.number) == ("hour", 3)
    chat.desk.admit("ben")


def test_closing_loses_no_question(made: Any, tmp_path: Path) -> None:
    chat = made(database=tmp_path / "chat.db")
    chat.model.go.clear()
    written, waits = chat.ask("anna"), chat.ask("ben")
    assert chat.model.writing.wait(10)
    threading.Timer(0.1, chat.model.go.set).start()
    chat.close()
    database = Database(tmp_path / "chat.db")  # the next start of the program
    history = History(database)
    assert history.turn("anna", written.turn.id).status == "stopped"
    assert history.turn("ben", waits.turn.id).status == "asked"
    assert history.interrupted() == 1
    assert history.turn("ben", waits.turn.id).note == "restart"
    database.close()


class Chore:
    """Works until it is interrupted."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def step(
        self, collection: Collection, assistant: Assistant, interrupted: Callable[[], bool]
    ) -> bool:
        self.begun.set()
        until(interrupted)
        self.ended.set()
        return False


def test_a_question_interrupts_the_chore_at_once(made: Any) -> None:
    chat = made(chore=Chore())
    chat.desk.prepare("papers")
    assert chat.desk._chore.begun.wait(10)
    began = time.monotonic()
    job = chat.ask()
    until(lambda: job.done)
    assert time.monotonic() - began < 0.9, "sooner than the desk's idle second"
    assert chat.desk._chore.ended.is_set() and chat.turn(job).status == "answered"


def test_many_people_ask_watch_and_stop_at_once(made: Any) -> None:
    chat = made(patience=0.3, questions_waiting=3, chore=Chore())
    chat.desk.prepare("papers")
    ended: list[Job] = []
    wrong: list[Exception] = []

    def use(number: int) -> None:
        dice, user = random.Random(number), f"user{number}"
        try:
            for _ in range(10):
                job = chat.ask(user)
                ended.append(job)
                if dice.random() < 0.3:
                    chat.desk.stop(job.turn.id)
                if dice.random() < 0.7:
                    with chat.desk.watch(job):
                        until(lambda job=job: job.done or dice.random() < 0.02)
                until(lambda: sum(not one.done for one in ended if one.user == user) < 3)
                chat.desk.waiting()
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    until(lambda: all(one.done for one in ended))
    assert wrong == [] and len(ended) == 200
    assert chat.desk._jobs == {} and chat.desk.waiting() == 0
    states = [chat.turn(one).status for one in ended]
    assert set(states) == {"answered", "stopped"}


class Dying(Model):
    """A model server that stops within a sentence."""

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **named: Any
    ) -> Iterator[str]:
        for piece in super().stream(messages, max_tokens, into, **named):
            yield piece
            if named.get("again"):
                raise ModelUnavailable("killed")


def test_a_draft_begins_anew_where_another_model_does(made: Any) -> None:
    both = Failover(Dying(), Model, Circuit(3, 30), 5)
    chat = made(model=both)
    job = chat.ask()
    until(lambda: job.done)
    assert job.draft == SAID, "nothing of the first one's is left"
    assert chat.turn(job).answer.text == f"{SAID[:-1]} [1]."
