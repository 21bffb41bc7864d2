"""Serves the chat, the service or both behind the guard: one application on one port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rag.errors import SettingsError
from ui.api.errors import is_api
from ui.frame import Framed
from ui.guard import ASGI, Guard, Receive, Scope, Send, person_of
from ui.streams import Streams
from ui.theme import head, icon_path, theme

if TYPE_CHECKING:
    from ui.services import Services

__all__ = ["bind", "mount", "server"]

_TRIES = 50  # ports tried after the one that was asked for


def bind(host: str, port: int) -> tuple[socket.socket, int]:
    """A listening socket on `port`, or on the next free port after it; and the port it has.

    Raises:
        SettingsError: nothing can be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = ""
    for candidate in [port] if port == 0 else range(port, min(port + _TRIES, 65536)):
        # Named, because asyncio sends at once (TCP_NODELAY) only where it knows that this is TCP.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host.strip("[]"), candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                break  # no other port would do either
            continue
        return listener, int(listener.getsockname()[1])
    raise SettingsError(
        f"no port from {port} on {host} can be opened ({reason}): choose another --port or --host"
    )


def mount(
    services: Services,
    *,
    loopback: bool = True,
    chat: bool = True,
    service: bool = False,
    **patience: float,
) -> ASGI:
    """The complete web application; `loopback` says whether it is served to this machine alone.

    `patience` goes to `ui.api.envelope.Envelope`.

    Raises:
        SettingsError: a package of the service is not installed.
    """
    inner: ASGI
    if not service:
        inner = _chat(services)
    else:
        from ui.api.app import api

        inner = _Split(api(services, **patience), _chat(services) if chat else None)
    return Guard(inner, services.people, services.sessions, services.keys, loopback=loopback)


def server(app: ASGI, ending: Callable[[], object] = lambda: None, seconds: int = 1) -> Any:
    """A `uvicorn.Server` to run with the sockets of `bind`.

    When it is to end it takes no more connections, calls `ending` (in a thread), and drops what is
    still open after so many seconds.
    """
    import asyncio

    import uvicorn

    from ui.connection import Connection

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            ended = asyncio.create_task(asyncio.to_thread(ending))
            await super().shutdown(sockets)
            await ended

    return Server(
        uvicorn.Config(
            app,
            http=Connection,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=seconds,
            server_header=False,
            proxy_headers=False,  # anyone could claim to be elsewhere, or to come by https
        )
    )


class _Split:
    """Sends what is the service's to it and everything else to the chat, if there is one."""

    def __init__(self, service: ASGI, chat: ASGI | None) -> None:
        self.service = service
        self.chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        theirs = scope["type"] == "http" and is_api(scope["path"])
        await (self.service if theirs or not self.chat else self.chat)(scope, receive, send)


def _chat(services: Services) -> ASGI:
    import gradio as gr
    from fastapi import FastAPI

    from ui import login
    from ui.app import build
    from ui.routes import ROUTES, health

    none: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
    app = FastAPI(**none)
    app.include_router(login.routes(services.people, services.sessions, services.audit.note))
    for routes in ROUTES:
        app.include_router(routes(services))
    app.include_router(health.routes())
    mounted: ASGI = gr.mount_gradio_app(
        app,
        build(services),
        path="/",
        auth_dependency=lambda request: person_of(request).name,
        app_kwargs=none,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        show_error=False,
        max_file_size="1kb",  # nothing is uploaded through Gradio
        favicon_path=str(icon_path()),
        theme=theme(),
    )
    return Streams(Framed(mounted, head(), "Footnote"), services.people)
