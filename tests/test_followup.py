"""Which questions lean on what was said before."""

from __future__ import annotations

import pytest

from rag.followup import leans_on_history

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
    "",
]
STANDS = [
    "When was the Budapest Memorandum signed?",
    "Which countries gave Ukraine security assurances?",
    "How many nuclear warheads did Ukraine give up?",
    "What is the capital of Norway?",
    "Was Orlando part of the negotiations in Oslo?",
    "Iterations of the draft treaty were published when?",
]


@pytest.mark.parametrize("question", LEANS)
def test_leans(question: str) -> None:
    assert leans_on_history(question)


@pytest.mark.parametrize("question", STANDS)
def test_stands_alone(question: str) -> None:
    assert not leans_on_history(question)
