"""FAISS: nearest passages by inner product. A cache of what the store holds, never the truth.

The file is named by the store's edition and by the SHA-256 of its bytes, so a stale, a foreign or a
damaged one is never opened: it is built again from the store. It is written beside its final name,
flushed to disk and renamed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rag.embed import Vectors

__all__ = ["VectorIndex"]

_PREFIX, _SUFFIX = "vectors-", ".faiss"


class VectorIndex:
    """Exact search over passage vectors; keys are the store's chunk keys."""

    def __init__(self, index: Any, edition: str) -> None:
        self._index = index
        self.edition = edition

    @classmethod
    def build(cls, keys: np.ndarray, vectors: Vectors, edition: str) -> VectorIndex:
        """An index over `vectors`, shape (n, d), float32, with `keys`, shape (n,), int64."""
        import faiss

        index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        if len(keys):
            index.add_with_ids(np.ascontiguousarray(vectors), keys)
        return cls(index, edition)

    @classmethod
    def load(cls, folder: Path, edition: str) -> VectorIndex | None:
        """The cached index of this edition; None where there is none that is whole."""
        import faiss

        for path in folder.glob(f"{_PREFIX}{edition}-*{_SUFFIX}"):
            try:
                data = path.read_bytes()
            except OSError:
                continue
            if _name(edition, data) == path.name:
                return cls(faiss.deserialize_index(np.frombuffer(data, np.uint8)), edition)
        return None

    def save(self, folder: Path) -> None:
        """Write the cache file and remove those of other editions. Failing costs only time."""
        import faiss

        data = faiss.serialize_index(self._index).tobytes()
        kept = folder / _name(self.edition, data)
        scratch = None
        try:
            handle, scratch = tempfile.mkstemp(prefix=".vectors-", suffix=".tmp", dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, kept)
            for old in [*folder.glob(f"{_PREFIX}*{_SUFFIX}"), *folder.glob(".vectors-*.tmp")]:
                if old != kept:
                    old.unlink(missing_ok=True)
        except OSError:
            if scratch:
                Path(scratch).unlink(missing_ok=True)

    def search(
        self, query: Vectors, limit: int, within: np.ndarray | None = None
    ) -> list[tuple[int, float]]:
        """The nearest passages to `query`, shape (d,): (chunk key, cosine), best first.

        `within`, shape (n,), int64, holds the keys that may be found; None leaves them all in.
        """
        limit = min(limit, int(self._index.ntotal) if within is None else len(within))
        if limit == 0:
            return []
        parameters = None if within is None else _only(within)
        scores, keys = self._index.search(query.reshape(1, -1), limit, params=parameters)
        # FAISS fills up with -1 where it finds fewer.
        found = zip(keys[0], scores[0], strict=True)
        return [(int(key), float(score)) for key, score in found if key >= 0]


def _only(keys: np.ndarray) -> Any:
    """Search parameters that let only `keys` be found; they keep hold of their selector."""
    import faiss

    # FAISS's wrapper takes fields by name, which its type hints do not know.
    parameters: Any = faiss.SearchParameters
    return parameters(sel=faiss.IDSelectorBatch(np.ascontiguousarray(keys, np.int64)))


def _name(edition: str, data: bytes) -> str:
    return f"{_PREFIX}{edition}-{hashlib.sha256(data).hexdigest()[:32]}{_SUFFIX}"
