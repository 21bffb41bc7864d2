"""A model server for the tests: real HTTP over loopback, which does exactly what it is told to.

It is written on bare sockets, because what servers get wrong no HTTP library lets one do. As a script
(`python modelserver.py PORT PAUSE`) it is a process of its own that can be killed, and says `PHRASE`
to a question's short form, `SENTENCE` to every other.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

PHRASE = "5 December 1994"
SENTENCE = "The Budapest Memorandum was signed on 5 December 1994."

Doing = Callable[["Wire"], None]


class Wire:
    """One request, and the connection on which it is answered."""

    def __init__(self, connection: socket.socket, path: str, headers: str, body: Any) -> None:
        self.connection, self.path, self.headers, self.body = connection, path, headers, body
        self.open = True

    def send(self, data: bytes | str) -> None:
        self.connection.sendall(data.encode() if isinstance(data, str) else data)

    def head(self, status: str = "200 OK", more: str = "Transfer-Encoding: chunked") -> None:
        kind = "" if "Content-Type" in more else "Content-Type: text/event-stream\r\n"
        self.send(f"HTTP/1.1 {status}\r\n{kind}{more}\r\n\r\n")

    def chunk(self, data: bytes | str) -> None:
        data = data.encode() if isinstance(data, str) else data
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.send(b"0\r\n\r\n")

    def cut(self) -> None:
        """Break the connection, as a killed process does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.open = False
        self.connection.close()

    def left(self, seconds: float) -> bool:
        """Whether the client closes the connection within that time."""
        self.connection.settimeout(seconds)
        try:
            return self.connection.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        finally:
            self.connection.settimeout(None)


def delta(content: Any = None, **more: Any) -> str:
    """One event of a stream; `more` are fields of its choice."""
    choice = {"index": 0, "delta": {"content": content}} | more
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


STOP = delta("", finish_reason="stop")
DONE = "data: [DONE]\n\n"


def streams(*parts: bytes | str) -> Doing:
    """A 200 whose body arrives in just these chunks."""

    def do(wire: Wire) -> None:
        wire.head()
        for part in parts:
            wire.chunk(part)
        wire.end()

    return do


def cuts(*parts: bytes | str) -> Doing:
    """The same, and then the connection breaks."""

    def do(wire: Wire) -> None:
        wire.head()
        for part in parts:
            wire.chunk(part)
        time.sleep(0.02)  # else the system throws away what was sent
        wire.cut()

    return do


def answers(status: str, body: bytes | str, *headers: str) -> Doing:
    """A whole body."""
    data = body.encode() if isinstance(body, str) else body
    kind = () if any(one.startswith("Content-Type") for one in headers) else ("Content-Type: x/y",)

    def do(wire: Wire) -> None:
        wire.head(status, "\r\n".join([*headers, *kind, f"Content-Length: {len(data)}"]))
        wire.send(data)

    return do


def says(text: str, pause: float = 0.0) -> Doing:
    """A well-behaved stream of words."""

    def do(wire: Wire) -> None:
        wire.head()
        wire.chunk(delta(None, delta={"role": "assistant", "content": None}))
        words = re.findall(r"\s*\S+", text)
        for word in words:
            time.sleep(pause)
            wire.chunk(delta(word, logprobs={"content": [{"token": word, "logprob": -0.1}]}))
        wire.chunk(STOP)
        usage = {"prompt_tokens": 7, "completion_tokens": len(words)}
        wire.chunk(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n{DONE}")
        wire.end()

    return do


def asked(pause: float = 0.0) -> Doing:
    """What a good model says about the memorandum."""

    def do(wire: Wire) -> None:
        short = "shortest exact phrase" in wire.body["messages"][-1]["content"]
        says(PHRASE if short else SENTENCE, pause)(wire)

    return do


class ModelServer:
    """Does each of `script` in turn, then `then` for ever, and lists `models`; in a thread of its own.

    `bodies` and `headers` are of the requests for completions; `connections` counts those that were
    opened, `most` is how many requests were under way at once.
    """

    def __init__(
        self,
        *script: Doing,
        then: Doing | None = None,
        models: Iterable[str] = ("tiny",),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.script = list(script)
        self.then = then or asked()
        self.models = list(models)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.connections = self.most = self._now = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> ModelServer:
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def serve(self) -> None:
        """Until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        # A client that leaves, or a handshake that it refuses, ends the thread.
        with contextlib.suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self.connections += 1
            wire = _read(connection)
            while wire:
                self._answer(wire)
                wire = _read(connection) if wire.open else None

    def _answer(self, wire: Wire) -> None:
        if wire.path.endswith("/models"):
            rows = [{"id": name, "object": "model"} for name in self.models]
            return answers("200 OK", json.dumps({"object": "list", "data": rows}))(wire)
        if not wire.path.endswith("/v1/chat/completions"):
            return answers("404 Not Found", '{"error": "no such path"}')(wire)
        with self._lock:
            self.bodies.append(wire.body)
            self.headers.append(wire.headers)
            doing = self.script.pop(0) if self.script else self.then
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            doing(wire)
        finally:
            with self._lock:
                self._now -= 1


def _read(connection: socket.socket) -> Wire | None:
    """The next request; None where the client has left."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    length = re.search(r"(?i)content-length: (\d+)", text)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return Wire(connection, text.split()[1], text, json.loads(body) if body else None)


if __name__ == "__main__":
    server = ModelServer(port=int(sys.argv[1]), then=asked(float(sys.argv[2])))
    print("ready", flush=True)
    server.serve()
