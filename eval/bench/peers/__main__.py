"""Run every system, one after the other, and print what each took beside ours.

    python -m eval.bench.peers --data DIR        SciFact abstracts, SQuAD 2.0 questions
    python -m eval.bench.peers                   the sample corpus

The embedder is all-MiniLM-L6-v2 and the generator Qwen2.5-Coder-1.5B-Instruct for all; others run
it as Q4_K_M through llama.cpp. Index, chunks and prompt are each system's own defaults. Set for all
alike are greedy decoding, 64 tokens at most and as many threads as there are cores, since
llama-cpp-python would take half of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from eval.bench.peers.registry import SYSTEMS, System
from eval.bench.peers.summary import Row, ratios, summarise, table
from eval.bench.peers.task import Task, make_task
from rag.errors import InputError, RagError
from rag.settings import load_settings

__all__ = ["run_system", "with_earlier"]

_LONGEST = 3600  # seconds
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(
    data: Annotated[Path | None, typer.Option(help="A folder with scifact/ and squad2/.")] = None,
    abstracts: Annotated[int, typer.Option(min=3, help="How many documents to index.")] = 200,
    questions: Annotated[int, typer.Option(min=1, help="How many questions to ask.")] = 8,
    system: Annotated[list[str] | None, typer.Option(help="Only these; repeatable.")] = None,
    to: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None,
) -> None:
    """Measure other systems beside Footnote.

    Systems that an earlier run with the same documents and questions wrote to --json are kept.
    """
    try:
        chosen = [_find(name) for name in system or SYSTEMS]
        task = make_task(data, abstracts, questions, load_settings())
        rows = with_earlier(to, task)
    except RagError as error:
        typer.echo(f"footnote: {error}", err=True)
        raise typer.Exit(1) from None
    for one in chosen:
        with _step(one.name):
            row = run_system(one, task)
        rows[one.name] = row | {"at": time.strftime("%Y-%m-%dT%H:%M:%S")}
        if to is not None:
            _write(to, task, rows)
    _show(rows, task)


def _find(name: str) -> System:
    if name not in SYSTEMS:
        raise InputError(f"--system {name}: there are {', '.join(SYSTEMS)}")
    return SYSTEMS[name]


def run_system(system: System, task: Task) -> Row:
    """What the system took; `skipped` or `error` with one line where it is not there or fails."""
    lacking = system.missing()
    if lacking:
        return {"skipped": lacking}
    with tempfile.TemporaryDirectory() as folder:
        given, out, log = (Path(folder) / name for name in ("task.json", "out.json", "log.txt"))
        task.write(given)
        command = [
            sys.executable,
            "-m",
            "eval.bench.peers.worker",
            system.name,
            str(given),
            str(out),
        ]
        with log.open("w") as told:
            try:
                done = subprocess.run(
                    command, env=os.environ | _QUIET, stdout=told, stderr=told, timeout=_LONGEST
                )
            except subprocess.TimeoutExpired:
                return {"error": f"took over {_LONGEST} s"}
        if done.returncode or not out.is_file():
            said = log.read_text("utf-8", "replace").split("\n")
            last = next((line.strip() for line in reversed(said) if line.strip()), "")
            return {"error": f"ended with {done.returncode}: {last[:300]}"}
        measured = json.loads(out.read_text("utf-8"))
    return summarise(measured, len(task.abstracts), task.max_tokens)


def with_earlier(path: Path | None, task: Task) -> dict[str, Row]:
    """The rows of an earlier run of the same task in `path`, in the order of the systems."""
    if path is None or not path.is_file():
        return {}
    try:
        earlier = json.loads(path.read_text("utf-8"))
        rows = earlier["systems"] if earlier["task"] == task.digest else {}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a file of this benchmark: choose another --json") from None
    return {name: rows[name] for name in SYSTEMS if name in rows}


def _write(path: Path, task: Task, rows: dict[str, Row]) -> None:
    """Replace the file at once, so that a run that is stopped leaves a whole one."""
    figures: dict[str, Any] = {
        "task": task.digest,
        "documents": len(task.abstracts),
        "passages": len(task.passages),
        "questions": len(task.questions),
        "max_tokens": task.max_tokens,
        "threads": task.threads,
        "systems": rows,
        "ratios": ratios(rows),
    }
    scratch = path.with_name(path.name + ".scratch")
    scratch.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")
    scratch.replace(path)


def _show(rows: dict[str, Row], task: Task) -> None:
    console = Console(width=max(Console().width, 160))
    title = (
        f"{len(task.abstracts)} documents indexed; {len(task.questions)} questions about a collection "
        f"of {len(task.passages)}, medians. full length: {task.max_tokens} tokens. ×: how much longer "
        "than footnote; short ×: its answer than that of footnote-short"
    )
    console.print(table({name: rows[name] for name in SYSTEMS if name in rows}, title))
    for name, row in rows.items():
        for kind in ("skipped", "error"):
            if kind in row:
                console.print(f"{name}: {row[kind]}", markup=False, soft_wrap=True)


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bars.add_task(name, total=None)
        yield


if __name__ == "__main__":
    typer.run(main)
