"""The connection to a model server: one client a process, limits in time and size, plain refusals.

Requests are made on an event loop of their own thread, because there a wait can be given up at any
moment, whatever the connection does: how long the next bytes may take differs from one read to the
next, which no socket's time limit allows. Callers are ordinary threads. Knows nothing of messages.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import html
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from rag.errors import ModelBusy, ModelError, ModelUnavailable, RagError, SettingsError
from rag.retry import RETRIED, Passing, retry_after
from rag.settings import Settings
from rag.sse import parsed

if TYPE_CHECKING:
    import httpx
    from anyio.from_thread import BlockingPortal

__all__ = ["ModelServer", "Reply", "model_server"]

_MOST_BYTES = 16_000_000  # of one reply
_MOST_DETAIL = 300  # characters of what a server says of an error
_MOST_NAMES = 10
_ASIDE_S = 5.0  # for /models, which is only asked to be of help
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class ModelServer:
    """What `settings` name as `endpoint`. Safe to use from any thread.

    Raises:
        SettingsError: the file of the authority is none.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = settings.endpoint
        self._key = settings.endpoint_key
        self._settings = settings
        self._places = threading.BoundedSemaphore(settings.endpoint_parallel)
        self._portal = _portal()
        self._client = self._portal.call(self._new_client)

    async def _new_client(self) -> httpx.AsyncClient:
        import httpx

        settings = self._settings
        headers = {"Accept-Encoding": "identity"}  # so that sizes are what they seem
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        trusted = httpx.create_ssl_context(trust_env=False)
        if settings.endpoint_ca:
            try:
                trusted.load_verify_locations(cafile=settings.endpoint_ca)
            except OSError as error:  # which a bad certificate is, too
                raise SettingsError(
                    f"endpoint_ca: {settings.endpoint_ca}: is no PEM file of certificates "
                    f"({error.strerror or error})"
                ) from None
        return httpx.AsyncClient(
            headers=headers,
            verify=trusted,
            trust_env=False,
            follow_redirects=False,
            # The limits of reading are each caller's, see `Reply`.
            timeout=httpx.Timeout(None, connect=settings.endpoint_connect_s),
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=settings.endpoint_parallel
            ),
        )

    def close(self) -> None:
        """Close all connections. Nothing can be asked any more."""
        self._portal.call(self._client.aclose)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Be one of those that may ask, for as long as the block runs.

        Raises:
            ModelBusy: none of the others had finished after `endpoint_queue_s`.
        """
        waited = self._settings.endpoint_queue_s
        if not self._places.acquire(timeout=waited):
            raise ModelBusy(
                f"the model server is busy: {self._settings.endpoint_parallel} requests are under "
                f"way and none ended within {waited:g} s: ask again later, or raise "
                "'endpoint_parallel'"
            )
        try:
            yield
        finally:
            self._places.release()

    @contextlib.contextmanager
    def ask(self, path: str, body: dict[str, Any] | None, seconds: float) -> Iterator[Reply]:
        """The reply to a POST of `body` (a GET where it is None), once its headers are there.

        Raises:
            TimeoutError: they did not come within `seconds`.
            Passing: the server is away, or says that another attempt may do.
            ModelUnavailable: it has failed.
            ModelError: it refuses the request.
        """
        method = "GET" if body is None else "POST"
        request = self._client.build_request(method, self.url + path, json=body)
        with self._plainly():
            send = functools.partial(self._client.send, request, stream=True)
            response = self._portal.call(_within, seconds, send)
        reply = Reply(self, self._portal, response)
        try:
            if response.status_code != 200:
                raise self._refusal(response, reply.start())
            yield reply
        finally:
            reply.close()

    def models(self, seconds: float = _ASIDE_S) -> list[str]:
        """The names of the models that it offers.

        Raises:
            ModelError: it can't be reached within `seconds`, or does not say.
        """
        text, until = b"", time.monotonic() + seconds
        try:
            with self.ask("/models", None, seconds) as reply:
                while chunk := reply.read(until - time.monotonic()):
                    text += chunk
        except TimeoutError:
            raise ModelUnavailable(f"{self.url}: did not answer within {seconds:g} s") from None
        rows = parsed(text.decode("utf-8", "replace")).get("data")
        rows = rows if isinstance(rows, list) else []
        names = [row.get("id") for row in rows if isinstance(row, dict)]
        return [self.told(name) for name in names if isinstance(name, str)]

    def told(self, text: str) -> str:
        """What a server says, fit for a line of ours: short, plain and without the key."""
        text = self.without_key(text)
        if text.lstrip().startswith("<"):
            text = html.unescape(_TAG.sub(" ", text))
        return " ".join(_CONTROL.sub(" ", text).split())[:_MOST_DETAIL]

    def without_key(self, text: str) -> str:
        """A server may repeat the key that it does not like."""
        return text.replace(self._key, "…") if self._key else text

    def failure(self, code: object, told: str, after: float | None = None) -> RagError:
        """The error that an HTTP status, or the same number in an error's body, stands for."""
        said = f": {told}" if told else ""
        if code in (401, 403):
            asked = "'endpoint_key' is not accepted" if self._key else "it wants a key"
            return ModelError(f"{self.url}: {asked} ({code}{said}): set 'endpoint_key'")
        if code == 404:
            return ModelError(
                f"{self.url}: has no model '{self._settings.model}', or no chat completions "
                f"({code}{said}): {self._offer()}"
            )
        if isinstance(code, int) and 300 <= code < 400:
            return ModelError(
                f"{self.url}: wants to send us elsewhere ({code}), which is not followed: set "
                "'endpoint' to the address itself"
            )
        if code in RETRIED:
            return Passing(f"{self.url}: is overloaded or not ready ({code}{said})", after)
        if isinstance(code, int) and 400 <= code < 500:
            return ModelError(
                f"{self.url}: refuses the request ({code}{said}): check 'model' and the settings "
                "that begin with 'endpoint'"
            )
        return ModelUnavailable(f"{self.url}: has failed ({code}{said}): see the server's log")

    def _refusal(self, response: httpx.Response, detail: str) -> RagError:
        after = retry_after(response.headers.get("retry-after", ""))
        return self.failure(response.status_code, self.told(_message(detail)), after)

    def _offer(self) -> str:
        """What to do about a model that is not there."""
        try:
            names = self.models()
        except RagError:
            names = []
        if not names:
            return "'endpoint' is the base URL, mostly one that ends in /v1; check 'model', too"
        more = ", …" if len(names) > _MOST_NAMES else ""
        return f"set 'model' to one of {', '.join(names[:_MOST_NAMES])}{more}"

    @contextlib.contextmanager
    def _plainly(self) -> Iterator[None]:
        """Failures of the connection as errors of ours. No message of a library's is shown whole:
        it may hold what was sent."""
        import httpx

        try:
            yield
        except httpx.RequestError as error:
            kind = type(error).__name__
            if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
                raise ModelError(f"{self.url}: {kind}: check 'endpoint'") from None
            if "CERTIFICATE" in str(error):
                raise ModelError(
                    f"{self.url}: {self.told(str(error))}: set 'endpoint_ca' to the file of the "
                    "authority that signed it"
                ) from None
            raise Passing(
                f"{self.url}: {kind} ({self.told(str(error)) or 'no more is known'}): is the server "
                "running? check 'endpoint'"
            ) from None


