"""Counting rows: which of a table's lines a question means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.count import count_rows

MISSIONS = """Boats of the harbour

Gull — Built in: Oslo; Launched: 1990; Status: sold 2002
Heron — Built in: Bergen; Launched: 2002; Status: in use
Stork — Built in: Oslo; Launched: 2002; Status: in use

The list ends here.
"""
CREWS = "Crews\nGull | Norway, Denmark\nHeron | Sweden\nStork | Denmark, Finland\n"
STEPS = "What to do:\n- wash\n- rinse\n- dry\n"


@pytest.mark.parametrize(
    ("text", "question", "heads"),
    [
        # 2002 stands in Gull's status too, but the question names the column "Launched".
        (MISSIONS, "How many of the boats were launched in 2002?", ["Heron", "Stork"]),
        (MISSIONS, "How many boats were built in Oslo?", ["Gull", "Stork"]),
        (MISSIONS, "How many boats does the Harbour Office list?", ["Gull", "Heron", "Stork"]),
        (CREWS, "On how many boats does Denmark sail?", ["Gull", "Stork"]),
        (STEPS, "How many steps are there?", ["wash", "rinse", "dry"]),
        ("Boat | Flag\n" + CREWS[6:], "How many boats are there?", ["Gull", "Heron", "Stork"]),
        (
            "Log of May 2020\n\n- May: rain\n- sun\n",
            "How many entries has May 2020?",
            ["May: rain", "sun"],
        ),
        ("No table. Three boats sail.", "How many boats sail?", []),
        ("- only one item\n", "How many items?", []),
    ],
    ids=["column", "name", "all", "bars", "list", "heads", "title", "prose", "one row"],
)
def test_rows_that_a_question_means(text: str, question: str, heads: list[str]) -> None:
    assert [row.head for row in count_rows(question, text, 0)] == heads


def test_the_nearest_table_is_meant() -> None:
    text = STEPS + "\nBetween them stands prose.\n" + CREWS
    assert len(count_rows("How many?", text, text.index("Heron"))) == 3
    assert count_rows("How many?", text, 0)[0].head == "wash"


@given(st.text(max_size=300), st.text(max_size=60), st.integers(0, 300))
def test_rows_are_lines_of_the_text(text: str, question: str, near: int) -> None:
    for row in count_rows(question, text, near):
        assert text[row.start : row.end] == row.text
