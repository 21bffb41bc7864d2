"""Question -> hits: dense and word search, fused, then rescored by each passage's best sentence.

The score is a convex combination (Bruch et al. 2023, arXiv:2210.11934) of three signals, each scaled
to 0..1 over the question's candidates:

    dense     cosine of question and passage             min-max
    words     BM25 of the question's content words       divided by the best
    sentence  cosine of question and the best sentence   min-max

Near-duplicates of a better passage are dropped, neighbours in one document are merged. This module
knows the store and the index; it knows nothing of models that write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.backend import Index, Passages
from rag.embed import Vectors
from rag.records import Hit
from rag.settings import Settings
from rag.stored import StoredChunk
from rag.words import stem_set

__all__ = [
    "Candidate",
    "best_passages",
    "merge_neighbours",
    "rank_chunks",
    "scaled",
    "without_duplicates",
]

_DUPLICATE = 0.9  # share of the smaller passage's words that the other one holds
_MERGED_PASSAGES = 2  # at most so many chunks are merged into one hit


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk with its fused score and the signals behind it."""

    stored: StoredChunk
    score: float
    why: dict[str, float]


def rank_chunks(
    question: str,
    vector: Vectors,
    store: Passages,
    index: Index,
    settings: Settings,
    within: np.ndarray | None = None,
) -> list[Candidate]:
    """Every candidate of either search with its score, best first.

    `within`, shape (n,), int64, holds the chunk keys that may be found; None leaves them all in.
    """
    dense = dict(index.search(vector, settings.candidates, within))
    by_words = dict(store.search_words(question, settings.candidates, within))
    chunks = store.chunks(sorted(dense.keys() | by_words.keys()))
    if not chunks:
        return []
    cosines = np.array([float(chunk.vector @ vector) for chunk in chunks])
    words = np.array([by_words.get(chunk.key, 0.0) for chunk in chunks])
    best = np.array([_best_sentence(chunk, vector) for chunk in chunks])
    signals = {
        "dense": (settings.weight_dense, scaled(cosines), cosines),
        "words": (settings.weight_words, words / max(float(words.max()), 1e-9), words),
        "sentence": (settings.weight_sentence, scaled(best), best),
    }
    total = sum(weight for weight, _, _ in signals.values()) or 1.0
    fused = np.zeros(len(chunks))
    for weight, values, _ in signals.values():
        fused += weight / total * values
    order = np.argsort(-fused, kind="stable")
    return [
        Candidate(
            chunks[at],
            round(float(fused[at]), 6),
            {name: round(float(raw[at]), 4) for name, (_, _, raw) in signals.items()},
        )
        for at in order
    ]


def scaled(values: np.ndarray) -> np.ndarray:
    """Min-max to 0..1; where all are equal, all are 1."""
    low, high = float(values.min()), float(values.max())
    return np.ones_like(values) if high - low < 1e-9 else (values - low) / (high - low)


def _best_sentence(chunk: StoredChunk, vector: Vectors) -> float:
    if not len(chunk.sentences):
        return float(chunk.vector @ vector)
    return float((chunk.sentences @ vector).max())


def best_passages(
    ranked: Sequence[Candidate], store: Passages, limit: int
) -> tuple[list[Hit], list[Candidate]]:
    """The `limit` best passages, and as many candidates, without duplicates.

    No more of `ranked` is compared than that takes.
    """
    distinct: list[Candidate] = []

    def noted() -> Iterator[Candidate]:
        for candidate in without_duplicates(ranked):
            distinct.append(candidate)
            yield candidate

    left = noted()
    hits = merge_neighbours(left, store, limit)
    while len(distinct) < limit and next(left, None):
        pass
    return hits, distinct[:limit]


def without_duplicates(ranked: Iterable[Candidate]) -> Iterator[Candidate]:
    """Drop a passage that says in the same words what a better one said."""
    seen: list[frozenset[str]] = []
    for candidate in ranked:
        stems = stem_set(candidate.stored.chunk.text)
        if not any(_overlap(stems, other) > _DUPLICATE for other in seen):
            seen.append(stems)
            yield candidate


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard index; a passage without content words, or with other numbers, equals nothing.

    0 as well where the sizes alone rule out that it is above `_DUPLICATE`.
    """
    if min(len(one), len(other)) <= _DUPLICATE * max(len(one), len(other)):
        return 0.0
    if any(stem[0].isdigit() for stem in one ^ other):
        return 0.0
    return len(one & other) / len(one | other)


def merge_neighbours(ranked: Iterable[Candidate], store: Passages, limit: int) -> list[Hit]:
    """The `limit` best passages, chunks that continue one another in a document joined to one."""
    hits: list[Hit] = []
    for candidate in ranked:
        if not _merge_into(hits, candidate, store):
            if len(hits) == limit:
                break
            hits.append(_hit(candidate))
    return [replace(hit, rank=rank) for rank, hit in enumerate(hits, 1)]


def _merge_into(hits: list[Hit], candidate: Candidate, store: Passages) -> bool:
    """Join a chunk to a hit that it continues; true where that was done.

    Only white space may lie between the two. The hit keeps its better score.
    """
    chunk = candidate.stored.chunk
    for at, hit in enumerate(hits):
        if hit.document != chunk.document or hit.why.get("merged", 1) >= _MERGED_PASSAGES:
            continue
        gap = (hit.end, chunk.start) if hit.end <= chunk.start else (chunk.end, hit.start)
        if not 0 <= gap[1] - gap[0] <= 4:
            continue
        document = store.document(hit.document)
        if document is None or document.text[gap[0] : gap[1]].strip():
            continue
        start, end = min(hit.start, chunk.start), max(hit.end, chunk.end)
        why = {**hit.why, "merged": hit.why.get("merged", 1) + 1}
        page = hit.page if hit.start == start else chunk.page
        text = document.text[start:end]
        hits[at] = replace(hit, start=start, end=end, text=text, page=page, why=why)
        return True
    return False


def _hit(candidate: Candidate) -> Hit:
    stored, chunk = candidate.stored, candidate.stored.chunk
    return Hit(
        0,
        candidate.score,
        chunk.document,
        stored.title,
        stored.date,
        chunk.page,
        chunk.start,
        chunk.end,
        chunk.text,
        chunk.context,
        candidate.why,
    )
