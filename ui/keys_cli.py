"""`footnote keys`: keys with which programs use the service. Parses, calls, prints."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ui.keys import Keys

__all__ = ["app"]

app = typer.Typer(
    help="Make and remove keys for programs that use the service.\n\n"
    "A key stands for one of the users: it may do what they may. It is shown once, when it is made.\n\n"
    "Example: footnote keys add reporting --user anna --days 90",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(help="What the key is for.", show_default=False)]


@app.command()
def add(
    name: NameArgument,
    user: Annotated[str, typer.Option(help="Whose rights it has.", show_default=False)],
    days: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, help="It ends after so many; never if not named."),
    ] = None,
) -> None:
    """Make a key and print it: the one time that it can be seen.

    Example: footnote keys add reporting --user anna --days 90
    """
    with _keys() as keys:
        key = keys.add(name, user, days)
    typer.echo(key)
    typer.echo("footnote: keep it now: it can't be shown again", err=True)


@app.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """List the keys: whose they are, when they end and when they were last used."""
    with _keys() as keys:
        found = keys.all()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=1))
        return
    if not found:
        typer.echo("there are no keys: make one with 'footnote keys add NAME --user USER'")
    wide = max((len(one.name) for one in found), default=0)
    for one in found:
        ends = f"ends {one.ends}" if one.ends else "never ends"
        used = f"used {one.used}" if one.used else "not used yet"
        typer.echo(f"{one.name:<{wide}}  {one.user}  {ends}  {used}")


@app.command()
def remove(name: NameArgument) -> None:
    """Remove a key; it opens nothing from now on.

    Example: footnote keys remove reporting
    """
    with _keys() as keys:
        keys.remove(name)
    typer.echo(f"removed {name}")


@contextlib.contextmanager
def _keys() -> Iterator[Keys]:
    from rag.settings import load_settings
    from ui.database import Database
    from ui.keys import Keys
    from ui.people import People

    folder = load_settings().chat_folder
    with contextlib.closing(Database(folder / "chat.db")) as database:
        yield Keys(database, People(folder / "people.json"))
