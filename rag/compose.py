"""The model's words -> checked sentences with markers. Pure.

The model's own markers are thrown away; each line gets those of the spans that support it. What no
source supports is not shown as fact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag import shape
from rag.attribute import Support, attribute, numbers
from rag.evidence import SourceSentence
from rag.prompt import NO_ANSWER
from rag.records import AnswerSentence, Citation, Claim
from rag.sentences import sentence_spans
from rag.suspect import clean

__all__ = ["Line", "Proved", "Sheet", "lines_of", "phrase_of", "prove"]

_OWN_MARKERS = re.compile(
    r"\s*(\[\d+(?:\s*,\s*\d+)*\]|[(<]sources?\s*\d+[^)>]*[)>]|</?source[^>]*>)", re.IGNORECASE
)
_LONGEST_PHRASE = 60  # characters; one that is longer and has a full stop inside goes on too far
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence of an answer, and whether it is a list item."""

    text: str
    bullet: bool = False


Proved = tuple[Line, Support]
"""A line with what supports it."""


def phrase_of(text: str, sources: str = "") -> str:
    """The phrase that a reply to the short form is, without quotes; empty where it declines."""
    text = clean(_OWN_MARKERS.sub("", text), sources).strip()
    line = text.split("\n", 1)[0].strip()
    spans = sentence_spans(line)
    if len(spans) > 1 and len(line) > _LONGEST_PHRASE:
        line = line[: spans[0][1]]
    phrase = line.strip().strip("\"'“”").removesuffix(".")
    return "" if phrase.casefold().startswith(NO_ANSWER) else phrase


def lines_of(text: str, sources: str = "") -> list[Line]:
    """The lines of a reply in full style, each once."""
    text = clean(_OWN_MARKERS.sub("", text), sources).strip()
    found: list[Line] = []
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        opens_line = not text[:start].rpartition("\n")[2].strip()
        bullet = bool(_BULLET.match(sentence)) and opens_line
        if bullet:
            sentence = _BULLET.sub("", sentence)
        sentence = " ".join(sentence.split())
        if re.search(r"\w", sentence) and not sentence.casefold().startswith(NO_ANSWER):
            found.append(Line(sentence, bullet))
    if len(found) == 1:
        return [Line(found[0].text)]
    return list(dict.fromkeys(found))


def prove(
    lines: Sequence[Line], question: str, sentences: Sequence[SourceSentence]
) -> tuple[list[Proved], list[Line]]:
    """The lines that a source supports, each with its support; and those that none does."""
    kept: list[Proved] = []
    dropped: list[Line] = []
    for line in lines:
        support = attribute(line.text, question, sentences)
        if support.status == "unsupported" or not _count_is_there(line, question, support):
            dropped.append(line)
        else:
            kept.append((line, support))
    return kept, dropped


def _count_is_there(line: Line, question: str, support: Support) -> bool:
    """Whether a number that answers a "how many" stands in what is cited: models guess counts."""
    if shape.kind(question) != "count":
        return True
    held = " ".join([question, *(one.text for one in support.sources)])
    return numbers(line.text) <= numbers(held)


@dataclass(slots=True)
class Sheet:
    """An answer being put together: its text, its sentences, and the citations they share."""

    citations: list[Citation] = field(default_factory=list)
    sentences: list[AnswerSentence] = field(default_factory=list)
    _shown: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self._shown).strip()

    def add(self, proved: Proved, joint: str = " ") -> None:
        """Append a line with its markers; `joint` stands before one that is no list item."""
        line, support = proved
        markers = self.cite(support)
        self.sentences.append(AnswerSentence(line.text, support.status, markers))
        self._shown.append(("\n- " if line.bullet else joint) + _with_markers(line.text, markers))

    def claim(self, proved: Proved) -> Claim:
        """A side of a disagreement: cited, but no part of the text."""
        return Claim(proved[0].text, self.cite(proved[1]))

    def cite(self, support: Support) -> tuple[int, ...]:
        """Markers for a line's sources; a span that is cited already keeps its marker."""
        markers: list[int] = []
        for one in support.sources:
            span = (one.document, one.start, one.end)
            known = next((c.marker for c in self.citations if _span(c) == span), None)
            if known is None:
                known = len(self.citations) + 1
                self.citations.append(
                    Citation(
                        known, one.document, one.title, one.date, one.page, *span[1:], one.text
                    )
                )
            markers.append(known)
        return tuple(sorted(markers))


def _span(citation: Citation) -> tuple[str, int, int]:
    return citation.document, citation.start, citation.end


def _with_markers(text: str, markers: Sequence[int]) -> str:
    shown = "".join(f"[{marker}]" for marker in markers)
    if not shown:
        return text
    body = text.rstrip(".!?")
    return f"{body} {shown}{text[len(body) :]}"
