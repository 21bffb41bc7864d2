"""The collections of this machine and one model, for one person: what a server without accounts needs.

Answers are written one at a time; searching and showing don't wait for them. Knows no protocol.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, cast

from rag.assistant import Assistant, Finished
from rag.backend import backend
from rag.collection import Collection
from rag.draft import Event
from rag.embed import Embedder, load_embedder
from rag.errors import InputError, RagError
from rag.generate import Generator as Model
from rag.generate import load_generator
from rag.prompt import Style
from rag.records import Answer, Document, Hit
from rag.scope import Scope
from rag.settings import Settings
from rag.store import StoredDocument
from ui.embedding import SharedEmbedder

__all__ = ["Shelf"]

_log = logging.getLogger(__name__)


class Shelf:
    """Safe to use from any thread. `embedder` and `model` stand in for those that `settings` name.

    Every method that takes the name of a collection (None: the one that `settings` name) raises
    InputError where there is none, and CollectionError where it is damaged.
    """

    def __init__(
        self, settings: Settings, embedder: Embedder | None = None, model: Model | None = None
    ) -> None:
        self.settings = settings
        self._embedder = SharedEmbedder(lambda: embedder or self._load_embedder())
        self._given = model
        self._kept = backend(settings)
        # Collections are used by one thread at a time: those that answer are not those that show.
        self._answering, self._reading = threading.Lock(), threading.Lock()
        # Libraries as large as these break when two threads import them at once.
        self._loading = threading.Lock()
        self._open: dict[tuple[str, str], tuple[tuple[int, int], Collection]] = {}

    def load(self) -> None:
        """Load the models, so that the first question need not wait. What fails is told again then."""
        try:
            _ = self._embedder.dimensions, self._model()
        except RagError as error:
            _log.warning("footnote: %s", error)

    def close(self) -> None:
        """Close every collection."""
        with self._answering, self._reading:
            for _, collection in self._open.values():
                collection.close()
            self._open.clear()

    def names(self) -> list[str]:
        """Of all collections, in order."""
        return self._kept.names()

    def counts(self, name: str) -> tuple[int, int]:
        """How many documents and passages a collection has."""
        with self._reading:
            return self._collection(name, "read").counts()

    def documents(self, name: str | None) -> list[StoredDocument]:
        """A collection's documents, without their text."""
        with self._reading:
            return self._collection(name, "read").documents()

    def document(self, name: str | None, document: str) -> Document:
        """One of them with its text.

        Raises:
            InputError: there is no such document.
        """
        with self._reading:
            return self._collection(name, "read").document(document)

    def search(self, question: str, name: str | None, k: int, scope: Scope | None) -> list[Hit]:
        """The `k` best passages."""
        with self._reading:
            return self._collection(name, "read").search(question, k, scope)

    def ask(
        self,
        question: str,
        name: str | None,
        style: Style | None,
        scope: Scope | None,
        told: Callable[[Event], None],
    ) -> Answer:
        """The answer. `told` is given every event; what it raises stops the model.

        Raises:
            ModelError: the model can't be opened or reached.
        """
        model = self._model()
        with self._answering:
            assistant = Assistant(self._collection(name, "answer"), self.settings, model)
            stream = assistant.stream(question, style=style, scope=scope)
            with closing(cast("Generator[Any, None, None]", stream)) as events:
                for event in events:
                    told(event)
                    if isinstance(event, Finished):
                        return event.answer
        raise AssertionError("a stream ends with Finished")

    def _load_embedder(self) -> Embedder:
        with self._loading:
            return load_embedder(self.settings)

    def _model(self) -> Model:
        with self._loading:
            return self._loaded

    @functools.cached_property
    def _loaded(self) -> Model:
        return self._given or load_generator(self.settings)

    def _collection(self, name: str | None, use: str) -> Collection:
        """A collection, opened anew where it was made anew. The lock of its `use` is held."""
        name = name or self.settings.collection
        identity = self._identity(name)
        held = self._open.pop((name, use), None)
        if held and held[0] != identity:
            held[1].close()
            held = None
        if held is None:
            settings = self.settings.model_copy(update={"collection": name})
            # As good as one, though its attributes can't be set.
            embedder = cast(Embedder, self._embedder)
            held = identity, Collection.open(name, settings, embedder=embedder)
        self._open[name, use] = held
        return held[1]

    def _identity(self, name: str) -> tuple[int, int]:
        if name not in (names := self.names()):
            known = f"use one of {', '.join(names)}" if names else "'footnote index' makes one"
            raise InputError(f"there is no collection '{name}': {known}")
        return self._kept.identity(name) or (0, 0)  # gone in this moment: opening it says so
