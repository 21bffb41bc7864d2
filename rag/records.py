"""The records that the stages hand to one another: frozen, nested, plain data.

Every offset in this project counts Unicode code points in `Document.text` (the normalised text that
`footnote show` prints), half open: `text[start:end]`. This module knows nothing of files, stores or
models.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "Mark",
    "Document",
    "Chunk",
    "Hit",
    "Citation",
    "AnswerSentence",
    "Claim",
    "Conflict",
    "Timings",
    "Answer",
    "Status",
]

Status = Literal["supported", "partial", "unsupported"]
MarkKind = Literal["page", "slide", "sheet", "heading"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that begins at offset `start` of a text: a page, a slide, a sheet or a heading.

    `number` is the page or slide number (from 1), the sheet's position (from 1) or the heading's
    level (1 is the top). `label` is the sheet's name or the heading's words; pages have none.
    """

    start: int
    kind: MarkKind
    number: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A source after reading: normalised text (NFC, `\\n` line ends) and what is where in it.

    `id` is unique in its collection: the path relative to the indexed folder. `date` is ISO 8601
    (`YYYY-MM-DD`, or a shorter prefix of it where no more is known) or None. `marks` are ordered
    by `start`.
    """

    id: str
    text: str
    title: str = ""
    date: str | None = None
    media_type: str = "text/plain"
    marks: tuple[Mark, ...] = ()

    def page_at(self, offset: int) -> int | None:
        """The number of the page or slide that holds `offset`; None where there are no pages."""
        pages = [mark for mark in self.marks if mark.kind in ("page", "slide")]
        at = bisect.bisect_right([mark.start for mark in pages], offset) - 1
        return pages[at].number if at >= 0 else None

    def headings_at(self, offset: int) -> tuple[str, ...]:
        """The headings (and sheet name) above `offset`, outermost first."""
        path: list[Mark] = []
        for mark in self.marks:
            if mark.start > offset:
                break
            if mark.kind == "sheet":
                path = [mark]
            elif mark.kind == "heading":
                path = [m for m in path if m.kind == "sheet" or m.number < mark.number] + [mark]
        return tuple(mark.label for mark in path if mark.label)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document as it is embedded: `document.text[start:end] == text`.

    `context` is the title and heading path: given to the embedder and the word index, never quoted.
    """

    document: str
    start: int
    end: int
    text: str
    context: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved passage. `why` holds the scores that made up `score`, by the signal's name."""

    rank: int
    score: float
    document: str
    title: str
    date: str | None
    page: int | None
    start: int
    end: int
    text: str
    context: str = ""
    why: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Citation:
    """A span of a source: `quote` is exactly characters `start..end` of the document's text."""

    marker: int
    document: str
    title: str
    date: str | None
    page: int | None
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """A sentence of the answer without markers, and the markers of the citations that support it."""

    text: str
    status: Status
    citations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """One side of a disagreement."""

    text: str
    citations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """What sources disagree about, and what each side says (two claims or more)."""

    about: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds and token counts of one answer: all that may differ between identical runs."""

    retrieve_s: float = 0.0
    first_token_s: float | None = None
    total_s: float = 0.0
    prompt_tokens: int = 0
    generated_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The one answer object: Python, JSON, chat, history and benchmark files all carry it.

    `signals` is what `confidence` was computed from, by name. `notes` say what the program did that a
    reader should know: that a sentence was left out, for one.
    """

    question: str
    standalone_question: str
    text: str
    refused: bool
    confidence: float
    sentences: tuple[AnswerSentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    missing: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    passages: tuple[Hit, ...] = ()
    signals: dict[str, float] = field(default_factory=dict)
    timings: Timings = Timings()
    model: str = ""
    embedder: str = ""
    collection: str = ""
    generation: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain lists and dictionaries, ready for `json.dumps`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Answer:
        """The inverse of `to_dict`, also after a round through JSON. Unknown keys are ignored.

        Raises:
            ValueError: a field is missing, or holds something else than it should.
        """
        return _adapter().validate_python(dict(row))


@functools.cache
def _adapter() -> TypeAdapter[Answer]:
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)
