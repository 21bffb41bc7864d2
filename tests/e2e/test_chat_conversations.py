"""Conversations, collections and people's opinions in a real browser: what is kept, and found again."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import docx
import pytest
from chatsite import (
    KEEPER,
    LIT,
    REGISTER,
    TOLL,
    Site,
    act,
    answered,
    arrived,
    ask,
    fresh,
    marker,
    shoot,
    slowly,
    start_site,
    turn_of,
    violations,
    watched,
)
from playwright.sync_api import Browser, Locator, Page, expect

from ui.guard import CONTENT_SECURITY_POLICY
from ui.people import OWNER

pytestmark = pytest.mark.browser


# --- Conversations


def chats(page: Page) -> Locator:
    return page.locator("#fn-sidebar a.fn-chat-link")


def test_conversations_are_listed_opened_found_renamed_and_deleted(
    browser: Browser, tmp_path: Path
) -> None:
    with start_site(tmp_path) as site, watched(browser, site) as context:
        page = context.new_page()
        page.goto(site.address)
        arrived(page)
        ask(page, TOLL)
        answered(page, 1)
        first = page.url
        assert "?c=" in first
        fresh(page)
        expect(page.locator("#fn-welcome")).to_be_visible()
        assert page.url.rstrip("/") == site.address
        ask(page, KEEPER)
        answered(page, 1)
        second = page.url
        expect(chats(page)).to_have_text([KEEPER, TOLL])
        expect(page.locator("#fn-sidebar [aria-current=page]")).to_have_text(KEEPER)

        chats(page).last.click()
        expect(page.locator(".fn-question")).to_have_text(TOLL)
        expect(page.locator("#fn-sidebar [aria-current=page]")).to_have_text(TOLL)
        assert page.url == first
        marker(page).click()
        expect(page.locator(LIT)).to_contain_text("Boats over")
        page.go_back()
        expect(page.locator(".fn-question")).to_have_text(KEEPER)
        assert page.url == second
        other = context.new_page()
        other.goto(first)
        expect(other.locator(".fn-question")).to_have_text(TOLL)
        expect(other.locator("#fn-chat .fn-footer")).to_have_count(1)
        other.close()

        search = page.locator("#fn-chats-search")
        search.fill("nine crowns")  # stands in the answer, not in the title
        expect(chats(page)).to_have_text([TOLL])
        search.fill("zebra")
        expect(page.locator("#fn-chats")).to_contain_text("No conversation holds")
        search.fill("")
        expect(chats(page)).to_have_count(2)

        page.locator(".fn-chat-menu").first.click()
        page.get_by_role("menuitem", name="Rename").click()
        page.locator("dialog input[name=title]").fill("Pay <b>of</b> keepers")
        page.locator("dialog button[value=ok]").click()
        expect(chats(page).first).to_have_text("Pay <b>of</b> keepers")
        page.locator(".fn-chat-menu").first.click()
        page.get_by_role("menuitem", name="Delete").click()
        expect(page.locator("dialog")).to_contain_text("can't be undone")
        page.locator("dialog button[value=ok]").click()
        expect(chats(page)).to_have_text([TOLL])
        expect(page.locator("#fn-welcome")).to_be_visible()  # it was the one that was open
        assert [one.title for one in site.services.history.conversations(OWNER.name)] == [TOLL]
        gone = context.new_page()
        gone.goto(second)
        arrived(gone)
        expect(gone.locator(".fn-question")).to_have_count(0)


def test_a_new_conversation_starts_clean_while_another_is_answered(
    reading: Page, site: Site
) -> None:
    page = reading
    with slowly(site, 0.02):
        ask(page, REGISTER)
        expect(page.locator(".fn-draft")).to_contain_text("blue ledger")
        page.locator("[data-do='conversations.new']").click()
        expect(page.locator(".fn-question")).to_have_count(0)
        page.wait_for_timeout(600)  # what the older one still sends must not come back
        expect(page.locator(".fn-question")).to_have_count(0)
        ask(page, KEEPER)
        answered(page, 1)
    expect(page.locator(".fn-question")).to_have_text([KEEPER])
    page.go_back()
    expect(page.locator(".fn-question")).to_have_text([REGISTER])
    answered(page, 1)


def test_editing_replaces_what_follows(reading: Page) -> None:
    page = reading
    ask(page, TOLL)
    answered(page, 1)
    ask(page, KEEPER)
    answered(page, 2)
    act(page, "edit", 0).click()
    box = page.locator("#fn-box textarea")
    expect(box).to_have_value(TOLL)
    expect(box).to_be_focused()
    expect(page.locator("#fn-chips")).to_contain_text("Replaces the earlier question")
    page.locator("#fn-chips button").click()  # put aside
    expect(box).to_have_value("")
    act(page, "edit", 0).click()
    expect(box).to_have_value(TOLL)
    box.fill("Who sells hemp rope?")
    box.press("Enter")
    expect(page.locator(".fn-question")).to_have_text(["Who sells hemp rope?"])
    answered(page, 1)
    expect(page.locator("#fn-chips")).to_be_empty()
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("Piet Vos")


def test_asked_again_the_last_is_replaced(reading: Page, site: Site) -> None:
    page = reading
    ask(page, TOLL)
    answered(page, 1)
    before = turn_of(page)
    act(page, "again").click()
    expect(page.locator(f"#fn-chat [value='again:{before}']")).to_have_count(0)
    answered(page, 1)
    expect(page.locator(".fn-question")).to_have_text([TOLL])


# --- Taking it elsewhere


def test_copy_export_and_share(browser: Browser, site: Site) -> None:
    with watched(browser, site, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(site.address)
        arrived(page)
        ask(page, TOLL)
        answered(page, 1)

        act(page, "copy").click()
        expect(page.locator(".fn-toast")).to_contain_text("Copied")
        copied = page.evaluate("() => navigator.clipboard.readText()")
        assert "a toll of nine crowns" in copied and "[1]" in copied and "Harbour rules" in copied

        files = {}
        for kind, label in (("md", "Markdown"), ("docx", "Word"), ("json", "JSON")):
            act(page, "export").click()
            with page.expect_download() as download:
                page.get_by_role("menuitem", name=label).click()
            assert download.value.suggested_filename.endswith(f".{kind}")
            files[kind] = Path(download.value.path()).read_bytes()
        assert b"nine crowns" in files["md"]
        read = docx.Document(io.BytesIO(files["docx"]))
        assert any("nine crowns" in one.text for one in read.paragraphs)
        assert "nine crowns" in json.dumps(json.loads(files["json"]))

        act(page, "link").click()
        expect(page.locator(".fn-toast").last).to_contain_text("link was copied")
        link = page.evaluate("() => navigator.clipboard.readText()")
        assert link.startswith(f"{site.address}/answer/")
        other = context.new_page()
        other.goto(link)
        expect(other.locator("h1")).to_have_text(TOLL)
        text = page.locator("#fn-chat .fn-answer").text_content()
        assert text
        expect(other.locator(".fn-answer")).to_have_text(text)
        other.locator("a.fn-marker").first.click()
        expect(other.locator("mark.fn-lit")).to_contain_text("Boats over twelve metres")
        shoot(other, "shared")
        assert violations(other) == []


def test_an_opinion_is_kept_with_its_reason(page: Page, site: Site) -> None:
    ask(page, TOLL)
    answered(page, 1)
    turn = turn_of(page)
    act(page, "up").click()
    expect(act(page, "up")).to_have_attribute("aria-pressed", "true")
    given = site.services.feedback.of(OWNER.name, turn)
    assert given and given.verdict == "up"
    act(page, "down").click()
    page.get_by_label("It is incomplete").check()
    page.locator("dialog textarea").fill("Ten crowns <script>window.hacked=1</script>")
    page.locator("dialog button[value=ok]").click()
    expect(act(page, "down")).to_have_attribute("aria-pressed", "true")
    expect(act(page, "up")).to_have_attribute("aria-pressed", "false")
    given = site.services.feedback.of(OWNER.name, turn)
    assert given and (given.verdict, given.reason) == ("down", "incomplete")
    assert given.correction == "Ten crowns <script>window.hacked=1</script>"
    page.reload()
    expect(act(page, "down")).to_have_attribute("aria-pressed", "true")


# --- What is asked


def test_a_document_alone_can_be_asked(page: Page) -> None:
    page.locator("#fn-tab-documents").click()
    row = page.locator("#fn-documents tr", has_text="lighthouse.pdf")
    row.get_by_role("button", name="Ask only this one").click()
    chip = page.locator("#fn-chips .fn-chip")
    expect(chip).to_contain_text("lighthouse.pdf")
    ask(page, "How much does the new crane lift?")
    answered(page, 1)
    expect(page.locator("#fn-chat .fn-refusal")).to_be_visible()
    expect(page.locator("#fn-panel")).not_to_contain_text("plan.pptx")
    chip.locator("button").click()
    expect(chip).to_have_count(0)
    ask(page, "How much does the new crane lift?")
    answered(page, 2)
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("eighty tonnes")


def test_each_collection_answers_for_itself(page: Page) -> None:
    page.locator("#fn-collection").select_option("mill")
    ask(page, "What does the mill of Westmere grind?")
    answered(page, 1)
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("barley")
    page.locator("#fn-collection").select_option("harbour")
    expect(page.locator(".fn-question")).to_have_count(0)  # a conversation has one collection
    ask(page, "What does the mill of Westmere grind?")
    answered(page, 1)
    expect(page.locator("#fn-chat .fn-refusal")).to_be_visible()
    page.go_back()
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("barley")
    expect(page.locator("#fn-collection")).to_have_value("mill")


def test_a_suggestion_is_asked_by_a_click(page: Page, site: Site) -> None:
    deadline = time.monotonic() + 60
    with site.services.library.view("harbour") as collection:
        while not site.services.suggestions.of(collection):  # made while nobody asks
            assert time.monotonic() < deadline
            page.wait_for_timeout(200)
    page.reload()
    offered = page.locator(".fn-suggestion").first
    question = offered.inner_text()
    offered.click()
    expect(page.locator(".fn-question")).to_have_text(question)
    answered(page, 1)
    expect(page.locator("#fn-chat a.fn-marker").first).to_be_visible()
    expect(page.locator("#fn-welcome")).to_be_hidden()


def test_the_page_speaks_ukrainian_and_english(page: Page) -> None:
    page.locator("#fn-language").select_option("uk")
    expect(page.locator("html")).to_have_attribute("lang", "uk")
    expect(page.locator("#fn-tab-documents")).to_have_text("Документи")
    arrived(page)
    ask(page, TOLL)
    answered(page, 1)
    expect(page.locator("#fn-chat .fn-footer")).to_contain_text("Підтверджено 2 з 2 тверджень")
    expect(page.locator("#fn-panel h2")).to_have_text("Джерела")
    page.locator("#fn-language").select_option("en")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#fn-chat .fn-footer")).to_contain_text("2 of 2 statements supported")


def test_two_readers_at_once_are_both_answered(page: Page, site: Site) -> None:
    other = page.context.new_page()
    other.goto(site.address)
    arrived(other)
    ask(page, TOLL)
    ask(other, KEEPER)
    answered(page, 1)
    answered(other, 1)
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("nine crowns")
    expect(other.locator("#fn-chat .fn-answer")).to_contain_text("forty crowns")


def test_the_page_comes_with_its_policy(page: Page, site: Site) -> None:
    response = page.context.request.get(site.address)
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe-eval" not in CONTENT_SECURITY_POLICY
