"""The mentions of a sentence against its sources: which are missing, and which stand elsewhere.

A mention has to agree with a source in the place where that source speaks of the same. Where another
value of the same kind fits that place better (its rival), there is doubt; where it fits clearly
better, the source says that one. Knows nothing of negation or of coverage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rag.facts.agreement import comparable, same, says
from rag.facts.kinship import adjacent, missing_words
from rag.facts.places import fit
from rag.facts.text import Mention, ParsedText

__all__ = ["DOUBT", "Comparison", "Findings", "check_mentions"]

# How much better a rival must fit before there is doubt that the sources mean this value, and before
# they contradict it.
DOUBT, _MISPLACED = 0.1, 0.25
_TITLE = 0.4  # how well a value fits that stands in the title or the question alone
_SAID = 0.1  # what a rival loses that the sentence names elsewhere
_APART = 0.2  # what a name loses whose words stand in the sources, but never together
_PRONOUNS = frozenset("he she it they this these his her its their".split())


class Comparison(NamedTuple):
    """A sentence (`claim`), its sources, their titles and headings, and the question asked."""

    claim: ParsedText
    sources: Sequence[ParsedText]
    contexts: Sequence[ParsedText]
    question: ParsedText

    @property
    def around(self) -> list[ParsedText]:
        """What may supply a value besides the sources."""
        return [*self.contexts, self.question]


class Findings(NamedTuple):
    """`clashes` in plain words; `gaps`: 0 where a mention sits well, less where a rival fits better;
    `agreed`: the mentions that the sources hold, however they are written."""

    clashes: list[str]
    gaps: list[float]
    agreed: list[Mention]


class _Place(NamedTuple):
    text: ParsedText
    mention: Mention


class _Rival(NamedTuple):
    fit: float
    place: _Place


def check_mentions(mentions: Iterable[Mention], case: Comparison) -> Findings:
    """Check `mentions` of the claim, each by itself."""
    found = Findings([], [], [])
    for mention in mentions:
        here = _places(mention, case.sources)
        rival = _best_rival(mention, case, here)
        if here or _said_around(mention, case):
            found.agreed.append(mention)
            gap, misplaced = _gap(mention, case, here, rival)
            found.gaps.append(gap)
            if rival and misplaced and not (mention.soft and mention.kind == "name"):
                found.clashes.append(
                    f"the source says {rival.place.mention.text} here, not {mention.text}"
                )
        elif not mention.soft or (rival and rival.fit >= _TITLE and mention.kind != "name"):
            found.clashes.append(f"the {mention.kind} {mention.text} is not in the source")
        else:
            found.gaps.append(-DOUBT)
    return found


def _places(mention: Mention, texts: Sequence[ParsedText]) -> list[_Place]:
    """Where a source has the mention; for a name, if the sources together hold all its words."""
    if mention.kind == "name" and missing_words(mention, texts):
        return []
    return [
        _Place(text, other) for text in texts for other in text.mentions if same(mention, other)
    ]


def _said_around(mention: Mention, case: Comparison) -> bool:
    """Whether a title, a heading or the question has what the sources lack."""
    if mention.kind == "name":
        return not missing_words(mention, [*case.sources, *case.around])
    return any(same(mention, other) for text in case.around for other in text.mentions)


def _gap(
    mention: Mention, case: Comparison, here: Sequence[_Place], rival: _Rival | None
) -> tuple[float, bool]:
    """How much worse than its rival a mention fits, 0 or less, and whether the rival is meant."""
    fits = [fit(case.claim, mention, *place, case.question) for place in here]
    own = max(fits, default=_TITLE)
    named = mention.kind == "name"
    if named and not adjacent(mention, [*case.sources, *case.around]):
        own -= _APART
    if rival is None:
        return 0.0, False
    gap = min(0.0, own - rival.fit)
    # A name may stand in another sentence than what is said of it: "She left him."
    apart = named and all(place.text is not rival.place.text for place in here)
    if apart and any(_leans(*place) for place in [*here, rival.place]):
        gap /= 2
    return gap, gap < -_MISPLACED and not (apart and here)


def _best_rival(mention: Mention, case: Comparison, here: Sequence[_Place]) -> _Rival | None:
    """The other value of the same kind that fits the mention's place best.

    What stands in one list with the mention is no rival: "Ann, Bo and Cy signed".
    """
    found = []
    for text in case.sources:
        for other in text.mentions:
            if not comparable(mention, other) or says(mention, other):
                continue
            if any(text is own and _listed(text, other, one) for own, one in here):
                continue
            how_well = fit(case.claim, mention, text, other, case.question)
            if any(says(said, other) for said in case.claim.mentions):
                how_well -= _SAID
            found.append(_Rival(how_well, _Place(text, other)))
    return max(found, key=lambda rival: rival.fit, default=None)


def _listed(text: ParsedText, one: Mention, other: Mention) -> bool:
    """Whether nothing but names and "and" stands between two names."""
    if one.kind != "name" or other.kind != "name":
        return False
    between = range(min(one.end, other.end), max(one.at, other.at))
    named = {at for name in text.mentions if name.kind == "name" for at in range(name.at, name.end)}
    return all(at in named or text.tokens[at].low in ("and", "or", "the") for at in between)


def _leans(text: ParsedText, mention: Mention) -> bool:
    """Whether a pronoun opens the text or stands close by: what it means is in another sentence."""
    near = text.tokens[max(0, mention.at - 4) : mention.at]
    return any(token.low in _PRONOUNS for token in (*text.tokens[:3], *near))
