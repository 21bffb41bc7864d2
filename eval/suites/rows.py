"""Reading JSON Lines so that a bad row is named by its line and field. Knows no suite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag.errors import InputError

__all__ = ["field", "json_lines", "only_file", "read_text"]


def read_text(path: Path) -> str:
    """A UTF-8 file (with or without byte order mark), line ends as they are."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} can't be read as UTF-8 text: {error}") from None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, object) for each line that is not blank."""
    # Not splitlines(): U+2028 may stand inside a JSON string.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: not a JSON object")
        yield number, row


def field(path: Path, number: int, row: Mapping[str, Any], name: str, kind: type) -> Any:
    """`row[name]`, or an InputError that names file, line and field."""
    if name not in row:
        raise InputError(f"{path}, line {number}: field {name} is missing")
    value = row[name]
    if not isinstance(value, kind):
        raise InputError(f"{path}, line {number}, field {name}: not a {kind.__name__}")
    return value


def only_file(path: Path, pattern: str) -> Path:
    """`path` itself, or the one file in that folder whose name fits `pattern`."""
    if path.is_file():
        return path
    found = sorted(path.glob(pattern))
    if len(found) != 1:
        raise InputError(f"{path} holds {len(found)} files {pattern}; name one with --data")
    return found[0]
