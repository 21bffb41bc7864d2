"""The only wiring: a question becomes an `Answer`. Reads like the list of stages.

The model is asked for the shortest phrase first, which is what a small one is best at; whether to
answer at all is decided on that. Only then does it write sentences, each of which is checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rag import claims, decide, shape
from rag.claims import Group
from rag.collection import Collection, Retrieved
from rag.compose import Line, Proved, Sheet, lines_of, prove
from rag.draft import Draft, Event, Finished, Found, Reading, Stage, Steps, Token
from rag.errors import InputError
from rag.evidence import choose, source_sentences, without_orders
from rag.failover import Elsewhere, Writer
from rag.followup import standalone
from rag.generate import Generator, Message, generator_name, load_generator
from rag.language import language
from rag.language import name as language_name
from rag.prompt import Style
from rag.reader import LONGEST_QUESTION, Reader
from rag.records import Answer, Conflict, Document, Timings
from rag.scope import Scope
from rag.settings import Settings
from rag.smalltalk import reply, smalltalk
from rag.store import StoredDocument
from rag.suspect import heading
from rag.utf8 import storable

__all__ = ["Assistant", "Finished", "Stage", "Token"]

_TITLES = 3


class Assistant:
    """Answers questions from one collection, or from documents that come with the question.

    `collection` may be None where every question brings its documents. Not safe for several threads
    at once: a model reads one prompt at a time.
    """

    def __init__(
        self, collection: Collection | None, settings: Settings, generator: Generator | None = None
    ) -> None:
        self.settings = settings
        self._collection = collection
        self._generator = generator
        self._scratch: Collection | None = None

    @property
    def generator(self) -> Generator:
        """The generator, loaded at first use."""
        if self._generator is None:
            self._generator = load_generator(self.settings)
        return self._generator

    def _reader(self, draft: Draft) -> Reader:
        return Reader(draft.writer, self.settings)

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Sequence[Document] | None = None,
        style: Style | None = None,
        scope: Scope | None = None,
    ) -> Answer:
        """Answer a question.

        `history` holds earlier turns, oldest first; `documents`, where given, are searched instead of
        the collection. Of either, only what `scope` admits is searched and spoken of.

        Raises:
            InputError: the question is empty or too long, or the scope names an unknown document or
                admits none.
            ModelError: the model can't be opened or reached.
        """
        for event in self.stream(
            question, history=history, documents=documents, style=style, scope=scope
        ):
            if isinstance(event, Finished):
                return event.answer
        raise AssertionError("a stream ends with Finished")

    def stream(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Sequence[Document] | None = None,
        style: Style | None = None,
        scope: Scope | None = None,
    ) -> Iterator[Event]:
        """The same in steps. Closing the iterator stops the model."""
        if not question.strip():
            raise InputError("the question is empty: ask something")
        if len(question) > LONGEST_QUESTION:
            raise InputError(f"the question has over {LONGEST_QUESTION} characters: shorten it")
        # A lone surrogate, as a terminal may pass on, fits neither a model nor JSON.
        question = storable(question.strip())
        if documents is not None and scope:
            documents = scope.choose(documents, "the documents that came with the question")
        style = style or self.settings.style
        draft = Draft(question, question, style, Writer(self._load), documents, scope)
        talk = smalltalk(question)
        if talk:
            yield Finished(self._talk(draft, reply(talk, *self._about(draft))))
            return
        try:
            yield from self._answered(draft, history)
        except Elsewhere:  # two models never share an answer: it is written anew
            yield Stage("restarting")
            local, began = Writer(self._load, local=True), draft.started
            draft = Draft(question, question, style, local, documents, scope, started=began)
            yield from self._answered(draft, history)

    def _answered(self, draft: Draft, history: Sequence[Message]) -> Iterator[Event]:
        """All that a question needs which is not small talk, by one model."""
        with draft.writer:
            if history:
                by_rule = standalone(draft.question, history)
                if by_rule is None:
                    yield Stage("understanding")
                draft.standalone = by_rule or self._reader(draft).rewrite(draft.question, history)
            yield Stage("searching")
            found = self._search(draft)
            refusal = self._out_of_reach(draft, found)
            if refusal:
                yield Finished(refusal)
                return
            yield Stage("reading", str(len(found.retrieved.candidates)))
            yield from self._read_and_write(draft, found)

    def _load(self) -> Generator:
        return self.generator

    def _named(self) -> str:
        """What answers are signed with that no model had to write."""
        return self._generator.name if self._generator else generator_name(self.settings)

    def _read_and_write(self, draft: Draft, found: Found) -> Iterator[Event]:
        """A phrase for each part of the question; then sentences; then what other sources say."""
        reader = self._reader(draft)
        readings = yield from self._read(draft, found)
        answered = [one for one in readings if self._stands(one)]
        if draft.style == "full" and len(readings) == 1 and _may_hold(readings[0]):
            answered = readings
        kept: list[Proved] = [proved for one in answered for proved in one.kept]
        dropped: list[Line] = []
        whole, counted = len(answered) == len(readings), readings[0].counted
        if draft.style == "full" and answered and not counted:
            yield Stage("writing")
            question = draft.standalone if whole else " ".join(one.question for one in answered)
            fact = reader.fact(found, readings)
            text = yield from reader.sentences(draft, found, question, fact)
            written, dropped = prove(lines_of(text, found.text), question, found.sentences)
            # A sentence that does not say what was found is no answer, however well supported.
            if written and (not fact or decide.agreement(fact, written) == 1):
                kept = written
            answered = [one if one.kept else _by(one, reader, found, written) for one in answered]
            answered = [one for one in answered if self._stands(one)]
        if not answered or not kept:
            best = max(readings, key=lambda one: one.sure)
            yield Finished(self._refusal(draft, found, 1 - best.sure, best.signals))
            return
        said = {one.question for one in answered}
        missing = [one.question for one in readings if one.question not in said]
        sides: tuple[list[Group], list[Group]] = ([], [])
        if len(readings) == 1 and readings[0].kept and not counted:
            sides = yield from reader.compare(draft, found, readings[0])
        yield Stage("checking")
        yield Finished(self._compose(draft, found, answered, kept, dropped, missing, *sides))

    def _read(self, draft: Draft, found: Found) -> Steps[Event, None, list[Reading]]:
        """A reading for each part of the question; rows are counted where nothing says how many."""
        readings: list[Reading] = []
        for part in shape.parts(draft.standalone):
            again = bool(readings)
            readings.append((yield from self._reader(draft).phrase(draft, found, part, again)))
        if len(readings) == 1 and not readings[0].kept and shape.kind(draft.standalone) == "count":
            text = self._whole_document(found)
            readings = [self._reader(draft).counted(found, readings[0], text, draft.style)]
        return readings

    def _whole_document(self, found: Found) -> str:
        """The text of the document that holds the best sentence."""
        home = self._scratch if found.given else self._collection
        return home.document(found.best.document).text if home else ""

    def _stands(self, reading: Reading) -> bool:
        """Whether to answer: something supports it, a "when" got a date, and it is probable enough."""
        fits = bool(reading.kept) and reading.signals["type_fits"] > 0
        return fits and reading.sure >= self.settings.refuse_below

    def _search(self, draft: Draft) -> Found:
        retrieved = self._retrieve(draft)
        draft.retrieve_s = time.perf_counter() - draft.started
        sentences = without_orders(
            source_sentences(retrieved.candidates, draft.standalone, retrieved.vector)
        )
        evidence = choose(sentences, self.settings.evidence_tokens, retrieved.count)
        return Found(retrieved, sentences, evidence, draft.documents is not None)

    def _out_of_reach(self, draft: Draft, found: Found) -> Answer | None:
        """A refusal before the model reads anything: another language, or another subject."""
        values = decide.search_signals(
            draft.standalone, found.retrieved.candidates, found.sentences
        )
        spoken = language(draft.question)
        if spoken and spoken != "en" and self.settings.embedder == "minilm":
            texts = [one.stored.chunk.text for one in found.retrieved.candidates]
            if texts and spoken not in {language(text) for text in texts}:
                text = (
                    f"The question seems to be in {language_name(spoken)}, and none of the documents "
                    "that were found is: please ask in the language of the documents."
                )
                return self._refusal(draft, found, 0.9, values, text)
        belongs = decide.confidence(values, "search")
        if found.sentences and belongs >= self.settings.search_gate:
            return None
        _, _, titles = self._about(draft)
        text = f"The documents do not say: I found nothing about “{draft.standalone}”."
        if titles:
            text += f" They cover, for example, {_quoted(titles)}."
        return self._refusal(draft, found, 1 - belongs, values, text)

    def _retrieve(self, draft: Draft) -> Retrieved:
        question = draft.standalone
        if draft.documents is None:
            if self._collection is None:
                raise InputError("there is no collection to search: name one, or give documents")
            return self._collection.retrieve(question, scope=draft.scope)
        if self._scratch is None:
            embedder = self._collection.embedder if self._collection else None
            self._scratch = Collection.temporary([], self.settings, embedder=embedder)
        self._scratch.put(draft.documents, "given")
        # How often the scratch collection has been filled is no property of the answer.
        return replace(self._scratch.retrieve(question), collection="", generation=0)

    def _compose(
        self,
        draft: Draft,
        found: Found,
        answered: Sequence[Reading],
        kept: Sequence[Proved],
        dropped: Sequence[Line],
        missing: list[str],
        stands: Sequence[Group],
        outweighed: Sequence[Group],
    ) -> Answer:
        """Put the answer together from what was proved and what the sources were found to say."""
        least = min(answered, key=lambda one: one.sure)
        values = least.signals | {"agrees": decide.agreement(least.phrase, kept)}
        sure = decide.confidence(values)
        sheet = Sheet()
        conflicts: tuple[Conflict, ...] = ()
        differ = len(stands) + len(outweighed) > 1
        if differ:
            kept = claims.settled(kept, stands, outweighed, draft.style)
        for at, proved in enumerate(kept):
            sheet.add(proved, "; " if at and draft.style == "short" else " ")
        if differ:
            sides = tuple(sheet.claim(claims.side(one)) for one in (*stands, *outweighed))
            conflicts = (Conflict(draft.standalone, sides),)
        grain = shape.missing_grain(draft.standalone, sheet.text)
        if grain:
            missing.append(grain)
        notes = [note] if (note := claims.newest([*stands, *outweighed])) else []
        if dropped:
            left_out = "One sentence was" if len(dropped) == 1 else f"{len(dropped)} sentences were"
            notes.append(f"{left_out} left out, because no source supports what was written.")
        return self._answer(
            draft,
            found,
            text=sheet.text,
            confidence=sure,
            sentences=tuple(sheet.sentences),
            citations=tuple(sheet.citations),
            missing=tuple(missing),
            conflicts=conflicts,
            notes=tuple(notes),
            signals=values,
        )

    def _refusal(
        self,
        draft: Draft,
        found: Found,
        sure: float,
        values: dict[str, float],
        text: str = "",
    ) -> Answer:
        text = text or f"The documents do not say: I found no answer to “{draft.standalone}”."
        hits = found.retrieved.hits
        titles = list(dict.fromkeys(heading(hit.title, hit.document) for hit in hits))[:_TITLES]
        if titles:
            text += f" The closest passages are in {_quoted(titles)}."
        return self._answer(draft, found, text=text, refused=True, confidence=sure, signals=values)

    def _about(self, draft: Draft) -> tuple[str, int, list[str]]:
        """What can be asked about: the collection's name, how many documents it holds, and a few
        titles of those within the scope."""
        name, count = "", len(draft.documents or ())
        held: Sequence[Document | StoredDocument] = draft.documents or ()
        if draft.documents is None and self._collection is not None:
            name, (count, _) = self._collection.name, self._collection.counts()
            held = self._collection.documents(draft.scope)
        return name, count, [heading(one.title, one.id) for one in held[:_TITLES]]

    def _talk(self, draft: Draft, text: str) -> Answer:
        """A friendly line: nothing was looked up, so there is nothing to cite."""
        return self._answer(draft, None, text=text, confidence=1.0)

    def _answer(self, draft: Draft, found: Found | None, **fields: Any) -> Answer:
        first = draft.first_token_s
        timings = Timings(
            retrieve_s=round(draft.retrieve_s, 4),
            first_token_s=None if first is None else round(first, 4),
            total_s=round(time.perf_counter() - draft.started, 4),
            prompt_tokens=draft.prompt_tokens,
            generated_tokens=draft.generated_tokens,
        )
        fields["confidence"] = round(fields["confidence"], 4)
        fields.setdefault("refused", False)
        if found is None:
            fields["embedder"] = self.settings.embedder
        else:
            retrieved = found.retrieved
            fields["passages"] = retrieved.hits
            fields["embedder"] = retrieved.embedder
            fields["collection"] = retrieved.collection
            fields["generation"] = retrieved.generation
        return Answer(
            question=draft.question,
            standalone_question=draft.standalone,
            timings=timings,
            model=draft.writer.name or self._named(),
            **fields,
        )


def _may_hold(reading: Reading) -> bool:
    """A why or a how may have no phrase that a source supports, and sentences that one does."""
    return not reading.kept and reading.signals["answerable"] >= 0.5


def _by(reading: Reading, reader: Reader, found: Found, written: Sequence[Proved]) -> Reading:
    """A reading whose phrase no source supports, judged by the sentences that were written."""
    text = " ".join(line.text for line, _ in written)
    return reader.weighed(found, reading.question, text, written, reading.record)


def _quoted(titles: Sequence[str]) -> str:
    return ", ".join(f"“{title}”" for title in titles)
