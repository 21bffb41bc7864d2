"""How the chat looks and whether everyone can use it: every state photographed and checked by axe.

Pictures go to `test-results/`. What is asked and answered is tested in test_chat.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chatsite import (
    Site,
    answered,
    arrived,
    ask,
    fresh,
    shoot,
    slowly,
    start_site,
    violations,
    watched,
)
from papers import OTHER
from playwright.sync_api import Browser, Page, expect

from rag.errors import ModelError

pytestmark = pytest.mark.browser

TOLL = "What is the toll for boats?"
LIT = "#fn-panel mark.fn-lit"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

# Parts of the page that reach beyond the window, that hold more than they show, or that overlap.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const found = document.documentElement.scrollWidth > width ? ["the page scrolls sideways"] : [];
  const parts = "#fn-header, #fn-sidebar, #fn-panel, #fn-documents, #fn-welcome, #fn-box, #fn-chips";
  for (const one of document.querySelectorAll(`${parts}, dialog, .fn-menu`)) {
    const box = one.getBoundingClientRect();
    if (!box.width || getComputedStyle(one).visibility === "hidden") continue;
    const name = one.id || one.className;
    if (one.scrollWidth > one.clientWidth + 1) found.push(`${name} scrolls sideways`);
    if (box.left < -1 || box.right > width + 1) found.push(`${name} sticks out`);
  }
  const head = [...document.querySelectorAll("#fn-header > *")]
    .map((one) => [one.id || one.className, one.getBoundingClientRect()])
    .filter(([, box]) => box.width > 1);
  for (const [one, a] of head) {
    if (a.right > width + 1 || a.left < -1) found.push(`${one} sticks out of the header`);
    for (const [other, b] of head) {
      const beside = a.right <= b.left + 1 || b.right <= a.left + 1;
      const below = a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
      if (one < other && !beside && !below) found.push(`${one} overlaps ${other}`);
    }
  }
  return found;
}"""
# What can be pressed and is smaller than a finger needs.
SMALL = """() => {
  const kinds = "button, a[href], select, input, textarea, [role=button], [role=menuitem]";
  const found = [];
  for (const one of document.querySelectorAll(kinds)) {
    if (one.matches(".fn-skip, .fn-hidden")) continue;
    if (!one.checkVisibility({ visibilityProperty: true })) continue;
    const { width, height } = (one.closest("label") ?? one).getBoundingClientRect();
    if (width < 1 || height < 1 || (width >= 24 && height >= 24)) continue;
    found.push(`${Math.round(width)}x${Math.round(height)} ${one.outerHTML.slice(0, 90)}`);
  }
  return found;
}"""


class Look:
    """Photographs the page's states under a name; `problems` is what was found on the way."""

    def __init__(self, page: Page, name: str, *, touch: bool = False) -> None:
        self.page = page
        self.problems: list[str] = []
        self._name = name
        self._touch = touch

    def __call__(self, state: str, *, axe: bool = True) -> None:
        shoot(self.page, f"{self._name}-{state}")
        where = f"{self._name}-{state}"
        self.problems += [f"{where}: {one}" for one in self.page.evaluate(OVERFLOW)]
        if self._touch:
            self.problems += [f"{where}: small: {one}" for one in self.page.evaluate(SMALL)]
        if axe:
            self.problems += [f"{where}: {one}" for one in violations(self.page)]


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Look]]:
    """Opens the chat in a window of its own; fails where a look found a problem."""
    looks: list[Look] = []
    open_ones = []

    def opened(name: str, *, touch: bool = False, **options: Any) -> Look:
        window = watched(browser, site, **options)
        page = window.__enter__().new_page()
        open_ones.append(window)
        page.goto(site.address)
        arrived(page)
        looks.append(Look(page, name, touch=touch))
        return looks[-1]

    yield opened
    for window in open_ones:
        window.__exit__(None, None, None)
    problems = [problem for look in looks for problem in look.problems]
    assert problems == [], "\n".join(problems)


def open_marker(page: Page, at: int = -1) -> None:
    page.locator("#fn-chat a.fn-marker").nth(at).click()
    expect(page.locator(LIT).first).to_be_in_viewport()


def asked(page: Page, question: str) -> None:
    count = page.locator("#fn-chat .fn-footer").count()
    ask(page, question)
    answered(page, count + 1)


