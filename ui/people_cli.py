"""`footnote users`: accounts, and which groups a collection is private to. Parses, calls, prints."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rag.errors import InputError
from ui.roles import Role

if TYPE_CHECKING:
    from ui.people import People

__all__ = ["app"]

app = typer.Typer(
    help="Say who may use the chat, and who sees what.\n\n"
    "Accounts, and collections that are for some groups only. Without users the chat is open on "
    "this machine and to nobody else. The first user has to be an admin.\n\n"
    "Example: footnote users add anna --role admin",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(help="In any case: Anna is anna.", show_default=False)]
GroupOption = Annotated[list[str] | None, typer.Option("--group", "-g", help="Can be repeated.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Take the password from standard input's line 1.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command()
def add(
    name: NameArgument,
    role: Annotated[
        Role, typer.Option(help="reader: asks; editor: also adds documents; admin: everything.")
    ] = "reader",
    group: GroupOption = None,
    password_stdin: StdinOption = False,
) -> None:
    """Add a user. The first has to be an admin.

    Example: footnote users add ben --role editor --group hr
    """
    people = _people()
    people.add(name, _password(password_stdin), role, group or ())
    typer.echo(f"added {name} ({_described(people, name)})")


@app.command("list")
def list_people(as_json: JsonOption = False) -> None:
    """List the users with their roles and groups."""
    everyone = _people().all()
    if as_json:
        fields = [
            {"name": one.name, "role": one.role, "groups": sorted(one.groups)} for one in everyone
        ]
        typer.echo(json.dumps(fields, indent=1))
        return
    if not everyone:
        typer.echo("there are no users: the chat is open on this machine and to nobody else")
    width = max((len(one.name) for one in everyone), default=0)
    for one in everyone:
        typer.echo(f"{one.name:<{width}}  {one.role:<6}  {' '.join(sorted(one.groups))}".rstrip())


@app.command()
def change(
    name: NameArgument,
    role: Annotated[Role | None, typer.Option(help="reader, editor or admin.")] = None,
    group: GroupOption = None,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="Leave all groups.")] = False,
    password: Annotated[bool, typer.Option("--password", help="Ask for a new password.")] = False,
    password_stdin: StdinOption = False,
) -> None:
    """Change a user's role, groups (all of them, anew) or password, which ends their sessions.

    Example: footnote users change ben --role reader --group hr --group sales
    """
    new_password = password or password_stdin
    if not (role or group or no_groups or new_password):
        raise typer.BadParameter("say what to change: --role, --group, --no-groups or --password")
    if group and no_groups:
        raise typer.BadParameter("--group and --no-groups exclude each other")
    people = _people()
    if people.person(name) is None:
        raise InputError(f"there is no user '{name}': see `footnote users list`")
    secret = _password(password_stdin) if new_password else None
    people.change(name, secret, role, [] if no_groups else group)
    typer.echo(f"changed {name} ({_described(people, name)})")


@app.command()
def remove(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove a user; they are logged out at once. The last admin can't go before the others.

    Example: footnote users remove ben --yes
    """
    people = _people()
    if people.person(name) is None:
        raise InputError(f"there is no user '{name}': see `footnote users list`")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"removing '{name}' needs --yes where nobody can be asked")
        typer.confirm(f"Remove user '{name}'?", abort=True)
    people.remove(name)
    _remove_keys(people, name)
    last = "" if people.enabled else ": no users are left, the chat is open on this machine"
    typer.echo(f"removed {name}{last}")


@app.command()
def access(
    collection: Annotated[str, typer.Argument(help="Its name.", show_default=False)],
    group: GroupOption = None,
    everyone: Annotated[bool, typer.Option("--everyone", help="Open it to all users.")] = False,
) -> None:
    """Show which groups a collection is private to, or set them. Admins read every collection.

    Example: footnote users access payroll --group hr
    """
    if group and everyone:
        raise typer.BadParameter("--group and --everyone exclude each other")
    people = _people()
    if group or everyone:
        people.restrict(collection, group or ())
    groups = sorted(people.groups_of(collection))
    typer.echo(
        f"'{collection}' is private to: {', '.join(groups)}"
        if groups
        else f"every user reads '{collection}'"
    )
    members = {name for person in people.all() for name in person.groups}
    for name in groups:
        if name not in members:
            typer.echo(f"footnote: nobody is in the group '{name}'", err=True)
    from rag.backend import backend
    from rag.settings import load_settings

    if backend(load_settings()).identity(collection) is None:
        typer.echo(f"footnote: there is no collection '{collection}' yet", err=True)


def _people() -> People:
    from rag.settings import load_settings
    from ui.people import People

    return People(load_settings().chat_folder / "people.json")


def _remove_keys(people: People, name: str) -> None:
    """A key goes with its user: another of that name must not have it."""
    from ui.database import Database
    from ui.keys import Keys

    path = people.path.with_name("chat.db")
    if path.is_file():
        with contextlib.closing(Database(path)) as database:
            Keys(database, people).remove_all(name)


def _described(people: People, name: str) -> str:
    person = people.person(name)
    return ", ".join([person.role, *sorted(person.groups)]) if person else "gone meanwhile"


def _password(from_stdin: bool) -> str:
    """A new password: a line of standard input, or typed twice, hidden, where there is a terminal."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("nobody can be asked for a password here: give it with --password-stdin")
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed
