"""What every part of the speed benchmark shares: what was asked for, progress, a process's memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

__all__ = ["Counted", "Run", "counting", "peak_memory_gb", "timed", "track"]

_QUICK, _USUAL = 6, 100
T = TypeVar("T")

Counted = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for. `data` is a folder of benchmark data, `questions` how many of a corpus."""

    data: Path | None = None
    questions: int | None = None
    quick: bool = False

    @property
    def asked(self) -> int:
        """How many questions of each corpus to ask."""
        return self.questions or (_QUICK if self.quick else _USUAL)


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, with a bar for those that are done."""
    with counting(what) as told:
        for done, item in enumerate(items):
            told(done, len(items))
            yield item


@contextmanager
def counting(what: str) -> Iterator[Counted]:
    """A bar on standard error that is told how many are done, of how many; none into a file."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=None)

        def told(done: int, of: int) -> None:
            bars.update(task, completed=done, total=of)

        yield told


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds that `work` took, and what it returned."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def peak_memory_gb() -> float:
    """The most memory that this process has had resident, in units of 10^9 bytes.

    Linux keeps the figure of the program that started a process in `getrusage`, so its own counter
    is asked first.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(one for one in lines if one.startswith("VmHWM")).split()[1]) * 1024 / 1e9
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
