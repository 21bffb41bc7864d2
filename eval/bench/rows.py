"""Every part's results as rows of one table: measured, beside a limit or another, with targets. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from eval.bench.figures import WHOLE_TOKENS, Figure, Weights
from eval.bench.results import Results

__all__ = ["Row", "rows"]

_CORPORA = ("seeds", "squad")
_OURS = "footnote"  # among the peers


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `target` is a most for seconds and a least for what is better if larger.

    `reference` is a limit or another system, measured in the same run where its part was; `beside`
    says what it is.
    """

    what: str
    value: float | str
    unit: str = ""
    n: int | None = None
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    beside: str = ""
    target: float | None = None
    better: Literal["less", "more"] = "less"
    part: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured by reference; None without one."""
        if not self.reference or isinstance(self.value, str):
            return None
        return self.value / self.reference

    @property
    def met(self) -> bool | None:
        """Whether the target is; None without one."""
        if self.target is None or isinstance(self.value, str):
            return None
        return self.value <= self.target if self.better == "less" else self.value >= self.target


def rows(results: Results) -> list[Row]:
    """Every row that something was measured for, part by part."""
    held = {name: one["values"] for name, one in results.items()}
    made = {
        "machine": _machine,
        "start": _start,
        "answers": lambda values: _answers(values, held.get("machine", {})),
        "users": _users,
        "ingest": _ingest,
        "retrieval": _retrieval,
        "peers": _peers,
    }
    found: list[Row] = []
    for part, values in held.items():
        found += [replace(row, part=part) for row in made[part](values)]
    return found


def _machine(values: Mapping[str, Any]) -> Iterator[Row]:
    yield Row("processor", f"{values['processor']}, {', '.join(values['features'])}")
    yield Row("threads", values["threads"])
    yield Row("memory read", values["bandwidth_gbs"], "GB/s")
    for kind in ("float32", "bf16"):
        if f"{kind}_gflops" in values:
            yield Row(f"matrix products, {kind}", values[f"{kind}_gflops"], "GFLOP/s")
    yield Row("installed, in all", values["install_gb"], "GB")
    for kind in ("code", "weights", "development", "other"):
        yield Row(f"installed, {kind}", values[f"{kind}_gb"], "GB")
    for name, size in values["largest_gb"].items():
        yield Row(f"installed, {name}", size, "GB")


def _start(values: Mapping[str, Any]) -> Iterator[Row]:
    yield Row("footnote --help", values["help_s"], "s", values["help_n"], target=0.3)
    loaded = ", ".join(values["import_loads"])
    label = "heavy packages that import rag loads" + (f": {loaded}" if loaded else "")
    yield Row(label, len(values["import_loads"]), target=0)
    yield Row("import rag", values["import_s"], "s", values["help_n"])
    first = values["first_n"]
    if "first_token_s" in values:
        seconds = values["first_token_s"]
        yield Row("process start to first token", seconds, "s", first, target=4.0)
    for key, label in (("shown_s", "first words shown"), ("whole_s", "whole answer")):
        if key in values:
            yield Row(f"process start to {label}", values[key], "s", first)
    for stage, seconds in values["stages_s"].items():
        yield Row(f"stage: {stage}", seconds, "s", 1)
    yield Row("peak memory", values["peak_memory_gb"], "GB", first)


_ANSWERS: tuple[tuple[str, str, str, str, float | None], ...] = (
    ("full", "first_token_s", "first token", "s", 1.0),
    ("full", "shown_s", "first words shown", "s", 1.0),
    ("full", "whole_s", f"whole answer of {WHOLE_TOKENS} tokens", "s", 4.0),
    ("full", "total_s", "whole answer as it was", "s", None),
    ("short", "total_s", "short answer", "s", 1.5),
    ("full", "retrieve_s", "search", "s", None),
    ("full", "prompt_tokens", "prompt", "tokens", None),
    ("full", "generated_tokens", "answer", "tokens", None),
    ("full", "refused", "refused", "", None),
)


def _answers(values: Mapping[str, Any], machine: Mapping[str, Any]) -> Iterator[Row]:
    """Beside the machine's limits. Writing may pass its own: prompt lookup gets several tokens out of
    one pass over the weights."""
    weights = Weights(**values["weights"]) if values.get("weights") else None
    bandwidth, peak = machine.get("bandwidth_gbs"), _peak(machine)
    for corpus in (name for name in _CORPORA if name in values):
        for style, key, label, unit, target in _ANSWERS:
            figure = values[corpus][style].get(key)
            if figure:
                yield _figure(f"{corpus}: {label}", figure, unit, target=target)
        speed = values[corpus]["full"].get("tokens_per_s")
        if speed:
            limit = bandwidth * 1e9 / weights.read_bytes if weights and bandwidth else None
            beside = "the memory's limit" if limit else ""
            row = _figure(f"{corpus}: writing", speed, "tokens/s")
            yield replace(row, reference=limit, beside=beside, better="more")
            if weights:
                used = speed["value"] * weights.read_bytes / 1e9
                beside = "the memory's limit" if bandwidth else ""
                label = f"{corpus}: weights read while writing"
                yield Row(label, used, "GB/s", reference=bandwidth, beside=beside)
    prompt = values.get("prompt") or {}
    if prompt.get("tokens_per_s"):
        limit = peak * 1e9 / weights.read_flop if weights and peak else None
        beside = "the processor's limit" if limit else ""
        n, speed = len(prompt["tokens"]), prompt["tokens_per_s"]
        yield Row("reading a prompt", speed, "tokens/s", n, reference=limit, beside=beside)
        yield Row("reading a prompt, fixed cost", prompt["fixed_s"], "s", n)
    if "peak_memory_gb" in values:
        yield Row("peak memory", values["peak_memory_gb"], "GB")


def _peak(machine: Mapping[str, Any]) -> float | None:
    """The fastest products that were measured, GFLOP/s."""
    found = [machine[key] for key in ("float32_gflops", "bf16_gflops") if key in machine]
    return max(found, default=None)


def _users(values: Mapping[str, Any]) -> Iterator[Row]:
    """Waiting in a fair line costs nothing where n people wait n times as long as one."""
    alone = values.get("1", {})
    for count in (key for key in values if key.isdigit()):
        row = values[count]
        people = f"{count} at once" if count != "1" else "one person"
        for kind, label, n in (
            ("first", "first words shown", "shown_n"),
            ("answer", "whole answer", "n"),
        ):
            for share in (50, 95):
                key = f"{kind}_p{share}_s"
                if key not in row:
                    continue
                made = Row(f"{people}: {label}, p{share}", row[key], "s", int(row[n]))
                if share == 50 and kind == "answer" and count != "1" and key in alone:
                    limit = int(count) * alone[key]
                    made = replace(made, reference=limit, beside=f"{count} times one's")
                yield made
        made = Row(f"{people}: answers a minute", row["answers_per_minute"], n=int(row["n"]))
        if count != "1" and alone:
            made = replace(made, reference=alone["answers_per_minute"], beside="one person")
        yield replace(made, better="more")
        yield Row(f"{people}: written", row["tokens_per_s"], "tokens/s", int(row["n"]))
    yield Row("peak memory", values["peak_memory_gb"], "GB")


_LONG_PAGES, _LONG_S = 300, 20.0


def _ingest(values: Mapping[str, Any]) -> Iterator[Row]:
    beside = "plain encode"
    for key, plain, label, unit in (
        ("index_per_s", "plain_encode_per_s", "documents indexed", "/s"),
        ("index_tokens_per_s", "plain_encode_tokens_per_s", "tokens indexed", "/s"),
    ):
        row = Row(label, values[key], unit, int(values["documents"]), better="more")
        yield replace(row, reference=values[plain], beside=beside)
    pages = int(values["pdf_pages"])
    target = _LONG_S if pages == _LONG_PAGES else None
    yield Row(f"PDF of {pages} pages, searchable", values["pdf_s"], "s", 1, target=target)
    for stage in ("read", "chunk", "embed", "write"):
        yield Row(f"PDF of {pages} pages: {stage}", values[f"pdf_{stage}_s"], "s", 1)
    files = f"folder of {int(values['files']):,} files"
    yield Row(f"{files}: indexed, without embedding", values["files_first_per_s"], "/s", 1)
    yield Row(f"{files}: nothing has changed", values["files_unchanged_s"], "s", 1)


_RETRIEVAL = (
    ("open_s", "opened", "s", "plain_open_s"),
    ("dense_p50_ms", "nearest vectors, p50", "ms", "plain_dense_p50_ms"),
    ("words_p50_ms", "words, p50", "ms", "plain_words_p50_ms"),
    ("fused_p50_ms", "search, p50", "ms", "plain_fused_p50_ms"),
    ("fused_p95_ms", "search, p95", "ms", "plain_fused_p95_ms"),
    ("recall", "recall@10 against exact", "", ""),
    ("add_s", "one document added and found", "s", "plain_add_s"),
    ("resident_b", "memory a passage", "bytes", ""),
)


def _retrieval(values: Mapping[str, Any]) -> Iterator[Row]:
    for size, row in values.items():
        for key, label, unit, plain in _RETRIEVAL:
            if key in row:
                beside = "plain exact way" if plain in row else ""
                label_of = f"{int(size):,} passages: {label}"
                yield Row(label_of, row[key], unit, reference=row.get(plain), beside=beside)


_PEERS: tuple[tuple[str, str, str, Literal["less", "more"]], ...] = (
    ("ingest_per_s", "documents indexed", "/s", "more"),
    ("first_token_s", "first token", "s", "less"),
    ("whole_s", f"answer of {WHOLE_TOKENS} tokens", "s", "less"),
    ("total_s", "answer as it was", "s", "less"),
)


def _peers(values: Mapping[str, Any]) -> Iterator[Row]:
    """Ours, beside each other system; what could not be run says why."""
    systems = values["systems"]
    ours = systems.get(_OURS, {})
    for name, row in systems.items():
        why = row.get("skipped") or row.get("error")
        if why:
            yield Row(name, f"not measured: {why}")
        for key, label, unit, better in _PEERS if not name.startswith(_OURS) else ():
            if ours.get(key) and row.get(key):
                found = Row(label, ours[key], unit, ours["n"], reference=row[key])
                yield replace(found, beside=name, better=better)


def _figure(label: str, figure: Mapping[str, float] | Figure, unit: str, **more: Any) -> Row:
    low, high = figure.get("low"), figure.get("high")
    return Row(label, figure["value"], unit, int(figure["n"]), low, high, **more)
