"""Dates: a month with a day or a year, in any usual order. A year alone is a number.

Knows the names of the months in English; no other calendar, and no 4/3/1997, which says one date
here and another there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rag.facts.text import Mention, Token, surface

__all__ = ["dates", "spell_iso"]

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan,february feb,march mar,april apr,may,june jun,july jul,august aug,"
            "september sept sep,october oct,november nov,december dec"
        ).split(","),
        1,
    )
    for name in names.split()
}
_FULL_NAMES = {number: name.title() for name, number in reversed(_MONTHS.items())}
_ORDINAL_ENDINGS = frozenset("st nd rd th".split())
_OF = frozenset(["of"])
_ISO = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")


def spell_iso(text: str) -> str:
    """`text` with 1997-03-04 written as 4 March 1997."""

    def spelled(found: re.Match[str]) -> str:
        month = _FULL_NAMES.get(int(found[2]))
        return f"{int(found[3])} {month} {found[1]}" if month else found[0]

    return _ISO.sub(spelled, text)


def dates(tokens: Sequence[Token]) -> tuple[list[Mention], set[int]]:
    """The dates with a month and a day or a year, and the tokens that they take."""
    found: list[Mention] = []
    taken: set[int] = set()
    for at, token in enumerate(tokens):
        month = _MONTHS.get(token.low, 0)
        if not month or not token.text[0].isupper():
            continue
        start, end = at, at + 1
        back = _skip(tokens, _skip(tokens, at - 1, _OF, -1), _ORDINAL_ENDINGS, -1)
        if (day := _whole(tokens, back, 1, 31)) and back not in taken:
            start = back
        elif day := _whole(tokens, at + 1, 1, 31):
            end = _skip(tokens, at + 2, _ORDINAL_ENDINGS, 1)
        after = _skip(tokens, end, _OF, 1)
        if year := _whole(tokens, after, 1000, 2199):
            end = after + 1
        if day or year:
            text = surface(tokens, start, end)
            found.append(Mention("date", start, end, text, date=(year, month, day)))
            taken |= set(range(start, end))
    return found, taken


def _whole(tokens: Sequence[Token], at: int, low: int, high: int) -> int:
    """The whole number at token `at`, if it is within `low..high`; else 0."""
    if 0 <= at < len(tokens) and tokens[at].low.isdigit():
        value = int(tokens[at].low) if len(tokens[at].low) <= 4 else 0
        return value if low <= value <= high else 0
    return 0


def _skip(tokens: Sequence[Token], at: int, words: Iterable[str], step: int) -> int:
    """The place after (or before) token `at` if that is one of `words`; else `at`."""
    return at + step if 0 <= at < len(tokens) and tokens[at].low in words else at
