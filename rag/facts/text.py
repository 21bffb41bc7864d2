"""The records of a text that has been read: tokens, and the mentions of values among them.

They know positions in tokens, not offsets in characters, and not how any of them was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["Kind", "Mention", "ParsedText", "Token", "surface"]

Kind = Literal["number", "date", "name"]


class Token(NamedTuple):
    """A word, a number or a sign: as it is written, in lower case, and its stem."""

    text: str
    low: str
    stem: str
    before: str  # what stands between the token before and this one
    aside: bool  # within parentheses


class Mention(NamedTuple):
    """A number, date or name: tokens `at..end`."""

    kind: Kind
    at: int
    end: int
    text: str
    value: float = 0.0
    unit: str = ""  # "year-date", "decade", "%", a currency, a measure, or nothing
    hedged: bool = False
    soft: bool = False  # its absence alone proves nothing ("first", "two kinds")
    date: tuple[int, int, int] = (0, 0, 0)  # year, month, day; 0 where not said
    words: tuple[str, ...] = ()


class ParsedText(NamedTuple):
    """A text's tokens, the stems of its content words, and its mentions in order."""

    tokens: tuple[Token, ...]
    stems: frozenset[str]
    mentions: tuple[Mention, ...]


def surface(tokens: Sequence[Token], at: int, end: int) -> str:
    """Tokens `at..end` as they are written."""
    inner = "".join(token.before + token.text for token in tokens[at + 1 : end])
    return tokens[at].text + inner
