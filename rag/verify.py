"""Is an answer sentence supported by the source sentences it cites? Pure; knows no model.

Words that are shared say that two texts are about the same thing; they cannot say that the texts
agree. So beside the share of a sentence's weight that its sources hold (`coverage`), four things are
checked claim by claim: numbers with their units, dates, names, and negation. One that the sources
contradict or do not hold makes a sentence unsupported, however many words it shares.

A number, date or name has to agree with *one* source, in the place where that source speaks of the
same: "$10 billion" is no evidence for this year's revenue because last year's stands next to it. The
place is judged by the words around (`_fit`): where another value of the same kind fits clearly
better, the sources say that one. Who did what to whom is not parsed: roles that are swapped within
one source sentence pass.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rag.records import Status
from rag.words import STOP_WORDS, content_stems, stem

__all__ = ["CHECKS", "Verdict", "term_weights", "terms", "verify"]

_SUPPORTED, _PARTIAL = 0.7, 0.4
# How much better another value must fit before there is doubt that the sources mean this one, and
# before they contradict it.
_DOUBT, _MISPLACED = 0.1, 0.25
_TITLE = 0.4  # how well a value fits that stands in the title or the question alone
_SAID = 0.1  # what a rival loses that the sentence names elsewhere
_APART = 0.2  # what a name loses whose words stand in the sources, but never together
_ASKED = 0.3  # weight of a word that only the question holds: it repeats what was asked
_DOUBTED, _CLASH = 0.6, 0.35  # what a doubt and a clash leave of the score
_REACH = 10  # words within which a denied phrase stands together
_NEAR = 8  # words on either side of a value that say what it is about

_UNITS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
}
_TENS = {
    word: 10 * number
    for number, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), 2
    )
}
_SCALES = {
    "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
    "hundreds": 1e2, "thousands": 1e3, "millions": 1e6, "billions": 1e9, "trillions": 1e12,
    "dozen": 12.0, "bn": 1e9, "mn": 1e6, "mln": 1e6, "tn": 1e12,
}  # fmt: skip
_ORDINALS = {
    word: number
    for number, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
        "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth "
        "twentieth".split(),
        1,
    )
}
_CURRENCIES = {
    "$": "$", "€": "€", "£": "£", "¥": "¥", "usd": "$", "dollar": "$", "dollars": "$", "eur": "€",
    "euro": "€", "euros": "€", "gbp": "£", "yen": "¥",
}  # fmt: skip
_PREFIXES = frozenset(["$", "€", "£", "¥", "usd", "eur", "gbp"])
_MEASURES = {
    alias: names[0]
    for names in (
        line.split()
        for line in (
            "km kms kilometre kilometres kilometer kilometers",
            "mile miles mi",
            "m metre metres meter meters",
            "cm centimetre centimetres centimeter centimeters",
            "mm millimetre millimetres millimeter millimeters",
            "ft foot feet",
            "inch inches",
            "kg kilogram kilograms kilo kilos",
            "lb lbs pound pounds",
            "g gram grams",
            "tonne tonnes ton tons",
            "litre litres liter liters",
            "second seconds sec",
            "minute minutes min mins",
            "hour hours hr hrs",
            "day days",
            "week weeks",
            "month months",
            "year years yr yrs",
            "decade decades",
            "century centuries",
            "°c celsius",
            "°f fahrenheit",
        )
    )
    for alias in names
}
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan,february feb,march mar,april apr,may,june jun,july jul,august aug,"
            "september sept sep,october oct,november nov,december dec"
        ).split(","),
        1,
    )
    for name in names.split()
}
_MONTH_NAMES = [name for name in _MONTHS if len(name) > 4 or name in ("may", "june", "july")]
_HEDGES = frozenset("about around approximately nearly almost roughly circa some over".split())
_NEGATIONS = frozenset(
    "not never no none neither nor cannot without nobody nothing nowhere fail unabl".split()
)
_EMPTY_NEGATIONS = frozenset(
    "not never neither cannot without none".split()
)  # checked, not counted
# These may stand for a negation in other words: they excuse one but do not make one.
_HALF_NEGATIONS = frozenset(
    """lack refus deni absenc absent instead rather except rare hard seldom prevent avoid ceas reject
    abandon longer few littl""".split()
)
_PRONOUNS = frozenset("he she it they this these his her its their".split())
_NEGATIVE_PREFIX = re.compile(r"(?:un|in|im|il|ir|non|dis)-?(?=\w{4})")
_OPPOSITES: dict[str, set[str]] = {}
for _pair in (
    "increase decrease,rise fall,rose fell,increase fall,increase decline,rise decline,win lose,"
    "won lost,above below,higher lower,highest lowest,largest smallest,oldest youngest,north south,"
    "east west,northern southern,eastern western,true false,accept reject,allow forbid,allow ban,"
    "allow prohibit,permit prohibit,support oppose,buy sell,bought sold,maximum minimum,male female,"
    "import export,before after,more less,more fewer,upper lower,left right,gain loss,profit loss,"
    "positive negative,inside outside,always never,longest shortest,best worst,arrive depart,"
    "success failure,succeed fail,present absent,with without,hot cold,internal external"
).split(","):
    _one, _other = (stem(word) for word in _pair.split())
    _OPPOSITES.setdefault(_one, set()).add(_other)
    _OPPOSITES.setdefault(_other, set()).add(_one)
# Countries and peoples whose words share no beginning.
_KIN = [
    set(line.split())
    for line in (
        "france french",
        "netherlands dutch holland",
        "germany german",
        "spain spanish",
        "wales welsh",
        "britain british uk england english",
        "us usa america american states",
        "switzerland swiss",
        "denmark danish danes",
        "greece greek",
        "poland polish",
        "ireland irish",
        "turkey turkish",
        "norway norwegian",
    )
]
_TOKEN = re.compile(
    r"\d+(?:[.,]\d+)*|n't|[^\W\d_]+?(?=n't)|[^\W\d_]+(?:'[^\W\d_]+)?|[%$€£¥]|°\s?[CF]"
)
# Capitalised at the head of a sentence because it is the head, or a title rather than a name.
_OPENERS = frozenset(
    """former president king queen prime minister despite according although however since under
    within unlike like following based born founded located known originally currently today later
    early eventually finally initially generally usually typically sometimes often several various
    many most some two three four five six seven eight nine ten yes another both one first second
    third unless whether instead together among along between around across""".split()
)

CHECKS = frozenset(["numbers", "names", "negation"])

Kind = Literal["number", "date", "name"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`coverage` and `score` are 0..1; `clashes` say in plain words what does not agree."""

    status: Status
    coverage: float
    score: float
    clashes: tuple[str, ...]


