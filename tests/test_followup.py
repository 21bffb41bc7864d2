"""Which questions lean on what was said before, and which the rules complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.followup import fill, leans_on_history, standalone, topic

LEANS = [
    "And in 1996?",
    "What about Russia?",
    "How about the other memorandum?",
    "Why?",
    "When was it signed?",
    "Did they keep their promises?",
    "What did he say about nuclear weapons?",
    "But was the treaty ratified?",
    "Who signed the same treaty later?",
    "How many of those were destroyed?",
    "What is that?",
    "Who signed that treaty?",
    "Is this binding?",
    "How many people live there?",
    "What happened by then?",
    "Do I need to get one?",
    "Which one is older?",
    "no, I meant the EU",
    "Sorry, 2015",
    "Why did the EU support it?",
    "How can I apply?",
    "",
]
STANDS = [
    "When was the Budapest Memorandum signed?",
    "Which countries gave Ukraine security assurances?",
    "How many nuclear warheads did Ukraine give up?",
    "What is the capital of Norway?",
    "Was Orlando part of the negotiations in Oslo?",
    "Iterations of the draft treaty were published when?",
    "What is the most common language there is?",
    "What were the results of this year's election?",
    "How many members are there in the council?",
    "What is the name of the treaty that ended the war?",
    "Is it necessary to register a company before trading?",
    "When did Napoleon leave his army?",
    "What did the EU say about its members?",
    "How do companies hire their employees?",
    "Where did Tesla go when he left Edison?",
    "What are countries such as Norway doing?",
    "What is NATO?",
    "Who was Tecumseh?",
    "What is a misdemeanor?",
    "And when was NATO founded?",
    "Who was the former president of Poland?",
    "What is needed for those who retire early?",
    "How can one ensure security during migration?",
    "I see a dashboard after I log in. Is this dashboard customizable?",
]


@pytest.mark.parametrize("question", LEANS)
def test_leans(question: str) -> None:
    assert leans_on_history(question)


@pytest.mark.parametrize("question", STANDS)
def test_stands_alone(question: str) -> None:
    assert not leans_on_history(question)
    assert standalone(question, _talk("What is the Red Cross?", "A movement.")) == question


def _talk(*turns: str) -> list[dict[str, str]]:
    """User and assistant in turn."""
    return [
        {"role": "assistant" if n % 2 else "user", "content": text} for n, text in enumerate(turns)
    ]


# history (user, assistant, user, …), question, the question meant
COMPLETED = {
    "year": (["What did the EU pledge in 2023?", "Money [1]."], "And in 2014?",
             "What did the EU pledge in 2014?"),
    "year-added": (["What did the EU pledge?", "Money."], "And in 2014?",
                   "What did the EU pledge in 2014?"),
    "year-other-preposition": (["What did NATO do in 2010?", "x"], "And before 2005?",
                               "What did NATO do before 2005?"),
    "year-corrected": (["What happened in Kyiv in 2014?", "x"], "sorry, 2015",
                       "What happened in Kyiv in 2015?"),
    "country": (["When did France join NATO?", "1949"], "What about Germany?",
                "When did Germany join NATO?"),
    "country-abbreviated": (["When did France join NATO?", "1949"], "and the UK?",
                            "When did the UK join NATO?"),
    "only-name": (["Who wrote Hamlet?", "Shakespeare"], "What about Macbeth?", "Who wrote Macbeth?"),
    "preposition": (["What is the capital of Norway?", "Oslo"], "And of Sweden?",
                    "What is the capital of Sweden?"),
    "possessive": (["What is France's capital?", "Paris"], "And Germany's?",
                   "What is Germany's capital?"),
    "modifier": (["When was the first treaty signed?", "1990"], "What about the second treaty?",
                 "When was the second treaty signed?"),
    "meant": (["What did the UN say?", "x"], "no, I meant the EU", "What did the EU say?"),
    "not-but": (["What did Poland sign?", "x"], "not Poland, Hungary", "What did Hungary sign?"),
    "it-defined": (["What is NATO?", "NATO is an alliance [1]."], "Who founded it?",
                   "Who founded NATO?"),
    "it-noun": (["Who signed the treaty?", "x"], "When did it enter into force?",
                "When did the treaty enter into force?"),
    "its": (["What is NATO?", "x"], "Where is its headquarters?", "Where is NATO's headquarters?"),
    "opener": (["What is NATO?", "x"], "And who founded it?", "Who founded NATO?"),
    "two-pronouns": (["What was the Marshall Plan?", "x"], "Who designed it and what did it cost?",
                     "Who designed the Marshall Plan and what did it cost?"),
    "he-from-question": (["When was Emmanuel Macron born?", "1977"], "Where did he study?",
                         "Where did Emmanuel Macron study?"),
    "he-from-answer": (["Who leads France?", "Emmanuel Macron leads France [1][2]."],
                       "When was he born?", "When was Emmanuel Macron born?"),
    "she-led": (["Who led Germany in 2010?", "Angela Merkel led Germany."], "What did she study?",
                "What did Angela Merkel study?"),
    "he-one-name": (["Who was Tecumseh?", "A chief."], "When did he die?", "When did Tecumseh die?"),
    "they-plural": (["What are mutual funds?", "x"], "How are they taxed?",
                    "How are mutual funds taxed?"),
    "there": (["Who leads France?", "x"], "How many people live there?",
              "How many people live in France?"),
    "this-noun": (["Who signed the Budapest Memorandum?", "x"], "When was this memorandum signed?",
                  "When was the Budapest Memorandum signed?"),
    "named-in-full": (["Who signed the Budapest Memorandum?", "x"], "When did the memorandum expire?",
                      "When did the Budapest Memorandum expire?"),
    "bare-when": (["Did NATO expand?", "Yes."], "When?", "When did NATO expand?"),
    "bare-why": (["When did France join NATO?", "1949"], "And why?", "Why did France join NATO?"),
    "chain-it": (["What is NATO?", "x", "Who founded it?", "x"], "When did it change its name?",
                 "When did NATO change its name?"),
    "chain-swap": (["What is NATO?", "x", "Who founded it?", "x"], "And the EU?", "Who founded the EU?"),
    "chain-years": (["What did the EU pledge in 2023?", "x", "And in 2014?", "x"], "And in 2009?",
                    "What did the EU pledge in 2009?"),
    "chain-they": (["What are alkaloids?", "x", "How are they used?", "x"], "Are they poisonous?",
                   "Are alkaloids poisonous?"),
}  # fmt: skip
OPEN = {
    "thing-asked-for": (["What did the EU sign?", "x"], "When was it ratified?"),
    "they-of-two": (["When did France join NATO?", "1949"], "Why did they leave?"),
    "it-of-two": (["What is the capital of Norway?", "Oslo"], "How big is it?"),
    "part-of-a-name": (["How can we estimate the SSA benefits?", "x"], "Are they taxable?"),
    "adjective": (["What did the French government say?", "x"], "And Germany?"),
    "compound-name": (["What is the OTC market?", "x"], "And Equity?"),
    "other-preposition": (["What was found through Earth's mission?", "x"], "I meant for Mars?"),
    "two-people": (["Who founded Microsoft?", "Bill Gates and Paul Allen [1]."], "When was he born?"),
    "two-years": (["What did NATO do between 2010 and 2014?", "x"], "And in 2015?"),
    "that": (["When did France join NATO?", "1949"], "Why did that happen?"),
    "not-a-question": (["I have trouble with IBM Cloud", "x"], "How do I get it resolved?"),
    "verb": (["Can I increase the number of seats?", "x"], "What about reducing the number of seats?"),
    "whole-question": (["Who wrote Hamlet?", "x"], "What about if I do not know?"),
    "no-history": ([], "Who founded it?"),
    "unclear-before": (["Who founded it?", "x"], "And in 2014?"),
    "person-for-country": (["When did France vote?", "x"], "And Angela Merkel?"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("history", "question", "expected"), COMPLETED.values(), ids=COMPLETED.keys()
)
def test_completed_by_rule(history: list[str], question: str, expected: str) -> None:
    assert standalone(question, _talk(*history)) == expected


@pytest.mark.parametrize(("history", "question"), OPEN.values(), ids=OPEN.keys())
def test_left_to_a_model(history: list[str], question: str) -> None:
    assert standalone(question, _talk(*history)) is None


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is NATO?", "NATO"),
        ("Who founded the Red Cross?", "the Red Cross"),
        ("Who signed the treaty?", "the treaty"),
        ("When did the treaty enter into force?", "the treaty"),
        ("What is a quorum?", "the quorum"),
        ("When did France join NATO?", None),
        ("Who signed it?", None),
        ("", None),
    ],
)
def test_topic(question: str, expected: str | None) -> None:
    assert topic(question) == expected


def test_fill_leaves_a_question_without_pronouns() -> None:
    assert fill("Who founded NATO?", None) == "Who founded NATO?"


TEXTS = st.lists(
    st.sampled_from("and what about it the treaty NATO Germany in 2014 ? , not who did he there".split())
    | st.text(max_size=10),
    max_size=15,
).map(" ".join)  # fmt: skip
HISTORY = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXTS}
    ),
    max_size=8,
)


@given(TEXTS, HISTORY)
def test_any_conversation(question: str, history: list[dict[str, str]]) -> None:
    meant = standalone(question, history)
    assert meant is None or meant.strip()
    assert meant is None or not leans_on_history(meant)
