"""Footnote itself, over a collection on disk, in its two styles."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from eval.bench.peers.peer import Told, decode_rate
from eval.bench.peers.task import Task
from rag.assistant import Assistant, Finished, Token
from rag.collection import Collection
from rag.prompt import Style
from rag.records import Document
from rag.settings import load_settings

__all__ = ["Full", "Short"]


class Full:
    """Checked sentences."""

    style: Style = "full"

    def __init__(self, task: Task) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._settings = load_settings(
            indexes=Path(self._folder.name), max_new_tokens=task.max_tokens, threads=task.threads
        )
        self._limit = task.max_tokens
        self._collection = Collection.open("peers", self._settings, create=True)
        self._assistant = Assistant(self._collection, self._settings)
        _ = self._assistant.generator

    def index(self, texts: Sequence[str]) -> None:
        """As `Peer.index`."""
        documents = [Document(f"{at:06d}", text) for at, text in enumerate(texts)]
        self._collection.put(documents, "peers")

    def ask(self, question: str) -> Told:
        """As `Peer.ask`. A refusal is written by the program: then the first is also the last."""
        started = time.perf_counter()
        times: list[float] = []
        for event in self._assistant.stream(question, style=self.style):
            if isinstance(event, Token):
                times.append(time.perf_counter())
            elif isinstance(event, Finished):
                answer = event.answer
        total_s = time.perf_counter() - started
        return Told(
            text=answer.text,
            prompt_tokens=answer.timings.prompt_tokens,
            tokens=answer.timings.generated_tokens,
            first_token_s=times[0] - started if times else total_s,
            total_s=total_s,
            decode_per_s=decode_rate(times),
            limited=len(times) >= self._limit,
            refused=answer.refused,
        )


class Short(Full):
    """The shortest phrase."""

    style: Style = "short"
