"""The `footnote` command. Parses, calls, prints; decides nothing.

With `--json` standard output holds the JSON alone; progress and warnings go to standard error.
Exit codes: 0 done, 1 an error (one line on standard error), 2 wrong usage, 3 some files of `index`
failed. `chat`, `serve`, `mcp` and `eval` come from entry points, so that `rag` imports none of them.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rag import __version__
from rag.errors import CollectionError, InputError, RagError
from rag.store_cli import app as store_app
from rag.store_cli import copy
from rag.terminal import JsonOption, print_json, warn
from rag.upkeep_cli import backup, restore, upgrade
from rag.utf8 import storable

if TYPE_CHECKING:
    from rag.report import IndexReport
    from rag.scope import Scope
    from rag.settings import Settings

__all__ = ["app", "main"]

app = typer.Typer(
    name="footnote",
    help="Answers from your own documents, offline, every sentence with a citation.\n\n"
    "Example: footnote index ~/reports -c reports && footnote ask -c reports 'What did we spend?'",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # as plain text it is there in half the time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

CollectionOption = Annotated[
    str | None, typer.Option("--collection", "-c", help="The collection; 'seeds' if not named.")
]
BatchOption = Annotated[
    Path | None,
    typer.Option(help="JSONL of questions: one model load, resumes by id. Needs --out."),
]
OutOption = Annotated[
    Path | None, typer.Option(help="Where --batch writes, one JSON line a question.")
]
DocumentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--document",
        "-d",
        metavar="ID",
        help="Only this document, as 'collections -c' names it. May be given several times.",
    ),
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="KIND",
        help="Only documents of this type: csv, docx, eml, html, md, pdf, pptx, txt or xlsx. "
        "May be given several times.",
    ),
]
AfterOption = Annotated[
    str,
    typer.Option(
        metavar="DATE",
        help="Only documents of this date or later: YYYY-MM-DD, YYYY-MM or YYYY. Leaves out those "
        "without a date.",
    ),
]
BeforeOption = Annotated[
    str,
    typer.Option(metavar="DATE", help="Only documents of this date or earlier, in the same way."),
]


@app.command(rich_help_panel="Documents")
def index(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)],
    collection: CollectionOption = None,
    as_json: JsonOption = False,
    rebuild: Annotated[bool, typer.Option(help="Start the collection anew.")] = False,
) -> None:
    """Add or refresh documents. Those gone from a folder are removed.

    Example: footnote index ~/reports -c reports
    """
    from rag.collection import Collection

    settings = _settings(collection)
    with Collection.open(settings.collection, settings, create=True, rebuild=rebuild) as opened:
        reports = []
        for path in paths:
            with _bar(f"indexing {path}") as progress:
                reports.append(opened.update(path, progress, progress))
    _print_report(reports, settings.collection, as_json)


@app.command(rich_help_panel="Documents")
def bulk(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)],
    collection: CollectionOption = None,
    address: Annotated[
        str,
        typer.Option(
            help="Of the cluster: HOST:PORT, ray://…, auto (that of this machine), local."
        ),
    ] = "auto",
    workers: Annotated[
        int, typer.Option(min=0, help="How many embed; 0: as many as there is room for.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Like index, on a Ray cluster, into PostgreSQL. Killed, it goes on where it was.

    Example: footnote bulk /shared/reports -c reports --address auto
    """
    from rag.bulk import bulk_staging, check_store
    from rag.cluster import joined
    from rag.collection import Collection

    settings = _settings(collection)
    check_store(settings)
    with (
        joined(address),
        Collection.open(settings.collection, settings, create=True) as opened,
    ):
        staging = bulk_staging(settings, workers)
        reports = []
        for path in paths:
            with _bar(f"indexing {path}") as progress:
                reports.append(opened.update(path, progress, staging=staging))
    _print_report(reports, settings.collection, as_json)


