"""The only wiring: a question becomes an `Answer`. Reads like the list of stages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rag import decide
from rag.attribute import Support, attribute
from rag.collection import Collection, Retrieved
from rag.errors import InputError
from rag.evidence import Evidence, SourceSentence, choose, source_sentences
from rag.followup import leans_on_history
from rag.generate import Generation, Generator, Message, generator_name, load_generator
from rag.prompt import Style, answer_messages, rewrite_messages
from rag.records import Answer, AnswerSentence, Citation, Document, Timings
from rag.sentences import sentence_spans
from rag.settings import Settings

__all__ = ["Assistant", "Finished", "Stage", "Token"]

_LONGEST_QUESTION = 4000
_SHORT_TOKENS = 40
_REWRITE_TOKENS = 80
_OWN_MARKERS = re.compile(
    r"\s*(\[\d+(?:\s*,\s*\d+)*\]|[(<]sources?\s*\d+[^)>]*[)>]|</?source[^>]*>)", re.IGNORECASE
)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")


@dataclass(frozen=True, slots=True)
class Stage:
    """What is being done now: "searching", "reading", "writing" or "checking"."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer as the model writes it, unchecked."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The checked answer: the last event of a stream."""

    answer: Answer


Event = Stage | Token | Finished
Line = tuple[str, bool]
"""A sentence of the model's, and whether it is a list item."""


@dataclass(slots=True)
class _Draft:
    """A question on its way to an answer."""

    question: str
    standalone: str
    style: Style
    started: float
    retrieve_s: float = 0.0
    generation: Generation = field(default_factory=Generation)
    first_token_s: float | None = None
    earlier_tokens: int = 0

    def write_again(self) -> None:
        """Drop what was written and go on in short style."""
        self.first_token_s = self.generation.first_token_s
        self.earlier_tokens = self.generation.generated_tokens
        self.generation = Generation()
        self.style = "short"


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

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        documents: Sequence[Document] | None = None,
        style: Style | None = None,
    ) -> Answer:
        """Answer a question.

        `history` holds earlier turns, oldest first; `documents`, where given, are searched instead of
        the collection.

        Raises:
            InputError: the question is empty or too long.
            ModelError: the model can't be opened or reached.
        """
        for event in self.stream(question, history=history, documents=documents, style=style):
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
    ) -> Iterator[Event]:
        """The same in steps. Closing the iterator stops the model."""
        if not question.strip():
            raise InputError("the question is empty: ask something")
        if len(question) > _LONGEST_QUESTION:
            raise InputError(f"the question has over {_LONGEST_QUESTION} characters: shorten it")
        # A lone surrogate, as a terminal may pass on, fits neither a model nor JSON.
        question = question.strip().encode("utf-8", "replace").decode()
        draft = _Draft(question, question, style or self.settings.style, time.perf_counter())
        if history and leans_on_history(question):
            yield Stage("understanding")
            draft.standalone = self._rewrite(question, history)
        yield Stage("searching")
        found = self._retrieve(draft.standalone, documents)
        draft.retrieve_s = time.perf_counter() - draft.started
        sentences = source_sentences(found.candidates, draft.standalone, found.vector)
        values = decide.search_signals(draft.standalone, found.candidates, sentences)
        belongs = decide.confidence(values, "search")
        if not sentences or belongs < self.settings.search_gate:
            yield Finished(self._refusal(draft, found, 1 - belongs, values))
            return
        evidence = choose(sentences, self.settings.evidence_tokens, found.count)
        yield Stage("reading", str(len(found.candidates)))
        yield Stage("writing")
        yield from self._write(draft, evidence)
        yield Stage("checking")
        kept, lines = _prove(draft, sentences)
        if draft.style == "full" and not kept:
            # A phrase is what a small model is best at: ask once more, for the shortest answer.
            yield Stage("writing", "again")
            draft.write_again()
            yield from self._write(draft, evidence)
            kept, lines = _prove(draft, sentences)
        yield Finished(self._check(draft, found, sentences, kept, lines))

    def _write(self, draft: _Draft, evidence: Sequence[Evidence]) -> Iterator[Event]:
        """Let the model write, in the draft's style."""
        messages = answer_messages(draft.standalone, evidence, draft.style)
        limit = _SHORT_TOKENS if draft.style == "short" else self.settings.max_new_tokens
        for piece in self.generator.stream(messages, limit, draft.generation):
            yield Token(piece)

    def _rewrite(self, question: str, history: Sequence[Message]) -> str:
        record = Generation()
        for _ in self.generator.stream(
            rewrite_messages(question, history), _REWRITE_TOKENS, record
        ):
            pass
        rewritten = " ".join(record.text.split()).strip('"')
        return rewritten if 3 <= len(rewritten) <= _LONGEST_QUESTION else question

    def _retrieve(self, question: str, documents: Sequence[Document] | None) -> Retrieved:
        if documents is None:
            if self._collection is None:
                raise InputError("there is no collection to search: name one, or give documents")
            return self._collection.retrieve(question)
        if self._scratch is None:
            embedder = self._collection.embedder if self._collection else None
            self._scratch = Collection.temporary([], self.settings, embedder=embedder)
        self._scratch.put(documents, "given")
        # How often the scratch collection has been filled is no property of the answer.
        return replace(self._scratch.retrieve(question), collection="", generation=0)

    def _check(
        self,
        draft: _Draft,
        found: Retrieved,
        sentences: Sequence[SourceSentence],
        kept: Sequence[tuple[Line, Support]],
        lines: Sequence[Line],
    ) -> Answer:
        """Weigh the proved lines (`kept`, of `lines`) and put the answer together."""
        values = decide.signals(
            draft.standalone,
            " ".join(text for text, _ in lines),
            found.candidates,
            sentences,
            [support for _, support in kept],
            draft.generation.logprobs,
        )
        sure = decide.confidence(values)
        if not kept or sure < self.settings.refuse_below:
            return self._refusal(draft, found, 1 - sure, values)
        citations: list[Citation] = []
        checked: list[AnswerSentence] = []
        shown: list[str] = []
        for (text, bullet), support in kept:
            markers = _cite(support, citations)
            checked.append(AnswerSentence(text, support.status, markers))
            shown.append(("\n- " if bullet else " ") + _with_markers(text, markers))
        return self._answer(
            draft,
            found,
            text="".join(shown).strip(),
            confidence=sure,
            sentences=tuple(checked),
            citations=tuple(citations),
            signals=values,
        )

    def _refusal(
        self, draft: _Draft, found: Retrieved, sure: float, values: dict[str, float]
    ) -> Answer:
        text = f"The documents do not say: I found no answer to “{draft.standalone}”."
        titles = list(dict.fromkeys(hit.title or hit.document for hit in found.hits))[:3]
        if titles:
            text += (
                " The closest passages are in " + ", ".join(f"“{title}”" for title in titles) + "."
            )
        return self._answer(draft, found, text=text, refused=True, confidence=sure, signals=values)

    def _answer(self, draft: _Draft, found: Retrieved, **fields: Any) -> Answer:
        record = draft.generation
        shift = draft.retrieve_s
        first = draft.first_token_s or record.first_token_s
        timings = Timings(
            retrieve_s=round(draft.retrieve_s, 4),
            first_token_s=None if first is None else round(first + shift, 4),
            total_s=round(time.perf_counter() - draft.started, 4),
            prompt_tokens=record.prompt_tokens,
            generated_tokens=draft.earlier_tokens + record.generated_tokens,
        )
        fields["confidence"] = round(fields["confidence"], 4)
        fields.setdefault("refused", False)
        return Answer(
            question=draft.question,
            standalone_question=draft.standalone,
            passages=found.hits,
            timings=timings,
            model=self._generator.name if self._generator else generator_name(self.settings),
            embedder=found.embedder,
            collection=found.collection,
            generation=found.generation,
            **fields,
        )


