"""Does a question stand alone, and if not, which question was meant? Pure; English questions.

A rewrite by the model costs a call and can go wrong, so it is made only where the words show that the
question leans on what was said before, and rules make it where they are sure: a name put in place of
another of its kind, a pronoun with one thing to point to. The rules know words and capital letters,
not grammar: where two readings are open they give none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from rag.phrases import (
    AUX,
    DEMONYM,
    GENERIC,
    PREP,
    WH,
    YEAR,
    bare,
    definite_phrases,
    names_in,
    plain,
    sort_of,
)
from rag.words import STOP_WORDS, content_words, fold, words

if TYPE_CHECKING:
    from rag.generate import Message

__all__ = ["fill", "leans_on_history", "standalone", "topic"]

_OPENER = re.compile(
    r"\s*(?:(?:and|but|or|so|no|also|ok(?:ay)?|then|thanks|thank you|yes|got it|no worries"
    r"|i (?:see|understand)(?=[.,!])|(?:that|this|it) is (?:fine|great|good|interesting)|great|"
    r"hi|hello|sorry)\b[\s,.!]*)+",
    re.IGNORECASE,
)
_CONTINUES = re.compile(
    r"\s*(?:what|how) about\b|\s*what else\b|\s*(?:why not|the same)\b|\s*(?:sorry,|not\b)"
    r"|\s*(?:i|you) (?:mean|meant)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(rf"\s*(?:(?:{PREP})\s+)?(?:{WH}|{AUX})\b|\s*(?:tell|list|name|define)\b", re.I)

# Words that look back only in some places: what stands around them decides.
_POINTER = re.compile(
    r"\b(?P<person>he|him|his|she|hers?)\b|\b(?P<thing>it|its)\b|\b(?P<group>they|them|theirs?)\b"
    r"|\b(?P<named>(?:this|that|these|those|the (?:same|latter)|such)(?: [a-z]\w+)?)\b|"
    r"\b(?P<place>there)\b"
    rf"|\b(?P<other>since then|by then|then|(?:this|that|which|other|another|new|old) ones?|"
    rf"ones|the former(?=\s*(?:[?.!,]|$|{AUX}\b))|if so|one(?=\s*[?.!]*$))\b",
    re.IGNORECASE,
)
_EASY = (
    "true|possible|necessary|likely|legal|illegal|safe|important|easy|easier|hard|difficult|"
    "better|best|worth|"
    "okay|ok|clear|known|required|recommended|advisable|common|normal|permissible|allowed|"
    "cheaper|mandatory"
)
_HOLLOW = re.compile(  # pronouns that point to nothing
    rf"\bthere (?:\w+n't|{AUX}|be|been|exists?|any)\b|\b(?:{AUX}|isn't|aren't) there\b|\bif "
    rf"there\b"
    rf"|\bit (?:\w+ )?(?:{_EASY})(?: \w+)? (?:that|to|for|if)\b|\bit(?:'s| is| was)? (?:\w+ "
    rf")?(?:{_EASY})\b"
    r"|\b(?:is|was|isn't) it (?!used|going|similar|related|subject|due|open|up|said|limited|"
    r"available|compared"
    r"|named|called)\w+ (?:to|that)\b|\bdoes it (?:mean|make sense) to\b|\bgot it\b|\bwhy (?:is|"
    r"was) it called\b"
    r"|\bit takes?\b|\bit (?:take|cost)s? (?:in order )?to\b|\bwhat time is it\b|\bit matter\b|"
    r"\bis it a \w+ idea to\b"
    r"|\bthis (?:year|month|week|century|morning|decade)\b|\bthese days\b|\bnowadays\b|\bthose "
    r"(?:who|of|in|with)\b"
    r"|\bthat of\b|\bsuch (?:as|an?)\b|\bthe same (?:time|as|\w+ as)\b|\bother than\b|\bif "
    r".{3,80}\bthen\b"
    r"|\bthat (?:is|are|was|were|has|have|had|can|could|will|would|may|must|should)\b(?<=\w)",
    re.IGNORECASE,
)
_BEFORE_THAT = re.compile(rf"(?:^|[,.?!]|\b(?:{AUX}|{PREP}|and|or|like|than))\s*$", re.IGNORECASE)
_CLAUSE = re.compile(
    rf"(?:[.?!;]|,|\band\b|\bor\b|\bbut\b)\s*(?:(?:and|but|"
    rf"then)\s+)?(?:(?:{PREP})\s+)?(?:{WH}|{AUX})\b"
    r"|\b(?:when|after|before|because|if|while|since|until|although|once|that|who|which|where|"
    r"as|so)\s+\S+$",
    re.IGNORECASE,
)

_BARE_NOUN = re.compile(r"\b[Tt]he ([a-z]{4,})\b")
_LONGEST = 600
"""Characters of a question that are looked at; longer ones the rules leave alone."""


class _Turn(NamedTuple):
    """A user's question as it was meant (None where that is unknown) and what was answered."""

    question: str | None
    answer: str = ""
    first: bool = False
    about: str | None = None
    """What its pronouns were found to point to: the next question's may point there too."""


