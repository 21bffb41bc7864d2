"""Verdicts, and the suite made of them, read by what reads suites."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.records import Evidence, Question
from eval.suites import own
from rag.errors import InputError
from rag.records import Answer, AnswerSentence, Citation
from ui.database import Database
from ui.feedback import REASONS, Feedback
from ui.history import History

OVENS = Answer(
    question="How many ovens?",
    standalone_question="How many ovens?",
    text="Eight | ovens [1]. Ninety [2].",
    refused=False,
    confidence=0.9,
    sentences=(
        AnswerSentence("Eight | ovens.", "supported", (1,)),
        AnswerSentence("Made up.", "unsupported"),
        AnswerSentence("Ninety.", "partial", (2,)),
        AnswerSentence("x" * 300, "supported", (2,)),
    ),
    citations=(Citation(1, "a.txt", "A", None, None, 0, 5, "Eight"),),
)
FOLLOWING = Answer("And in 2023?", "How many ovens in 2023?", "Seven.", False, 0.5)
REFUSED = Answer("Who?", "Who?", "No answer.", True, 0.9)
GREETING = Answer("Hi", "Hi", "Hello.", False, 1.0)


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database(None)
    yield opened
    opened.close()


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


@pytest.fixture
def feedback(database: Database) -> Feedback:
    return Feedback(database)


def asked(history: History, *answers: Answer | None, collection: str = "papers") -> list[str]:
    conversation = history.begin("anna", collection, "?").id
    turns = []
    for answer in answers:
        question = answer.question if answer else "Unanswered?"
        turns.append(history.ask("anna", conversation, question, {}).id)
        if answer:
            history.finish(turns[-1], answer, ())
    return turns


def test_the_last_verdict_of_a_person_stands(history: History, feedback: Feedback) -> None:
    (turn,) = asked(history, OVENS)
    assert feedback.of("anna", turn) is None
    feedback.give("anna", turn, "up", "", "")
    feedback.give("anna", turn, "down", "wrong", " Nine. ")
    feedback.give("ben", turn, "up", "", "")
    mine = feedback.of("anna", turn)
    assert mine is not None
    assert (mine.verdict, mine.reason, mine.correction) == ("down", "wrong", "Nine.")
    assert (mine.collection, mine.question, mine.answer) == ("papers", "How many ovens?", OVENS)
    assert [one.user for one in feedback.all()] == ["anna", "ben"]
    assert feedback.all("papers") == feedback.all() and feedback.all("mails") == []
    assert history.turn("anna", turn).verdict == "down"


def test_what_is_no_verdict_is_refused(history: History, feedback: Feedback) -> None:
    (turn,) = asked(history, OVENS)
    for verdict, reason, correction, match in (
        ("sideways", "", "", "up or down"),
        ("down", "boring", "", "incomplete"),
        ("down", "wrong", "x" * 4001, "4000"),
    ):
        with pytest.raises(InputError, match=match):
            feedback.give("anna", turn, verdict, reason, correction)
    with pytest.raises(InputError, match="deleted"):
        feedback.give("anna", "no such turn", "up", "", "")
    for reason in REASONS:
        feedback.give("anna", turn, "down", reason, "")
    history.cut("anna", history.turn("anna", turn).conversation, 1)
    assert feedback.all() == []


def exported(feedback: Feedback, path: Path) -> list[Question]:
    lines = [json.dumps(row, ensure_ascii=False) for row in Feedback.as_suite(feedback.all())]
    path.write_text("\n".join(lines), encoding="utf-8")
    return list(own.load(path, collection="papers").questions)


def test_the_suite_reads_the_export(history: History, feedback: Feedback, tmp_path: Path) -> None:
    praised, follow, refused, silent = asked(history, OVENS, FOLLOWING, REFUSED, None)
    absent, right_refusal, greeting, alone = asked(history, OVENS, REFUSED, GREETING, OVENS)
    feedback.give("anna", praised, "up", "", "")
    feedback.give("anna", follow, "down", "wrong", "[Nine] | 9\u2028")
    feedback.give("anna", refused, "down", "should have answered", "Anna")
    feedback.give("anna", silent, "down", "other", "")
    feedback.give("anna", absent, "down", "not in the documents", "It's another report")
    feedback.give("anna", right_refusal, "up", "", "")
    feedback.give("anna", greeting, "up", "", "")
    feedback.give("anna", alone, "down", "incomplete", "")
    feedback.give("ben", praised, "down", "wrong", "Nine.")

    found = {one.id: one for one in exported(feedback, tmp_path / "suite.jsonl")}
    assert set(found) == {praised, follow, refused, absent, right_refusal, f"{praised}-2"}
    assert found[praised].gold.answers == ("Eight | ovens. Ninety.",)
    assert found[praised].gold.evidence == ((Evidence("a.txt", "Eight"),),)
    assert found[praised].history == ()
    assert found[f"{praised}-2"].gold.answers == ("Nine.",)
    assert found[follow].gold.answers == ("[Nine] | 9",)
    assert found[follow].question == "And in 2023?"
    assert [one["content"] for one in found[follow].history] == [
        "How many ovens?",
        f"Eight | ovens. Made up. Ninety. {'x' * 300}",
    ]
    assert found[refused].gold.answers == ("Anna",)
    assert not found[absent].answerable and not found[right_refusal].answerable

    rest = {row["id"]: row for row in Feedback.without_gold(feedback.all())}
    assert set(rest) == {silent, greeting, alone}
    assert rest[alone]["feedback"]["shown"] == OVENS.text
    assert rest[alone]["feedback"]["reason"] == "incomplete"
    assert not any({"answers", "answerable"} & set(row) for row in rest.values())
