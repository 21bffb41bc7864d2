"""Asking and reading in a real browser: what a reader does in a day, on real files of every format.

Screenshots and accessibility are in test_chat_looks.py.
"""

from __future__ import annotations

import re
import statistics

import pytest
from chatsite import (
    DRAGONS,
    KEEPER,
    LIT,
    REGISTER,
    TOLL,
    Site,
    act,
    answered,
    arrived,
    ask,
    marker,
    slowly,
    watched,
)
from playwright.sync_api import Browser, Page, expect

from rag.errors import ModelError

pytestmark = pytest.mark.browser


# --- An answer comes


RECORDER = """() => {
  const seen = window.seen = { stages: [], drafts: [], tops: [] };
  const look = () => {
    const stage = document.querySelector("#fn-chat .fn-stage")?.textContent;
    if (stage && stage !== seen.stages.at(-1)) seen.stages.push(stage);
    const draft = document.querySelector("#fn-chat .fn-draft")?.textContent.length;
    if (draft && draft !== seen.drafts.at(-1)) seen.drafts.push(draft);
    const question = document.querySelector("#fn-chat .fn-question");
    if (question) seen.tops.push(Math.round(question.getBoundingClientRect().top));
    if (!window.enough) requestAnimationFrame(look);
  };
  look();
}"""


def test_an_answer_comes_in_stages_and_nothing_jumps(reading: Page, site: Site) -> None:
    page = reading
    page.evaluate(RECORDER)
    with slowly(site, 0.08):
        ask(page, TOLL)
        expect(page.locator("#fn-chat .fn-draft")).to_contain_text("twelve metres")
        expect(page.locator("#fn-chat .fn-stage")).to_have_text("Writing")
        expect(page.locator("#fn-box .stop-button")).to_be_visible()
        answered(page, 1)
    page.evaluate("() => { window.enough = true; }")
    expect(page.locator("#fn-chat :is(.fn-draft, .fn-stage)")).to_have_count(0)
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("a toll of nine crowns.")
    expect(page.locator("#fn-chat .fn-footer")).to_contain_text("2 of 2 statements supported")
    expect(page.locator("#fn-chat .fn-confidence")).to_have_text(
        re.compile(r"Confidence: (high|fair|low), \d+%")
    )
    seen = page.evaluate("() => window.seen")
    assert len(seen["drafts"]) >= 5 and seen["drafts"] == sorted(seen["drafts"]), seen["drafts"]
    assert any(one.startswith("Reading") for one in seen["stages"]), seen["stages"]
    assert seen["stages"][-1] in ("Writing", "Checking every sentence against its sources")
    assert max(seen["tops"]) - min(seen["tops"]) <= 1, sorted(set(seen["tops"]))


def test_stop_ends_the_model_and_leaves_an_unchecked_draft(reading: Page, site: Site) -> None:
    page = reading
    with slowly(site):
        ask(page, REGISTER)
        expect(page.locator(".fn-draft")).to_contain_text("blue ledger")
        page.locator("#fn-box .stop-button").click()
        expect(page.locator(".fn-notice")).to_contain_text("Nothing here was checked")
        assert site.writer.closed.wait(5)
        written = site.writer.written["register"]
        expect(page.locator(".fn-draft")).to_contain_text("blue ledger")
        expect(page.locator("#fn-chat a.fn-marker")).to_have_count(0)
        expect(page.locator("#fn-box .submit-button")).to_be_visible()
    assert site.writer.written["register"] == written
    act(page, "again").click()
    answered(page, 1)
    expect(page.locator(".fn-question")).to_have_count(1)
    expect(page.locator(".fn-draft")).to_have_count(0)


def test_a_reload_takes_up_the_running_answer(page: Page, site: Site) -> None:
    with slowly(site):
        ask(page, TOLL)
        expect(page.locator(".fn-draft")).to_contain_text("Boats")
        page.reload()
        expect(page.locator("#fn-chat .fn-question")).to_have_text(TOLL)
        expect(page.locator("#fn-box .stop-button, #fn-chat .fn-footer").first).to_be_visible()
        answered(page, 1)
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("nine crowns")
    expect(page.locator(".fn-question")).to_have_count(1)


@pytest.mark.parametrize("press", [True, False], ids=["sent", "typed"])
def test_what_is_typed_before_the_chat_has_loaded_is_kept(
    browser: Browser, site: Site, press: bool
) -> None:
    with watched(browser, site) as context:
        page = context.new_page()
        page.goto(site.address, wait_until="commit")
        page.locator("#fn-early").fill(TOLL)
        if press:
            page.locator("#fn-early").press("Enter")
            answered(page, 1)
            expect(page.locator(".fn-question")).to_have_text(TOLL)
        else:
            arrived(page)
            expect(page.locator("#fn-box textarea")).to_have_value(TOLL)
            expect(page.locator("#fn-box textarea")).to_be_focused()


