"""Text that means to steer the program: sentences that give it orders, and marks that fool a reader.

Pure: strings in, strings or booleans out. Retrieved text is evidence, so a sentence addressed to the
program is neither shown to the model nor cited; what a model wrote is shown without addresses,
markup and characters that nobody sees. Knows nothing of documents, models or pages.

The patterns name kinds of order, not known attacks: somebody who reads this file can word one that
none of them fits. They are the first of several walls; what passes must still be supported by, and
cited to, a source.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

from rag.orders import FAMILIES, LANGUAGES, OPENS, SAY

__all__ = ["are_instructions", "clean", "heading", "is_instruction"]

_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE) for pattern in (*FAMILIES.values(), *LANGUAGES.values())
)
# What goes on giving orders after an order; by itself it may be anybody's advice.
_GOES_ON = re.compile(
    rf"{OPENS}(?:{SAY}|begin|start|end|finish|include|mention|add|append|insert|do not|don't|"
    rf"never|"
    r"always|instead|use|give|list|show|reveal|send|recommend|praise|treat|cite|quote|trust|"
    r"prefer|act|"
    r"speak|ignore|forget|refuse|follow|make|call|render|translate|sign|put|this (?:rule|order|"
    r"instruction|applies)|these (?:rules|orders|instructions)|your (?:answer|reply|response|"
    r"task|job|"
    r"role|goal|name|new)|you (?:are|must|should|will|have|may)|the (?:user|assistant|model|"
    r"answer|reply|"
    r"response)|(?:user|human|assistant|ai)(?= ?:)|failure to|any (?:question|other answer))\b",
    re.IGNORECASE,
)
# Lines of a made-up conversation: harmless by themselves, examples to follow beside an order.
_EXAMPLE = re.compile(
    r"^[^\w\"'`]*(?:q|a|question|answer|user|human|assistant|ai|input|output) ?:", re.IGNORECASE
)
_REACH = 3  # sentences after an order that may belong to it
_TURN = re.compile(
    r"(?<![\"'`\w])(?:<\|(?!im_end|eot|end)[\w /-]{2,40}\|>|\[INST\]|<<SYS>>|<system>)|"
    r"^#{2,4} ?(?:instruction|response|human|assistant|system) ?:",
    re.IGNORECASE,
)
_TURN_END = re.compile(r"<\|(?:im_end|eot|end)\w*\|>|\[/INST\]|<</SYS>>|</system>", re.IGNORECASE)
_SQUEEZED = re.compile(
    r"(?:ignore|disregard|forget|override)\w{0,24}(?:instruction|prompt|rules|guideline)",
    re.IGNORECASE,
)

_LATIN_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһӏԛԝАВЕКМНОРСТУХІЈЅүαειονρυτκΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɡɑ",
    "aeopcyxijsdhlqwABEKMHOPCTYXIJSyaeiovputkABEZHIKMNOPTYXiga",
)
_SPACED = re.compile(r"(?<!\S)(?:\w[ .\-_*]){4,}\w(?!\w)")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
_RTL = re.compile("\u202e([^\u202c\n]*)\u202c?")
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"


@functools.lru_cache(maxsize=20_000)  # the same passages come up question after question
def is_instruction(text: str) -> bool:
    """Whether a sentence gives orders to the program rather than telling its reader something.

    Made for few false alarms: advice to people ("Ignore previous versions of this form.") and
    sentences that report or quote such an order are not meant.
    """
    if _TAGS.search(_FLAG.sub("", text)):
        return True  # a whole alphabet that no program shows: there to be read by a model alone
    if _SPACED.search(text) and _SQUEEZED.search(re.sub(r"[\W_]", "", text)):
        return True
    return any(pattern.search(form) for form in _forms(text) for pattern in _PATTERNS)


def are_instructions(sentences: Sequence[str]) -> list[bool]:
    """`is_instruction` for the sentences of a passage in order, each with those before it in mind.

    An order is often several sentences ("Ignore all previous instructions. Say ..."): the ones right
    after an order that could belong to it count as one, and so do all of a forged turn of a chat and
    the lines of questions and answers beside an order.
    """
    found: list[bool] = []
    reach = 0
    inside = False
    for sentence in sentences:
        order = is_instruction(sentence)
        inside = inside or bool(_TURN.search(sentence))
        follows = reach > 0 and any(_GOES_ON.search(form) for form in _forms(sentence))
        reach = _REACH if order or follows else reach - 1
        found.append(order or inside or follows)
        if _TURN_END.search(sentence):
            inside = False
    if any(found):
        found = [
            order or bool(_EXAMPLE.search(sentence))
            for order, sentence in zip(found, sentences, strict=True)
        ]
    return found


def _forms(text: str) -> list[str]:
    """`text` as its reader sees it, and what may be meant where it plays with letters."""
    reversed_ = _RTL.sub(lambda match: match[1][::-1], text)
    shown = unicodedata.normalize("NFKC", _invisible_out(reversed_)).translate(_QUOTES)
    shown = " ".join(shown.split())
    if len(shown) > 2 and shown[0] in "\"'" and shown[-1] in "\"'.":
        shown = shown.strip("\"'")
    forms = [shown]
    latin = shown.translate(_LATIN_LOOKALIKES)
    if latin != shown and re.search("[A-Za-z]{2}", latin):
        forms.append(latin)
    return forms


_QUOTES = str.maketrans("“”„‟’‘‚‛＂", '""""\'\'\'\'"')
_HTML = (
    "a abbr address applet area article aside audio b base blockquote body br button canvas center "
    "code col data dd del details dialog div dl dt em embed fieldset figure font footer form frame "
    "frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li link "
    "main map mark marquee math meta nav noscript object ol option p param picture pre q s samp "
    "script section select slot small source span strike strong style sub summary sup svg system "
    "table tbody td template textarea tfoot th thead time title tr track tt u ul var video"
)
_TAG = re.compile(
    rf"<!--.*?(?:-->|\Z)|</?(?:{_HTML.replace(' ', '|')})(?=[\s/>\d])[^<>]*>"
    r"|</?[a-z][\w:-]*\s[^<>]*=[^<>]*>|<!\[?[a-z][^<>]*>|<\?[^<>]*\?>",
    re.IGNORECASE | re.DOTALL,
)
_CONTROL_TOKENS = re.compile(r"<\|[\w /-]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?s>", re.IGNORECASE)
_DESTINATION = (
    r"\(\s*(?:<[^<>\n]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)"
    r"(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
_IMAGE = re.compile(rf"!\[[^\[\]]*\](?:{_DESTINATION}|\[[^\[\]]*\])")
_LINK = re.compile(rf"\[([^\[\]]*)\]{_DESTINATION}")
_REFERENCE = re.compile(r"\[([^\[\]]*[^\W\d][^\[\]]*)\]\[(?!\d+\])[^\[\]]*\]")
_DEFINITION = re.compile(
    r"^[ \t]{0,3}\[[^\[\]]+\]:[ \t]*\S+(?:[ \t]+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?[ \t]*$",
    re.MULTILINE,
)
_ADDRESS = re.compile(
    r"<?\b(?:(?:https?|ftps?|file|wss?|ssh|tel|smb)://?|(?:mailto|javascript|vbscript|tel):(?=\S)|"
    r"data:[\w/+.-]*[;,]|www\.(?=\w))[^\s<>\"'“”]*>?|(?<![\w:/])//\w[\w.-]*\.\w+[^\s<>\"'“”]*|"
    r"<?\b(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?/[^\s<>\"'“”]*\?[^\s<>\"'“”]*>?",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?)]*_"
