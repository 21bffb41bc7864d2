"""Where collections are kept, and what a collection needs of that: the seam between stores.

Files under `settings.indexes` (SQLite and FAISS) unless `settings.store` is a database's address. A
store keeps generations: what is staged nobody sees, one publication shows it, and a reader's
transaction sees one generation whole. An index finds passages of the generation that the open
transaction sees. Everything else is the same whatever keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from rag.address import SCHEMES
from rag.embed import Embedding, Vectors
from rag.errors import CollectionError
from rag.files import Files
from rag.postgres.backend import PostgresBackend
from rag.records import Chunk, Document
from rag.settings import Settings
from rag.stored import Move, StoredChunk, StoredDocument, Touch

__all__ = ["Backend", "Index", "Keeper", "Passages", "backend", "missing"]


class Passages(Protocol):
    """A store: one collection's documents and chunks. For one thread at a time."""

    @property
    def generation(self) -> int: ...
    @property
    def edition(self) -> str: ...
    def close(self) -> None: ...
    def transaction(self, write: bool = True) -> AbstractContextManager[None]: ...
    def meta(self, key: str) -> str | None: ...
    def set_meta(self, key: str, value: str) -> None: ...
    def staged(self) -> dict[str, tuple[str, str]]: ...
    def drop_staged(self, ids: Iterable[str]) -> None: ...
    def stage(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        spans: Sequence[Sequence[tuple[int, int]]],
        embeddings: Sequence[Embedding],
        *,
        source: str,
        path: str,
        digest: str,
        stamp: str,
        added: str = "",
    ) -> None: ...
    def publish(
        self, ids: Sequence[str], removed: Sequence[str] = (), moved: Sequence[Move] = ()
    ) -> int: ...
    def touch(self, touched: Sequence[Touch]) -> None: ...
    def documents(self) -> list[StoredDocument]: ...
    def document(self, document_id: str) -> Document | None: ...
    def counts(self) -> tuple[int, int]: ...
    def chunk_keys(self, ids: Iterable[str]) -> np.ndarray: ...
    def chunks(self, keys: Sequence[int]) -> list[StoredChunk]: ...
    def search_words(
        self, question: str, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]: ...


class Index(Protocol):
    """Passages by their vectors."""

    def search(
        self, query: Vectors, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """The nearest: (chunk key, cosine), best first; of `within`, (n,), int64, where it is given."""
        ...


class Keeper(Protocol):
    """Keeps the index of a store. Within a transaction, but for `renew`."""

    def find(self) -> Index | None:
        """The index of what the transaction sees; None where it would have to be made."""
        ...

    def get(self) -> Index:
        """The same, made if need be."""
        ...

    def renew(self) -> None:
        """Make ready for what was published. For the one program that may write."""
        ...


class Backend(Protocol):
    """Many collections. `place` is what messages call it: no secret is in it."""

    place: str

    def names(self) -> list[str]:
        """Of all collections, in order."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        ...

    def identity(self, name: str) -> tuple[int, int] | None:
        """What tells a collection from another made anew in its place; None where there is none."""
        ...

    def open(
        self, name: str, dimensions: Callable[[], int], create: bool
    ) -> tuple[Passages, Keeper] | None:
        """A collection's store and index; None where there is none and `create` is false."""
        ...

    def remove(self, name: str) -> None:
        """Remove a collection, whole or damaged, in one step."""
        ...

    def rename(self, name: str, wanted: str) -> None:
        """Give a collection a name that none has."""
        ...

    def writing(self, name: str) -> AbstractContextManager[None]:
        """Hold the right to write to a collection; it is freed when its holder dies."""
        ...


def backend(settings: Settings) -> Backend:
    """What keeps the collections that `settings` speak of."""
    return PostgresBackend(settings) if settings.store.startswith(SCHEMES) else Files(settings)


def missing(name: str, kept: Backend) -> CollectionError:
    """The error that there is no such collection."""
    return CollectionError(
        f"there is no collection '{name}' in {kept.place}: make it with "
        f"'footnote index FOLDER -c {name}'"
    )
