"""The panel of sources of one turn, and images of the PDF pages that it cites.

A page is drawn only where the collection still holds the very file that was cited: no other path is
ever opened, whatever a snapshot says.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response

from rag.errors import CollectionError, InputError, ReadError
from rag.store import StoredDocument
from ui.guard import person_of
from ui.history import Turn
from ui.render.sources import State, pages_of, panel_html
from ui.routes.common import fragment, missing, say_of
from ui.services import Services
from ui.snapshot import Source

__all__ = ["routes"]

Seen = tuple[Turn, str]
"""A turn that the person may see, and its collection."""
Cited = tuple[str, Source, int, list[tuple[int, int]]]
"""A collection, a source of a turn, a page of it, and the characters cited there."""

_KEPT_S = 3600  # seconds that a browser may keep a page's image


def routes(services: Services) -> APIRouter:
    """`/panel/sources/TURN`, `/panel/shared/TOKEN`, `/page/TURN/SOURCE/PART.png`."""
    router = APIRouter()

    @router.get("/panel/sources/{turn}")
    def own(request: Request, turn: str) -> Response:
        return _panel(services, request, _own(services, request, turn))

    @router.get("/panel/shared/{token}")
    def shared(request: Request, token: str) -> Response:
        return _panel(services, request, _shared(services, request, token), token)

    @router.get("/page/{turn}/{source}/{part}.png")
    def page(
        request: Request,
        turn: str,
        source: int,
        part: int,
        page: int | None = None,
        shared: str = "",
    ) -> Response:
        seen = _shared(services, request, shared) if shared else _own(services, request, turn)
        cited = _cited(seen, turn, source, part, page) if seen else None
        png = _image(services, *cited) if cited else None
        if png is None:
            return missing()
        headers = {"Cache-Control": f"private, max-age={_KEPT_S}"}
        return Response(png, media_type="image/png", headers=headers)

    return router


def _own(services: Services, request: Request, turn_id: str) -> Seen | None:
    """A turn of the person's own, in a collection that they may still read."""
    person = person_of(request)
    try:
        turn = services.history.turn(person.name, turn_id)
        collection = services.history.conversation(person.name, turn.conversation).collection
    except InputError:
        return None
    return (turn, collection) if services.people.may_read(person, collection) else None


def _shared(services: Services, request: Request, token: str) -> Seen | None:
    """The turn behind a link, for somebody who may read the collection that it rests on."""
    found = services.history.shared(token)
    if found is None or not services.people.may_read(person_of(request), found[1].collection):
        return None
    return found[0], found[1].collection


def _panel(services: Services, request: Request, seen: Seen | None, token: str = "") -> Response:
    if seen is None:
        return missing()
    turn, collection = seen
    stored = _stored(services, collection) if turn.sources else {}
    states = [_state(one, stored.get(one.document)) for one in turn.sources]
    html = panel_html(turn, collection, states, say_of(request), shared=token)
    return fragment(html)


def _stored(services: Services, collection: str) -> dict[str, StoredDocument]:
    """What the collection holds now, by identifier; nothing where it is gone."""
    try:
        with services.library.view(collection) as held:
            return {one.id: one for one in held.documents()}
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
    return seen[1], sources[source], page or pages[0], spans


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
