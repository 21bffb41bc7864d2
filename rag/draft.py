"""A question on its way to an answer: what each stage leaves for the next, and what a reader sees.

Plain records; the stages themselves are elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Generator as Steps
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.collection import Retrieved
from rag.compose import Proved
from rag.evidence import Evidence, SourceSentence
from rag.failover import Writer
from rag.generate import Generation
from rag.prompt import Style
from rag.records import Answer, Document
from rag.scope import Scope

__all__ = ["Draft", "Event", "Finished", "Found", "Reading", "Stage", "Steps", "Token"]


@dataclass(frozen=True, slots=True)
class Stage:
    """What is being done: "understanding", "searching", "reading", "writing", "comparing" or
    "checking"; or "restarting": another model begins, and all tokens so far are void."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer as the model writes it, unchecked."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The checked answer: the last event of a stream."""

    answer: Answer


Event = Stage | Token | Finished


@dataclass(slots=True)
class Draft:
    """The question, and an account of what was spent on it; times are of `time.perf_counter`.

    `documents`, where given, are searched instead of the collection; `scope` says which of the
    collection's are. `writer` is the one model that writes this answer.
    """

    question: str
    standalone: str
    style: Style
    writer: Writer
    documents: Sequence[Document] | None = None
    scope: Scope | None = None
    started: float = field(default_factory=time.perf_counter)
    retrieve_s: float = 0.0
    first_token_s: float | None = None
    prompt_tokens: int = 0
    generated_tokens: int = 0

    def count(self, record: Generation, began: float) -> None:
        """Add one call of the model, begun at `began`, to the account."""
        self.prompt_tokens = max(self.prompt_tokens, record.prompt_tokens)
        self.generated_tokens += record.generated_tokens
        if self.first_token_s is None and record.first_token_s is not None:
            self.first_token_s = began - self.started + record.first_token_s


@dataclass(frozen=True, slots=True)
class Found:
    """What was retrieved: all sentences that may be cited, and those that the model reads.

    `given`: the documents came with the question.
    """

    retrieved: Retrieved
    sentences: list[SourceSentence]
    evidence: list[Evidence]
    given: bool = False

    @property
    def best(self) -> SourceSentence:
        """The sentence that fits the question best; there has to be one."""
        return max(self.sentences, key=lambda one: one.score)

    @property
    def text(self) -> str:
        return "\n".join(one.text for one in self.sentences)


@dataclass(frozen=True, slots=True)
class Reading:
    """The shortest answer to one question, what supports it, and the probability that it is right.

    `kept` is empty where no source supports the phrase; `record` is what the model did. `counted`:
    the program counted rows, so there is nothing to write about or to ask other sources.
    """

    question: str
    phrase: str
    kept: tuple[Proved, ...]
    record: Generation
    signals: dict[str, float]
    sure: float
    counted: bool = False
