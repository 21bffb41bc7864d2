"""The login page, logging in and logging out. Knows nothing of what lies behind the door."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ui.guard import safe_next
from ui.people import People, Person
from ui.sessions import COOKIE, LONGEST, Sessions, Throttle
from ui.strings import LANGUAGES, preferred, speaker

__all__ = ["page", "routes"]

_LONGEST_FORM = 16_384  # bytes
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5a6b7b; --line: #8795a3; --page: #f6f7f9;
  --card: #fff; --accent: #0f766e; --on-accent: #fff; --bad: #a3282c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaf0; --soft: #9dadbc; --line: #66778a;
  --page: #11161d; --card: #171d26; --accent: #5ac8b9; --on-accent: #10201e; --bad: #f29a9c; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px;
  background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { width: 100%; max-width: 360px; background: var(--card); border-radius: 14px; padding: 28px; }
p { margin: 0; } .brand, .other { color: var(--soft); font-size: .9rem; }
h1 { margin: 0 0 18px; font-size: 1.35rem; font-weight: 650; }
label { display: block; margin: 14px 0 4px; }
input { width: 100%; padding: 10px 12px; font: inherit; color: inherit; background: var(--page);
  border: 1px solid var(--line); border-radius: 8px; }
button { width: 100%; margin: 22px 0 18px; padding: 11px; font: inherit; font-weight: 600; border: 0;
  border-radius: 8px; color: var(--on-accent); background: var(--accent); cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
a { color: inherit; } [role=alert] { color: var(--bad); }
"""


def routes(
    people: People,
    sessions: Sessions,
    audit: Callable[[str, Literal["login", "logout", "login failed"]], object],
    *,
    throttle: Throttle | None = None,
) -> APIRouter:
    """GET and POST /login, POST /logout. To be included before anything else is mounted at "/".

    `audit(name, action)` hears of "login", "logout" and "login failed". What was typed as a name
    that nobody has is told as "unknown", because people type their password there by mistake.
    """
    router = APIRouter()
    brake = throttle or Throttle()

    @router.get("/login")
    async def show(request: Request) -> Response:
        query = request.query_params
        onward = safe_next(query.get("next", "/"))
        if request.scope.get("state", {}).get("person") is not None:
            return RedirectResponse(onward, 303)
        return HTMLResponse(page(_language(request, query.get("lang")), onward))

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        form = await _form(request)
        onward = safe_next(form.get("next", "/"))
        if not people.enabled:
            return RedirectResponse("/", 303)
        name, address = form.get("name", "").strip(), _address(request)
        language = _language(request, form.get("lang"))
        wait = brake.attempt(name, address)
        if wait:
            body = page(language, onward, name, wait=wait)
            return HTMLResponse(body, 429, {"retry-after": str(math.ceil(wait))})
        token = await run_in_threadpool(begin, request, name, form.get("password", ""))
        if token is None:
            return HTMLResponse(page(language, onward, name, wrong=True), 401)
        brake.succeeded(name, address)
        response = RedirectResponse(onward, 303)
        response.set_cookie(COOKIE, token, max_age=LONGEST, **_cookie_terms(request))
        return response

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        person = request.scope.get("state", {}).get("person")
        token = request.cookies.get(COOKIE)
        if token and isinstance(person, Person):
            sessions.end(token)
            audit(person.name, "logout")
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, **_cookie_terms(request))
        return response

    def begin(request: Request, name: str, password: str) -> str | None:
        """Check the password; the token of a new session in place of the browser's old one."""
        person = people.verify(name, password)
        if person is None:
            known = people.person(name)
            audit("unknown" if known is None else known.name, "login failed")
            return None
        old = request.cookies.get(COOKIE)
        if old:
            sessions.end(old)
        token = sessions.begin(person.name)
        audit(person.name, "login")
        return token

    return router


def page(
    language: str, onward: str, name: str = "", *, wrong: bool = False, wait: float = 0
) -> str:
    """The login page as HTML, complete in itself and without a script."""
    say = speaker(language)

    def said(key: str) -> str:
        return html.escape(say(key))

    alert, described = "", ""
    if wrong or wait:
        text = say("login.wait", minutes=math.ceil(wait / 60)) if wait else say("login.wrong")
        alert = f'<p role="alert" id="alert">{html.escape(text)}</p>'
        described = ' aria-describedby="alert"' + (' aria-invalid="true"' if wrong else "")
    other = "en" if language == "uk" else "uk"
    switch = html.escape("/login?" + urlencode({"lang": other, "next": onward}))
    focus = ("", " autofocus") if name else (" autofocus", "")
    return f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{said("login.title")} · Footnote</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.ico"><style>{_STYLE}</style></head>
<body><main><p class="brand">Footnote</p><h1>{said("login.title")}</h1>{alert}
<form method="post" action="/login">
<input type="hidden" name="next" value="{html.escape(onward)}">
<input type="hidden" name="lang" value="{language}">
<label for="name">{said("login.name")}</label>
<input id="name" name="name" value="{html.escape(name)}" autocomplete="username" maxlength="64"
 autocapitalize="none" spellcheck="false" required{described}{focus[0]}>
<label for="password">{said("login.password")}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required
{described}{focus[1]}>
<button type="submit">{said("login.button")}</button></form>
<p class="other"><a lang="{other}" hreflang="{other}" href="{switch}">{said("login.other")}</a></p>
</main></body></html>
"""


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form; none of them where it is too large or something else."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_FORM:
            return {}
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return dict(pairs)


def _cookie_terms(request: Request) -> dict[str, Any]:
    """Out of reach of scripts and of other sites; only over https if the request came that way."""
    secure = request.url.scheme == "https"
    return {"path": "/", "httponly": True, "samesite": "strict", "secure": secure}


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _language(request: Request, asked: str | None) -> str:
    """What was asked for, else the browser's favourite."""
    if asked in LANGUAGES:
        return asked
    return preferred(request.headers.get("accept-language", ""))
