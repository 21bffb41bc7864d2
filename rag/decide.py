"""Should this question be answered, and this answer be shown? Probabilities from many weak signals.

No single signal separates answerable from unanswerable questions; a logistic regression over several
does better. Two of them stand in `confidence.json`, with what they were fitted on: `search` looks at
retrieval alone, before the model writes; `answer` at everything. `eval/fit.py` fits them. Pure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from rag.attribute import Support, numbers
from rag.evidence import SourceSentence
from rag.generate import Generation
from rag.retrieve import Candidate
from rag.shape import fits
from rag.words import fold, stem_set

__all__ = ["agreement", "confidence", "search_signals", "share_asked", "signals"]


def signals(
    question: str,
    answer: str,
    candidates: Sequence[Candidate],
    sentences: Sequence[SourceSentence],
    supports: Sequence[Support],
    record: Generation,
) -> dict[str, float]:
    """The numbers that the decision rests on: each about 0..1, higher where it speaks for the answer.

    `record` is the model's reading of the question's short form, `answer` the phrase it gave.
    """
    cited = [source for support in supports for source in support.sources]
    probabilities = [math.exp(value) for value in record.logprobs]
    return search_signals(question, candidates, sentences) | {
        "asked_in_cited": share_asked(question, cited),
        "names_in_cited": _share_of_names(question, cited),
        "mean_probability": sum(probabilities) / max(1, len(probabilities)),
        "least_probability": min(probabilities, default=0.0),
        "coverage": min((support.coverage for support in supports), default=0.0),
        "support": min((support.score for support in supports), default=0.0),
        "type_fits": float(fits(question, answer)),
        "answerable": _scaled_logit(1 - record.withheld) if record.withheld is not None else 0.5,
        "agrees": 1.0,
    }


def agreement(phrase: str, lines: Sequence[tuple[Any, Support]]) -> float:
    """The share of the phrase's content words that the written answer holds too."""
    wanted = stem_set(phrase)
    held = stem_set(" ".join(line.text for line, _ in lines))
    return len(wanted & held) / len(wanted) if wanted else 1.0


def _scaled_logit(probability: float) -> float:
    """A probability's logit, from -8..8 to 0..1."""
    odds = math.log(max(probability, 1e-9)) - math.log(max(1 - probability, 1e-9))
    return (max(-8.0, min(8.0, odds)) + 8) / 16


def search_signals(
    question: str, candidates: Sequence[Candidate], sentences: Sequence[SourceSentence]
) -> dict[str, float]:
    """What retrieval alone says: the best cosines, and the question's words that were found at all."""
    return {
        "dense": max((one.why.get("dense", 0.0) for one in candidates), default=0.0),
        "sentence": max((one.why.get("sentence", 0.0) for one in candidates), default=0.0),
        "asked_in_seen": share_asked(question, sentences),
    }


def share_asked(question: str, sources: Sequence[SourceSentence]) -> float:
    """The share of the question's content words that `sources` or their titles hold."""
    asked = stem_set(question)
    held = frozenset().union(*(stem_set(one.context) | stem_set(one.text) for one in sources))
    return len(asked & held) / max(1, len(asked))


def confidence(values: dict[str, float], model_name: str = "answer") -> float:
    """The probability that the answer is right (`answer`) or can be found here at all (`search`)."""
    model = _models()[model_name]
    logit = float(model["intercept"]) + sum(
        weight * values.get(name, 0.0) for name, weight in model["weights"].items()
    )
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))


@cache
def _models() -> dict[str, Any]:
    text = resources.files("rag").joinpath("confidence.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _share_of_names(question: str, cited: Sequence[SourceSentence]) -> float:
    """How many of the question's names and numbers stand in what is cited; 1 where it has none."""
    body = question[:1].lower() + question[1:]
    wanted = {fold(word) for word in re.findall(r"\b[A-Z][\w-]+", body)} | numbers(question)
    if not wanted:
        return 1.0
    found = fold(" ".join(f"{one.context} {one.text} {one.date or ''}" for one in cited))
    return sum(name in found for name in wanted) / len(wanted)
