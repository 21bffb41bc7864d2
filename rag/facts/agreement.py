"""Whether two mentions say the same: values, dates and names, however they are written.

Looks at the mentions alone, not at what stands around them (`rag.facts.places`).
"""

from __future__ import annotations

from rag.facts.kinship import akin
from rag.facts.numbers import MEASURES
from rag.facts.text import Mention

__all__ = ["comparable", "same", "says"]


def same(one: Mention, other: Mention) -> bool:
    """Whether a source's mention `other` says what the sentence's `one` says."""
    if one.kind == "name" or other.kind == "name":
        return one.kind == other.kind and akin(one.words, other.words)
    if one.kind == "date" and other.kind == "date":
        # All that the sentence says must be said; a source may say more.
        return all(a == b for a, b in zip(one.date, other.date, strict=True) if a)
    if one.kind == "date":
        return False
    if other.kind == "date":
        return one.unit in ("year-date", "") and one.value == other.date[0] and one.value > 0
    if one.unit == "decade" or other.unit == "decade":
        return one.value == other.value and one.unit == other.unit
    # "About 1,900" may stand for 1,894, but not for 1,910 or the other way round.
    rounded = one.hedged and other.unit != "year-date" and _digits(one.value) < _digits(other.value)
    near = 0.05 if rounded else 1e-9
    if abs(one.value - other.value) > near * max(abs(one.value), abs(other.value)):
        return False
    if {one.unit, other.unit} <= {"", "year-date"}:
        return True
    return one.unit == other.unit or one.unit == "" or (other.unit == "" and one.unit in MEASURES)


def says(said: Mention, other: Mention) -> bool:
    """Whether the sentence has the source's mention already, or a part of it."""
    if said.kind == "name" == other.kind:
        return set(said.words) <= set(other.words) or set(other.words) <= set(said.words)
    return same(said, other) or same(other, said)


def comparable(one: Mention, other: Mention) -> bool:
    """Whether one could stand in the other's place: both years, both names, or of one unit."""
    years = [m.kind == "date" or m.unit == "year-date" for m in (one, other)]
    if any(years):
        return all(years)
    return one.kind == other.kind and (one.kind == "name" or one.unit == other.unit)


def _digits(value: float) -> int:
    """Significant digits."""
    return len(f"{value:.10g}".replace(".", "").split("e")[0].strip("0"))
