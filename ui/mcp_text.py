"""Answers and passages as text for a model that called a tool. Pure.

Every line that a document wrote stands behind "> ", so that no document can end its own quotation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.records import Answer, Citation, Document, Hit

__all__ = ["answer_text", "document_text", "hits_text", "line"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def answer_text(answer: Answer) -> str:
    """The answer, what it lacks, where sources differ, and each citation with its quotation."""
    parts = [answer.text]
    if answer.refused:
        parts.append("The documents hold no answer; do not make one up from them.")
    parts += [f"Not in the documents: {line(one)}" for one in answer.missing]
    for conflict in answer.conflicts:
        sides = [
            f"- {line(claim.text)} {''.join(f'[{marker}]' for marker in claim.citations)}"
            for claim in conflict.claims
        ]
        parts.append("\n".join([f"Sources differ about “{line(conflict.about)}”:", *sides]))
    parts += answer.notes
    parts += [f"[{one.marker}] {_where(one)}:\n{_quoted(one.quote)}" for one in answer.citations]
    said = "The answer was withheld" if answer.refused else "Confidence"
    parts.append(f"{said}: {answer.confidence:.0%}. Written by {line(answer.model)}.")
    return "\n\n".join(parts)


def hits_text(hits: Sequence[Hit]) -> str:
    """Passages, best first."""
    if not hits:
        return "Nothing was found."
    return "\n\n".join(f"{one.rank}. {_where(one)}:\n{_quoted(one.text)}" for one in hits)


def document_text(document: Document, start: int, end: int) -> str:
    """Characters `start..end` of a document."""
    size = len(document.text)
    head = f"{line(document.id)} (“{line(document.title)}”), characters {start}-{end} of {size}"
    rest = f"\n\nThe rest begins at {end}." if end < size else ""
    return f"{head}:\n{_quoted(document.text[start:end])}{rest}"


def line(text: str) -> str:
    """Text from elsewhere on one line."""
    return " ".join(_CONTROL.sub(" ", text).split())


def _where(item: Hit | Citation) -> str:
    page = f", page {item.page}" if item.page else ""
    date = f", {line(item.date)}" if item.date else ""
    title = f" (“{line(item.title)}”)" if item.title else ""
    return f"{line(item.document)}{title}{date}{page}, characters {item.start}-{item.end}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line(row)}" for row in text.splitlines())
