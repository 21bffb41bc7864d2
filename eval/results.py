"""Every development suite, run or reused, as one page: RESULTS.md.

A page says what was asked of what, with intervals, floors and caveats; figures for the README are
quoted from it and from nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.metrics import METRICS
from eval.report import floor_value, format_number, write_report
from eval.run import Progress
from eval.score import score
from eval.session import run_suite
from eval.suites import Options, find
from rag.errors import InputError

__all__ = ["ENTRIES", "Entry", "page", "write_results"]

_ALSO = ("refused", "refusal_precision", "right", "ece", "aurc", "total_s", "first_token_s")


@dataclass(frozen=True, slots=True)
class Entry:
    """A section of the page: which suite, how, and how many questions (None: all)."""

    title: str
    suite: str
    split: str | None = None
    condition: str = "retrieved"
    retrieval_only: bool = False
    limit: int | None = None


ENTRIES = (
    Entry("Sample corpus, tune", "seeds", split="tune"),
    Entry("Sample corpus, held-out", "seeds", split="held-out"),
    Entry("SQuAD 2.0, pooled paragraphs", "squad", limit=300),
    Entry("SQuAD 2.0, gold paragraph given", "squad", condition="given", limit=300),
    Entry("SQuAD 2.0, closed book", "squad", condition="closed", limit=300),
    Entry("SQuAD 2.0, retrieval", "squad", retrieval_only=True),
    Entry("CLAPNQ", "clapnq"),
    Entry("RAMDocs", "ramdocs"),
    Entry("MTRAG", "mtrag"),
    Entry("SciFact, retrieval", "scifact"),
    Entry("Reference spans, retrieval", "spans"),
    Entry("Quarterly reports", "sec10q"),
)


def write_results(
    *,
    data: Path | None,
    runs: Path,
    out: Path,
    summary: Path | None = None,
    only: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    use_cache: bool = True,
    progress: Progress = iter,
    indexing: Callable[[int, int], None] = lambda done, of: None,
) -> Path:
    """Run what `ENTRIES` lists, as far as its data is there, and write the page.

    `data` holds one folder for each set, named as in `footnote eval list`; suites without their
    folder are named on the page as left out.
    """
    for name in only:
        find(name)
    found: list[tuple[Entry, dict[str, Any] | None]] = []
    for entry in ENTRIES:
        if only and entry.suite not in only:
            continue
        folder = _folder(entry, data)
        if folder is None and find(entry.suite).needs_data:
            found.append((entry, None))
            continue
        size = min((n for n in (limit, entry.limit) if n is not None), default=None)
        directory = run_suite(
            entry.suite,
            Options(data=folder, limit=size, seed=seed, split=entry.split),
            settings=settings or {},
            condition=entry.condition,
            retrieval_only=entry.retrieval_only,
            out=runs / _slug(entry, size),
            use_cache=use_cache,
            progress=progress,
            indexing=indexing,
        )
        scored = score(directory)
        write_report(directory, scored)
        found.append((entry, scored))
    if not any(scored for _, scored in found):
        raise InputError("nothing to report: no suite's data is there; use --data PATH")
    out.write_text(page(found), encoding="utf-8")
    if summary is not None:
        summary.parent.mkdir(parents=True, exist_ok=True)
        value = {_slug(entry, None): scored for entry, scored in found if scored is not None}
        summary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return out


def _folder(entry: Entry, data: Path | None) -> Path | None:
    folder = find(entry.suite).folder
    if data is None or not folder or not (data / folder).exists():
        return None
    return data / folder


def _slug(entry: Entry, size: int | None) -> str:
    parts = [entry.suite, entry.split, None if entry.condition == "retrieved" else entry.condition]
    parts += ["retrieval" if entry.retrieval_only else None, str(size) if size else None]
    return "-".join(part for part in parts if part)


def page(found: Sequence[tuple[Entry, Mapping[str, Any] | None]]) -> str:
    """The page as Markdown."""
    lines = [
        "# Results",
        "",
        (
            "Written by `footnote eval results --data PATH`; don't edit. Estimates are means over "
            "the questions of the slice, with 95% intervals by bootstrap over documents. Floors "
            "need no model: read no number without them. `eval/metrics` says what each one is."
        ),
    ]
    for entry, summary in found:
        lines += ["", f"## {entry.title}", ""]
        lines += ["Not run: its data was not there."] if summary is None else _section(summary)
    return "\n".join(lines) + "\n"


def _section(summary: Mapping[str, Any]) -> list[str]:
    run, floors = summary["run"], summary["floors"]
    wanted = {*run["headline"], *_ALSO}
    rows = [
        row
        for row in summary["metrics"]
        if row["metric"] in wanted
        or (METRICS[row["metric"]].group in ("citations", "grounding", "retrieval"))
    ]
    rows = [row for row in rows if not row["slice"].startswith("type: ")]
    beside = {
        name: [floor_value(held, row["metric"], row["slice"]) for row in rows]
        for name, held in floors.items()
    }
    beside = {name: cells for name, cells in beside.items() if any(cells)}
    lines = [_what(summary), ""]
    head = ["metric", "slice", "n", "estimate", "95% interval", *beside]
    lines += [_cells(head), _cells(["---", "---", "--:", "--:", "--:", *("--:" for _ in beside)])]
    for at, row in enumerate(rows):
        name = row["metric"]
        value, low, high = (format_number(name, row[key]) for key in ("estimate", "low", "high"))
        cells = [f"`{name}`", row["slice"], str(row["n"]), value, f"{low} to {high}"]
        lines.append(_cells([*cells, *(column[at] for column in beside.values())]))
    return [*lines, "", *(f"- {note}" for note in summary["notes"])]


def _what(summary: Mapping[str, Any]) -> str:
    run = summary["run"]
    models = ", ".join(model for model in summary["models"] if model) or "no generator"
    hardware = run["hardware"]
    return (
        f"{run['questions']} questions, condition {run['condition']}, style {run['style']}, "
        f"{models}; "
        f"code {run['engine'].get('code', 'unknown')}, data {run['data'][:12]}; "
        f"{hardware['cores']} cores, {hardware['memory_gb']} GB, {hardware['machine']}."
    )


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
