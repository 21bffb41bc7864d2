"""A reader's own conversations: listed, renamed, deleted; links to answers and verdicts on them.

What is somebody else's, is gone, or belongs to a collection that the reader may not read (any more)
is all the same: not here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from rag.errors import InputError, RagError
from ui.guard import person_of
from ui.history import Conversation, Turn
from ui.people import Person
from ui.render.conversations import conversations_html
from ui.routes.common import fragment, missing, refused, say_of
from ui.services import Services

__all__ = ["NotHere", "TellingRoute", "own_conversation", "own_turn", "routes"]

_LISTED = 200
_DAY = 24 * 60  # minutes


class NotHere(Exception):
    """There is no such thing, or it is not this person's."""


class TellingRoute(APIRoute):
    """A route whose handler may raise `NotHere` (404) or a `RagError` (400, one line)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except NotHere:
                return missing()
            except RagError as error:
                return refused(error)

        return told


class _Title(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: str
    reason: str = ""
    correction: str = ""


def own_conversation(services: Services, person: Person, id: str) -> Conversation:
    """The person's conversation of that id, over a collection that they may read.

    Raises:
        NotHere: there is none.
    """
    try:
        found = services.history.conversation(person.name, id)
    except InputError:
        raise NotHere from None
    if not services.people.may_read(person, found.collection):
        raise NotHere
    return found


def own_turn(services: Services, person: Person, id: str) -> tuple[Turn, Conversation]:
    """The person's turn of that id and where it stands, over a collection that they may read.

    Raises:
        NotHere: there is none.
    """
    try:
        turn = services.history.turn(person.name, id)
    except InputError:
        raise NotHere from None
    return turn, own_conversation(services, person, turn.conversation)


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
