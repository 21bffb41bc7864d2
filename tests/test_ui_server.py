"""The whole application and its command: who is let in, and errors before anything heavy loads."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fakes import TRUSTING, HashEmbedder, ScriptedGenerator

from rag.collection import Collection
from rag.errors import SettingsError
from rag.records import Document
from rag.settings import Settings
from ui.database import Database
from ui.guard import CONTENT_SECURITY_POLICY
from ui.people import OWNER, People
from ui.server import bind, mount, server
from ui.services import Services, opened
from ui.sessions import COOKIE, Sessions

TEXT = "The toll of the old bridge is nine crowns.\n"
WHAT = "What is the toll of the old bridge?"


class Model(ScriptedGenerator):
    """Answers once it `may`."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.may.set()

    def _reply(self, again: bool) -> Any:
        assert self.may.wait(30)
        return TEXT.strip() if again else "nine crowns"


MODEL = Model()


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    settings = Settings(
        collection="papers",
        indexes=tmp_path_factory.mktemp("indexes"),
        **TRUSTING,
    )
    embedder = HashEmbedder()
    with Collection.open("papers", settings, create=True, embedder=embedder) as made:
        made.put([Document("toll.txt", TEXT, "Tolls")], "given")
    with opened(settings, embedder=embedder, model=MODEL) as found:
        yield found


@pytest.fixture(scope="module")
def app(services: Services) -> Any:
    return mount(services)


def get(app: Any, path: str = "/", host: str = "127.0.0.1:7860", **headers: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path, headers={"host": host, **headers})

    return asyncio.run(call())


def test_the_page_is_framed_guarded_and_names_nothing_outside(app: Any) -> None:
    page = get(app)
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert int(page.headers["content-length"]) == len(page.content)
    top, body = page.text.split("<body", 1)
    assert top.split("<head>", 1)[1].startswith("<title>Footnote</title>")
    assert body.split(">", 1)[1].startswith("<script>fn.start()</script>")
    assert 'property="og:' not in page.text and 'name="twitter:' not in page.text
    assert get(app, "/favicon.ico").headers["content-type"].startswith("image/svg")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1"])
def test_other_names_are_refused_everywhere(app: Any, host: str) -> None:
    for path in ("/", "/me", "/gradio_api/info", "/panel/welcome/papers"):
        assert get(app, path, host).status_code == 403


def test_what_gradio_offers_besides_the_page_is_not_there(app: Any) -> None:
    for path in (
        "/docs",
        "/openapi.json",
        "/redoc",
        "/gradio_api/docs",
        "/gradio_api/file=/etc/hosts",
    ):
        assert get(app, path).status_code in (403, 404), path


def test_our_routes_come_before_gradios(app: Any) -> None:
    assert get(app, "/me").json()["name"] == "owner"
    assert "fn-suggestion" not in get(app, "/panel/welcome/papers").text
    assert get(app, "/health").json()["boot"]


def test_with_accounts_a_session_is_needed_but_no_host(services: Services, tmp_path: Path) -> None:
    people = People(tmp_path / "people.json", hasher=PasswordHasher(1, 8, 1))
    people.add("anna", "correct horse", "admin")
    sessions = Sessions(Database(None), people)
    app = mount(replace(services, people=people, sessions=sessions), loopback=False)
    assert get(app, "/me").status_code == 401
    page = get(app, "/", accept="text/html")
    assert (page.status_code, page.headers["location"]) == (303, "/login")
    cookie = f"{COOKIE}={sessions.begin('anna')}"
    assert get(app, "/me", "far.example", cookie=cookie).json()["name"] == "anna"
    assert "fn.start()" in get(app, host="far.example", cookie=cookie).text


