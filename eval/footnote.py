"""Footnote as an engine of the bench: a collection named after its content, and an assistant.

The generator is loaded at the first question that the cache does not hold.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eval.others import looks_refused
from eval.records import Question, Suite, digest, documents_digest
from rag.assistant import Assistant
from rag.collection import Collection, Progress
from rag.embed import Embedder
from rag.errors import InputError
from rag.generate import Generation, Generator
from rag.prompt import Style
from rag.records import Answer, Document, Hit, Timings
from rag.settings import Settings

__all__ = ["RagEngine", "code_version"]

# What decides neither an answer nor a ranking, or must not be written down.
_NOT_RECORDED = {"indexes", "cache", "collection", "threads"} | {
    name
    for name in Settings.model_fields
    if name.startswith("endpoint_") and name not in ("endpoint_extra", "endpoint_failover")
}
# What a stored collection depends on.
_OF_THE_INDEX = ("embedder", "chunk_tokens", "whole_documents")

_CLOSED_BOOK = {
    "short": "Answer with the shortest exact phrase, or say: I don't know.",
    "full": "Answer in one to three sentences, or say: I don't know.",
}


class RagEngine:
    """Footnote over a suite's documents, kept as a collection named after their content."""

    def __init__(
        self,
        suite: Suite,
        settings: Settings,
        indexing: Progress = lambda done, of: None,
        *,
        embedder: Embedder | None = None,
        generator: Generator | None = None,
    ) -> None:
        """Open or build the collection; `indexing` is told of documents done and to do.

        `embedder` and `generator` take the place of what `settings` name.
        """
        self.settings = settings
        self._embedder, self._generator = embedder, generator
        self._content = _content(suite)
        self._code = code_version()  # before indexing, which takes long enough for a change
        self._assistant: Assistant | None = None
        self.collection = self._open(suite, indexing)

    def _open(self, suite: Suite, indexing: Progress) -> Collection:
        if suite.collection is not None:
            return Collection.open(suite.collection, self.settings, embedder=self._embedder)
        depends = [self._content, *(getattr(self.settings, name) for name in _OF_THE_INDEX)]
        name = f"eval-{suite.name}-{digest(depends)[:10]}"
        collection = Collection.open(name, self.settings, create=True, embedder=self._embedder)
        if suite.folder is not None:
            failed = collection.update(Path(suite.folder), indexing).failed
            if failed:
                collection.close()
                first = f"{failed[0]['path']}: {failed[0]['error']}"
                raise InputError(
                    f"{len(failed)} files of {suite.folder} can't be read, first {first}"
                )
        elif suite.pooled:
            collection.put(suite.documents, suite.name, indexing)
        return collection

    def describe(self) -> dict[str, Any]:
        """Settings (without paths and keys), a hash of the code, and the collection."""
        return {
            "settings": self.settings.model_dump(mode="json", exclude=_NOT_RECORDED),
            "code": self._code,
            "content": self._content,
            "generation": self.collection.generation,
        }

    def search(self, question: str, k: int) -> Sequence[Hit]:
        """The best `k` passages; loads the embedder only."""
        return self.collection.search(question, k)

    def ask(self, question: Question, documents: Sequence[Document] | None, style: Style) -> Answer:
        """Ask the assistant as the command line would."""
        return self._loaded().ask(
            question.question,
            history=[dict(turn) for turn in question.history],
            documents=documents,
            style=style,
        )

    def closed_book(self, question: Question, style: Style) -> Answer:
        """Ask the model alone, without any document. The confidence of such an answer is unknown."""
        generator = self._loaded().generator
        asked = question.question
        messages = [dict(turn) for turn in question.history]
        messages.append({"role": "user", "content": f"{_CLOSED_BOOK[style]}\n\n{asked}"})
        told = Generation()
        started = time.perf_counter()
        text = "".join(generator.stream(messages, self.settings.max_new_tokens, told)).strip()
        timings = Timings(
            first_token_s=told.first_token_s,
            total_s=time.perf_counter() - started,
            prompt_tokens=told.prompt_tokens,
            generated_tokens=told.generated_tokens,
        )
        refused = looks_refused(text)
        return Answer(
            asked, asked, text or "(nothing)", refused, 0.0, timings=timings, model=generator.name
        )

    def _loaded(self) -> Assistant:
        if self._assistant is None:
            self._assistant = Assistant(self.collection, self.settings, self._generator)
        return self._assistant

    def document(self, identifier: str) -> Document:
        """A document of the collection."""
        return self.collection.document(identifier)

    def documents(self) -> Iterable[Document]:
        """All documents of the collection."""
        return (self.collection.document(stored.id) for stored in self.collection.documents())

    def close(self) -> None:
        """Close the collection."""
        self.collection.close()


def _content(suite: Suite) -> str:
    """What stands in a suite's documents, as a hash; the name for a collection built already."""
    if suite.collection is not None:
        return suite.collection
    if suite.folder is None:
        return documents_digest(suite.documents)
    folder = Path(suite.folder)
    files = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.is_file())
    return digest(
        [[p.relative_to(folder).as_posix(), _sha256(p)] for p in files] + [folder.resolve().name]
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def code_version() -> str:
    """A hash over the library's files: prompts, retrieval, checks and fitted weights all count."""
    root = Path(inspect.getfile(Settings)).parent
    files = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digest([[p.relative_to(root).as_posix(), _sha256(p)] for p in files])[:16]
