"""What one run of indexing did. Knows neither files nor the store."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.stored import Move

__all__ = ["IndexReport", "make_report"]


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one run of indexing did. `failed` and `skipped` hold a path and a reason each.

    `changes` holds the sorted identifiers that were "added", "updated", "removed" and "moved".
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    documents: int = 0
    chunks: int = 0
    seconds: float = 0.0
    skipped: list[dict[str, str]] = field(default_factory=list)
    changes: dict[str, list[str]] = field(default_factory=dict)


def make_report(
    written: list[str],
    known: Container[str],
    gone: list[str],
    moved: Sequence[Move] = (),
    **others: Any,
) -> IndexReport:
    """A report of what was written, with which identifiers were `known` before."""
    changes = {
        "added": sorted(one for one in written if one not in known),
        "updated": sorted(one for one in written if one in known),
        "removed": sorted(gone),
        "moved": sorted(one.id for one in moved),
    }
    return IndexReport(
        added=len(changes["added"]),
        updated=len(changes["updated"]),
        removed=len(gone),
        changes=changes,
        **others,
    )
