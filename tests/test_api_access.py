"""Who gets what of the service: every route, as everybody, by key and by session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from serving import WHAT, Served, serving
from talker import Fixed

VAULT, FILE = "vault-of-zebra", "payroll.txt"
SAID = "The salary of Xenia Quorum is 7310944862 crowns."
# What nobody outside the group may ever read, wherever it stands.
SECRETS = (VAULT, "payroll", "Xenia", "7310944862", "latecomer", "Rosebud", "sled of childhood")
PEOPLE: Any = {
    "anna": ("admin", []),
    "rita": ("reader", ["hr"]),
    "erik": ("editor", ["hr"]),
    "otto": ("reader", ["sales"]),
    "olga": ("editor", []),
}
OPEN = {("GET", "/health"), ("GET", "/ready")}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    collections = {
        "harbour": {"rules.txt": "Boats over twelve metres pay a toll of nine crowns."},
        VAULT: {FILE: f"{SAID} It is paid in June."},
    }
    folder, model = tmp_path_factory.mktemp("access"), Fixed("7310944862 crowns", SAID)
    fixed: Any = {"collection": "harbour", "audit_text": True, "questions_waiting": 50}
    with serving(folder, model=model, people=PEOPLE, collections=collections, **fixed) as made:
        made.services.people.restrict(VAULT, ["hr"])
        yield made


@pytest.fixture(scope="module")
def ids(served: Served) -> dict[str, str]:
    """Everything that can be secret: a question, its answer, a verdict, an upload."""
    with served.client("rita") as rita, served.client("erik") as erik:
        body = {"question": "What salary does Xenia Quorum get?", "collection": VAULT}
        answer = rita.post("/api/v1/ask", json=body).json()
        assert answer["citations"], "nothing was cited: there is nothing to keep secret"
        said = {"verdict": "down", "reason": "wrong", "correction": "It was Rosebud."}
        rita.put(f"/api/v1/answers/{answer['id']}/feedback", json=said).raise_for_status()
        path = f"/api/v1/collections/{VAULT}/documents?name=latecomer.txt"
        erik.post(path, content=b"A sled of childhood.").raise_for_status()
        served.read(VAULT)
    return {"turn": answer["id"], "conversation": answer["conversation"]}


def routes(served: Served) -> list[tuple[str, str]]:
    """Every method and path of the service."""
    app = served.app._app.service._app
    found = {
        (method, one.path) for one in iter_route_contexts(app.routes) for method in one.methods
    }
    assert len(found) >= 29
    return sorted(found - {("DELETE", "/api/v1/collections/{collection}")})


QUERY = (
    f"?document={FILE}&id={FILE}&upload=latecomer.txt&name=latecomer.txt&q=zzz&collection=harbour"
)


def bodies(ids: dict[str, str]) -> list[Any]:
    """What fits some route or other, and names what is secret."""
    asked = {"question": "Which salary is paid?"}
    user = [{"role": "user", "content": "Which salary is paid?"}]
    return [
        asked | {"collection": VAULT},
        asked | {"collection": VAULT, "stream": True},
        asked | {"conversation": ids["conversation"]},
        asked | {"collection": "harbour", "scope": {"documents": [FILE]}},
        {"model": f"footnote/{VAULT}", "messages": user},
        {"model": f"footnote/{VAULT}", "messages": user, "stream": True},
        {"name": VAULT},
        {"title": "seen"},
        {"verdict": "up"},
    ]


def sweep(
    served: Served, http: httpx.Client, ids: dict[str, str]
) -> Iterator[tuple[str, str, Any, httpx.Response]]:
    """Ask every route for what is Rita's, with every body."""
    for method, pattern in routes(served):
        for id in (ids["turn"], ids["conversation"]):
            path = pattern.replace("{collection}", VAULT).replace("{id}", id)
            path = path.replace("{model:path}", f"footnote/{VAULT}")
            assert "{" not in path, f"the test does not know how to fill {pattern}"
            takes = method in ("POST", "PUT", "PATCH")
            for body in bodies(ids) if takes else [None]:
                yield method, path, body, http.request(method, path + QUERY, json=body)


def shown(answer: httpx.Response) -> set[str]:
    """The secrets in an answer, but for those that its question named."""
    asked = str(answer.request.url) + answer.request.content.decode()
    text = answer.text + str(answer.headers)
    return {one for one in SECRETS if one in text and one not in asked}


