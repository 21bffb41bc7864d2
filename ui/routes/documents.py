"""Collections and their documents: listed, uploaded, read, indexed anew, deleted.

Who may not read a collection finds no such collection; who may read but not change it finds no such
action.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from anyio import from_thread
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from rag.collection import Collection
from rag.errors import CollectionError, InputError
from rag.read.formats import FORMATS
from ui.guard import person_of
from ui.library import Library
from ui.listing import Filters, Row, make_rows, select
from ui.people import Person
from ui.render.documents import About, list_html, text_html, view_html
from ui.routes.common import NotHere, TellingRoute, fragment, say_of
from ui.services import Services
from ui.uploads import safe_name

__all__ = ["body_of", "routes", "rows_of"]

_MOST_IDS = 1000  # documents that a scope may name


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Name(_Body):
    name: str


class _Documents(_Body):
    documents: list[str] = Field(default=[], max_length=10_000)
    uploads: list[str] = Field(default=[], max_length=10_000)


class _Source(_Body):
    source: str | None = None


def _filters(
    q: Annotated[str, Query(max_length=500)] = "",
    kind: str = "",
    after: str = "",
    before: str = "",
    sort: str = "-added",
    page: int = 1,
) -> Filters:
    return Filters(q, kind, after, before, sort, page)


Filtering = Annotated[Filters, Depends(_filters)]


def routes(services: Services) -> APIRouter:
    """`/panel/collections`, `/panel/documents/…`, `/collections…` and `/documents/…`."""
    router = APIRouter(route_class=TellingRoute)
    library, people, audit = services.library, services.people, services.audit

    def reader(request: Request, collection: str) -> Person:
        person = person_of(request)
        if collection not in library.names(person):
            raise NotHere
        return person

    def editor(request: Request, collection: str) -> Person:
        person = reader(request, collection)
        if not people.may_edit(person, collection):
            raise NotHere
        return person

    # Collections

    @router.get("/panel/collections")
    def collections(request: Request) -> list[dict[str, Any]]:
        person = person_of(request)
        return [
            {
                "name": name,
                **_counts(library, name),
                "may_edit": people.may_edit(person, name),
                "private": bool(people.groups_of(name)),
            }
            for name in library.names(person)
        ]

    @router.post("/collections")
    def create(request: Request, body: _Name) -> dict[str, str]:
        person, name = person_of(request), body.name.strip()
        library.create(person, name)
        audit.note(person.name, "create", name)
        return {"name": name}

    @router.post("/collections/{collection}/remove")
    def remove(request: Request, collection: str) -> dict[str, bool]:
        person = editor(request, collection)
        library.remove(person, collection)
        audit.note(person.name, "remove", collection)
        return {"removed": True}

    # The list

    @router.get("/panel/documents/{collection}")
    def listed(request: Request, collection: str, filters: Filtering, part: str = "") -> Response:
        person = reader(request, collection)
        with library.view(collection) as opened:
            _, listing = select(rows_of(library, opened), filters)
            chunks = opened.counts()[1]
        about = About(
            name=collection,
            chunks=chunks,
            may_edit=people.may_edit(person, collection),
            private=bool(people.groups_of(collection)),
            endings=tuple(sorted(FORMATS)),
            most_mb=services.settings.max_file_mb,
        )
        show = list_html if part == "list" else view_html
        return fragment(show(about, listing, filters, say_of(request)))

    @router.get("/panel/documents/{collection}/ids")
    def ids(request: Request, collection: str, filters: Filtering) -> dict[str, Any]:
        reader(request, collection)
        with library.view(collection) as opened:
            found, _ = select(rows_of(library, opened), filters)
        named = [row.id for row in found if row.id]
        return {"ids": named[:_MOST_IDS], "matching": len(named), "most": _MOST_IDS}

    @router.get("/documents/{collection}/text")
    def text(request: Request, collection: str, id: str, page: int = 1) -> Response:
        person = reader(request, collection)
        with library.view(collection) as opened:
            try:
                document = opened.document(id)
            except InputError:
                raise NotHere from None
        if page == 1:
            audit.note(person.name, "open", f"{collection}/{id}")
        return fragment(text_html(document, page, say_of(request)))

    # Changes

    @router.post("/documents/{collection}/upload")
    def upload(request: Request, collection: str, name: str) -> Response:
        person = editor(request, collection)
        most = services.settings.max_file_mb
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most * 1_000_000:
            shown = safe_name(name)
            raise InputError(f"{shown}: is larger than {most} MB: split it, or raise max_file_mb")
        try:
            path = library.upload(person, collection, name, body_of(request))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        audit.note(person.name, "upload", f"{collection}/{path.name}")
        return JSONResponse({"name": path.name})

    @router.post("/documents/{collection}/delete")
    def delete(request: Request, collection: str, body: _Documents) -> dict[str, int]:
        person = editor(request, collection)
        library.delete(person, collection, body.documents, body.uploads)
        for one in dict.fromkeys([*body.documents, *body.uploads]):
            audit.note(person.name, "delete", f"{collection}/{one}")
        return {"deleted": len({*body.documents, *body.uploads})}

    @router.post("/documents/{collection}/index")
    def index(request: Request, collection: str, body: _Source) -> dict[str, Any]:
        person = editor(request, collection)
        source = None if body.source is None else Path(body.source)
        task = library.index(person, collection, source)
        audit.note(person.name, "reindex", collection)
        return task.to_dict()

    @router.get("/documents/{collection}/tasks")
    def tasks(request: Request, collection: str) -> dict[str, Any]:
        reader(request, collection)
        return {"tasks": [task.to_dict() for task in library.tasks(collection)]}

    return router


def rows_of(library: Library, opened: Collection) -> list[Row]:
    """What a collection's list shows: its documents, and uploads that are none."""
    uploads = [(library.upload_path(one), one) for one in library.uploads(opened.name)]
    reading = any(not task.ended.is_set() for task in library.tasks(opened.name))
    return make_rows(opened.documents(), uploads, reading)


def _counts(library: Library, name: str) -> dict[str, Any]:
    """How much a collection holds, or why nobody can say."""
    try:
        with library.view(name) as opened:
            documents, chunks = opened.counts()
    except CollectionError as error:
        return {"documents": 0, "chunks": 0, "error": str(error)}
    return {"documents": documents, "chunks": chunks, "error": ""}


def body_of(request: Request) -> Iterator[bytes]:
    """The request's body, piece by piece as it comes, for a handler in a thread."""
    stream = request.stream()

    async def more() -> bytes | None:
        return await anext(stream, None)

    while (piece := from_thread.run(more)) is not None:
        yield piece
