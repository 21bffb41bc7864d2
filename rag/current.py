"""The vector index of the generation that a transaction sees: held, followed, opened or made.

SQLite is the truth. A base is followed from its edition to the present one by the log of changes;
where the log does not say how, another base is looked for, and where there is none it is made from
the store. The process that indexes makes the large ones, beside the old ones, after it has
published: a question waits for none. Where a question does find no base at all, because its file was
lost or damaged, it gets an exact one: slower to search, but made in the time it takes to read every
vector once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from rag.basefile import kept_files, load_part, save_part, tidy
from rag.changes import generation_of
from rag.index import Block, VectorIndex
from rag.part import FLAT, Part, kind_for
from rag.store import Store

__all__ = ["CurrentIndex"]

_BLOCK = 20_000  # vectors read at a time: 15 MB


class CurrentIndex:
    """One reader's or writer's index. `folder` keeps the files, None keeps none."""

    def __init__(self, store: Store, folder: Path | None, dimensions: Callable[[], int]) -> None:
        self._store, self._folder, self._dimensions = store, folder, dimensions
        self._held: VectorIndex | None = None

    def find(self) -> VectorIndex | None:
        """The index of what the open transaction sees; None where it would have to be made."""
        index, self._held = self._held, None  # used up if it is followed, of no use if not
        if index is not None and index.edition != self._store.edition:
            index = self._followed(index)
        if index is None or index.due:
            index = self._opened(index) or index
        self._held = index
        return index

    def get(self) -> VectorIndex:
        """The index of what the open transaction sees, made if need be."""
        index = self.find()
        if index is None:
            part = self._made(FLAT)
            self._keep(part, self._store.edition)
            self._held = index = self._over(part)
        return index

    def _keep(self, part: Part, edition: str) -> None:
        """Save what a question had to make, unless it is nothing or another was sooner."""
        if self._folder and part.count:
            if edition not in (one for one, _ in kept_files(self._folder)):
                save_part(part, edition, self._folder)

    def renew(self) -> None:
        """Make a base if one is due, and cut the log. For the one process that may write.

        Readers go on with the base that they have; the log still reaches the last one.
        """
        with self._store.transaction(write=False):
            index = self.find()
            if index is not None and not index.due:
                return
            edition = self._store.edition
            part = self._extended(index) if index else None
            part = part or self._made(kind_for(self._store.counts()[1]))
            if self._folder:
                kept = save_part(part, edition, self._folder)
                if kept is None:  # next time, then: what there is, serves
                    self._held = index or self._over(part)
                    return
                tidy(self._folder, kept)
                part = load_part(kept, edition) or part
            self._held = self._over(part)
        self._store.cut_changes(index.base_edition if index else edition)

    def _over(self, part: Part) -> VectorIndex:
        return VectorIndex.over(part, self._store.edition, self._store.vectors_of)

    def _followed(self, index: VectorIndex) -> VectorIndex | None:
        """An index brought up to date; None where nobody knows how, or it is hardly worth it."""
        changes = self._store.changes(index.edition)
        if changes is None or len(changes.added) > max(_BLOCK, index.count):
            return None
        return index.moved_on(self._store.edition, self._blocks(changes.added), changes.gone)

    def _opened(self, held: VectorIndex | None) -> VectorIndex | None:
        """The newest base on disk that belongs to this store, brought up to date.

        None where there is none, or none newer than the one of `held`.
        """
        for edition, path in kept_files(self._folder) if self._folder else ():
            if held is not None and generation_of(edition) <= generation_of(held.base_edition):
                return None
            if self._store.changes(edition) is not None and (part := load_part(path, edition)):
                return self._followed(VectorIndex.over(part, edition, self._store.vectors_of))
        return None

    def _made(self, kind: str) -> Part:
        """A base over all that is live, from the store."""
        keys = self._store.live_keys()
        sampled = keys[:: max(1, len(keys) // Part.sample_size(kind, len(keys)))]
        if len(keys):
            sample = np.concatenate([vectors for _, vectors in self._blocks(sampled)])
        else:
            sample = np.zeros((0, self._dimensions()), np.float16)
        return Part.empty(kind, sample, len(keys)).extended(self._blocks(keys))

    def _extended(self, index: VectorIndex) -> Part | None:
        """The base with what came and without what went since; None where it is no base for more."""
        if index.outgrown or not self._folder:
            return None
        gone = index.base.keys[~index.base.live]
        added = index.delta.keys[index.delta.live]
        for edition, path in kept_files(self._folder):
            if edition == index.base_edition and (part := load_part(path, edition, writable=True)):
                return part.without(gone).extended(self._blocks(added))
        return None

    def _blocks(self, keys: np.ndarray) -> Iterator[Block]:
        for at in range(0, len(keys), _BLOCK):
            yield self._store.vectors_of(keys[at : at + _BLOCK])
