"""The questions that speed is measured over, and an indexed collection for each corpus."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from eval.bench.part import Run, counting
from eval.footnote import RagEngine
from eval.records import Suite
from eval.suites import Options, find, load
from rag.collection import Collection
from rag.embed import Embedder
from rag.settings import Settings

__all__ = ["collection_of", "corpora"]


def corpora(run: Run) -> list[Suite]:
    """The sample corpus and, where there is a data folder, SQuAD 2.0's paragraphs in one pool.

    Raises:
        InputError: the data folder lacks the files.
    """
    found = [load("seeds", Options(limit=run.asked))]
    if run.data is not None:
        data = run.data / find("squad").folder
        found.append(load("squad", Options(data=data, limit=run.asked)))
    return found


@contextlib.contextmanager
def collection_of(
    suite: Suite, settings: Settings, embedder: Embedder | None = None
) -> Iterator[Collection]:
    """A collection of the suite's documents, kept under `settings.indexes` for the next time."""
    with counting(f"indexing {suite.name}") as told:
        engine = RagEngine(suite, settings, told, embedder=embedder)
    try:
        yield engine.collection
    finally:
        engine.close()
