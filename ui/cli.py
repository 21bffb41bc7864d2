"""`footnote chat` and `footnote serve`. They check what can go wrong before loading."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rag.settings import Settings

__all__ = ["chat", "run", "serve"]

_GRACE_S = 3  # that open connections get when the service is told to end

PortOption = Annotated[int, typer.Option(min=0, max=65535, help="The next free one if taken.")]
HostOption = Annotated[
    str, typer.Option(help="An address of this machine; beyond 127.0.0.1 it takes users.")
]
CollectionOption = Annotated[
    str | None,
    typer.Option("--collection", "-c", help="The first one shown; 'seeds' if not named."),
]


def chat(
    port: PortOption = 7860,
    host: HostOption = "127.0.0.1",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    collection: CollectionOption = None,
) -> None:
    """Open the chat in the browser. Ctrl-C ends it.

    Without users it is for this machine alone and asks for no login. To let others in, first make
    accounts with 'footnote users add', then name the address to listen on with --host.

    Example: footnote chat -c reports --port 8080
    """
    # Here, so that the help of all commands does not wait for what only this one needs.
    import threading
    import webbrowser

    from rag.settings import load_settings

    def opened(address: str) -> None:
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    settings = load_settings(collection=collection)
    run(settings, host, port, opened)


def serve(
    port: PortOption = 7860,
    host: HostOption = "127.0.0.1",
    with_chat: Annotated[
        bool, typer.Option("--chat/--no-chat", help="Serve the chat's page as well.")
    ] = True,
    collection: CollectionOption = None,
) -> None:
    """Serve programs over HTTP, in Footnote's own words and in OpenAI's, and the chat beside them.

    Without users it is for this machine alone and asks for no key. To let others in, first make
    accounts with 'footnote users add' and keys with 'footnote keys add', then name the address to
    listen on with --host. The routes are told at /api.

    Example: footnote serve --host 0.0.0.0 --port 8000 --no-chat
    """
    from rag.settings import load_settings

    settings = load_settings(collection=collection)
    run(settings, host, port, chat=with_chat, service=True)


def run(
    settings: Settings,
    host: str,
    port: int,
    listening: Callable[[str], object] = lambda address: None,
    *,
    chat: bool = True,
    service: bool = False,
    **models: Any,
) -> None:
    """Serve the chat, the service or both until a signal ends it; `listening` is told where.

    `models` go to `ui.services.opened`.

    Raises:
        RagError: it can't be served so.
    """
    import signal

    from rag.collection import Collection
    from rag.errors import SettingsError
    from ui.guard import is_loopback
    from ui.people import People
    from ui.server import bind, server

    people = People(settings.chat_folder / "people.json")
    if not is_loopback(host) and not people.enabled:
        what = "service" if service else "chat"
        raise SettingsError(
            f"the {what} has no users, so it can't be opened to others on '{host}': make an account "
            "with 'footnote users add NAME --role admin', or leave --host at 127.0.0.1"
        )
    listener, found = bind(host, port)
    with listener:
        Collection.open(settings.collection, settings, embedder=models.get("embedder")).close()
        from ui.server import mount  # opens Gradio, which takes seconds
        from ui.services import opened

        with opened(settings, **models) as services:
            app = mount(services, loopback=is_loopback(host), chat=chat, service=service)
            address = f"http://{f'[{host}]' if ':' in host else host}:{found}"
            if port not in (0, found):
                typer.echo(f"port {port} is taken: using {found}")
            users = f", with {len(people.all())} users" if people.enabled else ""
            typer.echo(
                f"Footnote answers from '{settings.collection}' at {address}{users} (Ctrl-C ends it)"
            )
            listening(address)
            if not service:
                server(app).run(sockets=[listener])
                return
            # Uvicorn raises the signal once more when it has ended: it has been heard by then.
            signal.signal(signal.SIGTERM, lambda *heard: None)
            server(app, services.desk.drain, _GRACE_S).run(sockets=[listener])
