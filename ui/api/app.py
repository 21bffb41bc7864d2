"""The whole service as one ASGI application, to be put behind the guard."""

from __future__ import annotations

from typing import Any

from ui.api import ask, collections, conversations, documents, errors, openai, operations, search
from ui.api.envelope import Envelope
from ui.api.metrics import Metrics
from ui.api.models import ErrorOut
from ui.api.traces import Traces
from ui.guard import ASGI
from ui.routes.health import routes as health
from ui.services import Services

__all__ = ["api"]

_VERSION = "1"
_TOLD = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503)
_ABOUT = """
Footnote answers questions from documents, and proves every sentence by the exact characters of a source.

Where there are users, a key goes into the header `Authorization: Bearer KEY`.
Errors are `{"error": {"code", "message"}}`.
"""


def api(services: Services, **patience: float) -> ASGI:
    """The service. `patience` goes to `Envelope`.

    Raises:
        SettingsError: a package that it needs is not installed.
    """
    from fastapi import FastAPI, Security
    from fastapi.security import HTTPBearer

    metrics, traces = Metrics(services), Traces(services.settings)
    services.desk.on_ended.append(traces.question)
    services.closing.callback(traces.close)
    told: dict[int | str, dict[str, Any]] = {status: {"model": ErrorOut} for status in _TOLD}
    app = FastAPI(
        title="Footnote",
        version=_VERSION,
        description=_ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    errors.install(app)
    # Told in the document alone: the guard, in front of everything, is what asks for it.
    keyed = [Security(HTTPBearer(auto_error=False, description="Needed where there are users."))]
    for family in (ask, search, collections, documents, conversations, openai):
        app.include_router(family.routes(services), responses=told, dependencies=keyed)
    app.include_router(operations.routes(services, metrics), responses=told, dependencies=keyed)
    app.include_router(operations.readiness(services))
    app.include_router(health())
    app.include_router(operations.manual(app))
    return Envelope(app, metrics, traces, upload_mb=services.settings.max_file_mb, **patience)
