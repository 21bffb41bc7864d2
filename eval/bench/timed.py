"""A generator that notes how long each of its calls takes. Knows nothing of questions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from eval.bench.figures import speed
from rag.generate import Generation, Generator, Message

__all__ = ["Call", "Timed"]


@dataclass(frozen=True, slots=True)
class Call:
    """One reply: `first_s` from the call to the first token, `total_s` in the generator in all.

    `again`: what it shares with the call before was not read once more.
    """

    prompt_tokens: int
    generated_tokens: int
    first_s: float
    total_s: float
    again: bool

    @property
    def tokens_per_s(self) -> float | None:
        """How fast it was written after the first token; None for a reply of a few tokens."""
        return speed(self.generated_tokens, self.total_s - self.first_s)


class Timed:
    """Another generator, with `calls`: one for each reply. What its reader does is not counted."""

    def __init__(self, inner: Generator) -> None:
        self.calls: list[Call] = []
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **how: Any
    ) -> Iterator[str]:
        """As the other does it."""
        spent = 0.0
        pieces = cast(Any, self._inner.stream(messages, max_tokens, into, **how))
        with closing(pieces):
            while True:
                started = time.perf_counter()
                piece = next(pieces, None)
                spent += time.perf_counter() - started
                if piece is None:
                    break
                yield piece
        if into.first_token_s is not None:
            counts = (into.prompt_tokens, into.generated_tokens)
            self.calls.append(Call(*counts, into.first_token_s, spent, bool(how.get("again"))))