class _Token(NamedTuple):
    text: str
    low: str
    stem: str
    before: str  # what stands between the token before and this one
    aside: bool  # within parentheses


class _Mention(NamedTuple):
    """A number, date or name: tokens `at..end`."""

    kind: Kind
    at: int
    end: int
    text: str
    value: float = 0.0
    unit: str = ""  # "year", "%", a currency, a measure, or nothing
    hedged: bool = False
    soft: bool = False  # its absence alone proves nothing ("first", "two kinds")
    date: tuple[int, int, int] = (0, 0, 0)  # year, month, day; 0 where not said
    words: tuple[str, ...] = ()


class _Parsed(NamedTuple):
    tokens: tuple[_Token, ...]
    stems: frozenset[str]
    mentions: tuple[_Mention, ...]


# --- reading a text -----------------------------------------------------------------------------


def _plain(text: str) -> str:
    """Without accents and typographic forms; case is kept."""
    text = unicodedata.normalize("NFKD", text.replace("’", "'").replace("‘", "'"))
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(
        r"\b(\d{4})-(\d\d)-(\d\d)\b",
        lambda m: (
            f"{int(m[3])} {_MONTH_NAMES[int(m[2]) - 1].title()} {m[1]}"
            if 1 <= int(m[2]) <= 12
            else m[0]
        ),
        text,
    )
    # U.S. -> US, so that it stays one word.
    return re.sub(r"\b(?:[A-Z]\.\s?){2,}", lambda m: re.sub(r"[.\s]", "", m[0]) + " ", text)


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> _Parsed:
    tokens: list[_Token] = []
    last, depth = 0, 0
    plain = _plain(text)
    for found in _TOKEN.finditer(plain):
        before, low = plain[last : found.start()], found[0].casefold()
        last = found.end()
        if low in ("s", "'s") or (low.endswith("'s") and len(low) > 2):
            low = low[:-2] if len(low) > 2 else low
        depth = max(0, depth + before.count("(") - before.count(")"))
        tokens.append(_Token(found[0], low, stem(low), before, depth > 0))
    dates, taken = _dates(tokens)
    numbers = _numbers(tokens, taken)
    used = taken | {at for one in numbers for at in range(one.at, one.end)}
    names = _names(tokens, used)
    mentions = tuple(sorted([*dates, *numbers, *names], key=lambda one: (one.at, one.kind)))
    return _Parsed(tuple(tokens), frozenset(content_stems(text)), mentions)


