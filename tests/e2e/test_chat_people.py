"""Accounts in a real browser: logging in and out, two people at once, rights that end."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from chatsite import Site, answered, arrived, ask, shoot, start_site, turn_of, violations, watched
from papers import HARBOUR, OTHER
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ui.people import People
from ui.sessions import COOKIE

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
VAULT = {"wages.md": "# Wages\n\nThe keeper receives forty crowns a year.\n"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("people")
    people = People(folder / "indexes" / ".chat" / "people.json", hasher=QUICK)
    people.add("anna", PASSWORD, "admin")
    people.add("erik", PASSWORD, "editor", ["hr"])
    people.add("rita", PASSWORD, "reader")
    people.restrict("vault", ["hr"])
    collections = {"harbour": HARBOUR, "mill": OTHER, "vault": VAULT}
    with start_site(folder, documents=collections) as running:
        yield running


def enter(context: BrowserContext, site: Site, name: str, path: str = "/") -> Page:
    """The chat, opened by somebody whose session has begun already."""
    token = site.services.sessions.begin(name)
    context.add_cookies([{"name": COOKIE, "value": token, "url": site.address}])
    page = context.new_page()
    page.goto(site.address + path)
    if path == "/":
        arrived(page)
        expect(page.locator("#fn-person")).to_contain_text(name)
    return page


@contextlib.contextmanager
def entered(browser: Browser, site: Site, name: str) -> Iterator[Page]:
    with watched(browser, site) as context:
        yield enter(context, site, name)


def log_in(page: Page, name: str, password: str) -> None:
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit], form button").first.click()


def test_logging_in_and_out(browser: Browser, site: Site) -> None:
    with watched(browser, site) as context:
        page = context.new_page()
        page.goto(f"{site.address}/?c=unknown")
        expect(page).to_have_url(re.compile(r"/login\?next="))
        log_in(page, "rita", "not the password")
        expect(page.locator("[role=alert]")).to_be_visible()
        shoot(page, "login")
        assert violations(page) == []
        assert context.cookies() == []
        log_in(page, "Rita", PASSWORD)
        expect(page).to_have_url(f"{site.address}/?c=unknown")  # where they wanted to go
        arrived(page)
        expect(page.locator("#fn-person")).to_contain_text("rita")
        (cookie,) = [one for one in context.cookies() if one["name"] == COOKIE]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        page.locator("#fn-person button").click()
        expect(page).to_have_url(re.compile("/login"))
        page.goto(site.address)
        expect(page).to_have_url(re.compile("/login"))
        assert site.services.sessions.name_of(cookie["value"]) is None


def test_guessing_is_slowed_down(browser: Browser, site: Site) -> None:
    with watched(browser, site) as context:
        page = context.new_page()
        page.goto(f"{site.address}/login")
        for _ in range(6):
            log_in(page, "nobody-known", "a wrong password")
            expect(page.locator("[role=alert]")).to_be_visible()
        slowed = page.locator("[role=alert]").inner_text()
        page.locator("input[name=name]").fill("nobody-known")
        page.locator("input[name=password]").fill("another wrong one")
        with page.expect_response(lambda one: one.url.endswith("/login")) as caught:
            page.locator("form button").first.click()
        assert caught.value.status == 429
        assert re.search(r"\d|later|wait", slowed, re.IGNORECASE), slowed


def test_two_people_at_once_see_their_own(browser: Browser, site: Site) -> None:
    with entered(browser, site, "erik") as erik, entered(browser, site, "rita") as rita:
        names = (
            "() => [...document.querySelectorAll('#fn-collection option')].map((one) => one.value)"
        )
        assert erik.evaluate(names) == ["harbour", "mill", "vault"]
        assert rita.evaluate(names) == ["harbour", "mill"]
        erik.evaluate("() => fn.setCollection('vault')")
        ask(erik, "What does the keeper receive?")
        ask(rita, "What is the toll for boats?")
        answered(erik, 1)
        answered(rita, 1)
        expect(erik.locator("#fn-chat .fn-answer")).to_contain_text("forty crowns")
        expect(rita.locator("#fn-chat .fn-answer")).to_contain_text("nine crowns")
        for page, mine, other in ((erik, "keeper", "toll"), (rita, "toll", "keeper")):
            expect(page.locator("#fn-chats .fn-chat")).to_have_count(1)
            expect(page.locator("#fn-sidebar")).to_contain_text(mine)
            for part in ("#fn-sidebar", "#fn-chat", "#fn-panel"):
                expect(page.locator(part)).not_to_contain_text(other)
        turn, conversation = turn_of(erik), erik.evaluate("() => fn.state.conversation")
        link = erik.evaluate(f"() => fn.post('/answers/{turn}/share').then((one) => one.url)")

        rita.goto(f"{site.address}/?c={conversation}")
        arrived(rita)
        expect(rita.locator(".toast-wrap")).to_contain_text(re.compile(r"not|no such|gone"))
        expect(rita.locator("#fn-chat .fn-question")).to_have_count(0)
        rita.goto(site.address + link)
        expect(rita.locator("body")).not_to_contain_text("forty crowns")
        expect(rita.locator("body")).not_to_contain_text("keeper")
        for path in (link, "/documents/vault/text?id=wages.md", "/panel/documents/vault"):
            assert rita.request.get(site.address + path).status == 404
        erik.goto(site.address + link)
        expect(erik.locator("main")).to_contain_text("forty crowns")


def test_a_reader_is_offered_nothing_that_changes_documents(browser: Browser, site: Site) -> None:
    changing = (
        "#fn-documents :is(input[type=file], [data-do='documents.delete'], [data-do='documents.index'],"
        " [data-do='documents.create'], [data-do='documents.collection'], .fn-docs-check input,"
        " [data-do='documents.removeCollection'])"
    )
    with entered(browser, site, "rita") as page:
        page.locator("#fn-tab-documents").click()
        expect(page.locator("#fn-documents tr[data-id]")).to_have_count(len(HARBOUR))
        deleting = page.locator(
            "#fn-documents [data-do*='delete'], #fn-documents [data-do*='index']"
        )
        expect(deleting).to_have_count(0)
        expect(
            page.locator("#fn-documents [data-do*='create'], #fn-documents input[type=file]")
        ).to_have_count(0)
    with entered(browser, site, "erik") as page:
        page.locator("#fn-tab-documents").click()
        expect(page.locator("#fn-documents tr[data-id]")).to_have_count(len(HARBOUR))
        expect(page.locator(changing)).not_to_have_count(0)


def test_an_open_page_ends_with_its_account(browser: Browser, site: Site) -> None:
    people = site.services.people
    people.add("gone", PASSWORD, "reader", ["hr"])
    with watched(browser, site) as context:
        page = enter(context, site, "gone")
        page.evaluate("() => fn.setCollection('vault')")
        ask(page, "What does the keeper receive?")
        answered(page, 1)
        people.change("gone", groups=[])
        page.evaluate("() => fn.listCollections()")
        expect(page.locator("#fn-collection option")).to_have_count(2)
        page.reload()
        arrived(page)
        expect(page.locator("#fn-chat .fn-question")).to_have_count(0)
        expect(page.locator("body")).not_to_contain_text("forty crowns")
        people.remove("gone")
        with contextlib.suppress(Exception):  # the page is left while it waits
            page.evaluate("() => fn.json('/me').catch(() => null)")
        expect(page).to_have_url(re.compile(r"/login\?next="))
        page.goto(site.address)
        expect(page).to_have_url(re.compile("/login"))


def test_an_account_that_ends_in_mid_answer_sees_no_more_of_it(
    browser: Browser, site: Site
) -> None:
    people = site.services.people
    people.add("leaver", PASSWORD, "reader")
    context = browser.new_context()  # a refused request is an error on the console here
    page = enter(context, site, "leaver")
    site.writer.pace_s = 0.05
    try:
        ask(page, "Who keeps the register of moorings?")
        expect(page.locator(".fn-draft")).to_contain_text("blue ledger")
        people.remove("leaver")
        page.wait_for_timeout(500)
        seen = len(page.locator("#fn-chat").inner_text())
        page.wait_for_timeout(1500)
        assert len(page.locator("#fn-chat").inner_text()) <= seen + 200, "it is not written on"
        page.reload()
        expect(page).to_have_url(re.compile("/login"))
    finally:
        site.writer.pace_s = 0.002
        context.close()
