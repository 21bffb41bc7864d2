"""Conversations, answers and links over HTTP: what is mine is mine alone, and hostile text is text."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
from argon2 import PasswordHasher
from docx import Document as open_docx
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser as HTMLParser
from starlette.testclient import TestClient

from rag.records import Answer, AnswerSentence, Citation
from rag.settings import Settings
from ui.audit import Audit
from ui.database import Database
from ui.feedback import REASONS, Feedback
from ui.guard import Guard
from ui.history import Conversation, History
from ui.people import People
from ui.render.conversations import conversations_html, period
from ui.routes import conversations, exports
from ui.routes.exports import disposition
from ui.services import Services
from ui.sessions import COOKIE, Sessions
from ui.strings import speaker, table

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HOSTILE = '"><script>alert(1)</script>\r\nX-Evil: 1 ../../\u202eetc'
UI = Path(conversations.__file__).parent.parent
QUOTE = "The toll is nine crowns."
ANSWER = Answer(
    question="What is the toll?",
    standalone_question="What is the toll?",
    text="The toll is nine crowns [1].",
    refused=False,
    confidence=0.9,
    sentences=(AnswerSentence(QUOTE, "supported", (1,)),),
    citations=(Citation(1, "toll.txt", "Tolls", None, None, 0, len(QUOTE), QUOTE),),
    collection="papers",
    generation=7,
)


class Chat:
    """The routes behind the guard, for anna (admin), ben and cara (readers; cara is in "hr")."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "chat.db")
        self.people = People(folder / "people.json", hasher=QUICK)
        self.people.add("anna", "correct horse", "admin")
        self.people.add("ben", "correct horse")
        self.people.add("cara", "correct horse", groups=["hr"])
        self.history = History(self.database)
        parts = {
            "settings": Settings(indexes=folder),
            "people": self.people,
            "sessions": Sessions(self.database, self.people),
            "history": self.history,
            "feedback": Feedback(self.database),
            "audit": Audit(self.database, with_text=False),
        }
        # The library, the desk and the pages are not asked here.
        self.services = Services(
            **{one.name: cast(Any, parts.get(one.name)) for one in fields(Services)}
        )
        app = FastAPI(openapi_url=None)
        app.include_router(conversations.routes(self.services))
        app.include_router(exports.routes(self.services))
        self.app = Guard(app, self.people, self.services.sessions, loopback=False)

    def client(self, name: str, language: str = "en") -> TestClient:
        token = self.services.sessions.begin(name)
        headers = {"origin": "http://testserver", "accept-language": language}
        return TestClient(cast(Any, self.app), headers=headers, cookies={COOKIE: token})

    def asked(
        self, name: str, question: str = "What is the toll?", collection: str = "papers"
    ) -> Any:
        """A conversation with one answered turn: their ids."""
        begun = self.history.begin(name, collection, question)
        turn = self.history.ask(name, begun.id, question, {})
        self.history.finish(turn.id, replace(ANSWER, question=question, collection=collection), ())
        return begun.id, turn.id

    def done(self) -> list[tuple[str, str]]:
        return [(one.user, one.action) for one in self.services.audit.entries()]


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    made = Chat(tmp_path)
    yield made
    made.database.close()


# Every route that names a conversation C, a turn T or a link L; a new one belongs here.
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/conversations/C/rename", {"title": "Mine now"}),
    ("POST", "/conversations/C/delete", None),
    ("GET", "/export/conversation/C.md", None),
    ("GET", "/export/conversation/C.docx", None),
    ("GET", "/export/conversation/C.json", None),
    ("GET", "/export/answer/T.txt", None),
    ("GET", "/export/answer/T.md", None),
    ("GET", "/export/answer/T.docx", None),
    ("GET", "/export/answer/T.json", None),
    ("POST", "/answers/T/share", None),
    ("POST", "/answers/T/feedback", {"verdict": "up"}),
    ("GET", "/answers/T/feedback", None),
]
each_route = pytest.mark.parametrize(("method", "path", "body"), ROUTES)