def _surface(tokens: Sequence[_Token], at: int, end: int) -> str:
    inner = "".join(token.before + token.text for token in tokens[at + 1 : end])
    return tokens[at].text + inner


def _dates(tokens: Sequence[_Token]) -> tuple[list[_Mention], set[int]]:
    """Dates with a month and a day or a year, in either order."""
    found: list[_Mention] = []
    taken: set[int] = set()

    def number(at: int, low: int, high: int) -> int:
        if 0 <= at < len(tokens) and tokens[at].low.isdigit():
            value = int(tokens[at].low) if len(tokens[at].low) <= 4 else 0
            return value if low <= value <= high else 0
        return 0

    def skip(at: int, words: Iterable[str], step: int) -> int:
        return at + step if 0 <= at < len(tokens) and tokens[at].low in words else at

    for at, token in enumerate(tokens):
        month = _MONTHS.get(token.low, 0)
        if not month or not token.text[0].isupper():
            continue
        start, end, day = at, at + 1, 0
        back = skip(skip(at - 1, ("of",), -1), ("st", "nd", "rd", "th"), -1)
        if (day := number(back, 1, 31)) and back not in taken:
            start = back
        elif day := number(at + 1, 1, 31):
            end = skip(at + 2, ("st", "nd", "rd", "th"), 1)
        else:
            day = 0
        after = skip(end, ("of",), 1)
        if year := number(after, 1000, 2199):
            end = after + 1
        if day or year:
            found.append(
                _Mention("date", start, end, _surface(tokens, start, end), date=(year, month, day))
            )
            taken |= set(range(start, end))
    return found, taken


def _numbers(tokens: Sequence[_Token], taken: set[int]) -> list[_Mention]:
    found: list[_Mention] = []
    at = 0
    while at < len(tokens):
        read = None if at in taken else _number_at(tokens, at)
        if read is None:
            at += 1
            continue
        value, end, soft, year = read
        start, unit = at, ""
        follow = tokens[end].low if end < len(tokens) else ""
        if at and tokens[at - 1].low in _PREFIXES and not (found and found[-1].end >= at):
            unit, start = _CURRENCIES[tokens[at - 1].low], at - 1
            if follow in ("m", "k", "b") and not tokens[end].before:
                value *= {"m": 1e6, "k": 1e3, "b": 1e9}[follow]
                end += 1
        elif follow in ("%", "percent", "percentage") or (
            follow == "per" and end + 1 < len(tokens) and tokens[end + 1].low == "cent"
        ):
            unit, end = "%", end + (2 if follow == "per" else 1)
        elif follow in _CURRENCIES:
            unit, end = _CURRENCIES[follow], end + 1
        elif follow == "k" and not tokens[end].before:
            value, end = value * 1e3, end + 1
        elif follow in _MEASURES:
            unit = _MEASURES[follow]
        elif year:
            unit = "year-date"
            if follow == "s" and not tokens[end].before.strip(" '"):
                unit, end = "decade", end + 1
        # 1990-95 is a range of years.
        elif (
            found
            and found[-1].unit == "year-date"
            and found[-1].end == at
            and re.fullmatch(r"\s*[-–—]+\s*", tokens[at].before)
            and 0 < value < 100
            and tokens[at].low.isdigit()
        ):
            value, unit = found[-1].value // 100 * 100 + value, "year-date"
        hedged = start > 0 and tokens[start - 1].low in _HEDGES
        found.append(
            _Mention("number", start, end, _surface(tokens, start, end), value, unit, hedged, soft)
        )
        at = end
    return found


def _number_at(tokens: Sequence[_Token], at: int) -> tuple[float, int, bool, bool] | None:
    """The number that begins at token `at`: value, end, soft, whether it may be a year."""
    low = tokens[at].low
    if low[0].isdigit():
        digits = re.sub(r",(?=\d{3}(?:\D|$))", "", low).replace(",", ".")
        if digits.count(".") > 1:
            digits = digits.replace(".", "", digits.count(".") - 1)
        value, end = float(digits), at + 1
        year = low.isdigit() and len(low) == 4 and 1000 <= value < 2200
        if end < len(tokens) and tokens[end].low in ("st", "nd", "rd", "th"):
            return value, end + 1, False, False
        scaled = False
        while end < len(tokens) and tokens[end].low in _SCALES:
            value, end, scaled = value * _SCALES[tokens[end].low], end + 1, True
        return value, end, False, year and not scaled
    if low in _ORDINALS:
        return float(_ORDINALS[low]), at + 1, True, False
    return _number_in_words(tokens, at)


