"""Puts our own head into the front page that Gradio makes, so that the frame is drawn at once.

Gradio adds what it is given as a head from its script, seconds later; this adds it to the HTML.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from ui.guard import ASGI, Receive, Scope, Send

__all__ = ["Framed", "framed"]

Message = MutableMapping[str, Any]
_OUTSIDE = re.compile(r"<meta\s[^>]*(?:og:|twitter:)[^>]*>\s*", re.IGNORECASE)


def framed(page: str, head: str, title: str) -> str:
    """`page` with `head` first in its head, its scripts started as the body begins, and a title.

    The cards for social networks that Gradio adds go: they name addresses elsewhere.
    """
    page = _OUTSIDE.sub("", page)
    page = re.sub(r"<body\b[^>]*>", lambda m: f"{m[0]}<script>fn.start()</script>", page, count=1)
    return re.sub(r"<head\b[^>]*>", lambda m: f"{m[0]}<title>{title}</title>{head}", page, count=1)


class Framed:
    """ASGI middleware: `framed` applied to the page at GET "/"; all else passes as it is."""

    def __init__(self, app: ASGI, head: str, title: str) -> None:
        self._app = app
        self._head = head
        self._title = title

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_page(message):
                start = message
                return
            if not start:  # a redirect, an error, something else than a page
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            page = framed(body.decode(), self._head, self._title).encode()
            headers = [one for one in start["headers"] if one[0].lower() != b"content-length"]
            length = (b"content-length", str(len(page)).encode())
            await send({**start, "headers": [*headers, length]})
            await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, collect)


def _is_page(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return bool(start["status"] == 200 and kinds and kinds[0].startswith(b"text/html"))
