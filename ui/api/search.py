"""POST /api/v1/search: the best passages, without a model that writes."""

from __future__ import annotations

from fastapi import APIRouter, Request

from ui import asking
from ui.api.access import reader
from ui.api.models import HitOut, SearchIn, SearchOut
from ui.services import Services

__all__ = ["routes"]


def routes(services: Services) -> APIRouter:
    """The router."""
    router = APIRouter(prefix="/api/v1", tags=["questions"])

    @router.post("/search")
    def search(request: Request, body: SearchIn) -> SearchOut:
        """The best passages of a collection for a question, best first."""
        question = asking.fitting(body.question)
        name = body.collection or services.settings.collection
        person = reader(services, request, name)
        scope = body.scope.scope()
        with services.library.view(name) as collection:
            found = collection.retrieve(question, body.k, scope or None)
        services.audit.note(person.name, "search", name, question)
        return SearchOut(
            question=question,
            collection=found.collection,
            generation=found.generation,
            hits=[HitOut.model_validate(hit, from_attributes=True) for hit in found.hits],
        )

    return router
