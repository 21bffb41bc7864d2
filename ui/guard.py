"""Stands in front of every route of the chat: who is asking, may the request pass, and on what terms.

Without accounts the chat belongs to whoever sits at the machine: requests must name a loopback host,
and they only pass where the server itself listens on loopback. With accounts every request needs a
live session, or a key for what is the service's, but for the few in `OPEN`. A request with a key is no
browser's, so where it comes from does not matter; its cookies count for nothing. Knows nothing of
questions, collections or pages.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from rag.errors import RagError
from ui.api.errors import Problem, is_api, packed
from ui.keys import Keys
from ui.people import OWNER, People, Person
from ui.sessions import COOKIE, Sessions

__all__ = ["CONTENT_SECURITY_POLICY", "OPEN", "Guard", "is_loopback", "person_of", "safe_next"]

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "script-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
# What may be asked for without a session: exactly these, byte for byte after percent-decoding,
# which is also how the router behind reads a path.
OPEN = frozenset(
    {
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/favicon.ico"),
    }
)
_READING = {"GET", "HEAD", "OPTIONS"}  # every other method may change something
_HASHED = "/assets/"  # files whose names change with their content
_STATIC = ("/static/", "/svelte/", "/theme.css", "/favicon.ico")  # to be asked for again each time
_LONGEST_NEXT = 2000

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware: lets requests of known people through, with security headers on the answer.

    `loopback` says whether the server listens on this machine alone. Without `people` there are no
    accounts. What passes finds its `Person` with `person_of`. Where the accounts can't be read,
    everyone gets 503.
    """

    def __init__(
        self,
        app: ASGI,
        people: People | None,
        sessions: Sessions | None,
        keys: Keys | None = None,
        *,
        loopback: bool,
    ) -> None:
        self._app = app
        self._people = people
        self._sessions = sessions
        self._keys = keys
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            raise RuntimeError(f"no such traffic is served: {scope['type']}")
        accounts = True
        try:
            accounts = self._people is not None and self._people.enabled
            person, refusal = await self._judge(scope, accounts)
        except RagError as error:
            _log.error("%s", error)
            person, refusal = None, (503, "The chat's users can't be read. Its owner has to look.")
        answer = _dressed(scope, send, accounts)
        if refusal is None:
            state = {**scope.get("state", {}), "person": person}
            await self._app({**scope, "state": state}, receive, answer)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif is_api(scope["path"]):
            await _refuse(answer, scope["path"], *refusal)
        elif refusal[0] == 401 and scope["method"] == "GET" and _wants_page(scope):
            await _say(answer, 303, "", [(b"location", _login_address(scope))])
        else:
            await _say(answer, *refusal)

    async def _judge(
        self, scope: Scope, accounts: bool
    ) -> tuple[Person | None, tuple[int, str] | None]:
        """Who is asking, and either None or the status and words that refuse."""
        if not accounts:
            if not self._loopback:
                return None, (403, "The chat has no users yet: nobody is let in from elsewhere.")
            # A page elsewhere can point its own name at this machine (DNS rebinding).
            if not is_loopback(_host_name(_header(scope, b"host"))):
                return None, (403, "Open the chat at its own address.")
        key = _key(scope) if accounts and self._keys and is_api(scope["path"]) else ""
        if key:
            person = await self._keyed(key)
            return person, None if person else (401, "This key opens nothing: ask for another.")
        token = _cookie(scope)
        changing = scope["type"] == "websocket" or scope["method"] not in _READING
        if changing and not _same_origin(scope, token):
            return None, (403, "This request comes from another site.")
        if not accounts:
            return OWNER, None
        person = await self._logged_in(token)
        asked = (scope.get("method"), scope["path"])
        if person is None and (asked not in OPEN or scope.get("root_path")):
            return None, (401, "Log in first.")
        return person, None

    async def _keyed(self, key: str) -> Person | None:
        from starlette.concurrency import run_in_threadpool

        assert self._keys is not None
        return await run_in_threadpool(self._keys.person, key)

    async def _logged_in(self, token: str) -> Person | None:
        if not token or self._people is None or self._sessions is None:
            return None
        from starlette.concurrency import run_in_threadpool

        people, sessions = self._people, self._sessions

        def find() -> Person | None:
            name = sessions.name_of(token)
            return None if name is None else people.person(name)

        # In a thread, because the database may have to wait for its turn.
        return await run_in_threadpool(find)


