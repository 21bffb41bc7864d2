"""The view of documents, through its real routes, as a reader, an editor and a stranger see it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import HashEmbedder
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser
from starlette.testclient import TestClient

from rag.collection import Collection
from rag.records import Document, Mark
from rag.settings import Settings
from rag.store import StoredDocument
from ui.audit import Audit
from ui.database import Database
from ui.library import Library
from ui.listing import PAGE, Filters, make_rows, select
from ui.people import People, Person
from ui.render.documents import About, list_html, text_html, text_page, view_html
from ui.routes.documents import routes
from ui.services import Services
from ui.strings import speaker
from ui.uploads import Upload

EDITOR = Person("eve", "editor", frozenset({"law"}))
READER = Person("rob", "reader", frozenset({"law"}))
OTHER = Person("otto", "editor", frozenset({"sales"}))
EVIL = '<img src=x onerror="alert(1)">\u202e & \x1b'
SAY = speaker("en")


class As:
    """Middleware that lets every request come from one person."""

    def __init__(self, app: Any, person: Person) -> None:
        self._app, self._person = app, person

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope = {**scope, "state": {**scope.get("state", {}), "person": self._person}}
        await self._app(scope, receive, send)


class Site:
    """The routes over a real library with one collection, 'papers', that is private to 'law'."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        people, database = People(folder / "people.json"), Database(folder / "chat.db")
        self.library = Library(settings, people, database, HashEmbedder())
        self.audit = Audit(database, with_text=True)
        values: dict[str, Any] = dict.fromkeys(Services.__dataclass_fields__)
        values |= {"settings": settings, "people": people}
        values |= {"library": self.library, "audit": self.audit}
        self.app = FastAPI()
        self.app.include_router(routes(Services(**values)))
        self.library.create(EDITOR, "papers")

    def of(self, person: Person, language: str = "en") -> TestClient:
        return TestClient(As(self.app, person), headers={"accept-language": language})

    def settle(self) -> None:
        for task in self.library.tasks("papers"):
            assert task.ended.wait(20)


@pytest.fixture
def site(settings: Settings, tmp_path: Path) -> Iterator[Site]:
    made = Site(settings.model_copy(update={"max_file_mb": 1}), tmp_path)
    yield made
    made.library.close()


def send(client: TestClient, name: str, content: bytes = b"Rivers flow.") -> Any:
    return client.post("/documents/papers/upload", params={"name": name}, content=content)


# Routes


def test_an_upload_shows_its_progress_its_failures_and_its_document(site: Site) -> None:
    eve = site.of(EDITOR)
    assert send(eve, "../a b.txt").json() == {"name": "a b.txt"}
    assert send(eve, "bad.pdf", b"%PDF-1.7 nothing").status_code == 200
    site.settle()
    task = site.of(READER).get("/documents/papers/tasks").json()["tasks"][-1]
    assert (task["state"], task["report"]["failed"][0]["path"]) == ("done", "bad.pdf")
    page = LexborHTMLParser(eve.get("/panel/documents/papers").text)
    rows = {row.attributes["data-upload"]: row.text() for row in page.css("tbody tr")}
    assert "ready" in rows["a%20b.txt"] and "eve" in rows["a%20b.txt"]
    assert "failed" in rows["bad.pdf"] and "kB" in rows["bad.pdf"]
    text = eve.get("/documents/papers/text", params={"id": "a b.txt"}).text
    assert "Rivers flow." in text
    gone = eve.post(
        "/documents/papers/delete", json={"documents": ["a b.txt"], "uploads": ["bad.pdf"]}
    )
    assert gone.json() == {"deleted": 2}
    assert "This collection is empty." in eve.get("/panel/documents/papers?part=list").text
    done = [(one.user, one.action, one.object) for one in reversed(site.audit.entries())]
    assert done == [
        ("eve", "upload", "papers/a b.txt"),
        ("eve", "upload", "papers/bad.pdf"),
        ("eve", "open", "papers/a b.txt"),
        ("eve", "delete", "papers/a b.txt"),
        ("eve", "delete", "papers/bad.pdf"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a\u202etxt.exe", b"MZ", "atxt.exe: is of no type that is read"),
        ("<img src=x onerror=alert(1)>.txt", b"", "_img src=x onerror=alert(1)_.txt: is empty"),
        ("big.txt", b"x" * 1_000_001, "big.txt: is larger than 1 MB"),
    ],
)
def test_a_refused_upload_says_why_in_one_line(
    site: Site, name: str, content: bytes, told: str
) -> None:
    reply = send(site.of(EDITOR), name, content)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith(told) and "\n" not in reply.json()["error"]


