"""Every route of the service, by itself: what it takes, what it gives, what it refuses and how."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from fakes import ScriptedGenerator
from serving import TEXT, WHAT, Served, serving

from rag.errors import ModelError
from rag.reader import LONGEST_QUESTION
from rag.records import Answer
from ui.api.contract import AnswerOut
from ui.guard import CONTENT_SECURITY_POLICY

SCHEMA = AnswerOut.model_json_schema()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(
        tmp_path_factory.mktemp("service"),
        collections={
            "papers": {"toll.txt": TEXT, "sub/b.txt": "Boats pay a toll of two crowns."},
            "empty": {},
        },
        max_file_mb=1,
    ) as made:
        yield made


@pytest.fixture
def http(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def wrong(answer: httpx.Response, status: int, code: str) -> str:
    """The message of an error that has to be there."""
    assert answer.status_code == status, answer.text
    told = answer.json()["error"]
    assert told["code"] == code, told
    assert "Traceback" not in answer.text
    return str(told["message"])


def ask(http: httpx.Client, question: str = WHAT, **more: Any) -> dict[str, Any]:
    answer = http.post("/api/v1/ask", json={"question": question, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# Questions


def test_an_answer_keeps_the_contract(http: httpx.Client) -> None:
    answer = ask(http)
    jsonschema.validate(answer, SCHEMA)
    assert answer["text"] == "The toll of the old bridge is nine crowns [1]."
    (citation,) = answer["citations"]
    assert TEXT[citation["start"] : citation["end"]] == citation["quote"]
    assert answer["collection"] == "papers" and answer["generation"] == 1
    same = json.loads(json.dumps(Answer.from_dict(answer).to_dict()))
    assert same | {"id": answer["id"], "conversation": answer["conversation"]} == answer
    refused = ask(http, "What is the toll of the old bridge?", collection="empty")
    jsonschema.validate(refused, SCHEMA)
    assert refused["refused"] and refused["sentences"] == [] == refused["citations"]


def test_the_schema_refuses_what_breaks_the_contract(http: httpx.Client) -> None:
    answer = ask(http)
    for broken in (
        {"confidence": 1.5},
        {"text": ""},
        {"sentences": [{"text": "x", "status": "perhaps", "citations": []}]},
        {"citations": [{**answer["citations"][0], "quote": ""}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(answer | broken, SCHEMA)


def test_a_conversation_goes_on_and_is_kept(http: httpx.Client) -> None:
    first = ask(http)
    second = ask(http, "Who built it?", conversation=first["conversation"])
    assert second["conversation"] == first["conversation"]
    whole = http.get(f"/api/v1/conversations/{first['conversation']}").json()
    assert [one["question"] for one in whole["history"]] == [WHAT, "Who built it?"]
    assert [one["status"] for one in whole["history"]] == ["answered"] * 2
    jsonschema.validate(whole["history"][1]["answer"], SCHEMA)
    assert whole["history"][0]["answer"] == first
    assert http.get(f"/api/v1/answers/{second['id']}").json()["number"] == 2
    said = {"question": WHAT, "conversation": first["conversation"], "collection": "empty"}
    wrong(http.post("/api/v1/ask", json=said), 400, "invalid_request")


def test_the_scope_and_the_style_of_a_question_are_heeded(http: httpx.Client) -> None:
    answer = ask(http, scope={"documents": ["sub/b.txt"]}, style="short")
    assert {one["document"] for one in answer["passages"]} == {"sub/b.txt"}
    said = {"question": WHAT, "scope": {"documents": ["nowhere.txt"]}}
    assert "nowhere.txt" in wrong(http.post("/api/v1/ask", json=said), 400, "invalid_request")
    said = {"question": WHAT, "scope": {"after": "yesterday"}}
    assert "no date" in wrong(http.post("/api/v1/ask", json=said), 400, "invalid_request")


def test_search_gives_passages_exact_to_the_character(http: httpx.Client) -> None:
    found = http.post("/api/v1/search", json={"question": "toll", "k": 1}).json()
    (hit,) = found["hits"]
    text = http.get("/api/v1/collections/papers/text", params={"document": hit["document"]}).json()
    assert text["text"][hit["start"] : hit["end"]] == hit["text"]
    assert (hit["rank"], found["collection"]) == (1, "papers")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"question": ""}, 422),
        ({"question": " \n"}, 400),
        ({"question": "x" * (LONGEST_QUESTION + 1)}, 422),
        ({"question": WHAT, "more": 1}, 422),
        ({"question": WHAT, "collection": "../papers"}, 422),
        ({"question": WHAT, "collection": "nowhere"}, 404),
        ({"question": WHAT, "conversation": "nowhere"}, 404),
        ({"question": WHAT, "style": "long"}, 422),
        ({"question": WHAT, "scope": {"kinds": ["nothing"]}}, 400),
        ({"question": WHAT, "scope": {"document": ["toll.txt"]}}, 422),
        ({"question": "\ud800 lone"}, 422),
        ([], 422),
        ("{", 422),
    ],
)
def test_a_question_that_is_none_is_refused(http: httpx.Client, body: Any, status: int) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    kind = {"content-type": "application/json"}
    code = "not_found" if status == 404 else "invalid_request"
    for path in ("/api/v1/ask",):
        wrong(http.post(path, content=content, headers=kind), status, code)


# Collections and documents


def test_a_collection_from_its_making_to_its_end(http: httpx.Client, served: Served) -> None:
    path = "/api/v1/collections"
    assert http.post(path, json={"name": "shelf"}).status_code == 201
    assert "choose another" in wrong(
        http.post(path, json={"name": "shelf"}), 400, "invalid_request"
    )
    wrong(http.post(path, json={"name": "../x"}), 422, "invalid_request")
    names = [one["name"] for one in http.get(path).json()]
    assert names[0] == "papers" and {"shelf", "empty"} < set(names)
    sent = http.post(f"{path}/shelf/documents?name=notes.md", content=b"# Notes\n\nOne word.\n")
    assert (sent.status_code, sent.json()) == (202, {"name": "notes.md", "status": "reading"})
    bad = http.post(f"{path}/shelf/documents?name=broken.pdf", content=b"%PDF-1.7 nothing")
    assert bad.status_code == 202
    served.read("shelf")
    listed = http.get(f"{path}/shelf/documents", params={"sort": "title"}).json()
    assert [(one["name"], one["status"]) for one in listed["documents"]] == [
        ("broken.pdf", "failed"),
        ("notes.md", "ready"),
    ]
    assert listed["documents"][0]["reason"] and listed["total"] == 2
    only = http.get(f"{path}/shelf/documents", params={"q": "notes", "kind": "md"}).json()
    assert only["matching"] == 1
    assert http.get(f"{path}/shelf").json()["documents"] == 1
    tasks = http.get(f"{path}/shelf/tasks").json()
    assert {one["state"] for one in tasks} == {"done"}
    assert http.post(f"{path}/shelf/tasks").status_code == 202
    served.read("shelf")
    wrong(http.delete(f"{path}/shelf/documents"), 400, "invalid_request")
    wrong(http.delete(f"{path}/shelf/documents?id=nowhere.md"), 404, "not_found")
    assert http.delete(f"{path}/shelf/documents?id=notes.md&upload=broken.pdf").status_code == 204
    assert http.get(f"{path}/shelf/documents").json()["total"] == 0
    assert http.delete(f"{path}/shelf").status_code == 204
    wrong(http.get(f"{path}/shelf"), 404, "not_found")
    wrong(http.delete(f"{path}/shelf"), 404, "not_found")


def test_a_part_of_a_text_is_counted_in_code_points(http: httpx.Client) -> None:
    path = "/api/v1/collections/papers/text"
    part = http.get(path, params={"document": "toll.txt", "start": 4, "end": 8}).json()
    assert (part["text"], part["start"], part["end"]) == ("toll", 4, 8)
    assert part["length"] == len(TEXT)
    beyond = http.get(path, params={"document": "toll.txt", "start": 10**6, "end": 3}).json()
    assert (beyond["text"], beyond["start"]) == ("", len(TEXT))
    wrong(http.get(path, params={"document": "../toll.txt"}), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "status"),
    [("sort=nothing", 400), ("kind=nothing", 400), ("after=x", 400), ("page=0", 422)],
)
def test_a_list_is_refused_what_it_does_not_know(
    http: httpx.Client, query: str, status: int
) -> None:
    wrong(http.get(f"/api/v1/collections/papers/documents?{query}"), status, "invalid_request")


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("a.exe", b"MZ", 400, "invalid_request"),
        ("a.txt", b"", 400, "invalid_request"),
        ("a.txt", b" \n ", 400, "invalid_request"),
        ("a.txt", b"x" * 1_000_001, 413, "too_large"),
        ("", b"x", 422, "invalid_request"),
    ],
)
def test_a_file_that_is_none_is_refused(
    http: httpx.Client, name: str, content: bytes, status: int, code: str
) -> None:
    path = "/api/v1/collections/empty/documents"
    wrong(http.post(path, params={"name": name}, content=content), status, code)

    def unsaid() -> Iterator[bytes]:
        yield content

    wrong(http.post(path, params={"name": name}, content=unsaid()), status, code)


# Conversations


def test_a_conversation_is_renamed_judged_and_deleted(http: httpx.Client) -> None:
    answer = ask(http)
    path = f"/api/v1/conversations/{answer['conversation']}"
    assert http.patch(path, json={"title": " The  toll "}).json()["title"] == "The toll"
    wrong(http.patch(path, json={"title": " "}), 400, "invalid_request")
    listed = http.get("/api/v1/conversations", params={"q": "crowns", "limit": 1}).json()
    assert listed[0]["id"] == answer["conversation"] and "user" not in listed[0]
    verdict = f"/api/v1/answers/{answer['id']}/feedback"
    assert http.get(verdict).json() == {"verdict": "", "reason": "", "correction": ""}
    said = {"verdict": "down", "reason": "wrong", "correction": "Ten."}
    assert http.put(verdict, json=said).json() == said
    assert http.get(f"/api/v1/answers/{answer['id']}").json()["verdict"] == "down"
    wrong(http.put(verdict, json={"verdict": "perhaps"}), 422, "invalid_request")
    wrong(http.put(verdict, json={"verdict": "up", "reason": "fun"}), 400, "invalid_request")
    assert http.delete(path).status_code == 204
    for gone in (path, f"/api/v1/answers/{answer['id']}", verdict):
        wrong(http.get(gone), 404, "not_found")


# The service


def test_health_readiness_and_who_i_am(http: httpx.Client) -> None:
    assert http.get("/health").json()["boot"]
    assert http.get("/ready").json() == {"ready": True, "model": True, "store": True}
    assert http.get("/api/v1/me").json() == {"name": "owner", "role": "admin", "groups": []}


def test_every_response_carries_the_guards_headers_and_a_number(http: httpx.Client) -> None:
    numbers = set()
    for method, path in (
        ("GET", "/health"),
        ("GET", "/api/nowhere"),
        ("DELETE", "/api/v1/ask"),
        ("GET", "/v1/nowhere"),
        ("GET", "/metrics"),
        ("POST", "/api/v1/ask"),
    ):
        answer = http.request(method, path)
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        numbers.add(answer.headers["x-request-id"])
    assert len(numbers) == 6
    wrong(http.get("/api/nowhere"), 404, "not_found")
    assert http.request("DELETE", "/api/v1/ask").headers["allow"] == "POST"
    wrong(http.request("DELETE", "/api/v1/ask"), 405, "method_not_allowed")


def test_without_users_only_this_machine_and_its_own_pages_are_served(http: httpx.Client) -> None:
    wrong(http.get("/api/v1/me", headers={"host": "evil.example"}), 403, "forbidden")
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        # A key changes nothing: without users there are none.
        for more in ({}, {"authorization": "Bearer x"}):
            answer = http.post("/api/v1/ask", json={"question": WHAT}, headers=headers | more)
            wrong(answer, 403, "forbidden")
    assert http.get("/api/v1/me", headers={"authorization": "Bearer x"}).status_code == 200


def test_the_page_of_routes_asks_for_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/api").text
    assert "<script" not in page and "http://" not in page and "https://" not in page
    document = http.get("/api/openapi.json").json()
    for path in document["paths"]:
        assert path in page


def test_a_failure_inside_is_told_by_its_number_alone(
    served: Served, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    desk = served.services.desk
    asked = desk.ask
    desk.ask = lambda *all, **named: 1 / 0  # type: ignore[method-assign]
    try:
        with caplog.at_level(logging.ERROR):
            answer = http.post("/api/v1/ask", json={"question": WHAT})
    finally:
        desk.ask = asked  # type: ignore[method-assign]
    wrong(answer, 500, "internal")
    number = answer.json()["error"]["request"]
    assert number == answer.headers["x-request-id"] and number in caplog.text
    assert "ZeroDivisionError" in caplog.text and "ZeroDivision" not in answer.text


@pytest.mark.parametrize(
    ("error", "code"),
    [(ModelError("the server is gone: start it"), "model"), (ValueError("secret"), "internal")],
)
def test_a_model_that_fails_is_no_clients_mistake(
    tmp_path: Any, error: Exception, code: str
) -> None:
    model = ScriptedGenerator(error, error)
    with serving(tmp_path, model=model) as made, made.client() as http:
        answer = http.post("/api/v1/ask", json={"question": WHAT})
        assert answer.status_code == (503 if code == "model" else 500)
        assert answer.json()["error"]["code"] == code and "secret" not in answer.text
        events = http.post("/api/v1/ask", json={"question": WHAT, "stream": True}).text
        assert f'event: error\ndata: {{"error": {{"code": "{code}"' in events
