"""A run or a comparison as one HTML file that needs nothing from outside, and as plain lines.

Everything shown comes from documents, questions or a model, so the templates escape all of it; the
only markup that is let through is what `plots` draws.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.compare import Comparison, Difference
from eval.metrics import METRICS, said
from eval.plots import figures
from eval.records import Gold, Sample
from eval.score import Scored, load, pairs

__all__ = ["floor_value", "format_gold", "format_number", "write_comparison", "write_report"]

_AROUND = 160  # characters shown on each side of a quote
_UNITS = {"words", "passage_chars", "prompt_tokens", "generated_tokens", "memory_mb"}


def format_number(metric: str, value: float) -> str:
    """Shares with three decimals, without the zero; sizes and seconds as they are read."""
    if metric in _UNITS:
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    if metric.endswith("_s"):
        return f"{value:.2f}"
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def format_gold(gold: Gold, answerable: bool | None) -> str:
    """What a right reply says, in one line."""
    if not answerable:
        return "(a refusal)" if answerable is False else "(a question back)"
    parts = [" | ".join(gold.answers), " + ".join(gold.complete)]
    parts += [" + ".join(v[0] for v in group) for group in (gold.items, gold.claims, gold.points)]
    if gold.wrong:
        parts.append(f"not: {' | '.join(gold.wrong)}")
    return "; ".join(part for part in parts if part) or ", ".join(gold.documents)


def floor_value(rows: Sequence[Mapping[str, Any]], metric: str, name: str) -> str:
    """A floor's estimate for a metric and slice, or an empty cell."""
    for row in rows:
        if (row["metric"], row["slice"]) == (metric, name):
            return format_number(metric, row["estimate"])
    return ""


def write_report(out: Path, summary: Mapping[str, Any]) -> Path:
    """Write `report.html` into a scored run; returns its path."""
    scored = load(out)
    costs = [n["total_s"] for n in scored.numbers if "total_s" in n]
    words = [n["words"] for n in scored.numbers if n.get("words")]
    items = [_item(scored, s, n) for s, n in zip(scored.samples, scored.numbers, strict=True)]
    return _write(
        out / "report.html",
        "run.html.j2",
        title=f"{scored.run['suite']}: {len(scored.samples)} questions",
        about=_about(scored.run, summary["models"]),
        tables=_tables(summary),
        notes=summary["notes"],
        figures=figures(pairs(scored.numbers), costs, words),
        kinds=sorted({kind for item in items for kind in item["kinds"]}),
        items=items,
        header=json.dumps(scored.run, indent=1, ensure_ascii=False),
    )


def _about(run: Mapping[str, Any], models: Sequence[str]) -> str:
    parts = [f"condition {run['condition']}", f"style {run['style']}"]
    parts += [f"model {', '.join(models)}"] if any(models) else ["retrieval only"]
    return "; ".join(parts)


