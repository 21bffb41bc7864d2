"""One system, in a process of its own: `python -m eval.bench.peers.worker NAME TASK.json OUT.json`.

Loading is not timed with indexing, nor what the first use of a model costs with either.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.bench.peers.peer import Peer
from eval.bench.peers.registry import SYSTEMS
from eval.bench.peers.task import Task, read_task

__all__ = ["measure"]

_WARM_UP = "What is this about?"


def measure(peer: Peer, task: Task, ingests: bool) -> dict[str, Any]:
    """`index_s` (None if not `ingests`) and `told`, one for each question."""
    index_s = None
    if ingests:
        # Other texts than those that are timed: what is known already need not be indexed again.
        peer.index([f"Warm up. {text}" for text in task.abstracts[:2]])
        started = time.perf_counter()
        peer.index(task.abstracts)
        index_s = time.perf_counter() - started
    peer.index(task.passages)
    peer.ask(_WARM_UP)
    return {"index_s": index_s, "told": [asdict(peer.ask(one)) for one in task.questions]}


def main(name: str, task_file: str, out: str) -> None:
    """Measure the system `name` and write what was measured to the file `out`."""
    task, system = read_task(Path(task_file)), SYSTEMS[name]
    started = time.perf_counter()
    peer = system.open(task)
    row = {"open_s": time.perf_counter() - started, "versions": system.versions()}
    Path(out).write_text(json.dumps(row | measure(peer, task, system.ingests)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
