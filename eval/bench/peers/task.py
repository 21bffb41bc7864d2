"""What every system is given: the same texts, the same questions, the same two models.

Knows where data and weights are; nothing of the systems.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.bench import corpus
from eval.records import Suite, digest
from eval.suites import Options, find, load
from rag.convert import packaged_encoder
from rag.errors import ModelError
from rag.hardware import thread_count
from rag.read import find_files, read_files
from rag.records import Document
from rag.settings import Settings
from rag.weights import PACKAGED, assemble, in_cache

__all__ = ["Task", "make_task", "read_task"]

MAX_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Task:
    """`abstracts` are timed while they are indexed; `questions` are about `passages`.

    `embedder` is a sentence-transformers folder, `weights` a GGUF file; `threads` are for writing.
    """

    abstracts: tuple[str, ...]
    passages: tuple[str, ...]
    questions: tuple[str, ...]
    embedder: str
    weights: str
    threads: int
    max_tokens: int = MAX_TOKENS

    @property
    def digest(self) -> str:
        """What makes figures of two runs comparable: all but where the models lie."""
        given = asdict(self)
        return digest([given[name] for name in given if name not in ("embedder", "weights")])

    def write(self, path: Path) -> None:
        """As JSON, for `read_task`."""
        path.write_text(json.dumps(asdict(self)), "utf-8")


def read_task(path: Path) -> Task:
    """What `Task.write` has written."""
    given: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for name in ("abstracts", "passages", "questions"):
        given[name] = tuple(given[name])
    return Task(**given)


def make_task(data: Path | None, abstracts: int, questions: int, settings: Settings) -> Task:
    """SciFact abstracts and SQuAD 2.0 questions in the folder `data`; else the sample corpus.

    Only questions that have an answer are asked, so that every system has something to write.

    Raises:
        InputError: the folder lacks the files.
        ModelError: the generator is no packaged model and no GGUF file.
    """
    options = Options(limit=questions, gold_only=True)
    if data is None:
        suite = load("seeds", options)
    else:
        options = Options(data / find("squad").folder, limit=questions, gold_only=True)
        suite = load("squad", options)
    passages = _passages(suite)
    return Task(
        abstracts=_plain(corpus.abstracts(data, abstracts)) if data else passages[:abstracts],
        passages=passages,
        questions=tuple(one.question for one in suite.questions),
        embedder=str(packaged_encoder("minilm")),
        weights=str(_gguf(settings)),
        threads=thread_count(settings.threads),
    )


def _passages(suite: Suite) -> tuple[str, ...]:
    if suite.folder is None:
        return _plain(suite.documents)
    files = find_files(Path(suite.folder)).files
    return _plain([read for _, _, read in read_files(files) if isinstance(read, Document)])


def _plain(documents: Sequence[Document]) -> tuple[str, ...]:
    """Title and text in one: not every system keeps them apart."""
    return tuple(f"{one.title}\n\n{one.text}" if one.title else one.text for one in documents)


def _gguf(settings: Settings) -> Path:
    """The generator as a GGUF file: the packages' parts put together once, in the model cache."""
    packaged = PACKAGED.get(settings.model)
    if packaged:
        name = f"{packaged.name}-gguf-{packaged.sha256[:8]}"
        made = in_cache(settings.cache, name, lambda to: assemble(packaged, to / "model.gguf"))
        return made / "model.gguf"
    path = Path(settings.model).expanduser()
    if path.suffix != ".gguf" or not path.is_file():
        raise ModelError(
            f"model {settings.model}: other systems need a packaged model or a GGUF file"
        )
    return path
