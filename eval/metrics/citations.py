"""Are citations the right ones, and do they support what they stand behind? Pure.

Right is measured against gold spans; support against the cited text itself, by content words,
numbers and names. Support here is deliberately not the engine's own check: it judges any system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from eval.metrics.spans import Located, length, overlap, touched

__all__ = [
    "by_character",
    "by_sentence",
    "content_words",
    "coverage",
    "facts",
    "facts_agree",
]

# Words that carry no content of their own: without them "it is in the" would support anything.
_EMPTY_WORDS = """
a about after all also an and any are as at be been before being but by can could did do does for
from had has have he her his how i if in into is it its may more most no not of on or other our she
should so some such than that the their them then there these they this those to under up was we
were what when where which who whom why will with would you your
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<!\w)[A-Z][\w'’-]*")

Scores = tuple[float, float, float]


def _scores(common: int, cited: int, gold: int) -> Scores:
    precision = common / cited if cited else 0.0
    recall = common / gold if gold else 0.0
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0


def by_character(cited: Sequence[Located], annotators: Iterable[Sequence[Located]]) -> Scores:
    """Precision, recall and F1 of the cited characters, against the annotator with the best F1.

    Nothing cited is 0, 0, 0.
    """
    return _best(_scores(overlap(cited, gold), length(cited), length(gold)) for gold in annotators)


def by_sentence(
    cited: Sequence[Located],
    annotators: Iterable[Sequence[Located]],
    sentences: Callable[[str], Sequence[Located]],
) -> Scores:
    """The same over source sentences: those that citations touch against those that gold touches.

    `sentences` gives the sentences of a document.
    """

    def units(spans: Sequence[Located]) -> set[Located]:
        found = {unit for document in {d for d, _, _ in spans} for unit in sentences(document)}
        return touched(spans, found)

    ours = units(cited)
    found = (units(gold) for gold in annotators)
    return _best(_scores(len(ours & gold), len(ours), len(gold)) for gold in found)


def _best(scores: Iterable[Scores]) -> Scores:
    return max(scores, key=lambda s: (s[2], s[1], s[0]), default=(0.0, 0.0, 0.0))


def content_words(text: str) -> set[str]:
    """Lower-case words with content, without a plural or possessive s."""
    found = re.findall(r"\d+(?:[.,]\d+)*|[^\W_]+", text.lower())
    return {_stem(word) for word in found if word not in _EMPTY and word != "s"}


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def coverage(sentence: str, cited: str) -> float:
    """The share of the sentence's content words that the cited text has; 1 where it has none."""
    wanted = content_words(sentence)
    return len(wanted & content_words(cited)) / len(wanted) if wanted else 1.0


def facts(sentence: str) -> set[str]:
    """Numbers, and capitalised words except the first word of the sentence (which always is)."""
    first = re.match(r"\W*\w[\w'’-]*", sentence)
    names = _NAME.findall(sentence, first.end() if first else 0)
    plain = {re.sub(r"['’]s$", "", name).casefold() for name in names}
    return {number.replace(",", "") for number in _NUMBER.findall(sentence)} | plain


def facts_agree(sentence: str, cited: str, question: str = "") -> bool:
    """Whether every number and name of the sentence stands in the cited text.

    A name may come from the question instead; a number may not.
    """
    source = {number.replace(",", "") for number in _NUMBER.findall(cited)}
    source |= set(re.findall(r"[\w-]+", cited.casefold()))
    asked = {word for word in re.findall(r"[\w-]+", question.casefold()) if not word.isdigit()}
    return facts(sentence) <= source | asked
