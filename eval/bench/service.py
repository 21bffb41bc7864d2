"""What the service itself costs while many people use it: `python -m eval.bench.service`.

200 clients with a key each behave as people do for five minutes: they ask, wait, read for a while
(exponentially distributed, 20 s in the mean), and ask again; now and then they search or list. They run
in this process, the service in another; both share the machine. The model is scripted
(`eval.bench.scripted`), everything else is real, the embedder included.

The service's own overhead of an answer is what the client waited, from the request's first byte to the
response's last, without the time in line and without the time that the model took: both are in the
response's header Server-Timing, and the model's is measured around its generator alone. So the overhead
holds the network, HTTP, access, storing, retrieval, proving, and waiting for the processor.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from eval.bench.figures import percentile
from eval.bench.scripted import questions
from rag.errors import RagError

__all__ = ["Measured", "measure"]

_READY_S = 120
_SAMPLE_S = 5.0
_BESIDE = 0.15  # of what people do is not asking


@dataclass(slots=True)
class Measured:
    """What the clients saw. Seconds; memory in megabytes, a figure every five seconds."""

    overhead: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)
    queue: list[float] = field(default_factory=list)
    model: list[float] = field(default_factory=list)
    job: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)
    streams: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def report(self) -> dict[str, Any]:
        """Percentiles and counts."""
        found: dict[str, Any] = {
            "seconds": round(self.seconds, 1),
            "answers": len(self.answer) + self.streams,
            "answers_per_s": round((len(self.answer) + self.streams) / self.seconds, 2),
            "requests": sum(self.statuses.values()),
            "statuses": dict(self.statuses),
        }
        for name in ("overhead", "answer", "queue", "model", "job", "other"):
            values = sorted(getattr(self, name))
            found[f"{name}_ms"] = {
                f"p{share}": round(1000 * percentile(values, share), 1) for share in (50, 95, 99)
            } | {"most": round(1000 * values[-1], 1)}
        third = max(1, len(self.memory) // 3)
        found["memory_mb"] = {
            "first third": round(sum(self.memory[:third]) / third, 1),
            "last third": round(sum(self.memory[-third:]) / third, 1),
            "most": round(max(self.memory), 1),
        }
        return found


def measure(clients: int, seconds: float, think: float, model_s: float) -> Measured:
    """Start the service, let the clients use it, and end it.

    Raises:
        RagError: it does not begin to serve.
    """
    with tempfile.TemporaryDirectory(prefix="footnote-bench-") as folder:
        port = _free_port()
        words = [sys.executable, "-m", "eval.bench.scripted", folder, str(port), str(model_s)]
        with subprocess.Popen(words) as running:
            try:
                _await(f"http://127.0.0.1:{port}", running)
                keys = json.loads((Path(folder) / "keys.json").read_text())
                found = Measured()
                crowd = _crowd(f"http://127.0.0.1:{port}", keys, clients, seconds, think, found)
                asyncio.run(crowd)
            finally:
                running.terminate()
        if running.returncode:
            raise RagError(f"the service ended with status {running.returncode}")
        return found


async def _crowd(
    address: str, keys: list[str], clients: int, seconds: float, think: float, found: Measured
) -> None:
    began = time.perf_counter()
    until = began + seconds
    people = [
        _person(address, keys[number % len(keys)], number, until, think, found)
        for number in range(clients)
    ]
    await asyncio.gather(_memory(address, keys[0], until, found), *people)
    found.seconds = time.perf_counter() - began


async def _person(
    address: str, key: str, number: int, until: float, think: float, found: Measured
) -> None:
    """Ask, read, ask again."""
    dice, known = random.Random(number), list(questions())
    headers = {"authorization": f"Bearer {key}"}
    limits = httpx.Timeout(60.0)
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=limits) as http:
        await asyncio.sleep(dice.uniform(0, min(think, until - time.perf_counter())))
        while time.perf_counter() < until:
            try:
                await _act(http, dice, dice.choice(known), found)
            except httpx.HTTPError as error:
                found.statuses[type(error).__name__] += 1
            await asyncio.sleep(dice.expovariate(1 / think) if think else 0)


async def _act(http: httpx.AsyncClient, dice: random.Random, asked: str, found: Measured) -> None:
    kind, began = dice.random(), time.perf_counter()
    if kind < _BESIDE / 2:
        answer = await http.get("/api/v1/collections/seeds/documents")
    elif kind < _BESIDE:
        answer = await http.post("/api/v1/search", json={"question": asked})
    else:
        stream = kind < 2 * _BESIDE
        answer = await http.post("/api/v1/ask", json={"question": asked, "stream": stream})
        took = time.perf_counter() - began
        if answer.status_code == 200:
            if stream:
                found.streams += "event: answer\n" in answer.text
            else:
                _note(found, took, answer.headers["server-timing"])
        found.statuses[str(answer.status_code)] += 1
        return
    found.other.append(time.perf_counter() - began)
    found.statuses[str(answer.status_code)] += 1


def _note(found: Measured, took: float, timing: str) -> None:
    parts = {name: float(value) / 1000 for name, value in re.findall(r"(\w+);dur=([\d.]+)", timing)}
    found.answer.append(took)
    found.queue.append(parts["queue"])
    found.model.append(parts["model"])
    found.job.append(parts["job"])
    found.overhead.append(took - parts["queue"] - parts["model"])


async def _memory(address: str, key: str, until: float, found: Measured) -> None:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as http:
        while time.perf_counter() < until:
            text = (await http.get("/metrics")).text
            value = re.search(r"^process_resident_memory_bytes (\S+)", text, re.M)
            if value:
                found.memory.append(float(value[1]) / 1e6)
            await asyncio.sleep(_SAMPLE_S)


def _free_port() -> int:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _await(address: str, running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and running.poll() is None:
        try:
            if httpx.get(f"{address}/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RagError("the service did not begin to serve")


def main(
    clients: Annotated[int, typer.Option(min=1, max=200)] = 200,
    seconds: Annotated[float, typer.Option(min=5, help="How long they go on.")] = 300,
    think: Annotated[float, typer.Option(min=0, help="Mean seconds between questions.")] = 20,
    model_s: Annotated[float, typer.Option(min=0, help="What the model takes an answer.")] = 0.4,
) -> None:
    """Print what was measured as JSON."""
    found = measure(clients, seconds, think, model_s)
    given = {"clients": clients, "think_s": think, "model_s": model_s}
    typer.echo(json.dumps(given | found.report(), indent=1))


if __name__ == "__main__":
    typer.run(main)
