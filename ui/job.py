"""A question in hand: what becomes of it, written by the thread that answers, read by who watches.

Knows nothing of lines, threads or the history.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from rag.errors import InputError, RagError
from rag.prompt import Style
from rag.records import Answer
from rag.scope import Scope
from ui.history import Turn

__all__ = ["INSIDE", "Busy", "Closing", "Job", "Outcome"]

INSIDE = "inside"  # a failure whose reason is for the log, not for the reader

Outcome = Literal["", "answered", "refused", "stopped", "failed"]


class Busy(InputError):
    """A person has too many questions in hand. `limit` is "waiting" or "hour", `number` how many.

    `seconds`: when it is worth while to try again.
    """

    def __init__(self, limit: str, number: int, seconds: int = 5) -> None:
        super().__init__(f"too many questions ({limit}: {number}): wait for an answer first")
        self.limit = limit
        self.number = number
        self.seconds = seconds


class Closing(RagError):
    """The program is about to end and takes no more questions."""

    def __init__(self) -> None:
        super().__init__("Footnote is being stopped: ask again when it runs")


@dataclass(slots=True, eq=False)
class Job:
    """A question in hand. `version` rises whenever what a page would show has changed.

    `at` is the stage ("queued", "loading" or the name of a `rag.assistant.Stage`) and its
    detail, one pair so that another thread never sees half a change; `before` counts the questions
    that are answered earlier. `kept`: the history holds the turn. `begun` counts how often the draft
    was begun anew. `closing`: the program ends before the answer. `told` are called, from any thread,
    after each change. `marks` are stages and when each began (`time.time_ns`), "done" the last;
    `model_s` is what the model took of it all. `trace` is what the work is part of, for
    `ui.api.traces`.
    """

    turn: Turn
    user: str
    collection: str
    scope: Scope
    history: list[dict[str, str]]
    style: Style | None = None
    kept: bool = True
    trace: Any = None
    at: tuple[str, str] = ("queued", "")
    draft: str = ""
    begun: int = 0
    before: int = 0
    version: int = 0
    done: bool = False
    closing: bool = False
    outcome: Outcome = ""
    answer: Answer | None = None
    error: RagError | None = None
    watchers: int = 0
    alone_since: float = field(default_factory=time.monotonic)
    told: list[Callable[[], object]] = field(default_factory=list)
    marks: list[tuple[str, int]] = field(default_factory=lambda: [("queued", time.time_ns())])
    model_s: float = 0.0

    def now(self, stage: str, detail: str = "") -> None:
        """Enter a stage."""
        self.at = (stage, detail)
        self.mark(stage)
        self.changed()

    def mark(self, stage: str) -> None:
        """Note when something begins that no page shows."""
        self.marks.append((stage, time.time_ns()))

    def write(self, text: str) -> None:
        """Add to the draft."""
        self.draft += text
        self.changed()

    def restart(self) -> None:
        """Begin the draft anew: what was written of it is void."""
        self.draft = ""
        self.begun += 1
        self.changed()

    def changed(self) -> None:
        """Tell whoever wants to know."""
        self.version += 1
        for tell in tuple(self.told):
            tell()

    def end(self, outcome: Outcome) -> None:
        """Nothing more becomes of it."""
        self.outcome = outcome
        self.done = True
        self.mark("done")
        self.changed()

    def seconds(self) -> dict[str, float]:
        """How long each stage took, those that have ended, by name; a stage may come more than once."""
        spent: dict[str, float] = {}
        for (stage, begun), (_, ended) in zip(self.marks, self.marks[1:], strict=False):
            spent[stage] = spent.get(stage, 0.0) + max(0, ended - begun) / 1e9
        return spent
