"""Words of opposite meaning: rose and fell, lawful and unlawful. A short list; no thesaurus."""

from __future__ import annotations

from collections.abc import Sequence

from rag.facts.negation import denied_words, negations, unprefixed
from rag.facts.text import ParsedText
from rag.words import stem

__all__ = ["opposites"]

_PAIRS = (
    "increase decrease,rise fall,rose fell,increase fall,increase decline,rise decline,win lose,"
    "won lost,above below,higher lower,highest lowest,largest smallest,oldest youngest,north south,"
    "east west,northern southern,eastern western,true false,accept reject,allow forbid,allow ban,"
    "allow prohibit,permit prohibit,support oppose,buy sell,bought sold,maximum minimum,male female,"
    "import export,before after,more less,more fewer,upper lower,left right,gain loss,profit loss,"
    "positive negative,inside outside,always never,longest shortest,best worst,arrive depart,"
    "success failure,succeed fail,present absent,with without,hot cold,internal external"
)


def _both_ways(pairs: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pair in pairs.split(","):
        one, other = (stem(word) for word in pair.split())
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return found


_OPPOSITES = _both_ways(_PAIRS)


def opposites(claim: ParsedText, texts: Sequence[ParsedText]) -> tuple[list[str], frozenset[str]]:
    """ "rose" where the sources say "fell", "lawful" where they say "unlawful"; and the words that
    say the same with a negation ("not lawful")."""
    held = {token.stem: token.low for text in texts for token in text.tokens}
    own = {token.stem for token in claim.tokens}
    denied = {
        word
        for text in (claim, *texts)
        for at in negations(text)
        for words in denied_words(text, at)
        for word in words
    }
    clashes: list[str] = []
    agreed: set[str] = set()
    for token in claim.tokens:
        if token.stem in held:
            continue
        opposites = _OPPOSITES.get(token.stem, set())
        for other, word in held.items():
            if other in own or not (
                other in opposites or _denies(word, token.low) or _denies(token.low, word)
            ):
                continue
            if {token.stem, other} & denied:
                agreed.add(token.stem)
            else:
                clashes.append(f"the source says {word}, not {token.low}")
    return clashes, frozenset(agreed)


def _denies(one: str, other: str) -> bool:
    """unlawful, lawful"""
    return unprefixed(one) == stem(other)
