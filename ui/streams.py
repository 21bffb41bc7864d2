"""The way to Gradio's own routes: those that the page uses, and each stream for its own person alone.

Gradio tells pages apart by a `session_hash` that the page makes up, and sends what belongs to it to
whoever names it. Here the first person to use one has it. Whoever is removed, or gets another role
or other groups, sees an open stream end. Gradio's other routes (files, uploads, fetching from
elsewhere) are not there. Knows nothing of conversations.
"""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from rag.errors import RagError
from ui.guard import ASGI, Message, Receive, Scope, Send
from ui.people import People, Person

__all__ = ["Owners", "Streams"]

_PREFIX = "/gradio_api"
_RUN = f"{_PREFIX}/run/"
_THEIRS = (_PREFIX, "/monitoring", "/pwa_icon", "/manifest.json")
_PLAIN = f"{_PREFIX}/app_id"  # tells of nobody
_LONGEST_HASH = 64
_LONGEST_BODY = 1_000_000  # bytes: a question is 2000 characters, a context names 10 000 documents
_EACH = 1000  # sessions of one person that are remembered
_IDLE_S = 24 * 3600  # a session that nobody used for so long is free again

_log = logging.getLogger(__name__)


class Owners:
    """Who used a session first. Remembers so many for each person, and so long."""

    def __init__(self, *, each: int = _EACH, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = each
        self._clock = clock
        self._owner: dict[str, str] = {}
        self._used: dict[str, OrderedDict[str, float]] = {}  # by person: oldest use first

    def claim(self, session: str, person: str) -> bool:
        """Whether the session is the person's: it was, or it is from now on."""
        now, owner = self._clock(), self._owner.get(session)
        if owner is not None and owner != person:
            if now - self._used[owner][session] <= _IDLE_S:
                return False
            self._drop(session)
        self._owner[session] = person
        mine = self._used.setdefault(person, OrderedDict())
        mine[session] = now
        mine.move_to_end(session)
        while len(mine) > self._each or now - next(iter(mine.values())) > _IDLE_S:
            self._drop(next(iter(mine)))
        return True

    def _drop(self, session: str) -> None:
        owner = self._owner.pop(session)
        del self._used[owner][session]
        if not self._used[owner]:
            del self._used[owner]


class Streams:
    """ASGI middleware behind the guard."""

    def __init__(self, app: ASGI, people: People, owners: Owners | None = None) -> None:
        self._app = app
        self._people = people
        self._owners = owners or Owners()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # However many slashes begin it: what is no route of Gradio's then is none here either.
        if scope["type"] != "http" or not f"/{scope['path'].lstrip('/')}".startswith(_THEIRS):
            await self._app(scope, receive, send)
            return
        asked, path = scope["method"], scope["path"]
        if asked == "GET" and path == _PLAIN:
            await self._app(scope, receive, send)
            return
        person = scope["state"]["person"]
        if asked == "GET" and path == f"{_PREFIX}/queue/data":
            sessions = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])
            session = sessions[0] if len(sessions) == 1 else None
        elif asked == "POST" and (path == f"{_PREFIX}/queue/join" or path.startswith(_RUN)):
            body = await _whole(receive)
            session, receive = _session(body), _again(body, receive)
        else:
            await _refuse(send, 404, "There is no such thing here.")
            return
        if not session or len(session) > _LONGEST_HASH or not session.isalnum():
            await _refuse(send, 400, "This page has no fitting session: load it again.")
        elif not self._owners.claim(session, person.name):
            await _refuse(send, 403, "This page's session is somebody else's: load it again.")
        else:
            await self._watched(scope, receive, send, person)

    async def _watched(self, scope: Scope, receive: Receive, send: Send, person: Person) -> None:
        """Let the answer pass for as long as its reader is who they were."""
        ended = False

        async def send_on(message: Message) -> None:
            nonlocal ended
            if ended:
                raise OSError("the reader's rights have changed")
            if message["type"] == "http.response.body" and not self._same(person):
                ended = True
                await send({"type": "http.response.body", "body": b""})
                return
            await send(message)

        async def receive_on() -> Message:
            return {"type": "http.disconnect"} if ended else await receive()

        try:
            await self._app(scope, receive_on, send_on)
        except Exception:
            if not ended:
                raise
            # What was cut off by us is no error of anybody's.

    def _same(self, person: Person) -> bool:
        """Whether the account still is what it was when the stream began."""
        try:
            if not self._people.enabled:
                return True
            return self._people.person(person.name) == person
        except RagError as error:
            _log.error("%s", error)
            return False


async def _whole(receive: Receive) -> bytes:
    """The request's body; empty where it is too long or nobody is there any more."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        body.extend(message.get("body", b""))
        if len(body) > _LONGEST_BODY:
            return b""
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already, then goes on as before."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _session(body: bytes) -> str | None:
    """The session that a body of JSON names."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    session = found.get("session_hash") if isinstance(found, dict) else None
    return session if isinstance(session, str) else None


async def _refuse(send: Send, status: int, text: str) -> None:
    body = json.dumps({"error": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
