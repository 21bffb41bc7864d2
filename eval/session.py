"""A suite by name -> a finished run: settings, engine and directory put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eval import conditions
from eval.engine import Engine
from eval.footnote import RagEngine
from eval.records import Suite
from eval.run import Plan, Progress, run
from eval.suites import Options, load
from rag.settings import Settings, load_settings

__all__ = ["MakeEngine", "run_suite"]

Indexing = Callable[[int, int], None]
MakeEngine = Callable[[Suite, Settings, Indexing], Engine]


def run_suite(
    name: str,
    options: Options,
    *,
    settings: Mapping[str, Any],
    condition: str = "retrieved",
    retrieval_only: bool = False,
    out: Path | None = None,
    apart: bool = False,
    use_cache: bool = True,
    progress: Progress = iter,
    indexing: Indexing = lambda done, of: None,
    make_engine: MakeEngine = RagEngine,
) -> Path:
    """Run or resume a suite over Footnote (or what `make_engine` makes); the run's directory."""
    chosen = load_settings(**settings)
    gold_only = retrieval_only or condition in ("given", *conditions.UNANSWERABLE)
    suite = load(name, dataclasses.replace(options, gold_only=gold_only))
    if condition in conditions.UNANSWERABLE:
        suite = _unanswerable(suite, condition, chosen, indexing, make_engine)
    engine = make_engine(suite, chosen, indexing)
    try:
        plan = Plan(
            out=out or Path("runs") / _directory(name, options, condition, retrieval_only),
            condition=condition,
            apart=apart,
            retrieval_only=retrieval_only,
            cache=chosen.cache / "eval-answers.sqlite" if use_cache else None,
            options=_recorded(options),
        )
        return run(suite, engine, plan, progress)
    finally:
        engine.close()


def _unanswerable(
    suite: Suite, condition: str, chosen: Settings, indexing: Indexing, make_engine: MakeEngine
) -> Suite:
    """The suite with its texts chosen, by a search that goes deep enough to leave an article."""
    deep = chosen.model_copy(update={"candidates": max(conditions.DEPTH, chosen.candidates)})
    pool = make_engine(conditions.pool_of(suite), deep, indexing)
    try:
        return conditions.unanswerable(suite, condition, pool)
    finally:
        pool.close()


def _directory(name: str, options: Options, condition: str, retrieval_only: bool) -> str:
    parts = [name, options.split, None if condition == "retrieved" else condition]
    parts += [
        "heldout" if options.held_out else None,
        "retrieval" if retrieval_only else None,
        f"{options.limit}" if options.limit else None,
    ]
    return "-".join(part for part in parts if part)


def _recorded(options: Options) -> dict[str, Any]:
    """What chose the questions; no path, which would say where and not what."""
    chosen = dataclasses.asdict(options)
    return {name: chosen[name] for name in ("limit", "seed", "split", "held_out", "collection")}
