"""A suite by name -> a finished run: settings, engine and directory put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eval.footnote import RagEngine
from eval.run import Plan, Progress, run
from eval.suites import Options, load
from rag.settings import load_settings

__all__ = ["run_suite"]


def run_suite(
    name: str,
    options: Options,
    *,
    settings: Mapping[str, Any],
    condition: str = "retrieved",
    retrieval_only: bool = False,
    out: Path | None = None,
    use_cache: bool = True,
    progress: Progress = iter,
    indexing: Callable[[int, int], None] = lambda done, of: None,
) -> Path:
    """Run or resume a suite over Footnote; returns the run's directory."""
    chosen = load_settings(**settings)
    gold_only = retrieval_only or condition == "given"
    suite = load(name, dataclasses.replace(options, gold_only=gold_only))
    engine = RagEngine(suite, chosen, indexing)
    try:
        plan = Plan(
            out=out or Path("runs") / _directory(name, options, condition, retrieval_only),
            condition=condition,
            retrieval_only=retrieval_only,
            cache=chosen.cache / "eval-answers.sqlite" if use_cache else None,
            options=_recorded(options),
        )
        return run(suite, engine, plan, progress)
    finally:
        engine.close()


def _directory(name: str, options: Options, condition: str, retrieval_only: bool) -> str:
    parts = [name, options.split, None if condition == "retrieved" else condition]
    parts += [
        "retrieval" if retrieval_only else None,
        f"{options.limit}" if options.limit else None,
    ]
    return "-".join(part for part in parts if part)


def _recorded(options: Options) -> dict[str, Any]:
    """What chose the questions; no path, which would say where and not what."""
    chosen = dataclasses.asdict(options)
    return {name: chosen[name] for name in ("limit", "seed", "split", "collection")}
