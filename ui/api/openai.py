"""/v1/chat/completions and /v1/models: Footnote for every program that speaks with OpenAI's server.

A collection is a model, "footnote/NAME". What is written is sent once it is proved, also in a stream:
a sentence that was sent can't be taken back. Nothing is kept in the history, which the client has.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from rag.reader import LONGEST_QUESTION
from rag.records import Answer
from ui import asking
from ui.api.access import trace_of
from ui.api.ask import answer_out
from ui.api.errors import Problem, error_body
from ui.api.follow import Awaited, Streamed, event
from ui.api.models import ErrorOut
from ui.api.openai_models import (
    ChoiceOut,
    Completion,
    CompletionIn,
    MessageIn,
    MessageOut,
    ModelList,
    ModelOut,
    cited_in,
    usage,
)
from ui.api.openai_tasks import is_task, reply
from ui.guard import person_of
from ui.job import Job
from ui.services import Services

__all__ = ["routes"]

_PREFIX = "footnote/"
_LONGEST_SAID = 4000  # characters of an earlier message that are read
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}},
    400: {"model": ErrorOut},
}


def routes(services: Services) -> APIRouter:
    """The router."""
    router = APIRouter(prefix="/v1", tags=["as OpenAI"])

    @router.get("/models")
    def models(request: Request) -> ModelList:
        """The collections that you may ask, as models."""
        names = services.library.names(person_of(request))
        return ModelList(data=[ModelOut(id=_PREFIX + name) for name in names])

    @router.get("/models/{model:path}")
    def model(request: Request, model: str) -> ModelOut:
        """One of them."""
        return ModelOut(id=_PREFIX + _collection(services, request, model))

    @router.post("/chat/completions", response_model=Completion, responses=_STREAM)
    async def complete(request: Request, body: CompletionIn) -> Response:
        """Answer the last question of a conversation from a collection."""
        collection = await run_in_threadpool(_collection, services, request, body.model)
        question, earlier = _asked(body.messages)
        counted = bool(body.stream_options and body.stream_options.include_usage)
        frame = _Frame(_PREFIX + collection, str(request.base_url), collection, counted)
        if is_task(question):
            return frame.task(reply(question), bool(body.stream))
        job = await run_in_threadpool(_put, services, request, question, collection, earlier)
        frame.id = f"chatcmpl-{job.turn.id}"
        if not body.stream:
            return Awaited(services.desk, job, lambda answer: frame.whole(answer, job))

        def wrong(problem: Problem) -> str:
            return event(error_body(request.url.path, problem))

        return Streamed(services.desk, job, frame.begun, lambda one: frame.pieces(one, job), wrong)

    return router


@dataclass
class _Frame:
    """What all parts of one reply have in common."""

    model: str
    base: str
    collection: str
    counted: bool
    id: str = "chatcmpl-task"
    told: bool = False

    def whole(self, answer: Answer, job: Job) -> dict[str, Any]:
        """The reply at once."""
        notes = cited_in(answer, self._address)
        return self._completion(answer.text, notes, answer, answer_out(answer, job.turn))

    def begun(self, job: Job) -> str:
        """The first event of a stream, once; the others come with the answer."""
        if self.told:
            return ""
        self.told = True
        return self._chunk({"role": "assistant", "content": ""})

    async def pieces(self, answer: Answer, job: Job) -> AsyncIterator[str]:
        """The rest of a stream: the text by words, citations, counts, the end."""
        for piece in re.findall(r"\s*\S+\s*$|\s*\S+", answer.text):
            yield self._chunk({"content": piece})
        notes = cited_in(answer, self._address)
        yield self._chunk(
            {"annotations": notes} if notes else {}, footnote=answer_out(answer, job.turn)
        )
        yield self._end(answer)

    def task(self, text: str, stream: bool) -> Response:
        """The reply to what is no question."""
        if not stream:
            return JSONResponse(self._completion(text, [], None, None))
        said = self._chunk({"role": "assistant", "content": text}) + self._end(None)
        return StreamingResponse(iter([said]), media_type="text/event-stream")

    @property
    def _address(self) -> str:
        return f"{self.base}api/v1/collections/{self.collection}/text"

    def _completion(
        self,
        text: str,
        notes: list[dict[str, Any]],
        answer: Answer | None,
        whole: dict[str, Any] | None,
    ) -> dict[str, Any]:
        message = MessageOut(content=text, annotations=notes)
        return Completion(
            id=self.id,
            model=self.model,
            choices=[ChoiceOut(message=message)],
            usage=usage(answer),
            footnote=whole,
        ).model_dump()

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**self._head, "choices": [choice], **more})

    def _end(self, answer: Answer | None) -> str:
        said = self._chunk({}, "stop")
        if self.counted:
            said += event({**self._head, "choices": [], "usage": usage(answer).model_dump()})
        return said + event("[DONE]")

    @property
    def _head(self) -> dict[str, Any]:
        kind = "chat.completion.chunk"
        return {"id": self.id, "object": kind, "created": int(time.time()), "model": self.model}


def _collection(services: Services, request: Request, model: str) -> str:
    """The collection that a model's name means, with or without "footnote/" before it.

    Raises:
        Problem: there is none that this person may ask.
    """
    name = model.removeprefix(_PREFIX)
    if name not in services.library.names(person_of(request)):
        said = f"The model '{model}' does not exist or you do not have access to it."
        raise Problem(404, said, "model_not_found", param="model")
    return name


def _asked(messages: Sequence[MessageIn]) -> tuple[str, list[dict[str, str]]]:
    """The question, and what was said before it.

    Raises:
        Problem: nobody asks anything, or too much.
    """
    last = max((at for at, one in enumerate(messages) if one.role == "user"), default=-1)
    question = messages[last].text.strip() if last >= 0 else ""
    if not question:
        raise Problem(400, "No message of the user's asks anything.", param="messages")
    if len(question) > LONGEST_QUESTION and not is_task(question):
        said = (
            f"The question has {len(question):,} characters: {LONGEST_QUESTION:,} at most are read."
        )
        raise Problem(400, said, "context_length_exceeded", param="messages")
    earlier = [
        {"role": one.role, "content": one.text[:_LONGEST_SAID]}
        for one in messages[:last]
        if one.role in ("user", "assistant") and one.text.strip()
    ]
    return question, earlier


def _put(
    services: Services,
    request: Request,
    question: str,
    collection: str,
    earlier: list[dict[str, str]],
) -> Job:
    person = person_of(request)
    return asking.ask_unkept(services, person, question, collection, earlier, trace_of(request))
