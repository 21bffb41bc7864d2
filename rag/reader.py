"""What the model is asked about the evidence: a phrase, sentences, and the same of single sources.

Each method yields events while the model works and returns what came of it. The phrase comes first:
a small model is best at it, and how probable "unanswerable" was says whether to go on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rag import claims, decide, shape
from rag.attribute import Support, attribute
from rag.claims import Group, Said
from rag.compose import Line, Proved, phrase_of, prove
from rag.count import count_rows
from rag.draft import Draft, Event, Found, Reading, Stage, Steps, Token
from rag.evidence import Evidence, SourceSentence, choose
from rag.generate import Generation, Generator, Message
from rag.prompt import (
    NO_ANSWER,
    Style,
    answer_messages,
    asks_for_list,
    rewrite_messages,
    wants_list,
)
from rag.settings import Settings
from rag.suspect import clean, is_instruction
from rag.words import stem_set

__all__ = ["LONGEST_QUESTION", "Reader"]

LONGEST_QUESTION = 4000  # characters
_REWRITE_TOKENS = 80
_PHRASE_TOKENS = 40
_MOST_SOURCES = 6
_SOURCE_TOKENS = 110
_GIVEN = 0.5  # documents that come with a question are all meant: half as near is near enough
_STRANGER = 0.3  # and one of a collection has to be surer of its answer
_MOST_ROWS = 12
_LONGEST_HEADS = 200  # characters
_LONGEST_FACT = 12  # words
_FACTS = ("when", "who", "where", "count", "amount", "other")


class Reader:
    """Asks one generator; `settings` say how much it may write and which sources are compared."""

    def __init__(self, generator: Generator, settings: Settings) -> None:
        self._generator = generator
        self._settings = settings

    def rewrite(self, question: str, history: Sequence[Message]) -> str:
        """`question` so that it stands alone; as it is where the rewrite went wrong."""
        record = Generation()
        for _ in self._generator.stream(
            rewrite_messages(question, history), _REWRITE_TOKENS, record
        ):
            pass
        rewritten = clean(" ".join(record.text.split())).strip('"')
        said = stem_set(" ".join(turn["content"] for turn in history))
        own, asked = stem_set(question), stem_set(rewritten)
        # A rewrite keeps to the question and fills in what was said before: another one went wrong,
        # or did what a turn of the conversation told it to.
        fits = 3 <= len(rewritten) <= LONGEST_QUESTION and len(asked - own - said) <= 2
        fits = fits and 2 * len(own & asked) >= len(own)
        return rewritten if fits and not is_instruction(rewritten) else question

    def phrase(
        self, draft: Draft, found: Found, question: str, again: bool
    ) -> Steps[Event, None, Reading]:
        """The shortest answer to `question` from the evidence. `again`: that was just read."""
        record = Generation()
        for piece in self._ask(draft, question, found.evidence, "short", record, again):
            if draft.style == "short":
                yield Token(piece)
        phrase = phrase_of(record.text, found.text)
        kept = _proved(phrase, question, found.sentences)
        return self.weighed(found, question, phrase, kept, record)

    @staticmethod
    def weighed(
        found: Found, question: str, phrase: str, kept: Sequence[Proved], record: Generation
    ) -> Reading:
        """A reading with its signals and its confidence."""
        supports = [support for _, support in kept]
        candidates = found.retrieved.candidates
        signals = decide.signals(question, phrase, candidates, found.sentences, supports, record)
        return Reading(question, phrase, tuple(kept), record, signals, decide.confidence(signals))

    def sentences(
        self, draft: Draft, found: Found, question: str, phrase: str = ""
    ) -> Steps[Event, None, str]:
        """Sentences that answer `question`, or say `phrase`, unchecked; its evidence was just read."""
        record = Generation()
        for piece in self._ask(draft, question, found.evidence, "full", record, True, phrase):
            yield Token(piece)
        return record.text

    @staticmethod
    def fact(found: Found, readings: Sequence[Reading]) -> str:
        """The proved phrase, where one fact was asked for and it is that; else nothing."""
        if len(readings) != 1 or not readings[0].kept:
            return ""
        question = readings[0].question
        one = shape.kind(question) in _FACTS and not wants_list(question, found.evidence)
        short = len(readings[0].phrase.split()) <= _LONGEST_FACT
        return readings[0].phrase if one and short else ""

    def counted(self, found: Found, reading: Reading, text: str, style: Style) -> Reading:
        """The reading of a "how many" that nothing supports, with the rows of a table counted.

        `text` is the whole document of the best sentence.
        """
        best = found.best
        rows = [
            row
            for row in count_rows(reading.question, text, best.start)
            if not is_instruction(row.text)
        ]
        if not rows:
            return reading
        heads = ", ".join(row.head for row in rows)
        told = f": {heads}" if style == "full" and len(heads) <= _LONGEST_HEADS else ""
        line = Line(f"{len(rows)}{told if re.search('[^0-9, .]', heads) else ''}")
        spans = tuple(replace(best, start=one.start, end=one.end, text=one.text) for one in rows)
        proved = (line, Support(spans[:_MOST_ROWS], 1.0, "supported", 1.0))
        weighed = self.weighed(found, reading.question, line.text, [proved], reading.record)
        return replace(weighed, counted=True)

    def compare(
        self, draft: Draft, found: Found, reading: Reading
    ) -> Steps[Event, None, tuple[list[Group], list[Group]]]:
        """What other sources say to the same: groups that stand, and groups that are outweighed.

        Nothing is asked, and nothing returned, where no other source is near enough.
        """
        others: list[str] = []
        closeness = self._settings.rival_closeness
        of_fact = shape.kind(draft.standalone) in _FACTS and not asks_for_list(draft.standalone)
        if of_fact and closeness <= 1:
            closeness *= _GIVEN if found.given else 1.0
            agreeing, others = claims.rivals(found.sentences, reading.phrase, closeness)
        cited = [one.document for one in reading.kept[0][1].sources]
        others = [name for name in others if name not in cited][:_MOST_SOURCES]
        if not others:
            return [], []
        yield Stage("comparing", str(len(others)))
        said = []
        for name in dict.fromkeys([*cited, *agreeing]):
            own = attribute(reading.phrase, reading.question, _of(found, name))
            proved = (Line(reading.phrase), own) if own.sources else reading.kept[0]
            said.append(_said(found, name, proved))
        for name in others:
            answer = self._one_source(draft, found, reading, name)
            if answer:
                said.append(_said(found, name, answer))
        return claims.weigh(said)

    def _one_source(self, draft: Draft, found: Found, reading: Reading, name: str) -> Proved | None:
        """What one document alone answers, if it does.

        A document of a collection was not chosen for the question, so it has to be sure, and to
        speak of all that the best source speaks of.
        """
        question, sentences = reading.question, _of(found, name)
        evidence = choose(sentences, _SOURCE_TOKENS, found.retrieved.count)
        record = Generation()
        for _ in self._ask(draft, question, evidence, "short", record, again=False):
            pass
        phrase = phrase_of(record.text, found.text)
        doubt = self._settings.rival_doubt * (1.0 if found.given else _STRANGER)
        if (record.withheld or 0.0) >= doubt or not shape.fits(question, phrase):
            return None
        kept = _proved(phrase, question, sentences)
        if not kept or found.given:
            return kept[0] if kept else None
        theirs, ours = (
            decide.share_asked(question, proved[1].sources) for proved in (kept[0], reading.kept[0])
        )
        return kept[0] if theirs >= ours else None

    def _ask(
        self,
        draft: Draft,
        question: str,
        evidence: list[Evidence],
        style: Style,
        record: Generation,
        again: bool,
        phrase: str = "",
    ) -> Iterator[str]:
        began = time.perf_counter()
        short = style == "short"
        yield from self._generator.stream(
            answer_messages(question, evidence, style, phrase),
            _PHRASE_TOKENS if short else self._settings.max_new_tokens,
            record,
            # The adapter was taught phrases: sentences are the plain model's, over what was read.
            adapted=short,
            again=again,
            withhold=NO_ANSWER if short else "",
        )
        draft.count(record, began)


def _proved(phrase: str, question: str, sentences: Sequence[SourceSentence]) -> list[Proved]:
    """A phrase with what supports it; a yes or no rests on what speaks of the question."""
    if not phrase:
        return []
    kept, _ = prove([Line(phrase)], question, sentences)
    if not kept and phrase.casefold() in ("yes", "no") and sentences:
        about = attribute(question.rstrip(" ?"), question, sentences)
        best = max(sentences, key=lambda one: one.score)
        kept = [(Line(phrase), about if about.sources else Support((best,), 0.0, "partial"))]
    return kept


def _of(found: Found, name: str) -> list[SourceSentence]:
    return [one for one in found.sentences if one.document == name]


def _said(found: Found, name: str, proved: Proved) -> Said:
    best = next(c.stored for c in found.retrieved.candidates if c.stored.chunk.document == name)
    return Said(name, proved, best.chunk.text, best.vector)
