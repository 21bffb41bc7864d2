"""What one client can't do to the others: slow bodies, large ones, too many questions, no headers."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import TEXT, WHAT, Served, serving

from ui.api import envelope
from ui.connection import Connection

QUICK = {"silence_s": 0.5, "body_s": 1.0, "upload_s": 1.5}
"""So impatient that a test can wait for it."""


def opened(served: Served) -> socket.socket:
    host, port = served.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def begun(served: Served, path: str, length: int) -> socket.socket:
    """A request whose body is still to come."""
    host = served.address.removeprefix("http://")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )
    line = opened(served)
    line.sendall(head.encode())
    return line


def rest(line: socket.socket) -> str:
    """Everything until the other side hangs up."""
    found = b""
    while piece := line.recv(65_536):
        found += piece
    return found.decode()


UPLOAD = "/api/v1/collections/papers/documents?name=a.txt"


@pytest.mark.parametrize("path", ["/api/v1/ask", "/v1/chat/completions", UPLOAD])
def test_a_body_that_stops_coming_ends_its_request(tmp_path: Path, path: str) -> None:
    with serving(tmp_path, patience=QUICK) as made:
        began = time.monotonic()
        with begun(made, path, 1000) as line:
            line.sendall(b'{"question')
            text = rest(line)
        assert time.monotonic() - began < 3
        assert text.startswith("HTTP/1.1 408") and '"code": "timeout"' in text
        assert "connection: close" in text.lower()


def test_a_body_that_drips_ends_its_request_as_well(tmp_path: Path) -> None:
    with serving(tmp_path, patience=QUICK) as made:
        for path, seconds in (("/api/v1/ask", 1.0), (UPLOAD, 1.5)):
            with begun(made, path, 1000) as line:
                began = time.monotonic()
                line.settimeout(0.2)
                text = ""
                while not text and time.monotonic() - began < 5:
                    line.sendall(b" ")
                    try:
                        text = line.recv(65_536).decode()
                    except TimeoutError:
                        continue
                assert text.startswith("HTTP/1.1 408")
                assert seconds - 0.3 < time.monotonic() - began < seconds + 2
        assert not list((made.services.settings.chat_folder / "uploads" / ".parts").iterdir())


def test_a_connection_without_a_request_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "headers_s", 0.5)
    with serving(tmp_path) as made:
        for said in (b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: x\r\nA: b"):
            with opened(made) as line:
                began = time.monotonic()
                line.sendall(said)
                assert rest(line) == ""
                assert time.monotonic() - began < 2
        with made.client() as http:
            for _ in range(3):  # one that is used stays
                assert http.get("/health").status_code == 200
                time.sleep(0.3)


def test_slow_uploads_keep_nobody_from_asking(tmp_path: Path) -> None:
    with serving(tmp_path) as made:
        lines = [begun(made, UPLOAD, 1000) for _ in range(60)]
        try:
            time.sleep(0.3)
            with made.client() as http:
                began = time.monotonic()
                assert http.post("/api/v1/ask", json={"question": WHAT}).status_code == 200
                assert http.post("/api/v1/search", json={"question": WHAT}).status_code == 200
                assert time.monotonic() - began < 5
        finally:
            for line in lines:
                line.close()


def test_an_upload_that_is_cut_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path) as made, made.client() as http:
        for _ in range(5):
            with begun(made, UPLOAD, 1000) as line:
                line.sendall(b"some words")
        for _ in range(100):
            told = http.get("/metrics").text
            if 'route="/api/v1/collections/{collection}/documents",status="499"} 5.0' in told:
                break
            time.sleep(0.05)
        else:
            raise AssertionError(told)
        assert 'status="500"' not in told
        assert http.get("/api/v1/collections/papers/documents").json()["total"] == 1
    assert not list((made.services.settings.chat_folder / "uploads" / ".parts").iterdir())
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


@pytest.mark.parametrize("path", ["/api/v1/ask", "/api/v1/search", "/v1/chat/completions"])
def test_a_body_that_is_too_large_is_not_read(tmp_path: Path, path: str) -> None:
    with serving(tmp_path) as made, made.client() as http:
        large = json.dumps({"question": "x" * 3_000_000})
        assert http.post(path, content=large).status_code == 413

        def pieces() -> Iterator[bytes]:
            for _ in range(40):
                yield b"x" * 100_000

        answer = http.post(path, content=pieces())
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "too_large"


def test_a_client_that_does_not_read_is_left(tmp_path: Path) -> None:
    with serving(tmp_path) as made:
        inner = envelope.Envelope(
            made.app._app.service._app,
            made.app._app.service._metrics,
            made.app._app.service._traces,
            upload_mb=1,
            stalled_s=0.2,
        )
        scope = {
            "type": "http", "method": "GET", "path": "/health", "query_string": b"",
            "headers": [], "http_version": "1.1", "state": {},
        }  # fmt: skip

        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            await asyncio.sleep(60 if message["type"] == "http.response.body" else 0)

        began = time.monotonic()
        asyncio.run(inner(scope, receive, send))
        assert time.monotonic() - began < 5


def test_a_person_has_so_many_questions_in_hand(tmp_path: Path) -> None:
    class Slow:
        name = "slow"
        go = threading.Event()

        def stream(self, messages: Any, most: int, into: Any, **named: Any) -> Iterator[str]:
            assert self.go.wait(20)
            into.text = "nine crowns"
            yield into.text

    people: Any = {"anna": ("admin", []), "otto": ("reader", [])}
    with serving(tmp_path, model=Slow(), people=people, questions_waiting=2) as made:
        answers: list[int] = []

        def ask(name: str) -> None:
            with made.client(name) as http:
                answers.append(http.post("/api/v1/ask", json={"question": WHAT}).status_code)

        threads = [threading.Thread(target=ask, args=(name,)) for name in ("otto", "otto", "anna")]
        for one in threads:
            one.start()
        end = time.monotonic() + 10
        while len(made.services.desk._jobs) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        with made.client("otto") as http:
            for path, body in (
                ("/api/v1/ask", {"question": WHAT}),
                ("/api/v1/ask", {"question": WHAT, "stream": True}),
                (
                    "/v1/chat/completions",
                    {"model": "papers", "messages": [{"role": "user", "content": WHAT}]},
                ),
            ):
                answer = http.post(path, json=body)
                assert answer.status_code == 429, answer.text
                assert answer.headers["retry-after"] == "5"
                assert answer.json()["error"]["code"] == "too_many_questions"
            assert len(http.get("/api/v1/conversations").json()) == 2, "a refusal leaves nothing"
        made.model.go.set()
        for one in threads:
            one.join(20)
        assert answers == [200] * 3


def test_what_is_uploaded_counts_against_its_owner(tmp_path: Path) -> None:
    with serving(tmp_path, uploads_mb=1) as made, made.client() as http:
        path = "/api/v1/collections/papers/documents"
        assert http.post(f"{path}?name=a.txt", content=b"word " * 150_000).status_code == 202
        over = http.post(f"{path}?name=b.txt", content=b"word " * 150_000)
        assert over.status_code == 400 and "delete some first" in over.text
        made.read("papers")
        assert TEXT in http.get("/api/v1/collections/papers/text?document=toll.txt").json()["text"]
