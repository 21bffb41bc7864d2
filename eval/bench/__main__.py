"""Measure indexing, starting up and answering on this machine, as ratios in one run.

    make bench                                    over the sample corpus
    python -m eval.bench --data DIR               indexing over SciFact abstracts in DIR instead

Answers are timed in a process of their own, because loading is part of what a user waits for.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.collection import Collection
from rag.convert import packaged_encoder
from rag.hardware import cpu_features, pick_runtime
from rag.read import find_files, read_files
from rag.records import Document
from rag.settings import Settings, load_settings

_ROOT = Path(__file__).resolve().parents[2]
_OUT = Path(__file__).with_name("results.json")
_QUESTIONS = (
    "When was the Budapest Memorandum signed?",
    "Who represented the United Kingdom in Budapest?",
    "How many staff work for NSATU?",
    "Which countries were invited to join NATO at Bucharest?",
    "What is the capital of Australia?",
)


def main(
    data: Annotated[Path | None, typer.Option(help="A folder with scifact/corpus.jsonl.")] = None,
    documents: Annotated[int, typer.Option(help="How many abstracts to index.")] = 1000,
    rounds: Annotated[int, typer.Option(help="How often each question is asked.")] = 1,
) -> None:
    """Print every measurement and write them to eval/bench/results.json."""
    settings = load_settings()
    results: dict[str, Any] = {
        "processor": sorted(cpu_features()),
        "runtime": pick_runtime(settings.runtime),
        "model": settings.model,
    }
    parts: dict[str, Callable[[], dict[str, float]]] = {
        "indexing": lambda: _indexing(settings, data, documents),
        "cold_start": _cold_start,
        "warm": lambda: _warm(settings, rounds),
    }
    for name, part in parts.items():
        results[name] = part()
        typer.echo(f"{name}: {json.dumps(results[name])}")
    _OUT.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    typer.echo(f"written to {_OUT}")


def _texts(data: Path | None, limit: int) -> list[Document]:
    if data is not None:
        lines = (data / "scifact" / "corpus.jsonl").read_text("utf-8").split("\n")[:limit]
        rows = [json.loads(line) for line in lines if line]
        return [Document(row["_id"], row["text"], row["title"]) for row in rows]
    files = find_files(_ROOT / "seeds" / "documents").files
    read = [result for _, _, result in read_files(files) if isinstance(result, Document)]
    return read[:limit]


def _indexing(settings: Settings, data: Path | None, limit: int) -> dict[str, float]:
    """Documents a second into a searchable collection, beside a plain encode of the same texts."""
    from sentence_transformers import SentenceTransformer

    documents = _texts(data, limit)
    plain = SentenceTransformer(str(packaged_encoder("minilm")), device="cpu")
    plain.encode(["warm up"])
    started = time.perf_counter()
    plain.encode([f"{one.title}. {one.text}" for one in documents], show_progress_bar=False)
    encode_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        changed = settings.model_copy(update={"indexes": Path(folder)})
        with Collection.open("bench", changed, create=True) as collection:
            collection.embedder.embed(["warm up"])
            started = time.perf_counter()
            report = collection.put(documents, "bench")
            index_s = time.perf_counter() - started
    return {
        "documents": len(documents),
        "passages": report.chunks,
        "plain_encode_per_s": round(len(documents) / encode_s, 2),
        "index_per_s": round(len(documents) / index_s, 2),
        "ratio": round(encode_s / index_s, 3),
    }


def _cold_start() -> dict[str, float]:
    """Seconds from starting the process to the first token, and its peak memory."""
    code = (
        "import time; t = time.perf_counter()\n"
        "from rag.assistant import Assistant, Token\n"
        "from rag.collection import Collection\n"
        "from rag.settings import load_settings\n"
        "s = load_settings(); c = Collection.open('seeds', s)\n"
        f"for e in Assistant(c, s).stream({_QUESTIONS[0]!r}):\n"
        "    if isinstance(e, Token): print(time.perf_counter() - t); break\n"
        "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)\n"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    whole = time.perf_counter() - started
    first, memory = (float(line) for line in done.stdout.split())
    return {
        "process_to_first_token_s": round(first, 2),
        "process_s": round(whole, 2),
        "peak_memory_gb": round(memory, 2),
    }


def _warm(settings: Settings, rounds: int) -> dict[str, float]:
    """Medians over questions in one process, after the first."""
    from rag.assistant import Assistant

    with Collection.open("seeds", settings) as collection:
        assistant = Assistant(collection, settings)
        assistant.ask(_QUESTIONS[0], style="short")
        answers = [assistant.ask(one) for _ in range(rounds) for one in _QUESTIONS]
    written = [a for a in answers if a.timings.first_token_s is not None]
    first = [a.timings.first_token_s or 0.0 for a in written]
    speeds = [
        (a.timings.generated_tokens - 1) / (a.timings.total_s - (a.timings.first_token_s or 0.0))
        for a in written
        if a.timings.generated_tokens > 1
    ]
    return {
        "n": len(answers),
        "first_token_s": round(statistics.median(first), 2),
        "total_s": round(statistics.median(a.timings.total_s for a in written), 2),
        "decode_per_s": round(statistics.median(speeds), 1),
        "prompt_tokens": statistics.median(a.timings.prompt_tokens for a in written),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


if __name__ == "__main__":
    typer.run(main)
