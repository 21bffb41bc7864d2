"""What a benchmark is made of: questions with gold, and samples (a question with its answer).

Plain frozen data that goes to JSON and back unchanged. Knows nothing of files, engines or metrics.
Offsets count code points in the document's text, half open, as everywhere in `rag.records`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rag.errors import InputError
from rag.records import Document

__all__ = ["Evidence", "Gold", "Question", "Sample", "Suite", "digest", "documents_digest"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span that supports the answer. `start` and `end` are None until the quote is located."""

    document: str
    quote: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Gold:
    """What a right reply looks like; each field is empty where a data set does not give it.

    `answers` are interchangeable. `items`, `claims` and `points` hold one list of variants for
    each thing asked, side of a conflict, or point of a summary. `complete` answers are all
    required, and `wrong` ones forbidden (RAMDocs). `evidence` has one tuple for each annotator.
    `documents` are the relevant documents, with grades (1 unless told) for nDCG.
    """

    answers: tuple[str, ...] = ()
    items: tuple[tuple[str, ...], ...] = ()
    claims: tuple[tuple[str, ...], ...] = ()
    points: tuple[tuple[str, ...], ...] = ()
    complete: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    evidence: tuple[tuple[Evidence, ...], ...] = ()
    documents: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold. `answerable` is None where neither answering nor refusing is right.

    `cluster` names what questions share (usually the source document): intervals resample whole
    clusters. `documents` holds the ids of the only documents to search, None for the collection.
    """

    id: str
    question: str
    gold: Gold = Gold()
    answerable: bool | None = True
    history: tuple[Mapping[str, str], ...] = ()
    documents: tuple[str, ...] | None = None
    cluster: str = ""
    type: str = ""
    split: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The question as plain lists and dictionaries."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Question:
        """The inverse of `to_dict`, after a round through JSON."""
        gold = dict(row["gold"])
        for name in ("items", "claims", "points"):
            gold[name] = tuple(tuple(variants) for variants in gold[name])
        for name in ("answers", "complete", "wrong"):
            gold[name] = tuple(gold[name])
        gold["evidence"] = tuple(
            tuple(Evidence(**span) for span in spans) for spans in gold["evidence"]
        )
        documents = row["documents"]
        return cls(
            **{
                **row,
                "gold": Gold(**gold),
                "history": tuple(row["history"]),
                "documents": None if documents is None else tuple(documents),
            }
        )

    def located(self, document: Callable[[str], Document]) -> Question:
        """The question with every quote of its gold turned into offsets.

        `document` returns a document by id. InputError where a quote is not in its document.
        """
        if all(e.start is not None for spans in self.gold.evidence for e in spans):
            return self
        found = tuple(
            tuple(_locate(self.id, e, document) for e in spans) for spans in self.gold.evidence
        )
        return dataclasses.replace(self, gold=dataclasses.replace(self.gold, evidence=found))


def _locate(question: str, evidence: Evidence, document: Callable[[str], Document]) -> Evidence:
    if evidence.start is not None:
        return evidence
    start = document(evidence.document).text.find(evidence.quote)
    if start < 0:
        raise InputError(
            f"question {question}, field quote: {evidence.quote[:60]!r} is not in "
            f"{evidence.document}; copy it from `footnote show`"
        )
    return dataclasses.replace(evidence, start=start, end=start + len(evidence.quote))


@dataclass(frozen=True, slots=True)
class Sample:
    """A question, and what a system made of it.

    `answer` is `rag.records.Answer.to_dict()` (its `confidence` None where the system gave none), or
    None in a run that only retrieves. `hits` are the
    retrieved passages, best first: `document`, `start`, `end`, `score`. `bm25` are those of the
    keyword floor, by document. Whatever differs between identical runs stands in a `timings`.
    """

    question: Question
    answer: Mapping[str, Any] | None = None
    hits: Sequence[Mapping[str, Any]] = ()
    bm25: Sequence[Mapping[str, Any]] = ()
    timings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The question's id: what samples are resumed and paired by."""
        return self.question.id

    def to_json(self) -> str:
        """One line of `samples.jsonl`, without the line end."""
        row = {
            "id": self.id,
            "question": self.question.to_dict(),
            "answer": self.answer,
            "hits": list(self.hits),
            "bm25": list(self.bm25),
            "timings": dict(self.timings),
        }
        return json.dumps(row, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Sample:
        """The inverse of `to_json`; ValueError, KeyError or TypeError for anything else."""
        row = json.loads(line)
        question = Question.from_dict(row["question"])
        return cls(question, row["answer"], row["hits"], row["bm25"], row["timings"])


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark, ready to run.

    `documents` are the texts in memory. `folder` is a folder to index instead, and `collection` the
    name of one that is built already. `pooled` says whether questions search all documents
    together. `retrieval` suites have no answers: no generator is loaded. `headline` names the
    metrics to show first. `caveats` are printed under every table.
    """

    name: str
    questions: tuple[Question, ...]
    documents: tuple[Document, ...] = ()
    folder: str | None = None
    collection: str | None = None
    pooled: bool = True
    retrieval: bool = False
    style: Literal["full", "short"] = "full"
    headline: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()


def digest(value: Any) -> str:
    """SHA-256 (hex) of anything that JSON can hold, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def documents_digest(documents: Iterable[Document]) -> str:
    """SHA-256 (hex) over ids, titles, dates and texts, in the order given."""
    total = hashlib.sha256()
    for document in documents:
        total.update(digest([document.id, document.title, document.date, document.text]).encode())
    return total.hexdigest()