def test_a_question_goes_through_the_page_to_its_answer(services: Services) -> None:
    from ui.app import build

    events = {one.fn.__name__: one for one in build(services).fns.values() if one.fn}
    assert all(one.api_visibility == "private" for one in events.values())
    request = SimpleNamespace(scope={"state": {"person": OWNER}}, session_hash="s1")
    sent = json.dumps({"collection": "papers", "do": "ask"})

    async def ask() -> list[Any]:
        seen = []
        async for one in events["submit"].fn(WHAT, sent, request):
            seen.append(one)
            MODEL.may.set()
        return seen

    MODEL.may.clear()
    shown = asyncio.run(ask())
    assert shown[0][0]["value"] == "" and shown[0][0]["stop_btn"] is True
    assert ":running:papers" in shown[0][2]
    assert all(one == {"__type__": "update"} for one in shown[-1]), "what is sent twice is nothing"
    box, messages, told = shown[-2]
    assert (box["submit_btn"], box["stop_btn"]) == (True, False) and "value" not in box
    assert ":done:papers" in told
    assert "fn-marker" in messages[-1]["content"] and "nine crowns" in messages[-1]["content"]
    conversation = told.split(":")[1]
    gone = json.dumps({"conversation": "gone"})
    events["stop"].fn(gone, request)  # no error: it was deleted meanwhile
    events["stop"].fn(json.dumps({"conversation": conversation}), request)


def test_the_service_and_the_chat_share_a_process_and_a_session(services: Services) -> None:
    app = mount(services, service=True)
    assert "<title>Footnote</title>" in get(app).text
    assert get(app, "/me").json()["name"] == "owner"
    assert get(app, "/api/v1/me").json()["name"] == "owner"
    assert get(app, "/health").json()["boot"] and get(app, "/ready").json()["ready"] in (
        True,
        False,
    )
    assert get(app, "/v1/models").json()["data"][0]["id"] == "footnote/papers"
    assert get(app, "/api/nowhere").json()["error"]["code"] == "not_found"
    alone = mount(services, service=True, chat=False)
    assert get(alone, "/").status_code == 404 and get(alone, "/me").status_code == 404
    assert get(alone, "/api/v1/me").status_code == 200
    assert get(mount(services), "/api/v1/me").status_code == 404, "the chat by itself has none"


def test_a_taken_port_gives_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listener, found = bind("127.0.0.1", port)
        with listener:
            assert port < found < port + 50


@pytest.mark.parametrize("host", ["192.0.2.1", "::ffff:ffff", "no.such.host.invalid"])
def test_an_address_that_is_not_this_machines_is_one_line(host: str) -> None:
    with pytest.raises(SettingsError, match="choose another --port or --host") as raised:
        bind(host, 7860)
    assert "\n" not in str(raised.value)


def test_nobody_can_claim_to_come_from_elsewhere(app: Any) -> None:
    config = server(app).config
    assert (config.proxy_headers, config.server_header) == (False, False)


def footnote(indexes: Path, *arguments: str) -> tuple[int, str, list[str]]:
    """Status, output and error lines of `footnote chat`; whether Gradio was opened is said last."""
    program = (
        "import sys\nfrom rag.cli import main\ntry: main()\n"
        "finally: print('gradio' in sys.modules, 'torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "chat", "--no-browser", "--port", "0", *arguments],
        env={"PATH": "", "FOOTNOTE_INDEXES": str(indexes), "HOME": str(indexes)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.strip().splitlines()


def test_the_command_fails_in_one_line_before_gradio_is_opened(tmp_path: Path) -> None:
    status, output, lines = footnote(tmp_path, "--host", "0.0.0.0")
    assert (status, output, len(lines), lines[-1]) == (1, "", 2, "False False")
    assert "has no users" in lines[0] and "footnote users add" in lines[0]
    people = People(tmp_path / ".chat" / "people.json", hasher=PasswordHasher(1, 8, 1))
    people.add("anna", "correct horse", "admin")
    # Now others may come: it is the collection that is missing.
    status, output, lines = footnote(tmp_path, "--host", "0.0.0.0", "-c", "nowhere")
    assert (status, output, len(lines), lines[-1]) == (1, "", 2, "False False")
    assert "footnote index FOLDER -c nowhere" in lines[0]
