"""Arithmetic of spans in documents: `(document, start, end)`, half open. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

__all__ = ["Located", "length", "merge", "overlap", "touched"]

Located = tuple[str, int, int]


def merge(spans: Iterable[Located]) -> dict[str, list[tuple[int, int]]]:
    """The union by document: ordered, disjoint, no empty span."""
    by_document: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for document, start, end in sorted(spans):
        if end <= start:
            continue
        merged = by_document[document]
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return dict(by_document)


def length(spans: Iterable[Located]) -> int:
    """Characters in the union."""
    return sum(end - start for parts in merge(spans).values() for start, end in parts)


def overlap(left: Iterable[Located], right: Iterable[Located]) -> int:
    """Characters in both unions."""
    ours, theirs = merge(left), merge(right)
    return sum(
        max(0, min(a_end, b_end) - max(a_start, b_start))
        for document in ours.keys() & theirs.keys()
        for a_start, a_end in ours[document]
        for b_start, b_end in theirs[document]
    )


def touched(spans: Iterable[Located], units: Iterable[Located]) -> set[Located]:
    """The units (sentences) that the spans are about.

    A span is about a unit when they share half of the shorter one: a phrase inside a sentence, a
    sentence inside a paragraph, but not the few characters that stick out into a neighbour.
    """
    spans = list(spans)
    return {
        (document, start, end)
        for document, start, end in units
        if any(
            other == document and 0 < min(end - start, b - a) <= 2 * (min(end, b) - max(start, a))
            for other, a, b in spans
        )
    }