@app.command(rich_help_panel="Questions")
def search(
    question: Annotated[str | None, typer.Argument(show_default=False)] = None,
    collection: CollectionOption = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many passages.")] = 6,
    document: DocumentOption = None,
    kind: TypeOption = None,
    after: AfterOption = "",
    before: BeforeOption = "",
    as_json: JsonOption = False,
    batch: BatchOption = None,
    out: OutOption = None,
) -> None:
    """Show the passages that fit a question best. With scores and why.

    Example: footnote search "Who signed in Budapest?" -k 3
    """
    from rag import batch as batches

    settings = _settings(collection)
    scope = _scope(document, kind, after, before)
    if batch is not None:
        _refuse(scope)
        batches.search(batch, _needed(out), settings, k, collection is not None, _bar)
        return
    text = _question(question)
    with _open(settings) as opened:
        hits = opened.search(text, k, scope)
    if as_json:
        print_json({"question": text, "hits": [batches.hit_fields(hit) for hit in hits]})
        return
    from rag.show import print_hits

    print_hits(hits)


@app.command(rich_help_panel="Questions")
def ask(
    question: Annotated[str | None, typer.Argument(show_default=False)] = None,
    collection: CollectionOption = None,
    style: Annotated[str | None, typer.Option(help="full, or short: the shortest phrase.")] = None,
    document: DocumentOption = None,
    kind: TypeOption = None,
    after: AfterOption = "",
    before: BeforeOption = "",
    as_json: JsonOption = False,
    batch: BatchOption = None,
    out: OutOption = None,
) -> None:
    """Answer a question, with citations, or say what is not there.

    Example: footnote ask "What was Ukraine promised in 1994?" --style short
    """
    from rag import batch as batches
    from rag.assistant import Assistant

    settings = _settings(collection, style=style)
    scope = _scope(document, kind, after, before)
    if batch is not None:
        _refuse(scope)
        batches.ask(batch, _needed(out), settings, collection is not None, _bar)
        return
    text = _question(question)
    with _open(settings) as opened:
        assistant = Assistant(opened, settings)
        if as_json:
            print_json(assistant.ask(text, scope=scope).to_dict())
            return
        from rag.show import print_answer

        print_answer(assistant.stream(text, scope=scope))


@app.command(rich_help_panel="Documents")
def show(
    document: Annotated[str, typer.Argument(help="As 'collections -c' and citations name it.")],
    collection: CollectionOption = None,
) -> None:
    """Print a document's text. It is what offsets refer to.

    Example: footnote show budapest-memorandum.md
    """
    with _open(_settings(collection)) as opened:
        text = opened.document(document).text
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


@app.command(rich_help_panel="Documents")
def collections(collection: CollectionOption = None, as_json: JsonOption = False) -> None:
    """List the collections, or the documents of one (-c)."""
    from rag.backend import backend
    from rag.collection import Collection
    from rag.show import print_collections, print_documents

    settings = _settings(collection)
    if collection is not None:
        with _open(settings) as opened:
            documents = opened.documents()
        if as_json:
            names = ("id", "title", "date", "media_type", "size")
            print_json([{name: getattr(one, name) for name in names} for one in documents])
        else:
            print_documents(documents)
        return
    found = []
    kept = backend(settings)
    for name in kept.names():
        with Collection.open(name, settings.model_copy(update={"collection": name})) as opened:
            documents_count, chunks = opened.counts()
            found.append({"name": name, "documents": documents_count, "chunks": chunks})
    if as_json:
        print_json(found)
    else:
        print_collections(found, kept.place)


