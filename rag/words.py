"""Words as the lexical parts see them: tokens, stop words and stems. Pure.

One definition serves the word index's queries, sentence scoring and attribution, so that "content
word" means one thing throughout.
"""

from __future__ import annotations

import functools
import re
import unicodedata

import snowballstemmer

__all__ = ["STOP_WORDS", "fold", "content_stems", "content_words", "stem", "stem_set", "words"]

_WORD = re.compile(r"\w+(?:[.,]\d+)*", re.UNICODE)

STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being both but by can
    could did do does doing during each for from further had has have having he her here hers him
    his how i if in into is it its itself just me more most my no nor of off on once only or
    other our out over own same she should so some such than that the their theirs them then there
    these they this those through to too under until up upon us very was we were what when where
    which while who whom whose why will with would you your yours may might must shall many much
    tell give list name describe explain please say said according""".split()
)

_stemmer = snowballstemmer.stemmer("english")


def fold(text: str) -> str:
    """Lower case without accents or compatibility forms, for comparison only (lengths may change)."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def words(text: str) -> list[str]:
    """The words and numbers of a text, folded, in order. "1,900" and "3.5" are one word each."""
    return _WORD.findall(fold(text))


def content_words(text: str) -> list[str]:
    """`words` without stop words."""
    return [word for word in words(text) if word not in STOP_WORDS]


@functools.lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The Snowball (Porter 2) stem of a folded English word; numbers lose their thousands marks."""
    if word[0].isdigit():
        return re.sub(r",(?=\d{3}(?:\D|$))", "", word)
    return str(_stemmer.stemWord(word))


def content_stems(text: str) -> list[str]:
    """Stems of the content words, in order, with repeats."""
    return [stem(word) for word in content_words(text)]


@functools.lru_cache(maxsize=16_384)
def stem_set(text: str) -> frozenset[str]:
    """The distinct `content_stems`. Kept: one question compares the same sentences many times."""
    return frozenset(content_stems(text))