def test_the_size_limit_holds_without_a_declared_length(site: Site) -> None:
    pieces = (b"x" * 100_000 for _ in range(11))
    reply = site.of(EDITOR).post("/documents/papers/upload?name=big.txt", content=pieces)
    assert reply.status_code == 400 and "larger than 1 MB" in reply.json()["error"]
    assert site.library.uploads("papers") == []


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("/documents/papers/upload?name=a.txt", {"content": b"words"}),
    ("/documents/papers/delete", {"json": {"documents": ["a.txt"]}}),
    ("/documents/papers/index", {"json": {}}),
    ("/collections/papers/remove", {"json": {}}),
]
LOOKS = [
    "/panel/documents/papers",
    "/panel/documents/papers/ids",
    "/documents/papers/tasks",
    "/documents/papers/text?id=a.txt",
]


def test_readers_read_and_strangers_find_nothing(site: Site) -> None:
    send(site.of(EDITOR), "a.txt")
    site.settle()
    for person, status in ((READER, 200), (OTHER, 404)):
        client = site.of(person)
        assert [client.get(path).status_code for path in LOOKS] == [status] * len(LOOKS)
        for path, body in CHANGES:
            refused = client.post(path, **body)
            assert refused.status_code == 404
            assert refused.json() == client.post("/documents/nope/index", json={}).json()
    assert site.library.names(EDITOR) == ["papers"] and len(site.library.uploads("papers")) == 1
    view = site.of(READER).get("/panel/documents/papers").text
    for action in ("choose", "index", "create", "remove", "delete", "delete-chosen"):
        assert f'data-do="documents.{action}"' not in view
        assert (
            f'data-do="documents.{action}"' in site.of(EDITOR).get("/panel/documents/papers").text
        )


def test_collections_are_listed_made_and_removed(site: Site) -> None:
    otto = site.of(OTHER)
    assert otto.get("/panel/collections").json() == []
    assert otto.post("/collections", json={"name": " deals "}).json() == {"name": "deals"}
    assert otto.get("/panel/collections").json() == [
        {
            "name": "deals",
            "documents": 0,
            "chunks": 0,
            "error": "",
            "may_edit": True,
            "private": True,
        }
    ]
    assert otto.post("/collections", json={"name": "../x"}).status_code == 400
    assert site.of(READER).post("/collections", json={"name": "mine"}).status_code == 400
    assert [one["name"] for one in site.of(READER).get("/panel/collections").json()] == ["papers"]
    assert otto.post("/collections/deals/remove", json={}).json() == {"removed": True}
    assert otto.get("/panel/collections").json() == []


def test_a_damaged_collection_is_listed_with_its_error(site: Site) -> None:
    (site.library.settings.indexes / "broken").mkdir()
    (site.library.settings.indexes / "broken" / "collection.db").write_bytes(b"no database" * 99)
    found = site.of(OTHER).get("/panel/collections").json()
    assert [one["name"] for one in found] == ["broken"] and "damaged" in found[0]["error"]
    reply = site.of(OTHER).get("/panel/documents/broken")
    assert reply.status_code == 400 and "damaged" in reply.json()["error"]


