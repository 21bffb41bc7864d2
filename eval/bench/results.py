"""The file of results: each part under its name, with when it was measured. Knows no part."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rag.errors import InputError

__all__ = ["Results", "keep", "read"]

_FORM = 2  # of what stands in the file: raised when a part's values are called something else

Results = dict[str, dict[str, Any]]
"""part -> {"form", "measured": ISO 8601 in UTC, "quick": bool, "values": what it measured}"""


def read(path: Path) -> Results:
    """What earlier runs measured; nothing where there is no file. Other forms are passed over.

    Raises:
        InputError: the file is not JSON, or can't be read.
    """
    try:
        held = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read as JSON ({error}): remove it") from None
    parts = held.items() if isinstance(held, dict) else ()
    return {name: one for name, one in parts if isinstance(one, dict) and one.get("form") == _FORM}


def keep(path: Path, part: str, values: dict[str, Any], *, quick: bool) -> Results:
    """Put one part's values beside the others, in one step, so that no reader finds half a file."""
    results = read(path)
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    results[part] = {"form": _FORM, "measured": measured, "quick": quick, "values": values}
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
        scratch.replace(path)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror}): see --json") from None
    return results
