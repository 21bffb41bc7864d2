"""Speed on this machine as one table: `make bench`.

    python -m eval.bench                          every part but peers
    python -m eval.bench start answers --quick    two of them, with few questions
    python -m eval.bench --data DIR               with SQuAD 2.0 and SciFact of DIR as well

Where an answer takes ten seconds, all of it takes an hour and a half, and --quick a quarter of one.
Each part runs in a process of its own, so that loading and memory are its own. Results are written
after each part; what an earlier run measured stays, and says when.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.bench.measure import PARTS, measured
from eval.bench.part import Run
from eval.bench.results import Results, keep, read
from rag.errors import InputError, RagError

_RESULTS = Path(__file__).with_name("results.json")


def main(
    parts: Annotated[
        list[str] | None,
        typer.Argument(help=f"Of {', '.join(PARTS)}; all but peers if none is named."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Benchmark data: a folder with squad2/ and scifact/.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few questions, small collections.")
    ] = False,
    questions: Annotated[int | None, typer.Option(min=1, help="Of each corpus; 100.")] = None,
    json_path: Annotated[
        Path,
        typer.Option(
            "--json",
            help="Write results here, plots beside them.",
            show_default="eval/bench/results.json",
        ),
    ] = _RESULTS,
) -> None:
    """Measure, print one table, and write results and plots."""
    from eval.bench.plots import draw
    from eval.bench.table import show

    chosen = parts or list(PARTS[:-1])
    try:
        _check(chosen, data)
        results = read(json_path)
    except InputError as error:
        raise _ended(str(error)) from None
    if "answers" in chosen:  # they are told beside the machine's limits, of the same run
        chosen = ["machine", *chosen]
    chosen = list(dict.fromkeys(chosen))
    run, failed = Run(data, questions, quick), []
    for part in chosen:
        typer.echo(f"measuring {part}", err=True)
        try:
            results = keep(json_path, part, measured(part, run), quick=quick)
        except (RagError, OSError, ImportError) as error:
            failed.append(part)
            typer.echo(f"error: {part}: {error}", err=True)
    show(_ordered(results), [part for part in chosen if part not in failed])
    typer.echo(f"written to {json_path}")
    for file in draw(results, json_path.parent / "plots"):
        typer.echo(f"drawn: {file}")
    if failed:
        raise _ended(f"not measured: {', '.join(failed)}")


def _check(parts: list[str], data: Path | None) -> None:
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise InputError(f"no part {unknown[0]!r}: there are {', '.join(PARTS)}")
    if data is not None and not data.is_dir():
        raise InputError(f"--data {data}: no such folder")


def _ordered(results: Results) -> Results:
    return {part: results[part] for part in PARTS if part in results}


def _ended(message: str) -> typer.Exit:
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(1)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(main)

if __name__ == "__main__":
    app()