@app.command(rich_help_panel="Documents")
def remove(
    collection: Annotated[str, typer.Argument(show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove a whole collection. The files that it was made from stay."""
    from rag.backend import backend

    kept = backend(_settings(collection))
    if kept.identity(collection) is None:
        raise CollectionError(f"there is no collection '{collection}' in {kept.place}")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"removing '{collection}' needs --yes where nobody can be asked")
        typer.confirm(f"Remove collection '{collection}'?", abort=True)
    kept.remove(collection)
    typer.echo(f"removed collection '{collection}'")


@app.command(rich_help_panel="Set-up")
def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, what this machine can do, what ails."""
    from rag.doctor import examine, print_findings

    findings = examine(_settings(None))
    if as_json:
        print_json(findings)
    else:
        print_findings(findings)
    if findings["problems"]:
        raise typer.Exit(1)


@app.command(rich_help_panel="Set-up")
def prepare() -> None:
    """Check the models and convert them. Other commands do it, too."""
    from rag.doctor import prepare as prepare_models

    prepare_models(_settings(None))
    typer.echo("the models are ready")


for _command in (backup, restore, upgrade, copy):
    app.command(rich_help_panel="Upkeep")(_command)
app.add_typer(store_app, name="store", rich_help_panel="Set-up")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit()


def main() -> NoReturn:
    """Run the command line: one line and status 1 for an error, no traceback."""
    _load_commands()
    try:
        app()
    except RagError as error:
        _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        _fail(f"{named}{error.strerror or error}: check the path, its permissions and the disk")
    except KeyboardInterrupt:
        _fail("stopped", 130)
    sys.exit(0)


def _load_commands() -> None:
    """Mount what other packages offer; import only the one that is asked for."""
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    for entry in importlib.metadata.entry_points(group="footnote.commands"):
        if entry.name != asked and not {"-h", "--help"} & set(sys.argv[1:2]):
            continue
        try:
            found = entry.load()
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("rag", "ui", "eval"):
                raise
            if entry.name == asked:
                _fail(
                    f"'{entry.name}' needs a package that is not installed ({error}): "
                    "pip install 'footnote[ui,eval]'"
                )
            continue
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=entry.name)
        else:
            app.command(entry.name)(found)


def _settings(collection: str | None, **overrides: Any) -> Settings:
    from rag.settings import load_settings

    return load_settings(collection=collection, **overrides)


def _open(settings: Settings) -> Any:
    from rag.collection import Collection

    return Collection.open(settings.collection, settings)


def _question(question: str | None) -> str:
    if question is None:
        raise typer.BadParameter("give a question, or --batch IN.jsonl --out OUT.jsonl")
    # An argument may hold bytes that are no UTF-8, which neither a model nor JSON takes.
    return storable(question)


def _scope(documents: list[str] | None, kinds: list[str] | None, after: str, before: str) -> Scope:
    from rag.scope import Scope

    asked = frozenset(kind.lower().removeprefix(".") for kind in kinds or ())
    return Scope(frozenset(documents or ()), asked, after, before)


def _refuse(scope: Scope) -> None:
    if scope:
        raise typer.BadParameter("--document, --type, --after and --before don't go with --batch")


def _needed(out: Path | None) -> Path:
    if out is None:
        raise typer.BadParameter("--batch needs --out OUT.jsonl")
    return out


def _fail(message: str, status: int = 1) -> NoReturn:
    warn(message)
    sys.exit(status)


def _print_report(reports: list[IndexReport], collection: str, as_json: bool) -> None:
    """What several runs of indexing did; exits with status 3 where files failed."""
    from rag.batch import merge_reports

    report = merge_reports(reports)
    for problem in report["failed"]:
        warn(f"{problem['path']}: {problem['error']}")
    for skipped in report["skipped"]:
        warn(f"skipped {skipped['path']}: {skipped['reason']}")
    if as_json:
        hidden = ("skipped", "changes")
        print_json({key: value for key, value in report.items() if key not in hidden})
    else:
        counts = ", ".join(
            f"{report[key]} {key}" for key in ("added", "updated", "unchanged", "removed")
        )
        failed = f", {len(report['failed'])} failed" if report["failed"] else ""
        typer.echo(
            f"{counts}{failed}: '{collection}' holds {report['documents']} documents in "
            f"{report['chunks']} passages ({report['seconds']} s)"
        )
    if report["failed"]:
        raise typer.Exit(3)


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Callable[..., None]]:
    """A progress bar on standard error, with documents per second and the time that is left.

    It is moved with (done, total) or (done, total, pages), where pages per second are shown too.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from rag.show import SpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        *(BarColumn(), MofNCompleteColumn(), SpeedColumn()),
        TextColumn("{task.fields[pages]}"),
        TimeRemainingColumn(),
    )
    console = Console(file=sys.stderr)
    # Where nobody watches, a bar would leave an empty line.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task(title, total=None, pages="")

        def move(done: float, total: int, pages: float = 0) -> None:
            elapsed = bars.tasks[task].elapsed
            bars.update(task, completed=done, total=total)
            if pages and elapsed:
                bars.update(task, pages=f"{pages / elapsed:.1f} pages/s")

        yield move
