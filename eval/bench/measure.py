"""The parts of the speed benchmark, each measured in a process of its own."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from eval.bench.part import Run
from rag.errors import RagError

__all__ = ["PARTS", "measured"]

PARTS = ("machine", "start", "answers", "users", "ingest", "retrieval", "peers")
_SIZES, _QUICK_SIZES = (10_000, 100_000), (10_000,)
_QUICK_INGEST = {"documents": 100, "pages": 30, "files": 1000}
_QUICK_ABSTRACTS = 50


def measured(part: str, run: Run) -> dict[str, Any]:
    """A part's values, measured in a process that ends with it.

    Raises:
        RagError: it can't be measured; so do OSError and ImportError say.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        try:
            return fresh.submit(_measure, part, run).result()
        except BrokenProcessPool:
            raise RagError("its process was killed: is there enough memory?") from None


def _measure(part: str, run: Run) -> dict[str, Any]:
    if part == "retrieval":
        from eval.bench.retrieval import measure

        sizes = _QUICK_SIZES if run.quick else _SIZES
        return {str(size): measure(size) for size in sizes}
    if part == "ingest":
        ingest = importlib.import_module("eval.bench.ingest")
        return dict(ingest.measure(run.data, **(_QUICK_INGEST if run.quick else {})))
    if part == "peers":
        return _peers(run)
    return dict(importlib.import_module(f"eval.bench.{part}").measure(run))


def _peers(run: Run) -> dict[str, Any]:
    """What the peers' own command writes."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "peers.json"
        command = [sys.executable, "-m", "eval.bench.peers", "--json", str(written)]
        command += ["--data", str(run.data)] if run.data else []
        command += ["--questions", str(run.questions)] if run.questions else []
        command += ["--abstracts", str(_QUICK_ABSTRACTS)] if run.quick else []
        if subprocess.run(command, check=False).returncode or not written.is_file():
            raise RagError("they could not be measured: see above")
        found: dict[str, Any] = json.loads(written.read_text("utf-8"))
        return found
