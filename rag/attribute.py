"""An answer sentence -> the source sentences that support it. Pure.

The model's own markers are never used. Each answer sentence is compared with every sentence that was
retrieved, whether or not the model saw it: the one that holds most of its content words wins, and
more are added while each brings words that are still missing. The question breaks ties, because a
short answer ("1994") stands in many places and supports the question in one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.evidence import SourceSentence
from rag.records import Status
from rag.words import content_stems, fold, words

__all__ = ["Support", "attribute", "numbers", "term_weights"]

_MOST_SPANS = 6
# A further span must bring so much of the sentence's weight: a name, a number or two words, and a
# share of the whole that is worth a reader's look.
_LEAST_WEIGHT, _LEAST_SHARE = 2.0, 0.05
_SUPPORTED, _PARTIAL = 0.7, 0.4
_NUMBER_WORDS = dict(
    zip(
        # Not "one": "one of the allies" counts nothing.
        "two three four five six seven eight nine ten eleven twelve".split(),
        "2 3 4 5 6 7 8 9 10 11 12".split(),
        strict=True,
    )
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Support:
    """Which sources support a sentence, how much of its weight they hold, and the verdict."""

    sources: tuple[SourceSentence, ...]
    coverage: float
    status: Status


def attribute(sentence: str, question: str, sources: Sequence[SourceSentence]) -> Support:
    """Find the fewest source sentences that hold what `sentence` says."""
    weights = term_weights(sentence)
    total = sum(weights.values())
    if not total or not sources:
        return Support((), 0.0, "unsupported")
    asked = set(content_stems(question))
    phrase = " ".join(fold(sentence).split()).strip(" .,;:!?\"'")
    scored = []
    for source in sources:
        terms = _terms(source.text)
        own = sum(weight for term, weight in weights.items() if term in terms) / total
        if own == 0:
            continue
        about = set(content_stems(f"{source.context} {source.text}"))
        context = len(asked & about) / max(1, len(asked))
        exact = 0.1 if phrase and phrase in " ".join(fold(source.text).split()) else 0.0
        scored.append((own + 0.25 * context + exact + 0.2 * source.score, terms, source))
    if not scored:
        return Support((), 0.0, "unsupported")
    chosen, held = _cover(scored, weights, total)
    coverage = sum(weights[term] for term in held) / total
    agrees = numbers(sentence) <= set().union(
        *(numbers(f"{source.text} {source.context} {question}") for source in chosen)
    )
    status: Status = "unsupported"
    if coverage >= _SUPPORTED and agrees:
        status = "supported"
    elif coverage >= _PARTIAL and agrees:
        status = "partial"
    ordered = tuple(sorted(chosen, key=lambda one: (one.rank, one.start)))
    return Support(ordered, round(coverage, 4), status)


def _cover(
    scored: list[tuple[float, set[str], SourceSentence]], weights: dict[str, float], total: float
) -> tuple[list[SourceSentence], set[str]]:
    """Greedy set cover (Johnson 1974), led by the best single sentence."""
    scored.sort(key=lambda row: -row[0])
    _, terms, first = scored[0]
    # A title or heading says what the sentences below it are about: nobody need cite it again.
    chosen, held = [first], (terms | _terms(first.context)) & weights.keys()
    while len(chosen) < _MOST_SPANS:
        gains = [
            (sum(weights[term] for term in (row[1] & weights.keys()) - held), row) for row in scored
        ]
        gain, best = max(gains, key=lambda pair: (pair[0], pair[1][0]))
        if gain < max(_LEAST_WEIGHT, _LEAST_SHARE * total):
            break
        chosen.append(best[2])
        held |= best[1] & weights.keys()
    return chosen, held


def term_weights(text: str) -> dict[str, float]:
    """Content stems with the weight that each has as evidence: numbers and names count double."""
    names = {stem for word in _names(text) for stem in content_stems(word)}
    return {term: 2.0 if term[0].isdigit() or term in names else 1.0 for term in _terms(text)}


def numbers(text: str) -> set[str]:
    """The numbers of a text as digits without thousands marks; small ones may be words."""
    found = {re.sub(r",(?=\d{3})", "", match).rstrip(".,") for match in _NUMBER.findall(text)}
    return found | {_NUMBER_WORDS[word] for word in words(text) if word in _NUMBER_WORDS}


def _terms(text: str) -> set[str]:
    return {_NUMBER_WORDS.get(stem, stem) for stem in content_stems(text)}


def _names(text: str) -> list[str]:
    """Words with a capital that do not open the text."""
    return re.findall(r"(?<=[\w,;:)] )[A-Z][\w-]+", text)