@pytest.mark.parametrize("how", ["none", "wrong key", "removed key", "ended key", "key as cookie"])
def test_nobody_gets_past_the_door(served: Served, ids: dict[str, str], how: str) -> None:
    headers: dict[str, str] = {}
    if how == "wrong key":
        headers = {"authorization": "Bearer fn_" + "a" * 43}
    elif how == "removed key":
        key = served.services.keys.add("gone", "rita")
        served.services.keys.remove("gone")
        headers = {"authorization": f"Bearer {key}"}
    elif how == "ended key":
        key = served.services.keys.add("ended", "rita", days=0)
        headers = {"authorization": f"Bearer {key}"}
    elif how == "key as cookie":
        headers = {"cookie": f"footnote={served.key('rita')}", "origin": served.address}
    with served.client(headers=headers) as http:
        for method, path, _, answer in sweep(served, http, ids):
            if (method, path) in OPEN and "key" not in headers.get("authorization", ""):
                assert not shown(answer)
                continue
            assert answer.status_code == 401, (method, path)
            if method != "HEAD":
                assert answer.json()["error"]["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("session", [False, True], ids=["key", "session"])
@pytest.mark.parametrize("name", ["otto", "olga"])
def test_another_group_gets_nothing_by_any_route_and_any_id(
    served: Served, ids: dict[str, str], name: str, session: bool
) -> None:
    before = served.services.history.turns("rita", ids["conversation"])
    named = (ids["turn"], ids["conversation"], VAULT)
    with served.client(name, session=session) as http:
        for method, path, body, answer in sweep(served, http, ids):
            assert not shown(answer), (method, path, body, answer.text[:300])
            assert answer.status_code < 500, (method, path, body)
            if any(one in path for one in named) or (body and VAULT in json.dumps(body)):
                assert answer.status_code in (400, 403, 404, 422), (method, path, body, answer)
        for path in ("/api/v1/collections", "/api/v1/conversations?q=Xenia", "/v1/models"):
            assert not shown(http.get(path))
        assert http.delete(f"/api/v1/collections/{VAULT}").status_code == 404
    assert served.services.history.turns("rita", ids["conversation"]) == before
    assert [one.name for one in served.services.library.uploads(VAULT)] == ["latecomer.txt"]
    with served.services.library.view(VAULT) as held:
        assert held.counts()[0] == 2


def test_a_reader_of_the_group_reads_and_changes_nothing(
    served: Served, ids: dict[str, str]
) -> None:
    place = f"/api/v1/collections/{VAULT}"
    with served.client("rita") as http:
        assert "Xenia" in http.get(f"{place}/text?document={FILE}").text
        found = http.post("/api/v1/search", json={"question": "salary", "collection": VAULT})
        assert "7310944862" in found.text
        for method, path, body in (
            ("POST", f"{place}/documents?name=a.txt", None),
            ("DELETE", f"{place}/documents?id={FILE}", None),
            ("POST", f"{place}/tasks", None),
            ("DELETE", place, None),
            ("POST", "/api/v1/collections", {"name": "mine"}),
            ("POST", "/api/v1/collections/harbour/documents?name=a.txt", None),
        ):
            assert http.request(method, path, json=body).status_code == 403, (method, path)
        assert http.get("/metrics").status_code == 403
    with served.services.library.view(VAULT) as held:
        assert held.counts()[0] == 2


def test_an_editor_changes_documents_but_sees_no_ones_questions(
    served: Served, ids: dict[str, str]
) -> None:
    for name in ("erik", "anna"):
        with served.client(name) as http:
            assert http.get(f"/api/v1/answers/{ids['turn']}").status_code == 404
            assert http.get(f"/api/v1/conversations/{ids['conversation']}").status_code == 404
            assert "Xenia" not in http.get("/api/v1/conversations?q=Xenia").text
            body = {"question": WHAT, "conversation": ids["conversation"]}
            assert http.post("/api/v1/ask", json=body).status_code == 404
    with served.client("erik") as http:
        assert http.post("/api/v1/collections", json={"name": "shelf"}).json()["private"] is True
        assert http.delete("/api/v1/collections/shelf").status_code == 204


def test_a_group_taken_away_takes_everything_at_once(served: Served) -> None:
    people = served.services.people
    people.add("vera", "correct horse battery", "reader", ["hr"])
    with served.client("vera") as http:
        body = {"question": "What salary does Xenia Quorum get?", "collection": VAULT}
        mine = http.post("/api/v1/ask", json=body).json()
        paths = [
            f"/api/v1/collections/{VAULT}",
            f"/api/v1/collections/{VAULT}/text?document={FILE}",
            f"/api/v1/answers/{mine['id']}",
            f"/api/v1/answers/{mine['id']}/feedback",
            f"/api/v1/conversations/{mine['conversation']}",
            f"/v1/models/footnote/{VAULT}",
        ]
        assert [http.get(path).status_code for path in paths] == [200] * len(paths)
        people.change("vera", groups=[])
        assert [http.get(path).status_code for path in paths] == [404] * len(paths)
        for path in ("/api/v1/collections", "/api/v1/conversations", "/v1/models"):
            assert not shown(http.get(path)), path
        people.remove("vera")
        assert http.get("/api/v1/me").status_code == 401


def test_a_session_is_a_browsers_and_a_key_is_not(served: Served) -> None:
    body = {"question": "What do boats pay?"}
    elsewhere = {"origin": "http://evil.example"}
    with served.client("otto", session=True) as http:
        assert http.get("/api/v1/me").json()["name"] == "otto"
        assert http.post("/api/v1/ask", json=body).status_code == 200
        for headers in (
            elsewhere,
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            answer = http.post("/api/v1/ask", json=body, headers=headers)
            assert answer.status_code == 403, headers
    with served.client("otto", headers=elsewhere) as http:
        assert http.post("/api/v1/ask", json=body).status_code == 200
    cookie = f"footnote={served.services.sessions.begin('anna')}"
    with served.client("otto", headers=elsewhere | {"cookie": cookie}) as http:
        assert http.get("/api/v1/me").json()["name"] == "otto", "the cookie counts for nothing"
    with served.client(headers={"cookie": cookie, "authorization": "Bearer fn_wrong"}) as http:
        assert http.get("/api/v1/me").status_code == 401
    with served.client(headers={"cookie": cookie, "authorization": "Basic eDp5"}) as http:
        assert http.get("/api/v1/me").json()["name"] == "anna"


def test_what_was_done_is_in_the_audit_log(served: Served, ids: dict[str, str]) -> None:
    entries = [
        (one.user, one.action, one.object) for one in served.services.audit.entries(limit=10_000)
    ]
    for entry in (
        ("rita", "ask", VAULT),
        ("rita", "feedback", f"answer {ids['turn']}"),
        ("erik", "upload", f"{VAULT}/latecomer.txt"),
    ):
        assert entry in entries
