"""A browser and a running chat for each module; a page for each test, watched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chatsite import ARGUMENTS, VIEW, Site, Watch, arrived, fresh, start_site, watched
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    """Ends with its module: while it lives, its event loop keeps other tests from running one."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The default chat. A module that needs another one has a fixture of this name of its own."""
    with start_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def watch(browser: Browser, site: Site) -> Iterator[Watch]:
    """A context for the module's pages, which keeps what they have loaded."""
    context = browser.new_context(**VIEW)
    yield Watch(context, site.address)
    context.close()


@pytest.fixture
def page(watch: Watch, site: Site) -> Iterator[Page]:
    """The open chat in English and light; what it must not do is checked after each test."""
    opened = watch.context.new_page()
    opened.goto(site.address)
    arrived(opened)
    yield opened
    watch.check()


@pytest.fixture(scope="module")
def kept(browser: Browser, site: Site) -> Iterator[Page]:
    """One page for the tests that only ask and read: loading it takes longer than they do."""
    with watched(browser, site) as context:
        page = context.new_page()
        page.goto(site.address)
        arrived(page)
        yield page


@pytest.fixture
def reading(kept: Page) -> Page:
    """The kept page with a new conversation."""
    fresh(kept)
    return kept
