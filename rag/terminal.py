"""What every command says in the same way: JSON on standard output, warnings beside it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

__all__ = ["JsonOption", "print_json", "warn"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))


def warn(message: str) -> None:
    """Say something on standard error, in one line."""
    typer.echo(f"footnote: {' '.join(message.split())}", err=True)
