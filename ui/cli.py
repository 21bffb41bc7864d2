"""`footnote chat`. Checks what can go wrong before anything heavy loads, then serves the page."""

from __future__ import annotations

import threading
import webbrowser
from typing import Annotated

import typer

from rag.assistant import Assistant
from rag.collection import Collection
from rag.settings import load_settings
from ui.desk import Desk
from ui.server import bind, mount, server

__all__ = ["chat"]


def chat(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The next free one if taken.")] = 7860,
    host: Annotated[str, typer.Option(help="An address of this machine.")] = "127.0.0.1",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="The collection; 'seeds' if not named.")
    ] = None,
) -> None:
    """Open the chat in the browser. Ctrl-C ends it.

    Example: footnote chat -c reports --port 8080
    """
    settings = load_settings(collection=collection)
    listener, found = bind(host, port)
    with listener, Collection.open(settings.collection, settings) as opened:
        from ui.app import build  # opens Gradio, which takes seconds

        desk = Desk(Assistant(opened, settings), opened)
        blocks = build(desk, settings.collection, opened.counts()[0], settings.endpoint)
        app = mount(blocks)
        address = f"http://{f'[{host}]' if ':' in host else host}:{found}"
        if port not in (0, found):
            typer.echo(f"port {port} is taken: using {found}")
        typer.echo(f"Footnote answers from '{settings.collection}' at {address} (Ctrl-C ends it)")
        threading.Thread(target=desk.warm, daemon=True).start()
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server(app).run(sockets=[listener])
