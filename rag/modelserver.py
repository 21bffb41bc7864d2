"""The connection to a model server: one client a process, limits in time and size, plain refusals.

Requests are made on an event loop of their own thread, because there one can be given up at any
moment, whatever its connection does. Callers are ordinary threads that wait for bytes as long as they
like: longer for the first than for the next, which no socket's time limit allows. Knows nothing of
messages.
"""

from __future__ import annotations

import atexit
import contextlib
import html
import os
import queue
import re
import ssl
import threading
import time
from collections.abc import Iterator
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

        headers = {"Accept-Encoding": "identity"}  # so that sizes are what they seem
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return httpx.AsyncClient(
            headers=headers,
            verify=self._trusted(),
            trust_env=False,
            follow_redirects=False,
            # The limits of reading are each caller's, see `Reply`.
            timeout=httpx.Timeout(None, connect=self._settings.endpoint_connect_s),
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=self._settings.endpoint_parallel
            ),
        )

    def _trusted(self) -> ssl.SSLContext:
        """Whom to believe who they are; nobody, where nothing is encrypted."""
        import httpx

        if not self.url.startswith("https:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the others take a while to read
        trusted: ssl.SSLContext = httpx.create_ssl_context(trust_env=False)
        file = self._settings.endpoint_ca
        try:
            if file:
                trusted.load_verify_locations(cafile=file)
        except OSError as error:  # which a bad certificate is, too
            raise SettingsError(
                f"endpoint_ca: {file}: is no PEM file of certificates ({error.strerror or error})"
            ) from None
        return trusted

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
        coming: queue.SimpleQueue[httpx.Response | bytes | Exception] = queue.SimpleQueue()
        exchange = self._portal.start_task_soon(self._exchange, request, coming)
        reply = Reply(self, coming)
        try:
            response = reply.head(seconds)
            if response.status_code != 200:
                raise self._refusal(response, reply.start())
            yield reply
        finally:
            exchange.cancel()  # where it is not over: the server sees that nobody listens

    async def _exchange(self, request: httpx.Request, coming: queue.SimpleQueue[Any]) -> None:
        """Put a response, its chunks and an empty one into `coming`; or what went wrong."""
        import anyio

        try:
            response = await self._client.send(request, stream=True)
            try:
                coming.put(response)
                async for chunk in response.aiter_raw():
                    coming.put(chunk)
                    if response.num_bytes_downloaded > _MOST_BYTES:
                        raise ModelUnavailable(
                            f"{self.url}: sends more than {_MOST_BYTES // 1_000_000} MB for one reply"
                        )
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
            coming.put(b"")
        except Exception as error:
            coming.put(error)

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

    def broken(self, error: Exception) -> Exception:
        """A failure of the connection as an error of ours; others as they are."""
        import httpx

        if not isinstance(error, httpx.RequestError):
            return error
        kind, told = type(error).__name__, self.told(str(error))
        if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return ModelError(f"{self.url}: {kind}: check 'endpoint'")
        if "CERTIFICATE" in told:
            return ModelError(
                f"{self.url}: {told}: set 'endpoint_ca' to the file of the authority that signed it"
            )
        return Passing(
            f"{self.url}: {kind} ({told or 'no more is known'}): is the server running? check "
            "'endpoint'"
        )


class Reply:
    """A reply on its way."""

    def __init__(self, server: ModelServer, coming: queue.SimpleQueue[Any]) -> None:
        self._server = server
        self._coming = coming

    def head(self, seconds: float) -> httpx.Response:
        """Its status and headers; raises as `read` does."""
        response: httpx.Response = self._next(seconds)
        return response

    def read(self, seconds: float) -> bytes:
        """The next bytes; none at the end, which can be read once.

        Raises:
            TimeoutError: nothing came within `seconds`.
            Passing: the connection broke.
            ModelUnavailable: the reply is beyond all bounds.
        """
        chunk: bytes = self._next(seconds)
        return chunk

    def start(self) -> str:
        """The beginning of a body that says what went wrong; as much as comes in a moment."""
        text, until = b"", time.monotonic() + _ASIDE_S
        with contextlib.suppress(RagError, TimeoutError):
            while len(text) < 20_000 and (chunk := self.read(until - time.monotonic())):
                text += chunk
        return text.decode("utf-8", "replace")

    def _next(self, seconds: float) -> Any:
        try:
            found = self._coming.get(timeout=max(0.0, seconds))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(found, Exception):
            raise self._server.broken(found) from None
        return found


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
