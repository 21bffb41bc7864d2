"""`footnote audit`, `footnote feedback` and `footnote erase`: what the chat has kept, from a terminal.

They work on the chat's database directly, whether the chat is running or not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.errors import InputError

if TYPE_CHECKING:
    from ui.database import Database

__all__ = ["audit", "erase", "feedback", "remove_uploads"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # what could steer a terminal


def _remove_uploads(user: str) -> int:
    """Remove the files that a person uploaded, with the documents made of them; how many."""
    from rag.settings import load_settings
    from ui.library import Library
    from ui.people import People

    settings = load_settings()
    with _database() as database:
        library = Library(settings, People(settings.chat_folder / "people.json"), database)
        with contextlib.closing(library):
            return library.remove_uploads(user)


remove_uploads: Callable[[str], int] = _remove_uploads
"""Looked up when it is called, so that another may stand in."""


def audit(
    user: Annotated[str | None, typer.Option(help="Only what this person did.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="From this time (UTC) on."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Show who did what in the chat and when. The latest comes last.

    Example: footnote audit --user anna --since 2026-05-01
    """
    from ui.audit import Audit

    with _database() as database:
        log = Audit(database, with_text=True)
        found = log.entries(user, since.isoformat() if since else None, limit)[::-1]
    if as_json:
        rows = [dataclasses.asdict(one) for one in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for one in found:
        facts = (one.at[:19] + "Z", one.user, one.action, one.object, one.detail)
        typer.echo("  ".join(_CONTROL.sub("\ufffd", fact) for fact in facts if fact))


def feedback(
    out: Annotated[Path, typer.Option(help="The JSON Lines file to write.", show_default=False)],
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="Only on answers from it; all if not named."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Also write what has no right answer, to FILE.rest.jsonl: for reading."
        ),
    ] = False,
) -> None:
    """Write what people thought of answers as a benchmark.

    It holds questions with right answers, for 'footnote eval own'. Thumbs-up answers and
    corrections become right answers, "not in the documents" an unanswerable question. A thumbs-down
    alone says nothing of what is right: it is counted and left out.

    Example: footnote feedback --out corrections.jsonl -c reports
    """
    from ui.feedback import Feedback

    with _database() as database:
        given = Feedback(database).all(collection)
    wrote = _write(out, Feedback.as_suite(given))
    typer.echo(f"{wrote} {'question' if wrote == 1 else 'questions'} written to {out}")
    rest = len(given) - wrote
    if everything:
        beside = out.with_suffix(".rest.jsonl")
        _write(beside, Feedback.without_gold(given))
        typer.echo(f"{rest} without a right answer written to {beside}")
    elif rest:
        typer.echo(f"{rest} without a right answer left out: --all writes them to a second file")


def erase(
    user: Annotated[str, typer.Argument(help="The name to forget.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask first.")] = False,
) -> None:
    """Remove all that one person left in the chat, for good.

    That is what they asked, shared, judged and uploaded. The audit log keeps what was done, by
    "erased". The account itself stays.

    Example: footnote erase anna --yes
    """
    from ui.audit import ERASED, Audit
    from ui.history import History

    if not yes:
        if not sys.stdin.isatty():
            raise InputError("erase asks before it removes: add --yes where there is no terminal")
        typer.confirm(f"Remove all that '{user}' asked, shared, judged and uploaded?", abort=True)
    with _database() as database:
        history, log = History(database), Audit(database, with_text=False)
        uploads = remove_uploads(user)
        with database.transaction():
            counts = history.forget_user(user) | {"uploads": uploads}
            counts["audit entries"] = log.forget_user(user)
            log.note(ERASED, "erase")
        # Overwritten in the database already; this empties its log, which may still hold the text.
        busy = database.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()) + " erased")
    if busy:
        typer.echo("footnote: the chat is busy: copies go from its log when it next ends", err=True)


@contextlib.contextmanager
def _database() -> Iterator[Database]:
    from rag.settings import load_settings
    from ui.database import Database

    path = load_settings().chat_folder / "chat.db"
    if not path.is_file():
        raise InputError(f"{path} does not exist: 'footnote chat' makes it when it first runs")
    database = Database(path)
    try:
        yield database
    finally:
        database.close()


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return len(lines)
