"""Every error of the service as JSON: `{"error": {"code", "message"}}`, in OpenAI's form below /v1.

The one place that says which status an error has. What a client did wrong is 4xx, always; what went
wrong inside is 500 and says no more than the number under which the log has it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rag.errors import (
    CollectionError,
    InputError,
    ModelBusy,
    ModelError,
    ModelUnavailable,
    RagError,
    ReadError,
    StoreUnavailable,
)
from ui.database import ChatDataError
from ui.job import Busy, Closing

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = [
    "CODES",
    "GONE",
    "OPENAI",
    "Problem",
    "error_body",
    "install",
    "is_api",
    "missing",
    "of_error",
    "packed",
]

_log = logging.getLogger(__name__)

OPENAI = "/v1/"
GONE = 499  # what counts as the status where the client left before there was one
_API = ("/api/", OPENAI, "/health", "/ready", "/metrics")

CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    429: "too_many_questions",
    500: "internal",
    503: "unavailable",
}
_LATER_S = 5  # when to try again what may pass
_KINDS: tuple[tuple[type[RagError], int, str], ...] = (
    (Busy, 429, "too_many_questions"),
    (Closing, 503, "stopping"),
    (ChatDataError, 503, "unavailable"),
    (StoreUnavailable, 503, "unavailable"),
    (CollectionError, 409, "collection"),
    (ModelError, 503, "model"),
    (InputError, 400, "invalid_request"),
    (ReadError, 400, "invalid_request"),
)


class Problem(Exception):
    """What the client is told instead of what it asked for."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "",
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or CODES[status]
        self.param = param
        self.headers = dict(headers or {})


def is_api(path: str) -> bool:
    """Whether a path is the service's, not the chat's."""
    return any(
        path == one.rstrip("/") or (one.endswith("/") and path.startswith(one)) for one in _API
    )


def of_error(error: RagError) -> Problem:
    """What a client is told of an error that was raised on purpose."""
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            seconds = error.seconds if isinstance(error, Busy) else _LATER_S
            passing = (Busy, ModelBusy, ModelUnavailable, StoreUnavailable)
            wait = {"retry-after": str(seconds)} if isinstance(error, passing) else {}
            said = str(error)
            if isinstance(error, (ModelUnavailable, StoreUnavailable)):
                # Where the servers stand is for the log, not for whoever has a key.
                _log.warning("footnote: %s", error)
                what = "database" if isinstance(error, StoreUnavailable) else "model server"
                said = f"The {what} is away: try again later."
            return Problem(status, said, code, headers=wait)
    return Problem(500, str(error), "settings")


def missing(what: str = "There is no such thing here.") -> Problem:
    """There is no such thing, or it is not this person's: both look the same."""
    return Problem(404, what)


def error_body(path: str, problem: Problem, **more: str) -> dict[str, Any]:
    """The JSON that says what is wrong, in the form that the path's clients know."""
    told: dict[str, Any] = {"code": problem.code, "message": problem.message, **more}
    if path.startswith(OPENAI):
        kind = "server_error" if problem.status >= 500 else "invalid_request_error"
        if problem.status == 429:
            kind = "rate_limit_error"
        told |= {"type": kind, "param": problem.param}
    return {"error": told}


def packed(path: str, problem: Problem, **more: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The same as bytes, and its headers."""
    body = json.dumps(error_body(path, problem, **more), ensure_ascii=False).encode(
        "utf-8", "replace"
    )
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **problem.headers,
    }
    return body, [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def install(app: FastAPI) -> None:
    """Have the application answer so."""
    from fastapi import Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.routing import iter_route_contexts
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect

    from ui.routes.common import NotHere

    def told(request: Request, problem: Problem, /, **more: str) -> Response:
        body, headers = packed(request.scope["path"], problem, **more)
        named = {name.decode(): value.decode("latin-1") for name, value in headers}
        return Response(body, problem.status, named)

    def allowed(path: str) -> list[str]:
        fits = [one for one in iter_route_contexts(app.routes) if one.path_regex.match(path)]
        return sorted({method for one in fits for method in one.methods or ()})

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return told(request, error)

    async def purpose(request: Request, error: Exception) -> Response:
        assert isinstance(error, RagError)
        return told(request, of_error(error))

    async def not_here(request: Request, error: Exception) -> Response:
        return told(request, missing())

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        said = f"{place}: {first['msg']}"
        status = 400 if request.scope["path"].startswith(OPENAI) else 422
        return told(request, Problem(status, said, param=place))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = CODES.get(error.status_code, "invalid_request")
        headers = dict(error.headers or {})
        if error.status_code == 405:  # Starlette names those of the first route that fits alone
            headers["Allow"] = ", ".join(allowed(request.scope["path"]))
        return told(request, Problem(error.status_code, str(error.detail), code, headers=headers))

    async def inside(request: Request, error: Exception) -> Response:
        """What nobody foresaw."""
        words = "Something went wrong inside. The log has it under the number of this request."
        number = str(request.scope.get("state", {}).get("request", ""))
        _log.error("footnote: request %s failed", number, exc_info=error)
        return told(request, Problem(500, words), request=number)

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=GONE)  # nobody is there to read it

    app.add_exception_handler(Exception, inside)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(RagError, purpose)
    app.add_exception_handler(NotHere, not_here)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
