"""What watches the service: /ready, /metrics, and for people the list of routes at /api."""

from __future__ import annotations

import html

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from rag.errors import RagError
from ui.api.errors import Problem
from ui.api.metrics import Metrics
from ui.api.models import MeOut, Readiness
from ui.guard import person_of
from ui.services import Services

__all__ = ["manual", "readiness", "routes"]

_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif;
  color: #1c2733; background: #fff; }
@media (prefers-color-scheme: dark) {
  body { color: #e4eaf0; background: #11161d; } a { color: #5ac8b9; } }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; } dt { margin-top: .9rem; } dd { margin: 0 0 0 1.5rem; }
code { font-size: .95em; } b { display: inline-block; min-width: 4.5rem; }
"""


def routes(services: Services, metrics: Metrics) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["service"])

    @router.get("/metrics", response_class=Response)
    def measured(request: Request) -> Response:
        """Everything that is counted, in Prometheus's text format; for admins."""
        if not services.people.may_administer(person_of(request)):
            raise Problem(403, "Metrics name every collection: use an admin's key.")
        text, media_type = metrics.text()
        return Response(text, media_type=media_type)

    @router.get("/api/v1/me")
    def me(request: Request) -> MeOut:
        """Whose key or session this is."""
        person = person_of(request)
        return MeOut(name=person.name, role=person.role, groups=sorted(person.groups))

    return router


def readiness(services: Services) -> APIRouter:
    """/ready, which asks for no key: what routes requests to the service has none."""
    router = APIRouter(tags=["service"])

    @router.get("/ready", response_model=Readiness, responses={503: {"model": Readiness}})
    def ready(request: Request) -> Response:
        """Whether questions can be answered: the model is loaded and the store can be read.

        200 or 503. Everybody may ask; which part is missing is told to those who are known.
        """
        model, store = services.desk.ready, _store(services)
        known = request.scope["state"].get("person") is not None
        body = {"ready": model and store, **({"model": model, "store": store} if known else {})}
        return JSONResponse(body, 200 if body["ready"] else 503)

    return router


def manual(app: FastAPI) -> APIRouter:
    """/api: the routes of the OpenAPI document on one page, which asks for nothing from elsewhere."""
    router = APIRouter(include_in_schema=False)

    @router.get("/api")
    def page() -> Response:
        return HTMLResponse(_page(app.openapi()))

    return router


def _page(document: dict[str, object]) -> str:
    groups: dict[str, list[str]] = {}
    paths: dict[str, dict[str, dict[str, object]]] = document["paths"]  # type: ignore[assignment]
    for path, methods in paths.items():
        for method, one in methods.items():
            said = html.escape(str(one.get("description", ""))).replace("\n\n", "<br>")
            row = (
                f"<dt><code><b>{method.upper()}</b> {html.escape(path)}</code></dt><dd>{said}</dd>"
            )
            tags: list[str] = one.get("tags") or ["other"]  # type: ignore[assignment]
            groups.setdefault(tags[0], []).append(row)
    body = "".join(f"<h2>{name}</h2><dl>{''.join(rows)}</dl>" for name, rows in groups.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Footnote: the service</title>'
        f"<style>{_STYLE}</style><h1>Footnote: the service</h1>"
        f'<p>The whole contract: <a href="/api/openapi.json">/api/openapi.json</a></p>{body}</html>'
    )


def _store(services: Services) -> bool:
    """Whether the default collection and the history can be read."""
    try:
        services.history.conversations("", limit=1)
        with services.library.view(services.settings.collection) as opened:
            opened.counts()
    except RagError:
        return False
    return True
