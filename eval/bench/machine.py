"""What this machine can do at most: its memory's bandwidth and its processor's products."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eval.bench.installed import installed
from eval.bench.part import Run, counting
from eval.versions import versions
from rag.hardware import cpu_features, has_native_bf16, pick_runtime, thread_count
from rag.settings import Settings, load_settings

__all__ = ["measure"]

_PACKAGES = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "openvino", "numpy")
_GIGABYTE = 1 << 30
_SIDE = 2048  # of the square matrices that are multiplied
_TIMES = 7


def measure(run: Run) -> dict[str, Any]:
    """Processor, versions, both limits with the threads that the settings name, and the install."""
    settings = load_settings()
    with counting("memory bandwidth and matrix products"):
        limits = _limits(settings)
    with counting("sizes of installed packages"):
        sizes = installed()
    return {
        "processor": _processor_name(),
        "features": sorted(cpu_features()),
        "threads": thread_count(settings.threads),
        "memory_gb": _memory_gb(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": versions(_PACKAGES),
        "model": settings.model,
        "runtime": pick_runtime(settings.runtime),
        **limits,
        **sizes,
    }


def _limits(settings: Settings) -> dict[str, float]:
    """The best of several, because what else runs can only take away."""
    import torch

    torch.set_num_threads(thread_count(settings.threads))
    block = torch.ones(_GIGABYTE // 4, dtype=torch.float32)
    limits = {"bandwidth_gbs": _GIGABYTE / _shortest(block.sum) / 1e9}
    del block
    kinds = [("float32", torch.float32), ("bf16", torch.bfloat16)]
    for name, kind in kinds if has_native_bf16() else kinds[:1]:
        matrix = torch.rand(_SIDE, _SIDE).to(kind)
        taken = _shortest(lambda matrix=matrix: matrix @ matrix)  # type: ignore[misc]
        limits[f"{name}_gflops"] = 2 * _SIDE**3 / taken / 1e9
    return limits


def _shortest(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gb() -> float:
    """0 where the system does not say."""

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError, AttributeError):
        return 0.0
