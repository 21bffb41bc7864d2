"""Errors of known kinds, planted in true sentences by rule. Pure.

The patterns are its own, not those of `rag.verify`: a checker that can't read a date must not be
excused from it.
"""

from __future__ import annotations

import random
import re
from typing import NamedTuple

__all__ = ["Planted", "plant"]

_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
# The longest form first: what follows a full date must not be read as a year of its own.
_DATES = {
    "full": re.compile(rf"\b(?:{_MONTH} \d{{1,2}} ?, \d{{4}}|\d{{1,2}} {_MONTH} \d{{4}})\b"),
    "month": re.compile(rf"\b(?<!\d ){_MONTH} \d{{4}}\b"),
    "day": re.compile(rf"\b{_MONTH} \d{{1,2}}\b(?! ?, \d{{4}})"),
    "year": re.compile(r"(?<![\w.,$-])(?:1\d{3}|20\d{2})(?![\w%]|[.,]\d)"),
}
_NUMBER = re.compile(
    r"(?<![\w.,-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|[.,]\d)"
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|fifty)\b"
)
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+(?: [A-Z][a-z]+)*\b")
_AUXILIARY = re.compile(
    r"\b(?:is|was|were|are|has|have|had|can|could|will|would|may|must|should|does|did)\b(?! not|n't)"
)
_NOT = re.compile(r" (?:not|never)\b| ?n't\b")


class Planted(NamedTuple):
    """A sentence made wrong. `origin` says where the wrong value came from."""

    kind: str
    origin: str
    text: str


def _date_spans(text: str) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    for form, pattern in _DATES.items():
        for match in pattern.finditer(text):
            if not any(match.start() < end and start < match.end() for _, start, end in found):
                found.append((form, *match.span()))
    return found


def _values(text: str) -> list[tuple[str, int, int]]:
    """(form, start, end) of everything that can be exchanged for another of the same form."""
    dates = _date_spans(text)

    def free(match: re.Match[str]) -> bool:
        return not any(match.start() < end and start < match.end() for _, start, end in dates)

    rows = [(f"date {form}", start, end) for form, start, end in dates]
    for match in filter(free, _NUMBER.finditer(text)):
        rows.append(("number " + ("digits" if match[0][0].isdigit() else "word"), *match.span()))
    for match in filter(free, _NAME.finditer(text)):
        if not re.fullmatch(_MONTH, match[0]):
            rows.append(("name", *match.span()))
    return rows


def plant(sentence: str, passage: str, other: str, rng: random.Random) -> list[Planted]:
    """At most one error of each kind and origin: values exchanged for another of the same passage or
    of another one, a negation put in or taken out, two names swapped."""
    found: list[Planted] = []
    mine = _values(sentence)
    for kind in ("number", "date", "name"):
        for origin, text in (("same", passage), ("other", other)):
            choices = [
                (start, end, value)
                for form, start, end in mine
                if form.startswith(kind)
                for value in sorted({text[a:b] for f, a, b in _values(text) if f == form})
                if not _shares_word(re.sub(r"\s+,", ",", value), re.sub(r"\s+,", ",", sentence))
            ]
            if choices:
                start, end, value = rng.choice(choices)
                found.append(Planted(kind, origin, sentence[:start] + value + sentence[end:]))
    if match := _NOT.search(sentence):
        text = sentence[: match.start()] + sentence[match.end() :]
        found.append(Planted("negation", "removed", text))
    elif match := _AUXILIARY.search(sentence):
        text = f"{sentence[: match.end()]} not{sentence[match.end() :]}"
        found.append(Planted("negation", "put in", text))
    names = [(a, b) for form, a, b in mine if form == "name"]
    if len(names) > 1 and sentence[slice(*names[0])] != sentence[slice(*names[-1])]:
        (a, b), (c, d) = names[0], names[-1]
        swapped = sentence[:a] + sentence[c:d] + sentence[b:c] + sentence[a:b] + sentence[d:]
        found.append(Planted("roles", "swapped", swapped))
    return found


def _shares_word(value: str, sentence: str) -> bool:
    """Whether a word or number of `value` stands in the sentence: then the change may be none.

    Months may be shared: 4 March is not 5 March.
    """
    said = set(re.findall(r"\w+", sentence.casefold()))
    own = re.findall(r"[\w,.]*\w", value.casefold())
    return any(one in said or one in sentence.casefold().split() for one in own) and not (
        " " in value and re.search(_MONTH, value) and value not in sentence
    )