def _number_in_words(tokens: Sequence[_Token], at: int) -> tuple[float, int, bool, bool] | None:
    total, current, end, parts = 0.0, 0.0, at, 0
    while end < len(tokens):
        low = tokens[end].low
        if end > at and re.search(r"[,;:()]", tokens[end].before):
            break
        if low in _UNITS or low in _TENS:
            value = float(_UNITS.get(low, _TENS.get(low, 0)))
            if parts and current >= 10 and value >= 10 and current < 100:
                current *= 100  # nineteen ninety-four
            elif parts and current and (current % 10 or current < 20) and current < 100:
                break
            current += value
        elif low in _SCALES and (parts or _opens_scale(tokens, end)):
            current = (current or 1.0) * _SCALES[low]
            if _SCALES[low] >= 1e3:
                total, current = total + current, 0.0
        elif low in ("a", "an") and not parts and _is_scale(tokens, end + 1):
            current = 0.0
        elif (
            low == "and" and parts and _is_small(tokens, end + 1) and tokens[end - 1].low in _SCALES
        ):
            pass
        elif low in _ORDINALS and parts and tokens[end].before.strip(" ") == "-":
            return current + _ORDINALS[low], end + 1, False, False  # twenty-first
        else:
            break
        parts, end = parts + 1, end + 1
    value = total + current
    if not parts or (parts == 1 and tokens[at].low in ("one", "a", "an")):
        return None  # not "one": "one of the allies" counts nothing
    if value == 0 and tokens[at].low != "zero":
        return None
    small = parts == 1 and value <= 12
    return value, end, small, end - at >= 2 and 1000 <= value < 2200 and value % 100 != 0


def _is_scale(tokens: Sequence[_Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].low in _SCALES


def _opens_scale(tokens: Sequence[_Token], at: int) -> bool:
    """A scale without a number ("millions of") counts nothing."""
    return at > 0 and tokens[at - 1].low in ("a", "an")


def _is_small(tokens: Sequence[_Token], at: int) -> bool:
    return at < len(tokens) and (tokens[at].low in _UNITS or tokens[at].low in _TENS)


def _names(tokens: Sequence[_Token], used: set[int]) -> list[_Mention]:
    """Runs of capitalised words. The first word of a text is one only beside others."""
    capital = [
        at not in used
        and token.text[0].isupper()
        and token.low not in STOP_WORDS
        and (len(token.text) > 1)
        for at, token in enumerate(tokens)
    ]
    found: list[_Mention] = []
    at = 0
    while at < len(tokens):
        if not capital[at]:
            at += 1
            continue
        end = at + 1
        while end < len(tokens) and capital[end] and re.fullmatch(r"[\s.-]*", tokens[end].before):
            end += 1
        start = at
        if _opens(tokens, at) and (tokens[at].low in _OPENERS or tokens[at].low.endswith("ly")):
            start += 1
        if start < end:
            soft = _opens(tokens, at) and end - at == 1
            again = soft and any(
                capital[other] and tokens[other].low == tokens[at].low
                for other in range(at + 1, len(tokens))
            )
            words = tuple(token.low for token in tokens[start:end])
            found.append(
                _Mention(
                    "name", start, end, _surface(tokens, start, end), soft=soft and not again,
                    words=words,
                )
            )  # fmt: skip
        at = end
    return found


def _opens(tokens: Sequence[_Token], at: int) -> bool:
    return at == 0 or bool(re.search(r"[:.!?]\s+[\"“(']*$|[-–*•]\s+$|^[\"“]|``", tokens[at].before))


def term_weights(text: str) -> dict[str, float]:
    """Content stems with the weight that each has as evidence: numbers and names count double."""
    names = {
        part
        for word in re.findall(r"(?<=[\w,;:)] )[A-Z][\w-]+", text)
        for part in content_stems(word)
    }
    return {term: 2.0 if term[0].isdigit() or term in names else 1.0 for term in terms(text)}


@functools.lru_cache(maxsize=8192)
def terms(text: str) -> frozenset[str]:
    """Content stems; small numbers in words as digits."""
    whole = re.sub(r"(?i)\s?n['’]t\b", " not", text)
    return frozenset(
        str(_UNITS[one]) if 1 < _UNITS.get(one, 0) <= 12 else one
        for one in content_stems(whole)
        if one not in _EMPTY_NEGATIONS
    )


# --- checking -----------------------------------------------------------------------------------


def verify(
    sentence: str,
    sources: Sequence[str],
    question: str = "",
    contexts: Sequence[str] = (),
    similarity: float | None = None,
    *,
    checks: frozenset[str] = CHECKS,
) -> Verdict:
    """Check `sentence` against the source sentences it cites.

    `contexts` are the sources' titles and headings, `question` what was asked: both may supply names,
    and say what a short answer is about. `similarity` is the cosine of the sentence to its sources.
    `checks` leaves some out, to measure what each is worth.
    """
    sentence, question = _plain(sentence), _plain(question)
    sources, contexts = [[_plain(one) for one in texts] for texts in (sources, contexts)]
    weights = term_weights(sentence)
    if not weights or not sources:
        return Verdict("unsupported", 0.0, 0.0, ())
    claim = _parse(sentence)
    texts = [_parse(source) for source in dict.fromkeys(sources)]
    around = [_parse(context) for context in dict.fromkeys(contexts) if context]
    asked = _parse(question)
    held = frozenset().union(*(terms(text) for text in (*sources, *contexts)))
    kinds = {"number", "date"} if "numbers" in checks else set()
    kinds |= {"name"} if "names" in checks else set()
    mentions = [one for one in claim.mentions if one.kind in kinds]
    clashes, fits, agreed = _mention_clashes(mentions, claim, texts, around, asked)
    held |= agreed
    coverage = _share(weights, held)
    if "negation" in checks:
        opposed, denied = _opposites(claim, texts)
        clashes += _negation_clashes(claim, texts) + opposed
        held |= denied
        coverage = _share(weights, held)
    score = _score(weights, held, terms(question), fits, similarity)
    status: Status = "unsupported"
    if not clashes:
        eased = max(coverage, _share(_eased(weights, held, terms(question)), held))
        doubt = min(fits, default=0.0) < -_DOUBT
        if eased >= _PARTIAL:
            status = "supported" if eased >= _SUPPORTED and not doubt else "partial"
    return Verdict(
        status, round(coverage, 4), round(score * _CLASH ** min(2, len(clashes)), 4),
        tuple(dict.fromkeys(clashes)),
    )  # fmt: skip


def _share(weights: dict[str, float], held: frozenset[str]) -> float:
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in held) / total if total else 0.0


