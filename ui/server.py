"""Serves a Gradio app from this machine alone, with headers that keep the page's requests at home.

Knows nothing of questions or answers.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from rag.errors import SettingsError
from ui.theme import head, icon_path, style, theme

__all__ = ["CONTENT_SECURITY_POLICY", "Guard", "bind", "is_loopback", "mount", "server"]

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
_TRIES = 50  # ports tried after the one that was asked for

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Guard:
    """ASGI middleware: security headers on every response; requests must name a loopback host.

    The host check stops a web page elsewhere from reaching the chat under a name that it has pointed
    at this machine (DNS rebinding).
    """

    def __init__(self, app: ASGI) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        named = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if not is_loopback(_host_name(named)):
            start = {"type": "http.response.start", "status": 403, "headers": []}
            await send_guarded(start)
            await send({"type": "http.response.body", "body": b"Open the chat at its own address."})
            return
        await self._app(scope, receive, send_guarded)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> tuple[socket.socket, int]:
    """A listening socket on `port`, or on the next free port after it; and the port it has.

    Raises:
        SettingsError: `host` reaches beyond this machine, or nothing can be bound.
    """
    if not is_loopback(host):
        raise SettingsError(
            f"the chat has no users yet, so it can't be opened to others on '{host}': "
            "leave --host at 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = ""
    for candidate in [port] if port == 0 else range(port, min(port + _TRIES, 65536)):
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host.strip("[]"), candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
            continue
        return listener, int(listener.getsockname()[1])
    raise SettingsError(
        f"no port from {port} on {host} can be opened ({reason}): choose another --port"
    )


def mount(blocks: Any) -> ASGI:
    """The complete web application around Gradio blocks."""
    import gradio as gr
    from fastapi import FastAPI

    mounted: ASGI = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        blocks,
        path="/",
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        show_error=False,
        max_file_size="1kb",
        favicon_path=str(icon_path()),
        theme=theme(),
        css=style(),
        head=head(),
    )
    return Guard(mounted)


def server(app: ASGI) -> Any:
    """A `uvicorn.Server` to run with the sockets of `bind`. When it ends, open pages are dropped."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
    )


def _host_name(header: str) -> str:
    """The name in a Host header, without its port."""
    if header.startswith("["):
        return header.partition("]")[0] + "]"
    return header.partition(":")[0]
