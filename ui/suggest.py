"""Questions to begin with, made from a collection's own passages while nobody asks anything.

The model writes a question that a passage answers, then answers it like any other; a question that it
refuses, or whose answer is not fully supported, is dropped. So what the welcome offers is answered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, cast

from rag.assistant import Assistant, Finished
from rag.collection import Collection
from rag.generate import Generation
from rag.records import Answer, Document
from rag.sentences import sentence_spans
from rag.words import content_stems
from ui.database import Database

__all__ = ["Suggestions"]

_WANTED = 4
_TRIES = 12  # passages that are tried for a collection as long as its documents stay the same
_PASSAGE = 500  # code points of a document that the model makes a question from
_LONGEST = 110  # code points of a question

_SCHEMA = """
CREATE TABLE IF NOT EXISTS suggestions (
    collection TEXT NOT NULL, document TEXT NOT NULL, start INTEGER NOT NULL, question TEXT NOT NULL,
    PRIMARY KEY (collection, document, start)
);
"""
_ASK = (
    "Here is a passage from a document. Write one short question that a colleague could ask and "
    "that the passage answers with a fact. Name what it is about; say nothing of the passage or "
    "the document itself. Write the question alone.\n\n"
)

# The sample documents, known before any model has run. Used where they are what is asked about.
_SAMPLES = {
    "budapest-memorandum.md": "What was Ukraine promised in the Budapest Memorandum?",
    "capability-coalitions.docx": "Which countries lead the demining coalition?",
    "trump-era-brief.pdf": "Who is the president of the United States?",
    "minsk-report.pdf": "Why did the Minsk agreements fail?",
}


class Suggestions:
    """Made questions are kept in the database; `step` makes one more of those that are `wanted`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def of(self, collection: Collection) -> tuple[str, ...]:
        """Up to four questions whose documents are still there."""
        there = {one.id for one in collection.documents()}
        rows = self._database.rows(
            "SELECT document, question FROM suggestions WHERE collection = ? AND question != '' "
            "ORDER BY rowid",
            (collection.name,),
        )
        made = list(dict.fromkeys(row["question"] for row in rows if row["document"] in there))
        if not made and _SAMPLES.keys() <= there:
            made = list(_SAMPLES.values())
        return tuple(made[:_WANTED])

    def forget(self, collection: str) -> None:
        """Drop what was made for a collection."""
        self._database.run("DELETE FROM suggestions WHERE collection = ?", (collection,))

    def step(
        self, collection: Collection, assistant: Assistant, interrupted: Callable[[], bool]
    ) -> bool:
        """Try one passage; False where there is nothing (more) to make.

        Stops within a token of `interrupted`; what was not finished is tried again later.
        """
        place = self._next_place(collection)
        if place is None:
            return False
        document, start = place
        text = document.text[start : start + _PASSAGE]
        said = _said(assistant, text, interrupted)
        if said is None:
            return True
        question = _clean(said)
        if question:
            answer = _answered(assistant, question, interrupted)
            if answer is None:
                return True
            question = question if _good(answer, document.id) else ""
        self._database.run(
            "INSERT OR REPLACE INTO suggestions VALUES (?, ?, ?, ?)",
            (collection.name, document.id, start, question),
        )
        return True

    def _next_place(self, collection: Collection) -> tuple[Document, int] | None:
        """A document not tried yet and where its passage begins; in an order that looks random."""
        names = [one.id for one in collection.documents()]
        rows = self._database.rows(
            "SELECT document, question FROM suggestions WHERE collection = ?", (collection.name,)
        )
        tried = {row["document"] for row in rows} & set(names)
        made = sum(bool(row["question"]) for row in rows if row["document"] in tried)
        left = sorted(set(names) - tried, key=lambda one: hashlib.sha256(one.encode()).digest())
        samples = _SAMPLES.keys() <= set(names)
        if samples or made >= _WANTED or len(tried) >= _TRIES or not left:
            return None
        document = collection.document(left[0])
        return document, _densest(document)


def _densest(document: Document) -> int:
    """The start of the sentence after which, within a passage, most names and numbers stand."""
    starts = [start for start, _ in sentence_spans(document.text[:20_000])] or [0]

    def facts(start: int) -> int:
        return len(re.findall(r"\b[A-Z][a-z]+|\d+", document.text[start : start + _PASSAGE]))

    return max(starts, key=facts)


def _said(assistant: Assistant, passage: str, interrupted: Callable[[], bool]) -> str | None:
    """What the model makes of a passage; None where it was interrupted."""
    record = Generation()
    messages = [{"role": "user", "content": _ASK + passage}]
    stream = cast("Any", assistant.generator.stream(messages, 40, record))
    with closing(stream) as pieces:
        for _ in pieces:
            if interrupted():
                return None
    return record.text


def _answered(
    assistant: Assistant, question: str, interrupted: Callable[[], bool]
) -> Answer | None:
    """The answer to a question; None where it was interrupted."""
    events: Iterator[Any] = assistant.stream(question)
    with closing(cast("Any", events)) as stream:
        for event in stream:
            if interrupted():
                return None
            if isinstance(event, Finished):
                return event.answer
    return None


def _clean(text: str) -> str:
    """The question alone; "" where what was written is none."""
    line = text.strip().splitlines()[0].strip(" \"'*") if text.strip() else ""
    fit = line.endswith("?") and len(line) <= _LONGEST and len(content_stems(line)) >= 2
    about_itself = re.search(
        r"\b(?:passage|document|text|author|mentioned|according)\b", line, re.I
    )
    return line if fit and not about_itself else ""


def _good(answer: Answer, document: str) -> bool:
    """Answered whole, every sentence supported, and from the document that it was made of."""
    cited: Sequence[str] = [one.document for one in answer.citations]
    return (
        not answer.refused
        and not answer.missing
        and bool(answer.sentences)
        and all(one.status == "supported" for one in answer.sentences)
        and document in cited
    )
