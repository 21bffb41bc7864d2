"""One page's conversation: who may ask what, what is stored before anything runs, what is drawn."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import TRUSTING, HashEmbedder, ScriptedGenerator

from rag.collection import Collection
from rag.errors import InputError, RagError
from rag.reader import LONGEST_QUESTION
from rag.records import Document
from rag.settings import Settings
from ui.context import Context
from ui.desk import Busy, Desk, Job
from ui.people import Person
from ui.services import Services, opened
from ui.talk import Talk

ANNA = Person("anna", "reader")
BEN = Person("ben", "reader", frozenset({"hr"}))
TEXT = "The toll of the old bridge is nine crowns. It was built in 1904 by Ada Stone.\n"
WHAT = "What is the toll of the old bridge?"
WHO = "Who built the old bridge?"


class Model(ScriptedGenerator):
    """Says the same to every question, however often."""

    def _reply(self, again: bool) -> Any:
        return "The toll of the old bridge is nine crowns." if again else "nine crowns"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """A chat with "papers", and "staff" that is for the group "hr" alone. Its desk stands still."""
    settings = Settings(
        collection="papers",
        indexes=tmp_path / "indexes",
        **TRUSTING,
        questions_waiting=4,
    )
    embedder = HashEmbedder()
    for name in ("papers", "staff"):
        with Collection.open(name, settings, create=True, embedder=embedder) as made:
            made.put([Document("toll.txt", TEXT, "Tolls")], "given")
    with opened(settings, embedder=embedder, model=Model()) as found:
        found.people.restrict("staff", ["hr"])
        found.desk.close()
        still = Desk(found.library, found.history, settings, Model(), patience_s=60)
        yield replace(found, desk=still)
        if still.started:
            still.close()


def ask(services: Services, question: str = WHAT, person: Person = ANNA, **context: Any) -> Talk:
    """A talk after its beginning; in "papers" unless it is in a conversation."""
    base = {"do": "ask"} | ({} if context.get("conversation") else {"collection": "papers"})
    talk = Talk(services, person, Context.model_validate(base | context))
    talk.begin(question)
    return talk


def told(talk: Talk) -> list[str]:
    """conversation, turn, stage, collection"""
    found = re.fullmatch(r'<i id="told:([\w-]*):([\w-]*):(\w+):([\w.-]*):\d+"></i>', talk.told())
    assert found
    return list(found.groups())


def answered(services: Services, *talks: Talk) -> None:
    if not services.desk.started:
        services.desk.start()
    end = time.monotonic() + 20
    while not all(one.job and one.job.done for one in talks):
        assert time.monotonic() < end
        time.sleep(0.005)
    for one in talks:
        one.finish()


def questions(services: Services, conversation: str, person: Person = ANNA) -> list[str]:
    return [one.question for one in services.history.turns(person.name, conversation)]


def contents(talk: Talk) -> str:
    return "\n".join(one["content"] for one in talk.messages())


def test_a_question_is_stored_before_the_model_runs_and_answered_after(services: Services) -> None:
    talk = ask(services, f"  {WHAT}\n", scope={"documents": ["toll.txt"]})
    conversation, turn, stage, collection = told(talk)
    assert (stage, collection) == ("running", "papers")
    stored = services.history.turn("anna", turn)
    assert (stored.question, stored.status) == (WHAT, "asked")
    assert stored.scope["documents"] == ["toll.txt"]
    assert [one["role"] for one in talk.messages()] == ["user", "assistant"]
    assert "Waiting for the model" in contents(talk)
    answered(services, talk)
    assert told(talk)[2] == "done"
    assert 'class="fn-marker' in contents(talk) and f"#src-{turn}-1" in contents(talk)
    assert services.audit.entries()[0].action == "ask"
    reopened = ask(services, "", do="open", conversation=conversation)
    assert (told(reopened)[2], contents(reopened)) == ("open", contents(talk))


@pytest.mark.parametrize(
    "context",
    [
        {"collection": "staff"},
        {"collection": "nowhere"},
        {"collection": ""},
        {"conversation": "unknown"},
        {"do": "open", "conversation": "unknown"},
        {"do": "again", "turn": "unknown"},
        {"do": "again"},
        {"scope": {"after": "soon"}},
        {"scope": {"kinds": ["exe"]}},
    ],
)
@pytest.mark.parametrize("lang", ["en", "uk"])
def test_what_may_not_be_had_leaves_nothing_behind(
    services: Services, context: dict[str, Any], lang: str
) -> None:
    talk = Talk(
        services,
        ANNA,
        Context.model_validate({"do": "ask", "collection": "papers", "lang": lang} | context),
    )
    with pytest.raises(InputError) as raised:
        talk.begin(WHAT)
    assert "\n" not in str(raised.value)
    assert services.history.conversations("anna") == []
    assert (talk.messages(), talk.told()) == ([], '<i id="told:::open::0"></i>')
    assert services.desk.waiting() == 0


def test_a_private_collection_and_none_at_all_look_the_same(services: Services) -> None:
    told = []
    for name in ("staff", "nowhere"):
        with pytest.raises(InputError) as raised:
            ask(services, collection=name)
        told.append(str(raised.value).replace(name, "…"))
    assert told[0] == told[1]
    assert ask(services, person=BEN, collection="staff").job


def test_a_damaged_collection_and_too_long_a_question_leave_nothing_behind(
    services: Services,
) -> None:
    with pytest.raises(InputError, match="at most"):
        ask(services, "x" * (LONGEST_QUESTION + 1))
    (services.settings.indexes / "bad").mkdir()
    (services.settings.indexes / "bad" / "collection.db").write_bytes(b"not a database" * 99)
    with pytest.raises(RagError):
        ask(services, collection="bad")
    assert services.history.conversations("anna") == []


def test_somebody_elses_conversation_is_not_there(services: Services) -> None:
    conversation, turn, *_ = told(ask(services))
    for context in (
        {"conversation": conversation},
        {"do": "open", "conversation": conversation},
        {"do": "again", "turn": turn},
    ):
        with pytest.raises(InputError):
            ask(services, WHO, BEN, **context)
    ask(services, WHO, BEN, edit=turn)  # another's turn edits nothing
    assert questions(services, conversation) == [WHAT]


def test_a_collection_that_was_lost_takes_its_conversations_along(services: Services) -> None:
    conversation, turn, *_ = told(ask(services, person=BEN, collection="staff"))
    services.people.restrict("staff", ["board"])
    for context in (
        {"conversation": conversation},
        {"do": "open", "conversation": conversation},
        {"do": "again", "turn": turn},
    ):
        with pytest.raises(InputError, match="no collection “staff”"):
            ask(services, WHO, BEN, **context)
    assert questions(services, conversation, BEN) == [WHAT]


def test_an_edit_cuts_what_follows_and_stops_all_of_it(services: Services) -> None:
    first = ask(services)
    conversation, *_ = told(first)
    second = ask(services, WHO, conversation=conversation)
    third = ask(services, "And when?", conversation=conversation)
    assert "2 questions before this one" in contents(third)
    edited = ask(services, "Who made it?", conversation=conversation, edit=told(second)[1])
    assert questions(services, conversation) == [WHAT, "Who made it?"]
    assert len(edited.messages()) == 4 and "And when" not in contents(edited)
    assert second.job.done and third.job.done and not first.job.done
    assert services.desk.waiting() == 2


def test_again_replaces_the_last_turn_and_repeats_an_earlier_one(services: Services) -> None:
    talk = ask(services, scope={"documents": ["toll.txt"]})
    conversation, first, *_ = told(talk)
    again = ask(services, "typed", do="again", turn=first)
    assert questions(services, conversation) == [WHAT] and told(again)[1] != first
    stored = services.history.turns("anna", conversation)[0]
    assert stored.scope["documents"] == ["toll.txt"], "with the same scope"
    ask(services, WHO, conversation=conversation)
    ask(services, "", do="again", turn=stored.id)
    assert questions(services, conversation) == [WHAT, WHO, WHAT]


def test_too_many_questions_are_refused_before_any_is_stored(services: Services) -> None:
    for _ in range(4):
        ask(services)
    with pytest.raises(Busy):
        ask(services)
    assert len(services.history.conversations("anna")) == 4

    class Late(Desk):
        def admit(self, user: str) -> None:
            """Another page of theirs asks right after this."""

    services.desk.__class__ = Late
    with pytest.raises(Busy):
        ask(services)
    assert len(services.history.conversations("anna")) == 4


def test_an_answer_that_ends_while_its_page_opens_is_shown(services: Services) -> None:
    conversation, *_ = told(ask(services))

    class Quick(Desk):
        def job(self, turn: str) -> Job | None:
            self.stop(turn)
            return super().job(turn)

    services.desk.__class__ = Quick
    opened = ask(services, "", do="open", conversation=conversation)
    assert opened.job is None and "Nothing here was checked" in contents(opened)


def test_a_conversation_that_is_deleted_while_it_is_answered_is_no_error(
    services: Services,
) -> None:
    talk = ask(services)
    services.history.delete("anna", told(talk)[0])
    answered(services, talk)
    assert told(talk)[2] == "done" and contents(talk)


def test_an_empty_question_only_opens(services: Services) -> None:
    talk = Talk(services, ANNA, Context.model_validate({"do": "ask", "collection": "papers"}))
    assert talk.begin(" \n") is False
    assert (talk.messages(), talk.job) == ([], None)


@pytest.mark.parametrize("lang", ["en", "uk"])
def test_every_status_is_drawn_in_the_readers_language(services: Services, lang: str) -> None:
    say = Context(lang=lang).say
    history = services.history

    def shown(status: str, note: str) -> str:
        begun = history.begin("anna", "papers", WHAT)
        turn = history.ask("anna", begun.id, WHAT, {})
        history._end(turn.id, status, note)
        return contents(ask(services, "", do="open", conversation=begun.id, lang=lang))

    assert say("answer.stopped") in shown("stopped", "A <b>draft</b>")
    assert "&#60;b&#62;draft" in shown("stopped", "A <b>draft</b>")
    restarted = shown("stopped", "restart")
    assert say("answer.restarted") in restarted and ">restart<" not in restarted
    assert say("answer.inside") in shown("failed", "inside")
    assert "no weights" in shown("failed", "no weights")
    assert say("answer.stage.loading") in shown("asked", "")
    talk = ask(services, lang=lang)
    for stage, detail in (("understanding", ""), ("reading", "5"), ("comparing", "2")):
        talk.job.now(stage, detail)
        assert say(f"answer.stage.{stage}", n=int(detail or 0)) in contents(talk)
    talk.job.draft = "nine <i>"
    assert "nine &#60;i&#62;" in contents(talk)
    talk.job.now("queued")
    answered(services, talk)
    title = say("answer.act.copy")
    assert title in contents(talk) and say("answer.checked", supported=1, n=1) in contents(talk)
