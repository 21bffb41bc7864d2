"""What the page asks for as it opens: who is here, how to begin."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from rag.errors import RagError
from ui.guard import person_of
from ui.render.welcome import welcome_html
from ui.routes.common import NotHere, TellingRoute, fragment, own_turn, say_of
from ui.services import Services

__all__ = ["routes"]


def routes(services: Services) -> APIRouter:
    """GET /me, /panel/welcome/COLLECTION and /answers/TURN/question."""
    router = APIRouter(route_class=TellingRoute)

    @router.get("/me")
    def me(request: Request) -> dict[str, Any]:
        person = person_of(request)
        return {
            "name": person.name,
            "role": person.role,
            "groups": sorted(person.groups),
            "accounts": services.people.enabled,
            "waiting": services.desk.waiting(),
        }

    @router.get("/panel/welcome/{collection}")
    def welcome(collection: str, request: Request) -> Response:
        person = person_of(request)
        if collection not in services.library.names(person):
            raise NotHere
        may_edit = services.people.may_edit(person, collection)
        try:
            with services.library.view(collection) as opened:
                documents = opened.counts()[0]
                questions = services.suggestions.of(opened)
        except RagError as error:
            return fragment(welcome_html(0, (), "", may_edit, say_of(request), str(error)))
        services.desk.prepare(collection)
        endpoint = services.settings.endpoint
        return fragment(welcome_html(documents, questions, endpoint, may_edit, say_of(request)))

    @router.get("/answers/{turn}/question")
    def question(turn: str, request: Request) -> dict[str, str]:
        found, _ = own_turn(services, person_of(request), turn)
        return {"question": found.question}

    return router
