"""What a question asks for, its parts, and whether an answer has the shape that was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.shape import Kind, fits, kind, missing_grain, parts

KINDS: list[tuple[str, Kind]] = [
    ("When was the treaty signed?", "when"),
    ("In which year did Norway join?", "when"),
    ("The treaty was signed in what year?", "when"),
    ("On what date does the lease end?", "when"),
    ("Who signed it?", "who"),
    ("By whom was the treaty signed?", "who"),
    ("Can you tell me who signed the treaty?", "who"),
    ("In 2014, who led NATO?", "who"),
    ("Where is the archive?", "where"),
    ("In which city was the treaty signed?", "where"),
    ("How many members are there?", "count"),
    ("What was the number of warheads?", "count"),
    ("How much does it cost?", "amount"),
    ("How long is the notice period?", "amount"),
    ("What is the total budget of the agency?", "amount"),
    ("Is Ukraine a member?", "yes_no"),
    ("Did the Senate ratify the treaty?", "yes_no"),
    ("Isn't it binding?", "yes_no"),
    ("Which countries signed?", "list"),
    ("What are the obligations?", "list"),
    ("List the members of the board.", "list"),
    ("Please name three reasons", "list"),
    ("Why did talks fail?", "why"),
    ("What caused the crisis?", "why"),
    ("How do I apply for a pension?", "how"),
    ("What is NATO?", "define"),
    ("What is a quorum?", "define"),
    ("What does habeas corpus mean?", "define"),
    ("What is the Budapest Memorandum?", "define"),
    ("Summarise the report", "summary"),
    ("Give me a short overview of the treaty", "summary"),
    ("What is the report about?", "summary"),
    ("What is the capital of Norway?", "other"),
    ("Tell me a joke", "other"),
    ("When imperialism shapes a state's norms, what is it called?", "other"),
    ("Коли підписано договір?", "other"),
    ("", "other"),
]


@pytest.mark.parametrize(("question", "expected"), KINDS)
def test_kind(question: str, expected: Kind) -> None:
    assert kind(question) == expected


COMPOUND: list[tuple[str, tuple[str, ...]]] = [
    ("Who signed the treaty, and when did it enter into force?",
     ("Who signed the treaty?", "When did the treaty enter into force?")),
    ("What is NATO and who founded it?", ("What is NATO?", "Who founded NATO?")),
    ("What is NATO? Who founded it?", ("What is NATO?", "Who founded NATO?")),
    ("When and where was Napoleon born?", ("When was Napoleon born?", "Where was Napoleon born?")),
    ("When, where and by whom was the treaty signed?",
     ("When was the treaty signed?", "Where was the treaty signed?", "By whom was the treaty signed?")),
    ("When was the Budapest Memorandum signed and by whom?",
     ("When was the Budapest Memorandum signed?", "By whom was the Budapest Memorandum signed?")),
    ("How did Stalin die and when?", ("How did Stalin die?", "When did Stalin die?")),
    ("Who wrote Hamlet and who wrote Faust?", ("Who wrote Hamlet?", "Who wrote Faust?")),
    ("In 2014, who led the EU and who led NATO?",
     ("In 2014, who led the EU?", "In 2014, who led NATO?")),
    ("Which countries signed and which countries refused to sign?",
     ("Which countries signed?", "Which countries refused to sign?")),
    ("Why did France leave, what did it want, and when did it return?",
     ("Why did France leave?", "What did France want?", "When did France return?")),
    ("When did Angela Merkel resign and what did she study?",
     ("When did Angela Merkel resign?", "What did Angela Merkel study?")),
    ("Who leads the Red Cross, and how is it funded?",
     ("Who leads the Red Cross?", "How is the Red Cross funded?")),
]  # fmt: skip
SINGLE = """What are the roles of the EU and NATO?
What did A and B sign?
What happened between 2010 and 2014?
What is the difference between who and whom?
Explain how NATO works and why it matters.
What did he say about what happened and why it mattered?
What is NATO? And why?
Who signed the treaty?
Did France and Germany agree and sign?
Who met whom, and why?
Who signed it and when did it enter into force?
When American firms rolled out their cars, which policy ended?
When did France join NATO and why did they leave?
I love barbecue. Could I have one there?
Tell me about the treaty and the war.
?
""".splitlines()


@pytest.mark.parametrize(("question", "expected"), COMPOUND)
def test_compound(question: str, expected: tuple[str, ...]) -> None:
    assert parts(question) == expected


@pytest.mark.parametrize("question", ["", *SINGLE])
def test_single(question: str) -> None:
    assert parts(question) == (question,)


def test_at_most_four() -> None:
    many = " ".join(f"Who wrote Book{n} in Spain?" for n in range(7))
    assert len(parts(many)) == 4
    assert "Book6" in parts(many)[-1]


GRAINS = [
    ("On what date was it signed?", "1994", "the day and month"),
    ("On what date was it signed?", "December 1994", "the day"),
    ("On what date was it signed?", "5 December 1994", None),
    ("On what date was it signed?", "It was signed on 1994-12-05.", None),
    ("When exactly did it end?", "In 1994", "the day and month"),
    ("In which month and year was it signed?", "2010", "the month"),
    ("In which month and year was it signed?", "May", "the year"),
    ("In which month and year was it signed?", "May 2010", None),
    ("In what month did it begin?", "In 2010.", "the month"),
    ("At what time did it begin?", "on 5 May 2010", "the time of day"),
    ("At what time did it begin?", "at 10:30 on 5 May", None),
    ("On what day of the week was it?", "5 May 2010", "the day of the week"),
    ("On what day of the week was it?", "on a Monday", None),
    ("What was the exact number of warheads?", "about 1,900", "the exact figure"),
    ("What was the exact number of warheads?", "1,912", None),
    ("When was it signed?", "1994", None),
    ("On what date was it signed?", "by the president", None),
    ("In what time period was it built?", "1994", None),
    ("On what date was it signed?", "", None),
]


@pytest.mark.parametrize(("question", "answer", "expected"), GRAINS)
def test_missing_grain(question: str, answer: str, expected: str | None) -> None:
    assert missing_grain(question, answer) == expected


FITTING = [
    ("When was it signed?", "5 December 1994"),
    ("When was it signed?", "shortly after the war"),
    ("When is it open?", "Mondays and Tuesdays"),
    ("When did it start?", "the nineteenth century"),
    ("Who ratified it?", "the Senate"),
    ("Who ratified it?", "members of parliament"),
    ("Who ratified it?", "Bill Clinton"),
    ("Who used the church?", "dukes"),
    ("How many were there?", "1,900"),
    ("How many were there?", "None."),
    ("How many were there?", "several dozen"),
    ("How long does it take?", "a few weeks"),
    ("How much does it cost?", "It is free."),
    ("Where is it?", "in the north"),
    ("Where is it?", "Budapest"),
    ("Is it binding?", "Lawyers disagree."),
    ("Why?", "Money"),
    ("Хто підписав?", "1994"),
]
UNFIT = [
    ("When was it signed?", "Bill Clinton"),
    ("When was it signed?", "in Budapest"),
    ("Who ratified it?", "1994"),
    ("Who ratified it?", "in 1994"),
    ("Who ratified it?", "5 May 2010"),
    ("How many were there?", "Budapest"),
    ("How much does it cost?", "Bill Clinton"),
    ("Where is it?", "1994"),
    ("Where is it?", "yes"),
    ("What is it?", " ... "),
]


@pytest.mark.parametrize(("question", "answer"), FITTING)
def test_fits(question: str, answer: str) -> None:
    assert fits(question, answer)


@pytest.mark.parametrize(("question", "answer"), UNFIT)
def test_does_not_fit(question: str, answer: str) -> None:
    assert not fits(question, answer)


WORDS = st.lists(
    st.sampled_from("who when and where was it the treaty NATO ? , signed in 1994 how many it's".split())
    | st.text(max_size=8),
    max_size=30,
).map(" ".join)  # fmt: skip


@given(WORDS, st.text(max_size=60))
def test_any_text(question: str, answer: str) -> None:
    assert kind(question)
    assert isinstance(fits(question, answer), bool)
    assert missing_grain(question, answer) != ""


@given(WORDS)
def test_parts_are_one_to_four_and_not_empty(question: str) -> None:
    found = parts(question)
    assert 1 <= len(found) <= 4
    assert found == (question,) or all(part.strip(" ?") for part in found)
