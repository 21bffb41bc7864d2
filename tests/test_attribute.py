"""Answer sentences against source sentences: the right spans, and an honest verdict."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.attribute import attribute, numbers, term_weights
from rag.evidence import SourceSentence


def source(
    text: str, start: int = 0, document: str = "d", rank: int = 0, score: float = 0.5
) -> SourceSentence:
    end = start + len(text)
    return SourceSentence(document, document, None, None, start, end, text, "", rank, score)


def page(*texts: str) -> list[SourceSentence]:
    """Sentences one after the other in one document."""
    return [
        source(text, sum(len(before) + 1 for before in texts[:at])) for at, text in enumerate(texts)
    ]


BUDAPEST = page(
    "The Budapest Memorandum was signed on 5 December 1994.",
    "Russia, Britain and the United States gave Ukraine security assurances.",
    "In return Ukraine gave up about 1,900 nuclear warheads.",
    "The city of Budapest lies on the Danube.",
    "The last warhead left the country in 1996.",
)


@dataclass(frozen=True)
class Case:
    answer: str
    status: str
    cited: set[int]
    question: str = "What happened in Budapest?"


CASES = {
    "same words": Case("The Budapest Memorandum was signed on 5 December 1994.", "supported", {0}),
    "other order and inflection": Case(
        "On 5 December 1994 they sign the Budapest Memorandum.", "supported", {0}
    ),
    "a short answer": Case("5 December 1994", "supported", {0}, "When was the memorandum signed?"),
    "a year alone": Case("1994", "supported", {0}, "When was the memorandum signed?"),
    "another year alone": Case("1996", "supported", {4}, "When did the last warhead leave?"),
    "thousands without the mark": Case("Ukraine gave up 1900 nuclear warheads.", "supported", {2}),
    "two sources": Case(
        "The Budapest Memorandum was signed on 5 December 1994 and Russia, Britain and the United "
        "States gave security assurances.",
        "supported",
        {0, 1},
    ),
    "three sources": Case(
        "The Memorandum was signed in December 1994, the United States and Britain gave Ukraine "
        "security assurances, and about 1,900 nuclear warheads were given up in return.",
        "supported",
        {0, 1, 2},
    ),
    "another number": Case("Ukraine gave up about 2,900 nuclear warheads.", "unsupported", {2}),
    "another year": Case(
        "The Budapest Memorandum was signed on 5 December 1995.", "unsupported", {0}
    ),
    "half of it": Case(
        "The Budapest Memorandum was signed by tired old ministers.", "partial", {0}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_cases(case: Case) -> None:
    found = attribute(case.answer, case.question, BUDAPEST)
    assert (found.status, {BUDAPEST.index(one) for one in found.sources}) == (
        case.status,
        case.cited,
    )


@pytest.mark.parametrize(
    "answer",
    ["Penguins enjoy swimming.", "", "...", "the of and"],
    ids=["nothing in common", "", "dots", "stop words"],
)
def test_nothing_supports_it(answer: str) -> None:
    found = attribute(answer, "What happened in Budapest?", BUDAPEST)
    assert (found.sources, found.coverage, found.status) == ((), 0.0, "unsupported")


def test_no_sources_support_nothing() -> None:
    assert attribute("Budapest", "Where?", []).status == "unsupported"


def test_the_question_decides_between_equals() -> None:
    rows = page("The bridge of Oslo opened in 1994.", "The theatre of Lima opened in 1994.")
    assert attribute("1994", "When did the theatre of Lima open?", rows).sources == (rows[1],)
    assert attribute("1994", "When did the bridge of Oslo open?", rows).sources == (rows[0],)


def test_sources_come_in_the_order_of_their_passages() -> None:
    first = source("Cats purr softly at night.", 900, "a", 0)
    second = source("Dogs bark loudly by day.", 10, "b", 1)
    found = attribute(
        "Dogs bark loudly by day and cats purr softly at night.", "?", [second, first]
    )
    assert found.sources == (first, second)


def test_coverage_is_the_share_of_weight() -> None:
    # memorandum 1, sign 1 and banana 1 are plain words, 1994 counts double: 4 of 5.
    [row] = page("The memorandum was signed in 1994.")
    assert attribute("memorandum signed banana 1994", "?", [row]).coverage == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,900 and 1900", {"1900"}),
        ("3.5 percent, 12,345,678", {"3.5", "12345678"}),
        ("two, three.", {"2", "3"}),
        ("Two guarantees", {"2"}),
        ("In 1994.", {"1994"}),
        ("none", set()),
        ("", set()),
    ],
    ids=lambda value: repr(value) if isinstance(value, str) else "",
)
def test_numbers(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_numbers_in_words_agree_with_digits() -> None:
    [row] = page("The treaty names three, and only three, powers.")
    assert attribute("The treaty names 3 powers.", "How many?", [row]).status == "supported"


def test_names_and_numbers_weigh_double() -> None:
    assert term_weights("The report from Lima counts 12 bridges") == {
        "report": 1.0,
        "lima": 2.0,
        "count": 1.0,
        "12": 2.0,
        "bridg": 1.0,
    }


WORDS = st.lists(
    st.sampled_from("cat dog 12 1,900 Lima the purr two 3.5 bridge —".split()), max_size=12
).map(" ".join)


@given(WORDS, WORDS, st.lists(WORDS, max_size=6))
def test_any_verdict_is_consistent(answer: str, question: str, texts: list[str]) -> None:
    rows = page(*texts)
    found = attribute(answer, question, rows)
    assert 0 <= found.coverage <= 1
    assert len(set(found.sources)) == len(found.sources) <= 3
    assert set(found.sources) <= set(rows)
    if found.status != "unsupported":
        assert found.sources
        said = set().union(*(numbers(one.text) for one in found.sources)) | numbers(question)
        # A small number in words may be a manner of speaking: it leaves a sentence partly supported.
        digits = {one for one in numbers(answer) if one in answer.replace(",", "")}
        assert digits <= said
        if found.status == "supported" and "two" not in question:
            assert numbers(answer) <= said
