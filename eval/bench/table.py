"""The one table, printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eval.bench.results import Results
from eval.bench.rows import Row, rows

__all__ = ["cells", "show"]


def show(results: Results, fresh: Iterable[str]) -> None:
    """Print the table; parts that are not `fresh` say when they were measured."""
    from rich.console import Console
    from rich.table import Table

    now = set(fresh)
    table = Table(title="Speed", title_justify="left", header_style="")
    for head in ("what", "measured", "limit or reference", "ratio", "target", "met?"):
        table.add_column(head, justify="left" if head == "what" else "right", overflow="fold")
    made = rows(results)
    for part, one in results.items():
        marks = ["quick"] if one.get("quick") else []
        marks += [] if part in now else [f"measured {one['measured']}"]
        table.add_section()
        table.add_row(f"[bold]{part}[/]" + (f" ({', '.join(marks)})" if marks else ""))
        for row in made:
            if row.part == part:
                table.add_row(*cells(row))
    Console(width=None if Console().is_terminal else 160).print(table)


def cells(row: Row) -> Sequence[str]:
    """A row as text."""
    from rich.markup import escape

    measured = f"{_number(row.value)} {row.unit}".strip()
    notes = [f"n {row.n}"] if row.n else []
    if row.low is not None and row.high is not None:
        notes.append(f"{_number(row.low)} to {_number(row.high)}")
    if notes:
        measured += f" ({', '.join(notes)})"
    beside = f": {row.beside}" if row.beside else ""
    reference = f"{_number(row.reference)} {row.unit}".strip() + beside if row.reference else ""
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
    sign = "≤" if row.better == "less" else "≥"
    target = f"{sign} {_number(row.target)} {row.unit}" if row.target is not None else ""
    met = {None: "", True: "yes", False: "no"}[row.met]
    return [escape(one) for one in (row.what, measured, reference, ratio, target, met)]


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
