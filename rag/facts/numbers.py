"""Numbers with what they count: a currency, a measure, per cent, or a year. Nothing is converted.

Knows spellings of one unit ("km", "kilometres"), not how many metres it has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.facts.numerals import Numeral, read_numeral
from rag.facts.text import Mention, Token, surface

__all__ = ["MEASURES", "numbers"]

_CURRENCIES = {
    "$": "$", "€": "€", "£": "£", "¥": "¥", "usd": "$", "dollar": "$", "dollars": "$", "eur": "€",
    "euro": "€", "euros": "€", "gbp": "£", "yen": "¥",
}  # fmt: skip
_PREFIXES = frozenset(["$", "€", "£", "¥", "usd", "eur", "gbp"])
_SUFFIXES = {"m": 1e6, "k": 1e3, "b": 1e9}
_MEASURES = {
    alias: names[0]
    for names in (
        line.split()
        for line in (
            "km kms kilometre kilometres kilometer kilometers",
            "mile miles mi",
            "m metre metres meter meters",
            "cm centimetre centimetres centimeter centimeters",
            "mm millimetre millimetres millimeter millimeters",
            "ft foot feet",
            "inch inches",
            "kg kilogram kilograms kilo kilos",
            "lb lbs pound pounds",
            "g gram grams",
            "tonne tonnes ton tons",
            "litre litres liter liters",
            "second seconds sec",
            "minute minutes min mins",
            "hour hours hr hrs",
            "day days",
            "week weeks",
            "month months",
            "year years yr yrs",
            "decade decades",
            "century centuries",
            "°c celsius",
            "°f fahrenheit",
        )
    )
    for alias in names
}
MEASURES = frozenset(_MEASURES.values())
_HEDGES = frozenset("about around approximately nearly almost roughly circa some over".split())


def numbers(tokens: Sequence[Token], taken: set[int]) -> list[Mention]:
    """The numbers outside the tokens `taken`, in order."""
    found: list[Mention] = []
    at = 0
    while at < len(tokens):
        numeral = None if at in taken else read_numeral(tokens, at)
        if numeral is None:
            at += 1
            continue
        found.append(_mention(tokens, at, numeral, found[-1] if found else None))
        at = found[-1].end
    return found


def _mention(tokens: Sequence[Token], at: int, numeral: Numeral, last: Mention | None) -> Mention:
    """The numeral at token `at` with its unit; `last` is the number before it."""
    value, end = numeral.value, numeral.end
    start = at
    if at and tokens[at - 1].low in _PREFIXES and not (last and last.end >= at):
        start, unit = at - 1, _CURRENCIES[tokens[at - 1].low]
        if end < len(tokens) and tokens[end].low in _SUFFIXES and not tokens[end].before:
            value, end = value * _SUFFIXES[tokens[end].low], end + 1
    else:
        value, unit, end = _unit_after(tokens, numeral)
        if last and not unit and _ends_range(tokens, at, value, last):
            value, unit = last.value // 100 * 100 + value, "year-date"
    hedged = start > 0 and tokens[start - 1].low in _HEDGES
    text = surface(tokens, start, end)
    return Mention("number", start, end, text, value, unit, hedged, numeral.soft)


def _unit_after(tokens: Sequence[Token], numeral: Numeral) -> tuple[float, str, int]:
    """The numeral's value, its unit by the words that follow, and where both end."""
    value, end = numeral.value, numeral.end
    follow = tokens[end].low if end < len(tokens) else ""
    if follow in ("%", "percent", "percentage"):
        return value, "%", end + 1
    if follow == "per" and end + 1 < len(tokens) and tokens[end + 1].low == "cent":
        return value, "%", end + 2
    if follow in _CURRENCIES:
        return value, _CURRENCIES[follow], end + 1
    if follow == "k" and not tokens[end].before:
        return value * 1e3, "", end + 1
    if follow in _MEASURES:
        return value, _MEASURES[follow], end
    if numeral.year and follow == "s" and not tokens[end].before.strip(" '"):
        return value, "decade", end + 1
    return value, "year-date" if numeral.year else "", end


def _ends_range(tokens: Sequence[Token], at: int, value: float, last: Mention) -> bool:
    """Whether token `at` is the end of a range of years: the 95 of 1990-95."""
    return (
        last.unit == "year-date"
        and last.end == at
        and bool(re.fullmatch(r"\s*[-–—]+\s*", tokens[at].before))
        and 0 < value < 100
        and tokens[at].low.isdigit()
    )
