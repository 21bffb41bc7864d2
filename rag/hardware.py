"""What this processor can do, and which runtime suits it. Knows nothing of models."""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path
from typing import Literal

__all__ = ["cpu_features", "has_native_bf16", "pick_runtime", "thread_count"]

Runtime = Literal["transformers", "openvino"]

_INTERESTING = (
    "avx2",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "avx_vnni",
    "amx_bf16",
    "amx_int8",
    "bf16",
)


@functools.cache
def cpu_features() -> frozenset[str]:
    """The instruction sets that matter here, as Linux names them (empty on other systems)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            flags = set(line.split(":", 1)[1].split())
            return frozenset(flags & set(_INTERESTING))
    return frozenset()


def has_native_bf16() -> bool:
    """Whether bfloat16 products are fast here: elsewhere torch emulates them, ten times slower."""
    return bool(cpu_features() & {"amx_bf16", "avx512_bf16", "bf16"})


def pick_runtime(wanted: str) -> Runtime:
    """`auto`: OpenVINO where it is installed, faster on every processor measured; else transformers."""
    if wanted == "transformers" or wanted == "openvino":
        return wanted  # type: ignore[return-value]
    return "openvino" if importlib.util.find_spec("openvino") else "transformers"


def thread_count(wanted: int) -> int:
    """`wanted`, or every core that this process may use."""
    if wanted:
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