def test_a_failure_says_why_and_can_be_tried_again(reading: Page, site: Site) -> None:
    page = reading
    site.writer.fails = ModelError("the model server at http://10.0.0.7 does not answer: start it")
    try:
        ask(page, TOLL)
        expect(page.locator(".fn-failure")).to_contain_text("does not answer: start it")
        site.writer.fails = RuntimeError("secret detail")
        act(page, "again").click()
        expect(page.locator(".fn-failure")).to_contain_text("terminal")
        expect(page.locator("body")).not_to_contain_text("secret detail")
    finally:
        site.writer.fails = None
    act(page, "again").click()
    answered(page, 1)
    expect(page.locator(".fn-failure")).to_have_count(0)


# --- Kinds of answers


def test_a_refusal_shows_the_closest_passages_instead_of_an_answer(reading: Page) -> None:
    page = reading
    ask(page, DRAGONS)
    answered(page, 1)
    expect(page.locator(".fn-refusal")).to_contain_text("The documents do not say")
    expect(page.locator("#fn-chat")).not_to_contain_text("marmalade")
    expect(page.locator("#fn-chat a.fn-marker")).to_have_count(0)
    page.locator("a.fn-passage").first.click()
    expect(page.locator("#fn-panel .fn-here")).to_be_in_viewport()
    expect(page.locator("#fn-panel h2")).to_have_text("Closest passages")


def test_the_half_that_is_not_there_is_named(reading: Page) -> None:
    page = reading
    ask(page, "What is the toll for boats, and where do dragons sleep?")
    answered(page, 1)
    expect(page.locator(".fn-answer")).to_contain_text("nine crowns")
    expect(page.locator(".fn-missing")).to_contain_text("Where do dragons sleep?")


def test_sources_that_differ_stand_side_by_side(reading: Page) -> None:
    page = reading
    ask(page, "When was the clock tower of Eastmere built?")
    answered(page, 1)
    sides = page.locator("#fn-chat .fn-side")
    expect(sides).to_have_count(2)
    expect(sides.nth(0)).to_contain_text("New town guide · 2015-02-01")
    expect(sides.nth(1)).to_contain_text("Town guide · 1990-05-01")
    sides.nth(1).locator("a.fn-marker").click()
    expect(page.locator(LIT)).to_have_text("The clock tower of Eastmere was built in 1856.")


def test_a_follow_up_shows_how_it_was_understood(reading: Page) -> None:
    page = reading
    ask(page, TOLL)
    answered(page, 1)
    ask(page, "And who gets it?")
    answered(page, 2)
    expect(page.locator(".fn-understood")).to_have_text(re.compile("Understood as: “.*toll.*”"))


# --- Sources


FORMATS = {
    "txt": ("Who sells hemp rope?", "notices.txt", "hemp rope on Saturdays"),
    "md": (TOLL, "harbour.md", "a toll of nine crowns."),
    "csv": ("Who is the tenant of berth K21?", "berths.csv", "Orla Finch"),
    "html": ("What did the council raise the mooring fee to?", "council.html", "fifteen crowns."),
    "docx": ("What licence has Mira Sand?", "crew.docx", "Night pilotage"),
    "pptx": ("How much does the new crane lift?", "plan.pptx", "lifts eighty tonnes."),
    "xlsx": ("How much did tugboat fuel cost in 2024?", "budget.xlsx", "912"),
    "pdf": (KEEPER, "lighthouse.pdf", "forty crowns a year."),
    "eml": ("What did the storm sink at the fuel jetty?", "storm.eml", "the dinghy Petrel"),
}
LIT_PIXELS = """image => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let lit = 0;
  for (let at = 0; at < data.length; at += 4) lit += data[at] > 230 && data[at + 2] < 200 ? 1 : 0;
  return lit;
}"""


@pytest.mark.parametrize("kind", FORMATS)
def test_a_marker_opens_the_exact_words(reading: Page, kind: str) -> None:
    page = reading
    question, document, words = FORMATS[kind]
    ask(page, question)
    answered(page, 1)
    marker(page).click()
    panel = page.locator("#fn-panel")
    lit = page.locator(LIT).filter(has_text=words)
    expect(lit.first).to_be_in_viewport()
    expect(panel.locator(".fn-facts").first).to_contain_text(document)
    # The page itself has not moved: only the panel scrolls.
    assert page.evaluate(
        "() => [scrollY, document.documentElement.scrollHeight <= innerHeight]"
    ) == [
        0,
        True,
    ]
    if kind in ("csv", "docx", "xlsx"):
        row = panel.locator("tr.fn-row-lit").filter(has_text=words)
        expect(row).to_have_count(1)
        expect(row.locator("td mark.fn-lit").filter(has_text=words)).to_have_count(1)
        expect(panel.locator("thead th").first).to_have_text(
            {"csv": "Berth", "docx": "Pilot", "xlsx": "Post"}[kind]
        )
    if kind == "pptx":
        expect(panel).to_contain_text("slide 2")
    if kind == "pdf":
        expect(panel).to_contain_text("page 2")
        image = panel.locator(".fn-page img")
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("one => one.naturalWidth") > 0
        assert image.evaluate(LIT_PIXELS) > 500


