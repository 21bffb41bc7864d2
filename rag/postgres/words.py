"""BM25 (Robertson & Zaragoza 2009) over an inverted index in a plain table.

Every publication adds one row for each word of what it published: the postings, packed, of all of its
passages. So a word is had by reading a few rows, whatever the size of the collection, and scored by
numpy: 20 ns a posting. Rows are never changed: what was removed is taken from the count of its words
at once, and left out when found; when it is a fifth of all, the rows are made anew.

Words, lengths and weights are those of SQLite's word index ("porter unicode61", k1 = 1.2, b = .75), so
both stores give the same scores, but that one like "1,900" is found where it is written so, not also
where "1" and "900" are neighbours. Where a question's words have more postings than `MOST`, the rare
ones choose the passages, which then get their exact scores, and frequent ones choose as far as the
allowance goes. The result follows from the question and the generation alone. Knows no SQL.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import snowballstemmer

from rag.words import content_words, fold, words

__all__ = ["POSTING", "Counts", "asked_terms", "counted", "pack", "score", "score_texts"]

POSTING = np.dtype([("key", "<u4"), ("times", "<u2"), ("length", "<u2")])
"""A passage's key, how often it has the word, and how many words it has."""

MOST = 600_000  # postings read for one question: 5 MB
_K1, _B = 1.2, 0.75
_WORDS = 64  # of a question, at most
_LONGEST = 255  # of a word, in characters: what is longer is none that anybody asks for

_RUN = re.compile(r"[^\W_]+")
_JOINED = re.compile(r"\w+(?:[.,]\d+)+|\w*[^\W_]_\w+")
_stemmer = snowballstemmer.stemmer("porter")


@functools.lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    """As SQLite does: only words of three letters and more, and of ASCII."""
    if len(word) < 3 or not word.isascii():
        return word
    return str(_stemmer.stemWord(word))


def counted(text: str) -> tuple[Counter[str], int]:
    """How often a text has each of its terms, and how many words it has."""
    folded = fold(text)
    runs = [run for run in _RUN.findall(folded) if len(run) <= _LONGEST]
    terms = Counter(map(_stem, runs))
    terms.update(one for one in _JOINED.findall(folded) if len(one) <= _LONGEST)
    return terms, len(runs)


def asked_terms(question: str) -> list[str]:
    """The terms that a question asks for: of its content words, where it has any."""
    asked = list(dict.fromkeys(content_words(question) or words(question)))[:_WORDS]
    terms = [_term(word) for word in asked]
    return list(dict.fromkeys(term for term in terms if term))


def _term(word: str) -> str:
    runs = _RUN.findall(word)
    return _stem(runs[0]) if len(runs) == 1 else word if runs else ""


def pack(texts: Sequence[str], keys: Iterable[int]) -> tuple[list[str], list[bytes], int]:
    """The terms of some passages, the postings of each, and how many words there are in all."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    total = 0
    for text, key in zip(texts, keys, strict=True):
        terms, length = counted(text)
        total += length
        for term, times in terms.items():
            posting = (key, min(times, 0xFFFF), min(length, 0xFFFF))
            found.setdefault(term, []).append(posting)
    terms_ = sorted(found)
    return terms_, [np.array(found[one], POSTING).tobytes() for one in terms_], total


@dataclass(frozen=True, slots=True)
class Counts:
    """How many passages a collection has, how many words they have, and how many have each term."""

    passages: int
    words: int
    holding: dict[str, int]

    def weight(self, term: str) -> float:
        """A term's inverse document frequency."""
        holding = self.holding[term]
        return max(1e-6, math.log((self.passages - holding + 0.5) / (holding + 0.5)))

    def part(self, term: str, times: Any, lengths: Any) -> Any:
        """What a term adds to scores; `times` and `lengths` are numbers, or arrays of one shape."""
        mean = self.words / max(1, self.passages)
        norm = _K1 * (1 - _B + _B * lengths / max(mean, 1e-9))
        return self.weight(term) * times * (_K1 + 1) / (times + norm)

    def affordable(self) -> tuple[list[str], list[str]]:
        """Terms whose postings are read, the rarest first, and those that are too frequent."""
        by_count = sorted((count, term) for term, count in self.holding.items() if count > 0)
        total = 0
        read: list[str] = []
        for count, term in by_count:
            total += count
            if total > MOST and read:
                break
            read.append(term)
        return read, [term for _, term in by_count[len(read) :]]


def score(postings: dict[str, np.ndarray], counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Keys of every passage that has one of the terms, and their scores, the best first."""
    terms = sorted(postings)
    if not terms:
        return np.zeros(0, np.int64), np.zeros(0)
    parts = [
        counts.part(
            one, postings[one]["times"].astype(float), postings[one]["length"].astype(float)
        )
        for one in terms
    ]
    every = np.concatenate([postings[one]["key"] for one in terms]).astype(np.int64)
    keys, scores = _summed(every, np.concatenate(parts))
    order = np.lexsort((keys, -scores))
    return keys[order], scores[order]


def _summed(keys: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(keys):
        return keys, parts
    low, high = int(keys.min()), int(keys.max())
    if high - low < 4 * len(keys) + 1_000_000:  # keys are dense: no need to sort them
        sums = np.bincount(keys - low, parts, high - low + 1)
        at = np.flatnonzero(sums)
        return at + low, sums[at]
    distinct, inverse = np.unique(keys, return_inverse=True)
    return distinct, np.bincount(inverse, parts)


def score_texts(texts: Sequence[str], terms: Sequence[str], counts: Counts) -> np.ndarray:
    """The scores of passages for some terms, from what they say, shape (n,)."""
    totals = np.zeros(len(texts))
    for at, text in enumerate(texts):
        found, length = counted(text)
        for term in terms:
            if found[term]:
                totals[at] += counts.part(term, found[term], length)
    return totals
