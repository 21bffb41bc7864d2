"""Names: runs of capitalised words. Knows nothing of who or what bears them.

A capital at the head of a sentence proves little, so a word there is a name for sure only beside
others or where it comes again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.facts.text import Mention, Token, surface
from rag.words import STOP_WORDS

__all__ = ["names"]

# Capitalised at the head of a sentence because it is the head, or a title rather than a name.
_OPENERS = frozenset(
    """former president king queen prime minister despite according although however since under
    within unlike like following based born founded located known originally currently today later
    early eventually finally initially generally usually typically sometimes often several various
    many most some two three four five six seven eight nine ten yes another both one first second
    third unless whether instead together among along between around across""".split()
)
_HEAD = re.compile(r"[:.!?]\s+[\"“(']*$|[-–*•]\s+$|^[\"“]|``")


def names(tokens: Sequence[Token], used: set[int]) -> list[Mention]:
    """The names outside the tokens `used`, in order."""
    capital = [
        at not in used
        and token.text[0].isupper()
        and token.low not in STOP_WORDS
        and len(token.text) > 1
        for at, token in enumerate(tokens)
    ]
    found: list[Mention] = []
    at = 0
    while at < len(tokens):
        if not capital[at]:
            at += 1
            continue
        end = at + 1
        while end < len(tokens) and capital[end] and re.fullmatch(r"[\s.-]*", tokens[end].before):
            end += 1
        opens = _opens(tokens, at)
        start = at
        if opens and (tokens[at].low in _OPENERS or tokens[at].low.endswith("ly")):
            start += 1
        if start < end:
            low = tuple(token.low for token in tokens[start:end])
            soft = opens and end - at == 1 and not _again(tokens, capital, at)
            text = surface(tokens, start, end)
            found.append(Mention("name", start, end, text, soft=soft, words=low))
        at = end
    return found


def _opens(tokens: Sequence[Token], at: int) -> bool:
    return at == 0 or bool(_HEAD.search(tokens[at].before))


def _again(tokens: Sequence[Token], capital: Sequence[bool], at: int) -> bool:
    """Whether the word at token `at` comes again with a capital."""
    later = range(at + 1, len(tokens))
    return any(capital[other] and tokens[other].low == tokens[at].low for other in later)
