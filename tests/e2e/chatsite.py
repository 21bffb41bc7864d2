"""A running chat for the browser tests: real store, index, files and server; a scripted model.

The chat answers as it does for a reader: a phrase is asked of the model first, then sentences. `Writer`
gives both by a keyword of the question.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from fakes import HashEmbedder
from papers import HARBOUR, OTHER
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from playwright.sync_api import Error as PlaywrightError

from rag.collection import Collection
from rag.generate import Generation, Message
from rag.settings import Settings
from ui.server import bind, mount, server
from ui.services import Services, opened

__all__ = [
    "DRAGONS",
    "KEEPER",
    "LIT",
    "REGISTER",
    "TOLL",
    "act",
    "marker",
    "ARGUMENTS",
    "RESULTS",
    "Account",
    "Reply",
    "VIEW",
    "Site",
    "Watch",
    "Writer",
    "answered",
    "arrived",
    "ask",
    "fresh",
    "slowly",
    "shoot",
    "start_site",
    "turn_of",
    "violations",
    "watched",
]

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
VIEW: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"}
NO_ANSWER = "unanswerable"
AXE = {"resultTypes": ["violations"]}
TOLL = "What is the toll for boats?"
KEEPER = "What does the keeper receive?"
REGISTER = "Who keeps the register of moorings?"
DRAGONS = "Where do dragons sleep at night in Eastmere?"
LIT = "#fn-panel mark.fn-lit"


@dataclass(frozen=True)
class Reply:
    """What the model says to a question with `key` in it.

    `phrases`: the short form; the first of them that stands in the evidence, else "unanswerable".
    `text`: the sentences; the phrase where it is empty.
    """

    key: str
    phrases: tuple[str, ...]
    text: str = ""


REPLIES = (
    Reply(
        "toll",
        ("nine crowns",),
        "Boats over twelve metres pay a toll of nine crowns. The harbour of Eastmere opened in 1887.",
    ),
    Reply(
        "register",
        ("a blue ledger",),
        "The harbour master keeps the register of moorings in a blue ledger. " * 40,
    ),
    Reply("rope", ("Piet Vos",), "The chandler Piet Vos sells hemp rope on Saturdays."),
    Reply("berth", ("Orla Finch",), "The tenant of berth K21 is Orla Finch."),
    Reply(
        "mooring fee",
        ("fifteen crowns",),
        "The council of Eastmere raised the mooring fee to fifteen crowns.",
    ),
    Reply("licence", ("Night pilotage",), "Mira Sand has the licence Night pilotage."),
    Reply("crane", ("eighty tonnes",), "The new crane lifts eighty tonnes."),
    Reply("tugboat", ("912",), "Tugboat fuel cost 912 in 2024."),
    Reply("keeper", ("forty crowns",), "The keeper receives forty crowns a year."),
    Reply(
        "storm sink", ("the dinghy Petrel",), "The storm sank the dinghy Petrel at the fuel jetty."
    ),
    Reply("clock tower", ("1900", "1856"), "The clock tower of Eastmere was built in 1900."),
    Reply("mill", ("barley",), "The mill of Westmere grinds barley."),
    Reply("dragons", (NO_ANSWER,), "Zanzibar marmalade quorum."),
)
SUGGESTED = {
    "toll": "What is the toll for boats?",
    "rope": "Who sells hemp rope on Saturdays?",
    "crane": "How much does the new crane lift?",
    "forty crowns": "What does the keeper receive?",
    "mooring fee": "What did the council raise the mooring fee to?",
    "petrel": "What did the storm sink at the fuel jetty?",
    "grinds": "What does the mill of Westmere grind?",
}
REWRITES = {"who gets it": "Who gets the toll for boats?"}


@dataclass
class Writer:
    """A generator that takes its time: the reply whose key stands in the question, word by word.

    `pace_s` is the pause before each word of an answer. `written` counts the words by key; `closed`
    is set while nothing is being written. `fails` is raised instead of a reply while it is set.
    """

    replies: Sequence[Reply] = REPLIES
    pace_s: float = 0.002
    name: str = "scripted"
    written: Counter[str] = field(default_factory=Counter)
    closed: threading.Event = field(default_factory=threading.Event)
    fails: Exception | None = None

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **named: object
    ) -> Iterator[str]:
        prompt = messages[-1]["content"]
        if prompt.startswith("Here is a passage"):  # a question to begin with is made up
            told = prompt.casefold()
            text = next((new for word, new in SUGGESTED.items() if word in told), "none")
            key, pace = "suggestion", 0.0
        elif "rewritten:" in prompt:
            asked = prompt.split("User:")[-1].lower()
            text = next((new for key, new in REWRITES.items() if key in asked), asked)
            key, pace = "rewrite", 0.0
        else:
            if self.fails:
                raise self.fails
            key, text = self._reply(prompt, bool(named.get("withhold")))
            pace = self.pace_s
        into.withheld = None
        if named.get("withhold"):
            into.withheld = 0.99 if text == NO_ANSWER else 0.02
        into.first_token_s = 0.001
        self.closed.clear()
        try:
            for word in re.findall(r"\S+\s*", text)[:max_tokens]:
                time.sleep(pace)
                into.text += word
                into.generated_tokens += 1
                into.logprobs.append(-0.01)
                self.written[key] += 1
                yield word
        finally:
            self.closed.set()

    def _reply(self, prompt: str, short: bool) -> tuple[str, str]:
        """The key of the question that a prompt ends in, and what is said to it."""
        sources, _, rest = prompt.rpartition("Question:")
        asked = rest.split("\n")[0].lower()
        reply = next((one for one in self.replies if one.key in asked), None)
        if reply is None:
            return "", NO_ANSWER if short else "I do not know."
        phrase = next((one for one in reply.phrases if one in sources), NO_ANSWER)
        return reply.key, phrase if short else reply.text or phrase


@dataclass(frozen=True)
class Account:
    """Somebody who may log in."""

    name: str
    password: str
    role: Any = "reader"
    groups: tuple[str, ...] = ()


@dataclass
class Site:
    """A running chat. `stop` ends the server while the services stay, as a lost connection would."""

    address: str
    services: Services
    writer: Writer
    port: int
    folder: Path
    running: Any
    thread: threading.Thread

    def stop(self) -> None:
        """End the server."""
        self.running.should_exit = True
        self.thread.join(20)


COLLECTIONS: dict[str, Mapping[str, str | bytes]] = {"harbour": HARBOUR, "mill": OTHER}


@functools.cache
def _default_indexes() -> Path:
    """`COLLECTIONS`, indexed once for all sites."""
    folder = Path(tempfile.mkdtemp(prefix="footnote-e2e-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    first = next(iter(COLLECTIONS))
    values: dict[str, Any] = {"parse_memory_mb": 2048, "indexes": folder / "indexes"}
    _index(folder, Settings(collection=first, **values), COLLECTIONS)
    return folder / "indexes"


def _index(
    folder: Path, settings: Settings, wanted: Mapping[str, Mapping[str, str | bytes]]
) -> None:
    """Write and index the collections whose files are not there yet."""
    for name, files in wanted.items():
        place = folder / "documents" / name
        if place.exists():
            continue
        place.mkdir(parents=True)
        for path, content in files.items():
            (place / path).write_bytes(content.encode() if isinstance(content, str) else content)
        with Collection.open(name, settings, create=True, embedder=HashEmbedder()) as collection:
            report = collection.update(place)
            assert not report.failed, report.failed


@contextlib.contextmanager
def start_site(
    folder: Path,
    *,
    documents: Mapping[str, Mapping[str, str | bytes]] | None = None,
    people: Sequence[Account] = (),
    model: Writer | None = None,
    port: int = 0,
    **settings: Any,
) -> Iterator[Site]:
    """A chat over `folder`. Collections that are not there yet are made of `documents`.

    `documents`: by collection, files by name; the first collection is the one shown at first. `people`:
    accounts, the first an admin; without any, everyone is the owner. `settings`: of `Settings`.
    """
    wanted = COLLECTIONS if documents is None else documents
    values = {"parse_memory_mb": 2048, "indexes": folder / "indexes"} | settings
    chosen = Settings(collection=next(iter(wanted)), **values)
    embedder = HashEmbedder()
    if documents is None and not settings and not chosen.indexes.exists():
        shutil.copytree(_default_indexes(), chosen.indexes)
    else:
        _index(folder, chosen, wanted)
    writer = model or Writer()
    with opened(chosen, embedder=embedder, model=writer) as services:
        for one in people:
            if services.people.person(one.name) is None:
                services.people.add(one.name, one.password, one.role, one.groups)
        listener, found = bind("127.0.0.1", port)
        running = server(mount(services))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        site = Site(f"http://127.0.0.1:{found}", services, writer, found, folder, running, thread)
        try:
            yield site
        finally:
            site.stop()
            listener.close()


class Watch:
    """What a browser's context must not do; `check` it, and it begins anew.

    Nothing is asked of another host, the policy is kept, no script fails, nothing untrusted runs.
    """

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.outside: list[str] = []
        self.blocked: list[str] = []
        self.broken: list[str] = []
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", lambda raised: self.broken.append(str(raised.error)))

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.outside.append(request.url)

    def _said(self, message: Any) -> None:
        if "Security Policy" in message.text:
            self.blocked.append(message.text)

    def check(self) -> None:
        """Close every page, forget what they stored, and see what they have done."""
        pages = self.context.pages
        hacked = [page.evaluate("() => window.hacked ?? null") for page in pages]
        with contextlib.suppress(PlaywrightError):  # a page that came to nothing has no storage
            for page in pages:
                page.evaluate("() => localStorage.clear()")
        for page in pages:
            page.close()
        self.context.clear_cookies()
        done = [self.outside[:], self.blocked[:], self.broken[:]]
        for found in (self.outside, self.blocked, self.broken):
            found.clear()
        assert done == [[], [], []], done
        assert all(one is None for one in hacked), hacked


@contextlib.contextmanager
def watched(browser: Browser, site: Site, **options: Any) -> Iterator[BrowserContext]:
    """A browser's context of its own, checked by a `Watch` as the block ends."""
    context = browser.new_context(**VIEW | options)
    watch = Watch(context, site.address)
    try:
        yield context
        watch.check()
    finally:
        context.close()


