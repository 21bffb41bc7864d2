"""`footnote mcp`: the documents as tools for another model. One person, on this machine."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mcp.server import MCPServer

    from rag.settings import Settings
    from ui.shelf import Shelf

__all__ = ["mcp"]


def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP on this machine, not stdio.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="With --http; the next free one if taken.")
    ] = 8765,
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="The default one; 'seeds' if not named."),
    ] = None,
) -> None:
    """Offer ask, search and show to an MCP client. Ends with it.

    Standard output holds the protocol and nothing else. With --http it listens on 127.0.0.1 alone,
    to every program of this machine.

    Example: footnote mcp -c reports
    """
    # Here, so that the help of all commands does not wait for what only this one needs.
    from rag.collection import Collection
    from rag.settings import load_settings

    with contextlib.redirect_stdout(sys.stderr):  # whatever is imported may be fond of talking
        settings = load_settings(collection=collection)
        Collection.open(settings.collection, settings).close()
        made, shelf = _made(settings)
    with contextlib.closing(shelf):
        if not http:
            made.run("stdio")
            return
        from ui.server import bind, server

        listener, found = bind("127.0.0.1", port)
        with listener:
            typer.echo(
                f"Footnote offers its tools at http://127.0.0.1:{found}/mcp (Ctrl-C ends it)"
            )
            server(made.streamable_http_app(host="127.0.0.1")).run(sockets=[listener])


def _made(settings: Settings) -> tuple[MCPServer, Shelf]:
    from rag.errors import SettingsError

    try:
        from ui.mcp_server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("rag", "ui"):
            raise
        raise SettingsError(
            f"'mcp' needs a package that is not installed ({error.name}): "
            "pip install 'footnote[server]'"
        ) from None
    from ui.shelf import Shelf

    shelf = Shelf(settings)
    return make_server(shelf), shelf
