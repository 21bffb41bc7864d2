"""Suites turned into what is asked under a condition: which documents each question may search.

    given      the gold documents: what reading alone can do
    closed     no document at all: what the model knows, or guesses
    removed    the nearest documents without the gold ones: there is no answer any more
    off_topic  the nearest documents of other titles: nothing there is even about the subject

`removed` and `off_topic` make every question unanswerable, so that refusing can be measured on any
suite with gold documents. Their texts are chosen here, from one search of the whole pool; the engine
then searches those alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from eval.engine import Engine
from eval.metrics.text import contains
from eval.records import Gold, Suite
from rag.errors import InputError
from rag.records import Document

__all__ = ["CONDITIONS", "DEPTH", "UNANSWERABLE", "given", "pool_of", "unanswerable"]

CONDITIONS = ("retrieved", "given", "closed", "removed", "off_topic")
UNANSWERABLE = {"removed": 5, "off_topic": 6}  # how many documents a question gets
DEPTH = 300  # passages searched: more than one article holds, so others are among them

_CAVEATS = {
    "removed": (
        "Condition removed: each question searches the {size} nearest documents of the pool "
        "without its own and gold ones, and should be refused. {left_out} questions were left out "
        "because a gold answer still stood in those texts, or no texts were left. A text that "
        "answers in other words counts as no answer, so a right refusal may be scored right for a "
        "wrong reason and an answer wrong for none; long gold answers hide this most."
    ),
    "off_topic": (
        "Condition off_topic: each question searches the {size} nearest documents whose title is "
        "not that of its own documents, and should be refused. The texts are chosen once from the "
        "pool and then searched alone. {left_out} questions were left out because a gold answer "
        "stood in those texts, or no texts were left."
    ),
}


def given(suite: Suite) -> Suite:
    """Only the gold documents for each question; questions without any are left out."""
    questions = tuple(
        dataclasses.replace(question, documents=tuple(question.gold.documents))
        for question in suite.questions
        if question.gold.documents
    )
    return dataclasses.replace(suite, questions=questions)


def pool_of(suite: Suite) -> Suite:
    """The suite as its pool is searched: under a name of its own where passages come singly."""
    if suite.pooled:
        return suite
    return dataclasses.replace(suite, name=f"{suite.name}-pool", pooled=True)


def unanswerable(suite: Suite, condition: str, pool: Engine) -> Suite:
    """The questions with gold documents, each over texts of `pool` that don't answer it.

    InputError where no question is left.
    """
    size = UNANSWERABLE[condition]
    known = {document.id: document for document in suite.documents}
    asked = [question for question in suite.questions if question.gold.documents]
    kept = []
    for question in asked:
        own = {*question.gold.documents, *(question.documents or ())}
        banned = _Banned((_found(name, known, pool) for name in own), condition == "off_topic")
        nearest = (
            _found(hit.document, known, pool) for hit in pool.search(question.question, DEPTH)
        )
        texts: dict[str, Document] = {}
        for document in nearest:
            if len(texts) < size and document not in banned:
                texts[document.id] = document
        answers = tuple(_phrases(question.gold))
        if texts and not any(contains(d.text, answers) for d in texts.values()):
            kept.append(
                dataclasses.replace(question, gold=Gold(), answerable=False, documents=tuple(texts))
            )
    if not kept:
        raise InputError(
            f"suite {suite.name} has no question left under {condition}: it takes gold documents, "
            "and others beside them"
        )
    caveat = _CAVEATS[condition].format(size=size, left_out=len(asked) - len(kept))
    return dataclasses.replace(
        suite,
        questions=tuple(kept),
        headline=("refused", "right"),
        caveats=(*suite.caveats, caveat),
    )


class _Banned:
    """What a question must not see: its own documents, copies of them and, if told, their titles."""

    def __init__(self, own: Iterable[Document], titles: bool) -> None:
        documents = tuple(own)
        self._ids = {document.id for document in documents}
        self._texts = {document.text for document in documents}
        self._titles = {d.title for d in documents if d.title} if titles else set()

    def __contains__(self, document: Document) -> bool:
        return (
            document.id in self._ids
            or document.text in self._texts
            or document.title in self._titles
        )


def _found(name: str, known: dict[str, Document], pool: Engine) -> Document:
    return known[name] if name in known else pool.document(name)


def _phrases(gold: Gold) -> Iterable[str]:
    """Every wording of every right answer."""
    yield from gold.answers
    yield from gold.complete
    for things in (gold.items, gold.claims, gold.points):
        for variants in things:
            yield from variants