def _eased(
    weights: dict[str, float], held: frozenset[str], asked: frozenset[str]
) -> dict[str, float]:
    return {
        term: weight * _ASKED if term in asked and term not in held else weight
        for term, weight in weights.items()
    }


def _score(
    weights: dict[str, float],
    held: frozenset[str],
    asked: frozenset[str],
    fits: list[float],
    similarity: float | None,
) -> float:
    score = _share(_eased(weights, held, asked), held)
    gap = min(fits, default=0.0)
    score *= (1 + 0.2 * gap) * (_DOUBTED if gap < -_DOUBT else 1.0)
    if similarity is not None:
        score = 0.7 * score + 0.3 * max(0.0, similarity)
    return score


def _mention_clashes(
    mentions: Sequence[_Mention],
    claim: _Parsed,
    texts: Sequence[_Parsed],
    around: Sequence[_Parsed],
    asked: _Parsed,
) -> tuple[list[str], list[float], frozenset[str]]:
    """What the sources do not hold or place elsewhere; how well each mention sits (0, or less where
    another fits better); and the terms of those that agree, however they are written."""
    clashes: list[str] = []
    agreed: set[str] = set()
    fits: list[float] = []
    for mention in mentions:
        here = [(text, other) for text in texts for other in text.mentions if _same(mention, other)]
        if mention.kind == "name":
            here = _name_places(mention, texts)
        said = [*around, asked]
        elsewhere = not here and (
            not _missing_words(mention, [*texts, *said])
            if mention.kind == "name"
            else any(_same(mention, other) for text in said for other in text.mentions)
        )
        rival = _best_rival(mention, claim, texts, asked, here)
        if not here and not elsewhere:
            if not mention.soft or (rival and rival[0] >= _TITLE and mention.kind != "name"):
                clashes.append(f"the {mention.kind} {mention.text} is not in the source")
            else:
                fits.append(-_DOUBT)
            continue
        agreed |= terms(mention.text)
        own = max(
            (_fit(claim, mention, text, other, asked) for text, other in here), default=_TITLE
        )
        if mention.kind == "name" and not _adjacent(mention, [*texts, *said]):
            own -= _APART
        gap = min(0.0, own - rival[0]) if rival else 0.0
        # A name may stand in another sentence than what is said of it: "She left him."
        apart = mention.kind == "name" and rival and all(text is not rival[2] for text, _ in here)
        if rival and apart and any(_leans(*pair) for pair in [*here, (rival[2], rival[1])]):
            gap /= 2
        fits.append(gap)
        if rival and gap < -_MISPLACED and not (apart and here):
            clashes.append(f"the source says {rival[1].text} here, not {mention.text}")
    return clashes, fits, frozenset(agreed)


