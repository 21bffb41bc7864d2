"""One embedder for every collection and thread.

Tokenizers are not thread-safe, and a question must not wait for a whole library to be indexed.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence

from rag.embed import Embedder, Embedding
from rag.sentences import Span

__all__ = ["SharedEmbedder"]

_AT_ONCE = 64  # texts that indexing embeds before a question may come in between


class SharedEmbedder:
    """One embedder for many threads, in turns, loaded at first use.

    Much text is embedded in parts, so that a question waits for one part and not for a library.
    """

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._load = load
        self._turn = _Turns()
        self._spent = threading.local()

    @property
    def seconds(self) -> float:
        """How long it has embedded for the thread that asks, without waiting for its turn."""
        return getattr(self._spent, "seconds", 0.0)

    @functools.cached_property
    def _embedder(self) -> Embedder:
        return self._load()

    @property
    def name(self) -> str:
        """The embedder's name."""
        with self._turn:
            return self._embedder.name

    @property
    def dimensions(self) -> int:
        """The length of its vectors."""
        with self._turn:
            return self._embedder.dimensions

    @property
    def max_tokens(self) -> int:
        """As many tokens of a text are read."""
        with self._turn:
            return self._embedder.max_tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text takes."""
        with self._turn:
            return self._embedder.count(texts)

    def embed(
        self,
        texts: Sequence[str],
        contexts: Sequence[str] = (),
        spans: Sequence[Sequence[Span]] = (),
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Embedding]:
        """As `rag.embed.Embedder.embed`."""
        found: list[Embedding] = []
        for at in range(0, len(texts), _AT_ONCE):
            part = slice(at, at + _AT_ONCE)
            with self._turn:
                began = time.perf_counter()
                found += self._embedder.embed(texts[part], contexts[part], spans[part])
                self._spent.seconds = self.seconds + time.perf_counter() - began
            progress(len(found))
        return found


class _Turns:
    """A lock that is given to whoever has waited longest; `threading.Lock` promises no order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next = self._served = 0

    def __enter__(self) -> None:
        with self._changed:
            mine = self._next
            self._next += 1
            self._changed.wait_for(lambda: self._served == mine)

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._served += 1
            self._changed.notify_all()
