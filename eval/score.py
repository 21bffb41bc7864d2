"""samples.jsonl -> summary.json: estimates with intervals by slice, floors beside them.

No model, no engine: a finished run can be scored again whenever a metric changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eval import stats
from eval.floors import FLOORS
from eval.metrics import METRICS, POOLED, measure
from eval.records import Sample
from eval.run import read_documents, read_run, read_samples
from rag.errors import InputError

__all__ = ["PAIR", "Scored", "holding", "load", "pairs", "score", "slices", "summarise"]

Numbers = dict[str, float]
PAIR = frozenset({"confidence", "right"})  # what a sample must have to count in a pooled metric


class Scored:
    """A finished run in memory: its header, samples, texts and every sample's numbers."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.run = read_run(out)
        self.documents = read_documents(out)
        self.samples = read_samples(out)
        if not self.samples:
            raise InputError(f"{out} holds no samples; run the suite first")
        style = self.run["style"]
        self.numbers = [measure(sample, self.documents, style) for sample in self.samples]


def load(out: Path) -> Scored:
    """Read and measure a finished run; InputError says what is missing."""
    return Scored(out)


def score(out: Path) -> dict[str, Any]:
    """Score a finished run, write `summary.json` and return it."""
    scored = load(out)
    summary = {
        "run": scored.run,
        "models": sorted({s.answer["model"] for s in scored.samples if s.answer is not None}),
        "metrics": summarise(scored.samples, scored.numbers, set(scored.run["headline"])),
        "floors": _floors(scored),
        "notes": _notes(scored),
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
    (out / "summary.json").write_text(text, encoding="utf-8")
    return summary


def slices(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """Positions by slice: `answerable`, `unanswerable`, `neither`, `all`, then `type: …`.

    Narrow ones come first, so that `all` is the one left out where it says the same.
    """
    everything = range(len(samples))
    names = {True: "answerable", False: "unanswerable", None: "neither"}
    found = {
        name: [i for i in everything if samples[i].question.answerable is wanted]
        for wanted, name in names.items()
    }
    found["all"] = list(everything)
    for kind in sorted({s.question.type for s in samples if s.question.type}):
        found[f"type: {kind}"] = [i for i in everything if samples[i].question.type == kind]
    return {name: positions for name, positions in found.items() if positions}


def summarise(
    samples: Sequence[Sample],
    numbers: Sequence[Numbers],
    by_type: Iterable[str] = (),
    groups: Iterable[str] | None = None,
) -> list[dict[str, Any]]:
    """One row for each metric and slice that has values.

    Only the metrics of `by_type` are split by type too. A slice that holds what a wider one does
    is left out.
    """
    wanted = [m for m in METRICS.values() if groups is None or m.group in set(groups)]
    split = {*by_type, "refused"}
    cut = slices(samples)
    both = {"answerable", "unanswerable"} <= cut.keys()
    rows = []
    for metric in wanted:
        if metric.name == "refusal_precision" and not both:
            continue  # 0 or 1 whatever the system does
        seen: set[tuple[int, ...]] = set()
        for name, positions in cut.items():
            if name.startswith("type: ") and metric.name not in split:
                continue
            held = holding(metric.name, name, numbers, positions)
            if held and held not in seen:
                seen.add(held)
                rows.append(_row(metric.name, name, samples, numbers, held))
    return rows


def holding(
    metric: str, name: str, numbers: Sequence[Numbers], positions: Sequence[int]
) -> tuple[int, ...]:
    """The positions of a slice that have the metric.

    Confidence and the precision of refusals mean something over all questions only, and the share
    of refusals only apart: over-refusal where answerable, recall where not.
    """
    if (name == "all" and metric == "refused") or (name != "all" and metric == "refusal_precision"):
        return ()
    if metric in POOLED:
        held = tuple(i for i in positions if numbers[i].keys() >= PAIR)
        return held if name == "all" and len(held) > 1 else ()
    return tuple(i for i in positions if metric in numbers[i])


def _row(
    metric: str,
    name: str,
    samples: Sequence[Sample],
    numbers: Sequence[Numbers],
    held: Sequence[int],
) -> dict[str, Any]:
    clusters = [samples[i].question.cluster or samples[i].id for i in held]
    if metric in POOLED:
        both = pairs([numbers[i] for i in held])
        estimate = stats.pooled_of_clusters(both, clusters, POOLED[metric])
    else:
        values = [numbers[i][metric] for i in held]
        proportion = set(values) <= {0.0, 1.0} and not METRICS[metric].size
        estimate = stats.mean_of_clusters(values, clusters, proportion=proportion)
    return {
        "metric": metric,
        "slice": name,
        "n": estimate.n,
        "clusters": estimate.clusters,
        "estimate": round(estimate.value, 6),
        "error": round(estimate.error, 6),
        "low": round(estimate.low, 6),
        "high": round(estimate.high, 6),
    }


def pairs(numbers: Sequence[Numbers]) -> list[tuple[float, float]]:
    """(confidence, right) of the samples that have both."""
    return [(n["confidence"], n["right"]) for n in numbers if n.keys() >= PAIR]


def _floors(scored: Scored) -> dict[str, list[dict[str, Any]]]:
    retrieval = scored.run["retrieval"]
    found: dict[str, list[dict[str, Any]]] = {}
    for floor in FLOORS:
        if retrieval and floor.groups != ("retrieval",):
            continue
        made = [floor.make(sample, scored.documents) for sample in scored.samples]
        kept = [sample for sample in made if sample is not None]
        measured = [measure(s, scored.documents, scored.run["style"]) for s in kept]
        numbers = [_comparable(scored, floor.prefix, n) for n in measured]
        if kept and (rows := summarise(kept, numbers, groups=floor.groups)):
            found[floor.name] = rows
    return found


def _comparable(scored: Scored, prefix: str, numbers: Numbers) -> Numbers:
    """Only the metrics that the floor is for and the run has: none stands beside nothing."""
    ours = {name for n in scored.numbers for name in n} | {"right", "refused", "refusal_precision"}
    return {n: value for n, value in numbers.items() if n in ours and n.startswith(prefix)}


def _notes(scored: Scored) -> list[str]:
    """What a reader must know: the suite's caveats, and what is odd about this run."""
    notes = list(scored.run["caveats"])
    clusters = {s.question.cluster or s.id for s in scored.samples}
    if len(clusters) < 20:
        notes.append(f"Only {len(clusters)} clusters of questions: the intervals are too narrow.")
    if scored.run["options"].get("limit"):
        limit, seed = scored.run["options"]["limit"], scored.run["options"].get("seed", 0)
        notes.append(f"A sample of the suite: --limit {limit}, --seed {seed}.")
    if any(s.answer is not None and s.answer["confidence"] is None for s in scored.samples):
        notes.append("Answers without a confidence are left out of ece and aurc.")
    if scored.run["timings"].get("reused"):
        notes.append("Some answers come from an earlier run; their seconds are of that run.")
    return notes