def call(client: TestClient, method: str, path: str, body: Any, ids: tuple[str, str]) -> Any:
    path = re.sub(r"/C\b", f"/{ids[0]}", re.sub(r"/T\b", f"/{ids[1]}", path))
    return client.request(method, path, json=body)


def test_the_list_of_routes_is_complete(chat: Chat) -> None:
    kinds = {r"{id}": "[CT]", r"{kind}": r"\w+"}
    for router in (conversations.routes(chat.services), exports.routes(chat.services)):
        for route in cast(Any, router.routes):
            pattern = route.path
            for name, stands in kinds.items():
                pattern = pattern.replace(name, stands)
            listed = any(re.fullmatch(pattern, path) for _, path, _ in ROUTES)
            assert listed or route.path in ("/panel/conversations", "/answer/{token}"), route.path


@each_route
def test_nothing_of_anna_reaches_ben(chat: Chat, method: str, path: str, body: Any) -> None:
    ids = chat.asked("anna", "Xylophone?")
    theirs = call(chat.client("ben"), method, path, body, ids)
    absent = call(chat.client("ben"), method, path, body, ("none", "none"))
    assert theirs.status_code == absent.status_code == 404
    assert theirs.content == absent.content
    assert chat.done() == []
    assert chat.history.conversation("anna", ids[0]).title == "Xylophone?"
    assert call(chat.client("anna"), method, path, body, ids).status_code == 200


@each_route
def test_a_collection_that_is_lost_takes_its_conversations_along(
    chat: Chat, method: str, path: str, body: Any
) -> None:
    ids = chat.asked("ben", "Xylophone?")
    link = chat.client("ben").post(f"/answers/{ids[1]}/share").json()["url"]
    chat.people.restrict("papers", ["hr"])
    assert call(chat.client("ben"), method, path, body, ids).status_code == 404
    assert "Xylophone" not in chat.client("ben").get("/panel/conversations").text
    assert chat.client("ben").get(link).status_code == 404
    assert chat.client("cara").get(link).status_code == 200
    chat.people.restrict("papers", [])
    assert call(chat.client("ben"), method, path, body, ids).status_code == 200


def test_everyone_has_a_list_of_their_own(chat: Chat) -> None:
    mine, _ = chat.asked("ben", "Where is the ford?")
    chat.asked("anna", "Xylophone?")
    page = chat.client("ben").get("/panel/conversations").text
    assert "Where is the ford?" in page and "Xylophone" not in page
    assert f'href="/?c={mine}"' in page
    assert "Xylophone" not in chat.client("ben").get("/panel/conversations?q=xylophone").text
    assert "Where is" in chat.client("ben").get("/panel/conversations?q=FORD").text


def test_rename_and_delete(chat: Chat) -> None:
    mine, turn = chat.asked("ben")
    ben = chat.client("ben")
    assert ben.post(f"/conversations/{mine}/rename", json={"title": " The \n toll "}).json() == {
        "title": "The toll"
    }
    empty = ben.post(f"/conversations/{mine}/rename", json={"title": " "})
    assert empty.status_code == 400 and empty.json() == {
        "error": "the title is empty: give it a word"
    }
    link = ben.post(f"/answers/{turn}/share").json()["url"]
    assert ben.post(f"/conversations/{mine}/delete").json() == {"deleted": True}
    assert ben.get(link).status_code == 404
    assert ben.get(f"/export/answer/{turn}.md").status_code == 404
    assert chat.done() == [("ben", "delete"), ("ben", "share")]


def test_a_hostile_title_is_text_everywhere(chat: Chat) -> None:
    mine, turn = chat.asked("ben", HOSTILE)
    ben = chat.client("ben")
    ben.post(f"/conversations/{mine}/rename", json={"title": HOSTILE})
    link = ben.post(f"/answers/{turn}/share").json()["url"]
    for page in (ben.get("/panel/conversations").text, ben.get(link).text):
        assert "&lt;script&gt;alert(1)" in page
        harmless(page)
    for path in (f"conversation/{mine}.md", f"answer/{turn}.txt", f"answer/{turn}.docx"):
        headers = ben.get(f"/export/{path}").headers
        assert "x-evil" not in headers
        assert headers["content-disposition"].startswith('attachment; filename="script alert1')


