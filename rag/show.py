"""Hits, answers and lists for a terminal. Text from documents is printed as it is, never as markup."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.table import Table
from rich.text import Text

from rag.draft import Event, Finished, Stage
from rag.records import Answer, Hit
from rag.store import StoredDocument

__all__ = ["SpeedColumn", "print_answer", "print_collections", "print_documents", "print_hits"]

# What could move the cursor or set a colour: untrusted text must not reach a terminal with it.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class SpeedColumn(ProgressColumn):
    """Documents per second."""

    def render(self, task: Task) -> Text:
        """The speed so far, or nothing before there is one."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


def print_hits(hits: Sequence[Hit]) -> None:
    """Passages with their scores and the signals behind them."""
    console = Console(highlight=False)
    if not hits:
        console.print("nothing was found")
    for hit in hits:
        why = "  ".join(f"{name} {value:g}" for name, value in hit.why.items())
        head = Text(f"{hit.rank}. {_where(hit)}", style="bold")
        console.print(head, Text(f"score {hit.score:.3f}  ({why})", style="dim"))
        console.print(Text(_clean(hit.text)), "")


def print_answer(events: Iterable[Event]) -> None:
    """The stages on standard error while they last, then the checked answer and its sources."""
    status = Console(file=sys.stderr).status("searching")
    answer: Answer | None = None
    with status:
        for event in events:
            if isinstance(event, Stage):
                status.update(f"{event.name} {event.detail}".strip())
            elif isinstance(event, Finished):
                answer = event.answer
    if answer is None:
        return
    console = Console(highlight=False)
    console.print(Text(_clean(answer.text)), soft_wrap=not console.is_terminal)
    for line in answer.missing:
        console.print(Text(f"Not in the documents: {_clean(line)}"))
    for conflict in answer.conflicts:
        console.print("Sources differ:")
        for claim in conflict.claims:
            markers = "".join(f"[{marker}]" for marker in claim.citations)
            console.print(Text(f"  - {_clean(claim.text)} {markers}"), soft_wrap=True)
    for note in answer.notes:
        console.print(Text(_clean(note), "dim"))
    if answer.citations:
        console.print()
    for citation in answer.citations:
        quote = _clean(" ".join(citation.quote.split()))
        console.print(Text(f"[{citation.marker}] {_where(citation)}: “{quote}”"), soft_wrap=True)
    console.print()
    word = "refused" if answer.refused else "confidence"
    console.print(
        Text(
            f"{word} {answer.confidence:.0%}, {answer.timings.total_s:.1f} s, {answer.model}", "dim"
        )
    )


def print_documents(documents: Sequence[StoredDocument]) -> None:
    """A table of documents."""
    table = Table("document", "title", "date", "characters")
    for one in documents:
        table.add_row(
            *(Text(_clean(part)) for part in (one.id, one.title, one.date or "")), str(one.size)
        )
    Console().print(table)


def print_collections(found: Sequence[dict[str, Any]], place: str) -> None:
    """A table of collections, which are kept in `place`."""
    if not found:
        Console().print(f"there are no collections in {place}", highlight=False)
        return
    table = Table("collection", "documents", "passages")
    for one in found:
        table.add_row(one["name"], str(one["documents"]), str(one["chunks"]))
    Console().print(table)


def _where(item: Any) -> str:
    page = f", page {item.page}" if item.page else ""
    return _clean(f"{item.document}{page}, characters {item.start}-{item.end}")


def _clean(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)
