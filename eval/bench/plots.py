"""Three drawings of the results, as SVG: retrieval by size, reading by prompt, the roofline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eval.bench.figures import Weights, attainable
from eval.bench.results import Results
from eval.plots import svg

__all__ = ["Point", "draw", "points"]

_INK, _ACCENT, _OTHER = "#333333", "#1f5fa8", "#b3541e"

Point = tuple[str, float, float]
"""What, FLOP a byte, GFLOP/s."""


def draw(results: Results, folder: Path) -> list[Path]:
    """Write what there are results for; the files, in order."""
    held = {name: one["values"] for name, one in results.items()}
    wanted: dict[str, tuple[bool, Callable[[Any], None]]] = {
        "retrieval": (
            len(held.get("retrieval", {})) > 1,
            lambda axes: _retrieval(axes, held["retrieval"]),
        ),
        "first-token": (
            bool(held.get("answers", {}).get("prompt")),
            lambda axes: _first_token(axes, held["answers"]["prompt"]),
        ),
        "roofline": (
            "machine" in held,
            lambda axes: _roofline(axes, held["machine"], held.get("answers", {})),
        ),
    }
    files = []
    for name, (there, paint) in wanted.items():
        if there:
            folder.mkdir(parents=True, exist_ok=True)
            files.append(_save(paint, folder / f"{name}.svg"))
    return files


def points(answers: Mapping[str, Any]) -> list[Point]:
    """Where reading and writing stand on the roofline."""
    if not answers.get("weights"):
        return []
    weights = Weights(**answers["weights"])
    full = (answers[name]["full"] for name in ("seeds", "squad") if name in answers)
    corpus: Mapping[str, Any] = next(full, {})
    found: list[Point] = []
    reading = (answers.get("prompt") or {}).get("tokens_per_s")
    if reading and "prompt_tokens" in corpus:
        tokens = corpus["prompt_tokens"]["value"]
        rate = weights.read_flop * reading / 1e9
        found.append((f"reading {tokens:.0f} tokens", weights.read_intensity(tokens), rate))
    if "tokens_per_s" in corpus:
        rate = weights.write_flop * corpus["tokens_per_s"]["value"] / 1e9
        found.append(("writing", weights.write_intensity, rate))
    return found


def _roofline(axes: Any, machine: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    bandwidth = machine["bandwidth_gbs"]
    x = [2**n for n in range(-3, 12)]
    for kind, style in (("float32", "-"), ("bf16", "--")):
        peak = machine.get(f"{kind}_gflops")
        if peak:
            corner = peak / bandwidth
            xs = sorted([*x, corner])
            roof = [attainable(one, bandwidth, peak) for one in xs]
            label = f"{kind}: {peak:.0f} GFLOP/s, {bandwidth:.0f} GB/s"
            axes.plot(xs, roof, color=_INK, linestyle=style, label=label)
    for (name, intensity, rate), colour in zip(points(answers), (_ACCENT, _OTHER), strict=False):
        axes.plot([intensity], [rate], "o", color=colour, label=f"{name}: {rate:.0f} GFLOP/s")
    axes.set(xscale="log", yscale="log", xlabel="operations a byte of weights", ylabel="GFLOP/s")


def _first_token(axes: Any, prompt: Mapping[str, Any]) -> None:
    tokens, seconds = prompt["tokens"], prompt["first_token_s"]
    axes.plot(tokens, seconds, "o", color=_ACCENT)
    if prompt["tokens_per_s"]:
        ends = [0, max(tokens)]
        fitted = [prompt["fixed_s"] + one / prompt["tokens_per_s"] for one in ends]
        label = f"{prompt['fixed_s']:.2f} s + a second for {prompt['tokens_per_s']:.0f} tokens"
        axes.plot(ends, fitted, color=_INK, linewidth=0.8, linestyle=":", label=label)
    axes.set(xlabel="tokens of the prompt", ylabel="seconds to the first token", ylim=(0, None))


def _retrieval(axes: Any, sizes: Mapping[str, Mapping[str, float]]) -> None:
    order = sorted(sizes, key=int)
    lines = (
        ("fused_p50_ms", "search, p50", _ACCENT, "-"),
        ("fused_p95_ms", "search, p95", _ACCENT, "--"),
        ("plain_fused_p50_ms", "plain exact way, p50", _OTHER, "-"),
    )
    for key, label, colour, style in lines:
        x = [int(size) for size in order if key in sizes[size]]
        y = [sizes[size][key] for size in order if key in sizes[size]]
        axes.plot(x, y, style, marker=".", color=colour, label=label)
    axes.set(xscale="log", yscale="log", xlabel="passages", ylabel="milliseconds a question")


def _save(paint: Callable[[Any], None], file: Path) -> Path:
    def with_legend(axes: Any) -> None:
        paint(axes)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False)

    file.write_text(svg(with_legend, (6, 4)), "utf-8")
    return file
