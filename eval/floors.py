"""Systems that need no model, scored beside every run: what a number is worth without trying.

A floor turns a sample into the sample that it would have produced. It knows no metric.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eval.records import Sample
from rag.records import Answer

__all__ = ["FLOORS", "Floor", "plain_answer"]

Documents = Mapping[str, str]


def plain_answer(
    sample: Sample, text: str, spans: Sequence[Mapping[str, Any]], documents: Documents
) -> dict[str, Any]:
    """An answer in the form of `Answer.to_dict()` that says `text` and cites whole `spans`.

    Its confidence is None: nothing here says how sure it is.
    """
    question = sample.question.question
    citations = [
        {
            "marker": marker,
            "document": span["document"],
            "title": "",
            "date": None,
            "page": None,
            "start": span["start"],
            "end": span["end"],
            "quote": documents.get(span["document"], "")[span["start"] : span["end"]],
        }
        for marker, span in enumerate(spans, start=1)
    ]
    sentences = [
        {"text": text, "status": "supported", "citations": [c["marker"] for c in citations]}
    ]
    answer = Answer(question, question, text, refused=not text, confidence=0.0).to_dict()
    return answer | {
        "confidence": None,
        "sentences": sentences if text else [],
        "citations": citations,
    }


def abstain(sample: Sample, documents: Documents) -> Sample | None:
    """Refuse everything."""
    return dataclasses.replace(sample, answer=plain_answer(sample, "", (), documents))


def copy_top(sample: Sample, documents: Documents) -> Sample | None:
    """Answer with the best passage, and cite it."""
    return _copy(sample, sample.hits[:1], documents)


def everything(sample: Sample, documents: Documents) -> Sample | None:
    """Answer with all passages (all documents, where the question brings them); cite them."""
    given = sample.question.documents
    spans: Sequence[Mapping[str, Any]] = sample.hits
    if given is not None:
        spans = [{"document": d, "start": 0, "end": len(documents[d])} for d in given]
    return _copy(sample, spans, documents)


def _copy(
    sample: Sample, spans: Sequence[Mapping[str, Any]], documents: Documents
) -> Sample | None:
    texts = [documents[span["document"]][span["start"] : span["end"]] for span in spans]
    answer = plain_answer(sample, "\n".join(texts), spans, documents)
    return dataclasses.replace(sample, answer=answer)


def bm25(sample: Sample, documents: Documents) -> Sample | None:
    """Whole documents by keywords alone."""
    return dataclasses.replace(sample, answer=None, hits=sample.bm25) if sample.bm25 else None


def all_documents(sample: Sample, documents: Documents) -> Sample | None:
    """Retrieve all characters of the gold documents: what recall is worth without precision."""
    names = dict.fromkeys(e.document for spans in sample.question.gold.evidence for e in spans)
    hits = [{"document": name, "start": 0, "end": len(documents[name])} for name in names]
    return dataclasses.replace(sample, hits=hits) if hits else None


@dataclasses.dataclass(frozen=True, slots=True)
class Floor:
    """A floor's name, what it does, and the metrics that it makes sense for: groups and prefix."""

    name: str
    groups: tuple[str, ...]
    make: Callable[[Sample, Documents], Sample | None]
    prefix: str = ""


_ANSWERS = ("answers", "citations", "refusal")
FLOORS = (
    Floor("always abstain", _ANSWERS, abstain),
    Floor("copy the top passage", _ANSWERS, copy_top),
    Floor("return everything", _ANSWERS, everything),
    Floor("BM25 only", ("retrieval",), bm25),
    Floor("whole gold documents", ("retrieval",), all_documents, "span_"),
)
