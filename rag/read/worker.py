"""The reading process: `python -m rag.read.worker` reads files that it is told on standard input.

A request is one line of JSON, for a document or (with `draw`) for the image of a page; a reply is
its length in bytes on a line, then so many bytes of JSON. Replies go to the pipe that standard
output was when the process began; standard output itself is pointed elsewhere, so whatever a C
library prints cannot mix with them. Limits are set by the operating system where it has them
(`resource`); the parent's clock holds everywhere.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from rag.errors import ReadError
from rag.read.draft import one_line
from rag.read.formats import load
from rag.read.limits import Limits
from rag.read.page import draw_page

try:
    import resource
except ImportError:  # Windows: only the parent's clock limits this process
    resource = None  # type: ignore[assignment]

__all__ = ["main"]


def main() -> None:
    """Answer requests until standard input ends."""
    replies = _private_stdout()
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process itself
    for line in sys.stdin.buffer:
        reply = json.dumps(_answer(json.loads(line)), ensure_ascii=False).encode()
        replies.write(b"%d\n" % len(reply) + reply)
        replies.flush()


def _private_stdout() -> BinaryIO:
    """The pipe to the parent, under a number that no library writes to."""
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return replies


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """The reply to one request: `document`, `image` or `error`, and whether this process is `worn`.

    A worn process has grown, or failed for lack of memory: the parent should start another.
    """
    limits = Limits(**request["limits"])
    path = Path(os.fsdecode(bytes.fromhex(request["path"])))
    worn = False
    try:
        _limit(limits)
        reply = _work(path, request.get("draw"), limits)
        return {**reply, "worn": _memory_mb() > limits.memory_mb / 2}
    except ReadError as error:
        message = str(error)
    except MemoryError:
        message = f"needs more than {limits.memory_mb:,} MB to read: split it into smaller files"
        worn = True
    except RecursionError:
        message = "is nested too deeply to read: save it anew in a simpler form"
    except Exception as error:  # the parsers raise anything at all on damaged files
        reason = one_line(f"{type(error).__name__}: {error}", 120)
        message = f"is damaged: get a whole copy of the file ({reason})"
        if _memory_mb() > limits.memory_mb / 3:  # C libraries tell lack of memory in many ways
            message = f"is damaged, or needs more than {limits.memory_mb:,} MB: split it ({reason})"
    worn = worn or _memory_mb() > limits.memory_mb / 2
    return {"error": one_line(message, 290), "worn": worn}


def _work(path: Path, draw: dict[str, Any] | None, limits: Limits) -> dict[str, Any]:
    if draw is None:
        return {"document": dataclasses.asdict(load(path, "", limits))}
    return {"image": draw_page(path, limits, **draw)}


def _limit(limits: Limits) -> None:
    """Bound what reading the next file may use; bounds that a system lacks are left out."""
    if resource is None:
        return
    cpu = int(time.process_time() + limits.seconds) + 1
    wanted = {
        "RLIMIT_AS": limits.memory_mb * 1_000_000,
        "RLIMIT_CPU": cpu,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
    }
    for name, value in wanted.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (bound, hard))


def _memory_mb() -> float:
    """The most memory that this process has used so far, in MB; 0 where it can't be told."""
    try:
        # Not getrusage: on Linux its figure is handed down by the process that started this one.
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            peak = next((line for line in status if line.startswith("VmHWM:")), None)
        if peak:
            return float(peak.split()[1]) / 1e3
    except OSError:
        pass  # not Linux
    if resource is None:
        return 0.0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used / 1e3


if __name__ == "__main__":
    main()