class Reply:
    """A reply on its way. Close it at any time: the server then sees that nobody listens."""

    def __init__(
        self, server: ModelServer, portal: BlockingPortal, response: httpx.Response
    ) -> None:
        self._server, self._portal, self._response = server, portal, response
        self._chunks: AsyncIterator[bytes] = response.aiter_raw()
        self._size = 0

    def read(self, seconds: float) -> bytes:
        """The next bytes; none at the end.

        Raises:
            TimeoutError: nothing came within `seconds`.
            Passing: the connection broke.
            ModelUnavailable: the reply is beyond all bounds.
        """
        with self._server._plainly():
            chunk: bytes = self._portal.call(_within, seconds, anext, self._chunks, b"")
        self._size += len(chunk)
        if self._size > _MOST_BYTES:
            raise ModelUnavailable(
                f"{self._server.url}: sends more than {_MOST_BYTES // 1_000_000} MB for one reply"
            )
        return chunk

    def start(self) -> str:
        """The beginning of a body that says what went wrong; as much as comes in a moment."""
        text = b""
        with contextlib.suppress(RagError, TimeoutError):
            while len(text) < 20_000 and (chunk := self.read(_ASIDE_S)):
                text += chunk
        return text.decode("utf-8", "replace")

    def close(self) -> None:
        """Idempotent."""
        with contextlib.suppress(RuntimeError):  # the process ends, and the loop has
            self._portal.call(self._response.aclose)


async def _within(seconds: float, function: Any, *arguments: Any) -> Any:
    """`await function(*arguments)`, given up after `seconds`."""
    import anyio

    with anyio.fail_after(max(0.0, seconds)):
        return await function(*arguments)


def _message(body: str) -> str:
    """What an error's body says: the message in it, where it is JSON as it should be."""
    with contextlib.suppress(ModelError):
        found = parsed(body)
        error = found.get("error", found)
        message = error.get("message") or error.get("detail") if isinstance(error, dict) else error
        if isinstance(message, str):
            return message
    return body


# One loop and one connection pool a process, made when first needed; a forked child has neither.
_lock = threading.Lock()
_loops: dict[int, BlockingPortal] = {}
_servers: dict[tuple[Any, ...], ModelServer] = {}


def _portal() -> BlockingPortal:
    from anyio.from_thread import start_blocking_portal

    process = os.getpid()
    if process not in _loops:
        manager = start_blocking_portal(name="footnote-endpoint")
        _loops[process] = manager.__enter__()
        atexit.register(_stop, process, manager)
    return _loops[process]


def _stop(process: int, manager: contextlib.AbstractContextManager[Any]) -> None:
    """Close what is open, at the end of the process."""
    if os.getpid() == process:
        for server in _servers.values():
            with contextlib.suppress(Exception):  # nobody is left to be told
                server.close()
        manager.__exit__(None, None, None)


def model_server(settings: Settings) -> ModelServer:
    """The one ModelServer of this process for what `settings` say of it.

    Raises:
        SettingsError: see `ModelServer`.
    """
    said = settings.model_dump(include={"endpoint", "endpoint_key", "endpoint_ca"})
    limits = ("endpoint_connect_s", "endpoint_parallel", "endpoint_queue_s", "model")
    key = (os.getpid(), *said.values(), *(getattr(settings, name) for name in limits))
    with _lock:
        if key not in _servers:
            _servers[key] = ModelServer(settings)
        return _servers[key]
