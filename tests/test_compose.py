"""The model's words as checked sentences with markers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.attribute import Support
from rag.compose import Line, Sheet, lines_of, phrase_of, prove
from rag.evidence import SourceSentence


def source(start: int, text: str) -> SourceSentence:
    return SourceSentence("d", "D", None, None, start, start + len(text), text, "", 0, 0.5)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ('"5 December 1994."\nBecause it says so.', "5 December 1994"),
        ("1994 [1]", "1994"),
        ("unanswerable", ""),
        ("Unanswerable.", ""),
        ("", ""),
    ],
)
def test_phrase_of(text: str, phrase: str) -> None:
    assert phrase_of(text) == phrase


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One is here. Two is there.", [Line("One is here."), Line("Two is there.")]),
        ("- one\n- two", [Line("one", True), Line("two", True)]),
        ("- only", [Line("only")]),
        ("Same. Same.", [Line("Same.")]),
        ("unanswerable", []),
        ("...", []),
    ],
)
def test_lines_of(text: str, lines: list[Line]) -> None:
    found = lines_of(text)
    assert list(dict.fromkeys(found)) == lines


@given(st.text(max_size=200))
def test_any_reply_gives_lines_of_words(text: str) -> None:
    assert all(line.text.strip() for line in lines_of(text))


def test_prove_keeps_what_a_source_says() -> None:
    sentences = [source(0, "The memorandum was signed in 1994 in Budapest.")]
    kept, dropped = prove(
        [Line("The memorandum was signed in 1994."), Line("Penguins enjoy swimming.")],
        "When was the memorandum signed?",
        sentences,
    )
    assert [line.text for line, _ in kept] == ["The memorandum was signed in 1994."]
    assert [line.text for line in dropped] == ["Penguins enjoy swimming."]


def test_a_sheet_numbers_each_span_once() -> None:
    one, two = source(0, "A."), source(3, "B.")
    sheet = Sheet()
    sheet.add((Line("First."), Support((one, two), 1.0, "supported")))
    sheet.add((Line("Second."), Support((two,), 1.0, "supported")))
    assert sheet.text == "First [1][2]. Second [2]."
    assert [one.citations for one in sheet.sentences] == [
        (1, 2),
        (2,),
    ]
    claim = sheet.claim((Line("Third."), Support((source(6, "C."),), 1.0, "supported")))
    assert claim.citations == (3,)
    assert "Third" not in sheet.text


def test_phrases_are_joined_as_asked() -> None:
    sheet = Sheet()
    sheet.add((Line("1900"), Support((source(0, "A."),), 1.0, "supported")))
    sheet.add((Line("1856"), Support((source(3, "B."),), 1.0, "supported")), "; ")
    assert sheet.text == "1900 [1]; 1856 [2]"
