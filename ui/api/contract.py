"""An answer as the service gives it: the contract that `footnote ask --json` keeps too.

`rag.records` says what each field means.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

__all__ = ["AnswerOut", "Offset"]

Offset = Annotated[int, Field(ge=0)]
Marker = Annotated[int, Field(ge=1)]


class SentenceOut(BaseModel):
    """A sentence of the answer, without markers, and the markers of what supports it."""

    text: str = Field(min_length=1)
    status: Literal["supported", "partial", "unsupported"]
    citations: list[Marker]


class CitationOut(BaseModel):
    """A span of a document: `quote` is exactly its characters `start` to `end`."""

    marker: Marker
    document: str
    title: str
    date: str | None
    page: int | None
    start: Offset
    end: int = Field(ge=1)
    quote: str = Field(min_length=1)


class ClaimOut(BaseModel):
    """One side of a disagreement."""

    text: str
    citations: list[Marker]


class ConflictOut(BaseModel):
    """What sources disagree about, and what each side says."""

    about: str
    claims: list[ClaimOut] = Field(min_length=2)


class PassageOut(BaseModel):
    """A passage that was found; `why` holds the scores that made up `score`."""

    rank: int = Field(ge=1)
    score: float
    document: str
    title: str
    date: str | None
    page: int | None
    start: Offset
    end: int = Field(ge=1)
    text: str
    context: str = ""
    why: dict[str, float] = {}


class TimingsOut(BaseModel):
    """Seconds and tokens: all that may differ between identical runs."""

    retrieve_s: float
    first_token_s: float | None
    total_s: float
    prompt_tokens: int = Field(ge=0)
    generated_tokens: int = Field(ge=0)


class AnswerOut(BaseModel):
    """An answer, every sentence of it proved. A refusal has neither sentences nor citations.

    `id` names the answer and `conversation` where it stands; both are "" where nothing was stored.
    """

    id: str = ""
    conversation: str = ""
    question: str
    standalone_question: str
    text: str = Field(min_length=1)
    refused: bool
    confidence: float = Field(ge=0, le=1)
    sentences: list[SentenceOut]
    citations: list[CitationOut]
    missing: list[str]
    conflicts: list[ConflictOut]
    notes: list[str] = []
    passages: list[PassageOut]
    signals: dict[str, float] = {}
    timings: TimingsOut
    model: str
    embedder: str
    collection: str
    generation: int | str
