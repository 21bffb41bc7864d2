"""What was asked stays, is seen only by whoever asked, is found again, and can be forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import InputError
from rag.records import Answer, AnswerSentence, Citation
from ui.database import Database
from ui.excerpt import Excerpt, Highlight
from ui.feedback import Feedback
from ui.history import History, one_line
from ui.snapshot import Part, Source

CITED = Citation(1, "a.txt", "A", "2024", 2, 3, 8, "eight")
ANSWER = Answer(
    question="How many?",
    standalone_question="How many?",
    text="Eight Öfen\u2028stehen dort [1].",
    refused=False,
    confidence=0.5,
    sentences=(AnswerSentence("Eight Öfen stehen dort.", "supported", (1,)),),
    citations=(CITED,),
    signals={"cosine": 0.25},
)
EXCERPT = Excerpt("to eight.", 0, 9, (Highlight("1", 3, 8),))
SOURCES = (
    Source(
        *("a.txt", "A", "2024", "text/plain", "ff", "/a.txt"),
        parts=(Part(EXCERPT, ("Ovens",), 2, None, True),),
    ),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "chat.db")
    yield opened
    opened.close()


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


def begun(history: History, user: str = "anna", question: str = "How many?") -> str:
    return history.begin(user, "papers", question).id


# The answer as stored


@settings(max_examples=30)
@given(st.from_type(Answer))
def test_an_answer_survives_json(answer: Answer) -> None:
    again = Answer.from_dict(json.loads(json.dumps(answer.to_dict())))
    assert repr(again) == repr(answer)  # repr: a score may be NaN, which equals nothing


def test_an_answer_of_a_later_version_is_read() -> None:
    row: dict[str, Any] = ANSWER.to_dict() | {"later": 1}
    row["citations"][0]["colour"] = "red"
    assert Answer.from_dict(row) == ANSWER


def test_half_an_answer_is_an_error() -> None:
    with pytest.raises(ValueError, match="refused"):
        Answer.from_dict({"question": "q", "standalone_question": "q", "text": "t"})


# Asking


def test_a_question_is_on_disk_before_its_answer(history: History, tmp_path: Path) -> None:
    conversation = begun(history)
    asked = history.ask("anna", conversation, "How \ud800many?", {"documents": ["a.txt"]})
    assert (asked.number, asked.status, asked.answer, asked.sources) == (1, "asked", None, ())
    assert asked.question == "How ?many?"
    other = Database(tmp_path / "chat.db")
    assert History(other).turns("anna", conversation) == [asked]
    other.close()


def test_turns_end_as_they_should(history: History) -> None:
    conversation = begun(history)
    first, second, third = (
        history.ask("anna", conversation, text, {}).id for text in ("1?", "2?", "3?")
    )
    history.finish(first, ANSWER, SOURCES)
    history.stop(second, "Eight, I")
    history.fail(third, "the model is missing")
    for late in (first, third):
        history.stop(late, "too late")
    turns = history.turns("anna", conversation)
    assert [(one.number, one.status, one.note) for one in turns] == [
        (1, "answered", ""),
        (2, "stopped", "Eight, I"),
        (3, "failed", "the model is missing"),
    ]
    assert (turns[0].answer, turns[0].sources) == (ANSWER, SOURCES)
    assert turns[0] == history.turn("anna", first)


def test_an_answer_for_a_deleted_conversation_is_dropped(history: History) -> None:
    conversation = begun(history)
    turn = history.ask("anna", conversation, "How many?", {}).id
    history.delete("anna", conversation)
    history.finish(turn, ANSWER, SOURCES)
    history.stop(turn, "x")
    assert history.conversations("anna") == []
    with pytest.raises(InputError, match="deleted"):
        history.turn("anna", turn)


def test_a_restart_stops_open_questions_only(history: History) -> None:
    conversation = begun(history)
    history.finish(history.ask("anna", conversation, "1?", {}).id, ANSWER, ())
    open_one = history.ask("anna", conversation, "2?", {}).id
    assert (history.interrupted(), history.interrupted()) == (1, 0)
    assert [one.note for one in history.turns("anna", conversation)] == ["", "restart"]
    history.finish(open_one, ANSWER, ())  # another server of the same folder had it
    assert history.turn("anna", open_one).note == ""


def test_asking_anew_takes_the_place_of_what_followed(history: History) -> None:
    conversation = begun(history)
    for text in ("1?", "2?", "3?"):
        history.ask("anna", conversation, text, {})
    history.cut("anna", conversation, 2)
    assert history.ask("anna", conversation, "two?", {}).number == 2
    assert [one.question for one in history.turns("anna", conversation)] == ["1?", "two?"]
    assert history.conversation("anna", conversation).turns == 2


def test_questions_at_once_get_numbers_of_their_own(history: History) -> None:
    conversation = begun(history)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: history.ask("anna", conversation, f"{n}?", {}), range(12)))
    numbers = [one.number for one in history.turns("anna", conversation)]
    assert numbers == list(range(1, 13))


# Whose it is


def test_nobody_sees_or_changes_another_persons(history: History) -> None:
    conversation = begun(history)
    turn = history.ask("anna", conversation, "How many?", {}).id
    attempts = [
        lambda: history.conversation("ben", conversation),
        lambda: history.rename("ben", conversation, "mine"),
        lambda: history.delete("ben", conversation),
        lambda: history.ask("ben", conversation, "?", {}),
        lambda: history.turns("ben", conversation),
        lambda: history.turn("ben", turn),
        lambda: history.cut("ben", conversation, 1),
        lambda: history.share("ben", turn),
    ]
    for attempt in attempts:
        with pytest.raises(InputError, match="not there"):
            attempt()
    assert history.conversations("ben") == []
    assert history.conversation("anna", conversation).title == "How many?"
    assert len(history.turns("anna", conversation)) == 1


def test_a_link_shows_one_turn_until_it_is_gone(history: History, database: Database) -> None:
    conversation = begun(history)
    turn = history.ask("anna", conversation, "How many?", {}).id
    history.finish(turn, ANSWER, SOURCES)
    Feedback(database).give("anna", turn, "up", "", "")
    assert history.turn("anna", turn).verdict == "up"
    token = history.share("anna", turn)
    assert token == history.share("anna", turn) and len(token) >= 22
    found = history.shared(token)
    assert found is not None
    assert (found[0].answer, found[0].verdict) == (ANSWER, "")  # her opinion is not part of it
    assert found[1] == history.conversation("anna", conversation)
    assert history.shared("") is None and history.shared(turn) is None
    history.cut("anna", conversation, 1)
    assert history.shared(token) is None


# Finding


def test_the_latest_asked_comes_first(history: History) -> None:
    old, new = begun(history, question="old"), begun(history, question="new")
    assert [one.id for one in history.conversations("anna")] == [new, old]
    history.ask("anna", old, "again?", {})
    assert [one.id for one in history.conversations("anna")] == [old, new]
    assert [one.id for one in history.conversations("anna", limit=1)] == [old]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ПЕЧЬ", True),
        ("печ сколько", True),  # parts of words, from title and question
        ("ÖFEN eight", True),
        ("Öfen STEHEN", True),  # decomposed
        ("strasse", True),
        ("печь absent", False),
        ("%", False),
        ("_", False),
        ('"печь" OR x', False),
        ("NOT печь", False),
        ("'; DROP TABLE turns; --", False),
        ("  ", True),
        ("x " * 5000, False),
    ],
)
def test_search(history: History, search: str, found: bool) -> None:
    conversation = begun(history, question="Сколько")
    history.finish(history.ask("anna", conversation, "Печь в der Straße?", {}).id, ANSWER, SOURCES)
    assert bool(history.conversations("anna", search)) == found
    assert history.conversations("ben", search) == []


def test_a_renamed_conversation_is_found_by_its_new_name(history: History) -> None:
    conversation = begun(history, question="first name")
    history.rename("anna", conversation, " Ovens\nand kilns ")
    assert history.conversations("anna", "first") == []
    assert [one.title for one in history.conversations("anna", "KILNS")] == ["Ovens and kilns"]
    with pytest.raises(InputError, match="empty"):
        history.rename("anna", conversation, " \n")


@given(st.text(st.sampled_from("ab \n\t\u2028é"), max_size=150), st.integers(2, 80))
def test_a_title_is_one_line_cut_at_a_word(text: str, most: int) -> None:
    line, words = one_line(text, most), text.split()
    assert len(line) <= most
    if line.endswith("…"):
        kept = line[:-1].split(" ")
        assert kept == words[: len(kept)] or (len(kept) == 1 and words[0].startswith(kept[0]))
    else:
        assert line.split() == words and "\n" not in line


# Forgetting


def test_forgetting_a_person(history: History, database: Database) -> None:
    opinions = Feedback(database)
    hers, his = begun(history, "anna"), begun(history, "ben")
    turn = history.ask("anna", hers, "How many?", {}).id
    kept = history.ask("ben", his, "Which?", {}).id
    token = history.share("anna", turn)
    opinions.give("ben", turn, "down", "wrong", "")
    opinions.give("anna", kept, "up", "", "")
    opinions.give("ben", kept, "up", "", "")
    assert history.forget_user("anna") == {
        "feedback": 2,
        "shares": 1,
        "turns": 1,
        "conversations": 1,
    }
    assert history.conversations("anna") == [] and history.shared(token) is None
    assert [one.turn for one in opinions.all()] == [kept]
    assert len(history.turns("ben", his)) == 1
    assert set(history.forget_user("anna").values()) == {0}


def test_forgetting_by_collection_and_age(history: History, database: Database) -> None:
    begun(history)
    other = history.begin("anna", "mails", "?").id
    assert history.forget_collection("papers") == 1
    assert [one.id for one in history.conversations("anna")] == [other]
    assert history.forget_older(1) == 0
    database.run("UPDATE conversations SET updated = '2020-01-01T00:00:00.000000Z'")
    history.ask("anna", other, "still used?", {})
    assert history.forget_older(30) == 0
    database.run("UPDATE conversations SET updated = '2020-01-01T00:00:00.000000Z'")
    assert history.forget_older(30) == 1
    assert database.rows("SELECT count(*) FROM turns")[0][0] == 0
