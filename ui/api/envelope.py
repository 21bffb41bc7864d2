"""What surrounds every request to the service: its number, patience with its sender, and failures.

A body that is too large or does not arrive in time ends its request, and so does a client that does
not read. What goes wrong inside is logged under the request's number, and the client gets that number
and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from starlette.exceptions import HTTPException

from ui.api.errors import GONE
from ui.api.metrics import Metrics
from ui.api.traces import Traces
from ui.guard import ASGI, Message, Receive, Scope, Send

__all__ = ["Envelope"]

_SILENCE_S = 30.0  # between two pieces of a body
_BODY_S = 60.0  # of a whole body; an upload has longer
_UPLOAD_S = 900.0
_STALLED_S = 60.0  # for a client to make room for the next piece of its response
_LONGEST_BODY = 2_000_000  # bytes, but for an uploaded file
_LARGE = "the request's body may have {most:,} bytes at most"
_LATE = "the request's body did not arrive in time: send it again"
_CLOSE = {"connection": "close"}

_log = logging.getLogger(__name__)


class Envelope:
    """ASGI middleware around the service's application."""

    def __init__(
        self,
        app: ASGI,
        metrics: Metrics,
        traces: Traces,
        *,
        upload_mb: int,
        silence_s: float = _SILENCE_S,
        body_s: float = _BODY_S,
        upload_s: float = _UPLOAD_S,
        stalled_s: float = _STALLED_S,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._traces = traces
        self._upload_bytes = upload_mb * 1_000_000
        self._silence_s = silence_s
        self._stalled_s = stalled_s
        self._body_s, self._upload_s = body_s, upload_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = secrets.token_hex(8)
        scope.setdefault("state", {})["request"] = number
        status, whole, began = 0, False, time.perf_counter()

        async def sent(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", number.encode())]
                message = {**message, "headers": headers}
            else:
                whole = not message.get("more_body", False)
            try:
                async with asyncio.timeout(self._stalled_s):
                    await send(message)
            except TimeoutError:
                raise _Stalled from None

        with self._traces.request(scope) as span:
            try:
                await self._app(scope, self._patient(scope, receive), sent)
            except _Stalled:
                _log.info("footnote: request %s: its sender does not read the response", number)
            except Exception:
                if not whole:  # `errors` has not told of it
                    _log.exception("footnote: request %s failed", number)
                    raise  # the connection is cut: the client can tell that this is no answer
            finally:
                span(status or GONE)
                self._metrics.request(scope, status or GONE, time.perf_counter() - began)

    def _patient(self, scope: Scope, receive: Receive) -> Receive:
        """`receive`, which waits for a body so long and takes so much of it, and no more."""
        upload = scope["method"] == "POST" and scope["path"].endswith("/documents")
        ends = time.monotonic() + (self._upload_s if upload else self._body_s)
        most = self._upload_bytes if upload else _LONGEST_BODY
        declared, taken, whole = _declared(scope), 0, False

        async def received() -> Message:
            nonlocal taken, whole
            if whole:
                return await receive()  # when the client leaves, which may take long
            left = min(self._silence_s, ends - time.monotonic())
            message: Message = {}
            try:
                if declared <= most:
                    async with asyncio.timeout(max(0.0, left)):
                        message = await receive()
            except TimeoutError:
                # Starlette's own, because FastAPI lets no other pass from where it reads a body.
                raise HTTPException(408, _LATE, _CLOSE) from None
            taken += len(message.get("body", b""))
            if max(declared, taken) > most:
                raise HTTPException(413, _LARGE.format(most=most), _CLOSE)
            whole = not message.get("more_body", False)
            return message

        return received


class _Stalled(Exception):
    """The client reads no more, but stays."""


def _declared(scope: Scope) -> int:
    """How long a request says that its body is."""
    said = next((value for key, value in scope["headers"] if key == b"content-length"), b"")
    return int(said[:20]) if said.isdigit() else 0