def _prove(
    draft: _Draft, sentences: Sequence[SourceSentence]
) -> tuple[list[tuple[Line, Support]], list[Line]]:
    """The lines of the draft that a source supports, with their support; and all of its lines.

    What no source supports is not shown as fact; a line that repeats another is shown once.
    """
    lines = _lines(draft.generation.text, draft.style)
    kept = [
        (line, support)
        for line in dict.fromkeys(lines)
        if (support := attribute(line[0], draft.standalone, sentences)).status != "unsupported"
    ]
    return kept, lines


def _lines(text: str, style: Style) -> list[Line]:
    """The model's text as lines, without its own markers."""
    text = _OWN_MARKERS.sub("", text).strip()
    if style == "short":
        phrase = text.split("\n", 1)[0].strip().strip("\"'“”").removesuffix(".")
        return [(phrase, False)] if phrase else []
    found: list[Line] = []
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        opens_line = not text[:start].rpartition("\n")[2].strip()
        bullet = bool(_BULLET.match(sentence)) and opens_line
        sentence = (
            " ".join(_BULLET.sub("", sentence).split()) if bullet else " ".join(sentence.split())
        )
        if re.search(r"\w", sentence):
            found.append((sentence, bullet))
    if len(found) == 1:
        return [(found[0][0], False)]
    return found


def _cite(support: Support, citations: list[Citation]) -> tuple[int, ...]:
    """Markers for a sentence's sources; a span that is cited already keeps its marker."""
    markers: list[int] = []
    for source in support.sources:
        span = (source.document, source.start, source.end)
        known = next((c.marker for c in citations if (c.document, c.start, c.end) == span), None)
        if known is None:
            known = len(citations) + 1
            citations.append(
                Citation(
                    known,
                    source.document,
                    source.title,
                    source.date,
                    source.page,
                    *span[1:],
                    source.text,
                )
            )
        markers.append(known)
    return tuple(sorted(markers))


def _with_markers(text: str, markers: Sequence[int]) -> str:
    shown = "".join(f"[{marker}]" for marker in markers)
    if not shown:
        return text
    body = text.rstrip(".!?")
    return f"{body} {shown}{text[len(body) :]}"