def leans_on_history(question: str) -> bool:
    """Whether a question has words that point back, opens like a continuation, or names nothing."""
    question = question[:_LONGEST]
    if _CONTINUES.match(question):
        return not (re.match(r"\s*what else\b", question, re.I) and names_in(question))
    opener = _OPENER.match(question)
    body = question[opener.end() :] if opener else question
    if _pointers(body) or _CONTINUES.match(body):
        return True
    if opener and not (_ASKS.match(body) and (names_in(body) or YEAR.search(body))):
        return True
    if len(content_words(body)) >= 2:
        return False
    return not (names_in(body) or re.match(r"\s*(?:what (?:is|are) (?:an? )?|define "
    r")(?!the\b)\w{3,}", body, re.I)
                and content_words(body))  # fmt: skip


def standalone(question: str, history: Sequence[Message]) -> str | None:
    """The question as it would be asked without the conversation; None where only a model can tell.

    A question that stands alone comes back unchanged. `history` is the conversation before it.
    """
    if not question.strip() or len(question) > _LONGEST:
        return None
    if not leans_on_history(question) and not _BARE_NOUN.search(question):
        return question
    turn: _Turn | None = None
    first = True
    for message in history[-10:]:
        text = plain(message["content"])
        if message["role"] == "user":
            turn = _meant(text, turn) if len(text) <= _LONGEST else _Turn(None)
            turn, first = turn._replace(first=first), False
        elif message["role"] == "assistant" and turn:
            turn = turn._replace(answer=text[:1500])
    return _meant(question, turn).question


def topic(question: str) -> str | None:
    """The one thing that a question is about: its only name, or only "the …"; None where unclear."""
    question = question[:_LONGEST]
    asked = question.strip().rstrip("?.! ")
    defined = re.match(
        r"(?:what(?: is|'s| are| was| were)|who(?: is|'s| was| were| are)|define|"
        r"(?:(?:can|could) you )?(?:please )?(?:tell me|explain|describe)(?: more)?(?: about)?) "
        r"((?:(?:the|an?) )?[\w&.'’-]+(?: (?!of\b|in\b|for\b|and\b|or\b|to\b|from\b|at\b|on\b|"
        r"by\b|is\b|are\b|with\b"
        r"|between\b|used\b|about\b|that\b|who\b)[\w&.'’-]+){0,4})$",
        asked,
        re.IGNORECASE,
    )
    names = [name for _, name in names_in(question)]
    if defined and not _pointers(question):
        found = defined[1]
        if [n for n in names if n in found] == names and content_words(found):
            lowered = found[:1].lower() + found[1:]
            return re.sub(r"^an? ", "the ", lowered if re.match(r"(?:The|An?) ", found) else found)
    if (
        re.search(
            rf"(?<!'s) (?!(?:{AUX})\b)\S+ {re.escape(names[0])} (?!(?:{PREP})\b)[a-z]", question
        )
        if names
        else 0
    ):
        after = question.split(names[0], 1)[1].split()
        if after and after[0].strip("?.!,") not in STOP_WORDS:
            return None  # "estimate the SSA benefits": the name is only part of what is spoken of
    phrases = definite_phrases(question)
    if phrases is None or len(names) + len(phrases) != 1 or _pointers(question):
        return None
    return names[0] if names else phrases[0]


def fill(question: str, about: str | None, person: str | None = None) -> str | None:
    """The question with what its pronouns point to; unchanged without any; None where that is
    unclear.

    `about` is the thing (or the person) spoken of, `person` whom "he" and "she" mean, when another.
    """
    done = question
    for _ in range(4):
        found = _pointers(done)
        if not found:
            return done
        match = found[0]
        word = match.group().lower()
        put = _referent(match, word, about, person)
        if put is None or fold(put) in fold(done):
            return None
        after = done[match.end() :]
        if word in ("its", "his", "their") or (word == "her" and re.match(r"\s+(?!(?:in|to|at|"
        r"on|by|and|or|for|with|from"
                r"|as|when|about|after|before)\b)\w", after)):  # fmt: skip
            put += "'" if put.endswith("s") else "'s"
        elif word == "there":
            put = (
                put if re.search(r"\b(?:from|in|near)\s*$", done[: match.start()]) else f"in {put}"
            )
        if not done[: match.start()].strip():
            put = put[:1].upper() + put[1:]
        done = done[: match.start()] + put + after
    return None


