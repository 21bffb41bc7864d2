"""/api/v1/collections/NAME/documents and beside it: listed, uploaded, read, deleted."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request, Response

from rag.errors import InputError
from rag.scope import KINDS
from ui.api.access import editor, reader
from ui.api.errors import missing
from ui.api.models import DocumentOut, DocumentsOut, TaskOut, TextOut, UploadOut
from ui.listing import SORTS, Filters, select
from ui.routes.documents import body_of, rows_of
from ui.services import Services

__all__ = ["routes"]

_UPLOADS = 8  # that are received at once: each has a thread, and a sender may be slow
_LONGEST_TEXT = 1_000_000  # characters of a document that one response holds

Name = Annotated[str, Query(min_length=1, max_length=1000)]
Words = Annotated[str, Query(max_length=500)]
Day = Annotated[str, Query(max_length=10)]


def routes(services: Services) -> APIRouter:
    """The router."""
    router = APIRouter(prefix="/api/v1/collections/{collection}", tags=["documents"])
    library, audit = services.library, services.audit
    receiving = CapacityLimiter(_UPLOADS)

    @router.get("/documents")
    def listed(
        request: Request,
        collection: str,
        q: Words = "",
        kind: Annotated[str, Query(max_length=20)] = "",
        after: Day = "",
        before: Day = "",
        sort: Annotated[str, Query(max_length=20)] = "-added",
        page: Annotated[int, Query(ge=1, le=10**9)] = 1,
    ) -> DocumentsOut:
        """A page of 100 documents, with uploads that are being read or could not be.

        `q` looks in titles and names; `kind` is one of those that the response counts; `after` and
        `before` are days, months or years; `sort` is a column, with "-" for descending.
        """
        reader(services, request, collection)
        if sort.removeprefix("-") not in SORTS:
            raise InputError(f"'{sort}' is no order: use one of {', '.join(SORTS)}")
        if kind and kind not in KINDS:
            raise InputError(f"'{kind}' is no kind: use one of {', '.join(KINDS)}")
        with library.view(collection) as opened:
            _, listing = select(
                rows_of(library, opened), Filters(q, kind, after, before, sort, page)
            )
        return DocumentsOut(
            documents=[DocumentOut(**dataclasses.asdict(row)) for row in listing.rows],
            total=listing.total,
            matching=listing.matching,
            page=listing.page,
            pages=listing.pages,
            kinds=dict(listing.kinds),
        )

    @router.post(
        "/documents",
        status_code=202,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
                },
            }
        },
    )
    async def upload(request: Request, collection: str, name: Name) -> UploadOut:
        """Send a file as the request's body; it is read in the background.

        A file of the same name is replaced. The list of documents and the tasks tell how it goes.
        """

        def receive() -> str:
            person = editor(services, request, collection)
            path = library.upload(person, collection, name, body_of(request))
            audit.note(person.name, "upload", f"{collection}/{path.name}")
            return path.name

        taken = await to_thread.run_sync(receive, limiter=receiving)
        return UploadOut(name=taken)

    @router.delete("/documents", status_code=204)
    def delete(
        request: Request,
        collection: str,
        id: Annotated[list[str], Query(max_length=1000)] = [],  # noqa: B006
        upload: Annotated[list[str], Query(max_length=1000)] = [],  # noqa: B006
    ) -> Response:
        """Forget documents by `id`, or uploads by file name, whether they could be read or not."""
        person = editor(services, request, collection)
        if not id and not upload:
            raise InputError("name what to delete: id=DOCUMENT or upload=FILE")
        with library.view(collection) as opened:
            held = {one.id for one in opened.documents()}
        sent = {one.name for one in library.uploads(collection)}
        if set(id) - held or set(upload) - sent:
            raise missing("There is no such document here.")
        library.delete(person, collection, id, upload)
        for one in dict.fromkeys([*id, *upload]):
            audit.note(person.name, "delete", f"{collection}/{one}")
        return Response(status_code=204)

    @router.get("/text")
    def text(
        request: Request,
        collection: str,
        document: Name,
        start: Annotated[int, Query(ge=0, le=10**12)] = 0,
        end: Annotated[int | None, Query(ge=0, le=10**12)] = None,
    ) -> TextOut:
        """Characters of a document's normalised text, which every offset counts in.

        At most a million of them at once.
        """
        person = reader(services, request, collection)
        with library.view(collection) as opened:
            try:
                found = opened.document(document)
            except InputError:
                raise missing("There is no such document here.") from None
        if start == 0:
            audit.note(person.name, "open", f"{collection}/{document}")
        start = min(start, len(found.text))
        last = min(len(found.text) if end is None else max(start, end), start + _LONGEST_TEXT)
        said = found.text[start:last]
        return TextOut(
            document=found.id,
            title=found.title,
            date=found.date,
            media_type=found.media_type,
            length=len(found.text),
            start=start,
            end=start + len(said),
            text=said,
        )

    @router.get("/tasks")
    def tasks(request: Request, collection: str) -> list[TaskOut]:
        """The last runs of reading files in, and those that go on or wait."""
        reader(services, request, collection)
        return [TaskOut.model_validate(task.to_dict()) for task in library.tasks(collection)]

    @router.post("/tasks", status_code=202)
    def index(request: Request, collection: str) -> TaskOut:
        """Have everything that the collection was made from read again."""
        person = editor(services, request, collection)
        task = library.index(person, collection)
        audit.note(person.name, "reindex", collection)
        return TaskOut.model_validate(task.to_dict())

    return router
