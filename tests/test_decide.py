"""The signals behind a decision, worked by hand, and the model that weighs them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import resources

import numpy as np
import pytest

from rag.attribute import Support
from rag.compose import Line
from rag.decide import agreement, confidence, search_signals, signals
from rag.evidence import SourceSentence
from rag.generate import Generation
from rag.records import Chunk
from rag.retrieve import Candidate
from rag.store import StoredChunk

QUESTION = "When did Ukraine sign the memorandum in Budapest?"


def source(text: str) -> SourceSentence:
    return SourceSentence("d", "D", None, None, 0, len(text), text, "", 0, 0.5)


def read(logprobs: Sequence[float] = (), withheld: float | None = None) -> Generation:
    return Generation(logprobs=list(logprobs), withheld=withheld)


def candidate(dense: float, sentence: float) -> Candidate:
    none = np.zeros((0, 4), np.float32)
    stored = StoredChunk(1, Chunk("d", 0, 1, "x"), "", None, none, (), none)
    return Candidate(stored, 0.5, {"dense": dense, "sentence": sentence})


CITED = source("Ukraine signed the memorandum on 5 December 1994.")
SEEN = [CITED, source("Budapest is a city.")]
CANDIDATES = [candidate(0.6, 0.7), candidate(0.8, 0.2)]


def values(
    answer: str = "5 December 1994", logprobs: tuple[float, ...] = (0.0, math.log(0.5))
) -> dict[str, float]:
    support = [Support((CITED,), 0.9, "supported"), Support((CITED,), 0.75, "supported")]
    return signals(QUESTION, answer, CANDIDATES, SEEN, support, read(logprobs))


def test_signals_worked_by_hand() -> None:
    found = values()
    assert found["dense"] == 0.8
    assert found["sentence"] == 0.7
    # The question's stems are ukrain, sign, memorandum and budapest.
    assert found["asked_in_seen"] == 1
    assert found["asked_in_cited"] == 3 / 4
    assert found["names_in_cited"] == 1 / 2  # Ukraine is, Budapest is not
    assert found["mean_probability"] == pytest.approx(0.75)
    assert found["least_probability"] == pytest.approx(0.5)
    assert found["coverage"] == 0.75
    assert found["type_fits"] == 1


def test_signals_of_nothing_are_low() -> None:
    found = signals(QUESTION, "", [], [], [], read())
    # The model said nothing of "unanswerable", and nothing was written that could disagree.
    assert {name: value for name, value in found.items() if value} == {
        "answerable": 0.5,
        "agrees": 1,
    }
    assert found["type_fits"] == 0  # a date was asked for


@pytest.mark.parametrize(
    ("withheld", "expected"),
    [
        (0.5, 0.5),  # logit 0, the middle of -8..8
        (1 / (1 + math.exp(4)), 0.75),  # P(answerable) has the logit 4: (4 + 8) / 16
        (1.0, 0.0),
        (0.0, 1.0),
    ],
)
def test_the_models_doubt_is_a_scaled_logit(withheld: float, expected: float) -> None:
    found = signals(QUESTION, "x", [], [], [], read(withheld=withheld))
    assert found["answerable"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("phrase", "written", "expected"),
    [
        ("5 December 1994", "It was signed on 5 December 1994.", 1.0),
        ("5 December 1994", "It was signed in 1994.", 1 / 3),
        ("Budapest", "It was signed in Vienna.", 0.0),
        ("", "Anything.", 1.0),
    ],
)
def test_agreement_of_phrase_and_sentences(phrase: str, written: str, expected: float) -> None:
    lines = [(Line(written), Support((CITED,), 1.0, "supported"))]
    assert agreement(phrase, lines) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("question", "answer", "fits"),
    [
        ("When was it?", "in 1994", 1),
        ("When was it?", "in the capital", 0),
        ("How many came?", "twelve people", 1),
        ("How many came?", "the people", 0),
        ("Who signed?", "Leonid Kuchma", 1),
        ("Who signed?", "in 1994", 0),
        ("Why was it signed?", "for peace", 1),
    ],
)
def test_type_fits(question: str, answer: str, fits: int) -> None:
    assert signals(question, answer, [], [], [], read())["type_fits"] == fits


def test_search_signals_are_part_of_all() -> None:
    assert search_signals(QUESTION, CANDIDATES, SEEN).items() <= values().items()


@pytest.mark.parametrize("model", ["answer", "search"])
def test_the_shipped_model_uses_signals_that_exist(model: str) -> None:
    shipped = json.loads(resources.files("rag").joinpath("confidence.json").read_text("utf-8"))[
        model
    ]
    known = values() if model == "answer" else search_signals(QUESTION, CANDIDATES, SEEN)
    assert shipped["weights"].keys() <= known.keys()
    # Worked anew: a logistic function of the weighted sum.
    logit = shipped["intercept"] + sum(
        weight * known[name] for name, weight in shipped["weights"].items()
    )
    assert confidence(known, model) == pytest.approx(1 / (1 + math.exp(-logit)))


def test_confidence_is_a_probability_even_at_the_ends() -> None:
    extreme = dict.fromkeys(values(), 1e6)
    low, high = confidence(dict.fromkeys(extreme, -1000000.0)), confidence(extreme)
    assert 0 <= low < 0.01
    assert 0.99 < high <= 1


def test_more_support_means_more_confidence() -> None:
    bad = signals(QUESTION, "a city", [candidate(0.1, 0.1)], SEEN, [], read([math.log(0.2)], 0.9))
    assert confidence(bad) < confidence(values())