def _referent(match: re.Match[str], word: str, about: str | None, person: str | None) -> str | None:
    sort = sort_of(about) if about else None
    plural = bool(about and re.search(r"[a-z]s$", about) and sort is None)
    match match.lastgroup:
        case "person":
            return person or (about if sort == "person" else None)
        case "thing":
            return None if plural or about == person else about
        case "group":
            return about if plural or sort in ("institution", "country") else None
        case "place":
            return about if sort == "country" else None
        case "named":
            noun = word.split()[-1]
            if (
                not about
                or sort == "person"
                or " " not in word
                or word.startswith(("these", "those", "such"))
            ):
                return None
            same = noun in words(about)
            return about if same or (noun in GENERIC and names_in(f"x {about}")) else None
    return None


def _meant(question: str, before: _Turn | None) -> _Turn:
    """What a question means after a turn."""
    if not leans_on_history(question):
        return _Turn(_named_in_full(question, before))
    if before is None or before.question is None:
        return _Turn(None)
    swapped = _swap(question, before.question)
    if swapped is not None:
        return _Turn(swapped or None)
    opener = _OPENER.match(question)
    body = question[opener.end() :] if opener else question
    if opener and not _ASKS.match(body):
        return _Turn(None)
    bare = re.fullmatch(r"\s*(when|where|why|how)\s*[?!.]*\s*", body, re.IGNORECASE)
    if bare:
        asked = re.match(rf"\s*(?:(?:when|where|why|how) )?((?:{AUX}) .+)", before.question, re.I)
        if not asked:
            return _Turn(None)
        return _Turn(
            f"{bare[1].capitalize()} {asked[1][:1].lower()}{asked[1][1:]}", about=before.about
        )
    if not _pointers(body):
        return _Turn(None)
    for about in dict.fromkeys((_thing(before), before.about)):
        filled = fill(body, about, _person(before))
        if filled is not None and not leans_on_history(filled):
            return _Turn(filled[:1].upper() + filled[1:] if opener else filled, about=about)
    return _Turn(None)


def _thing(before: _Turn) -> str | None:
    """What "it" means after a question: not where its answer is a thing itself ("What did … sign?")."""
    question = before.question or ""
    about = topic(question)
    if not about or not _ASKS.match(question):
        return None
    if re.fullmatch(r"the [a-z]+", about) and not before.first:
        return None  # this may itself have pointed back
    defines = re.match(r"\s*what(?: is| are|'s| was| were| does) ", question, re.I)
    if sort_of(about) == "person":
        return about if defines else None
    asks = re.match(r"\s*(?:in |on |by |of )?(?:what|which)\b", question, re.I)
    if asks and not (defines and not re.search(r"\b(?:of|for|in|by)\b", question)):
        return None
    return about


def _person(before: _Turn) -> str | None:
    """Whom "he" or "she" means: the one person in the last question or opening of its answer."""
    question = before.question or ""
    is_thing = re.match(r"\s*what (?:is|are|was|were)\b", question, re.I)
    asked = [n for _, n in names_in(question) if sort_of(n) == "person" and not is_thing]
    known = re.match(r"\s*[Ww]ho(?: is|'s| was) ([A-Z][\w.-]+(?: [A-Z][\w.-]+)*)\s*\?*$", question)
    if known:
        return known[1]
    first = re.split(r"(?<=[a-z)\]][.!?])\s", before.answer, maxsplit=1)[0]
    said = [name for _, name in names_in(f"x {first}") if sort_of(name) == "person"]
    people = {
        name for name in asked + said if not any(name != n and name in n for n in asked + said)
    }
    return people.pop() if len(people) == 1 else None


def _named_in_full(question: str, before: _Turn | None) -> str:
    """ "the treaty" by the name that the last question gave it, where it names nothing itself."""
    if before is None or before.question is None or names_in(question):
        return question
    found = _BARE_NOUN.findall(question)
    names = {name for _, name in names_in(before.question)}
    if len(found) != 1 or len(names) != 1:
        return question
    name = names.pop()
    if found[0] not in words(name) or len(words(name)) < 2:
        return question
    put = name if name.lower().startswith("the ") else f"the {name}"
    return re.sub(rf"\bthe {found[0]}\b", lambda _: put, question, count=1, flags=re.IGNORECASE)


_REPLACES = re.compile(
    r"\s*(?:(?:and|but|or|so|ok(?:ay)?|no|sorry|thanks)\b[\s,.!]*)*(?:(?:what|how) about\s+|i "
    r"mean[t]?\s+|not\s+(?P<old>"
    rf"[\w .&-]{{2,40}}?)\s*(?:,|but)\s*)?(?P<prep>(?:{PREP})\s+)?(?P<new>[\w .&'’-]{{2,50}}?)"
    r"(?:,?\s+not\s+(?P<late>[\w .&-]{2,40}?))?(?:\s+(?:instead|then))?\s*[?.!]*\s*",
    re.IGNORECASE,
)


