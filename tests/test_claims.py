"""Sources that say different things: which are asked, and which stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rag.attribute import Support
from rag.claims import Said, mentions, newest, rivals, same_value, settled, side, weigh
from rag.compose import Line
from rag.evidence import SourceSentence


def source(document: str, text: str, score: float = 0.5, title: str = "") -> SourceSentence:
    return SourceSentence(document, title, None, None, 0, len(text), text, "", 0, score)


def said(document: str, value: str, subject: int, text: str = "") -> Said:
    """A document's answer; two of one `subject` have nearly the same vector."""
    vector = np.zeros(4, np.float32)
    vector[subject] = 1
    own = source(document, f"It is {value}.", title=document.upper())
    proved = (Line(value), Support((own,), 1.0, "supported"))
    return Said(document, proved, text or f"{document} words of its own", vector)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("3,559", "3,559 people", True),
        ("January 2012", "2012", True),
        ("Dynasty", "the Dynasty", True),
        ("1856", "1900", False),
        ("5 December 1994", "7 December 1994", False),
        ("The", "the", True),  # nothing but a stop word
    ],
)
def test_same_value(one: str, other: str, same: bool) -> None:
    assert same_value(one, other) is same_value(other, one) is same


def values(groups: list[list[Said]]) -> list[str]:
    return [group[0].value for group in groups]


def test_two_against_one_about_the_same_thing() -> None:
    stands, outweighed = weigh([said("a", "1900", 0), said("b", "1856", 0), said("c", "1856", 0)])
    # 2 against 1: 1 < .6 * 2, so 1900 is outweighed.
    assert (values(stands), values(outweighed)) == (["1856"], ["1900"])


def test_even_weight_lets_both_stand() -> None:
    stands, outweighed = weigh([said("a", "1900", 0), said("b", "1856", 0)])
    assert (values(stands), outweighed) == (["1900", "1856"], [])


def test_two_meanings_of_a_name_both_stand_whatever_their_weight() -> None:
    several = [said("a", "golf", 0), said("b", "golf", 0), said("c", "football", 1)]
    assert values(weigh(several)[0]) == ["golf", "football"]


def test_a_copy_is_no_second_source() -> None:
    text = "The cathedral was founded in the year 1900 by the first bishop"
    copies = [said("a", "1900", 0, text), said("b", "1900", 0, text + " again")]
    stands, _ = weigh([*copies, said("c", "1856", 0)])
    assert values(stands) == ["1900", "1856"], "one against one, so both stand"


def test_a_document_that_only_mentions_the_answer_elsewhere_is_still_asked() -> None:
    sentences = [
        source("new", "The president is Ada Quill.", 0.9),
        source("old", "The president is Bela Ott.", 0.88),
        source("old", "The challenger, Ada Quill, has said little.", 0.3),
    ]
    assert rivals(sentences, "Ada Quill", 0.8) == (["new"], ["old"])


def test_rivals_are_near_and_hold_another_value() -> None:
    sentences = [
        source("a", "The tower was built in 1856.", 0.8),
        source("b", "Built in 1900, the tower is tall.", 0.75),
        source("c", "It was finished in 1856, they say.", 0.7),
        source("far", "The tower of 1700 fell.", 0.2),
        source("plain", "the tower is tall and grey.", 0.8),
    ]
    agreeing, others = rivals(sentences, "1856", 0.8)
    assert agreeing == ["a", "c"]
    assert others == ["b"]


def test_what_was_written_stays_where_it_says_what_stands() -> None:
    stands, outweighed = weigh([said("a", "1900", 0), said("b", "1856", 0), said("c", "1856", 0)])
    support = stands[0][0].proved[1]
    right = [(Line("It was built in 1856."), support)]
    assert settled(right, stands, outweighed, "full") == right
    wrong = [(Line("It was built in 1900."), support)]
    assert [line.text for line, _ in settled(wrong, stands, outweighed, "full")] == ["1856"]
    both = [(Line("It was built in 1856 or 1900."), support)]
    assert [line.text for line, _ in settled(both, stands, outweighed, "full")] == ["1856"]


def test_what_is_even_is_given_with_its_sources() -> None:
    stands, outweighed = weigh([said("a", "1900", 0), said("b", "1856", 0)])
    lines = settled([(Line("In 1900."), stands[0][0].proved[1])], stands, outweighed, "full")
    assert [line for line, _ in lines] == [Line("1900 (“A”)", True), Line("1856 (“B”)", True)]
    short = settled([], stands, outweighed, "short")
    assert [line.text for line, _ in short] == ["1900", "1856"]


def test_a_side_cites_each_of_its_documents() -> None:
    stands, _ = weigh([said("a", "1856", 0), said("b", "1856", 0)])
    assert [one.document for one in side(stands[0])[1].sources] == ["a", "b"]


@pytest.mark.parametrize(
    ("dates", "note"),
    [
        (("2020-01-01", "2024-05-01"), "The newest of these sources, “B” (2024-05-01), says 1856."),
        (("2024-05-01", "2024-05-01"), ""),
        ((None, "2024-05-01"), ""),
    ],
)
def test_the_newest_source_is_named(dates: tuple[str | None, str], note: str) -> None:
    groups = []
    for document, value, date in zip("ab", ("1900", "1856"), dates, strict=True):
        one = said(document, value, 0)
        source_ = replace(one.proved[1].sources[0], date=date)
        groups.append([replace(one, proved=(one.proved[0], Support((source_,), 1.0, "supported")))])
    assert newest(groups) == note


def test_mentions_wants_every_word() -> None:
    assert mentions("It was January 2012 already.", "January 2012")
    assert not mentions("It was January 2013.", "January 2012")
