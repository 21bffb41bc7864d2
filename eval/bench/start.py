"""How long a command takes to begin: the help text, and the first token of a first answer.

Each is a process of its own, as a user starts it; the converted model is there already.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from eval.bench.corpus import collection_of, corpora
from eval.bench.part import Run, track
from rag.errors import RagError
from rag.settings import load_settings

__all__ = ["measure"]

_TIMES = 5
_HEAVY = ("torch", "faiss", "transformers", "openvino")
_IMPORT = (
    "import sys, time; t = time.perf_counter(); import rag; "
    "import json; print(json.dumps([time.perf_counter() - t, sorted(sys.modules)]))"
)


def measure(run: Run) -> dict[str, Any]:
    """Seconds; medians of five for what takes moments, of three for a first answer (one if quick)."""
    suite = corpora(Run(questions=run.questions))[0]
    question = next(one.question for one in suite.questions if one.answerable and not one.history)
    help_s = [_timed([*_footnote(), "--help"])[0] for _ in track(range(_TIMES), "footnote --help")]
    imports = [json.loads(_timed([sys.executable, "-c", _IMPORT])[1]) for _ in range(_TIMES)]
    with collection_of(suite, load_settings()) as collection:
        name = collection.name
    rounds = range(1 if run.quick else 3)
    firsts = [_child("whole", name, question) for _ in track(rounds, "a first answer")]
    stages = _child("stages", name, question)
    return {
        "help_s": statistics.median(help_s),
        "help_n": _TIMES,
        "import_s": statistics.median(taken for taken, _ in imports),
        "import_loads": [one for one in _HEAVY if one in imports[0][1]],
        "first_n": len(firsts),
        **{key: statistics.median(one[key] for one in firsts) for key in firsts[0]},
        "stages_s": stages,
    }


def _footnote() -> list[str]:
    """The installed command; the module where it is not beside the interpreter."""
    script = Path(sys.executable).with_name("footnote")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "rag.cli"]


def _child(what: str, name: str, question: str) -> dict[str, float]:
    """What `eval.bench.first` prints in a process of its own; the system's clock spans both."""
    started = str(time.monotonic())
    printed = _timed([sys.executable, "-m", "eval.bench.first", what, started, name, question])[1]
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return found


def _timed(command: list[str]) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise RagError(f"{' '.join(command[:3])} … ended with {done.returncode}: {last}")
    return time.perf_counter() - started, done.stdout
