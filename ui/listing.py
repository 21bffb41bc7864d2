"""One list of what a collection holds: documents, and uploads that are waiting or could not be read.

Filters, sorts and pages it. Pure: knows neither databases nor HTML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rag.records import Document
from rag.scope import Scope, kind_of
from rag.store import StoredDocument
from ui.uploads import Upload

__all__ = ["PAGE", "SORTS", "Filters", "Listing", "Row", "make_rows", "select"]

PAGE = 100  # rows

RowStatus = Literal["ready", "reading", "unread", "failed"]


@dataclass(frozen=True, slots=True)
class Row:
    """A document, or an upload that is none yet: then `id` is "" and `size` is 0.

    `size` counts characters of text, `bytes` those of an uploaded file. `reason` says why a file
    failed; where `id` is set then, an earlier version of it can be read. `upload` is the name of the
    uploaded file, "" for one from a folder; `by` is who uploaded it.
    """

    id: str
    title: str
    name: str
    kind: str
    size: int = 0
    pages: int | None = None
    date: str = ""
    added: str = ""
    status: RowStatus = "ready"
    reason: str = ""
    upload: str = ""
    by: str = ""
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for: words of the name or title, a kind, dates; a sort key and a page from 1."""

    q: str = ""
    kind: str = ""
    after: str = ""
    before: str = ""
    sort: str = "-added"
    page: int = 1

    def __bool__(self) -> bool:
        return bool(self.q.strip() or self.kind or self.after or self.before)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of rows; how many there are and how many match; the kinds there are, with counts."""

    rows: Sequence[Row]
    total: int
    matching: int
    page: int
    pages: int
    kinds: Mapping[str, int]


SORTS: dict[str, Callable[[Row], Any]] = {
    "title": lambda row: (row.title.casefold(), row.name.casefold()),
    "kind": lambda row: row.kind,
    "pages": lambda row: row.pages or 0,
    "size": lambda row: row.size,
    "date": lambda row: row.date,
    "added": lambda row: row.added,
    "status": lambda row: row.status,
}


def make_rows(
    documents: Sequence[StoredDocument],
    uploads: Sequence[tuple[str, Upload]],
    reading: bool,
) -> list[Row]:
    """Documents and uploads as rows, ordered by name.

    `uploads` come with their paths as `StoredDocument.path` spells them; `reading` is whether a run
    is going on or waiting that will take up those that wait.
    """
    by_path = dict(uploads)
    rows = []
    for one in documents:
        upload = by_path.pop(one.path, None)
        rows.append(
            Row(
                id=one.id,
                title=one.title or one.id,
                name=one.id,
                kind=kind_of(one.media_type, one.id),
                size=one.size,
                pages=one.pages,
                date=one.date or "",
                added=one.added,
                **(_sent(upload, reading) if upload else {}),
            )
        )
    for upload in by_path.values():
        sent = _sent(upload, reading)
        if sent["status"] == "ready":  # its document was forgotten, by another program
            sent["status"] = "unread"
        name, kind = upload.name, kind_of("", upload.name)
        rows.append(Row("", name, name, kind, added=upload.at, **sent))
    return sorted(rows, key=lambda row: row.name)


def select(rows: Sequence[Row], filters: Filters) -> tuple[list[Row], Listing]:
    """All rows that match, sorted, and the page of them that is asked for.

    Raises:
        InputError: a date or a kind is none.
    """
    scope = Scope(
        kinds=frozenset(filter(None, [filters.kind])), after=filters.after, before=filters.before
    )
    dates = Scope(after=filters.after, before=filters.before)
    words = filters.q.casefold().split()
    found = [
        row
        for row in rows
        if (not scope.kinds or row.kind in scope.kinds)
        and (not dates or dates.admits(Document(row.id, "", date=row.date or None)))
        and all(word in f"{row.title}\n{row.name}".casefold() for word in words)
    ]
    key = SORTS.get(filters.sort.removeprefix("-"), SORTS["added"])
    found.sort(key=key, reverse=filters.sort.startswith("-"))
    pages = max(1, -(-len(found) // PAGE))
    page = min(max(filters.page, 1), pages)
    shown = found[(page - 1) * PAGE : page * PAGE]
    counted = Counter(row.kind for row in rows)
    return found, Listing(shown, len(rows), len(found), page, pages, dict(sorted(counted.items())))


def _sent(upload: Upload, reading: bool) -> dict[str, Any]:
    """What a row says of the file that it was uploaded as."""
    states: dict[str, RowStatus] = {
        "read": "ready",
        "failed": "failed",
        "waiting": "reading" if reading else "unread",
    }
    return {
        "status": states[upload.state],
        "reason": upload.error,
        "upload": upload.name,
        "by": upload.user,
        "bytes": upload.bytes,
    }
