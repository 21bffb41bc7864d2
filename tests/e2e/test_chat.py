"""The chat in a real browser against a real server: real store and index, a scripted model.

Screenshots go to `test-results/`. Without a chromium or chrome these tests skip; with
FOOTNOTE_REQUIRE_BROWSER set, that is a failure.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes import HashEmbedder
from playwright.sync_api import Browser, Page, expect, sync_playwright

from rag.assistant import Assistant
from rag.collection import Collection
from rag.generate import Generation, Message
from rag.records import Document, Mark
from rag.settings import Settings
from ui.app import build
from ui.desk import Desk
from ui.server import CONTENT_SECURITY_POLICY, bind, mount, server

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)  # the machine may be busy

RESULTS = Path(__file__).resolve().parents[2] / "test-results"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

HARBOUR = (
    "# Harbour rules\n\nThe harbour of Eastmere opened in 1887. Boats over twelve metres pay a toll of "
    "nine crowns.\n\nThe harbour master keeps the register of moorings in a blue ledger. Nobody moors "
    "at the north quay in winter.\n"
)
LIGHTHOUSE = (
    "The lighthouse at Eastmere burns whale oil.\n\nIts lamp was replaced in 1902 after the great "
    "storm, and the keeper receives forty crowns a year.\n"
)
HOSTILE = (
    'The ferry timetable is kept by Ada Quill. <img src=x onerror="window.hacked=1"> '
    "<script>window.hacked=1</script> ![pixel](https://evil.example/p.png) "
    "[click](javascript:window.hacked=1) <svg onload=window.hacked=1> ${window.hacked=1} "
    "<style>body{display:none}</style> The ferry timetable changes in June.\n"
)
DOCUMENTS = (
    Document(
        "harbour.md",
        HARBOUR,
        title="Harbour rules",
        date="1990-05-01",
        marks=(Mark(0, "heading", 1, "Harbour rules"),),
    ),
    Document(
        "lighthouse.pdf",
        LIGHTHOUSE,
        title="The lighthouse",
        marks=(Mark(0, "page", 1), Mark(LIGHTHOUSE.index("Its"), "page", 2)),
    ),
    Document(
        "<img src=x onerror=window.hacked=1>.txt",
        HOSTILE,
        title="</h3><script>window.hacked=1</script> Ferry",
        date="2020",
    ),
)
REPLIES = {
    "toll": "Boats over twelve metres pay a toll of nine crowns. "
    "The harbour of Eastmere opened in 1887.",
    "who gets it": "Who gets the toll for boats?",
    "keeper": "The keeper receives forty crowns a year.",
    "timetable": "The ferry timetable is kept by Ada Quill. "
    '<img src=x onerror="window.hacked=1"> ![pixel](https://evil.example/p.png)',
    "register": "The harbour master keeps the register of moorings in a blue ledger. " * 200,
    "dragons": "Zanzibar marmalade quorum.",
}


@dataclass
class Writer:
    """A generator that takes its time: the reply whose key stands in the last line, word by word.

    `written` counts the words; `closed` is set while nothing is being written.
    """

    name: str = "scripted"
    pace_s: float = 0.01
    written: int = 0
    closed: threading.Event = field(default_factory=threading.Event)

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **named: object
    ) -> Iterator[str]:
        into.withheld = 0.02 if named.get("withhold") else None
        asked = re.split("User:|Question:", messages[-1]["content"])[-1].lower()
        reply = next((text for key, text in REPLIES.items() if key in asked), "I do not know.")
        self.closed.clear()
        try:
            for word in reply.split(" ")[:max_tokens]:
                time.sleep(self.pace_s)
                into.text += word + " "
                into.logprobs.append(-0.01)
                self.written += 1
                yield word + " "
        finally:
            self.closed.set()


@dataclass
class Site:
    """A running chat."""

    address: str
    generator: Writer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = Settings(collection="harbour", indexes=tmp_path_factory.mktemp("indexes"))
    generator = Writer()
    with Collection.open("harbour", settings, create=True, embedder=HashEmbedder()) as collection:
        collection.put(DOCUMENTS, "test")
        desk = Desk(Assistant(collection, settings, generator), collection)
        listener, port = bind("127.0.0.1", 0)
        running = server(mount(build(desk, "harbour", len(DOCUMENTS))))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield Site(f"http://127.0.0.1:{port}", generator)
        running.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """The open chat. After each test: nothing was asked of another host, nothing untrusted ran."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    outside: list[str] = []
    blocked: list[str] = []

    def record(url: str) -> None:
        if not url.startswith((site.address, "data:", "blob:")):
            outside.append(url)

    context.on("request", lambda request: record(request.url))
    context.on(
        "console",
        lambda message: blocked.append(message.text) if "Security Policy" in message.text else None,
    )
    opened.goto(site.address)
    expect(opened.locator("#fn-box textarea")).to_be_editable()
    yield opened
    hacked = None if opened.is_closed() else opened.evaluate("() => window.hacked")
    context.close()
    assert outside == []
    assert blocked == []
    assert hacked is None


