"""`footnote chat`. Checks what can go wrong before anything heavy loads, then serves the page."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["chat"]


def chat(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The next free one if taken.")] = 7860,
    host: Annotated[
        str, typer.Option(help="An address of this machine; beyond 127.0.0.1 it takes users.")
    ] = "127.0.0.1",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="The first one shown; 'seeds' if not named."),
    ] = None,
) -> None:
    """Open the chat in the browser. Ctrl-C ends it.

    Without users it is for this machine alone and asks for no login. To let others in, first make
    accounts with 'footnote users add', then name the address to listen on with --host.

    Example: footnote chat -c reports --port 8080
    """
    # Here, so that the help of all commands does not wait for what only this one needs.
    import threading
    import webbrowser

    from rag.collection import Collection
    from rag.errors import SettingsError
    from rag.settings import load_settings
    from ui.guard import is_loopback
    from ui.people import People
    from ui.server import bind, server

    settings = load_settings(collection=collection)
    people = People(settings.chat_folder / "people.json")
    if not is_loopback(host) and not people.enabled:
        raise SettingsError(
            f"the chat has no users, so it can't be opened to others on '{host}': make an account "
            "with 'footnote users add NAME --role admin', or leave --host at 127.0.0.1"
        )
    listener, found = bind(host, port)
    with listener:
        Collection.open(settings.collection, settings).close()
        from ui.server import mount  # opens Gradio, which takes seconds
        from ui.services import opened

        with opened(settings) as services:
            app = mount(services, loopback=is_loopback(host))
            address = f"http://{f'[{host}]' if ':' in host else host}:{found}"
            if port not in (0, found):
                typer.echo(f"port {port} is taken: using {found}")
            users = f", with {len(people.all())} users" if people.enabled else ""
            typer.echo(
                f"Footnote answers from '{settings.collection}' at {address}{users} (Ctrl-C ends it)"
            )
            if browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
            server(app).run(sockets=[listener])
