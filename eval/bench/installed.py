"""What an installation takes on disk, and what of it only development needs.

Reads the metadata of the running environment; imports none of the packages.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rag.weights import PACKAGED

__all__ = ["Requirement", "closure", "installed", "split"]

_PROJECT = "footnote"
_FOR_USE = ("models", "openvino", "ui", "small")
_FOR_DEVELOPMENT = ("eval", "dev", "peers")
_LARGEST = 10

Requirement = tuple[str, frozenset[str]]
"""A package's name, and the extras that are asked of it."""

Requirements = Callable[[str, frozenset[str]], Iterable[Requirement]]


def installed() -> dict[str, Any]:
    """Gigabytes (10^9 bytes) in all and by kind, and the largest packages with theirs."""
    from packaging.utils import canonicalize_name

    sizes: dict[str, int] = {}
    for one in importlib.metadata.distributions():
        sizes.setdefault(canonicalize_name(one.metadata["Name"]), _size(one))
    weights: dict[str, str] = {
        canonicalize_name(part): one.name for one in PACKAGED.values() for part in one.packages
    }
    used = closure([(_PROJECT, frozenset(_FOR_USE))], _requirements)
    developed = closure([(_PROJECT, frozenset(_FOR_DEVELOPMENT))], _requirements)
    return split(sizes, weights, used, developed)


def split(
    sizes: Mapping[str, int], weights: Mapping[str, str], used: set[str], developed: set[str]
) -> dict[str, Any]:
    """Bytes of packages -> gigabytes by kind. What nobody asks for (pip, say) is "other".

    `weights` names the model that a package is a part of: its parts count as one package.
    """
    kinds = dict.fromkeys(("code", "weights", "development", "other"), 0)
    whole: dict[str, int] = {}
    for name, size in sizes.items():
        label = weights.get(name, name)
        whole[label] = whole.get(label, 0) + size
        if name in weights:
            kinds["weights"] += size
        elif name in used:
            kinds["code"] += size
        else:
            kinds["development" if name in developed else "other"] += size
    largest = sorted(whole.items(), key=lambda one: -one[1])[:_LARGEST]
    return {
        "install_gb": sum(sizes.values()) / 1e9,
        **{f"{kind}_gb": size / 1e9 for kind, size in kinds.items()},
        "largest_gb": {name: size / 1e9 for name, size in largest},
    }


def closure(wanted: Iterable[Requirement], requirements: Requirements) -> set[str]:
    """Every package that `wanted` lead to; `requirements(name, extras)` are one package's own."""
    waiting, met = list(wanted), set[Requirement]()
    while waiting:
        one = waiting.pop()
        if one not in met:
            met.add(one)
            waiting += requirements(*one)
    return {name for name, _ in met}


def _requirements(name: str, extras: frozenset[str]) -> list[Requirement]:
    """What an installed package asks for here; nothing of one that is not installed."""
    from packaging.requirements import Requirement as Parsed
    from packaging.utils import canonicalize_name

    found: list[Requirement] = []
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    for line in lines:
        parsed = Parsed(line)
        marker = parsed.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            found.append((canonicalize_name(parsed.name), frozenset(parsed.extras)))
    return found


def _size(one: importlib.metadata.Distribution) -> int:
    """Bytes of a package's files that are there, compiled ones among them."""
    total = 0
    for file in one.files or ():
        try:
            total += file.size or one.locate_file(file).stat().st_size  # type: ignore[attr-defined]
        except OSError:
            continue
    return total
