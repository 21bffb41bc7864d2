"""`footnote store` and `footnote copy`: setting a database up, and moving collections into it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rag.errors import SettingsError
from rag.terminal import JsonOption, print_json, warn

__all__ = ["app", "copy"]

app = typer.Typer(
    help="Set up the database that collections are kept in.",
    no_args_is_help=True,
)

_PLACES = "'files', 'store' (what the setting names), or postgresql://…"


@app.callback()
def _root() -> None:
    """Without this, an app with one command would have none."""


@app.command()
def init(
    url: Annotated[
        str, typer.Option(help="The address of the database's owner; setting 'store' if not given.")
    ] = "",
    user: Annotated[
        str, typer.Option(help="A login role that the program will use; it may then work with it.")
    ] = "",
) -> None:
    """Make tables, policies and roles.

    Those that are there stay as they are. Not needed where 'store' is the owner's own address: it is
    done at first use.

    Example: FOOTNOTE_STORE=postgresql://postgres@db/footnote footnote store init --user footnote
    """
    from rag.postgres.database import Database
    from rag.settings import load_settings

    settings = load_settings(store=url or None)
    if not settings.store:
        raise SettingsError("which database? Set 'store', or name it with --url postgresql://…")
    database = Database(settings)
    database.set_up(user)
    whose = f"; '{user}' may use it" if user else ""
    typer.echo(f"{database.place} is ready{whose}")


def copy(
    collection: Annotated[str, typer.Argument(help="The collection.", show_default=False)],
    source: Annotated[str, typer.Option("--from", help=f"Where it is: {_PLACES}.")] = "files",
    target: Annotated[str, typer.Option("--to", help=f"Where it goes: {_PLACES}.")] = "store",
    wanted: Annotated[str, typer.Option("--as", help="Its name there, if another.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Copy a collection between files and a database. Nothing is embedded again; all is compared.

    Example: footnote copy reports --to postgresql://footnote@db/footnote
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress

    from rag.backend import backend
    from rag.copy import copy_collection
    from rag.settings import Settings, load_settings

    def place(named: str, option: str) -> Settings:
        settings = load_settings(collection=wanted or collection)
        if named == "store" and not settings.store:
            raise SettingsError(f"{option} store: set 'store', or give postgresql://… instead")
        if named == "store":
            return settings
        if named == "files":
            named = ""
        elif not named.startswith(("postgresql://", "postgres://")):
            raise typer.BadParameter(f"{option}: give {_PLACES}")
        return load_settings(collection=wanted or collection, store=named)

    asked, into = place(source, "--from"), place(target, "--to")
    if (asked.store, collection) == (into.store, wanted or collection):
        raise typer.BadParameter("--from and --to are the same")
    console = Console(file=sys.stderr)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(f"copying {collection}", total=None)
        report = copy_collection(
            collection,
            backend(asked),
            backend(into),
            wanted or collection,
            lambda done, of: bars.update(task, completed=done, total=of),
        )
    if as_json:
        print_json(asdict(report))
    else:
        typer.echo(
            f"copied '{report.collection}' to {backend(into).place}: {report.documents} documents, "
            f"{report.chunks} passages, {report.sentences} sentences, all compared "
            f"(sha256 {report.sha256[:16]}…, {report.seconds} s)"
        )
    if report.collection != collection and (into.chat_folder / "people.json").is_file():
        warn(
            f"'{report.collection}' is open to every user: 'footnote users access "
            f"{report.collection} --group NAME' makes it private"
        )
