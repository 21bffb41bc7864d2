"""What a question asks for, and whether an answer has that shape. Pure; English questions.

Knows words, not meaning: a "when" wants a date, a "how many" a number. It judges leniently, and a
question in another language or without a plain form is "other", which any answer fits.
"""

from __future__ import annotations

import re
from typing import Literal

from rag.followup import fill, topic
from rag.phrases import AUX, WH
from rag.words import content_words, fold

__all__ = ["Kind", "fits", "kind", "missing_grain", "parts"]

Kind = Literal[
    "when",
    "who",
    "where",
    "count",
    "amount",
    "yes_no",
    "list",
    "why",
    "how",
    "define",
    "summary",
    "other",
]

_POLITE = re.compile(
    r"\s*(?:(?:please|and|so|but|ok(?:ay)?|well|hello|hi|thanks|thank you)[\s,.!]+)*"
    r"(?:(?:can|could|would|will) you (?:please )?(?:tell|show|give) (?:me|us)(?: about)?\b\s*|"
    r"(?:do|did) you (?:happen to )?know\b(?! of| any)\s*|(?:please )?(?:tell|show) (?:me|us)\b\s*|"
    r"i(?:'d| would)? (?:want|like|need|am interested|wish) to (?:know|learn|find "
    r"out)\b\s*)?(?:please\b\s*)?",
    re.IGNORECASE,
)
_PREP = "in|on|at|by|from|to|for|of|with|under|since|until|till|during|near|about|through|into"
_PLURAL = (
    rf"(?:(?!(?:{AUX}|to|our|its|his|this)\b)[\w-]+\s+){{0,2}}?(?!\w*(?:ss|us|"
    rf"is)\b)(?!(?:does|has|was)\b)\w{{3,}}s\b"
)
_UNIT = "year|date|day|month|week|weekday|century|decade|era|period|season|point in time|time"
_PLACE = (
    "city|country|place|town|village|state|region|continent|county|province|location|"
    "building|street"
)

# In this order: the first that matches at the head of the question says what it asks for.
_KINDS: tuple[tuple[Kind, str], ...] = (
    (
        "summary",
        r"(?:summari[sz]e|outline|sum up|tl;?dr|(?:give|write|provide)\b.{0,20}\b(?:summary|"
        r"overview)|"
        r"(?:a |an )?(?:short |brief )?(?:summary|overview) of|what (?:is|are|was|"
        r"were)\b.{1,60}\babout$|"
        r"what (?:is|are|was|were) the (?:main|key) (?:points?|ideas?|message|findings))",
    ),
    ("count", r"(?:how many\b|what (?:is|was|were) the (?:total |exact )*number of)"),
    (
        "when",
        rf"(?:when\b|(?:what|which) (?:exact |specific |calendar )?(?:{_UNIT})\b(?! (?:zone|"
        rf"limit))|"
        rf"what (?:is|was) the (?:exact )?(?:date|year|day|month|time) (?!zone|limit))",
    ),
    (
        "amount",
        r"(?:how (?:much|long|old|far|tall|high|deep|big|large|fast|heavy|wide|often|late|soon|"
        r"hot|cold)\b|"
        r"(?:what|which) (?:percentage|percent|proportion|share|fraction|amount|price|sum)\b|"
        r"what (?:is|was|were|are) the (?:\w+ ){0,2}(?:amount|price|cost|costs|budget|"
        r"population|percentage|"
        r"proportion|length|height|width|depth|distance|area|speed|age|temperature|salary|fee|"
        r"rate|total)\b)",
    ),
    (
        "list",
        rf"(?:(?:list|name|enumerate)\b|what (?:are|were)\b|who (?:are|were)\b|(?:which|what) "
        rf"{_PLURAL})",
    ),
    ("who", r"(?:(?:who|whom|whose)\b|(?:what|which) (?:person|man|woman|people)\b|what(?: is|"
    r"'s|s) the name of the (?:person|man|woman)\b)"),
    ("where", rf"(?:where\b|(?:{_PREP}) (?:what|which) (?:{_PLACE})\b|(?:what|which) "
    rf"(?:{_PLACE})\b)"),
    ("why", r"(?:why\b|how come\b|for what reasons?\b|what (?:is|was|were|are) the reasons?\b|"
    r"what (?:caused|made|led to)\b)"),
    ("define", r"(?:define\b|what do(?:es)? .{1,60}\bmean\b|what(?: is|'s|s) (?:the "
    r")?(?:meaning|definition) of|what is meant by)"),
    ("define", r"what(?: is|'s| was)(?: an?)? (?!it\b|the |his |her |its |their |my |your |our |"
    r"this |that )[\w-]+(?: (?!of\b|for\b|in\b)[\w-]+){0,3}$"),
    ("how", r"how\b"),
    ("yes_no", rf"(?:{AUX}|isn't|aren't|wasn't|don't|doesn't|didn't|can't|won't|hasn't|"
    rf"haven't)\b"),
)  # fmt: skip
_HEADS = tuple(
    (name, re.compile(rf"(?:(?:{_PREP}) )?{pattern}", re.IGNORECASE)) for name, pattern in _KINDS
)
# "Frederick was born in what year?"
_TAIL: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("when", re.compile(rf"\b(?:when|(?:what|which) (?:{_UNIT}))$", re.IGNORECASE)),
    ("where", re.compile(rf"\b(?:where|(?:what|which) (?:{_PLACE}))$", re.IGNORECASE)),
    ("who", re.compile(r"\bwh(?:o|om)$", re.IGNORECASE)),
    ("count", re.compile(r"\bhow many\b", re.IGNORECASE)),
    ("amount", re.compile(r"\bhow (?:much|long)\b|\bwhat percentage\b", re.IGNORECASE)),
)


