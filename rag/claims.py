"""What each source says to one question, and which of it outweighs what. Pure.

Sources that give one value are one group. Groups whose documents speak of the same thing (nearly the
same text, but another value) contradict each other, and the one with more independent documents
stands; groups about different things that share a name are different meanings of the question, and
each stands. A copy of a document is no second source.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.attribute import Support
from rag.compose import Line, Proved
from rag.embed import Vectors
from rag.evidence import SourceSentence
from rag.prompt import Style
from rag.suspect import heading
from rag.words import fold, stem_set, words

__all__ = [
    "Said",
    "Group",
    "joint_support",
    "mentions",
    "newest",
    "rivals",
    "same_value",
    "settled",
    "side",
    "weigh",
]

_SAME_THING = 0.75  # cosine of two documents' best passages
_EVEN = 0.6  # so much of the largest group's weight is enough to stand beside it
_MOST_SPANS = 3
_COPY = 0.9  # share of the smaller text's words that the other holds
_VALUE = re.compile(r"\d|[A-Z]")


@dataclass(frozen=True, slots=True)
class Said:
    """One document's answer: the phrase with its support, and the best passage's text and vector."""

    document: str
    proved: Proved
    text: str
    vector: Vectors

    @property
    def value(self) -> str:
        return self.proved[0].text


Group = list[Said]
"""Documents that say the same, the best fitting first."""


def rivals(
    sentences: Sequence[SourceSentence], phrase: str, closeness: float
) -> tuple[list[str], list[str]]:
    """Documents that give `phrase` too, and those that may answer otherwise, best first.

    A document counts where its best sentence scores at least `closeness` of the best of all, and by
    the sentences that do: what it mentions elsewhere is no answer. It may answer otherwise where one
    of them holds a number or a name.
    """
    best: dict[str, float] = {}
    for one in sentences:
        best[one.document] = max(best.get(one.document, 0.0), one.score)
    top = max(best.values(), default=0.0)
    near = [name for name in sorted(best, key=lambda d: -best[d]) if best[name] >= closeness * top]
    good = [one for one in sentences if one.score >= closeness * top]
    texts = {name: " ".join(one.text for one in good if one.document == name) for name in near}
    agreeing = [name for name in near if _holds(texts[name], phrase)]
    others = [
        name for name in near if name not in agreeing and bool(_VALUE.search(texts[name][1:]))
    ]
    return agreeing, others


def _holds(text: str, phrase: str) -> bool:
    return f" {' '.join(words(phrase))} " in f" {' '.join(words(text))} "


def same_value(one: str, other: str) -> bool:
    """Whether two phrases name one thing: all content words of one are in the other."""
    left, right = stem_set(one), stem_set(other)
    if not left or not right:
        return fold(one).strip() == fold(other).strip()
    return left <= right or right <= left


def mentions(text: str, value: str) -> bool:
    """Whether a text holds all content words of a value."""
    return stem_set(value) <= stem_set(text)


def joint_support(group: Group) -> Support:
    """The first member's support with the best span of each other document; three at most."""
    first = group[0].proved[1]
    spans = [*first.sources, *(one.proved[1].sources[0] for one in group[1:])]
    distinct = {(one.document, one.start): one for one in spans}
    return replace(first, sources=tuple(distinct.values())[:_MOST_SPANS])


def settled(
    kept: Sequence[Proved], stands: Sequence[Group], outweighed: Sequence[Group], style: Style
) -> list[Proved]:
    """What an answer says where sources differ: as it was written, if that says what stands and
    nothing that is outweighed; else the values that stand."""
    said = " ".join(line.text for line, _ in kept)
    wrong = any(mentions(said, group[0].value) for group in outweighed)
    if len(stands) == 1 and mentions(said, stands[0][0].value) and not wrong:
        return list(kept)
    if style == "short" or len(stands) == 1:
        return [(Line(group[0].value), joint_support(group)) for group in stands]
    return [side(group, bullet=True) for group in stands]


def side(group: Group, bullet: bool = False) -> Proved:
    """A value with the title and date of the best fitting source that gives it."""
    support = joint_support(group)
    first = support.sources[0]
    name = f"“{heading(first.title, first.document)}”" if first.title else ""
    about = ", ".join(part for part in (name, first.date) if part)
    text = f"{group[0].value} ({about})" if about else group[0].value
    return Line(text, bullet), support


def newest(groups: Sequence[Group]) -> str:
    """A sentence that names the newest source, where the dates of all sides are known and differ."""
    dated: list[tuple[str, Said]] = []
    for group in groups:
        known = [(one.proved[1].sources[0].date or "", one) for one in group]
        latest = max(known, key=lambda pair: pair[0])
        if not latest[0]:
            return ""
        dated.append(latest)
    dated.sort(key=lambda pair: pair[0], reverse=True)
    if len(dated) < 2 or dated[0][0] == dated[1][0]:
        return ""
    date, said = dated[0]
    source = said.proved[1].sources[0]
    name = heading(source.title, source.document)
    return f"The newest of these sources, “{name}” ({date}), says {said.value}."


def weigh(said: Sequence[Said]) -> tuple[list[Group], list[Group]]:
    """Groups that stand and groups that are outweighed, each in the order of their first member."""
    groups: list[Group] = []
    for one in said:
        home = next((g for g in groups if same_value(g[0].value, one.value)), None)
        if home is None:
            groups.append([one])
        else:
            home.append(one)
    stands: list[Group] = []
    outweighed: list[Group] = []
    weights = [_independent(group) for group in groups]
    for at, group in enumerate(groups):
        against = [
            weights[other]
            for other in range(len(groups))
            if other != at and _about_the_same(group, groups[other])
        ]
        (stands if weights[at] >= _EVEN * max(against, default=0) else outweighed).append(group)
    return stands, outweighed


def _about_the_same(one: Group, other: Group) -> bool:
    return any(float(a.vector @ b.vector) >= _SAME_THING for a in one for b in other)


def _independent(group: Group) -> int:
    """How many documents of a group are no copies of another."""
    kept: Group = []
    for one in group:
        if not any(_is_copy(one.text, other.text) for other in kept):
            kept.append(one)
    return len(kept)


def _is_copy(one: str, other: str) -> bool:
    left, right = stem_set(one), stem_set(other)
    smaller = min(len(left), len(right))
    return bool(smaller) and len(left & right) >= _COPY * smaller
