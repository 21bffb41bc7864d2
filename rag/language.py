"""Which language a text is in, from its script, its words and py3langid's letter statistics. Pure.

Made for short questions. English words of asking outweigh everything: a question about
"Bundeskanzler Scholz" or "La vita è bella" stays English. Where the evidence is thin it says None.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

__all__ = ["language", "name"]

_NAMES = dict(
    pair.split("=")
    for pair in """ar=Arabic bg=Bulgarian bn=Bengali ca=Catalan cs=Czech da=Danish de=German el=Greek
    en=English es=Spanish et=Estonian fa=Persian fi=Finnish fr=French he=Hebrew hi=Hindi hr=Croatian
    hu=Hungarian hy=Armenian id=Indonesian it=Italian ja=Japanese ka=Georgian ko=Korean lt=Lithuanian
    lv=Latvian no=Norwegian nl=Dutch pl=Polish pt=Portuguese ro=Romanian ru=Russian sk=Slovak
    sl=Slovene sq=Albanian sr=Serbian sv=Swedish th=Thai tr=Turkish uk=Ukrainian ur=Urdu
    vi=Vietnamese zh=Chinese""".split()
)
_LONGEST = 2_000
_SURE = 0.5  # of the likelihood, among the languages above

# Words of English that the other languages don't have, as they stand in lower case.
_ENGLISH = frozenset(
    """who whom whose what when where which why how did does the of and with from about been have has had
    should would could their there this that these those they mean means many much into between because
    whether while isn't wasn't doesn't didn't don't who's what's it's""".split()
)
_OPENS_ENGLISH = frozenset(
    """who whom whose what when where which why how did does should would could has had have are were
    tell give explain describe list define summarize summarise compare find show the this there
    who's what's how's when's where's""".split()
)
# These open questions in English, and are words of other languages too: names must not decide then.
_MAY_OPEN_ENGLISH = frozenset("do is was can will may must name".split())
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def language(text: str) -> str | None:
    """The ISO 639-1 code of a text's language; None when too short or unsure."""
    text = unicodedata.normalize("NFC", text[:_LONGEST])
    if not any(letter.islower() for letter in text):
        text = text.lower() if len(text.split()) > 2 else text
    said = [word.replace("’", "'") for word in _WORD.findall(text)]
    if not said:
        return None
    plain = [said[0].lower(), *(word for word in said[1:] if word[:1] == word[:1].lower())]
    english = sum(word in _ENGLISH for word in plain)
    if english and plain[0] in _OPENS_ENGLISH:
        return "en"
    scripted = _by_script(text)
    if scripted:
        return scripted
    if sum(map(len, said)) < 6 or len(said) < 2:
        return None
    best, share = _guess(text)
    without_names, _ = _guess(" ".join(plain)) if len(plain) > 1 else (None, 0.0)
    if english > 1 or plain[0] in _OPENS_ENGLISH or english * 5 > len(said):
        return "en" if without_names == "en" or best == "en" else None
    if best != "en" and (
        without_names == "en" or (plain[0] in _MAY_OPEN_ENGLISH and len(plain) < 4)
    ):
        return None
    return best if share >= _SURE else None


def name(code: str) -> str:
    """The English name of a language ("uk": "Ukrainian"); the code itself where it is not known."""
    return _NAMES.get(code, code)


def _by_script(text: str) -> str | None:
    """A language that its letters alone tell."""
    letters = [letter for letter in text if letter.isalpha()] or [" "]

    def share(first: str, last: str) -> float:
        return sum(first <= letter <= last for letter in letters) / len(letters)

    if share("\u3040", "\u30ff") > 0.1:
        return "ja"
    if share("\u4e00", "\u9fff") > 0.4:
        return "zh"
    if share("а", "џ") + share("А", "Я") > 0.5:
        lower = set(text.lower())
        if lower & set("їєґ") and not lower & set("ыэёъ"):
            return "uk"
        if lower & set("ыэё") and not lower & set("їєґіў"):
            return "ru"
    return None


def _guess(text: str) -> tuple[str, float]:
    """The likeliest language and its share of the likelihood."""
    code, share = _identifier().classify(text)
    return str(code), float(share)


@cache
def _identifier() -> Any:
    """py3langid's model (data inside the package), for the languages named above; half a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(set(_NAMES) & set(identifier.labels))
    return identifier
