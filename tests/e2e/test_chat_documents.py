"""Documents in a real browser: brought in, found unreadable, asked, read, deleted, looked at again."""

from __future__ import annotations

import re

import pytest
from chatsite import Site, answered, ask, shoot
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

GOOD = {
    "name": "ferry.txt",
    "mimeType": "text/plain",
    "buffer": b"The ferry to the isle costs eleven crowns.\n",
}
BAD = {"name": "torn.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 and no more"}
EMPTY = {"name": "empty.txt", "mimeType": "text/plain", "buffer": b""}
UNKNOWN = {"name": "tool.exe", "mimeType": "application/octet-stream", "buffer": b"MZ"}


@pytest.fixture
def documents(page: Page) -> Page:
    """The view of documents of a new, empty collection."""
    page.locator("#fn-tab-documents").click()
    page.get_by_role("button", name="New collection").click()
    name = f"boats-{page.evaluate('() => Date.now()')}"
    page.locator("dialog input[type=text]").fill(name)
    page.locator("dialog button[value=ok]").click()
    expect(page.locator("#fn-documents h1, #fn-documents h2").first).to_have_text(name)
    return page


def test_files_come_in_and_each_that_fails_says_why(documents: Page, site: Site) -> None:
    page = documents
    page.locator("#fn-documents input[type=file]").set_input_files([GOOD, BAD, EMPTY, UNKNOWN])
    lines = page.locator(".fn-docs-uploads li")
    expect(lines.filter(has_text="empty.txt")).to_contain_text("empty")
    expect(lines.filter(has_text="tool.exe")).to_contain_text(re.compile("type", re.IGNORECASE))
    good = page.locator("#fn-documents tr", has_text="ferry.txt")
    expect(good).to_contain_text("ready")
    bad = page.locator("#fn-documents tr", has_text="torn.pdf")
    expect(bad).to_contain_text("cut short")
    shoot(page, "documents-uploaded")
    assert [one.name for one in site.services.library.uploads(_collection(page))] == [
        "ferry.txt",
        "torn.pdf",
    ]


def test_an_upload_is_dropped_read_and_deleted(documents: Page, site: Site) -> None:
    page = documents
    drop(page, "ferry.txt", "The ferry to the isle costs eleven crowns.")
    row = page.locator("#fn-documents tr", has_text="ferry.txt")
    expect(row).to_contain_text("ready")
    row.get_by_role("button", name="Read").click()
    expect(page.locator("#fn-documents")).to_contain_text("The ferry to the isle costs eleven")
    page.get_by_role("button", name="Back to the list").click()
    row.get_by_role("button", name="Delete").click()
    page.locator("dialog button[value=ok]").click()
    expect(row).to_have_count(0)
    assert site.services.library.uploads(_collection(page)) == []


def test_changes_in_the_folder_are_found_and_named(page: Page, site: Site) -> None:
    (folder,) = site.services.library.sources("mill")
    page.locator("#fn-collection").select_option("mill")
    page.locator("#fn-tab-documents").click()
    expect(page.locator("#fn-documents tbody tr").first).to_be_visible()
    (folder / "sluice.txt").write_text("The sluice is opened by Tom Reed.\n")
    page.get_by_role("button", name="Look for changes").click()
    expect(page.locator("#fn-documents tr", has_text="sluice.txt")).to_contain_text("ready")
    expect(page.locator("#fn-documents")).to_contain_text(re.compile("added", re.IGNORECASE))
    (folder / "sluice.txt").unlink()
    page.get_by_role("button", name="Look for changes").click()
    expect(page.locator("#fn-documents tbody tr", has_text="sluice.txt")).to_have_count(0)
    page.locator("#fn-tab-ask").click()
    ask(page, "What does the mill of Westmere grind?")
    answered(page, 1)
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("barley")


def drop(page: Page, name: str, text: str) -> None:
    """Drop a file onto the view, as from the desktop."""
    page.evaluate(
        """([name, text]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([text], name, { type: "text/plain" }));
          const zone = document.querySelector("#fn-documents .fn-docs-drop, #fn-documents");
          const event = { dataTransfer: carried, bubbles: true, cancelable: true };
          for (const kind of ["dragenter", "dragover", "drop"])
            zone.dispatchEvent(new DragEvent(kind, event));
        }""",
        [name, text],
    )


def _collection(page: Page) -> str:
    return str(page.evaluate("() => fn.state.collection"))