def _same(one: _Mention, other: _Mention) -> bool:
    """Whether a source's mention `other` says what the sentence's `one` says."""
    if one.kind == "name" or other.kind == "name":
        return one.kind == other.kind and _akin(one.words, other.words)
    if one.kind == "date" and other.kind == "date":
        # All that the sentence says must be said; a source may say more.
        return all(a == b for a, b in zip(one.date, other.date, strict=True) if a)
    if one.kind == "date":
        return False
    if other.kind == "date":
        return one.unit in ("year-date", "") and one.value == other.date[0] and one.value > 0
    if one.unit == "decade" or other.unit == "decade":
        return one.value == other.value and one.unit == other.unit
    # "About 1,900" may stand for 1,894, but not for 1,910 or the other way round.
    rounded = one.hedged and other.unit != "year-date" and _digits(one.value) < _digits(other.value)
    near = 0.05 if rounded else 1e-9
    if abs(one.value - other.value) > near * max(abs(one.value), abs(other.value)):
        return False
    if {one.unit, other.unit} <= {"", "year-date"}:
        return True
    return one.unit == other.unit or one.unit == "" or (other.unit == "" and one.unit in _MEASURED)


def _digits(value: float) -> int:
    """Significant digits."""
    return len(f"{value:.10g}".replace(".", "").split("e")[0].strip("0"))


_MEASURED = frozenset(_MEASURES.values())


@functools.lru_cache(maxsize=50_000)
def _kin(one: str, other: str) -> bool:
    """Scotland and Scottish, Merkel and Merkels."""
    if one == other or stem(one) == stem(other):
        return True
    if any(one in group and other in group for group in _KIN):
        return True
    shared = len(_common(one, other))
    ends = ("ish", "an", "ians", "ian", "ans", "ese", "ean", "i", "ic")
    return (
        shared >= 4
        and shared >= min(len(one), len(other)) - 4
        and (one.endswith(ends) or other.endswith(ends))
    )


def _common(one: str, other: str) -> str:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(a for a, _ in same)


def _akin(one: Sequence[str], other: Sequence[str]) -> bool:
    return any(_kin(a, b) for a in one for b in other)


def _missing_words(name: _Mention, texts: Sequence[_Parsed]) -> list[str]:
    known = {token.low for text in texts for token in text.tokens}
    known |= {token.stem for text in texts for token in text.tokens}
    known |= {a.low + b.low for text in texts for a, b in itertools.pairwise(text.tokens)}
    missing = [
        word
        for word in name.words
        if word not in known and stem(word) not in known and not any(_kin(word, k) for k in known)
    ]
    if not missing:
        return []
    initials = "".join(word[0] for word in name.words)
    if len(initials) > 1 and initials in known:
        return []  # spelled out here, an acronym there
    left = []
    for word in missing:
        spelled = 2 <= len(word) <= 7 and any(_spells(word, text) for text in texts)
        if not spelled:
            left.append(word)
    return left


def _adjacent(name: _Mention, texts: Sequence[_Parsed]) -> bool:
    """Whether each two words of a name stand together somewhere."""
    wanted = {(stem(a), stem(b)) for a, b in itertools.pairwise(name.words)}
    if wanted:
        for text in texts:
            wanted -= set(itertools.pairwise(token.stem for token in text.tokens))
    return not wanted


def _spells(acronym: str, text: _Parsed) -> bool:
    """Whether consecutive words of a text, small ones skipped or not, begin with these letters."""
    full = "".join(token.low[0] for token in text.tokens)
    content = "".join(t.low[0] for t in text.tokens if t.low not in STOP_WORDS and t.low != "'s")
    return acronym in full or acronym in content


def _name_places(name: _Mention, texts: Sequence[_Parsed]) -> list[tuple[_Parsed, _Mention]]:
    """Where a source mentions the name; nothing unless the sources together hold all its words."""
    if _missing_words(name, texts):
        return []
    return [(text, other) for text in texts for other in text.mentions if _same(name, other)]


