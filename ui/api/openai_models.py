"""OpenAI's chat completions as pydantic models: what is read of a request, what a reply looks like.

Fields that ask for another way of writing (temperature, tools, …) are taken and have no effect: what
is written is decided by the documents.
"""

from __future__ import annotations

import re
import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.records import Answer

__all__ = ["Completion", "CompletionIn", "ModelList", "ModelOut", "cited_in", "usage"]

_MARKER = re.compile(r"\[(\d{1,4})\]")
_OWNER = "footnote"


class PartIn(BaseModel):
    """A part of a message; only text is read."""

    model_config = ConfigDict(extra="ignore")

    type: str = Field("text", max_length=100)
    text: str | None = None


class MessageIn(BaseModel):
    """A message."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[PartIn] | None = None

    @property
    def text(self) -> str:
        """The words of it all."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if part.text)


class StreamOptionsIn(BaseModel):
    """What the stream holds besides."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool | None = None


class CompletionIn(BaseModel):
    """A request. The last message of the user's is the question, those before it are its history.

    Instructions ("system", "developer") have no effect: an answer says what documents say.
    """

    model_config = ConfigDict(extra="ignore")

    model: str = Field(max_length=200)
    messages: list[MessageIn] = Field(min_length=1, max_length=1000)
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    n: int | None = Field(None, ge=1, le=1)


class ModelOut(BaseModel):
    """A model: a collection."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = _OWNER


class ModelList(BaseModel):
    """All that one may ask."""

    object: Literal["list"] = "list"
    data: list[ModelOut]


class MessageOut(BaseModel):
    """The answer, with citations as annotations."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[dict[str, Any]] = []


class ChoiceOut(BaseModel):
    """The one choice."""

    index: int = 0
    message: MessageOut
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class UsageOut(BaseModel):
    """Tokens that the model read and wrote."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """A reply; `footnote` is the whole answer as /api/v1/ask gives it, or null."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    choices: list[ChoiceOut]
    usage: UsageOut
    footnote: dict[str, Any] | None = None


def usage(answer: Answer | None) -> UsageOut:
    """What an answer cost; nothing where the model was not asked."""
    read = answer.timings.prompt_tokens if answer else 0
    wrote = answer.timings.generated_tokens if answer else 0
    return UsageOut(prompt_tokens=read, completion_tokens=wrote, total_tokens=read + wrote)


def cited_in(answer: Answer, address: str) -> list[dict[str, Any]]:
    """Each marker in the text as a citation of an address where its document can be read.

    `address` is that of a collection's documents, to which a query is added.
    """
    from urllib.parse import urlencode

    cited = {one.marker: one for one in answer.citations}
    found = []
    for marker in _MARKER.finditer(answer.text):
        one = cited.get(int(marker[1]))
        if one is None:
            continue
        query = urlencode({"document": one.document, "start": one.start, "end": one.end})
        citation = {
            "start_index": marker.start(),
            "end_index": marker.end(),
            "title": one.title or one.document,
            "url": f"{address}?{query}",
        }
        found.append({"type": "url_citation", "url_citation": citation})
    return found
