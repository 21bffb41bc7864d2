"""POST /api/v1/ask: a question, and its answer as JSON or as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from rag.records import Answer
from ui import asking
from ui.api.access import reader, trace_of
from ui.api.contract import AnswerOut
from ui.api.errors import Problem, error_body
from ui.api.follow import Awaited, Streamed, event
from ui.api.models import AskIn
from ui.guard import person_of
from ui.history import Conversation, Turn
from ui.job import Job
from ui.routes.common import own_conversation
from ui.services import Services

__all__ = ["answer_out", "routes"]

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream`, events.",
        "content": {"text/event-stream": {}},
    }
}


def routes(services: Services) -> APIRouter:
    """The router."""
    router = APIRouter(prefix="/api/v1", tags=["questions"])

    @router.post("/ask", response_model=AnswerOut, responses=_STREAM)
    async def ask(request: Request, body: AskIn) -> Response:
        """Ask a question and wait for the answer, or watch it come about.

        With `stream` the events are `stage` (where the question is), `token` (the draft as the
        model writes it: unchecked), `restart` (another model writes: forget the draft), and at the
        end `answer` (what was proved) or `error`. A client that leaves stops the model.
        """
        job = await run_in_threadpool(_put, services, request, body)

        def made(answer: Answer) -> dict[str, Any]:
            return answer_out(answer, job.turn)

        if not body.stream:
            return Awaited(services.desk, job, made)

        async def last(answer: Answer) -> AsyncIterator[str]:
            yield event(made(answer), "answer")

        def wrong(problem: Problem) -> str:
            return event(error_body(request.url.path, problem), "error")

        return Streamed(services.desk, job, _Told(), last, wrong)

    return router


def answer_out(answer: Answer, turn: Turn) -> dict[str, Any]:
    """An answer as JSON, with the names under which it is kept."""
    return {"id": turn.id, "conversation": turn.conversation, **answer.to_dict()}


def _put(services: Services, request: Request, body: AskIn) -> Job:
    question = asking.fitting(body.question)
    person = person_of(request)
    conversation: Conversation | None = None
    earlier: list[Turn] = []
    collection = body.collection or services.settings.collection
    if body.conversation:
        conversation = own_conversation(services, person, body.conversation)
        if body.collection not in (None, conversation.collection):
            raise Problem(400, "the conversation is with another collection: name that, or none")
        earlier = services.history.turns(person.name, conversation.id)
    else:
        reader(services, request, collection)
    return asking.ask(
        services,
        person,
        question,
        body.scope,
        collection=collection,
        conversation=conversation,
        earlier=earlier,
        style=body.style,
        trace=trace_of(request),
    )


@dataclass
class _Told:
    """What a client has been told: gives the events that are new."""

    at: tuple[str, str, int] = ("", "", 0)
    written: int = 0
    begun: int = 0

    def __call__(self, job: Job) -> str:
        stage, detail = job.at
        place = (stage, detail, job.before if stage == "queued" else 0)
        news = self._written(job) if self.at[0] == "writing" else ""
        if place != self.at:
            self.at = place
            told = dict(zip(("stage", "detail", "before"), place, strict=True))
            news += event(told, "stage")
        return news + self._written(job)

    def _written(self, job: Job) -> str:
        news = ""
        if job.begun != self.begun:
            self.begun, self.written = job.begun, 0
            news = event({}, "restart")
        text = job.draft[self.written :]
        self.written += len(text)
        return news + (event({"text": text}, "token") if text else "")