def _best_rival(
    mention: _Mention,
    claim: _Parsed,
    texts: Sequence[_Parsed],
    asked: _Parsed,
    here: Sequence[tuple[_Parsed, _Mention]],
) -> tuple[float, _Mention, _Parsed] | None:
    """The other value of the same kind that fits the mention's place best, and its text.

    What stands in one list with the mention is no rival: "Ann, Bo and Cy signed".
    """
    found = []
    for text in texts:
        for other in text.mentions:
            if not _comparable(mention, other) or _says(mention, other):
                continue
            if any(text is own and _listed(text, other, one) for own, one in here):
                continue
            fit = _fit(claim, mention, text, other, asked)
            if any(_says(said, other) for said in claim.mentions):
                fit -= _SAID
            found.append((fit, other, text))
    return max(found, key=lambda pair: pair[0], default=None)


def _listed(text: _Parsed, one: _Mention, other: _Mention) -> bool:
    """Whether nothing but names and "and" stands between two names."""
    if one.kind != "name" or other.kind != "name":
        return False
    between = range(min(one.end, other.end), max(one.at, other.at))
    named = {at for name in text.mentions if name.kind == "name" for at in range(name.at, name.end)}
    return all(at in named or text.tokens[at].low in ("and", "or", "the") for at in between)


def _leans(text: _Parsed, mention: _Mention) -> bool:
    """Whether a pronoun opens the text or stands close by: what it means is in another sentence."""
    near = text.tokens[max(0, mention.at - 4) : mention.at]
    return any(token.low in _PRONOUNS for token in (*text.tokens[:3], *near))


def _says(said: _Mention, other: _Mention) -> bool:
    """Whether the sentence has the source's mention already, or a part of it."""
    if said.kind == "name" == other.kind:
        return set(said.words) <= set(other.words) or set(other.words) <= set(said.words)
    return _same(said, other) or _same(other, said)


def _comparable(one: _Mention, other: _Mention) -> bool:
    years = [m.kind == "date" or m.unit == "year-date" for m in (one, other)]
    if any(years):
        return all(years)
    return one.kind == other.kind and (one.kind == "name" or one.unit == other.unit)


def _fit(claim: _Parsed, one: _Mention, text: _Parsed, other: _Mention, asked: _Parsed) -> float:
    """How alike the surroundings of two mentions are, 0..1: near words, and the rest of the text."""
    window = _window(claim, one, _NEAR)
    there = _window(text, other, 2 * _NEAR)
    got = total = 0.0
    for word, (side, distance) in window.items():
        weight = (0.25 if word in STOP_WORDS else 1.0) / (1 + 0.25 * (distance - 1))
        total += weight
        if word in there:
            other_side, far = there[word]
            got += weight * (1.0 if side == other_side else 0.7) * (1 - 0.03 * (far - 1))
    near = got / total if total else 0.0
    run = sum(_run(claim, one, text, other, side) for side in (-1, 1))
    own = {token.stem for token in claim.tokens if token.low not in STOP_WORDS}
    own -= {token.stem for token in claim.tokens[one.at : one.end]}
    if len(own) < 3:
        own |= asked.stems
    whole = len(own & text.stems) / len(own) if own else 0.0
    return 0.45 * near + 0.3 * whole + 0.25 * min(1.0, run / 4) if len(window) > 2 else whole


def _run(claim: _Parsed, one: _Mention, text: _Parsed, other: _Mention, side: int) -> int:
    """How many words next to two mentions are the same, on one side; an end of the text is a word."""
    here, there = _beside(claim, one, side, 4), _beside(text, other, side, 4)
    length = 0
    for a, b in zip(here, there, strict=False):
        if a.stem != b.stem:
            return length
        length += 1
    return min(4, length + (len(here) == len(there) < 4))


def _beside(text: _Parsed, mention: _Mention, side: int, size: int) -> list[_Token]:
    """The tokens on one side of a mention, nearest first; asides are skipped unless it is in one."""
    tokens = text.tokens
    order = range(mention.at - 1, -1, -1) if side < 0 else range(mention.end, len(tokens))
    deep = tokens[mention.at].aside
    return list(itertools.islice((tokens[n] for n in order if deep or not tokens[n].aside), size))


def _window(text: _Parsed, mention: _Mention, size: int) -> dict[str, tuple[int, int]]:
    """Stems around a mention -> (side, distance in words), nearest first."""
    sides = ((side, _beside(text, mention, side, size)) for side in (-1, 1))
    rows = [(n, side, token.stem) for side, row in sides for n, token in enumerate(row, 1)]
    found: dict[str, tuple[int, int]] = {}
    for distance, side, word in sorted(rows):
        found.setdefault(word, (side, distance))
    return found


# --- negation -----------------------------------------------------------------------------------


def _negations(text: _Parsed) -> list[int]:
    return [at for at in range(len(text.tokens)) if _negates(text.tokens, at)]


