"""/api/v1/conversations and /api/v1/answers: what one asked, and what one thought of the answers."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from ui.api.ask import answer_out
from ui.api.models import (
    ConversationOut,
    ConversationWhole,
    TitleIn,
    TurnOut,
    VerdictIn,
    VerdictOut,
)
from ui.guard import person_of
from ui.history import Conversation, Turn
from ui.routes.common import own_conversation, own_turn
from ui.services import Services

__all__ = ["routes"]

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def routes(services: Services) -> APIRouter:
    """The router."""
    router = APIRouter(prefix="/api/v1", tags=["conversations"])
    history, people, audit = services.history, services.people, services.audit

    @router.get("/conversations")
    def listed(
        request: Request,
        q: Annotated[str, Query(max_length=500)] = "",
        collection: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[ConversationOut]:
        """Your conversations, those with the latest question first; `q` looks in all their words."""
        person = person_of(request)
        found = history.conversations(person.name, search=q, limit=1000)
        mine = [
            one
            for one in found
            if collection in ("", one.collection) and people.may_read(person, one.collection)
        ]
        return [ConversationOut(**_shown(one)) for one in mine[:limit]]

    @router.get("/conversations/{id}")
    def one(request: Request, id: Id) -> ConversationWhole:
        """A conversation with its questions and answers."""
        person = person_of(request)
        found = own_conversation(services, person, id)
        turns = [_turn(turn) for turn in history.turns(person.name, id)]
        return ConversationWhole(**_shown(found), history=turns)

    @router.patch("/conversations/{id}")
    def rename(request: Request, id: Id, body: TitleIn) -> ConversationOut:
        """Give a conversation another title."""
        person = person_of(request)
        own_conversation(services, person, id)
        history.rename(person.name, id, body.title)
        return ConversationOut(**_shown(history.conversation(person.name, id)))

    @router.delete("/conversations/{id}", status_code=204)
    def delete(request: Request, id: Id) -> Response:
        """Delete a conversation with its answers."""
        person = person_of(request)
        found = own_conversation(services, person, id)
        history.delete(person.name, id)
        audit.note(person.name, "delete", f"conversation {id}", found.title)
        return Response(status_code=204)

    @router.get("/answers/{id}")
    def answer(request: Request, id: Id) -> TurnOut:
        """A question of yours and what became of it."""
        turn, _ = own_turn(services, person_of(request), id)
        return _turn(turn)

    @router.put("/answers/{id}/feedback")
    def judge(request: Request, id: Id, body: VerdictIn) -> VerdictOut:
        """Say what you think of an answer; what you said before is replaced."""
        person = person_of(request)
        own_turn(services, person, id)
        services.feedback.give(person.name, id, body.verdict, body.reason, body.correction)
        audit.note(person.name, "feedback", f"answer {id}", f"{body.verdict} {body.reason}".strip())
        return _verdict(services, person.name, id)

    @router.get("/answers/{id}/feedback")
    def judged(request: Request, id: Id) -> VerdictOut:
        """What you said of an answer."""
        person = person_of(request)
        own_turn(services, person, id)
        return _verdict(services, person.name, id)

    return router


def _shown(one: Conversation) -> dict[str, Any]:
    fields = dataclasses.asdict(one)
    del fields["user"]
    return fields


def _turn(turn: Turn) -> TurnOut:
    return TurnOut.model_validate(
        {
            "id": turn.id,
            "conversation": turn.conversation,
            "number": turn.number,
            "question": turn.question,
            "status": turn.status,
            "answer": turn.answer and answer_out(turn.answer, turn),
            "note": turn.note,
            "asked": turn.asked,
            "verdict": turn.verdict,
        }
    )


def _verdict(services: Services, user: str, id: str) -> VerdictOut:
    given = services.feedback.of(user, id)
    if given is None:
        return VerdictOut(verdict="", reason="", correction="")
    return VerdictOut(verdict=given.verdict, reason=given.reason, correction=given.correction)