def walk(look: Look, site: Site, *, main: bool = False) -> None:
    """Every state of asking and reading, or the `main` ones."""
    page = look.page
    expect(page.locator("#fn-welcome h2")).to_be_visible()
    look("welcome")
    with slowly(site, 0.002 if main else 0.15):
        ask(page, TOLL)
        if not main:
            expect(page.locator(".fn-draft")).to_contain_text("Boats over")
            look("streaming")
        answered(page, 1)
    open_marker(page, 0)
    look("answer")
    if not main:
        page.locator("#fn-chat a.fn-marker").nth(1).hover()
        expect(page.locator("#fn-source-card")).to_be_visible()
        look("card", axe=False)
        page.mouse.move(5, 5)
    asked(page, "What does the keeper receive?")
    open_marker(page)
    image = page.locator("#fn-panel .fn-page img")
    image.scroll_into_view_if_needed()
    expect(image).to_have_js_property("complete", True)
    look("pdf")
    asked(page, "Who is the tenant of berth K21?")
    open_marker(page)
    look("table")
    fresh(page)
    asked(page, "Where do dragons sleep at night in Eastmere?")
    look("refusal")
    asked(page, "When was the clock tower of Eastmere built?")
    look("conflict")
    if main:
        return
    asked(page, "What is the toll for boats, and where do dragons sleep?")
    look("partial")
    site.writer.fails = ModelError("the model server does not answer: start it")
    try:
        ask(page, TOLL)
        expect(page.locator(".fn-failure")).to_be_visible()
    finally:
        site.writer.fails = None
    look("error")


def documents(look: Look) -> None:
    """The view of documents."""
    look.page.locator("#fn-tab-documents").click()
    expect(look.page.locator("#fn-documents")).to_contain_text("lighthouse.pdf")
    look("documents")


def test_light(visit: Callable[..., Look], site: Site) -> None:
    look = visit("light")
    page = look.page
    walk(look, site)
    fresh(page)
    asked(page, TOLL)
    page.locator("#fn-chat .fn-act-export").click()
    expect(page.locator(".fn-menu")).to_be_visible()
    look("menu")
    page.keyboard.press("Escape")
    page.locator("#fn-chat .fn-act-down").click()
    expect(page.locator("dialog")).to_be_visible()
    look("dialog")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    documents(look)
    row = page.locator("#fn-documents tr", has_text="lighthouse.pdf")
    row.get_by_role("button", name="Read").click()
    expect(page.get_by_text("Visitors climb the stairs").last).to_be_visible()
    look("read")


def test_dark(visit: Callable[..., Look], site: Site) -> None:
    look = visit("dark", color_scheme="dark")
    expect(look.page.locator("html")).to_have_class("dark fn-mounted")
    walk(look, site, main=True)
    documents(look)


def test_phone(visit: Callable[..., Look], site: Site) -> None:
    look = visit("phone", touch=True, **PHONE)
    page = look.page
    look("welcome")
    asked(page, TOLL)
    look("answer")
    page.locator("#fn-chat a.fn-marker").first.tap()
    expect(page.locator(LIT)).to_be_in_viewport()
    page.wait_for_timeout(300)  # the drawer slides in
    look("panel")
    page.locator("[data-do='sources.back']").tap()
    expect(page.locator("body")).not_to_have_class("fn-panel-open")
    page.locator("#fn-open-sidebar").tap()
    expect(page.locator("#fn-sidebar a.fn-chat-link").first).to_be_in_viewport()
    page.wait_for_timeout(300)
    look("sidebar")
    page.locator("#fn-veil").click(position={"x": 380, "y": 400})
    expect(page.locator("#fn-sidebar")).not_to_be_in_viewport()
    asked(page, "When was the clock tower of Eastmere built?")
    look("conflict")
    documents(look)


def test_ukrainian(visit: Callable[..., Look], site: Site) -> None:
    look = visit("uk", locale="uk-UA")
    page = look.page
    expect(page.locator("#fn-tab-ask")).to_have_text("Запитати")
    look("welcome")
    asked(page, TOLL)
    open_marker(page)
    look("answer")
    asked(page, "Where do dragons sleep at night in Eastmere?")
    look("refusal")
    documents(look)


