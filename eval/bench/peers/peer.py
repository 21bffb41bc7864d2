"""What a system has to do to be measured, and the clock in llama-cpp-python that most share.

Every other system runs the generator through llama-cpp-python, so tokens are counted and timed
there, whatever a system does around it and whether it streams or not.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eval.bench.figures import speed

__all__ = ["Call", "LlamaPeer", "Peer", "Told", "listening"]


@dataclass(frozen=True, slots=True)
class Told:
    """One answer. Seconds count from the question; `first_token_s` is the first that a person sees.

    `tokens` and `prompt_tokens` are those of all calls of the model together. `limited`: the answer
    was cut off at the most tokens that it may have. `decode_per_s` is tokens a second after the
    first, None for an answer of a few.
    """

    text: str
    prompt_tokens: int
    tokens: int
    first_token_s: float
    total_s: float
    decode_per_s: float | None
    limited: bool
    refused: bool


class Peer(Protocol):
    """A system with its models open. An adapter is made with the `Task` as its one argument."""

    def index(self, texts: Sequence[str]) -> None:
        """Make these texts what is searched, and forget all others."""
        ...

    def ask(self, question: str) -> Told:
        """Search, and answer in at most the task's `max_tokens`, greedily."""
        ...


@dataclass(slots=True)
class Call:
    """One reply of a model: when each of its tokens came; `ended`: the model ended it."""

    prompt_tokens: int
    times: list[float] = field(default_factory=list)
    ended: bool = False


def decode_rate(times: Sequence[float]) -> float | None:
    """Tokens a second after the first; None for a few tokens."""
    return speed(len(times), times[-1] - times[0]) if times else None


@contextlib.contextmanager
def listening(model: Any) -> Iterator[list[Call]]:
    """Note every call of `generate` of the class `model` (`llama_cpp.Llama`) while this is open."""
    generate = model.generate
    calls: list[Call] = []

    def heard(self: Any, tokens: Sequence[int], *args: Any, **kwargs: Any) -> Iterator[int]:
        call = Call(len(tokens))
        calls.append(call)
        for token in generate(self, tokens, *args, **kwargs):
            call.ended = token == self.token_eos()
            if not call.ended:
                call.times.append(time.perf_counter())
            yield token

    model.generate = heard
    try:
        yield calls
    finally:
        model.generate = generate


class LlamaPeer(ABC):
    """A peer whose generator is llama-cpp-python."""

    @abstractmethod
    def index(self, texts: Sequence[str]) -> None:
        """As `Peer.index`."""

    @abstractmethod
    def answer(self, question: str) -> str:
        """The text of the answer."""

    def ask(self, question: str) -> Told:
        """As `Peer.ask`: `answer`, timed."""
        from llama_cpp import Llama

        from eval.others import looks_refused

        with listening(Llama) as calls:
            started = time.perf_counter()
            text = self.answer(question)
            total_s = time.perf_counter() - started
        times = [one for call in calls for one in call.times]
        return Told(
            text=text,
            prompt_tokens=sum(call.prompt_tokens for call in calls),
            tokens=len(times),
            first_token_s=times[0] - started if times else total_s,
            total_s=total_s,
            decode_per_s=decode_rate(calls[-1].times) if calls else None,
            limited=any(not call.ended for call in calls),
            refused=looks_refused(text),
        )
