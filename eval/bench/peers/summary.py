"""What was measured -> medians, ratios to ours and a table. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from eval.bench.peers.registry import OURS

__all__ = ["ratios", "summarise", "table"]

Row = dict[str, Any]


def summarise(measured: Mapping[str, Any], documents: int, max_tokens: int) -> Row:
    """Medians over the answers. `whole_s` is what an answer of `max_tokens` would take, from the
    medians of the time to the first token and of the speed after it; None without the latter."""
    told = measured["told"]

    def median(name: str) -> float | None:
        values = [one[name] for one in told if one[name] is not None]
        return round(statistics.median(values), 3) if values else None

    first, speed = median("first_token_s"), median("decode_per_s")
    index_s = measured["index_s"]
    return {
        "n": len(told),
        "open_s": round(measured["open_s"], 2),
        "ingest_per_s": round(documents / index_s, 2) if index_s else None,
        "prompt_tokens": median("prompt_tokens"),
        "first_token_s": first,
        "total_s": median("total_s"),
        "tokens": median("tokens"),
        "decode_per_s": speed,
        "whole_s": round(first + (max_tokens - 1) / speed, 3) if first and speed else None,
        "limited": sum(one["limited"] for one in told),
        "refused": sum(one["refused"] for one in told),
        "versions": measured["versions"],
        "answers": list(told),
    }


def ratios(rows: Mapping[str, Row]) -> dict[str, dict[str, float]]:
    """How much faster ours is than each other system; over 1: ours is faster.

    `first_token`, `total` and `ingest` are against the full style (`ingest` is the same for both),
    `short_total` is against the short one. What was not measured for both is left out.
    """
    full, short = (rows.get(name, {}) for name in OURS)
    found = {}
    for name, row in rows.items():
        pairs = {
            "first_token": (row.get("first_token_s"), full.get("first_token_s")),
            "total": (row.get("total_s"), full.get("total_s")),
            "short_total": (row.get("total_s"), short.get("total_s")),
            "ingest": (full.get("ingest_per_s"), row.get("ingest_per_s")),
        }
        kept = {
            key: round(over / under, 3) for key, (over, under) in pairs.items() if over and under
        }
        if kept and name not in OURS:
            found[name] = kept
    return found


_MEASURED = (
    ("docs/s", "ingest_per_s", ".1f"),
    ("prompt", "prompt_tokens", ".0f"),
    ("first s", "first_token_s", ".2f"),
    ("answer s", "total_s", ".2f"),
    ("tokens", "tokens", ".0f"),
    ("tokens/s", "decode_per_s", ".1f"),
    ("full length s", "whole_s", ".1f"),
)
_COUNTED = (("cut off", "limited"), ("refused", "refused"))
_COMPARED = (
    ("first ×", "first_token"),
    ("answer ×", "total"),
    ("short ×", "short_total"),
    ("docs ×", "ingest"),
)


def table(rows: Mapping[str, Row], title: str) -> Table:
    """One row for each system that was measured."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("system", no_wrap=True)
    for head, *_ in (*_MEASURED, *_COUNTED, *_COMPARED):
        shown.add_column(head, justify="right")
    compared = ratios(rows)
    for name, row in rows.items():
        if "n" not in row:
            continue
        cells = [_cell(row[key], form) for _, key, form in _MEASURED]
        cells += [f"{row[key]}/{row['n']}" for _, key in _COUNTED]
        cells += [_cell(compared.get(name, {}).get(key), ".2f") for _, key in _COMPARED]
        shown.add_row(name, *cells)
    return shown


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
