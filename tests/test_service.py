"""The service as a process: how it starts, what it loads, how it ends, and what a kill leaves.

FOOTNOTE_KILL_N sets how many times it is killed in mid-work (5 by default).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes import HashEmbedder
from serving import PASSWORD, QUICK, TEXT, WHAT

from rag.collection import Collection
from rag.errors import SettingsError
from rag.records import Document
from rag.settings import Settings
from ui.cli import serve
from ui.people import People

HERE = Path(__file__).parent
KILLS = int(os.environ.get("FOOTNOTE_KILL_N", "5"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def indexes(tmp_path: Path) -> Path:
    settings = Settings(collection="papers", indexes=tmp_path / "indexes")
    embedder = HashEmbedder()
    with Collection.open("papers", settings, create=True, embedder=embedder) as made:
        made.put([Document("toll.txt", TEXT)], "given")
    return settings.indexes


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def process(indexes: Path, port: int, seconds: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    """A service that is ready."""
    words = [sys.executable, str(HERE / "service_driver.py"), str(indexes), str(port), str(seconds)]
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    started = subprocess.Popen(
        words,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 30
        while True:
            assert started.poll() is None, started.communicate()
            assert time.monotonic() < until, "it did not begin to serve"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                    break
            time.sleep(0.02)
        yield started
    finally:
        started.kill()
        started.communicate(timeout=10)


def test_a_signal_ends_it_cleanly_and_tells_whoever_waits(indexes: Path) -> None:
    port = free_port()
    with process(indexes, port, seconds=9) as running:
        body = {"question": WHAT, "stream": True}
        address = f"http://127.0.0.1:{port}"
        with httpx.stream("POST", f"{address}/api/v1/ask", json=body, timeout=30) as response:
            pieces = response.iter_text()
            seen = next(pieces)
            while "token" not in seen:
                seen += next(pieces)
            began = time.monotonic()
            running.send_signal(signal.SIGTERM)
            seen += "".join(pieces)
        last = seen.strip().split("\n\n")[-1]
        assert last.startswith("event: error\n"), last
        assert json.loads(last.split("data: ")[1])["error"]["code"] == "stopping"
        out, err = running.communicate(timeout=10)
        assert time.monotonic() - began < 5
        assert running.returncode == 0, err
        assert err == "", "no traceback, no noise"
        assert f"at {address}" in out


def test_without_the_chat_gradio_is_never_loaded(indexes: Path) -> None:
    script = (
        "import sys, threading, time, httpx, service_driver, os, signal\n"
        "def look():\n"
        "    while True:\n"
        "        try:\n"
        "            assert httpx.get(f'http://127.0.0.1:{sys.argv[2]}/ready').status_code == 200\n"
        "            break\n"
        "        except (httpx.TransportError, AssertionError):\n"
        "            time.sleep(0.05)\n"
        "    print('gradio' in sys.modules, 'torch' in sys.modules)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "threading.Thread(target=look, daemon=True).start()\n"
        "service_driver.main()\n"
    )
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    done = subprocess.run(
        [sys.executable, "-c", script, str(indexes), str(free_port())],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False False", done


def test_it_is_not_opened_to_others_without_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="the service has no users"):
        serve(host="0.0.0.0", port=0)


# Killed


@dataclass
class Work:
    """What clients did until the service was killed, and what they were told."""

    address: str
    dice: random.Random
    ended: threading.Event = field(default_factory=threading.Event)
    taken: dict[str, bytes] = field(default_factory=dict)
    tried: dict[str, list[bytes]] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    errors: int = 0
    wrong: list[str] = field(default_factory=list)

    def upload(self, number: int) -> None:
        """Send files, new ones and other versions of old ones."""
        with httpx.Client(base_url=self.address, timeout=20) as http:
            for step in range(10_000):
                if self.ended.is_set():
                    return
                name = f"f{number}n{self.dice.randrange(6)}.txt"
                text = f"Harbour {name} has berth {step} of trial {self.address}.\n".encode()
                self.tried.setdefault(name, []).append(text)
                path = f"/api/v1/collections/papers/documents?name={name}"
                answer = self._sent(http, "POST", path, content=text)
                if answer is None:
                    return
                if answer.status_code == 202:
                    self.taken[name] = text
                    self.tried[name] = []
                elif answer.status_code != 409:
                    self.wrong.append(answer.text)

    def ask(self, number: int) -> None:
        """Ask, every other time as a stream."""
        with httpx.Client(base_url=self.address, timeout=20) as http:
            for step in range(10_000):
                if self.ended.is_set():
                    return
                self.asked += 1
                body = {"question": f"{WHAT[:-1]} {number} {step}?", "stream": step % 2 == 0}
                answer = self._sent(http, "POST", "/api/v1/ask", json=body)
                if answer is None:
                    return
                if answer.status_code != 200:
                    self.wrong.append(answer.text)
                elif body["stream"]:
                    last = answer.text.strip().split("\n\n")[-1]
                    if not last.startswith("event: answer\ndata: "):
                        self.wrong.append(answer.text)
                        continue
                    self._keep(json.loads(last.split("data: ", 1)[1]))
                else:
                    self._keep(answer.json())

    def _keep(self, answer: dict[str, Any]) -> None:
        self.answered[answer["id"]] = answer["text"]

    def _sent(self, http: httpx.Client, *what: Any, **more: Any) -> httpx.Response | None:
        try:
            return http.request(*what, **more)
        except httpx.TransportError:  # what a client is told of a server that is gone
            self.errors += 1
            return None


def checked(address: str, work: Work, known: dict[str, bytes]) -> int:
    """Nothing that a client was told of is lost, doubled or changed; how many documents there are."""
    with httpx.Client(base_url=address, timeout=30) as http:
        place = "/api/v1/collections/papers"
        until = time.monotonic() + 30
        while True:
            tasks = http.get(f"{place}/tasks").json()
            listed = http.get(f"{place}/documents").json()
            busy = any(one["state"] in ("waiting", "running") for one in tasks)
            if not busy and all(one["status"] == "ready" for one in listed["documents"]):
                break
            assert time.monotonic() < until, (tasks, listed["documents"])
            time.sleep(0.02)
        names = [one["id"] for one in listed["documents"]]
        assert len(names) == len(set(names)), "doubled"
        for name in {*known, *work.tried} - {"toll.txt"}:
            allowed = [known[name]] if name in known else []
            allowed += work.tried.get(name, [])
            if name not in names:
                assert name not in known, f"{name} was taken and is lost"
                continue
            found = http.get(f"{place}/text", params={"document": name}).json()["text"].encode()
            assert found in allowed, f"{name} is another's"
            known[name] = found
        assert set(names) == {"toll.txt", *known}
        for id, text in work.answered.items():
            turn = http.get(f"/api/v1/answers/{id}").json()
            assert (turn["status"], turn["answer"]["text"]) == ("answered", text)
        kept = http.get("/api/v1/conversations?limit=1000").json()
        states: list[str] = []
        for one in kept[:50]:
            whole = http.get(f"/api/v1/conversations/{one['id']}").json()
            states += [turn["status"] for turn in whole["history"]]
        assert set(states) <= {"answered", "stopped"}, "none is left as if it were on its way"
        return len(names)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_in_mid_work_it_loses_and_doubles_nothing(indexes: Path) -> None:
    dice, known = random.Random(7), {}
    errors = asked = answered = 0
    restarts: list[float] = []
    work: Work | None = None
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    for _ in range(KILLS + 1):
        began = time.monotonic()
        with process(indexes, port, seconds=0.05) as running:
            restarts.append(time.monotonic() - began)
            if work is not None:
                checked(address, work, known)
            if len(restarts) > KILLS:
                break
            work = Work(address, dice)
            threads = [threading.Thread(target=work.upload, args=(n,)) for n in range(2)]
            threads += [threading.Thread(target=work.ask, args=(n,)) for n in range(4)]
            for one in threads:
                one.start()
            time.sleep(dice.uniform(0.05, 1.2))
            running.kill()
            running.wait(10)
            work.ended.set()
            for one in threads:
                one.join(30)
            assert work.wrong == []
            known.update(work.taken)
            errors, asked = errors + work.errors, asked + work.asked
            answered += len(work.answered)
    print(
        f"\n{KILLS} kills: {asked} asked, {answered} answered, {errors} clients told, "
        f"{len(known)} documents, nothing lost; ready after {max(restarts):.1f} s at most"
    )
    assert errors >= KILLS, "the kills missed the work: the test proves nothing"


@pytest.mark.slow
def test_a_key_survives_a_restart(indexes: Path) -> None:
    from ui.database import Database
    from ui.keys import Keys

    people = People(indexes / ".chat" / "people.json", hasher=QUICK)
    people.add("anna", PASSWORD, "admin")
    database = Database(indexes / ".chat" / "chat.db")
    headers = {"authorization": f"Bearer {Keys(database, people).add('reporting', 'anna')}"}
    database.close()
    port = free_port()
    for _ in range(2):
        with process(indexes, port):
            found = httpx.get(f"http://127.0.0.1:{port}/api/v1/me", headers=headers)
            assert found.json()["name"] == "anna"
