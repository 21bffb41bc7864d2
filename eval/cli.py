"""`footnote eval`: run, score, compare, list, show, results. Wiring only; loads nothing heavy."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.errors import RagError, SettingsError

if TYPE_CHECKING:
    from eval.records import Question

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Scripted question-and-answer benchmarks: run, score, compare.",
    pretty_exceptions_enable=False,
)

Data = Annotated[Path | None, typer.Option(help="The suite's file or folder.")]
Limit = Annotated[int | None, typer.Option(min=1, help="So many questions, in proportion.")]
Seed = Annotated[int, typer.Option(help="Which questions --limit takes.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting: key=value. Repeatable.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Ask again, whatever was asked before.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]
Directory = Annotated[Path, typer.Argument(help="A run's directory.")]


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """A mistake of the user's as one line on standard error and status 1."""
    try:
        yield
    except RagError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


@app.command("list")
def list_suites() -> None:
    """The suites, and which of them need --data."""
    from eval.suites import SUITES

    for spec in SUITES:
        typer.echo(f"{spec.name:10}{'--data  ' if spec.needs_data else '        '}{spec.about}")


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A name from `footnote eval list`.")],
    data: Data = None,
    documents: Annotated[
        Path | None, typer.Option(help="Suite own: the folder or file asked about.")
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option("-c", "--collection", help="Suite own: a collection built already."),
    ] = None,
    limit: Limit = None,
    seed: Seed = 0,
    split: Annotated[
        str | None, typer.Option(help="Seeds: tune, held-out. SQuAD: answerable, unanswerable.")
    ] = None,
    setting: Set = None,
    condition: Annotated[
        str,
        typer.Option(
            help="retrieved; given: only the gold documents; closed: none at all; removed: the "
            "nearest without the gold ones; off_topic: the nearest of other titles."
        ),
    ] = "retrieved",
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Only what the reader adapter was not trained on."),
    ] = False,
    retrieval_only: Annotated[
        bool, typer.Option("--retrieval-only", help="Search and load no generator.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Default: runs/SUITE.")] = None,
    no_cache: NoCache = False,
    report: Annotated[bool, typer.Option(help="Score when done.")] = True,
) -> None:
    """Ask a suite's questions; goes on where a killed run stopped; scores when done."""
    from eval.session import run_suite
    from eval.suites import Options

    with _one_line():
        options = Options(data, documents, collection, limit, seed, split, held_out=held_out)
        directory = run_suite(
            suite,
            options,
            settings=_overrides(setting),
            condition=condition,
            retrieval_only=retrieval_only,
            out=out,
            use_cache=not no_cache,
            progress=_progress,
            indexing=_indexing,
        )
        if report:
            _score(directory)


@app.command()
def score(
    directory: Directory,
    answers: Annotated[
        Path | None, typer.Option(help="Another system's answers (JSONL) to this run's questions.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --answers: where to write its run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a finished run: summary.json and report.html. Asks no model."""
    from eval.others import adopt

    with _one_line():
        if answers is not None:
            directory = adopt(directory, answers, out or directory.with_name(answers.stem))
        _score(directory, as_json)


@app.command()
def compare(
    first: Directory,
    second: Directory,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help='As "f1 < -0.02": status 1 if the interval reaches below. Repeatable.'),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Whose wins and losses to list.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Default: compare.html in the second directory.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Pair two runs question by question: differences (second minus first) with intervals."""
    from eval.compare import compare as pair
    from eval.compare import parse_gate
    from eval.report import write_comparison
    from eval.terminal import print_comparison

    with _one_line():
        gates = [(text, parse_gate(text)) for text in fail_if or ()]
        found = pair(first, second)
        page = write_comparison(found, html or second / "compare.html", metric)
        if as_json:
            rows = [dataclasses.asdict(difference) for difference in found.differences]
            typer.echo(json.dumps({"differences": rows, "notes": found.notes}, indent=1))
        else:
            print_comparison(found, metric)
            typer.echo(f"side by side: {page}")
        failed = [text for text, gate in gates if gate.fails(found)]
        for text in failed:
            typer.echo(f"failed: {text}", err=True)
        if failed:
            raise typer.Exit(1)


@app.command()
def show(
    directory: Directory,
    identifier: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
) -> None:
    """A run's questions in short, or one of them with all that was recorded."""
    from eval.terminal import print_question, print_questions

    with _one_line():
        if identifier is None:
            print_questions(directory)
        else:
            print_question(directory, identifier)


@app.command()
def results(
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data sets.")] = None,
    news: Annotated[Path | None, typer.Option(help="The folder of the news texts.")] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are kept, and reused from.")] = Path(
        "runs"
    ),
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("eval/RESULTS.md"),
    summary: Annotated[Path | None, typer.Option(help="The same as JSON.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="These suites. Repeatable.")] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="N: at most so many each; SUITE=N or SUITE-CONDITION=N. Repeatable."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Ask nothing more after so many; resumes later.")
    ] = None,
    seed: Seed = 0,
    setting: Set = None,
    no_cache: NoCache = False,
) -> None:
    """Run every development suite and write the page of results."""
    from eval.results import write_results

    with _one_line():
        page = write_results(
            data=data,
            news=news,
            runs=runs,
            out=out,
            summary=summary,
            only=only or (),
            limits=_limits(limit),
            minutes=minutes,
            seed=seed,
            settings=_overrides(setting),
            use_cache=not no_cache,
            progress=_progress,
            indexing=_indexing,
        )
        typer.echo(f"wrote {page}")


def _limits(texts: Sequence[str] | None) -> dict[str, int]:
    """`60` or `squad=60` as a number by suite; "" stands for all of them."""
    found = {}
    for text in texts or ():
        name, _, number = text.rpartition("=")
        if not number.isdecimal() or int(number) < 1:
            raise SettingsError(f"--limit {text!r}: write it as N or SUITE=N, N at least 1")
        found[name.strip()] = int(number)
    return found


def _overrides(pairs: Sequence[str] | None) -> dict[str, Any]:
    found = {}
    for pair in pairs or ():
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise SettingsError(f"--set {pair!r}: write it as key=value")
        found[name.strip()] = value.strip()
    return found


def _score(directory: Path, as_json: bool = False) -> None:
    from eval.report import write_report
    from eval.score import score as measure_run
    from eval.terminal import print_summary

    summary = measure_run(directory)
    page = write_report(directory, summary)
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False))
    else:
        print_summary(summary)
        typer.echo(f"report: {page}")


def _indexing(done: int, of: int) -> None:
    """A line for each tenth of the documents."""
    step = max(1, of // 10)
    if of and done // step != (done - 1) // step:
        print(f"indexing {done}/{of}", file=sys.stderr, flush=True)


def _progress(questions: Sequence[Question]) -> Iterator[Question]:
    """Questions one by one, with a bar and the time left on a terminal, else a line each tenth."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        for done, question in enumerate(questions):
            if done % max(1, len(questions) // 10) == 0:
                print(f"{done}/{len(questions)}", file=sys.stderr, flush=True)
            yield question
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("asking", total=len(questions))
        for question in questions:
            yield question
            progress.advance(task)
