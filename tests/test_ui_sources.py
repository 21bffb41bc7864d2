"""The panel of sources: exact words, marked where they stand, for every kind of document."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher
from fakes import HashEmbedder
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser
from starlette.testclient import TestClient

from rag.collection import Collection
from rag.pages import Pages
from rag.read import read_file
from rag.records import Answer, AnswerSentence, Citation, Claim, Conflict, Document, Hit, Mark
from rag.settings import Settings
from rag.store import StoredDocument
from ui.database import Database
from ui.history import History, Turn
from ui.library import Library
from ui.people import People, Person
from ui.render.sources import panel_html
from ui.routes.sources import routes
from ui.snapshot import Source, snapshot
from ui.strings import speaker, table

SEEDS = Path(__file__).resolve().parent.parent / "seeds" / "documents"
TURN = "aB-3_x-9"  # ids may hold hyphens
SAY = speaker("en")
STORED = StoredDocument("d", "s", "/docs/d", "ff00", "1", "D", None, "text/plain", 9)


def cite(marker: int, document: Document, words: str, page: int | None = None) -> Citation:
    start = document.text.index(words)
    span = (start, start + len(words))
    return Citation(marker, document.id, document.title, document.date, page, *span, words)


def answered(*citations: Citation, **fields: Any) -> Answer:
    """An answer of one supported sentence on all citations, unless `fields` say otherwise."""
    said = (AnswerSentence("So it is.", "supported", tuple(one.marker for one in citations)),)
    fields = {"sentences": said, "refused": False, "confidence": 0.9, **fields}
    return Answer("What?", "What?", "So it is.", citations=citations, **fields)


def turn_of(answer: Answer | None, *documents: Document, **fields: Any) -> Turn:
    held = {one.id: one for one in documents}
    sources: tuple[Source, ...] = ()
    if answer:
        sources = snapshot(answer, held.__getitem__, lambda name: replace(STORED, id=name))
    asked = fields.pop("question", "What?")
    values = (TURN, "c", 1, asked, "answered", answer, sources, "", "2025-01-01T00:00:00Z", {}, "")
    return replace(Turn(*values), **fields)


def drawn(turn: Turn, *states: Any, shared: str = "") -> LexborHTMLParser:
    states = states or ("same",) * len(turn.sources)
    return LexborHTMLParser(panel_html(turn, "reports", states, SAY, shared=shared))


def lit(page: LexborHTMLParser, marker: str) -> str:
    """What is highlighted for a marker, in one line."""
    return " ".join(" ".join(one.text() for one in page.css(f".cite-{TURN}-{marker}")).split())


MEMO = Document(
    "memo.md",
    "# Budapest\n\nIn 1994 three states gave assurances. They were signed in Budapest.\n\n"
    "- The text is short.\n- It is old.\n",
    "Memorandum",
    "1994-12-05",
    "text/markdown",
    (Mark(0, "heading", 1, "Budapest"),),
)
GAVE = cite(1, MEMO, "In 1994 three states gave assurances.")
SIGNED = cite(2, MEMO, "They were signed in Budapest.")


# Text


def test_a_citation_is_highlighted_where_it_stands_and_says_what_it_supports() -> None:
    answer = answered(
        GAVE,
        SIGNED,
        sentences=(
            AnswerSentence("Three states gave assurances.", "supported", (1,)),
            AnswerSentence("They signed in the city.", "partial", (1, 2)),
        ),
    )
    page = drawn(turn_of(answer, MEMO))
    assert lit(page, "1") == GAVE.quote and lit(page, "2") == SIGNED.quote
    anchor = page.css_first(f'[id="src-{TURN}-1"]').attributes
    assert anchor["data-quote"] == GAVE.quote and anchor["data-date"] == "1994-12-05"
    assert anchor["data-status"] == "◐ Partly supported"  # the worse of its two sentences
    proofs = [" ".join(one.text().split()) for one in page.css(".fn-proofs > li")]
    assert proofs[0].startswith("1✓ Supported Supports: Three states gave assurances.")
    assert "◐ Partly supported Supports: They signed in the city." in proofs[0]
    assert proofs[1].startswith("2◐ Partly supported Supports: They signed in the city.")
    copied = [one.attributes["data-quote"] for one in page.css('[data-do="sources.copy"]')]
    assert copied == [GAVE.quote, SIGNED.quote]
    read = page.css_first('[data-do="sources.read"]').attributes
    assert (read["data-document"], read["data-start"]) == ("memo.md", str(GAVE.start))
    assert page.css_first(".fn-facts").text() == "Markdown · memo.md · 1994-12-05"
    assert page.css_first(".fn-sources-at").text() == "2 quotes"


def test_lines_are_set_as_what_they_are() -> None:
    lines = drawn(turn_of(answered(GAVE), MEMO)).css("blockquote p")
    assert [(one.attributes["class"], one.text()) for one in lines][0] == (
        "fn-line fn-line-head",
        "# Budapest",
    )
    assert [one.attributes["class"] for one in lines][1:] == [
        "fn-line fn-apart",
        "fn-line fn-apart fn-line-item",
        "fn-line fn-line-item",
    ]


def test_nested_and_overlapping_quotes_keep_their_own_marks_and_one_anchor_each() -> None:
    outer = cite(1, MEMO, "three states gave assurances. They were")
    inner = cite(2, MEMO, "states")
    across = cite(3, MEMO, "They were signed")
    page = drawn(turn_of(answered(outer, inner, across), MEMO))
    assert lit(page, "1") == "three states gave assurances. They were"
    assert lit(page, "2") == "states" and lit(page, "3") == "They were signed"
    both = page.css_first(f".cite-{TURN}-1.cite-{TURN}-2")
    assert both is not None and both.text() == "states"
    ids = [one.attributes["id"] for one in page.css(".fn-anchor")]
    assert ids == [f"src-{TURN}-{at}" for at in (1, 2, 3)]
    assert len(page.css(".fn-proofs > li")) == 1  # one sentence: the three stand together


HOSTILE = "<img src=x onerror=alert(1)>\"'</span><script>alert(1)</script>\x00\x9f&amp;"


def test_nothing_untrusted_is_more_than_text() -> None:
    document = Document(
        f"a/{HOSTILE}.pdf",
        f"Before {HOSTILE} after.",
        HOSTILE,
        '2024"><b>',
        "application/pdf",
        (Mark(0, "page", 1), Mark(0, "heading", 1, f"Head {HOSTILE}")),
    )
    citation = cite(1, document, HOSTILE, 1)
    claims = (Claim(HOSTILE, (1,)), Claim("x", ()))
    answer = answered(
        citation,
        sentences=(AnswerSentence(HOSTILE, "unsupported", (1,)),),
        conflicts=(Conflict(HOSTILE, claims),),
    )
    html = panel_html(
        turn_of(answer, document, question=HOSTILE), HOSTILE, ("same",), SAY, shared=HOSTILE
    )
    page = LexborHTMLParser(html)
    assert not page.css("script") and not page.css("b") and not page.css("[onerror]")
    (image,) = page.css("img")  # the page's own
    assert image.attributes["src"].startswith(f"/page/{TURN}/0/0.png?page=1&shared=%3Cimg")
    assert lit(page, "1") == HOSTILE.replace("\x00", "\ufffd").replace("\x9f", "\ufffd")
    assert "\x00" not in html and "\x9f" not in html


KINDS = (
    "text/plain",
    "text/markdown",
    "text/html",
    "message/rfc822",
    "text/csv",
    "application/pdf",
)


@given(
    st.text(st.sampled_from("ab <&\"'. \n|;,é-#1"), min_size=1, max_size=400),
    st.lists(st.tuples(st.integers(0, 399), st.integers(1, 60)), min_size=1, max_size=4),
    st.sampled_from(KINDS),
)
def test_whatever_is_cited_has_its_anchor_and_its_words(
    text: str, spans: list[tuple[int, int]], kind: str
) -> None:
    document = Document("d", text, "D", media_type=kind, marks=(Mark(0, "heading", 1, "x"),))
    citations = []
    for marker, (start, size) in enumerate(spans, start=1):
        start = min(start, len(text) - 1)
        end = min(len(text), start + size)
        citations.append(Citation(marker, "d", "D", None, None, start, end, text[start:end]))
    turn = turn_of(answered(*citations), document)
    page = drawn(turn)
    for one in citations:
        assert len(page.css(f'[id="src-{TURN}-{one.marker}"]')) == 1
        if not page.css("table"):
            found = "".join(each.text() for each in page.css(f".cite-{TURN}-{one.marker}"))
            assert "".join(found.split()) == "".join(one.quote.split())


# Tables, slides, sheets


def test_a_table_is_drawn_as_one_with_the_cited_cells_lit() -> None:
    document = read_file(SEEDS / "training-missions.xlsx", "training-missions.xlsx")
    row = next(one for one in document.text.split("\n") if one.startswith("Operation Interflex"))
    page = drawn(turn_of(answered(cite(4, document, row)), document))
    head = [one.text() for one in page.css("thead th")]
    assert head == ["Mission", "Run by", "Started", "Where", "Status in June 2025"]
    (tr,) = page.css(".fn-row-lit")
    assert [one.text() for one in tr.css("mark")] == [
        "Operation Interflex",
        "United Kingdom",
        "2022",
        "United Kingdom",
        "active",
    ]
    assert tr.css_first(f'[id="src-{TURN}-4"]') is not None
    assert page.css_first(".fn-heading").text() == "sheet “Missions”"
    assert not page.css("blockquote")


def test_slides_are_named() -> None:
    document = read_file(SEEDS / "induction-slides.pptx", "induction-slides.pptx")
    words = "Guarantee: a duty to act when a trigger is met"
    page = drawn(turn_of(answered(cite(1, document, words, 2)), document))
    assert page.css_first(".fn-heading").text().startswith("slide 2 · Four words")
    assert lit(page, "1") == words


# Pages


PDF = Document(
    "report.pdf",
    "Report\n\nFirst words.\fLast words.",
    "Report",
    media_type="application/pdf",
    marks=(Mark(0, "page", 1), Mark(21, "page", 2)),
)
FIRST, LAST = cite(1, PDF, "First words.", 1), cite(2, PDF, "Last words.", 2)


def test_a_pdf_shows_its_text_and_every_page_that_is_cited() -> None:
    page = drawn(turn_of(answered(FIRST, LAST), PDF))
    assert [one.attributes["src"] for one in page.css("img")] == [
        f"/page/{TURN}/0/0.png?page=1",
        f"/page/{TURN}/0/0.png?page=2",
    ]
    alt = page.css_first("img").attributes["alt"]
    assert alt == "Page 1 of report.pdf with the quoted passage highlighted"
    assert page.css_first(".fn-facts").text() == "PDF · report.pdf · pages 1, 2"
    assert lit(page, "2") == "Last words."
    where = page.css_first(f'[id="src-{TURN}-2"]').attributes["data-where"]
    assert where == "page 2"


@pytest.mark.parametrize("state", ["changed", "gone"])
def test_a_document_that_is_not_what_it_was_is_shown_as_it_was_and_says_so(state: str) -> None:
    page = drawn(turn_of(answered(FIRST), PDF), state)
    assert page.css_first(".fn-changed").text() == SAY(f"sources.{state}")
    assert lit(page, "1") == "First words." and not page.css("img")
    assert bool(page.css('[data-do="sources.read"]')) == (state == "changed")


# Other answers


def test_a_refusal_shows_the_closest_passages_as_such() -> None:
    hits = tuple(
        Hit(at, 1.0, "memo.md", "Memorandum", None, None, one.start, one.end, one.quote)
        for at, one in enumerate((SIGNED, GAVE), start=1)
    )
    refusal = answered(refused=True, sentences=(), passages=hits)
    page = drawn(turn_of(refusal, MEMO))
    assert page.css_first("h2").text() == "Closest passages"
    assert page.css_first(".fn-sources-why").text() == SAY("sources.closest.why")
    assert lit(page, "p1") == SIGNED.quote and lit(page, "p2") == GAVE.quote
    assert not page.css(".fn-verdict") and not page.css(".fn-number")


def test_sides_of_a_conflict_come_first_and_the_newest_is_marked() -> None:
    old = Document("old.txt", "There were 26 of them.", "Old note", "2025-09-04", "text/plain")
    new = Document("new.txt", "There were 35 of them.", "New note", "2025-10-09", "text/plain")
    one, two = cite(1, old, "There were 26"), cite(2, new, "There were 35")
    claims = (
        Claim("26 (“Old note”, 2025-09-04)", (1,)),
        Claim("35 (“New note”, 2025-10-09)", (2,)),
    )
    answer = answered(one, two, sentences=(), conflicts=(Conflict("how many", claims),))
    page = drawn(turn_of(answer, old, new))
    order = [each.tag for each in page.css(".fn-claims, .fn-source")]
    assert order == ["section", "article", "article"]
    sides = [each.text(separator=" ").split() for each in page.css(".fn-claim")]
    assert " ".join(sides[0]) == "26 Source 1 Old note 2025-09-04"
    assert " ".join(sides[1]) == "35 Newest Source 2 New note 2025-10-09"
    links = [each.attributes["href"] for each in page.css(".fn-claim a")]
    assert links == [f"#src-{TURN}-1", f"#src-{TURN}-2"]
    assert "One side of a disagreement: 26" in page.css_first(".fn-proofs").text()
    vague = replace(answer, citations=(one, replace(two, date="2025-09")))
    assert not drawn(turn_of(vague, old, new)).css(".fn-newest")  # may be the same day


@pytest.mark.parametrize("answer", [None, answered(sentences=())])
def test_an_answer_without_sources_says_so(answer: Answer | None) -> None:
    page = drawn(turn_of(answer))
    assert page.css_first(".fn-sources-none").text() == SAY("sources.none")
    assert not page.css(".fn-sources-arrows")


def test_every_language_has_every_string_with_its_values() -> None:
    english, ukrainian = table("en"), table("uk")
    keys = {key for key in english if key.startswith("sources.")}
    plural = re.compile(r"\.(one|few|many|other)$")
    bare = {plural.sub("", key) for key in keys}
    assert bare == {plural.sub("", key) for key in ukrainian if key.startswith("sources.")}
    for key in keys & set(ukrainian):
        names = [sorted(re.findall(r"\{\w+\}", words[key])) for words in (english, ukrainian)]
        assert names[0] == names[1], key


# Routes


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("chat")
    settings = Settings(indexes=folder / "indexes", cache=folder / "cache")
    (folder / "files").mkdir()
    for name in ("minsk-report.pdf", "budapest-memorandum.md"):
        (folder / "files" / name).write_bytes((SEEDS / name).read_bytes())
    with Collection.open("reports", settings, create=True, embedder=HashEmbedder()) as collection:
        collection.update(folder / "files")
    return settings


@pytest.fixture
def chat(indexed: Settings, tmp_path: Path) -> Any:
    """A chat of three people; the collection "reports" is private to the group "desk"."""
    people = People(tmp_path / "people.json", hasher=PasswordHasher(1, 8, 1))
    people.add("root", "long enough", role="admin", groups=())
    for name, groups in (("ada", {"desk"}), ("bob", {"desk"}), ("eve", set())):
        people.add(name, "long enough", role="reader", groups=groups)
    people.restrict("reports", {"desk"})
    database = Database(tmp_path / "chat.db")
    history = History(database)
    library = Library(indexed, people, database, HashEmbedder())
    with Pages() as pages:
        services = SimpleNamespace(people=people, history=history, library=library, pages=pages)
        yield SimpleNamespace(
            services=services,
            turn=_asked(history, library),
            get=_getter(services),
            history=history,
        )
    library.close()
    database.close()


def _asked(history: History, library: Library) -> Turn:
    """Ada's turn about the PDF."""
    with library.view("reports") as held:
        document = held.document("minsk-report.pdf")
        stored = {one.id: one for one in held.documents()}
        start = next(one.start for one in document.marks if one.kind == "page" and one.number == 2)
        words = document.text[start : start + 60]
        answer = answered(cite(1, document, words, 2), collection="reports")
        sources = snapshot(answer, held.document, stored.get)
    about = history.begin("ada", "reports", "What?")
    turn = history.ask("ada", about.id, "What?", {})
    history.finish(turn.id, answer, sources)
    return history.turn("ada", turn.id)