def kind(question: str) -> Kind:
    """What a question asks for; "other" where its words don't say."""
    bare = re.sub(r"\s+", " ", question[:500]).strip().rstrip(" ?.!")
    bare = bare[_matched(_POLITE, bare) :]
    if re.match(r"what is the [A-Z]\w*(?: [A-Z]\w*){0,4}$", bare, re.IGNORECASE) and re.search(
        r" the [A-Z]", bare
    ):
        return "define"
    late = re.match(
        r"(?:when|where|if|while|after|before)\b.+?,\s+(?=(?:what|which|who|how|why)\b)", bare, re.I
    )
    bare = bare[late.end() :] if late else bare
    for clause in (bare, *re.findall(r",\s+(?=(\w.*))", bare)[:3]):
        for name, head in _HEADS:
            if head.match(clause):
                return name
    return next((name for name, tail in _TAIL if tail.search(bare)), "other")


def _matched(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


_JOINED_WH = re.compile(
    r"(?P<all>(?:when|where|why|how|by whom)(?:,? and (?:when|where|why|how|by whom|with whom)"
    r"|,\s(?:when|where|why|how|by whom)\b)+)\s+(?P<rest>(?:" + AUX + r")\s.+)",
    re.IGNORECASE | re.DOTALL,
)
_SPLIT = re.compile(
    r"(?:\s*[,;]\s*(?:and|but)?|\s+(?:and|but))\s+(?:also\s+)?(?="
    rf"(?:(?:{_PREP})\s+)?(?:"
    rf"(?:when|where|why|how|whom)\s+(?:(?:{AUX})\b|(?:many|much|long|old|far|often)\b)"
    rf"|(?:who|what)\s+(?!(?:and|or|to)\b)\w+|(?:which|whose|what)\s+\w+\s+\w+)"
    rf"|(?:{AUX})\s+(?:he|she|it|they|there)\s+\w+)",
    re.IGNORECASE,
)
_BARE_WH = re.compile(
    r"(?:,\s*(?:and\s+)?|\s+and\s+)(?P<wh>(?:by |with |for )?(?:when|where|why|how|"
    r"whom))\s*\?*\s*$",
    re.IGNORECASE,
)
_ADVERBIAL = re.compile(rf"(?:when|where|why|how|in (?:what|which) \w+)\s+(?:{AUX})\b", re.I)
_CONTEXT = re.compile(
    r"(?:in|during|under|according to|at|on|after|before|for|within|since|"
    r"between)\s[^,?]{2,60},\s+",
    re.IGNORECASE,
)
_ASKS = re.compile(
    rf"(?:(?:{_PREP})\s+)?(?:{WH}|{AUX})\b|(?:list|name|tell|define|describe)\b", re.I
)


def parts(question: str) -> tuple[str, ...]:
    """A compound question as up to four that each stand alone; any other as it is."""
    text = question.strip()
    if not text or len(text) > 600:
        return (question,)
    asked = [part.strip() for part in re.findall(r"[^?]+(?:\?+|$)", text) if re.search(r"\w", part)]
    found = [piece for part in asked for piece in _split(part)]
    if len(found) > 4:
        found = [*found[:3], " ".join(found[3:])]
    filled = _filled(found) if len(found) > 1 else None
    return tuple(filled) if filled else (question,)


def _split(question: str) -> list[str]:
    """One sentence's questions, their pronouns not yet filled in."""
    context = _CONTEXT.match(question)
    lead = context.group() if context else ""
    body = question[len(lead) :]
    if not _ASKS.match(body[_matched(_POLITE, body) :]):
        return [question]
    joined = _JOINED_WH.match(body)
    if joined:
        heads = re.split(r",? and |, ", joined["all"], flags=re.IGNORECASE)
        return [_sentence(f"{lead}{head.lower()} {joined['rest']}") for head in heads]
    bare = _BARE_WH.search(body)
    if bare and _ADVERBIAL.match(first := body[: bare.start()]):
        rest = re.sub(r"^.*?\s(?=(?:" + AUX + r")\b)", "", first, count=1, flags=re.IGNORECASE)
        return [_sentence(lead + first), _sentence(f"{lead}{bare['wh'].lower()} {rest}")]
    if re.match(rf"(?:when|where)\s+(?!(?:{AUX})\b)", body, re.IGNORECASE):
        return [question]  # "When the war ended, who …": one question with its circumstances
    pieces = _SPLIT.split(body)
    if len(pieces) > 1 and not re.search(
        r"\b(?:and|but)\s+(?:also\s+)?" + re.escape(pieces[-1]), body
    ):
        return [question]
    if any(not _ASKS.match(p[_matched(_POLITE, p) :]) or len(p.split()) < 3 for p in pieces):
        return [question]
    return [_sentence(lead + piece) for piece in pieces] if len(pieces) > 1 else [question]


def _sentence(text: str) -> str:
    text = text.strip(" ,;?.")
    return f"{text[:1].upper()}{text[1:]}?"


def _filled(found: list[str]) -> list[str] | None:
    """Later questions with what they point to in the first filled in; None where unclear."""
    about = topic(found[0])
    done = [found[0]]
    for later in found[1:]:
        stands = fill(later, about)
        if stands is None or not content_words(stands):
            return None
        done.append(_sentence(stands) if stands != later else later)
    return done


_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b"
)
_DAY = rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?\b)"
_NUMERIC_DATE = r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
_YEAR = r"\b(?:1\d|20)\d\d\b"
_WEEKDAY = r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"
_CLOCK = r"\b\d{1,2}[:.h]\d\d\b|\b\d{1,2} ?(?:a\.?m|p\.?m|o'clock)\b|\b(?:noon|midnight)\b"
_VAGUE = (
    r"\b(?:about|around|roughly|approximately|nearly|almost|over|more than|at least|"
    r"several|some|up to)\b"
)


