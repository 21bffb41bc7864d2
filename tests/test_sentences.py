"""Where sentences begin and end, in texts as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.sentences import line_blocks, sentence_spans

WRAPPED = (
    "The treaty was signed in the city of Budapest on the fifth of\n"
    "December 1994 by the three powers that then held nuclear arms and\n"
    "Ukraine. It still\n"
    "\n"
    "holds."
)

CASES: dict[str, tuple[str, list[str]]] = {
    "empty": ("", []),
    "only white space": (" \n\t\n ", []),
    "three ends": ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    "no end": ("no full stop here", ["no full stop here"]),
    "abbreviations": (
        "Dr. Smith met Mr. Jones at 5 p.m. on Friday. They talked.",
        ["Dr. Smith met Mr. Jones at 5 p.m. on Friday.", "They talked."],
    ),
    "initials": ("The U.S. stayed. It left.", ["The U.S. stayed.", "It left."]),
    "decimals": ("It costs $3.50. Next.", ["It costs $3.50.", "Next."]),
    "ellipsis within": ("Wait... what? No.", ["Wait... what?", "No."]),
    "heading": ("# Title\nBody text here.", ["# Title", "Body text here."]),
    "bullets": ("- one item\n- two item\n1. third", ["- one item", "- two item", "1. third"]),
    "table rows": ("a | b\n| c | d |", ["a | b", "| c | d |"]),
    "fields": ("Title: x\nName: y", ["Title: x", "Name: y"]),
    "short lines": ("short\nlines\nhere", ["short", "lines", "here"]),
    "carriage returns": ("A.\r\nB c.\r\n", ["A.", "B c."]),
    "emoji": ("Hi 😀. Yes 😀!", ["Hi 😀.", "Yes 😀!"]),
    "Japanese": ("日本語です。次の文。", ["日本語です。", "次の文。"]),
    "wrapped lines are one sentence": (
        WRAPPED,
        [WRAPPED[: WRAPPED.index(" It still")], "It still", "holds."],
    ),
    "a number stays with its item": ("1. The first point.", ["1. The first point."]),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_cases(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == expected


TEXTS = st.text(
    st.sampled_from("aB1 .!?\n\r\t-#|é😀。\u2028\u00a0\u0301()\"'"), max_size=120
) | st.text(max_size=60)


@given(TEXTS)
def test_spans_are_ordered_trimmed_and_hold_everything(text: str) -> None:
    spans = sentence_spans(text)
    at = 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert not text[at:start].strip(), "something between sentences was left out"
        at = end
    assert not text[at:].strip()


@given(TEXTS, st.data())
def test_a_part_is_split_within_its_bounds(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    spans = sentence_spans(text, start, end)
    assert all(start <= a < b <= end for a, b in spans)
    assert "".join(text[start:end].split()) == "".join("".join(text[a:b].split()) for a, b in spans)


@given(TEXTS)
def test_no_sentence_crosses_an_empty_line(text: str) -> None:
    for start, end in line_blocks(text, 0, len(text)):
        assert all(line.strip() for line in text[start:end].split("\n"))
