"""Reads files in processes of their own, which may crash, hang or eat memory without harm.

The parent's side of `rag.read.worker`: starts it, asks, waits no longer than the limit, checks
what comes back and starts another when one is lost. Knows nothing of formats.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rag.errors import ReadError
from rag.read.limits import Limits
from rag.records import Document, Mark

__all__ = ["Worker", "read_file", "read_files"]

Outcome = tuple[str, Path, Document | ReadError]

_AHEAD_BYTES = 8_000_000  # of files whose documents wait to be taken

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_MARK_KINDS = ("page", "slide", "sheet", "heading")


def read_file(path: Path, document_id: str, limits: Limits | None = None) -> Document:
    """The document at `path`, read in a process of its own.

    Raises `ReadError` whose message is one line without the file's name.
    """
    worker = Worker(limits or Limits())
    try:
        return worker.read(path, document_id)
    finally:
        worker.close()


def read_files(
    items: Iterable[tuple[str, Path]],
    limits: Limits | None = None,
    workers: int = 1,
    ahead: int = 0,
) -> Generator[Outcome]:
    """Yield `(document_id, path, Document or ReadError)` for each item, in their order.

    `items` are (document_id, path) pairs, as `find_files` gives them. `workers` processes read
    while the caller works, `ahead` files before it (at least two for each process) as long as
    those are small; they end with the iteration.
    """
    chosen = limits or Limits()
    idle: SimpleQueue[Worker] = SimpleQueue()
    everyone = [Worker(chosen) for _ in range(max(workers, 1))]
    for worker in everyone:
        idle.put(worker)

    def read(document_id: str, path: Path) -> Outcome:
        worker = idle.get()
        try:
            return document_id, path, worker.read(path, document_id)
        except ReadError as error:
            return document_id, path, error
        finally:
            idle.put(worker)

    most = max(ahead, 2 * len(everyone))
    waiting: deque[tuple[Future[Outcome], int]] = deque()
    held = 0
    with ThreadPoolExecutor(len(everyone), thread_name_prefix="read") as threads:
        try:
            for document_id, path in items:
                size = _size(path)
                waiting.append((threads.submit(read, document_id, path), size))
                held += size
                while len(waiting) > most or (held > _AHEAD_BYTES and len(waiting) > 1):
                    future, size = waiting.popleft()
                    held -= size
                    yield future.result()
            while waiting:
                yield waiting.popleft()[0].result()
        finally:
            for future, _ in waiting:
                future.cancel()
            for worker in everyone:
                worker.close()  # ends what the threads wait for
    for worker in everyone:
        worker.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # whoever reads it says what is wrong


class _Lost(Exception):
    """The process ended without an answer."""


class Worker:
    """One reading process, started when first needed and again when lost or worn."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def read(self, path: Path, document_id: str) -> Document:
        """The document at `path`; raises `ReadError`."""
        return _document(self._work(path, {}), document_id, self._limits)

    def draw(
        self, path: Path, number: int, text: str, spans: Sequence[tuple[int, int]], width: int
    ) -> dict[str, Any]:
        """What `rag.read.page.draw_page` says of a page, unchecked; raises `ReadError`."""
        draw = {"number": number, "text": text, "spans": spans, "width": width}
        image = self._work(path, {"draw": draw}).get("image")
        if not isinstance(image, dict):
            raise ReadError("made its reader answer nonsense: save it anew")
        return image

    def _work(self, path: Path, what: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request, by a new process if this one is lost; raises `ReadError`."""
        while not self._closed:
            fresh = self._process is None
            try:
                reply = self._ask(path, what)
            except _Lost:
                self._stop()
                # A process that has read other files before may have died of those: once more.
                if fresh:
                    raise ReadError(
                        "makes its reader crash (damaged, or needs more than "
                        f"{self._limits.memory_mb:,} MB): save it anew or split it"
                    ) from None
                continue
            if reply.get("worn"):
                self._stop()
            if "error" in reply:
                raise ReadError(str(reply["error"]))
            return reply
        raise ReadError("was not read: reading was stopped")

    def close(self) -> None:
        """End the process, also in the middle of a file."""
        self._closed = True
        self._stop()

    def _ask(self, path: Path, what: dict[str, Any]) -> dict[str, Any]:
        process = self._process or self._start()
        request = {
            "path": os.fsencode(os.path.abspath(path)).hex(),
            "limits": dataclasses.asdict(self._limits),
            **what,
        }
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._limits.seconds, stop)
        timer.start()
        try:
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            return self._reply(process.stdout)
        except (OSError, ValueError) as error:
            if late.is_set():
                self._stop()
                raise ReadError(
                    f"takes longer than {self._limits.seconds:g} s to read: "
                    "split it into smaller files"
                ) from error
            raise _Lost from error
        finally:
            timer.cancel()

    def _reply(self, pipe: Any) -> dict[str, Any]:
        """The next reply; `ValueError` when it is cut short, too long or no JSON object."""
        size = int(pipe.readline(20))
        if not 0 < size <= 8 * self._limits.max_text_chars + 1_000_000:
            raise ValueError(size)
        reply = json.loads(pipe.read(size))
        if not isinstance(reply, dict):
            raise ValueError(type(reply))
        return reply

    def _start(self) -> subprocess.Popen[bytes]:
        # One thread is enough for a parser, and each more reserves memory against the limit.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rag.read.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_PACKAGE_ROOT,
            env=environment,
        )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        pass  # a request that never left: its process is gone


def _document(reply: dict[str, Any], document_id: str, limits: Limits) -> Document:
    """The document in `reply`, its parts checked: the process that made it read untrusted bytes."""
    try:
        record = reply["document"]
        text, title, date = str(record["text"]), str(record["title"]), record["date"]
        marks = tuple(
            Mark(int(m["start"]), m["kind"], int(m["number"]), str(m["label"]))
            for m in record["marks"]
        )
        starts = [0, *(mark.start for mark in marks), len(text)]
        assert starts == sorted(starts) and all(mark.kind in _MARK_KINDS for mark in marks)
        assert len(text) <= limits.max_text_chars and isinstance(date, str | None)
        return Document(document_id, text, title, date, str(record["media_type"]), marks)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ReadError("made its reader answer nonsense: save it anew") from error
