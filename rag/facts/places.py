"""Where a mention stands: the words around it, and how alike two such places are.

Knows words and distances, no grammar: who does what to whom shows only in which side a word is on.
"""

from __future__ import annotations

import itertools

from rag.facts.text import Mention, ParsedText, Token
from rag.words import STOP_WORDS

__all__ = ["fit"]

_NEAR = 8  # words on either side of a value that say what it is about


def fit(
    claim: ParsedText, one: Mention, text: ParsedText, other: Mention, asked: ParsedText
) -> float:
    """How alike the surroundings of two mentions are, 0..1: near words, and the rest of the text."""
    window = _window(claim, one, _NEAR)
    there = _window(text, other, 2 * _NEAR)
    got = total = 0.0
    for word, (side, distance) in window.items():
        weight = (0.25 if word in STOP_WORDS else 1.0) / (1 + 0.25 * (distance - 1))
        total += weight
        if word in there:
            other_side, far = there[word]
            got += weight * (1.0 if side == other_side else 0.7) * (1 - 0.03 * (far - 1))
    near = got / total if total else 0.0
    run = sum(_run(claim, one, text, other, side) for side in (-1, 1))
    own = {token.stem for token in claim.tokens if token.low not in STOP_WORDS}
    own -= {token.stem for token in claim.tokens[one.at : one.end]}
    if len(own) < 3:
        own |= asked.stems
    whole = len(own & text.stems) / len(own) if own else 0.0
    return 0.45 * near + 0.3 * whole + 0.25 * min(1.0, run / 4) if len(window) > 2 else whole


def _run(claim: ParsedText, one: Mention, text: ParsedText, other: Mention, side: int) -> int:
    """How many words next to two mentions are the same, on one side; an end of the text is a word."""
    here, there = _beside(claim, one, side, 4), _beside(text, other, side, 4)
    length = 0
    for a, b in zip(here, there, strict=False):
        if a.stem != b.stem:
            return length
        length += 1
    return min(4, length + (len(here) == len(there) < 4))


def _beside(text: ParsedText, mention: Mention, side: int, size: int) -> list[Token]:
    """The tokens on one side of a mention, nearest first; asides are skipped unless it is in one."""
    tokens = text.tokens
    order = range(mention.at - 1, -1, -1) if side < 0 else range(mention.end, len(tokens))
    deep = tokens[mention.at].aside
    return list(itertools.islice((tokens[n] for n in order if deep or not tokens[n].aside), size))


def _window(text: ParsedText, mention: Mention, size: int) -> dict[str, tuple[int, int]]:
    """Stems around a mention -> (side, distance in words), nearest first."""
    sides = ((side, _beside(text, mention, side, size)) for side in (-1, 1))
    rows = [(n, side, token.stem) for side, row in sides for n, token in enumerate(row, 1)]
    found: dict[str, tuple[int, int]] = {}
    for distance, side, word in sorted(rows):
        found.setdefault(word, (side, distance))
    return found