def ask(page: Page, question: str) -> None:
    """Type a question and send it; returns at once."""
    box = page.locator("#fn-box textarea")
    expect(box).to_be_editable()
    box.fill(question)
    box.press("Enter")
    expect(page.locator(".fn-question").last).to_have_text(question)


def answered(page: Page, count: int) -> None:
    """Wait until `count` answers stand finished and the box is free again."""
    expect(page.locator("#fn-chat .fn-footer")).to_have_count(count)
    expect(page.locator("#fn-box textarea")).to_be_editable()


def shoot(page: Page, name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / f"chat-{name}.png")


def test_a_marker_opens_the_exact_words_it_rests_on(page: Page) -> None:
    ask(page, "What is the toll for boats?")
    answered(page, 1)
    expect(page.locator("#fn-chat a.fn-marker")).to_have_count(2)
    expect(page.locator("#fn-chat .fn-footer")).to_contain_text("2 of 2 statements supported")
    expect(page.locator("#fn-chat .fn-confidence")).to_have_text(
        re.compile(r"Confidence: (high|fair|low), \d+%")
    )
    page.locator("#fn-chat a.fn-marker").first.click()
    lit = page.locator("mark.fn-lit")
    expect(lit).to_have_text("Boats over twelve metres pay a toll of nine crowns.")
    expect(lit).to_be_in_viewport()
    assert page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
    source = page.locator(".fn-source")
    expect(source).to_have_count(1)  # both citations are in one document
    expect(source).to_contain_text("Harbour rules")
    expect(source).to_contain_text("1990-05-01")
    expect(source).to_contain_text("Nobody moors at the north quay")
    expect(page.locator("#fn-chat [aria-label=Answer]")).to_have_count(1)
    shoot(page, "answer")