def missing_grain(question: str, answer: str) -> str | None:
    """What was asked more finely than it is answered ("the day and month"), else None."""
    asked, said = fold(question[:500]), fold(answer[:2000])

    def has(pattern: str, text: str = said) -> bool:
        return bool(re.search(pattern, text))

    if not has(r"\d|\w{3}"):
        return None
    dated = has(rf"{_YEAR}|{_NUMERIC_DATE}|\b{_MONTH}|\bcentury\b|\b\d{{4}}s\b")
    full = has(f"{_DAY}|{_NUMERIC_DATE}")
    if has(r"\b(?:what|which) (?:day of the week|weekday)\b", asked):
        return None if has(_WEEKDAY) or not dated else "the day of the week"
    if has(r"\b(?:what|which)(?: exact)? time\b(?! (?:of|period|frame|span|zone|limit))", asked):
        return None if has(_CLOCK) or not (dated or has(_WEEKDAY)) else "the time of day"
    if has(r"\bwhen exactly\b|\bexactly when\b|\b(?:what|which)(?: is| was)?(?: the)?"
           r"(?: (?:exact|specific|precise|full))? (?:date|day and month|day,? month)\b"
           r"|\b(?:on|by) (?:what|which)(?: exact| specific)? day\b", asked) and dated:  # fmt: skip
        if full or has(_WEEKDAY):
            return None
        return "the day" if has(rf"\b{_MONTH}") else "the day and month"
    if has(r"\b(?:what|which) (?:year and )?month\b", asked) and dated:
        if has(rf"\b{_MONTH}|{_NUMERIC_DATE}"):
            wants_year = has(r"\bmonth and year\b|\byear and month\b", asked)
            return "the year" if wants_year and not has(f"{_YEAR}|{_NUMERIC_DATE}") else None
        return "the month"
    if has(r"\bexact(?:ly)? (?:number|amount|figure|sum|how m)|\bhow m\w+ exactly\b", asked):
        return (
            "the exact figure" if has(rf"{_VAGUE} (?:\S+ )?\S*\d|\bseveral\b|\bdozens\b") else None
        )
    return None