def arrived(page: Page) -> None:
    """Wait until the page is there and a question can be asked."""
    expect(page.locator("html.fn-mounted")).to_have_count(1)
    expect(page.locator("#fn-box textarea")).to_be_editable()


def fresh(page: Page) -> None:
    """Begin a new conversation, and wait until the server has said so."""
    page.locator("[data-do='conversations.new']").click()
    expect(page.locator("#fn-told i[id^='told:::open']")).to_have_count(1)
    expect(page.locator(".fn-question")).to_have_count(0)
    expect(page.locator("#fn-box .submit-button")).to_be_visible()


def ask(page: Page, question: str) -> None:
    """Type a question and send it; returns as soon as it stands in the conversation."""
    box = page.locator("#fn-box textarea")
    expect(page.locator("#fn-box .submit-button")).to_be_visible()
    box.fill(question)
    box.press("Enter")
    expect(page.locator(".fn-question").last).to_have_text(question)


def answered(page: Page, count: int) -> None:
    """Wait until `count` answers stand finished and the box is free again."""
    expect(page.locator("#fn-chat .fn-footer")).to_have_count(count)
    expect(page.locator("#fn-box .submit-button")).to_be_visible()


@contextlib.contextmanager
def slowly(site: Site, pace_s: float = 0.05) -> Iterator[None]:
    """While the block runs the model writes a word every `pace_s` seconds."""
    before, site.writer.pace_s = site.writer.pace_s, pace_s
    try:
        yield
    finally:
        site.writer.pace_s = before


def turn_of(page: Page) -> str:
    """The identifier of the newest answer."""
    value = page.locator("#fn-chat button.fn-act").last.get_attribute("value")
    assert value
    return value.partition(":")[2]


def shoot(page: Page, name: str) -> None:
    """A picture of the page as it is, in `test-results/`."""
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / f"chat-{name}.png")


def marker(page: Page, at: int = 0) -> Locator:
    """A marker of the conversation, in its order."""
    return page.locator("#fn-chat a.fn-marker").nth(at)


def act(page: Page, verb: str, at: int = -1) -> Locator:
    """The button of that verb below an answer; the newest one's unless said."""
    return page.locator(f"#fn-chat .fn-act-{verb}").nth(at)


def violations(page: Page) -> list[str]:
    """What axe finds that is serious or worse."""
    found = Axe().run(page, options=AXE).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['target']} {node.get('html', '')[:120]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]
