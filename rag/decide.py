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
from rag.retrieve import Candidate
from rag.words import content_stems, fold

__all__ = ["confidence", "search_signals", "signals"]


def signals(
    question: str,
    answer: str,
    candidates: Sequence[Candidate],
    sentences: Sequence[SourceSentence],
    supports: Sequence[Support],
    logprobs: Sequence[float],
) -> dict[str, float]:
    """The numbers that the decision rests on: each about 0..1, higher where it speaks for the answer."""
    asked = set(content_stems(question))
    cited = [source for support in supports for source in support.sources]
    cited_terms = set().union(*(content_stems(f"{s.context} {s.text}") for s in cited))
    probabilities = [math.exp(value) for value in logprobs]
    return search_signals(question, candidates, sentences) | {
        "asked_in_cited": len(asked & cited_terms) / max(1, len(asked)),
        "names_in_cited": _share_of_names(question, cited),
        "mean_probability": sum(probabilities) / max(1, len(probabilities)),
        "least_probability": min(probabilities, default=0.0),
        "coverage": min((support.coverage for support in supports), default=0.0),
        "type_fits": float(_type_fits(question, answer)),
    }


def search_signals(
    question: str, candidates: Sequence[Candidate], sentences: Sequence[SourceSentence]
) -> dict[str, float]:
    """What retrieval alone says: the best cosines, and the question's words that were found at all."""
    asked = set(content_stems(question))
    seen = set().union(*(content_stems(f"{one.context} {one.text}") for one in sentences))
    return {
        "dense": max((one.why.get("dense", 0.0) for one in candidates), default=0.0),
        "sentence": max((one.why.get("sentence", 0.0) for one in candidates), default=0.0),
        "asked_in_seen": len(asked & seen) / max(1, len(asked)),
    }


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


def _type_fits(question: str, answer: str) -> bool:
    """A "when" wants a number, a "how many" a count, a "who" a name."""
    asked = fold(question)
    if re.search(
        r"\b(when|what year|which year|what date|which day|how many|how much|how long|how old)\b",
        asked,
    ):
        return bool(numbers(answer)) or bool(
            re.search(r"\b(none|never|several|monday|tuesday)\b", fold(answer))
        )
    if re.match(r"\s*(who|whom|whose)\b", asked):
        return bool(re.search(r"[A-Z]\w+", answer))
    return True
