"""How well a ranking finds the gold. Pure: ranked ids or spans in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from eval.metrics.spans import Located, length, overlap

__all__ = ["collapse", "mrr", "ndcg", "recall", "span_scores"]


def collapse(documents: Iterable[str]) -> list[str]:
    """Passages' documents, each once, at the rank of its best passage."""
    return list(dict.fromkeys(documents))


def recall(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """The share of relevant documents among the first `k`. `grades` must hold a relevant one."""
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranked[:k])) / len(relevant)


def mrr(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """1 / rank of the first relevant document among the first `k`; 0 where there is none."""
    for rank, document in enumerate(ranked[:k], start=1):
        if grades.get(document, 0) > 0:
            return 1 / rank
    return 0.0


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Discounted gain (grade / log2(rank + 1)) over that of the ideal order, as in trec_eval."""
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    return _gain([grades.get(document, 0) for document in ranked[:k]]) / _gain(ideal[:k])


def _gain(grades: Iterable[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


def span_scores(passages: Sequence[Located], gold: Sequence[Located]) -> dict[str, float]:
    """Recall, precision and intersection over union of characters.

    Each character counts once, however many passages hold it. Empty gold is a ValueError.
    """
    wanted = length(gold)
    if not wanted:
        raise ValueError("no gold characters")
    found, common = length(passages), overlap(passages, gold)
    return {
        "recall": common / wanted,
        "precision": common / found if found else 0.0,
        "iou": common / (wanted + found - common),
    }
