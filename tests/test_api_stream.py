"""Answers as they come about: events in order, many at once, clients that leave, the service's end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import SAID, WHAT, Served, Several, serving
from talker import Fixed


class Held(Several):
    """Says its first words and waits until it `may` go on; counts who is writing, and who was cut."""

    def __init__(self) -> None:
        super().__init__("nine crowns", SAID)
        self.may = threading.Event()
        self.lock = threading.Lock()
        self.writing = self.most = self.cut = 0

    def stream(self, messages: Any, max_tokens: int, into: Any, **named: Any) -> Iterator[str]:
        pieces = super().stream(messages, max_tokens, into, **named)
        if named.get("withhold"):
            yield from pieces
            return
        with self.lock:
            self.writing += 1
            self.most = max(self.most, self.writing)
        try:
            yield next(pieces)
            while not self.may.wait(0.02):
                yield ""
            yield from pieces
        except GeneratorExit:
            self.cut += 1
            raise
        finally:
            with self.lock:
                self.writing -= 1


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.005)


def events(text: str) -> list[tuple[str, Any]]:
    """Names and contents of events."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            assert [one.split(": ")[0] for one in lines] == ["event", "data"], block
            found.append((lines[0][7:], json.loads(lines[1][6:])))
    return found


@contextmanager
def asking(served: Served, stream: bool = True, question: str = WHAT) -> Iterator[httpx.Response]:
    """A question whose response is read by the block; leaving the block cuts it."""
    body = {"question": question, "stream": stream}
    with served.client() as http, http.stream("POST", "/api/v1/ask", json=body) as response:
        yield response


def test_events_come_in_order_and_end_with_the_answer(tmp_path: Path) -> None:
    with serving(tmp_path) as made, made.client() as http:
        body = {"question": WHAT, "stream": True}
        answer = http.post("/api/v1/ask", json=body)
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events(answer.text)
        stages = [one["stage"] for name, one in told if name == "stage"]
        order = ("queued", "loading", "searching", "reading", "writing", "checking")
        assert stages == sorted(stages, key=order.index)
        names = [name for name, _ in told]
        assert set(names) == {"stage", "token", "answer"}
        assert names.index("answer") == len(names) - 1
        draft = "".join(one["text"] for name, one in told if name == "token")
        assert draft == SAID
        assert told[-1][1]["text"].startswith("The toll") and told[-1][1]["citations"]
        kept = http.get(f"/api/v1/answers/{told[-1][1]['id']}").json()
        assert kept["answer"] == told[-1][1]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_model(tmp_path: Path, stream: bool) -> None:
    with serving(tmp_path, model=Held()) as made:
        model, history = made.model, made.services.history
        if stream:
            with asking(made) as response:
                until(lambda: model.writing)
                next(response.iter_bytes())
        else:
            with made.client() as http, pytest.raises(httpx.ReadTimeout):
                http.post("/api/v1/ask", json={"question": WHAT}, timeout=1.0)
        until(lambda: model.cut == 1 and not model.writing)
        (conversation,) = history.conversations("owner")
        (turn,) = history.turns("owner", conversation.id)
        assert (turn.status, turn.note) == ("stopped", "The ")
        assert made.services.desk.writing() == 0


def test_who_waits_and_leaves_is_never_answered(tmp_path: Path) -> None:
    class One(Held):
        concurrent = False

    with serving(tmp_path, model=One()) as made, asking(made):
        until(lambda: made.model.writing)
        with asking(made) as second:
            until(lambda: made.services.desk.waiting() == 1)
            assert b'"queued", "detail": "", "before": 1' in next(second.iter_bytes())
        until(lambda: made.services.desk.waiting() == 0)
        made.model.may.set()


@pytest.mark.parametrize(("setting", "most"), [(0, 8), (3, 3), (1, 1)])
def test_as_many_answers_are_written_at_once_as_the_settings_say(
    tmp_path: Path, setting: int, most: int
) -> None:
    held = Held()
    with serving(tmp_path, model=held, answers_at_once=setting, questions_waiting=20) as made:
        found: list[Any] = []

        def ask() -> None:
            with made.client() as http:
                found.append(http.post("/api/v1/ask", json={"question": WHAT}).json()["text"])

        threads = [threading.Thread(target=ask) for _ in range(10)]
        for one in threads:
            one.start()
        until(lambda: held.writing == most)
        until(lambda: made.services.desk.waiting() == 10 - most)
        held.may.set()
        for one in threads:
            one.join(20)
        assert held.most == most
        assert found == ["The toll of the old bridge is nine crowns [1]."] * 10


def test_a_model_for_one_is_used_by_one(tmp_path: Path) -> None:
    with serving(tmp_path, model=Fixed("nine crowns", SAID), answers_at_once=5) as made:
        until(lambda: made.services.desk.ready)
        assert len(made.services.desk._threads) == 1


def test_the_end_of_the_service_is_told_to_everybody(tmp_path: Path) -> None:
    class One(Held):
        concurrent = False

    with serving(tmp_path, model=One(), questions_waiting=5) as made:
        texts: dict[str, httpx.Response] = {}

        def ask(name: str, stream: bool) -> None:
            with made.client() as http:
                body = {"question": WHAT, "stream": stream}
                texts[name] = http.post("/api/v1/ask", json=body)

        kinds = {"written": True, "waits": True, "json": False}
        threads = []
        for name, stream in kinds.items():
            threads.append(threading.Thread(target=ask, args=(name, stream)))
            threads[-1].start()
            count = len(threads)
            until(lambda count=count: len(made.services.desk._jobs) == count)
        until(lambda: made.model.writing)
        began = time.monotonic()
        made.server.should_exit = True
        for one in threads:
            one.join(10)
        assert time.monotonic() - began < 3
        for name in ("written", "waits"):
            last = events(texts[name].text)[-1]
            assert last[0] == "error" and last[1]["error"]["code"] == "stopping", last
        assert texts["json"].status_code == 503
        assert texts["json"].json()["error"]["code"] == "stopping"
        with pytest.raises(httpx.ConnectError):
            httpx.get(made.address, timeout=2)
        history = made.services.history
        states = {
            turn.status
            for one in history.conversations("owner")
            for turn in history.turns("owner", one.id)
        }
        assert states == {"stopped", "asked"}, "those that waited are told of a restart"
