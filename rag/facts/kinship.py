"""Names in other words: Scotland and Scottish, NATO and what it stands for. Spelling only.

Knows no encyclopedia: "the Iron Lady" is no kin of Margaret Thatcher.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from rag.facts.text import Mention, ParsedText
from rag.words import STOP_WORDS, stem

__all__ = ["adjacent", "akin", "missing_words"]

# Countries and peoples whose words share no beginning.
_KIN = [
    set(line.split())
    for line in (
        "france french",
        "netherlands dutch holland",
        "germany german",
        "spain spanish",
        "wales welsh",
        "britain british uk england english",
        "us usa america american states",
        "switzerland swiss",
        "denmark danish danes",
        "greece greek",
        "poland polish",
        "ireland irish",
        "turkey turkish",
        "norway norwegian",
    )
]
_PEOPLE_ENDINGS = ("ish", "an", "ians", "ian", "ans", "ese", "ean", "i", "ic")


def akin(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two names have a word in common, in any of its forms."""
    return any(_kin(a, b) for a in one for b in other)


def missing_words(name: Mention, texts: Sequence[ParsedText]) -> list[str]:
    """The words of a name that the texts hold in no form, nor as an acronym or what one stands for."""
    known = {token.low for text in texts for token in text.tokens}
    known |= {token.stem for text in texts for token in text.tokens}
    known |= {a.low + b.low for text in texts for a, b in itertools.pairwise(text.tokens)}
    missing = [
        word
        for word in name.words
        if word not in known and stem(word) not in known and not any(_kin(word, k) for k in known)
    ]
    if not missing:
        return []
    initials = "".join(word[0] for word in name.words)
    if len(initials) > 1 and initials in known:
        return []  # spelled out here, an acronym there
    left = []
    for word in missing:
        spelled = 2 <= len(word) <= 7 and any(_spells(word, text) for text in texts)
        if not spelled:
            left.append(word)
    return left


def adjacent(name: Mention, texts: Sequence[ParsedText]) -> bool:
    """Whether each two words of a name stand together somewhere."""
    wanted = {(stem(a), stem(b)) for a, b in itertools.pairwise(name.words)}
    if wanted:
        for text in texts:
            wanted -= set(itertools.pairwise(token.stem for token in text.tokens))
    return not wanted


@functools.lru_cache(maxsize=50_000)
def _kin(one: str, other: str) -> bool:
    """Scotland and Scottish, Merkel and Merkels."""
    if one == other or any(one in group and other in group for group in _KIN):
        return True
    if one[0] != other[0]:
        return False  # a stem keeps its word's first letter; stemming is what takes the time
    if stem(one) == stem(other):
        return True
    shared = len(_common(one, other))
    return (
        shared >= 4
        and shared >= min(len(one), len(other)) - 4
        and (one.endswith(_PEOPLE_ENDINGS) or other.endswith(_PEOPLE_ENDINGS))
    )


def _common(one: str, other: str) -> str:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(a for a, _ in same)


def _spells(acronym: str, text: ParsedText) -> bool:
    """Whether consecutive words of a text, small ones skipped or not, begin with these letters."""
    full = "".join(token.low[0] for token in text.tokens)
    content = "".join(t.low[0] for t in text.tokens if t.low not in STOP_WORDS and t.low != "'s")
    return acronym in full or acronym in content