def test_filters_and_their_ids(site: Site, make_folder: Callable[..., Path]) -> None:
    folder = make_folder("r", {"rivers.txt": "Water.", "hills.md": "# Hills\n\nStone."})
    with Collection.open("papers", site.library.settings, embedder=HashEmbedder()) as collection:
        collection.update(folder)
    eve = site.of(EDITOR)
    found = eve.get("/panel/documents/papers/ids", params={"kind": "md"}).json()
    assert (found["ids"], found["matching"]) == (["hills.md"], 1)
    html = eve.get("/panel/documents/papers", params={"q": "RIVER", "part": "list"}).text
    assert "rivers.txt" in html and "hills.md" not in html and "1 matches" in html
    none = eve.get("/panel/documents/papers", params={"q": "zebra"}).text
    assert "No document fits these filters." in none
    wrong = eve.get("/panel/documents/papers", params={"after": "soon"})
    assert wrong.status_code == 400 and "is no date" in wrong.json()["error"]
    assert "Жоден документ" in site.of(EDITOR, "uk").get("/panel/documents/papers?q=zebra").text


# Listing and rendering


def stored(id: str, **values: Any) -> StoredDocument:
    made = StoredDocument(id, "/r", f"/r/{id}", "", "", id, None, "text/plain", 10)
    return replace(made, **values)


def test_rows_are_filtered_sorted_and_paged() -> None:
    documents = [stored(f"{n:05}.txt", size=n, date=f"2024-{n % 12 + 1:02}") for n in range(10_000)]
    rows = make_rows(documents, [], reading=False)
    found, listing = select(
        rows, Filters(after="2024-03", before="2024-03-09", sort="-size", page=3)
    )
    assert len(found) == listing.matching == 834 and listing.total == 10_000
    assert (listing.page, listing.pages) == (3, 9)
    assert [row.size for row in listing.rows] == [9998 - 12 * n for n in range(200, 200 + PAGE)]
    assert select(rows, Filters(page=10**9))[1].page == 100
    tree = LexborHTMLParser(list_html(ABOUT, listing, Filters(sort="-size", page=3), SAY))
    assert len(tree.css("tbody tr")) == PAGE
    turns = [one.attributes["data-page"] for one in tree.css('[data-do="documents.page"]')]
    assert turns == ["2", "4"] and "3 of 9" in tree.css_first(".fn-docs-pager").text()
    sorts = {one.attributes["data-sort"] for one in tree.css('[data-do="documents.sort"]')}
    assert {"size", "title"} <= sorts
    assert tree.css_first("th[aria-sort]").attributes["aria-sort"] == "descending"
    assert select(rows, Filters(q="zebra"))[1].rows == []
    assert select(rows, Filters(sort="no such; DROP"))[1].matching == 10_000


def test_uploads_that_wait_or_fail_are_rows_too() -> None:
    upload = Upload("papers", "b.pdf", "eve", "2026-01-01", 2_500_000, "")
    failed = replace(upload, name="a.txt", state="failed", error="is damaged")
    sent = [("/u/b.pdf", upload), ("/u/a.txt", failed)]
    rows = make_rows([stored("a.txt", path="/u/a.txt")], sent, reading=True)
    assert [(row.id, row.status, row.upload, row.kind) for row in rows] == [
        ("a.txt", "failed", "a.txt", "txt"),
        ("", "reading", "b.pdf", "pdf"),
    ]
    html = list_html(ABOUT, select(rows, Filters())[1], Filters(), SAY)
    assert "2.5 MB" in html and "is damaged" in html and "the earlier version is kept" in html
    assert make_rows([], sent, reading=False)[1].status == "unread"


ABOUT = About("papers", 3, True, True, (".pdf", ".txt"), 100)


def hostile(html: str) -> None:
    """Nothing in the fragment is more than text and the renderer's own elements."""
    tree = LexborHTMLParser(html)
    assert not tree.css("img, script, iframe, style, a[href^=javascript]")
    for element in tree.css("*"):
        assert not [name for name in element.attributes if name.startswith("on")]
    assert "\x1b" not in html


