"""RESULTS.md from scored runs: a header, one table over all, and a section for each.

Pure: summaries in, Markdown out. Knows nothing of how a run is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from eval.metrics import METRICS
from eval.report import floor_value, format_number

__all__ = ["Section", "page"]

_ALSO = ("refused", "refusal_precision", "right", "ece", "aurc", "total_s", "first_token_s")


@dataclass(frozen=True, slots=True)
class Section:
    """A scored run with the command line that makes it; or why there is none (`missing`)."""

    title: str
    command: str = ""
    summary: Mapping[str, Any] | None = None
    missing: str = ""
    slug: str = ""
    note: str = ""


def page(sections: Sequence[Section], today: date) -> str:
    """The page as Markdown."""
    held = [section.summary for section in sections if section.summary is not None]
    lines = [
        "# Results",
        "",
        (
            "Written by `footnote eval results --data DIR`; don't edit. Estimates are means over "
            "the questions of the slice, with 95% intervals by bootstrap over clusters of "
            "questions. Floors need no model: read no number without them. `eval/metrics` says "
            "what each metric is."
        ),
        "",
        f"- date: {today.isoformat()}",
        *(f"- {name}: {_joined(cells)}" for name, cells in _about(held).items()),
        "",
        "## Summary",
        "",
        *_overview(sections),
    ]
    for section in sections:
        lines += ["", f"## {section.title}", ""]
        lines += [section.missing] if section.summary is None else _body(section, section.summary)
    return "\n".join(lines) + "\n"


def _about(summaries: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Hardware, models and code of all runs, without a name or path of the machine."""
    about: dict[str, list[str]] = {
        "hardware": [],
        "model": [],
        "adapter": [],
        "embedder": [],
        "code": [],
    }
    for summary in summaries:
        run = summary["run"]
        hardware, engine = run["hardware"], run["engine"]
        features = ", ".join(hardware.get("features", ())) or "features unknown"
        about["hardware"].append(
            f"{hardware['machine']} ({features}), {hardware['cores']} cores, "
            f"{hardware['memory_gb']:.0f} GB"
        )
        about["model"] += [model for model in summary["models"] if model]
        for name in ("adapter", "embedder"):
            about[name].append(str(engine.get("settings", {}).get(name, "")))
        about["code"].append(str(engine.get("code", "")))
    return about


def _joined(cells: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(cell for cell in cells if cell)) or "none"


def _overview(sections: Sequence[Section]) -> list[str]:
    """The first headline metric of each run, its refusals and its seconds."""
    lines = [
        _cells(["suite", "metric", "slice", "n", "estimate", "95% interval", "best floor"]),
        _cells(["---", "---", "---", "--:", "--:", "--:", "--:"]),
    ]
    for section in sections:
        if section.summary is None:
            lines.append(_cells([section.title, "not run", "", "", "", "", ""]))
            continue
        for row in _picked(section.summary):
            best = _best_floor(section.summary, row)
            cells = [section.title, f"`{row['metric']}`", row["slice"], *_numbers(row), best]
            lines.append(_cells(cells))
    return lines


def _picked(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = _rows(summary)
    there = {row["metric"] for row in rows}
    first = next((name for name in summary["run"]["headline"] if name in there), "right")
    return [row for row in rows if row["metric"] in {first, "refused"}]


def _best_floor(summary: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The floor that is hardest to beat; none for `refused`, which abstaining wins or loses."""
    better = METRICS[row["metric"]].better
    held = [
        (other["estimate"], name)
        for name, rows in summary["floors"].items()
        for other in rows
        if (other["metric"], other["slice"]) == (row["metric"], row["slice"])
    ]
    if not held or not better:
        return ""
    value, name = max(held, key=lambda pair: pair[0] * better)
    return f"{format_number(row['metric'], value)} ({name})"


def _rows(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in summary["metrics"] if not row["slice"].startswith("type: ")]


def _body(section: Section, summary: Mapping[str, Any]) -> list[str]:
    run = summary["run"]
    wanted = {*run["headline"], *_ALSO}
    groups = ("citations", "grounding", "retrieval")
    rows = [
        row
        for row in _rows(summary)
        if row["metric"] in wanted or METRICS[row["metric"]].group in groups
    ]
    beside = {
        name: [floor_value(held, row["metric"], row["slice"]) for row in rows]
        for name, held in summary["floors"].items()
    }
    beside = {name: cells for name, cells in beside.items() if any(cells)}
    head = ["metric", "slice", "n", "estimate", "95% interval", *beside]
    told = f"n = {run['questions']} questions, condition {run['condition']}, style {run['style']}"
    lines = [f"    {section.command}", "", f"{told}, data {run['data'][:12]}.", ""]
    lines += [_cells(head), _cells(["---", "---", *("--:" for _ in head[2:])])]
    for at, row in enumerate(rows):
        cells = [f"`{row['metric']}`", row["slice"], *_numbers(row)]
        lines.append(_cells([*cells, *(column[at] for column in beside.values())]))
    notes = [*summary["notes"], *([section.note] if section.note else [])]
    return [*lines, "", *(f"- {note}" for note in notes)]


def _numbers(row: Mapping[str, Any]) -> list[str]:
    value, low, high = (format_number(row["metric"], row[k]) for k in ("estimate", "low", "high"))
    return [str(row["n"]), value, f"{low} to {high}"]


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
