"""Serves the whole chat behind the guard: the Gradio page in the middle, our routes around it."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from rag.errors import SettingsError
from ui.frame import Framed
from ui.guard import ASGI, Guard, person_of
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
        listener = socket.socket(family, socket.SOCK_STREAM)
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


def mount(services: Services, *, loopback: bool = True) -> ASGI:
    """The complete web application; `loopback` says whether it is served to this machine alone."""
    import gradio as gr
    from fastapi import FastAPI

    from ui import login
    from ui.app import build
    from ui.routes import ROUTES

    none: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
    app = FastAPI(**none)
    app.include_router(login.routes(services.people, services.sessions, services.audit.note))
    for routes in ROUTES:
        app.include_router(routes(services))
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
    page = Streams(Framed(mounted, head(), "Footnote"), services.people)
    return Guard(page, services.people, services.sessions, loopback=loopback)


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
            proxy_headers=False,  # anyone could claim to be elsewhere, or to come by https
        )
    )
