"""Which documents a question may be answered from: by name, by type, by date.

Dates may be shorter than a day: "2024-05" stands for all of that month. A document's date and the
asked period are both periods, and a document is admitted where the two share a day. So one dated
"2024" is admitted by `after="2024-03"`: nothing says that it is older. Knows nothing of how
documents are searched.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from rag.errors import InputError
from rag.read.formats import FORMATS
from rag.records import Document

if TYPE_CHECKING:
    from rag.store import StoredDocument

__all__ = ["KINDS", "Scope", "kind_of"]

AnyDocument = TypeVar("AnyDocument", "Document", "StoredDocument")

# A media type is called by the first ending that it has in `FORMATS`; a table is a table.
_KIND_BY_TYPE = {known.media_type: ending[1:] for ending, known in reversed(FORMATS.items())}
_KIND_BY_TYPE["text/tab-separated-values"] = "csv"

KINDS = tuple(sorted(set(_KIND_BY_TYPE.values())))
"""Every type of document by its short name: csv, docx, eml, html, md, pdf, pptx, txt, xlsx."""

_PERIOD = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)


def kind_of(media_type: str, document_id: str = "") -> str:
    """The short name of a document's type, one of `KINDS`; "txt" where nothing says more.

    The media type decides. Plain text is what a document has that came without one, so there the
    identifier's ending does.
    """
    kind = _KIND_BY_TYPE.get(media_type, "txt")
    ending = FORMATS.get(PurePosixPath(document_id).suffix.lower())
    return _KIND_BY_TYPE[ending.media_type] if kind == "txt" and ending else kind


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents may be searched. Empty fields leave everything in; the others all hold.

    `documents` are identifiers, `kinds` are of `KINDS`; `after` and `before` are ISO 8601
    (`YYYY-MM-DD` or a prefix, `YYYY` or `YYYY-MM`) and inclusive. A document without a date is out
    where one of the two is set.

    Raises:
        InputError: a date or a kind is none, or `after` is later than `before`.
    """

    documents: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    after: str = ""
    before: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.kinds) - set(KINDS)
        if unknown:
            raise InputError(
                f"'{min(unknown)}' is no type of document: use one of {', '.join(KINDS)}"
            )
        for asked in (self.after, self.before):
            if asked and _period(asked) is None:
                raise InputError(f"'{asked}' is no date: write YYYY-MM-DD, YYYY-MM or YYYY")
        if self.after and self.before and _first_day(self.after) > _last_day(self.before):
            raise InputError(
                f"no date is both after '{self.after}' and before '{self.before}': swap the two"
            )

    def __bool__(self) -> bool:
        return bool(self.documents or self.kinds or self.after or self.before)

    def admits(self, document: Document | StoredDocument) -> bool:
        """Whether the document may be searched."""
        if self.documents and document.id not in self.documents:
            return False
        if self.kinds and kind_of(document.media_type, document.id) not in self.kinds:
            return False
        if not (self.after or self.before):
            return True
        # A time of day may follow the date.
        held = _period((document.date or "")[:10])
        if held is None:
            return False
        ends_late = not self.after or held[1] >= _first_day(self.after)
        return ends_late and (not self.before or held[0] <= _last_day(self.before))

    def choose(self, held: Sequence[AnyDocument], place: str) -> list[AnyDocument]:
        """Those of `held` that are admitted. `place` is what an error calls them all.

        Raises:
            InputError: a named document is not held, or none is admitted.
        """
        ids = {one.id for one in held}
        unknown = self.documents - ids
        if unknown:
            name = min(unknown)
            near = difflib.get_close_matches(name, sorted(ids), n=1, cutoff=0)
            remedy = (
                f": name one that is there, such as '{near[0]}'" if near else ", which is empty"
            )
            raise InputError(f"there is no document '{name}' in {place}{remedy}")
        chosen = [one for one in held if self.admits(one)]
        if not chosen and self:
            raise InputError(f"no document in {place} is {self._said()}: drop or widen a filter")
        return chosen

    def _said(self) -> str:
        parts = [
            "one of those named" if self.documents else "",
            f"of type {' or '.join(sorted(self.kinds))}" if self.kinds else "",
            f"dated {self.after} or later" if self.after else "",
            f"dated {self.before} or earlier" if self.before else "",
        ]
        return " and ".join(part for part in parts if part)


def _period(text: str) -> tuple[str, str] | None:
    """The first and the last day of a date or of a prefix of one; None where it is neither."""
    if not _PERIOD.fullmatch(text):
        return None
    try:
        date.fromisoformat(_first_day(text))
    except ValueError:
        return None
    return _first_day(text), _last_day(text)


def _first_day(period: str) -> str:
    return period + "0000-01-01"[len(period) :]


def _last_day(period: str) -> str:
    """Text that sorts like the last day: a short month's 31st serves as well."""
    return period + "9999-12-31"[len(period) :]