def test_text_twice_as_large(visit: Callable[..., Look], site: Site) -> None:
    look = visit("large")
    look.page.add_style_tag(content="html { font-size: 200% !important; }")
    look("welcome", axe=False)
    asked(look.page, TOLL)
    open_marker(look.page)
    expect(look.page.locator("#fn-box textarea")).to_be_in_viewport()
    look("answer", axe=False)
    documents(look)


@pytest.mark.parametrize("size", ["wide", "phone"])
def test_right_to_left(visit: Callable[..., Look], size: str) -> None:
    look = visit(f"rtl-{size}", **(PHONE if size == "phone" else {}))
    page = look.page
    page.evaluate("() => { document.documentElement.dir = 'rtl'; }")
    asked(page, TOLL)
    page.locator("#fn-chat a.fn-marker").first.click()
    expect(page.locator(LIT)).to_be_in_viewport()
    page.wait_for_timeout(300)
    look("answer", axe=False)
    page.locator("[data-do='sources.back']").click()
    if size == "wide":
        edges = [
            page.locator(one).bounding_box() for one in ("#fn-panel", "gradio-app", "#fn-sidebar")
        ]
        for left, right in zip(edges, edges[1:], strict=False):
            assert left and right and left["x"] + left["width"] <= right["x"] + 1
    else:
        page.locator("#fn-open-sidebar").click()
        expect(page.locator("#fn-sidebar a.fn-chat-link").first).to_be_in_viewport()
        page.wait_for_timeout(300)
        look("sidebar", axe=False)


FOCUSED = """() => {
  const one = document.activeElement;
  const lit = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const parts = [one, ...one.querySelectorAll("*")].map((part) => getComputedStyle(part));
  const box = one.closest("#fn-box");
  const accent = box && getComputedStyle(box).borderTopColor !== "rgb(219, 226, 232)";
  const name = one === document.body ? "BODY" : one.id || one.className || one.tagName;
  return { name, visible: parts.some(lit) || Boolean(accent) };
}"""


def test_everything_is_reached_by_keyboard_alone(visit: Callable[..., Look]) -> None:
    page = visit("keyboard").page
    expect(page.locator("#fn-box textarea")).to_be_focused()
    page.keyboard.type(TOLL)
    page.keyboard.press("Enter")
    answered(page, 1)
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUSED)
        if now["name"] != "BODY":
            assert now["visible"], now
        seen.append(now["name"])
    for wanted in (
        *("fn-marker", "fn-act-copy", "fn-act-down", "fn-collection", "fn-tab-documents"),
        *("fn-language", "fn-theme", "fn-chats-new", "fn-chats-search", "fn-chat-link"),
        *("fn-chat-menu", "fn-skip"),
    ):
        assert any(wanted in one for one in seen), (wanted, seen)
    box = page.locator("#fn-box textarea")
    while not box.evaluate("one => one === document.activeElement"):
        page.keyboard.press("Tab")
    page.locator("#fn-tab-documents").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#fn-documents")).to_be_visible()
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED)["visible"], page.evaluate(FOCUSED)


PAINTED = """() => {
  const look = () => {
    const shown = ["#fn-header", "#fn-sidebar", "#fn-early, #fn-box"].every((name) => {
      const one = document.querySelector(name);
      return one && one.getBoundingClientRect().height > 10;
    });
    if (shown) requestAnimationFrame(() => performance.mark("fn-usable"));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def test_the_page_is_of_use_at_once(browser: Browser, site: Site) -> None:
    with watched(browser, site) as context:
        page = context.new_page()
        page.add_init_script(f"({PAINTED})()")
        took = []
        for _ in range(3):
            page.goto(site.address)
            arrived(page)
            took.append(
                page.evaluate("() => performance.getEntriesByName('fn-usable')[0].startTime")
            )
    print("header, sidebar and question box after", [f"{one:.0f} ms" for one in took])
    assert min(took) <= 1500


def test_a_server_that_is_gone_is_said_so(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("offline")
    with start_site(folder, documents={"mill": OTHER}) as site:
        with watched(browser, site) as context:
            page = context.new_page()
            page.goto(site.address)
            arrived(page)
            asked(page, "What does the mill of Westmere grind?")
            site.stop()
            page.locator("[data-do='conversations.new']").click()
            expect(page.locator("#fn-offline")).to_be_visible()
            look = Look(page, "offline")
            look("banner")
            assert look.problems == []
