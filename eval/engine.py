"""The seam between the bench and what it measures. A test scripts an engine in twenty lines;
`footnote.py` is the real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from eval.records import Question
from rag.prompt import Style
from rag.records import Answer, Document, Hit

__all__ = ["Engine"]


class Engine(Protocol):
    """What is measured."""

    def describe(self) -> dict[str, Any]:
        """All that decides the answers: settings, code, collection. Goes into the cache's key."""

    def search(self, question: str, k: int) -> Sequence[Hit]:
        """The best `k` passages of the collection."""

    def ask(self, question: Question, documents: Sequence[Document] | None, style: Style) -> Answer:
        """Answer from the collection, or from `documents` alone."""

    def closed_book(self, question: Question, style: Style) -> Answer:
        """Answer without any document: what the model knows, or guesses, by itself."""

    def document(self, identifier: str) -> Document:
        """A document of the collection."""

    def documents(self) -> Iterable[Document]:
        """All of them."""

    def close(self) -> None:
        """Let go of files and models."""
