"""Numbers in digits and in words -> their values. Knows no units and no dates.

"1,900", "1.9 thousand", "nineteen hundred" and "one thousand nine hundred" have one value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.facts.text import Token

__all__ = ["Numeral", "read_numeral", "small_number"]

_UNITS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
}
_TENS = {
    word: 10 * number
    for number, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), 2
    )
}
_SCALES = {
    "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
    "hundreds": 1e2, "thousands": 1e3, "millions": 1e6, "billions": 1e9, "trillions": 1e12,
    "dozen": 12.0, "bn": 1e9, "mn": 1e6, "mln": 1e6, "tn": 1e12,
}  # fmt: skip
_ORDINALS = {
    word: number
    for number, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
        "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth "
        "twentieth".split(),
        1,
    )
}
_ORDINAL_ENDINGS = frozenset("st nd rd th".split())


def small_number(word: str) -> str:
    """ "two" to "twelve" as digits, else nothing. Not "one": "one of the allies" counts nothing."""
    value = _UNITS.get(word, 0)
    return str(value) if 1 < value <= 12 else ""


class Numeral(NamedTuple):
    """A value that ends before token `end`; `soft` as in `Mention`; `year`: it may be a year."""

    value: float
    end: int
    soft: bool
    year: bool


def read_numeral(tokens: Sequence[Token], at: int) -> Numeral | None:
    """The number that begins at token `at`, if one does."""
    low = tokens[at].low
    if low[0].isdigit():
        return _in_digits(tokens, at)
    if low in _ORDINALS:
        return Numeral(float(_ORDINALS[low]), at + 1, True, False)
    return _in_words(tokens, at)


def _in_digits(tokens: Sequence[Token], at: int) -> Numeral:
    low = tokens[at].low
    digits = re.sub(r",(?=\d{3}(?:\D|$))", "", low).replace(",", ".")
    if digits.count(".") > 1:
        digits = digits.replace(".", "", digits.count(".") - 1)
    value, end = float(digits), at + 1
    year = low.isdigit() and len(low) == 4 and 1000 <= value < 2200
    if end < len(tokens) and tokens[end].low in _ORDINAL_ENDINGS:
        return Numeral(value, end + 1, False, False)
    scaled = False
    while end < len(tokens) and tokens[end].low in _SCALES:
        value, end, scaled = value * _SCALES[tokens[end].low], end + 1, True
    return Numeral(value, end, False, year and not scaled)


def _in_words(tokens: Sequence[Token], at: int) -> Numeral | None:
    total, current, end, parts = 0.0, 0.0, at, 0
    while end < len(tokens):
        low = tokens[end].low
        if end > at and re.search(r"[,;:()]", tokens[end].before):
            break
        if low in _UNITS or low in _TENS:
            value = float(_UNITS.get(low, _TENS.get(low, 0)))
            if parts and current >= 10 and value >= 10 and current < 100:
                current *= 100  # nineteen ninety-four
            elif parts and current and (current % 10 or current < 20) and current < 100:
                break
            current += value
        elif low in _SCALES and (parts or _opens_scale(tokens, end)):
            current = (current or 1.0) * _SCALES[low]
            if _SCALES[low] >= 1e3:
                total, current = total + current, 0.0
        elif low in _ORDINALS and parts and tokens[end].before.strip(" ") == "-":
            return Numeral(current + _ORDINALS[low], end + 1, False, False)  # twenty-first
        elif not (_opens_count(tokens, end, parts) or _joins_count(tokens, end, parts)):
            break
        parts, end = parts + 1, end + 1
    value = total + current
    if not parts or (parts == 1 and tokens[at].low in ("one", "a", "an")):
        return None  # not "one": "one of the allies" counts nothing
    if value == 0 and tokens[at].low != "zero":
        return None
    year = end - at >= 2 and 1000 <= value < 2200 and value % 100 != 0
    return Numeral(value, end, parts == 1 and value <= 12, year)


def _opens_scale(tokens: Sequence[Token], at: int) -> bool:
    """A scale without a number ("millions of") counts nothing."""
    return at > 0 and tokens[at - 1].low in ("a", "an")


def _opens_count(tokens: Sequence[Token], at: int, parts: int) -> bool:
    """The "a" of "a hundred"."""
    following = tokens[at + 1].low if at + 1 < len(tokens) else ""
    return tokens[at].low in ("a", "an") and not parts and following in _SCALES


def _joins_count(tokens: Sequence[Token], at: int, parts: int) -> bool:
    """The "and" of "a hundred and five"."""
    following = tokens[at + 1].low if at + 1 < len(tokens) else ""
    small = following in _UNITS or following in _TENS
    return tokens[at].low == "and" and parts > 0 and small and tokens[at - 1].low in _SCALES