def _swap(question: str, asked: str) -> str | None:
    """The last question with another year or name in place; "" where it should be one but can't."""
    match = _REPLACES.fullmatch(question)
    if not match or _ASKS.match(match["new"]):
        return None
    continues = match.start("new") > 0 or bool(match["late"])
    new, prep = re.sub(r"['’]s?$", "", match["new"].strip()), (match["prep"] or "").lower()
    old = match["old"] or match["late"]
    is_year = bool(YEAR.fullmatch(new))
    names = [name for _, name in names_in(f"x {new}")]
    if not _ASKS.match(asked):
        return ""
    if not is_year and names != [new]:
        return _swap_modifier(new, asked) if continues and not prep else ""
    if is_year:
        years = list(YEAR.finditer(asked))
        if len(years) > 1 or re.search(r"\b(?:between|from)\b", asked, re.I):
            return ""
        if not years:
            wants_time = re.match(r"\s*(?:when|in what|in which|what year)\b", asked, re.I)
            return (
                f"{asked.rstrip(' ?.!')} {prep}{new}?" if prep == "in " and not wants_time else ""
            )
        spans = [years[0].span()]
        lead = re.search(
            r"\b(in|since|before|after|until|during|by)\s+$", asked[: spans[0][0]], re.I
        )
        if prep and lead and prep.strip() != lead[1].lower():
            return _put(asked, (lead.start(1), spans[0][1]), prep + new)
        return _put(asked, spans[0], new)
    targets = list(names_in(asked))
    if not continues and not ("?" in question and sort_of(new)):
        return ""
    if prep:
        targets = [t for t in targets if re.search(rf"\b{prep.strip()} $", asked[: t[0][0]], re.I)]
    if old:
        targets = [(span, name) for span, name in targets if bare(name) == bare(old.strip())]
    elif len(targets) > 1:
        sort = sort_of(new)
        targets = [(span, name) for span, name in targets if sort and sort_of(name) == sort]
    if len(targets) != 1:
        return ""
    (span, name) = targets[0]
    if bool(DEMONYM.search(name)) != bool(DEMONYM.search(new)) or bare(name) == bare(new):
        return ""
    if not old and {"person"} < {sort_of(name), sort_of(new)} - {None, "thing"}:
        return ""
    about = topic(asked)
    if (
        about
        and name in about
        and f"{name}'s" not in asked
        and not bare(about).endswith(bare(name))
    ):
        return ""  # "the OTC market": the name is only part of what was spoken of
    return _put(asked, span, new)


def _swap_modifier(new: str, asked: str) -> str:
    """ "the second treaty" for "the first treaty", one word apart; "" where there is nothing alike."""
    match = re.fullmatch(r"((?:the )?)([\w-]+) ([a-z].*)", new)
    if not match or (not match[1] and match[2].endswith("ing")):
        return ""
    alike = rf"\b{match[1]}(?!(?:{AUX}|{PREP}|the|an?)\b)[\w-]+ {re.escape(match[3])}\b"
    found = list(re.finditer(alike, asked, re.IGNORECASE))
    if (
        len(found) != 1
        or asked[: found[0].start()].endswith("to ")
        or fold(found[0].group()) == fold(new)
    ):
        return ""
    return _put(asked, found[0].span(), new)


def _put(text: str, span: tuple[int, int], new: str) -> str:
    return text[: span[0]] + new + text[span[1] :]


@lru_cache(maxsize=512)
def _pointers(question: str) -> list[re.Match[str]]:
    """Pronouns that point out of the question."""
    hollow = [match.span() for match in _HOLLOW.finditer(question)]
    return [
        match
        for match in _POINTER.finditer(question)
        if not any(a <= match.start() < b for a, b in hollow) and not _inward(question, match)
    ]


def _inward(question: str, match: re.Match[str]) -> bool:
    """Whether a pronoun points to something in the question before it, or is none."""
    before, word = question[: match.start()], match.group().lower()
    if match.lastgroup == "named" and " " in word and not word.startswith("such"):
        if word.split()[-1] in words(before):
            return True
    if word.startswith("that ") and word[5:] in GENERIC:
        return False
    if word.startswith("that") or word == "then":
        return not _BEFORE_THAT.search(before)
    if match.lastgroup not in ("person", "thing", "group"):
        return False
    spoken_of: Iterable[object] = names_in(before) or re.findall(
        r"\b(?:the|an?|my|your|our|some|any)\s+[a-z]\w+",
        re.sub(r"\b(?:a )?few\b", "", before),
        re.I,
    )
    if not list(spoken_of):
        plural = re.search(
            r"\b(?!does|was|has|is)[a-z]{3,}s\b|\b(?:people|children|men|women)\b", before
        )
        return word == "their" and bool(plural)
    return word in ("its", "their", "his", "her") or bool(_CLAUSE.search(before + word))
