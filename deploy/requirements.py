"""What goes into which layer of the image, from pyproject.toml: prints one requirement a line.

python deploy/requirements.py run        what the service imports
python deploy/requirements.py convert    what weights are converted with, and the torch runtime
python deploy/requirements.py weights    the packages that hold them
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

__all__ = ["requirements"]

# Imported by rag.convert, rag.transformers_lm and the torch embedder alone.
_CONVERT = {"accelerate", "gguf", "sentence-transformers", "torch", "transformers"}
# Imported by the service and brought by one of those.
_BESIDE = ["safetensors"]
_EXTRAS = ["openvino", "ui", "server", "postgres"]


def requirements(project: dict[str, object], layer: str) -> list[str]:
    """The requirements of a layer: `run`, `convert` or `weights`."""
    needed: list[str] = project["dependencies"]  # type: ignore[assignment]
    extras: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    apart = [one for one in needed if _name(one) in _CONVERT]
    if layer == "weights":
        return extras["models"]
    if layer == "convert":
        return apart
    kept = [one for one in needed if one not in apart]
    return kept + _BESIDE + [one for extra in _EXTRAS for one in extras[extra]]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower()


if __name__ == "__main__":
    found = next(
        path
        for folder in Path(__file__).resolve().parents
        if (path := folder / "pyproject.toml").is_file()
    )
    [wanted] = [word for word in sys.argv[1:] if word in ("run", "convert", "weights")]
    print("\n".join(requirements(tomllib.loads(found.read_text())["project"], wanted)))
