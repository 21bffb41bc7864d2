"""What every route shares: the reader's language, what is theirs, the replies to what can't be done."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute

from rag.errors import InputError, RagError, StoreUnavailable
from ui.history import Conversation, Turn
from ui.people import Person
from ui.services import Services
from ui.strings import LANGUAGES, Say, preferred, speaker

__all__ = [
    "LANGUAGE_COOKIE",
    "NotHere",
    "TellingRoute",
    "fragment",
    "language_of",
    "missing",
    "own_conversation",
    "own_turn",
    "refused",
    "say_of",
    "shared_turn",
]

LANGUAGE_COOKIE = "fn-lang"


def language_of(request: Request) -> str:
    """The interface's language: the one chosen on the page, else the browser's, else English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return preferred(request.headers.get("accept-language", ""))


def say_of(request: Request) -> Say:
    """What speaks the interface's language."""
    return speaker(language_of(request))


def fragment(html: str) -> HTMLResponse:
    """A piece of a page."""
    return HTMLResponse(html)


def refused(error: RagError) -> JSONResponse:
    """A user's mistake, or a store that is away: one line that names the remedy."""
    status = 503 if isinstance(error, StoreUnavailable) else 400
    return JSONResponse({"error": str(error)}, status_code=status)


def missing() -> JSONResponse:
    """There is no such thing, or it is not this person's: both look the same."""
    return JSONResponse({"error": "There is no such thing here."}, status_code=404)


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


def shared_turn(services: Services, person: Person, token: str) -> tuple[Turn, Conversation]:
    """The turn behind a link and where it stands, for whoever may read its collection.

    Raises:
        NotHere: there is none.
    """
    found = services.history.shared(token)
    if found is None or not services.people.may_read(person, found[1].collection):
        raise NotHere
    return found
