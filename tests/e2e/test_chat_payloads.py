"""Hostile text through every input of the chat: it stays text, and the page goes on working."""

# ruff: noqa: E501 -- markup and scripts are easier to judge in one piece

from __future__ import annotations

import contextlib
import html
import io
import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any
from urllib.parse import quote

import docx
import pytest
from chatsite import Reply, Site, Writer, answered, arrived, ask, start_site, turn_of, watched
from payloads import PAYLOADS, groups
from playwright.sync_api import Browser, Page, expect
from reportlab.pdfgen import canvas

from rag.errors import InputError
from ui.people import OWNER

pytestmark = pytest.mark.browser

TAMED = tuple(one.replace("\n", " ") for one in PAYLOADS)  # of one line
FORMATS = ("txt", "md", "html", "csv", "docx", "pdf", "eml")
TITLE = '"><img src=x onerror=window.hacked=900 class=pwned><script>window.hacked=901</script>'
# What a file may be called: no slash, at most 255 bytes.
NAMES = (
    "<img src=x onerror=window.hacked=910 class=pwned>.txt",
    "' autofocus onfocus=window.hacked=911 class='pwned.txt",
    '" autofocus onfocus=window.hacked=912 class="pwned.txt',
    "![x](https:evil.example) [y](javascript:window.hacked=913).txt",
    "<svg onload=window.hacked=914>&lt;b class=pwned&gt;.md",
    "{{7*7}} ${window.hacked=915} $$x$$ `x`.txt",
    "\u202etxt.exe\u2066.txt",
    "W" * 200 + ".txt",
)
MODEL = groups(1500, TAMED)


def steward(kind: str) -> str:
    return f"The steward of the {kind}house is Olaf Brand."


def hostile(kind: str) -> str:
    """Each format's document has all pieces, and other ones beside the sentence that is cited."""
    at = FORMATS.index(kind) * len(TAMED) // len(FORMATS)
    pieces = [*TAMED[at:], *TAMED[:at]]
    return "\n\n".join([f"{pieces[0]} {steward(kind)} {pieces[1]}", *pieces[2:]])


def _docx() -> bytes:
    document = docx.Document()
    document.core_properties.title = TITLE
    for n, words in enumerate(hostile("docx").split("\n\n")):
        fit = "".join(one for one in words if one.isprintable() or one == " ")
        document.add_heading(fit[:200], 1) if n % 10 == 5 else document.add_paragraph(fit)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = TAMED[2], TAMED[9]
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _pdf() -> bytes:
    file = io.BytesIO()
    page = canvas.Canvas(file, pagesize=(900, 600))
    page.setTitle(TITLE)
    lines = [
        one.encode("latin-1", "replace").decode("latin-1") for one in hostile("pdf").split("\n\n")
    ]
    for at in range(0, len(lines), 20):
        page.setFont("Helvetica", 8)
        for n, line in enumerate(lines[at : at + 20]):
            page.drawString(20, 570 - 26 * n, line[:400])
        page.showPage()
    page.save()
    return file.getvalue()


def _eml() -> bytes:
    mail = EmailMessage()
    mail["Subject"] = TITLE
    mail["From"] = "pwned@evil.example"
    mail["Date"] = "Fri, 03 May 2024 09:00:00 +0000"
    mail.set_content(hostile("eml"))
    return bytes(mail)


def documents() -> dict[str, str | bytes]:
    escaped = html.escape(hostile("html")).replace("\n\n", "</p><p>")
    files: dict[str, str | bytes] = {
        "a.txt": hostile("txt"),
        "b.md": f"# {TITLE}\n\n"
        + "\n\n".join(f"## {one}\n\n{one}" for one in TAMED[:9])
        + hostile("md"),
        "c.html": f"<title>{html.escape(TITLE)}</title><h1>{html.escape(TITLE)}</h1><p>{escaped}</p>"
        + "".join(TAMED[:60]),
        "d.csv": "Name,Words\n"
        + "".join(f'{n},"{one.replace(chr(34), chr(34) * 2)}"\n' for n, one in enumerate(TAMED))
        + f'"{steward("csv")}",x\n',
        "e.docx": _docx(),
        "f.pdf": _pdf(),
        "g.eml": _eml(),
    }
    for n, name in enumerate(NAMES):
        files[name] = f"# {TITLE}\n\nThe warden of gate {n} is Vera Moss. {TAMED[n]}\n"
    return files