def test_nothing_untrusted_becomes_markup() -> None:
    evil = stored(EVIL, title=EVIL, date=EVIL, media_type=EVIL, path="/u/x")
    upload = Upload("papers", EVIL, EVIL, EVIL, 5, "", "failed", EVIL)
    rows = make_rows([evil], [("/u/x", upload), ("/u/y", upload)], reading=False)
    filters = Filters(q=EVIL[:4])
    listing = select(rows, filters)[1]
    assert len(listing.rows) == 2
    html = view_html(replace(ABOUT, name=EVIL), listing, replace(filters, q=EVIL), SAY)
    hostile(html)
    assert html.count("&lt;img src=x onerror=") > 6
    marks = (Mark(0, "sheet", 1, EVIL), Mark(0, "heading", 1, EVIL))
    hostile(text_html(Document(EVIL, EVIL + "\n" + EVIL, EVIL, EVIL, EVIL, marks), 1, SAY))


def test_a_text_shows_its_headings_and_pages_once() -> None:
    text = "Intro\nRivers flow.\n\nPart two\nHills stand."
    marks = (Mark(0, "page", 1), Mark(0, "heading", 1, "Intro"), Mark(20, "page", 2))
    marks = (*marks, Mark(20, "heading", 2, "Part two"))
    tree = LexborHTMLParser(text_html(Document("a.pdf", text, "A", marks=marks), 1, SAY))
    body = tree.css_first(".fn-reader-text")
    shown = [(one.tag, one.text().strip()) for one in body.iter()]
    assert shown == [
        ("p", "Page 1"),
        ("h3", "Intro"),
        ("div", "Rivers flow."),
        ("p", "Page 2"),
        ("h4", "Part two"),
        ("div", "Hills stand."),
    ]
    long = Document("b.txt", "A line of words.\n" * 4000)
    tree = LexborHTMLParser(text_html(long, 2, SAY))
    assert "2 of 4" in tree.css_first(".fn-docs-pager").text()
    turns = [one.attributes["data-page"] for one in tree.css('[data-do="documents.part"]')]
    assert turns == ["1", "3", "1", "3"]


@given(st.lists(st.integers(0, 30_000), max_size=8), st.sampled_from(["\n", "\n\n", " "]))
def test_the_parts_of_a_text_are_the_whole_text(lengths: list[int], gap: str) -> None:
    text = gap.join("x" * length for length in lengths)
    first = text_page(text, 1)
    parts = [text_page(text, page) for page in range(1, first.pages + 1)]
    assert "".join(text[part.start : part.end] for part in parts) == text
    assert all(part.end - part.start <= 25_000 for part in parts)
    assert text_page(text, -5) == first and text_page(text, 10**6) == parts[-1]


def test_both_languages_say_the_same_things() -> None:
    files = Path(__file__).resolve().parent.parent / "ui"
    said = json.loads((files / "strings" / "documents.json").read_text("utf-8"))
    plain = {
        language: {re.sub(r"\.(one|few|many|other)$", "", key) for key in words}
        for language, words in said.items()
    }
    assert plain["en"] == plain["uk"]
    used = set()
    for file in ("js/documents.js", "js/uploads.js", "render/documents.py"):
        source = (files / file).read_text("utf-8")
        used |= set(re.findall(r"""(?<!data-do=)["'`](documents\.[a-z.]*[a-z])["'`]""", source))
    assert len(used) > 60 and used <= plain["en"]
    holes: dict[str, dict[str, set[str]]] = {"en": {}, "uk": {}}
    for language, words in said.items():
        for key, text in words.items():
            base = re.sub(r"\.(one|few|many|other)$", "", key)
            holes[language].setdefault(base, set()).update(re.findall(r"\{(\w+)\}", text))
    assert holes["en"] == holes["uk"]