def _getter(services: Any) -> Callable[..., Any]:
    app = FastAPI()
    app.include_router(routes(services))

    def get(path: str, name: str = "ada", **headers: str) -> Any:
        person = services.people.person(name) or Person(name, "reader")

        async def known(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": {"person": person}}, receive, send)

        return TestClient(known).get(path, headers=headers)

    return get


def test_a_panel_is_its_owners_alone(chat: Any) -> None:
    path = f"/panel/sources/{chat.turn.id}"
    reply = chat.get(path)
    assert reply.status_code == 200
    assert f'id="src-{chat.turn.id}-1"' in reply.text and "fn-changed" not in reply.text
    assert "Джерела" in chat.get(path, cookie="fn-lang=uk").text
    for other in ("bob", "eve"):
        assert chat.get(path, other).status_code == 404
        assert chat.get(f"/page/{chat.turn.id}/0/0.png", other).status_code == 404
    assert chat.get("/panel/sources/nothing").status_code == 404
    chat.services.people.restrict("reports", {"others"})  # ada may no longer read it
    assert chat.get(path).status_code == 404


def test_a_link_opens_the_panel_for_whoever_may_read_the_collection(chat: Any) -> None:
    token = chat.history.share("ada", chat.turn.id)
    page = LexborHTMLParser(chat.get(f"/panel/shared/{token}", "bob").text)
    address = page.css_first("img").attributes["src"]
    assert chat.get(address, "bob").status_code == 200
    assert not page.css('[data-do="sources.read"]')
    assert chat.get(f"/panel/shared/{token}", "eve").status_code == 404
    assert chat.get(address, "eve").status_code == 404
    assert chat.get("/panel/shared/guess", "bob").status_code == 404
    # The link leads to its own turn alone.
    assert chat.get(f"/page/other/0/0.png?shared={token}", "bob").status_code == 404


def test_a_page_is_drawn_from_the_very_file_that_was_cited(chat: Any) -> None:
    reply = chat.get(f"/page/{chat.turn.id}/0/0.png?page=2")
    assert reply.status_code == 200 and reply.content.startswith(b"\x89PNG")
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["cache-control"] == "private, max-age=3600"
    for wrong in ("0/1.png", "1/0.png", "0/-1.png", "0/0.png?page=1", "0/0.png?page=99"):
        assert chat.get(f"/page/{chat.turn.id}/{wrong}").status_code == 404


@pytest.mark.parametrize("field", ["path", "hash", "document"])
def test_no_other_file_is_ever_opened(chat: Any, field: str) -> None:
    (source,) = chat.turn.sources
    others = {"path": str(SEEDS / "minsk-report.pdf"), "hash": "00", "document": "b.pdf"}
    changed = replace(source, **{field: others[field]})
    turn = chat.history.ask("ada", chat.turn.conversation, "Again?", {})
    chat.history.finish(turn.id, chat.turn.answer, (changed,))
    assert chat.get(f"/page/{turn.id}/0/0.png").status_code == 404
    page = LexborHTMLParser(chat.get(f"/panel/sources/{turn.id}").text)
    told = {"path": [], "hash": ["changed"], "document": ["gone"]}[field]
    assert [one.text() for one in page.css(".fn-changed")] == [SAY(f"sources.{x}") for x in told]
