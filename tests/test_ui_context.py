"""What a page sends along: whatever it is, it becomes a context that holds only what it may."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.context import Context, parse

GOOD = {
    "do": "ask",
    "conversation": "Ab_-9",
    "collection": "my.papers-1",
    "scope": {"documents": ["a.md"], "kinds": ["pdf"], "after": "2020", "before": "2024-05-01"},
    "lang": "uk",
    "question": "Чому?",
    "turn": "t-1",
    "edit": "e_1",
    "number": 3,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_a_good_context_is_read_whole() -> None:
    found = parse(json.dumps({**GOOD, "unknown": [1]}))
    assert found.model_dump(mode="json") == GOOD
    assert found.scope.scope().documents == {"a.md"}
    assert found.say("page.cancel") == "Скасувати"
    assert Context(lang="xx").say("page.cancel") == "Cancel"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "1",
        '"ask"',
        "{",
        "{'do': 'ask'}",
        "NaN",
        "\ud800",
        '{"question": "\\ud800"}',
        '{"question": "\ud800"}',
        "\0",
        "[" * 100_000,
        '{"scope":' * 5_000,
        " " * 3_000_000,
        json.dumps({"scope": {"documents": ["x"] * 10_001}}),
        json.dumps({"scope": {"documents": ["x" * 2_000_001]}}),
        json.dumps({"question": "x" * 20_001}),
        '{"lang": ' + "9" * 5_000 + "}",
        *(
            json.dumps(one)
            for one in (
                {"do": "delete"},
                {"do": ["ask"]},
                {"conversation": '"><script>alert(1)</script>'},
                {"conversation": "a/../b"},
                {"conversation": "a\n"},
                {"conversation": "x" * 65},
                {"turn": "a:b"},
                {"edit": None},
                {"edit": "é"},
                {"collection": "../secret"},
                {"collection": "a b"},
                {"collection": 7},
                {"lang": "englishes"},
                {"question": {"text": "x"}},
                {"scope": []},
                {"scope": {"documents": "a.md"}},
                {"scope": {"documents": [1]}},
                {"scope": {"documents": {"a": 1}}},
                {"scope": {"kinds": ["pdf"] * 21}},
                {"scope": {"after": 2020}},
                {"scope": {"before": "2020-01-01T00:00"}},
            )
        ),
    ],
)
def test_what_is_none_gives_an_empty_context(text: str) -> None:
    assert parse(text) == Context()


@given(st.dictionaries(st.sampled_from([*GOOD, "x"]), VALUES) | VALUES)
def test_any_json_gives_a_context_with_fit_identifiers(value: Any) -> None:
    found = parse(json.dumps(value))
    assert found.do in ("", "open", "ask", "again")
    for identifier in (found.conversation, found.turn, found.edit):
        assert re.fullmatch(r"[\w-]{0,64}", identifier, re.ASCII)
    assert re.fullmatch(r"[\w.-]{0,64}", found.collection, re.ASCII)
    assert len(found.question) <= 20_000


@given(st.text())
def test_any_text_gives_a_context(text: str) -> None:
    assert isinstance(parse(text), Context)
