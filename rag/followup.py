"""Does a question stand alone? Pure.

A rewrite costs a call of the model and can go wrong, so it is made only where the words show that
the question leans on what was said before.
"""

from __future__ import annotations

import re

from rag.words import content_words, words

__all__ = ["leans_on_history"]

_OPENERS = re.compile(
    r"\s*(and|but|or|so|no|also|what about|how about|what else|why not|then|same|the same)\b",
    re.IGNORECASE,
)
_POINTERS = frozenset(
    "it its they them their theirs he him his she her hers this that these those there then one ones "
    "former latter same such".split()
)


def leans_on_history(question: str) -> bool:
    """Whether a question has words that point back, opens like a continuation, or names nothing."""
    if _OPENERS.match(question) or len(content_words(question)) < 2:
        return True
    return bool(_POINTERS & set(words(question)))
