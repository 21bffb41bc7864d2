"""The questions that speed is measured over, and an indexed collection for each corpus."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from eval.bench.part import Run, counting
from eval.footnote import RagEngine
from eval.records import Suite
from eval.suites import Options, beir, find, load
from rag.collection import Collection
from rag.embed import Embedder
from rag.errors import InputError
from rag.records import Document
from rag.settings import Settings

__all__ = ["abstracts", "collection_of", "corpora"]


def abstracts(data: Path, limit: int) -> list[Document]:
    """SciFact's first abstracts, of a folder of benchmark data.

    Raises:
        InputError: the folder lacks the file.
    """
    path = data / find("scifact").folder / "corpus.jsonl"
    if not path.is_file():
        raise InputError(f"{path}: can't be read (no such file): check --data")
    return list(islice(beir.documents(path), limit))


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