def harmless(page: str) -> None:
    """No script but our own, no handler, no address elsewhere."""
    for node in HTMLParser(page).css("*"):
        assert not [name for name in node.attributes if name.startswith("on")]
        for name in ("href", "src", "action"):
            assert re.match(r"/(?!/)|#|$", node.attributes.get(name) or ""), node.html
        if node.tag == "script":
            assert "alert(1)" not in node.text()


def test_exports_are_what_they_say(chat: Chat) -> None:
    mine, turn = chat.asked("ben")
    ben = chat.client("ben")
    for name in (f"conversation/{mine}", f"answer/{turn}"):
        word = ben.get(f"/export/{name}.docx")
        assert word.headers["content-type"].endswith("wordprocessingml.document")
        written = "\n".join(one.text for one in open_docx(io.BytesIO(word.content)).paragraphs)
        assert "What is the toll?" in written and QUOTE in written
        assert json.loads(ben.get(f"/export/{name}.json").text)["turns"][0]["answer"] == json.loads(
            json.dumps(ANSWER.to_dict())
        )
        marked = ben.get(f"/export/{name}.md")
        assert marked.headers["content-type"] == "text/markdown; charset=utf-8"
        assert marked.text.startswith("# What is the toll?\n")
        assert ben.get(f"/export/{name}.exe").status_code == 404
    text = ben.get(f"/export/answer/{turn}.txt")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.startswith("The toll is nine crowns [1].\n\n[1] Tolls")
    assert ben.get(f"/export/conversation/{mine}.txt").status_code == 404


@given(st.text(max_size=120))
def test_any_title_makes_a_safe_file_name(title: str) -> None:
    header = disposition(title, "md")
    found = re.fullmatch(
        r"attachment; filename=\"([\w ,.-]+)\.md\"; filename\*=UTF-8''([\w%.~-]+)\.md", header, re.A
    )
    assert found, header
    for name in (found[1], unquote(found[2], errors="strict")):
        assert name.isprintable() and not set(name) & set('<>:"/\\|?*')
        assert not name.startswith((".", " ")) and len(name) <= 4 * 80


def test_a_file_name_keeps_its_letters() -> None:
    assert disposition("Яка плата за міст? / 2024", "md") == (
        "attachment; filename=\"2024.md\"; filename*=UTF-8''%D0%AF%D0%BA%D0%B0%20"
        "%D0%BF%D0%BB%D0%B0%D1%82%D0%B0%20%D0%B7%D0%B0%20%D0%BC%D1%96%D1%81%D1%82%202024.md"
    )


def test_a_shared_answer_opens_for_whoever_may_read_its_collection(chat: Chat) -> None:
    chat.people.restrict("papers", ["hr"])
    _, turn = chat.asked("anna")
    share = chat.client("anna").post(f"/answers/{turn}/share").json()
    assert chat.client("anna").post(f"/answers/{turn}/share").json() == share  # one link, not two
    page = chat.client("cara").get(share["url"])
    assert page.status_code == 200 and page.headers["content-security-policy"]
    harmless(page.text)
    tree = HTMLParser(page.text)
    main = cast(Any, tree.css_first("main"))
    assert main.attributes["data-shared"] == share["url"].rpartition("/")[2]
    assert tree.css_first("#fn-panel") is not None
    assert cast(Any, tree.css_first(f'a.fn-marker[href="#src-{turn}-1"]')).text().endswith("1")
    facts = main.css_first(".fn-shared-facts").text()
    assert "Asked by anna on 20" in facts and "papers" in facts and facts.endswith("7")
    # Who may not read it is told the same as whoever guesses a link.
    shut, guessed = (chat.client("ben").get(url) for url in (share["url"], "/answer/guess"))
    assert shut.status_code == guessed.status_code == 404 and shut.text == guessed.text
    assert "toll" not in shut.text
    nobody = TestClient(cast(Any, chat.app), follow_redirects=False)
    assert nobody.get(share["url"]).status_code == 401
    assert ("cara", "open") in chat.done() and ("ben", "open") not in chat.done()


