"""The panel of sources of one turn, and images of the PDF pages that it cites.

A page is drawn only where the collection still holds the very file that was cited: no other path is
ever opened, whatever a snapshot says.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response

from rag.errors import CollectionError, InputError, ReadError, StoreUnavailable
from rag.store import StoredDocument
from ui.guard import person_of
from ui.history import Conversation, Turn
from ui.render.sources import State, pages_of, panel_html
from ui.routes.common import (
    NotHere,
    TellingRoute,
    fragment,
    own_turn,
    say_of,
    shared_turn,
)
from ui.services import Services
from ui.snapshot import Source

__all__ = ["routes"]

Seen = tuple[Turn, Conversation]
"""A turn that the person may see, and where it stands."""
Cited = tuple[str, Source, int, list[tuple[int, int]]]
"""A collection, a source of a turn, a page of it, and the characters cited there."""

_KEPT_S = 3600  # seconds that a browser may keep a page's image


def routes(services: Services) -> APIRouter:
    """`/panel/sources/TURN`, `/panel/shared/TOKEN`, `/page/TURN/SOURCE/PART.png`."""
    router = APIRouter(route_class=TellingRoute)

    @router.get("/panel/sources/{turn}")
    def own(request: Request, turn: str) -> Response:
        return _panel(services, request, own_turn(services, person_of(request), turn))

    @router.get("/panel/shared/{token}")
    def shared(request: Request, token: str) -> Response:
        return _panel(services, request, shared_turn(services, person_of(request), token), token)

    @router.get("/page/{turn}/{source}/{part}.png")
    def page(
        request: Request,
        turn: str,
        source: int,
        part: int,
        page: int | None = None,
        shared: str = "",
    ) -> Response:
        find, name = (shared_turn, shared) if shared else (own_turn, turn)
        seen = find(services, person_of(request), name)
        cited = _cited(seen, turn, source, part, page)
        png = _image(services, *cited) if cited else None
        if png is None:
            raise NotHere
        headers = {"Cache-Control": f"private, max-age={_KEPT_S}"}
        return Response(png, media_type="image/png", headers=headers)

    return router


def _panel(services: Services, request: Request, seen: Seen, token: str = "") -> Response:
    turn, collection = seen[0], seen[1].collection
    stored = _stored(services, collection) if turn.sources else {}
    states = [_state(one, stored.get(one.document)) for one in turn.sources]
    html = panel_html(turn, collection, states, say_of(request), shared=token)
    return fragment(html)


def _stored(services: Services, collection: str) -> dict[str, StoredDocument]:
    """What the collection holds now, by identifier; nothing where it is gone."""
    try:
        with services.library.view(collection) as held:
            return {one.id: one for one in held.documents()}
    except StoreUnavailable:  # what can't be looked at is not gone
        raise
    except CollectionError:
        return {}


def _state(source: Source, stored: StoredDocument | None) -> State:
    if stored is None:
        return "gone"
    return "same" if stored.hash == source.hash else "changed"


def _cited(seen: Seen, turn: str, source: int, part: int, page: int | None) -> Cited | None:
    """What an address of an image means: a page that the turn does cite."""
    answer, sources = seen[0].answer, seen[0].sources
    if seen[0].id != turn or answer is None or not 0 <= source < len(sources):
        return None
    if not 0 <= part < len(sources[source].parts):
        return None
    held = sources[source].parts[part]
    pages = pages_of(answer, held)
    if not pages or page not in (None, *pages):
        return None
    spans = [(one.start, one.end) for one in held.excerpt.highlights]
    return seen[1].collection, sources[source], page or pages[0], spans


def _image(
    services: Services, collection: str, source: Source, page: int, spans: list[tuple[int, int]]
) -> bytes | None:
    """The page as PNG; None where the file is not what was cited, or can't be drawn."""
    stored = _stored(services, collection).get(source.document)
    if stored is None or not source.hash:
        return None
    if (stored.path, stored.hash) != (source.path, source.hash):
        return None
    try:
        with services.library.view(collection) as held:
            document = held.document(source.document)
        return services.pages.image(Path(stored.path), document, page, spans).png
    except (InputError, CollectionError, ReadError):
        return None
