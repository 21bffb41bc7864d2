"""The server and the command: loopback only, headers on everything, clear errors before loading."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.errors import CollectionError, SettingsError
from ui.app import STARTERS, build
from ui.cli import chat
from ui.desk import Desk
from ui.server import CONTENT_SECURITY_POLICY, Guard, bind, is_loopback, mount


def get(app: Any, path: str = "/", host: str = "127.0.0.1:7860") -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers={"host": host})

    return asyncio.run(call())


async def plain(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7860", "localhost:1", "localhost", "[::1]:7860", "127.1.2.3"]
)
def test_this_machines_names_are_served_with_the_policy(host: str) -> None:
    response = get(Guard(plain), host=host)
    assert response.status_code == 200
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "[::2]:1", "10.0.0.1"],
)
def test_other_names_are_refused(host: str) -> None:
    response = get(Guard(plain), host=host)
    assert response.status_code == 403
    assert response.text != "hello"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::", ""])
def test_binding_wider_is_refused_in_one_line(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(SettingsError, match="no users yet") as raised:
        bind(host, 7860)
    assert "\n" not in str(raised.value)


def test_a_taken_port_gives_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listener, found = bind("127.0.0.1", port)
        with listener:
            assert port < found < port + 50


class Nothing:
    """An assistant and a collection that are never asked."""

    def stream(self, question: str, *, history: Any = ()) -> Any:
        raise NotImplementedError

    def document(self, document_id: str) -> Any:
        raise NotImplementedError


def test_the_page_says_where_questions_go() -> None:
    desk = Desk(Nothing(), Nothing())
    assert "Nothing leaves this computer" in get(mount(build(desk, "seeds", 19))).text
    elsewhere = get(mount(build(desk, "seeds", 19, "http://10.0.0.7:8000/v1"))).text
    assert "Nothing leaves this computer" not in elsewhere
    assert "go to the model server at http" in elsewhere


def test_the_page_starts_without_analytics_or_api_documentation() -> None:
    blocks = build(Desk(Nothing(), Nothing()), "seeds", 19)
    assert blocks.analytics_enabled is False
    assert all(one.api_visibility == "private" for one in blocks.fns.values())
    app = mount(blocks)
    assert get(app, "/docs").status_code == 404
    assert get(app, "/openapi.json").status_code == 404
    page = get(app)
    assert page.status_code == 200
    assert STARTERS["seeds"][0] in page.text
    assert get(app, "/favicon.ico").headers["content-type"].startswith("image/svg")


def test_chat_names_the_remedy_for_a_missing_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(tmp_path))
    with pytest.raises(CollectionError, match="footnote index FOLDER -c nowhere"):
        chat(port=0, host="127.0.0.1", browser=False, collection="nowhere")


def test_the_command_fails_in_one_line(tmp_path: Path) -> None:
    program = "from rag.cli import main; main()"
    command = [sys.executable, "-c", program, "chat", "--no-browser", "--host", "0.0.0.0"]
    done = subprocess.run(
        command,
        env={"PATH": "", "FOOTNOTE_INDEXES": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "no users yet" in done.stderr
