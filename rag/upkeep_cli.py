"""`footnote backup`, `restore` and `upgrade`: what whoever looks after an installation does.

Parses, calls, prints; decides nothing.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.errors import RagError
from rag.terminal import JsonOption, print_json, warn

if TYPE_CHECKING:
    from rag.archive import Manifest
    from rag.settings import Settings

__all__ = ["backup", "restore", "upgrade"]

SomeOption = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="Only this one. May be given several times."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
NoChatOption = Annotated[
    bool, typer.Option("--no-chat", help="Leave the chat's data (accounts, conversations) out.")
]


def backup(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    collection: SomeOption = None,
    no_chat: NoChatOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write collections and the chat's data into one file.

    Readers and writers go on meanwhile. All collections, if none is named.

    Example: footnote backup --out footnote-monday.tar
    """
    from rag.backup import back_up

    settings = _settings()
    if settings.store:
        warn(
            "collections in the database are not in it: save them with pg_dump, or with "
            "'footnote copy' into files"
        )
    with _bar("backing up") as progress:
        made = back_up(
            settings, out, collection or (), chat=not no_chat, force=force, progress=progress
        )
    for one in made.skipped:
        warn(f"left out {one['path']}: {one['reason']}")
    if as_json:
        fields = {"file": str(out), "bytes": made.bytes, "skipped": made.skipped}
        print_json(fields | _fields(made.manifest))
    else:
        typer.echo(f"{out}: {_described(made.manifest)}, {made.bytes / 1e6:,.1f} MB")


def restore(
    file: Annotated[Path, typer.Argument(help="As 'footnote backup' made it.", show_default=False)],
    collection: SomeOption = None,
    rename: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Another name for the collection.",
        ),
    ] = None,
    no_chat: NoChatOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put back what a backup holds. Checked whole first.

    With -c or --as, that collection alone: the chat's data stays as it is.

    Example: footnote restore footnote-monday.tar -c reports --as reports-monday
    """
    from rag.restore import restore as put_back

    settings = _settings(collection=rename)  # a name that is unfit is refused as ever
    with _bar("restoring") as progress:
        done = put_back(
            file,
            settings,
            collection or (),
            rename=rename or "",
            chat=not no_chat,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json(_fields(done))
    else:
        typer.echo(f"restored {_described(done)}, as of {done.made}")
    from rag.migrate import SCHEMA

    for name, contents in done.collections.items():
        if contents.schema_version < SCHEMA:
            warn(f"'{name}' is of an earlier version: run 'footnote upgrade -c {rename or name}'")
    if settings.store and done.collections:
        warn(
            "they are in files, while 'store' names a database: 'footnote copy NAME' puts them there"
        )
    if done.chat is None and done.collections and (settings.chat_folder / "people.json").is_file():
        names = ", ".join(f"'{rename or name}'" for name in done.collections)
        warn(
            "accounts were left as they are: 'footnote users access NAME' shows and says who may read "
            f"{names}"
        )


def upgrade(
    collection: SomeOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every collection.")] = False,
    embedder: Annotated[
        bool,
        typer.Option("--embedder", help="Embed the stored texts again where the embedder differs."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring collections of earlier versions up to date. Nothing is read again.

    Nothing is embedded again either, but with --embedder. 'footnote index' does the first by itself.

    Example: footnote upgrade --all
    """
    from rag.backend import backend

    settings = _settings()
    if everything and collection:
        raise typer.BadParameter("--all and --collection exclude each other")
    names = collection or [settings.collection]
    done, failed = [], False
    for name in backend(settings).names() if everything else names:
        try:
            done.append(_upgraded(name, settings, embedder))
        except RagError as error:
            if not everything:
                raise
            warn(str(error))
            failed = True
    for one in done:
        if one["made_with"] != settings.embedder and one["documents"]:
            warn(
                f"'{one['name']}' was made with embedder '{one['made_with']}', not "
                f"'{settings.embedder}': 'footnote upgrade -c {one['name']} --embedder' embeds its "
                f"{one['documents']} stored texts again and reads no file"
            )
        if not as_json:
            typer.echo(_outcome(one))
    if as_json:
        print_json(done)
    if failed:
        raise typer.Exit(1)


def _upgraded(name: str, settings: Settings, embedder: bool) -> dict[str, Any]:
    from rag.backend import backend, missing
    from rag.collection import Collection
    from rag.migrate import SCHEMA
    from rag.migrate import upgrade as migrate

    kept = backend(settings)
    if not kept.exists(name):
        raise missing(name, kept)
    schema = SCHEMA
    if not settings.store:  # a database's tables are of one schema for all its collections
        with _bar(f"upgrading '{name}'", in_bytes=False) as progress:
            schema = migrate(settings.indexes / name / "collection.db", progress)
    mine = settings.model_copy(update={"collection": name})
    embedded = 0
    with Collection.open(name, mine, any_embedder=True) as opened:
        if embedder and opened.made_with not in ("", settings.embedder):
            with _bar(f"embedding '{name}'", in_bytes=False) as progress:
                embedded = opened.reembed(progress, lambda done, of, _: progress(int(done), of))
        made_with, (documents, _) = opened.made_with or settings.embedder, opened.counts()
    fields = {"name": name, "from_schema": schema, "schema": SCHEMA, "made_with": made_with}
    return fields | {"documents": documents, "embedded": embedded}


def _outcome(one: dict[str, Any]) -> str:
    said = []
    if one["from_schema"] != one["schema"]:
        said.append(f"brought from schema {one['from_schema']} to {one['schema']}")
    if one["embedded"]:
        said.append(f"{one['embedded']} documents embedded again with '{one['made_with']}'")
    return f"'{one['name']}': {', '.join(said) or 'is up to date'}"


def _fields(manifest: Manifest) -> dict[str, Any]:
    kept = manifest.model_dump(exclude={"members", "form"})
    return kept | {"members": len(manifest.members)}


def _described(manifest: Manifest) -> str:
    said = [
        f"'{name}' ({one.documents} documents in {one.chunks} passages, generation {one.generation})"
        for name, one in manifest.collections.items()
    ]
    if manifest.chat is not None:
        said.append(f"the chat's data ({manifest.chat} files)")
    return ", ".join(said) or "nothing"


def _settings(**overrides: Any) -> Settings:
    from rag.settings import load_settings

    return load_settings(**overrides)


@contextlib.contextmanager
def _bar(title: str, in_bytes: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, moved with (done, to do)."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    console = Console(file=sys.stderr)
    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, Left())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, of: bars.update(task, completed=done, total=of)