def _tables(summary: Mapping[str, Any]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for row in summary["metrics"]:
        metric = METRICS[row["metric"]]
        table = tables.setdefault(metric.group, {"floors": [], "rows": []})
        found = {
            name: value
            for name, rows in summary["floors"].items()
            if (value := floor_value(rows, row["metric"], row["slice"]))
        }
        table["floors"] += [name for name in found if name not in table["floors"]]
        low, high = (format_number(metric.name, row[end]) for end in ("low", "high"))
        table["rows"].append(
            row
            | {
                "estimate": format_number(metric.name, row["estimate"]),
                "interval": f"{low} to {high}",
                "floors": found,
                "about": metric.about,
            }
        )
    for table in tables.values():
        for row in table["rows"]:
            row["floors"] = [row["floors"].get(name, "") for name in table["floors"]]
    order = list(dict.fromkeys(m.group for m in METRICS.values()))
    # `rows` is looked up as an item in the template: a dictionary has no attribute of that name.
    return dict(sorted(tables.items(), key=lambda pair: order.index(pair[0])))


def _item(scored: Scored, sample: Sample, numbers: Mapping[str, float]) -> dict[str, Any]:
    question, answer = sample.question, sample.answer
    kinds = [question.type.replace(" ", "-")] if question.type else []
    if question.answerable is not None:
        kinds.append("answerable" if question.answerable else "unanswerable")
    if answer is not None and answer["refused"]:
        kinds.append("refused")
    if "right" in numbers:
        kinds.append("right" if numbers["right"] else "wrong")
    cited = [] if answer is None else answer["citations"]
    return {
        "id": sample.id,
        "question": question.question,
        "history": question.history,
        "kinds": kinds,
        "gold": format_gold(question.gold, question.answerable),
        "answer": None if answer is None else answer["text"],
        "citations": [_context(c, scored.documents) for c in cited],
        "passages": "\n".join(f"{h['document']} {h['start']}-{h['end']}" for h in sample.hits[:5]),
        "scores": ", ".join(f"{n} {format_number(n, v)}" for n, v in numbers.items()),
    }


def _context(citation: Mapping[str, Any], documents: Mapping[str, str]) -> dict[str, Any]:
    body = documents.get(citation["document"], "")
    start, end = citation["start"], citation["end"]
    return {
        "marker": citation["marker"],
        "document": citation["document"],
        "before": body[max(0, start - _AROUND) : start],
        "quote": citation["quote"],
        "after": body[end : end + _AROUND],
    }


def write_comparison(comparison: Comparison, path: Path, metric: str | None = None) -> Path:
    """Write a comparison with the answers side by side, for the questions that differ in `metric`.

    Without `metric`, in the first of the suite's headline metrics that there is.
    """
    headline = (*comparison.first.run["headline"], *METRICS)
    there = {difference.metric for difference in comparison.differences}
    chosen = comparison.find(metric or next(name for name in headline if name in there))
    return _write(
        path,
        "compare.html.j2",
        title=f"{comparison.first.run['suite']}: two runs",
        first=str(comparison.first.out),
        second=str(comparison.second.out),
        rows=[_difference(difference) for difference in comparison.differences],
        notes=comparison.notes,
        metric=chosen.metric,
        items=_sides(comparison, chosen),
    )


def _difference(difference: Difference) -> dict[str, Any]:
    def number(value: float) -> str:
        return format_number(difference.metric, value)

    return {
        "metric": difference.metric,
        "slice": difference.slice,
        "n": difference.n,
        "first": number(difference.first),
        "second": number(difference.second),
        "difference": number(difference.difference),
        "interval": f"{number(difference.low)} to {number(difference.high)}",
        "p": "" if difference.p is None else f"{difference.p:.3g}",
        "wins": len(difference.wins),
        "losses": len(difference.losses),
        "verdict": difference.verdict,
    }


def _sides(comparison: Comparison, difference: Difference) -> list[dict[str, Any]]:
    first = {s.id: (s, n) for s, n in _numbered(comparison.first)}
    second = {s.id: (s, n) for s, n in _numbered(comparison.second)}
    items = []
    for kind, ids in (("loss", difference.losses), ("win", difference.wins)):
        for identifier in ids:
            (a, numbers_a), (b, numbers_b) = first[identifier], second[identifier]
            question = a.question
            items.append(
                {
                    "id": identifier,
                    "kind": kind,
                    "question": question.question,
                    "gold": format_gold(question.gold, question.answerable),
                    "first": _said(a),
                    "second": _said(b),
                    "first_score": format_number(difference.metric, numbers_a[difference.metric]),
                    "second_score": format_number(difference.metric, numbers_b[difference.metric]),
                }
            )
    return items


def _numbered(scored: Scored) -> list[tuple[Sample, Mapping[str, float]]]:
    return list(zip(scored.samples, scored.numbers, strict=True))


def _said(sample: Sample) -> str:
    if sample.answer is None:
        return "\n".join(hit["document"] for hit in sample.hits[:10])
    return said(sample) or f"(refused) {sample.answer['text']}"


def _write(path: Path, template: str, **values: Any) -> Path:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined)
    html = environment.get_template(template).render(**values)
    path.write_text(html, encoding="utf-8")
    return path
