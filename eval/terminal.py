"""Runs and comparisons on the terminal: tables that fit a screen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eval.compare import Comparison
from eval.metrics import METRICS, said
from eval.report import floor_value, format_gold, format_number
from eval.run import read_samples
from rag.errors import InputError

__all__ = ["print_comparison", "print_question", "print_questions", "print_summary"]

_LISTED = 5


def print_summary(summary: Mapping[str, Any]) -> None:
    """Estimates with intervals and the floors, types left out (they stand in the report)."""
    floors = summary["floors"]
    table = _table("metric", "slice", "n", "estimate", "95% interval", *floors)
    for row in summary["metrics"]:
        if row["slice"].startswith("type: "):
            continue
        name = row["metric"]
        value, low, high = (format_number(name, row[key]) for key in ("estimate", "low", "high"))
        beside = [floor_value(rows, name, row["slice"]) for rows in floors.values()]
        table.add_row(name, row["slice"], str(row["n"]), value, f"{low} to {high}", *beside)
    _console().print(table)
    for note in summary["notes"]:
        typer.echo(f"- {note}")


def print_comparison(comparison: Comparison, metric: str | None = None) -> None:
    """All differences, and the first few losses and wins in the metric that matters most."""
    table = _table("metric", "slice", "n", "first", "second", "diff", "95% interval", "p", "")
    for d in comparison.differences:
        first, second, change, low, high = (
            format_number(d.metric, v) for v in (d.first, d.second, d.difference, d.low, d.high)
        )
        p = "" if d.p is None else f"{d.p:.3g}"
        cells = (
            d.metric,
            d.slice,
            str(d.n),
            first,
            second,
            change,
            f"{low} to {high}",
            p,
            d.verdict,
        )
        table.add_row(*cells)
    _console().print(table)
    for note in comparison.notes:
        typer.echo(f"- {note}")
    there = {difference.metric for difference in comparison.differences}
    headline = (*comparison.first.run["headline"], *METRICS)
    chosen = comparison.find(metric or next(name for name in headline if name in there))
    by_id = [{s.id: s for s in run.samples} for run in (comparison.first, comparison.second)]
    for kind, ids in (("loss", chosen.losses), ("win", chosen.wins)):
        for identifier in ids[:_LISTED]:
            typer.echo(
                f"{kind} in {chosen.metric}: {_plain(by_id[0][identifier].question.question)}"
            )
            for name, samples in zip(("first", "second"), by_id, strict=True):
                typer.echo(f"  {name}: {_plain(said(samples[identifier]) or '(nothing)')}")


def print_questions(directory: Path) -> None:
    """One line a question."""
    for sample in _samples(directory):
        typer.echo(f"{sample.id}  {_plain(sample.question.question)}  ->  {_plain(said(sample))}")


def print_question(directory: Path, identifier: str) -> None:
    """One question with its gold, and the answer as it was recorded."""
    for sample in _samples(directory):
        if sample.id == identifier:
            gold = format_gold(sample.question.gold, sample.question.answerable)
            typer.echo(f"question: {_plain(sample.question.question)}\ngold: {_plain(gold)}")
            recorded = sample.answer if sample.answer is not None else list(sample.hits)
            typer.echo(json.dumps(recorded, indent=1))
            return
    raise InputError(f"{directory} has no question {identifier}; `footnote eval show {directory}`")


def _table(*heads: str) -> Table:
    """A plain table whose names and numbers stay whole; heads may wrap."""
    table = Table(box=None)
    for head in heads:
        table.add_column(head, no_wrap=True, overflow="fold")
    return table


def _console() -> Console:
    """The terminal; a file or a pipe gets lines that are not cut."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def _samples(directory: Path) -> list[Any]:
    samples = read_samples(directory)
    if not samples:
        raise InputError(f"{directory} holds no samples; run a suite with --out {directory}")
    return samples


def _plain(text: str) -> str:
    """One line without control characters, so that a document can't drive the terminal."""
    return Text("".join(c if c.isprintable() else " " for c in text)).plain[:200]
