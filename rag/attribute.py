"""An answer sentence -> the source sentences that support it. Pure.

The model's own markers are never used. Each answer sentence is compared with every sentence that was
retrieved, whether or not the model saw it: the one that holds most of its content words wins, and
more are added while each brings words that are still missing. The question breaks ties, because a
short answer ("1994") stands in many places and supports the question in one. Whether the chosen
sentences bear it out is for `rag.verify` to say.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.evidence import SourceSentence
from rag.facts.numerals import small_number
from rag.records import Status
from rag.verify import term_weights, terms, verify
from rag.words import fold, words

__all__ = ["Support", "attribute", "numbers", "term_weights"]

_MOST_SPANS = 6
# A further span must bring so much of the sentence's weight: a name, a number or two words, and a
# share of the whole that is worth a reader's look.
_LEAST_WEIGHT, _LEAST_SHARE = 2.0, 0.05
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Support:
    """Which sources support a sentence, how much of its weight they hold, and the verdict.

    `score` and `clashes` are those of `rag.verify.Verdict`.
    """

    sources: tuple[SourceSentence, ...]
    coverage: float
    status: Status
    score: float = 0.0
    clashes: tuple[str, ...] = ()


def attribute(sentence: str, question: str, sources: Sequence[SourceSentence]) -> Support:
    """Find the fewest source sentences that hold what `sentence` says."""
    weights = term_weights(sentence)
    total = sum(weights.values())
    if not total or not sources:
        return Support((), 0.0, "unsupported")
    asked = terms(question)
    phrase = _folded(sentence).strip(" .,;:!?\"'")
    scored = []
    for source in sources:
        stems = terms(source.text)
        own = sum(weight for term, weight in weights.items() if term in stems) / total
        if own == 0:
            continue
        about = stems | terms(source.context)
        context = len(asked & about) / max(1, len(asked))
        exact = 0.1 if phrase and phrase in _folded(source.text) else 0.0
        scored.append((own + 0.25 * context + exact + 0.2 * source.score, stems, source))
    if not scored:
        return Support((), 0.0, "unsupported")
    chosen = _cover(scored, weights, total)
    ordered = tuple(sorted(chosen, key=lambda one: (one.rank, one.start)))
    verdict = verify(
        sentence, [one.text for one in ordered], question, [one.context for one in ordered]
    )
    return Support(ordered, verdict.coverage, verdict.status, verdict.score, verdict.clashes)


def _cover(
    scored: list[tuple[float, frozenset[str], SourceSentence]],
    weights: dict[str, float],
    total: float,
) -> list[SourceSentence]:
    """Greedy set cover (Johnson 1974), led by the best single sentence."""
    scored.sort(key=lambda row: -row[0])
    _, stems, first = scored[0]
    # A title or heading says what the sentences below it are about: nobody need cite it again.
    chosen, held = [first], (stems | terms(first.context)) & weights.keys()
    while len(chosen) < _MOST_SPANS:
        gains = [
            (sum(weights[term] for term in (row[1] & weights.keys()) - held), row) for row in scored
        ]
        gain, best = max(gains, key=lambda pair: (pair[0], pair[1][0]))
        if gain < max(_LEAST_WEIGHT, _LEAST_SHARE * total):
            break
        chosen.append(best[2])
        held |= best[1] & weights.keys()
    return chosen


@functools.lru_cache(maxsize=8192)
def _folded(text: str) -> str:
    return " ".join(fold(text).split())


def numbers(text: str) -> set[str]:
    """The numbers of a text as digits without thousands marks; small ones may be words."""
    found = {re.sub(r",(?=\d{3})", "", match).rstrip(".,") for match in _NUMBER.findall(text)}
    return found | {digits for word in words(text) if (digits := small_number(word))}
