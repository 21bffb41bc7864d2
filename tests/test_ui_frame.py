"""The front page gets our head first; whatever is no front page passes as it is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ui.frame import Framed, framed
from ui.theme import SCRIPTS, STYLES, head, strings_html

HEAD = "<style>body::before { content: '<body>' }</style>"
PAGE = """<!doctype html>
<html lang="en">
<head data-x="1">
  <meta charset="utf-8" />
  <meta property="og:title" content="Gradio" />
  <META name="twitter:image" content="https://raw.example/x.png">
  <meta property="og:image"
        content="https://raw.example/y.png"/>
  <meta name="viewport" content="width=device-width" />
  <title>Gradio</title>
</head>
<body style="margin: 0"><header>Ґ</header></body></html>
"""


class App:
    """Answers everything with one response, in several pieces."""

    def __init__(self, status: int, headers: dict[str, str], *pieces: bytes) -> None:
        self.status, self.pieces = status, pieces
        self.headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        for at, piece in enumerate(self.pieces):
            more = at < len(self.pieces) - 1
            await send({"type": "http.response.body", "body": piece, "more_body": more})


def ask(app: Any, path: str = "/", method: str = "GET") -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app=Framed(app, HEAD, "Footnote"))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path)

    return asyncio.run(call())


def test_our_head_comes_first_and_the_body_starts_us() -> None:
    page = framed(PAGE, HEAD, "Footnote")
    begun = page.index('<head data-x="1">') + len('<head data-x="1">')
    assert page[begun:].startswith("<title>Footnote</title>" + HEAD)
    assert page.count("fn.start()") == 1
    assert '<body style="margin: 0"><script>fn.start()</script><header>' in page
    assert "og:" not in page and "twitter:" not in page and "raw.example" not in page
    assert 'charset="utf-8"' in page and 'name="viewport"' in page


def test_what_looks_like_a_group_reference_in_the_head_stays() -> None:
    assert r"\1 \g<0>" in framed(PAGE, r"<script>'\1 \g<0>'</script>", "Footnote")


def test_the_page_is_framed_with_the_right_length() -> None:
    raw = PAGE.encode()
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(raw)),
        "x": "1",
    }
    middle = raw.index("Ґ".encode()) + 1  # inside a character
    response = ask(App(200, headers, raw[:30], raw[30:middle], raw[middle:], b""))
    assert response.text == framed(PAGE, HEAD, "Footnote")
    assert response.headers.get_list("content-length") == [str(len(response.content))]
    assert response.headers["x"] == "1"


@pytest.mark.parametrize(
    ("path", "method", "status", "headers", "body"),
    [
        ("/other", "GET", 200, {"content-type": "text/html"}, PAGE.encode()),
        ("/", "POST", 200, {"content-type": "text/html"}, PAGE.encode()),
        ("/", "HEAD", 200, {"content-type": "text/html", "content-length": "9"}, b""),
        ("/", "GET", 200, {"content-type": "application/json"}, b'"<head><body>"'),
        ("/", "GET", 200, {"content-type": "image/png"}, b"\x89PNG\xff\xfe"),
        ("/", "GET", 200, {}, b"<head>"),
        ("/", "GET", 303, {"location": "/login", "content-length": "0"}, b""),
        ("/", "GET", 500, {"content-type": "text/html"}, b"<head><body>Oops \xff"),
        ("/", "GET", 304, {"etag": "1"}, b""),
    ],
)
def test_everything_else_passes_unharmed(
    path: str, method: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    half = len(body) // 2
    response = ask(App(status, headers, body[:half], body[half:]), path, method)
    assert response.status_code == status
    assert response.content == body
    assert dict(response.headers) == headers


def test_an_error_in_the_page_is_not_swallowed() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        ask(broken)


def test_the_head_holds_every_style_and_script_and_nothing_from_outside() -> None:
    made = head()
    assert made.index("<style>") < made.index("fn-strings") < made.index("<script>")
    assert len(STYLES) >= 5 and len(SCRIPTS) >= 8
    assert made.count("<script") == made.count("</script>") == 2, "no script ends another"
    assert made.count("<style") == made.count("</style>") == 1
    assert "<" not in strings_html().split(">", 1)[1].removesuffix("</script>")
    for outside in ("http://", "https://", "@import", "eval(", "innerHTML ="):
        assert outside not in made.replace("http://www.w3.org/", ""), outside