def test_a_question_without_an_answer_has_no_link(chat: Chat) -> None:
    begun = chat.history.begin("ben", "papers", "Why?")
    turn = chat.history.ask("ben", begun.id, "Why?", {})
    refused = chat.client("ben").post(f"/answers/{turn.id}/share")
    assert refused.status_code == 400 and "no answer" in refused.json()["error"]


def test_feedback_is_kept_and_told(chat: Chat) -> None:
    _, turn = chat.asked("ben")
    ben = chat.client("ben")
    where = f"/answers/{turn}/feedback"
    assert ben.get(where).json() == {"verdict": "", "reason": "", "correction": ""}
    given = {"verdict": "down", "reason": "wrong", "correction": "Ten crowns."}
    assert ben.post(where, json=given).status_code == 200
    assert ben.get(where).json() == given
    assert ben.post(where, json={"verdict": "sideways"}).status_code == 400
    assert ben.post(where, json={"verdict": "down", "reason": "sulking"}).status_code == 400
    assert ben.get(where).json() == given
    assert chat.done() == [("ben", "feedback")]


@pytest.mark.parametrize(
    ("updated", "expected"),
    [
        ("2026-03-10T21:59:59Z", "yesterday"),  # 23:59 of 10 March at +02:00
        ("2026-03-10T22:00:00Z", "today"),
        ("2026-03-12T09:00:00Z", "today"),  # a clock was wrong
        ("2026-03-09T21:59:59Z", "week"),
        ("2026-03-03T22:00:00Z", "week"),
        ("2026-03-03T21:59:59Z", "older"),
    ],
)
def test_days_are_the_reader_s(updated: str, expected: str) -> None:
    now = datetime.fromisoformat("2026-03-11T10:00:00+02:00")
    assert period(updated, now) == expected


def test_the_list_is_grouped_and_speaks_the_language() -> None:
    now = datetime.fromisoformat("2026-03-11T10:00:00+00:00")
    rows = [
        Conversation(id, "ben", where, "T", updated, updated, 1)
        for id, where, updated in (
            ("a", "papers", "2026-03-11T09:00:00Z"),
            ("b", "tolls", "2026-03-11T08:00:00Z"),
            ("c", "papers", "2026-01-01T08:00:00Z"),
        )
    ]

    def tree(shown: list[Conversation], search: str = "") -> Any:
        say = speaker("uk")
        return HTMLParser(
            conversations_html(
                shown, now=now, collection="papers", search=search, cut=True, say=say
            )
        )

    listed = tree(rows)
    assert [one.text() for one in listed.css("h3")] == ["Сьогодні", "Раніше"]
    assert [one.text() for one in listed.css(".fn-chat-collection")] == ["tolls"]
    assert listed.css_first("[data-said]").attributes["data-said"] == "3 розмови"
    assert "Тут з’являться" in tree([]).text() and "Немає розмови" in tree([], "x").text()


def test_the_scripts_say_only_what_there_is_to_say() -> None:
    for language in ("en", "uk"):
        whole = set(table(cast(Any, language)))
        known = whole | {re.sub(r"\.(one|few|many|other)$", "", key) for key in whole}
        for name in ("conversations", "actions"):
            script = (UI / "js" / f"{name}.js").read_text("utf-8")
            assert set(re.findall(r'\bt\("([\w.-]+)"', script)) <= known
            assert "innerHTML" not in script and "eval(" not in script
        assert {f"actions.reason.{one.replace(' ', '-')}" for one in REASONS} <= known
        assert {f"conversations.export.{kind}" for kind in ("md", "docx", "json")} <= known