_NUMBER = (
    r"\d|\b(?:zero|none|no|nobody|nothing|one|two|three|four|five|six|seven|eight|nine|ten|"
    r"eleven|twelve|"
    r"\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|"
    r"billions?|trillions?|dozens?|several|few|many|both|half|a third|quarter|majority|minority|"
    r"single|once|twice|pair|"
    r"couple|all|any|every|each|most|multiple|numerous|various|an?|unlimited|first|second)\b"
)
_TIME = (
    rf"{_NUMBER}|{_WEEKDAY}|\b{_MONTH}|\b(?:century|centuries|decades?|years?|months?|weeks?|"
    rf"days?|hours?|"
    r"minutes?|seconds?|morning|noon|afternoon|evening|night|midnight|spring|summer|autumn|fall|"
    r"winter|today|now|"
    r"yesterday|tomorrow|never|always|before|after|when|while|during|since|until|once|era|age|"
    r"ages|epoch|"
    r"period|time|times|war|reign|daily|weekly|monthly|annually|early|late|later|recently|"
    r"currently|still|"
    r"easter|christmas|ramadan|\w+mas|if|as soon|upon|dynasty|renaissance|revolution|\w+hood|"
    r"dawn|dusk|"
    r"soon|immediately|beginning|end|birth|death|season|semester|term|prehistor\w+|antiquity|"
    r"medieval)\b"
)
_EXTENT = (
    r"\b(?:free|whole|entire|little|lot|much|\w+ly|indefinite|forever|time|life\w*|until|long\w*)\b"
)
_PEOPLE = re.compile(
    r"\b(?:\w{2,}(?:ers?|ors?|ists?|ians?|men|man|women|woman|ants?|ents?|eers?|ees|people|folk|"
    r"cies|ty|ries|"
    r"sts|cy|ship|ment|ion|ions|ary|ives?|ic|ics|als|ates)|team|group|staff|wife|son|king|queen|"
    r"prince|pope|"
    r"monks?|nobles?|youth|public|board|court|council|police|army|church|parents?|child|"
    r"children|kids?|slaves?|"
    r"church|state|states|crowd|audience|bank|firm|club|clerk|\w{3,}s|party|troops|every\w+|"
    r"any\w+|no one|nobody|someone|"
    r"himself|herself|they|he|she|you|i|we|one|all|both|those|doctors?|nurses?|friends?|tribes?|"
    r"adults?)\b"
)
_PROPER = re.compile(
    r"(?!(?:The|A|An|In|On|At|It|This|That|Yes|No|There|About)\b)[^\W\d_a-zß-ÿ]\w*"
)
_ONLY_TIME = re.compile(
    rf"[\W\d_]*(?:(?:{_MONTH}|years?|about|in|on|of|the|since|until|ad|bc|century|and|to|from|"
    rf"percent)\b[\W\d_]*)*"
)


def fits(question: str, answer: str) -> bool:
    """Whether an answer has the type that was asked for; False only where it clearly hasn't."""
    answer = answer[:2000]
    asked, said = kind(question), fold(answer)
    if not re.search(r"\w", answer):
        return False
    if asked == "when":
        return bool(re.search(_TIME, said))
    if asked == "count":
        return bool(re.search(_NUMBER, said))
    if asked == "amount":
        return bool(re.search(f"{_NUMBER}|{_TIME}|{_EXTENT}", said))
    if asked == "who":
        return not _ONLY_TIME.fullmatch(said) and bool(
            _PROPER.search(answer) or _PEOPLE.search(said)
        )
    if asked == "where":
        return not _ONLY_TIME.fullmatch(said) and said.strip(" .!") not in ("yes", "no")
    return True