def test_hover_and_focus_show_the_quote(reading: Page) -> None:
    page = reading
    ask(page, TOLL)
    answered(page, 1)
    card = page.locator("#fn-source-card")
    expect(card).to_be_hidden()
    marker(page).hover()
    expect(card).to_contain_text("Boats over twelve metres pay a toll of nine crowns.")
    expect(card).to_contain_text("Harbour rules")
    page.mouse.move(5, 5)
    expect(card).to_be_hidden()
    page.keyboard.press("Shift+Tab")
    marker(page, 1).focus()
    expect(card).to_contain_text("The harbour of Eastmere opened in 1887.")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()


def test_a_quote_is_copied_and_its_document_opened(browser: Browser, site: Site) -> None:
    """Also where the browser has no clipboard, as over plain http; and no card hides a phone's text."""
    with watched(browser, site, viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined });")
        page.goto(site.address)
        arrived(page)
        ask(page, TOLL)
        answered(page, 1)
        expect(page.locator("#fn-panel .fn-anchor")).to_have_count(2)  # at hand for a card
        marker(page).hover()
        expect(page.locator("#fn-source-card")).to_be_hidden()
        marker(page).click()
        page.locator("#fn-panel [data-do='sources.copy']").first.click()
        expect(page.locator(".fn-toast")).to_have_text("Copied")
        page.locator("#fn-panel [data-do='sources.read']").first.click()
        expect(page.locator("#fn-documents .fn-reader h2")).to_be_focused()
        expect(page.locator("#fn-documents .fn-reader h2")).to_have_text("Harbour rules")


def test_sources_are_walked_by_keyboard(reading: Page) -> None:
    page = reading
    ask(page, TOLL)
    answered(page, 1)
    marker(page).focus()
    page.keyboard.press("Enter")
    first, second = "Boats over twelve metres", "The harbour of Eastmere opened"
    at = page.locator("#fn-panel .fn-sources-at")
    expect(page.locator(LIT)).to_contain_text(first)
    expect(page.locator("#fn-panel .fn-here")).to_be_focused()
    expect(at).to_have_text("1 of 2")
    page.keyboard.press("]")
    expect(page.locator(LIT)).to_contain_text(second)
    expect(at).to_have_text("2 of 2")
    expect(marker(page, 1)).to_have_class(re.compile("fn-open"))
    page.keyboard.press("[")
    expect(page.locator(LIT)).to_contain_text(first)
    page.keyboard.press("ArrowRight")
    expect(page.locator(LIT)).to_contain_text(second)
    page.keyboard.press("Escape")
    expect(marker(page, 1)).to_be_focused()


def test_an_older_answers_marker_opens_its_own_source(reading: Page) -> None:
    page = reading
    ask(page, TOLL)
    answered(page, 1)
    ask(page, KEEPER)
    answered(page, 2)
    expect(page.locator("#fn-panel .fn-asked")).to_have_text(KEEPER)
    marker(page).click()
    expect(page.locator(LIT)).to_contain_text("Boats over twelve metres")
    expect(page.locator("#fn-panel .fn-asked")).to_have_text(TOLL)
    page.keyboard.press("Escape")
    expect(marker(page)).to_be_focused()
    marker(page, -1).click()
    expect(page.locator(LIT)).to_contain_text("forty crowns")


def test_a_click_highlights_at_once(reading: Page) -> None:
    """At most 150 ms from the click to the highlight, in the middle of ten."""
    page = reading
    ask(page, TOLL)
    answered(page, 1)
    ask(page, "Who sells hemp rope?")
    answered(page, 2)
    for at in range(10):
        marker(page, at % 3).click()
        expect(page.locator(LIT).first).to_be_in_viewport()
    took = page.evaluate(
        "() => performance.getEntriesByName('fn-source-open').map(one => one.duration)"
    )
    assert len(took) >= 10
    print(f"click to highlight: median {statistics.median(took):.0f} ms, most {max(took):.0f} ms")
    took = took[-10:]
    assert statistics.median(took) <= 150
