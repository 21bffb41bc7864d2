"""A text -> its tokens and mentions. Knows how words are told apart, not what they mean.

Accents, typographic forms and parentheses are seen to here, so that the finders of dates, numbers
and names need not; each finder leaves alone what the one before it took.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from rag.facts.dates import dates, spell_iso
from rag.facts.names import names
from rag.facts.numbers import numbers
from rag.facts.text import ParsedText, Token
from rag.words import stem, stem_set

__all__ = ["parse", "plain"]

_TOKEN = re.compile(
    r"\d+(?:[.,]\d+)*|n't|[^\W\d_]+?(?=n't)|[^\W\d_]+(?:'[^\W\d_]+)?|[%$€£¥]|°\s?[CF]"
)
_INITIALS = re.compile(r"\b(?:[A-Z]\.\s?){2,}")


def plain(text: str) -> str:
    """Without accents and typographic forms, ISO dates and initials as words; case is kept."""
    text = unicodedata.normalize("NFKD", text.replace("’", "'").replace("‘", "'"))
    text = "".join(c for c in text if not unicodedata.combining(c))
    # U.S. -> US, so that it stays one word.
    return _INITIALS.sub(lambda m: re.sub(r"[.\s]", "", m[0]) + " ", spell_iso(text))


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> ParsedText:
    """Tokens and mentions of `text`; what `plain` does has no need to be done before."""
    tokens = _tokens(plain(text))
    dated, taken = dates(tokens)
    counted = numbers(tokens, taken)
    used = taken | {at for one in counted for at in range(one.at, one.end)}
    named = names(tokens, used)
    mentions = tuple(sorted([*dated, *counted, *named], key=lambda one: (one.at, one.kind)))
    return ParsedText(tuple(tokens), stem_set(text), mentions)


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    last, depth = 0, 0
    for found in _TOKEN.finditer(text):
        before, low = text[last : found.start()], found[0].casefold()
        last = found.end()
        if low.endswith("'s") and len(low) > 2:
            low = low[:-2]
        depth = max(0, depth + before.count("(") - before.count(")"))
        tokens.append(Token(found[0], low, stem(low), before, depth > 0))
    return tokens
