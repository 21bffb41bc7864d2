"""Negation: what a text denies, and whether another denies it too.

A negation belongs to the content words next to it; scope in the sense of grammar is not parsed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from rag.facts.text import ParsedText, Token
from rag.words import STOP_WORDS, stem

__all__ = ["denied_words", "negation_clashes", "negations", "unprefixed"]

_REACH = 10  # words within which a denied phrase stands together
_NEGATIONS = frozenset(
    "not never no none neither nor cannot without nobody nothing nowhere fail unabl".split()
)
# These may stand for a negation in other words: they excuse one but do not make one.
_HALF_NEGATIONS = frozenset(
    """lack refus deni absenc absent instead rather except rare hard seldom prevent avoid ceas reject
    abandon longer few littl""".split()
)
_PREFIX = re.compile(r"(?:un|in|im|il|ir|non|dis)-?(?=\w{4})")


def negation_clashes(claim: ParsedText, texts: Sequence[ParsedText]) -> list[str]:
    """A negation has to stand on both sides, or on neither, at the words that it denies."""
    clashes: list[str] = []
    for at in negations(claim):
        if _unmatched(claim, at, texts, 0.4):
            clashes.append("the source does not say “not” here")
    for text in texts:
        for at in negations(text):
            others = [one for one in texts if one is not text]
            if _unmatched(text, at, [claim], 0.65) and not _unmatched(text, at, others, 0.65):
                clashes.append("the source says “not” here")
    return clashes


def negations(text: ParsedText) -> list[int]:
    """The tokens that deny something."""
    return [at for at in range(len(text.tokens)) if _negates(text.tokens, at)]


def denied_words(text: ParsedText, at: int) -> tuple[list[str], list[str]]:
    """The content stems before (at most two) and after (at most three) a negation."""
    found: tuple[list[str], list[str]] = ([], [])
    for stems, side, most in ((found[0], -1, 2), (found[1], 1, 3)):
        reach = range(at + side, at + 9 * side, side)
        for n in reach:
            if not 0 <= n < len(text.tokens) or len(stems) == most:
                break
            token = text.tokens[n]
            if stems and re.search(r"[,;:.()]", text.tokens[n + (side < 0)].before):
                break
            if (
                token.low not in STOP_WORDS
                and token.low not in _NEGATIONS
                and token.low[0].isalnum()
            ):
                stems.append(token.stem)
    return found


@functools.lru_cache(maxsize=50_000)
def unprefixed(word: str) -> str | None:
    """The stem of "lawful" for "unlawful"; None where no prefix denies."""
    found = _PREFIX.match(word)
    return stem(word[found.end() :]) if found else None


def _negates(tokens: Sequence[Token], at: int) -> bool:
    token = tokens[at]
    following = tokens[at + 1].low if at + 1 < len(tokens) else ""
    if token.low == "n't":
        return True
    if token.stem == "fail":
        return following == "to"
    if token.low == "not" and following in ("only", "just", "merely", "necessarily"):
        return False
    if token.low == "not" and [t.low for t in tokens[at + 1 : at + 3]] == ["the", "same"]:
        return False
    if token.low == "no" and (following[:1].isdigit() or following in ("doubt", "matter")):
        return False
    return token.stem in _NEGATIONS or token.low in _NEGATIONS


def _place(stems: set[str], first: set[str], text: ParsedText) -> tuple[int, int, int] | None:
    """The tightest place of a text with the most of `stems`, at least one of `first`: how many of
    them, and from which token to which."""
    at = [n for n, token in enumerate(text.tokens) if token.stem in stems]
    best: tuple[int, int, int] | None = None
    for n, start in enumerate(at):
        held: set[str] = set()
        for end in at[n:]:
            if end - start > _REACH:
                break
            held.add(text.tokens[end].stem)
            if first and not held & first:
                continue
            if best is None or (len(held), start - end) > (best[0], best[1] - best[2]):
                best = (len(held), start, end)
    return best


def _unmatched(text: ParsedText, at: int, others: Sequence[ParsedText], share: float) -> bool:
    """Whether `others` say what the negation at token `at` denies (this share of its words at
    least), and do not deny it."""
    before, after = denied_words(text, at)
    stems, first = {*before, *after}, set(after[:2]) or set(before)
    if not first:
        return False
    places = [(place, other) for other in others if (place := _place(stems, first, other))]
    most = max((place[0] for place, _ in places), default=0)
    if most < min(len(stems), 2) or most < share * len(stems):
        return False
    own = {token.stem for token in text.tokens}
    return not any(
        _excused(other, start, end, first, own)
        for (count, start, end), other in places
        if count == most
    )


def _excused(text: ParsedText, start: int, end: int, first: set[str], own: set[str]) -> bool:
    """Whether a negation of `first`, or what may stand for one, is near tokens `start..end`.

    What both texts say (`own`) can't stand for a negation in one of them.
    """
    for at in range(max(0, start - 4), min(len(text.tokens), end + 3)):
        if _negates(text.tokens, at):
            before, after = denied_words(text, at)
            if first & {*before, *after}:
                return True
        word = text.tokens[at]
        if word.stem in _HALF_NEGATIONS - own:
            return True
        if word.stem not in own and unprefixed(word.low) in first:
            return True
    return False
