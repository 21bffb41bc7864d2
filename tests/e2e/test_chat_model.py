"""The chat as `footnote chat` starts it, with the real models, on the sample documents.

Its screenshots are the ones that the README shows (`test-results/chat-seeds*.png`).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from chatsite import RESULTS, VIEW, arrived, ask
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from rag.cli import main; main()"]
ANSWER_MS = 240_000

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(900)]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A chat over the sample documents, started by the command."""
    folder = tmp_path_factory.mktemp("chat")
    environment = {**os.environ, "FOOTNOTE_INDEXES": str(folder), "PYTHONPATH": str(ROOT)}
    documents = str(ROOT / "seeds" / "documents")
    subprocess.run([*COMMAND, "index", documents], env=environment, cwd=folder, check=True)
    port = free_port()
    started = subprocess.Popen(
        [*COMMAND, "chat", "--port", str(port), "--no-browser"], env=environment, cwd=folder
    )
    found = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                if httpx.get(f"{found}/health", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(1)
        yield found
    finally:
        started.terminate()
        assert started.wait(30) in (0, -15)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(**VIEW | {"viewport": {"width": 1360, "height": 850}})
    opened = context.new_page()
    opened.goto(address)
    arrived(opened)
    yield opened
    context.close()


def shoot(page: Page, name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / f"chat-{name}.png")


def answered(page: Page, count: int = 1) -> None:
    expect(page.locator("#fn-chat .fn-footer")).to_have_count(count, timeout=ANSWER_MS)


def test_sources_that_disagree_stand_side_by_side_with_their_dates(page: Page) -> None:
    ask(page, "Who is the president of the United States?")
    answered(page)
    sides = page.locator("#fn-chat .fn-side")
    expect(sides).to_have_count(2)
    expect(sides.filter(has_text="Donald Trump")).to_contain_text("2025-09-15")
    expect(sides.filter(has_text="Joe Biden")).to_contain_text("2024-07-18")
    sides.filter(has_text="Donald Trump").locator("a.fn-marker").first.click()
    lit = page.locator("#fn-panel mark.fn-lit")
    expect(lit.first).to_contain_text("Donald Trump")
    expect(lit.first).to_be_in_viewport()
    drawn = page.locator("#fn-panel img").first
    drawn.scroll_into_view_if_needed()
    expect(drawn).to_have_js_property("complete", True)
    assert drawn.evaluate("image => image.naturalWidth") > 500
    page.locator("#fn-panel").evaluate("panel => panel.scrollTo(0, 0)")
    shoot(page, "seeds")


def test_a_follow_up_and_a_refusal(page: Page) -> None:
    ask(page, "When was the Budapest Memorandum signed?")
    answered(page)
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("1994")
    ask(page, "Where was it signed?")
    answered(page, 2)
    expect(page.locator(".fn-understood")).to_contain_text("Budapest Memorandum")
    expect(page.locator("#fn-chat .fn-answer").last).to_contain_text("Budapest")
    ask(page, "What is the capital of Australia?")
    answered(page, 3)
    expect(page.locator(".fn-refusal")).to_contain_text(re.compile("do not say"))
    shoot(page, "seeds-refusal")