def test_an_older_answers_marker_opens_its_own_source(page: Page) -> None:
    ask(page, "What is the toll for boats?")
    answered(page, 1)
    ask(page, "What does the keeper receive?")
    answered(page, 2)
    expect(page.locator(".fn-turn:visible")).to_contain_text("page 2")
    page.locator("#fn-chat a.fn-marker").first.click()
    expect(page.locator("mark.fn-lit")).to_contain_text("Boats over twelve metres")
    expect(page.locator(".fn-turn:visible")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#fn-chat a.fn-marker").first).to_be_focused()


def test_a_follow_up_shows_how_it_was_understood(page: Page) -> None:
    ask(page, "What is the toll for boats?")
    answered(page, 1)
    ask(page, "And who gets it?")
    answered(page, 2)
    expect(page.locator(".fn-understood")).to_have_text(
        "Understood as: “Who gets the toll for boats?”"
    )
    expect(page.locator("#fn-chat .fn-answer").last).to_contain_text("nine crowns")


def test_a_refusal_shows_the_closest_passages_instead_of_an_answer(page: Page) -> None:
    ask(page, "Where do dragons sleep at night in Eastmere?")
    answered(page, 1)
    expect(page.locator(".fn-refusal")).to_contain_text("The documents do not say")
    expect(page.locator("#fn-chat")).not_to_contain_text("marmalade")
    expect(page.locator("#fn-chat a.fn-marker")).to_have_count(0)
    page.locator("a.fn-passage").first.click()
    expect(page.locator("mark.fn-lit").first).to_be_in_viewport()
    expect(page.locator(".fn-turn:visible h2")).to_have_text("Closest passages")
    shoot(page, "refusal")


def test_nothing_hostile_takes_effect(page: Page) -> None:
    """A document, its name and title, a question and an answer, all full of markup."""
    asked = (
        "Who keeps the timetable? <img src=x onerror='window.hacked=1'> [x](javascript:alert(1))"
    )
    ask(page, asked)
    answered(page, 1)
    page.locator("#fn-chat a.fn-marker").first.click()
    expect(page.locator(".fn-source")).to_contain_text("<script>window.hacked=1</script> Ferry")
    expect(page.locator(".fn-source")).to_contain_text("<style>body{display:none}</style>")
    untrusted = page.locator("#fn-chat .md, #fn-sources .md")
    made = untrusted.locator(":is(img, script, style, svg[onload], iframe, form)")
    assert made.evaluate_all("all => all.map(one => one.outerHTML)") == []
    links = untrusted.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert links and all(link.startswith("#src-") for link in links)
    shoot(page, "hostile")


def test_stop_ends_the_model_and_leaves_an_unchecked_draft(page: Page, site: Site) -> None:
    ask(page, "Who has the register?")
    expect(page.locator(".fn-draft")).to_contain_text("blue ledger")
    shoot(page, "writing")
    page.locator("#fn-box .stop-button").click()
    expect(page.locator(".fn-notice")).to_contain_text("Stopped")
    assert site.generator.closed.wait(5)
    written = site.generator.written
    time.sleep(0.3)
    assert site.generator.written == written
    ask(page, "What does the keeper receive?")
    answered(page, 1)


def test_closing_the_page_ends_the_model(page: Page, site: Site) -> None:
    ask(page, "Who has the register?")
    expect(page.locator(".fn-draft")).to_contain_text("blue ledger")
    assert not site.generator.closed.is_set()
    page.close()
    assert site.generator.closed.wait(15)


def test_two_readers_at_once_are_both_answered(page: Page, site: Site) -> None:
    other = page.context.new_page()
    other.goto(site.address)
    ask(page, "What is the toll for boats?")
    ask(other, "What does the keeper receive?")
    answered(page, 1)
    answered(other, 1)
    expect(page.locator(".fn-answer")).to_contain_text("nine crowns")
    expect(other.locator(".fn-answer")).to_contain_text("forty crowns")


def test_a_new_conversation_starts_clean_even_while_one_is_written(page: Page, site: Site) -> None:
    ask(page, "Who has the register?")
    expect(page.locator(".fn-draft")).to_contain_text("blue ledger")
    page.locator("#fn-new").click()
    expect(page.locator(".fn-question")).to_have_count(0)
    assert site.generator.closed.wait(10)
    expect(page.locator(".fn-empty")).to_be_visible()
    ask(page, "What does the keeper receive?")
    answered(page, 1)
    expect(page.locator(".fn-question")).to_have_count(1)


def test_dark_and_phone_width(page: Page) -> None:
    ask(page, "What is the toll for boats?")
    answered(page, 1)
    page.locator("#fn-theme").click()
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    page.locator("#fn-chat a.fn-marker").first.click()
    shoot(page, "dark")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#fn-chat a.fn-marker").first.click()
    expect(page.locator("mark.fn-lit")).to_be_in_viewport()
    edges = page.locator("#fn-top, #fn-columns, #fn-sources").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().right)"
    )
    assert max(edges) <= 390
    shoot(page, "phone")


def test_the_page_comes_with_its_policy(page: Page, site: Site) -> None:
    response = page.context.request.get(site.address)
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe-eval" not in CONTENT_SECURITY_POLICY