REPLIES = (
    *(
        Reply(f"verse {n}", ("Olaf Brand",), f"{text} {steward('txt')}")
        for n, text in enumerate(MODEL)
    ),
    *(Reply(f"{kind}house", ("Olaf Brand",), steward(kind)) for kind in FORMATS),
    *(
        Reply(f"gate {n}", ("Vera Moss",), f"The warden of gate {n} is Vera Moss.")
        for n in range(8)
    ),
    *(
        Reply(f"verse {n}", ("Olaf Brand",), f"{steward('txt')} {text}")
        for n, text in enumerate(MODEL)
    ),
    Reply("what", ("Olaf Brand",), steward("txt")),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    model = Writer(replies=REPLIES, pace_s=0.0)
    folder = tmp_path_factory.mktemp("payloads")
    with start_site(folder, documents={"hostile": documents()}, model=model) as running:
        yield running


class Alarm:
    """What ran or reached out, as it happens: a page that is left takes its `window` with it."""

    def __init__(self, context: Any, address: str) -> None:
        self.heard: list[str] = []
        context.add_init_script(
            "Object.defineProperty(window, 'hacked', {configurable: true,"
            " set(n) { console.error('HACKED ' + n + ' at ' + location.href); }, get() { return null; }})"
        )
        context.on("console", lambda said: self._hear("HACKED" in said.text, said.text))
        context.on("console", lambda said: self._hear("Refused" in said.text, said.text))
        context.on("dialog", lambda one: (self.heard.append(one.message), one.dismiss()))
        context.on(
            "request", lambda one: self._hear("evil.example" in one.url.split("?")[0], one.url)
        )
        context.on(
            "page", lambda one: self.heard.append(f"opened {one.url}") if self.open else None
        )
        self.open = False

    def _hear(self, alarming: bool, what: str) -> None:
        if alarming:
            self.heard.append(what)


@contextlib.contextmanager
def hostile_page(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    with watched(browser, site, **options) as context:
        alarm = Alarm(context, site.address)
        page = context.new_page()
        alarm.open = True
        page.goto(site.address)
        arrived(page)
        yield page
        assert alarm.heard == []


# Elements that came of text: of kinds that the page has none of, or with what a piece would give them.
STRANGE = """() => {
  const ours = '#fn-chat, #fn-panel, #fn-sidebar, #fn-documents, #fn-welcome, #fn-header, #fn-chips,'
    + ' #fn-status, #fn-alerts, .fn-dialog, .fn-menu, .toast-wrap, .fn-shared, main, .fn-login';
  const never = 'script, style, link, iframe, object, embed, form:not([action="/logout"], .fn-docs-filters,'
    + ' [method=dialog], [action="/login"]), video, audio, source, math, template, base, meta, marquee,'
    + ' portal, noscript, svg script, x-pwned, .pwned, [name=pwned], [name=fn], #fn';
  const risky = new Set(['href', 'src', 'srcset', 'xlink:href', 'action', 'formaction', 'style', 'poster',
    'data', 'background', 'content', 'srcdoc', 'class', 'name', 'id']);
  const plain = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
  const found = [];
  for (const part of document.querySelectorAll(ours)) {
    for (const one of part.querySelectorAll(never)) {
      if (one.matches('svg style') && !/evil|display/.test(one.textContent)) continue; // an icon of Gradio's
      found.push(one.outerHTML.slice(0, 120));
    }
    for (const one of part.querySelectorAll('*')) {
      if (one.tagName === 'IMG' && !/^[/](page|favicon)/.test(one.getAttribute('src') ?? '')) found.push(one.outerHTML);
      for (const {name, value} of one.attributes) {
        const bad = risky.has(name) && /evil|hacked|pwned|javascript:|data:text/i.test(plain(value));
        if (bad && !/^[/?#]/.test(value)) found.push(`${one.tagName} ${name}=${value.slice(0, 100)}`);
        if (/^on/.test(name)) found.push(`${one.tagName} ${name}=${value.slice(0, 100)}`);
      }
    }
  }
  for (const id of ['fn-panel', 'fn-chat', 'fn-documents', 'fn-sidebar']) {
    if (document.querySelectorAll('#' + id).length > 1) found.push(`two #${id}`);
  }
  if (window.fn && typeof fn.t !== 'function') found.push('fn is clobbered');
  return [...new Set(found)];
}"""
BROAD = """() => {
  const wide = [];
  const root = document.documentElement;
  // The header holds nothing untrusted but names: how it fits is a matter of its looks alone.
  const header = document.getElementById('fn-header')?.scrollWidth ?? 0;
  if (root.scrollWidth > Math.max(innerWidth, header) + 1) wide.push(`page ${root.scrollWidth} of ${innerWidth}`);
  for (const id of ['fn-panel', 'fn-sidebar', 'fn-documents', 'fn-welcome']) {
    const one = document.getElementById(id);
    if (one && one.offsetWidth && one.scrollWidth > one.clientWidth + 1) wide.push(`${id} ${one.scrollWidth} of ${one.clientWidth}`);
  }
  for (const one of document.querySelectorAll('#fn-chat .fn-question, #fn-chat .fn-answer, #fn-chat .fn-draft, #fn-chat .fn-refusal, .fn-toast, .fn-dialog')) {
    const box = one.getBoundingClientRect();
    if (box.right > Math.max(innerWidth, header) + 1 || box.left < -1) wide.push(`${one.className} ${Math.round(box.left)} to ${Math.round(box.right)}`);
  }
  return wide;
}"""


def checked(page: Page, where: str) -> None:
    """Nothing strange is there, and nothing is too wide."""
    assert page.evaluate(STRANGE) == [], where
    assert page.evaluate(BROAD) == [], where


def narrow(page: Page, where: str) -> None:
    """The same at a phone's width, with each drawer open in turn."""
    page.set_viewport_size({"width": 390, "height": 800})
    checked(page, f"{where}, narrow")
    for name in ("panel", "sidebar"):
        page.evaluate("([name, open]) => fn.drawer(name, open)", [name, True])
        checked(page, f"{where}, narrow, {name}")
        page.evaluate("() => fn.closeDrawers()")
    page.set_viewport_size({"width": 1280, "height": 800})


def works(page: Page) -> None:
    """A plain question still gets its answer."""
    page.wait_for_function("() => fn.state.collection")
    page.evaluate("() => fn.open('')")
    expect(page.locator("#fn-chat .fn-question")).to_have_count(0)
    ask(page, "What is the steward of the txthouse?")
    answered(page, 1)
    expect(page.locator("#fn-chat .fn-answer")).to_contain_text("Olaf Brand")


def test_documents_of_every_format_are_shown_as_they_are(browser: Browser, site: Site) -> None:
    with hostile_page(browser, site) as page:
        for n, kind in enumerate(FORMATS, 1):
            ask(page, f"Who is the steward of the {kind}house?")
            answered(page, n)
            page.locator("#fn-chat a.fn-marker, #fn-chat a.fn-passage").last.click()
            expect(page.locator("#fn-panel .fn-here").first).to_be_visible()
            expect(page.locator("#fn-panel")).to_contain_text(f"{kind}house")
            page.locator("#fn-chat a.fn-marker, #fn-chat a.fn-passage").last.hover()
            checked(page, kind)
        narrow(page, "sources")
        works(page)


def test_titles_names_and_headings_are_text_in_the_view_of_documents(
    browser: Browser, site: Site
) -> None:
    with hostile_page(browser, site) as page:
        page.locator("#fn-tab-documents").click()
        rows = page.locator("#fn-documents tr[data-id]")
        expect(rows).to_have_count(len(FORMATS) + len(NAMES))
        expect(page.locator("#fn-documents")).to_contain_text(
            "<img src=x onerror=window.hacked=900"
        )
        checked(page, "list")
        page.set_viewport_size({"width": 390, "height": 800})
        checked(page, "list, narrow")
        page.set_viewport_size({"width": 1280, "height": 800})
        for n in range(rows.count()):
            name = rows.nth(n).get_attribute("data-id")
            page.locator("#fn-documents [data-do='documents.read']").nth(n).click()
            expect(page.locator(".fn-reader")).to_have_attribute("data-id", name or "")
            checked(page, f"text of {name}")
            if n < 2:
                page.set_viewport_size({"width": 390, "height": 800})
                checked(page, f"text of {name}, narrow")
                page.set_viewport_size({"width": 1280, "height": 800})
            page.locator("#fn-documents [data-do='documents.back']").first.click()
        field = page.locator("#fn-documents input[name=q]")
        for one in (TITLE, TAMED[2], "%_'\"\\", "\u202e*[]()"):
            with page.expect_response(re.compile("/panel/documents/hostile")):
                field.fill(one)
            checked(page, f"searched for {one}")
        field.fill("")
        expect(rows).to_have_count(len(FORMATS) + len(NAMES))
        for name in NAMES:  # a scope names its document above the box
            page.evaluate("(id) => { fn.setScope({documents: [id]}); fn.show('ask'); }", name)
            expect(page.locator("#fn-chips .fn-chip")).to_have_count(1)
            checked(page, f"limited to {name}")
        narrow(page, "limited")
        page.evaluate("() => fn.setScope(fn.NOTHING)")
        for n in (0, 2, 6, 7):
            page.evaluate("() => fn.open('')")
            ask(page, f"Who is the warden of gate {n}?")
            answered(page, 1)
            page.locator("#fn-chat a.fn-marker, #fn-chat a.fn-passage").first.click()
            expect(page.locator("#fn-panel .fn-here").first).to_be_visible()
            checked(page, NAMES[n])
        works(page)


def test_questions_and_the_models_words_are_text(browser: Browser, site: Site) -> None:
    with hostile_page(browser, site) as page:
        for n, question in enumerate(groups(3500, TAMED)):
            box = page.locator("#fn-box textarea")
            expect(page.locator("#fn-box .submit-button")).to_be_visible()
            box.fill(question)
            box.press("Enter")
            answered(page, n + 1)
            shown = page.locator(".fn-question").last.inner_text()
            assert "".join(shown.split()) == "".join(question.split())
            checked(page, f"question {n}")
        narrow(page, "questions")
        page.evaluate("() => fn.open('')")
        expect(page.locator("#fn-chat .fn-question")).to_have_count(0)
        for n in range(len(MODEL)):
            site.writer.pace_s = 0.0 if n else 0.02
            ask(page, f"What is the steward of the txthouse in verse {n}?")
            if n == 0:
                expect(page.locator(".fn-draft")).to_contain_text("<script>window.hacked=0")
                checked(page, "draft")
                site.writer.pace_s = 0.0
            answered(page, n + 1)
            checked(page, f"verse {n}")
        expect(page.locator(".fn-answer").first).to_contain_text("window.hacked=0")
        page.reload()
        arrived(page)
        expect(page.locator("#fn-chat .fn-question")).to_have_count(len(MODEL))
        checked(page, "after a reload")
        narrow(page, "verses")
        turn = page.locator("#fn-chat .fn-act-link").last.get_attribute("value") or ""
        link = page.evaluate(
            "(turn) => fn.post(`/answers/${turn}/share`).then((one) => one.url)",
            turn[len("link:") :],
        )
        works(page)
        page.goto(site.address + link)
        expect(page.locator(".fn-shared-question")).to_contain_text("verse")
        expect(page.locator("#fn-panel h2")).to_be_visible()
        checked(page, "shared")
        page.set_viewport_size({"width": 390, "height": 800})
        checked(page, "shared, narrow")


def test_names_searches_and_verdicts_are_text(browser: Browser, site: Site) -> None:
    with hostile_page(browser, site) as page:
        ask(page, "What is the steward of the txthouse?")
        answered(page, 1)
        conversation = page.evaluate("() => fn.state.conversation")
        turn = turn_of(page)
        for one in (*TAMED[:4], TAMED[42], TAMED[43], *TAMED[-6:], TITLE):
            given = page.evaluate(
                "([id, title]) => fn.post(`/conversations/${id}/rename`, {title})",
                [conversation, one],
            )
            with page.expect_response(re.compile("/panel/conversations")):
                page.locator("#fn-chats-search").fill(one[:60])
            checked(page, f"renamed to {given}")
        page.locator("#fn-chats-search").fill("")
        expect(page.locator(".fn-chat-title").first).to_contain_text("window.hacked=900")
        page.locator("[data-do='conversations.menu']").first.click()
        checked(page, "menu")
        narrow(page, "list")
        for one in TAMED:
            said = {"verdict": "down", "reason": "other", "correction": one[:1000]}
            page.evaluate(
                "([turn, said]) => fn.post(`/answers/${turn}/feedback`, said)", [turn, said]
            )
        refused = page.evaluate(
            "([turn, said]) => fn.post(`/answers/${turn}/feedback`, said).catch((error) => error.message)",
            [turn, {"verdict": TITLE, "reason": TITLE}],
        )
        page.evaluate(
            "(text) => { fn.toast(text, 'error'); fn.toast(text); }", str(refused) + TITLE
        )
        checked(page, "toast")
        page.evaluate(
            "(text) => { fn.dialog({title: text, text, fields: [{name: 'a', label: text, value: text}],"
            " ok: text}); }",
            " ".join(TAMED[:9]) + TAMED[-4],
        )
        expect(page.locator("dialog.fn-dialog")).to_be_visible()
        checked(page, "dialog")
        page.keyboard.press("Escape")
        site.writer.fails = InputError(f"{TITLE} {TAMED[2]} {TAMED[13]}")
        try:
            page.evaluate("() => fn.open('')")
            ask(page, "What is the steward of the pdfhouse?")
            expect(page.locator(".fn-failure")).to_contain_text("window.hacked=900")
            checked(page, "failure")
        finally:
            site.writer.fails = None
        page.reload()
        arrived(page)
        checked(page, "after a reload")
        works(page)


def test_hostile_names_of_files_and_collections(browser: Browser, site: Site) -> None:
    with hostile_page(browser, site) as page:
        page.locator("#fn-tab-documents").click()
        expect(page.locator("#fn-documents tr[data-id]").first).to_be_visible()
        files = [
            {"name": f"new {one}", "mimeType": "text/plain", "buffer": b"Words."} for one in NAMES
        ]
        files += [
            {"name": f"{TITLE}.exe".replace("/", "|"), "mimeType": "a/b", "buffer": b"Words."}
        ]
        files += [{"name": f"{NAMES[0]}.txt", "mimeType": "a/b", "buffer": b"   "}]
        page.locator("#fn-documents input[type=file]").first.set_input_files(files)
        expect(page.locator(".fn-docs-upload")).not_to_have_count(0)
        for one in TAMED:  # names that no browser would send
            page.evaluate(
                "(name) => fetch('/documents/hostile/upload?name=' + encodeURIComponent(name + '.txt'),"
                " {method: 'POST', body: 'Words.'})",
                one,
            )
        for task in site.services.library.tasks("hostile"):
            task.ended.wait(60)
        page.locator("#fn-tab-ask").click()
        page.locator("#fn-tab-documents").click()
        expect(page.locator("#fn-documents tr[data-id]").first).to_be_visible()
        checked(page, "uploads")
        page.set_viewport_size({"width": 390, "height": 800})
        checked(page, "uploads, narrow")
        page.set_viewport_size({"width": 1280, "height": 800})
        names = [one.name for one in site.services.library.uploads("hostile")]
        assert names
        for one in names:
            assert not re.search(r'[<>:"/\\|?*\x00-\x1f\u202a-\u202e\u2066-\u2069]', one), one
            assert len(one.encode()) <= 150
        for one in (*TAMED, "../x", "a/b", ".hidden", "x" * 65, "", "con\x00"):
            told = page.evaluate(
                "(name) => fn.post('/collections', {name}).then(() => 'made', (error) => error.message)",
                one,
            )
            assert told != "made", one
        assert [one["name"] for one in page.evaluate("() => fn.json('/panel/collections')")] == [
            "hostile"
        ]
        for one in names:
            site.services.library.delete(OWNER, "hostile", (), [one])
        works(page)
    for one in (*TAMED, "a b", "owner"):
        with pytest.raises(InputError):
            site.services.people.add(one, "correct horse battery", "admin")


def test_addresses_cookies_and_memory_of_the_browser_are_text(browser: Browser, site: Site) -> None:
    with hostile_page(browser, site) as page:
        everything = quote("".join(TAMED[:30])[:1500], safe="")
        addresses = (
            f"/?c={everything}",
            f"/?c={quote(TITLE)}&lang={quote(TITLE)}&__theme={quote(TITLE)}",
            f"/?lang={everything}#src-{everything}-1",
            f"/?view={quote('<script>window.hacked=950</script>')}&deep_link={quote(TITLE)}",
            f"/login?next={everything}&lang={quote(TITLE)}",
            f"/login?next=javascript:window.hacked=951&name={quote(TITLE)}",
            f"/answer/{quote(TITLE, safe='')}",
            f"/panel/welcome/{quote(TITLE, safe='')}",
            f"/nowhere/{quote(TITLE, safe='')}",
            f"/export/answer/{quote(TITLE, safe='')}.md",
            f"/documents/hostile/text?id={quote(TITLE, safe='')}&page={quote(TITLE)}",
        )
        for one in addresses:
            page.goto(site.address + one)
            page.wait_for_load_state("load")
            assert page.evaluate(STRANGE) == [], one
        page.goto(site.address)
        page.evaluate(
            """(text) => {
              for (const name of ['footnote-collection', 'footnote-theme', 'footnote-source-view']) localStorage.setItem(name, text);
              document.cookie = `fn-lang=${encodeURIComponent(text)}; Path=/`;
            }""",
            TITLE,
        )
        page.reload()
        arrived(page)
        checked(page, "remembered")
        page.evaluate(
            "() => { localStorage.clear(); document.cookie = 'fn-lang=; Path=/; Max-Age=0'; }"
        )
        works(page)
