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
    """A store: one collection's documents and chunks. For one thread at a time.

    `rag.store.Store` says more of each method.
    """

    @property
    def generation(self) -> int:
        """Raised by one whenever what readers see changes."""
        ...

    @property
    def edition(self) -> str:
        """The generation with a random part, which no two collections share."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...

    def transaction(self, write: bool = True) -> AbstractContextManager[None]:
        """Run a block as one transaction; one that only reads sees one generation throughout."""
        ...

    def meta(self, key: str) -> str | None:
        """A value that belongs to the collection as a whole."""
        ...

    def set_meta(self, key: str, value: str) -> None:
        """Set such a value."""
        ...

    def staged(self) -> dict[str, tuple[str, str]]:
        """(Content hash, path) by identifier of documents that were left staged."""
        ...

    def drop_staged(self, ids: Iterable[str]) -> None:
        """Forget staged documents."""
        ...

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
    ) -> None:
        """Write a document where no reader sees it yet. Within a transaction."""
        ...

    def publish(
        self,
        ids: Sequence[str],
        removed: Sequence[str] = (),
        moved: Sequence[Move] = (),
        embedder: str = "",
    ) -> int:
        """Make staged documents live, in one transaction with all else; the new generation.

        `embedder` is named where another one made the vectors.
        """
        ...

    def touch(self, touched: Sequence[Touch]) -> None:
        """Note new stamps alone."""
        ...

    def documents(self) -> list[StoredDocument]:
        """Every live document, ordered by identifier."""
        ...

    def document(self, document_id: str) -> Document | None:
        """A live document with its text, or None."""
        ...

    def counts(self) -> tuple[int, int]:
        """How many documents and chunks are live."""
        ...

    def chunk_keys(self, ids: Iterable[str]) -> np.ndarray:
        """The keys of all chunks of the live documents with these identifiers: (n,), int64."""
        ...

    def chunks(self, keys: Sequence[int]) -> list[StoredChunk]:
        """The live chunks with these keys, in order of key; others are left out."""
        ...

    def search_words(
        self, question: str, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """BM25: (chunk key, score), best first; of `within`, where it is given."""
        ...


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
