"""A reader's own conversations: listed, renamed, deleted; links to answers and verdicts on them.

What is somebody else's, is gone, or belongs to a collection that the reader may not read (any more)
is all the same: not here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from rag.errors import InputError
from ui.guard import person_of
from ui.render.conversations import conversations_html
from ui.routes.common import TellingRoute, fragment, own_conversation, own_turn, say_of
from ui.services import Services

__all__ = ["routes"]

_LISTED = 200
_DAY = 24 * 60  # minutes


class _Title(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: str
    reason: str = ""
    correction: str = ""


def routes(services: Services) -> APIRouter:
    """`/panel/conversations`, `/conversations/…` and `/answers/…`."""
    router = APIRouter(route_class=TellingRoute)
    history, people, audit = services.history, services.people, services.audit

    @router.get("/panel/conversations")
    def listed(
        request: Request,
        q: str = "",
        collection: str = "",
        away: Annotated[int, Query(ge=-_DAY, le=_DAY)] = 0,
    ) -> Response:
        """The list; `away` is how many minutes UTC is ahead of the reader's clock."""
        person = person_of(request)
        found = history.conversations(person.name, search=q, limit=_LISTED + 1)
        allowed = {one: people.may_read(person, one) for one in {row.collection for row in found}}
        html = conversations_html(
            [one for one in found[:_LISTED] if allowed[one.collection]],
            now=datetime.now(UTC).astimezone(timezone(timedelta(minutes=-away))),
            collection=collection,
            search=q,
            cut=len(found) > _LISTED,
            say=say_of(request),
        )
        return fragment(html)

    @router.post("/conversations/{id}/rename")
    def rename(request: Request, id: str, body: _Title) -> dict[str, str]:
        person = person_of(request)
        own_conversation(services, person, id)
        history.rename(person.name, id, body.title)
        return {"title": history.conversation(person.name, id).title}

    @router.post("/conversations/{id}/delete")
    def delete(request: Request, id: str) -> dict[str, bool]:
        person = person_of(request)
        one = own_conversation(services, person, id)
        history.delete(person.name, id)
        audit.note(person.name, "delete", f"conversation {id}", one.title)
        return {"deleted": True}

    @router.post("/answers/{id}/share")
    def share(request: Request, id: str) -> dict[str, str]:
        person = person_of(request)
        turn, _ = own_turn(services, person, id)
        if turn.answer is None:
            raise InputError("this question has no answer that could be shared: ask it again")
        token = history.share(person.name, id)
        audit.note(person.name, "share", f"answer {id}", turn.question)
        return {"url": f"/answer/{token}"}

    @router.post("/answers/{id}/feedback")
    def judge(request: Request, id: str, body: _Verdict) -> dict[str, str]:
        person = person_of(request)
        own_turn(services, person, id)
        services.feedback.give(person.name, id, body.verdict, body.reason, body.correction)
        audit.note(person.name, "feedback", f"answer {id}", f"{body.verdict} {body.reason}".strip())
        return body.model_dump()

    @router.get("/answers/{id}/feedback")
    def judged(request: Request, id: str) -> dict[str, str]:
        """What the reader said, or "" for everything."""
        person = person_of(request)
        own_turn(services, person, id)
        given = services.feedback.of(person.name, id)
        if given is None:
            return {"verdict": "", "reason": "", "correction": ""}
        return {"verdict": given.verdict, "reason": given.reason, "correction": given.correction}

    return router
