"""Names and noun phrases in a question, by words and capital letters alone. Pure; English."""

from __future__ import annotations

import re
from functools import lru_cache

from rag.words import STOP_WORDS, fold

__all__ = [
    "AUX",
    "DEMONYM",
    "GENERIC",
    "PREP",
    "WH",
    "YEAR",
    "bare",
    "definite_phrases",
    "names_in",
    "plain",
    "sort_of",
]

AUX = "is|are|was|were|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must|am"
WH = "who|whom|whose|what|when|where|why|how|which"
PREP = "in|on|at|by|from|to|for|of|with|under|since|until|during|near|about|before|after"
_NAME = re.compile(
    r"(?:\b[Tt]he )?(?<![\w'’-])[A-Z][\w&.-]*(?:[ ](?:(?:of|for|de|du|von|van|der|la)[ ](?:the[ "
    r"])?)?"
    r"(?:[A-Z][\w&-]*|\d{1,3}\b))*"
)
_SKIP = STOP_WORDS | frozenset("ok okay yes thanks thank hi hello sorry ive im id ill".split())
YEAR = re.compile(
    r"\b(?:(?:jan|febr?|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)\w*\.? (?:\d{1,2},? )?)?"
    r"(?:1[5-9]|20)\d\d\b(?![-–]\d)",
    re.IGNORECASE,
)
_COUNTRIES = frozenset(
    """afghanistan albania algeria angola argentina armenia australia austria azerbaijan
    bangladesh belarus
    belgium bolivia brazil bulgaria cambodia cameroon canada chile china colombia croatia cuba
    cyprus denmark
    ecuador egypt england estonia ethiopia finland france georgia germany ghana greece hungary
    iceland india
    indonesia iran iraq ireland israel italy japan jordan kazakhstan kenya kosovo kuwait
    kyrgyzstan laos latvia
    lebanon libya lithuania luxembourg malaysia mali malta mexico moldova mongolia montenegro
    morocco mozambique
    myanmar namibia nepal netherlands nicaragua niger nigeria norway pakistan panama paraguay
    peru philippines
    poland portugal qatar romania russia rwanda scotland senegal serbia singapore slovakia
    slovenia somalia spain
    sudan sweden switzerland syria taiwan tajikistan tanzania thailand tunisia turkey
    turkmenistan uganda uk
    ukraine uruguay us usa uzbekistan venezuela vietnam wales yemen zambia zimbabwe""".split()
) | {
    "united states", "united kingdom", "soviet union", "ussr", "south korea", "north korea",
    "saudi arabia", "new zealand", "south africa", "czech republic", "bosnia", "uae", "great britain",
}  # fmt: skip
_INSTITUTIONS = re.compile(
    r"\b(?:union|states|kingdom|nations|court|council|commission|committee|parliament|senate|"
    r"house|congress|"
    r"ministry|department|agency|bank|fund|university|college|school|institute|company|"
    r"corporation|inc|ltd|"
    r"party|organi[sz]ation|association|society|church|army|navy|league|club|office|board|"
    r"center|centre|"
    r"service|services|authority|group|team|foundation|museum|hospital|red cross)\b",
    re.IGNORECASE,
)
_THINGS = re.compile(
    r"\b(?:memorandum|treaty|agreement|act|accords?|pact|convention|protocol|charter|war|battle|"
    r"law|plan|"
    r"program(?:me)?|project|policy|report|day|city|county|island|river|mountains?|sea|ocean|"
    r"street|lake|park|"
    r"tower|bridge|airport|cloud|assistant|system|server|platform|software|the|of|new|north|"
    r"south|east|west|"
    r"san|los|st|united|world|fort|mount|great|api|sdk|constitution|declaration|revolution|empire|"
    r"republic|federation|conference|summit|cup|prize|award|series|building|station|online|"
    r"standard|model)\b"
    r"|\d",
    re.IGNORECASE,
)
DEMONYM = re.compile(
    r"(?:[a-z]ish|ese|[a-z]ian|ean|[a-z]ican|French|German|Dutch|Greek|Swiss|Iraqi|Israeli|"
    r"Czech|Thai)$"
)
GENERIC = frozenset(
    "country nation state city town treaty agreement memorandum accord pact convention protocol "
    "organisation "
    "organization alliance company firm law act war battle book film movie song show program "
    "programme project "
    "event place university bank product service tool plan policy institution".split()
)


def bare(name: str) -> str:
    return re.sub(r"^the ", "", fold(name))


def plain(text: str) -> str:
    """A turn without citation markers and Markdown emphasis."""
    return re.sub(r"\s*\[\d{1,3}\](?:\([^)\s]*\))?|\*\*", "", text).strip()


@lru_cache(maxsize=512)
def names_in(text: str) -> tuple[tuple[tuple[int, int], str], ...]:
    """Names by their capital letters, with where they stand; a question's first word is none."""
    found = []
    for match in _NAME.finditer(text):
        start, end = match.span()
        while text[start:end] and text[end - 1] in ".-&":
            end -= 1
        for word in re.finditer(r"\S+\s*", text[start:end]):
            lowered = fold(word.group().strip())
            if lowered == "the" and word.end() < end - start:
                break
            if re.sub(r"\W", "", lowered) not in _SKIP or word.group().strip() in (
                "US",
                "IT",
                "WHO",
            ):
                break
            start += word.end() - word.start()
        name = text[start:end]
        first = not text[: match.start()].strip() and start == match.start()
        if bare(name) in ("", "the") or (first and " " not in name and not name[1:2].isupper()):
            continue
        found.append(((start, end), name))
    return tuple(found)


def sort_of(name: str) -> str | None:
    """What a name looks like: "country", "institution", "thing", "person" or None."""
    lowered = bare(name)
    if lowered in _COUNTRIES:
        return "country"
    name = re.sub("^[Tt]he ", "", name)
    if _INSTITUTIONS.search(lowered) or re.fullmatch(r"[A-Z]{2,6}", name):
        return "institution"
    if _THINGS.search(name):
        return "thing"
    if re.fullmatch(r"[A-Z][\w.'’-]+(?: (?:de|du|von|van|der|la))*(?: [A-Z][\w.'’-]+){1,3}", name):
        return "person"
    return None


def definite_phrases(question: str) -> list[str] | None:
    """The "the …" phrases without a name; None where it is unclear where one ends."""
    found = []
    for match in re.finditer(
        rf"(?:\b({AUX})\s+)?\b(the|an?)\s+((?:[a-z][\w-]*\s*)+)",
        question[:1].lower() + question[1:],
    ):
        run = match[3].split()
        stop = next(
            (n for n, w in enumerate(run) if w.lower() in STOP_WORDS or re.fullmatch(PREP, w)),
            len(run),
        )
        noun, rest = run[:stop], run[stop:]
        if rest[:1] == ["of"] or len(noun) > 4:
            return None
        if match[1] and (stop == len(run) or len(noun) > 1):
            noun = noun[:-1]  # the verb or adjective of an inverted question
        elif len(noun) > 1 and re.search(r"ed$", noun[-1]):
            noun = noun[:-1]
        if not noun:
            return None
        if match[2].lower() == "the":
            found.append(f"the {' '.join(noun)}")
    return found