def _negates(tokens: Sequence[_Token], at: int) -> bool:
    token = tokens[at]
    following = tokens[at + 1].low if at + 1 < len(tokens) else ""
    if token.low == "n't":
        return True
    if token.stem == "fail":
        return following == "to"
    if token.low == "not" and following in ("only", "just", "merely", "necessarily"):
        return False
    if token.low == "not" and [t.low for t in tokens[at + 1 : at + 3]] == ["the", "same"]:
        return False
    if token.low == "no" and (following[:1].isdigit() or following in ("doubt", "matter")):
        return False
    return token.stem in _NEGATIONS or token.low in _NEGATIONS


def _denied(text: _Parsed, at: int) -> tuple[list[str], list[str]]:
    """The content stems before (at most two) and after (at most three) a negation."""

    found: tuple[list[str], list[str]] = ([], [])
    for stems, side, most in ((found[0], -1, 2), (found[1], 1, 3)):
        reach = range(at + side, at + 9 * side, side)
        for n in reach:
            if not 0 <= n < len(text.tokens) or len(stems) == most:
                break
            token = text.tokens[n]
            if stems and re.search(r"[,;:.()]", text.tokens[n + (side < 0)].before):
                break
            if (
                token.low not in STOP_WORDS
                and token.low not in _NEGATIONS
                and token.low[0].isalnum()
            ):
                stems.append(token.stem)
    return found


def _place(stems: set[str], first: set[str], text: _Parsed) -> tuple[int, int, int] | None:
    """The tightest place of a text with the most of `stems`, at least one of `first`: how many of
    them, and from which token to which."""
    at = [n for n, token in enumerate(text.tokens) if token.stem in stems]
    best: tuple[int, int, int] | None = None
    for n, start in enumerate(at):
        held: set[str] = set()
        for end in at[n:]:
            if end - start > _REACH:
                break
            held.add(text.tokens[end].stem)
            if first and not held & first:
                continue
            if best is None or (len(held), start - end) > (best[0], best[1] - best[2]):
                best = (len(held), start, end)
    return best


def _negation_clashes(claim: _Parsed, texts: Sequence[_Parsed]) -> list[str]:
    """A negation has to stand on both sides, or on neither, at the words that it denies."""
    clashes: list[str] = []
    for at in _negations(claim):
        if _unmatched(claim, at, texts, 0.4):
            clashes.append("the source does not say “not” here")
    for text in texts:
        for at in _negations(text):
            others = [one for one in texts if one is not text]
            if _unmatched(text, at, [claim], 0.65) and not _unmatched(text, at, others, 0.65):
                clashes.append("the source says “not” here")
    return clashes


def _unmatched(text: _Parsed, at: int, others: Sequence[_Parsed], share: float) -> bool:
    """Whether `others` say what the negation at token `at` denies (this share of its words at
    least), and do not deny it."""
    before, after = _denied(text, at)
    stems, first = {*before, *after}, set(after[:2]) or set(before)
    if not first:
        return False
    places = [(place, other) for other in others if (place := _place(stems, first, other))]
    most = max((place[0] for place, _ in places), default=0)
    if most < min(len(stems), 2) or most < share * len(stems):
        return False
    own = {token.stem for token in text.tokens}
    return not any(
        _excused(other, start, end, first, own)
        for (count, start, end), other in places
        if count == most
    )


def _excused(text: _Parsed, start: int, end: int, first: set[str], own: set[str]) -> bool:
    """Whether a negation of `first`, or what may stand for one, is near tokens `start..end`.

    What both texts say (`own`) can't stand for a negation in one of them.
    """
    for at in range(max(0, start - 4), min(len(text.tokens), end + 3)):
        if _negates(text.tokens, at):
            before, after = _denied(text, at)
            if first & {*before, *after}:
                return True
        word = text.tokens[at]
        if word.stem in _HALF_NEGATIONS - own:
            return True
        if word.stem not in own and (found := _NEGATIVE_PREFIX.match(word.low)):
            if stem(word.low[found.end() :]) in first:
                return True
    return False


def _opposites(claim: _Parsed, texts: Sequence[_Parsed]) -> tuple[list[str], frozenset[str]]:
    """ "rose" where the sources say "fell", "lawful" where they say "unlawful"; and the words that
    say the same with a negation ("not lawful")."""
    held = {token.stem: token.low for text in texts for token in text.tokens}
    own = {token.stem for token in claim.tokens}
    denied = {
        word
        for text in (claim, *texts)
        for at in _negations(text)
        for words in _denied(text, at)
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
    found = _NEGATIVE_PREFIX.match(one)
    return found is not None and stem(one[found.end() :]) == stem(other)
