"""Is an answer sentence supported by the source sentences it cites? Pure; knows no model.

Words that are shared say that two texts are about the same thing; they cannot say that the texts
agree. So beside the share of a sentence's weight that its sources hold (`coverage`), four things are
checked claim by claim (`rag.facts`): numbers with their units, dates, names, and negation. One that
the sources contradict or do not hold makes a sentence unsupported, however many words it shares.

A number, date or name has to agree with *one* source, in the place where that source speaks of the
same: "$10 billion" is no evidence for this year's revenue because last year's stands next to it. Who
did what to whom is not parsed: the words on either side of a name tell its place. So roles that are
swapped raise a doubt where those words differ enough ("Rome defeated Carthage"), but not always.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.facts.mentions import DOUBT, Comparison, check_mentions
from rag.facts.negation import negation_clashes
from rag.facts.numerals import small_number
from rag.facts.opposites import opposites
from rag.facts.parse import parse, plain
from rag.records import Status
from rag.words import content_stems

__all__ = ["CHECKS", "Verdict", "term_weights", "terms", "verify"]

_SUPPORTED, _PARTIAL = 0.7, 0.4
_ASKED = 0.3  # weight of a word that only the question holds: it repeats what was asked
_DOUBTED, _CLASH = 0.6, 0.35  # what a doubt and a clash leave of the score
# Checked where they stand, so not counted as words.
_EMPTY_NEGATIONS = frozenset("not never neither cannot without none".split())
CHECKS = frozenset(["numbers", "names", "negation"])
_KINDS = {"number": "numbers", "date": "numbers", "name": "names"}  # a mention -> its check


@dataclass(frozen=True, slots=True)
class Verdict:
    """`coverage` and `score` are 0..1; `clashes` say in plain words what does not agree."""

    status: Status
    coverage: float
    score: float
    clashes: tuple[str, ...]


def term_weights(text: str) -> dict[str, float]:
    """Content stems with the weight that each has as evidence: numbers and names count double."""
    names = {
        part
        for word in re.findall(r"(?<=[\w,;:)] )[A-Z][\w-]+", text)
        for part in content_stems(word)
    }
    return {term: 2.0 if term[0].isdigit() or term in names else 1.0 for term in terms(text)}


@functools.lru_cache(maxsize=8192)
def terms(text: str) -> frozenset[str]:
    """Content stems; small numbers in words as digits."""
    whole = re.sub(r"(?i)\s?n['’]t\b", " not", text)
    return frozenset(
        small_number(one) or one for one in content_stems(whole) if one not in _EMPTY_NEGATIONS
    )


def verify(
    sentence: str,
    sources: Sequence[str],
    question: str = "",
    contexts: Sequence[str] = (),
    similarity: float | None = None,
    *,
    checks: frozenset[str] = CHECKS,
) -> Verdict:
    """Check `sentence` against the source sentences it cites.

    `contexts` are the sources' titles and headings, `question` what was asked: both may supply names,
    and say what a short answer is about. `similarity` is the cosine of the sentence to its sources.
    `checks` leaves some out, to measure what each is worth.
    """
    sentence, question = plain(sentence), plain(question)
    sources, contexts = [[plain(one) for one in texts] for texts in (sources, contexts)]
    weights = term_weights(sentence)
    if not weights or not sources:
        return Verdict("unsupported", 0.0, 0.0, ())
    case = _comparison(sentence, sources, question, contexts)
    mentions = [one for one in case.claim.mentions if _KINDS[one.kind] in checks]
    clashes, gaps, agreed = check_mentions(mentions, case)
    held = frozenset().union(*(terms(text) for text in (*sources, *contexts)))
    held = held.union(*(terms(one.text) for one in agreed))
    if "negation" in checks:
        opposed, denied = opposites(case.claim, case.sources)
        clashes = [*clashes, *negation_clashes(case.claim, case.sources), *opposed]
        held |= denied
    coverage = _share(weights, held)
    eased = _share(_eased(weights, held, terms(question)), held)
    gap = min(gaps, default=0.0)
    score = _score(eased, gap, similarity) * _CLASH ** min(2, len(clashes))
    status = _status(max(coverage, eased), gap, bool(clashes))
    return Verdict(status, round(coverage, 4), round(score, 4), tuple(dict.fromkeys(clashes)))


def _comparison(
    sentence: str, sources: Sequence[str], question: str, contexts: Sequence[str]
) -> Comparison:
    return Comparison(
        parse(sentence),
        [parse(source) for source in dict.fromkeys(sources)],
        [parse(context) for context in dict.fromkeys(contexts) if context],
        parse(question),
    )


def _share(weights: dict[str, float], held: frozenset[str]) -> float:
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in held) / total if total else 0.0


def _eased(
    weights: dict[str, float], held: frozenset[str], asked: frozenset[str]
) -> dict[str, float]:
    return {
        term: weight * _ASKED if term in asked and term not in held else weight
        for term, weight in weights.items()
    }


def _score(eased: float, gap: float, similarity: float | None) -> float:
    score = eased * ((1 + 0.2 * gap) * (_DOUBTED if gap < -DOUBT else 1.0))
    if similarity is not None:
        score = 0.7 * score + 0.3 * max(0.0, similarity)
    return score


def _status(eased: float, gap: float, clash: bool) -> Status:
    if clash or eased < _PARTIAL:
        return "unsupported"
    return "supported" if eased >= _SUPPORTED and not gap < -DOUBT else "partial"