def person_of(request: Any) -> Person:
    """Who sent a request: one of Starlette's or FastAPI's, or the `gr.Request` of a Gradio event.

    Raises:
        RuntimeError: the request has not passed the guard, or is one that needs no session.
    """
    inner = getattr(request, "request", None) or request
    person = getattr(inner, "scope", {}).get("state", {}).get("person")
    if not isinstance(person, Person):
        raise RuntimeError("nobody is known to have sent this request")
    return person


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def safe_next(address: str) -> str:
    """Where to go after login: `address` if it is a path of this site, else the front page.

    Browsers read a backslash as a slash and skip tabs and line ends, so none of them may be in it.
    """
    fit = (
        address.startswith("/")
        and not address.startswith("//")
        and "\\" not in address
        and all("!" <= character <= "~" for character in address)
        and len(address) <= _LONGEST_NEXT
        and urlsplit(address).path.rstrip("/") not in ("/login", "/logout")
    )
    return address if fit else "/"


def _same_origin(scope: Scope, token: str) -> bool:
    """Whether a changing request comes from the chat's own pages, or from no page at all.

    Browsers set these headers themselves; a page can't forge them. The first that is there decides:
    Sec-Fetch-Site, Origin, Referer. With none of them it is a script, which may go on where it
    brings no session: a session without them could be a browser made to send its cookie.
    """
    site = _header(scope, b"sec-fetch-site")
    if site and scope["type"] == "http":
        return site in ("same-origin", "none")
    source = _header(scope, b"origin") or _header(scope, b"referer")
    if not source:
        return not token
    host = _header(scope, b"host").lower()
    try:
        return bool(host) and urlsplit(source).netloc.lower() == host
    except ValueError:
        return False


def _dressed(scope: Scope, send: Send, accounts: bool) -> Send:
    """`send`, with the headers on every response."""

    async def send_dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            ours = [*_HEADERS, *_caching(scope["path"], message["status"], accounts)]
            names = {name for name, _ in ours}
            kept = [(name, value) for name, value in headers if name.lower() not in names]
            message = {**message, "headers": [*kept, *ours]}
        await send(message)

    return send_dressed


def _caching(path: str, status: int, accounts: bool) -> list[tuple[bytes, bytes]]:
    value = b"no-store"
    if status in (200, 206, 304):
        if path.startswith(_HASHED):
            kind = b"private" if accounts else b"public"
            value = kind + b", max-age=31536000, immutable"
        elif path.startswith(_STATIC):
            value = b"no-cache"
    return [(b"cache-control", value)]


async def _say(
    send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    plain = (b"content-type", b"text/plain; charset=utf-8")
    length = (b"content-length", str(len(text)).encode())
    start = {"type": "http.response.start", "status": status}
    await send({**start, "headers": [plain, length, *(headers or [])]})
    await send({"type": "http.response.body", "body": text.encode()})


async def _refuse(send: Send, path: str, status: int, text: str) -> None:
    """What a program understands."""
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    code = "invalid_api_key" if status == 401 else ""
    if status == 401 and text == "Log in first.":
        text = "A key is needed: send it in the header 'Authorization: Bearer KEY'."
    body, lines = packed(path, Problem(status, text, code, headers=headers))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


def _login_address(scope: Scope) -> bytes:
    query = scope.get("query_string", b"").decode("latin-1")
    asked = quote(scope["path"], safe="/!$&'()*+,;=:@~") + (f"?{query}" if query else "")
    wanted = safe_next(asked)
    return f"/login?{urlencode({'next': wanted})}".encode() if wanted != "/" else b"/login"


def _wants_page(scope: Scope) -> bool:
    return "text/html" in _header(scope, b"accept")


def _header(scope: Scope, name: bytes) -> str:
    """A header's value; "" where it is absent, and where it is there twice, which is a trick."""
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def _key(scope: Scope) -> str:
    """The key that the request brings; "" where there is none."""
    kind, _, key = _header(scope, b"authorization").partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""


def _cookie(scope: Scope) -> str:
    """The session token that the request brings; "" where there is none."""
    from starlette.requests import cookie_parser

    lines = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == b"cookie"]
    return cookie_parser("; ".join(lines)).get(COOKIE, "")


def _host_name(header: str) -> str:
    """The name in a Host header, without its port."""
    if header.startswith("["):
        return header.partition("]")[0] + "]"
    return header.partition(":")[0]
