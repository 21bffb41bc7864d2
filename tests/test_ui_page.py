"""What the page asks for as it opens, over HTTP: for whom, and in which language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from argon2 import PasswordHasher
from fakes import HashEmbedder, ScriptedGenerator
from fastapi import FastAPI
from selectolax.lexbor import LexborHTMLParser
from starlette.requests import Request
from starlette.testclient import TestClient

from rag.collection import Collection
from rag.records import Document
from rag.settings import Settings
from ui.guard import Guard
from ui.routes import health, page
from ui.routes.common import language_of
from ui.services import Services, opened
from ui.sessions import COOKIE
from ui.strings import speaker
from ui.suggest import _SAMPLES

HOSTILE = "What is <b>\"x\" & 'y'</b>?"


@dataclass
class Site:
    services: Services
    app: Any

    def client(self, name: str, language: str = "en") -> TestClient:
        token = self.services.sessions.begin(name)
        headers = {"accept-language": language}
        return TestClient(cast(Any, self.app), headers=headers, cookies={COOKIE: token})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """anna is admin, ben reads, cara edits and is in "hr", whose "staff" is. "empty" is empty."""
    settings = Settings(collection="papers", indexes=tmp_path / "indexes", endpoint="")
    embedder = HashEmbedder()
    for name in ("papers", "staff", "empty"):
        with Collection.open(name, settings, create=True, embedder=embedder) as made:
            if name != "empty":
                made.put([Document(one, f"About {one}.\n", one) for one in _SAMPLES], "given")
    with opened(settings, embedder=embedder, model=ScriptedGenerator()) as services:
        services.people._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        services.people.add("anna", "correct horse", "admin")
        services.people.add("ben", "correct horse")
        services.people.add("cara", "correct horse", "editor", groups=["hr"])
        services.people.restrict("staff", ["hr"])
        app = FastAPI(openapi_url=None)
        app.include_router(page.routes(services))
        app.include_router(health.routes())
        yield Site(services, Guard(app, services.people, services.sessions, loopback=False))


def test_who_is_here_and_whether_the_server_lives(site: Site) -> None:
    client = site.client("cara")
    assert client.get("/me").json() == {
        "name": "cara",
        "role": "editor",
        "groups": ["hr"],
        "accounts": True,
        "waiting": 0,
    }
    stranger = TestClient(cast(Any, site.app))
    assert stranger.get("/me").status_code == 401
    boots = {one.get("/health").json()["boot"] for one in (client, stranger)}
    assert len(boots) == 1 and len(boots.pop()) == 16


def test_the_welcome_offers_questions_in_the_readers_language(site: Site) -> None:
    html = LexborHTMLParser(site.client("ben").get("/panel/welcome/papers").text)
    offered = [one.attributes["data-question"] for one in html.css("button.fn-suggestion")]
    assert offered == list(_SAMPLES.values())
    assert "Nothing leaves this computer." in html.text()
    told = site.client("ben", "fr, uk-UA;q=0.8").get("/panel/welcome/papers").text
    assert speaker("uk")("page.welcome.title") in told and "Nothing leaves" not in told


def test_an_empty_collection_can_be_filled_by_those_who_may(site: Site) -> None:
    assert "documents.show" in site.client("cara").get("/panel/welcome/empty").text
    told = site.client("ben").get("/panel/welcome/empty").text
    assert "This collection is empty" in told and "documents.show" not in told


def test_a_private_collection_and_none_at_all_look_the_same(site: Site) -> None:
    ben = site.client("ben")
    replies = [ben.get(f"/panel/welcome/{name}") for name in ("staff", "nowhere", "..%5cstaff")]
    assert {(one.status_code, one.text) for one in replies} == {(404, replies[0].text)}
    assert site.client("cara").get("/panel/welcome/staff").status_code == 200


def test_a_damaged_collection_says_so(site: Site) -> None:
    bad = site.services.settings.indexes / "bad"
    bad.mkdir()
    (bad / "collection.db").write_bytes(b"not a database" * 99)
    reply = site.client("ben").get("/panel/welcome/bad")
    alert = LexborHTMLParser(reply.text).css_first("[role=alert]")
    assert reply.status_code == 200 and "bad" in alert.text() and "\n" not in alert.text()


def test_a_question_is_told_to_whoever_asked_it_alone(site: Site) -> None:
    history = site.services.history
    turn = history.ask("ben", history.begin("ben", "papers", HOSTILE).id, HOSTILE, {}).id
    path = f"/answers/{turn}/question"
    reply = site.client("ben").get(path)
    assert reply.json() == {"question": HOSTILE}
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    for name, asked in (("anna", path), ("cara", path), ("ben", "/answers/unknown/question")):
        assert site.client(name).get(asked).status_code == 404


@pytest.mark.parametrize(
    ("cookie", "header", "language"),
    [
        ("", "", "en"),
        ("uk", "en", "uk"),
        ("en", "uk", "en"),
        ("xx", "uk-UA,en;q=0.5", "uk"),
        ("", "de, UK;q=0.9, en", "uk"),
        ("", "fr", "en"),
        ("", "ukr", "en"),
        ("<b>", ";;,,uk", "uk"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_browsers(
    cookie: str, header: str, language: str
) -> None:
    headers = [(b"accept-language", header.encode()), (b"cookie", f"fn-lang={cookie}".encode())]
    assert language_of(Request({"type": "http", "headers": headers})) == language
