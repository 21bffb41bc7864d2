"""Which versions of packages are installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

__all__ = ["versions"]


def versions(names: Iterable[str]) -> dict[str, str]:
    """The version of each package that is there."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
