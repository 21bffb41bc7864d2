"""/api/v1/collections: listed, made and removed; who may not read one finds none."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from rag.errors import CollectionError
from ui.api.access import editor, reader
from ui.api.errors import Problem
from ui.api.models import CollectionIn, CollectionOut
from ui.guard import person_of
from ui.people import Person
from ui.services import Services

__all__ = ["routes"]


def routes(services: Services) -> APIRouter:
    """The router."""
    router = APIRouter(prefix="/api/v1/collections", tags=["collections"])
    library, people, audit = services.library, services.people, services.audit

    def shown(person: Person, name: str) -> CollectionOut:
        documents = passages = 0
        wrong = ""
        try:
            with library.view(name) as opened:
                documents, passages = opened.counts()
        except CollectionError as error:
            wrong = str(error)
        return CollectionOut(
            name=name,
            documents=documents,
            passages=passages,
            may_edit=people.may_edit(person, name),
            private=bool(people.groups_of(name)),
            error=wrong,
        )

    @router.get("")
    def listed(request: Request) -> list[CollectionOut]:
        """The collections that you may read, the default one first."""
        person = person_of(request)
        return [shown(person, name) for name in library.names(person)]

    @router.post("", status_code=201)
    def create(request: Request, body: CollectionIn) -> CollectionOut:
        """Make an empty collection; private to your groups, where you are in any."""
        person = person_of(request)
        if person.role not in ("editor", "admin"):
            raise Problem(403, "You may not make collections: ask an editor.")
        library.create(person, body.name)
        audit.note(person.name, "create", body.name)
        return shown(person, body.name)

    @router.get("/{collection}")
    def one(request: Request, collection: str) -> CollectionOut:
        """How much a collection holds, and what you may do with it."""
        return shown(reader(services, request, collection), collection)

    @router.delete("/{collection}", status_code=204)
    def remove(request: Request, collection: str) -> Response:
        """Remove a collection, its uploads and everybody's conversations with it."""
        person = editor(services, request, collection)
        library.remove(person, collection)
        audit.note(person.name, "remove", collection)
        return Response(status_code=204)

    return router