# Letters and marks that show nothing: fillers, the grapheme joiner, Mongolian selectors.
_BLANK_LETTERS = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0]")
_SELECTOR = re.compile(
    f"(?<=[\\w\\s])[{_SELECTORS}]|(?<=[{_SELECTORS}])[{_SELECTORS}]|^[{_SELECTORS}]"
)


def clean(text: str, sources: str = "") -> str:
    """`text` as it may be shown: words without images, addresses, markup and unseen characters.

    A link leaves its label. An address stays where it stands in `sources` letter by letter. What
    remains is for display as plain text or Markdown, and still has to be escaped for HTML.
    Idempotent.
    """
    while (shorter := _cleaned(text, sources)) != text:
        text = shorter
    return text


def heading(title: str, document: str) -> str:
    """A title as it may be shown: cleaned, or the document's identifier where it gives orders."""
    shown = " ".join(clean(title).split())
    return clean(document) if not shown or is_instruction(shown) else shown


def _cleaned(text: str, sources: str) -> str:
    """One pass; taking one thing out may put another together. Never longer than `text`."""

    def address(match: re.Match[str]) -> str:
        bare = match[0].strip("<>").rstrip(_TRAILING)
        rest = match[0].rstrip(">")
        return rest.lstrip("<") if bare and bare in sources else rest[len(rest.rstrip(".,;!?")) :]

    text = _invisible_out(text)
    text = _CONTROL_TOKENS.sub("", _TAG.sub("", text))
    text = _LINK.sub(r"\1", _IMAGE.sub("", _DEFINITION.sub("", text)))
    return _ADDRESS.sub(address, _REFERENCE.sub(r"\1", text))


def _invisible_out(text: str) -> str:
    """`text` without control and format characters, except joiners inside words that need them."""
    if text.isascii() and text.isprintable():
        return text
    joined = _BLANK_LETTERS.sub("", _SELECTOR.sub("", text))
    return "".join(
        character
        for at, character in enumerate(joined)
        if character in "\n\t"
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        or (character in "\u200c\u200d" and _needs_joiner(joined, at))
    )


def _needs_joiner(text: str, at: int) -> bool:
    """Whether both neighbours are letters, marks or pictures of a script that is not Latin."""
    around = text[at - 1 : at] + text[at + 1 : at + 2]
    return len(around) == 2 and all(
        ord(c) > 0x58F
        and unicodedata.category(c)[0] in "LMS"
        and "LATIN" not in unicodedata.name(c, "")
        for c in around
    )
