"""Comparing an answer's words with the gold's. Pure: strings in, numbers out."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

__all__ = [
    "answer_tokens",
    "contains",
    "exact_match",
    "mentions",
    "rouge_l",
    "share",
    "strip_markers",
    "token_f1",
    "words",
]

_MARKER = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# NFKC leaves typographic quotes and dashes, and makes the non-breaking hyphen one of its own.
_PLAIN = str.maketrans("\u2019\u2018\u2013\u2014\u2010\u2011", "''----")


def strip_markers(text: str) -> str:
    """`text` without citation markers such as `[1]` or `[1, 2]`, and the space before them."""
    return _MARKER.sub("", text).strip()


def answer_tokens(text: str) -> list[str]:
    """SQuAD's normal form: lower case, no ASCII punctuation, no articles, split on white space."""
    return _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def exact_match(text: str, gold: str) -> float:
    """1 where both have the same normal form (SQuAD EM)."""
    return float(answer_tokens(text) == answer_tokens(gold))


def token_f1(text: str, gold: str) -> float:
    """Harmonic mean of precision and recall over the bag of tokens (SQuAD F1).

    Where either has no tokens, 1 if neither has any and 0 otherwise.
    """
    ours, theirs = answer_tokens(text), answer_tokens(gold)
    if not ours or not theirs:
        return float(ours == theirs)
    common = (Counter(ours) & Counter(theirs)).total()
    return 2 * common / (len(ours) + len(theirs))


def _rouge_tokens(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge_l(text: str, gold: str) -> float:
    """ROUGE-L F measure (Lin 2004, beta 1): from the longest common subsequence of tokens."""
    ours, theirs = _rouge_tokens(text), _rouge_tokens(gold)
    if not ours or not theirs:
        return 0.0
    return 2 * _common_length(ours, theirs) / (len(ours) + len(theirs))


def _common_length(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence, one bit per token of `left` (Hyyrö 2004)."""
    where: dict[str, int] = {}
    for position, token in enumerate(left):
        where[token] = where.get(token, 0) | 1 << position
    full = (1 << len(left)) - 1
    row = full
    for token in right:
        matched = row & where.get(token, 0)
        row = (row + matched | row - matched) & full
    return len(left) - row.bit_count()


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).translate(_PLAIN).casefold()
    return " ".join(folded.split())


def mentions(text: str, variants: Iterable[str]) -> set[str]:
    """Which of `variants` stand in `text`: any case, on word boundaries, the longest at each place.

    A number does not match inside a longer one: 35 is neither in 135 nor in 35,000 nor in 35.5.
    Where one variant is part of another, the text counts for the longer one alone.
    """
    by_form = {_plain(variant): variant for variant in variants if variant.strip()}
    if not by_form:
        return set()
    forms = sorted(by_form, key=len, reverse=True)
    pattern = "|".join(re.escape(form) for form in forms)
    found = re.finditer(rf"(?<!\w)(?<!\d[.,])(?:{pattern})(?!\w)(?![.,]\d)", _plain(text))
    return {by_form[match.group()] for match in found}


def contains(text: str, variants: Iterable[str]) -> bool:
    """Whether `text` mentions at least one of `variants`."""
    return bool(mentions(text, variants))


def share(text: str, things: Sequence[Sequence[str]]) -> float:
    """The share of `things` (each a list of variants) that `text` mentions."""
    return sum(contains(text, variants) for variants in things) / len(things)


def words(text: str) -> int:
    """The length in words split on white space."""
    return len(text.split())
