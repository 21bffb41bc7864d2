"""What goes into the service and comes out of it, as pydantic models: the OpenAPI document is theirs.

Offsets count Unicode code points of what `text` of a document shows.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.reader import LONGEST_QUESTION
from ui.api.contract import AnswerOut, Offset
from ui.context import Limits

__all__ = [
    "AskIn",
    "CollectionIn",
    "CollectionOut",
    "ConversationOut",
    "ConversationWhole",
    "DocumentOut",
    "DocumentsOut",
    "ErrorOut",
    "MeOut",
    "Readiness",
    "SearchIn",
    "SearchOut",
    "TaskOut",
    "TextOut",
    "TitleIn",
    "TurnOut",
    "UploadOut",
    "VerdictIn",
    "VerdictOut",
]

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
CollectionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorDetail(BaseModel):
    """What is wrong. `request` is the number under which the log has a failure inside."""

    code: str
    message: str
    request: str | None = None


class ErrorOut(BaseModel):
    """Every error."""

    error: ErrorDetail


class ScopeIn(Limits):
    """Which documents a question may look at: identifiers, kinds, days; empty: all.

    `after` and `before` are inclusive, a day, a month or a year in ISO 8601.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


# Questions


class AskIn(_In):
    """A question. `conversation` goes on with an earlier one; else `collection` is asked anew.

    With `stream`, the response is a stream of server-sent events: `stage`, `token`, `answer`, `error`.
    """

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    collection: CollectionName | None = None
    conversation: Id = ""
    scope: ScopeIn = ScopeIn()
    style: Literal["full", "short"] | None = None
    stream: bool = False


# Search


class SearchIn(_In):
    """What to look for; `k` counts passages."""

    question: str = Field(min_length=1, max_length=LONGEST_QUESTION)
    collection: CollectionName | None = None
    scope: ScopeIn = ScopeIn()
    k: int = Field(6, ge=1, le=50)


class HitOut(BaseModel):
    """A passage: characters `start` to `end` of a document."""

    rank: int = Field(ge=1)
    score: float
    document: str
    title: str
    page: int | None
    start: Offset
    end: int
    text: str


class SearchOut(BaseModel):
    """The best passages, best first."""

    question: str
    collection: str
    generation: int | str
    hits: list[HitOut]


# Collections and documents


class CollectionIn(_In):
    """A collection to make."""

    name: CollectionName


class CollectionOut(BaseModel):
    """A collection; `error` says why nobody can say what it holds, `private` that it is some groups'."""

    name: str
    documents: int
    passages: int
    may_edit: bool
    private: bool
    error: str = ""


class DocumentOut(BaseModel):
    """A document, or an upload that is none yet or can't be: then `id` is "".

    `status`: ready, reading, unread or failed, `reason` why. `upload` is the uploaded file's name.
    """

    id: str
    title: str
    name: str
    kind: str
    size: int
    pages: int | None
    date: str
    added: str
    status: Literal["ready", "reading", "unread", "failed"]
    reason: str
    upload: str
    by: str
    bytes: int


class DocumentsOut(BaseModel):
    """One page of a collection's documents, and how many there are."""

    documents: list[DocumentOut]
    total: int
    matching: int
    page: int
    pages: int
    kinds: dict[str, int]


class TextOut(BaseModel):
    """Characters `start` to `end` of a document, of `length` in all."""

    document: str
    title: str
    date: str | None
    media_type: str
    length: int
    start: Offset
    end: Offset
    text: str


class UploadOut(BaseModel):
    """A file that was taken; it is searched once the list of documents says that it is ready."""

    name: str
    status: Literal["reading"] = "reading"


class TaskOut(BaseModel):
    """A run of reading files into a collection; `done` and `total` count documents."""

    number: int
    state: Literal["waiting", "running", "done", "failed"]
    done: int
    total: int
    started: str
    finished: str
    report: dict[str, Any]
    changes: dict[str, list[str]]
    error: str


# Conversations


class TurnOut(BaseModel):
    """A question and what became of it. `note` is the error, or the draft of a stopped answer."""

    id: str
    conversation: str
    number: int
    question: str
    status: Literal["asked", "answered", "stopped", "failed"]
    answer: AnswerOut | None
    note: str
    asked: str
    verdict: str


class ConversationOut(BaseModel):
    """A conversation; `turns` counts its questions. Times are ISO 8601, UTC."""

    id: str
    collection: str
    title: str
    created: str
    updated: str
    turns: int


class ConversationWhole(ConversationOut):
    """A conversation with its questions and answers, in order."""

    history: list[TurnOut]


class TitleIn(_In):
    """Another title."""

    title: str = Field(min_length=1, max_length=2000)


class VerdictIn(_In):
    """What its reader thinks of an answer."""

    verdict: Literal["up", "down"]
    reason: str = Field("", max_length=100)
    correction: str = Field("", max_length=4000)


class VerdictOut(BaseModel):
    """The same as it is stored; everything is "" where nothing was said."""

    verdict: str
    reason: str
    correction: str


# The service


class MeOut(BaseModel):
    """Who a key or a session is, and what they may."""

    name: str
    role: str
    groups: list[str]


class Readiness(BaseModel):
    """Whether questions can be answered now; the parts are told to those who are known."""

    ready: bool
    model: bool | None = None
    store: bool | None = None
