"""The guard and the login page: who gets through, under which paths, and on what terms."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from ui.database import Database
from ui.guard import CONTENT_SECURITY_POLICY, OPEN, Guard, person_of, safe_next
from ui.login import routes
from ui.people import OWNER, People
from ui.server import bind, server
from ui.sessions import COOKIE, Sessions, Throttle

PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HOST = {"host": "chat.example:7860"}
OURS = {**HOST, "origin": "http://chat.example:7860"}
PAGE = {**HOST, "accept": "text/html,*/*"}


class Chat:
    """A guarded app whose every path answers with who asks, and what was told to the audit."""

    def __init__(self, folder: Path, *, accounts: bool = True, loopback: bool = False) -> None:
        self.people = People(folder / "people.json", hasher=QUICK)
        if accounts:
            self.people.add("Anna", PASSWORD, "admin")
            self.people.add("ben", PASSWORD, "reader", ["hr"])
        self.sessions = Sessions(Database(None), self.people)
        self.told: list[tuple[str, str]] = []
        self.reached: list[str] = []
        inner = FastAPI(openapi_url=None)
        throttle = Throttle()
        inner.include_router(
            routes(
                self.people,
                self.sessions,
                lambda name, action: self.told.append((name, action)),
                throttle=throttle,
            )
        )

        @inner.api_route(
            "/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
        )
        def anything(request: Request, path: str) -> dict[str, str]:
            self.reached.append(path)
            person = request.scope["state"]["person"]
            return {"name": person.name if person else "nobody"}

        self.app = Guard(inner, self.people, self.sessions, loopback=loopback)

    def __call__(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.request(method, path, headers=headers or HOST, **more)

        return asyncio.run(call())

    def raw(self, **scope: Any) -> int:
        """The status for a scope made by hand, with paths no client library would send."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            sent.append(message)

        base = {"type": "http", "method": "GET", "headers": [(b"host", b"chat.example")]}
        scope = {**base, "query_string": b"", "root_path": "", "scheme": "http", **scope}
        asyncio.run(self.app({"raw_path": scope["path"].encode(), **scope}, receive, send))
        return int(sent[0].get("status", 0))

    def cookie(self, name: str = "Anna") -> dict[str, str]:
        return {"cookie": f"{COOKIE}={self.sessions.begin(name)}"}

    def log_in(self, password: str = PASSWORD, name: str = "Anna", **fields: str) -> httpx.Response:
        form = {"name": name, "password": password, **fields}
        return self("POST", "/login", OURS, data=form)


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    return Chat(tmp_path)


def test_a_session_opens_what_is_shut_without_one(chat: Chat) -> None:
    assert chat("GET", "/").status_code == 401
    assert chat("GET", "/", {**HOST, "cookie": f"{COOKIE}=guess"}).status_code == 401
    assert chat.reached == []
    assert chat("GET", "/", {**HOST, **chat.cookie("ben")}).json() == {"name": "ben"}
    assert chat("GET", "/health").json() == {"name": "nobody"}


def test_removing_a_person_or_damaging_the_file_shuts_everything(chat: Chat) -> None:
    anna, ben = {**HOST, **chat.cookie()}, {**HOST, **chat.cookie("ben")}
    chat.people.remove("ben")
    assert chat("GET", "/", ben).status_code == 401
    chat.people.path.write_text('{"users": {}}')
    for path in ("/", "/login", "/health"):
        shut = chat("GET", path, anna)
        assert shut.status_code == 503 and str(chat.people.path) not in shut.text
        assert shut.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    chat.people.path.unlink()
    assert chat("GET", "/", anna).status_code == 503


@pytest.mark.parametrize(
    "path",
    [
        *("//login", "/login/", "/login/..", "/login/../", "/login/../gradio_api/info", "/./login"),
        *("/LOGIN", "/Login", "/login;x", "/login%00", "/login\x00", "/login ", "/login%2f..%2f"),
        *(
            "/%6cogin",
            "login",
            "",
            "*",
            "/health/",
            "//health",
            "/health/../config",
            "/health.json",
        ),
        *("/favicon.ico/", "/favicon.ico/../config", "/static/../login", "/login\\..\\config"),
        *("/logout", "/login?x", "/ｌｏｇｉｎ", "http://chat.example/login", "/assets/../login"),
        *("/config", "/gradio_api/info", "/gradio_api/queue/data", "/gradio_api/file=/etc/passwd"),
    ],
)
def test_no_spelling_of_a_path_gets_round_the_guard(chat: Chat, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS", "get", "TRACE"):
        assert chat.raw(path=path, method=method) == 401, (method, path)
    assert chat.reached == []


@given(path=st.text(max_size=20).map("/".__add__), method=st.sampled_from(["GET", "POST", "HEAD"]))
def test_only_the_open_paths_are_open(path: str, method: str) -> None:
    reached = []

    async def app(*_: Any) -> None:
        reached.append(path)

    class Someone:
        enabled = True

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    guard = Guard(app, Someone(), None, loopback=True)  # type: ignore[arg-type]
    scope = {"type": "http", "path": path, "method": method, "headers": []}
    asyncio.run(guard(scope, None, send))  # type: ignore[arg-type]
    assert bool(reached) == ((method, path) in OPEN)


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/login"), ("PUT", "/login")])
@pytest.mark.parametrize("root", ["", "/x"])
def test_open_paths_are_open_for_their_method_only(
    chat: Chat, method: str, path: str, root: str
) -> None:
    assert chat.raw(path=path, method=method, root_path=root) == 401
    assert chat.raw(path="/health", root_path="/x") == 401


def test_a_page_goes_to_login_and_back(chat: Chat) -> None:
    away = chat("GET", "/c/12?q=a%26b", PAGE)
    assert away.status_code == 303
    assert away.headers["location"] == "/login?next=%2Fc%2F12%3Fq%3Da%2526b"
    shown = chat("GET", away.headers["location"], PAGE)
    assert shown.status_code == 200 and 'value="/c/12?q=a%26b"' in shown.text
    assert chat.log_in(next="/c/12?q=a%26b").headers["location"] == "/c/12?q=a%26b"
    assert chat("GET", "http://x//evil.example/x", PAGE).headers["location"] == "/login"
    assert chat("GET", "/login?next=/a", {**PAGE, **chat.cookie()}).headers["location"] == "/a"


@pytest.mark.parametrize(
    "address",
    [
        *(
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "\\\\evil",
            "/\t/evil.example",
        ),
        *("evil", "", "/a\r\nset-cookie: x=y", "javascript:alert(1)", "/login", "/logout", "/é"),
        "/" + "a" * 2000,
    ],
)
def test_login_leads_nowhere_else(chat: Chat, address: str) -> None:
    assert safe_next(address) == "/"
    assert chat.log_in(next=address).headers["location"] == "/"


def test_logging_in_and_out(chat: Chat) -> None:
    done = chat.log_in(name=" anna ")
    assert done.status_code == 303
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert "Secure" not in cookie
    session = {"cookie": cookie.partition(";")[0]}
    assert chat("GET", "/", {**HOST, **session}).json() == {"name": "Anna"}
    again = chat("POST", "/login", {**OURS, **session}, data={"name": "ben", "password": PASSWORD})
    assert again.status_code == 303
    assert chat("GET", "/", {**HOST, **session}).status_code == 401  # the old one has ended
    session = {"cookie": again.headers["set-cookie"].partition(";")[0]}
    out = chat("POST", "/logout", {**OURS, **session})
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert chat("GET", "/", {**HOST, **session}).status_code == 401
    assert chat.told == [("Anna", "login"), ("ben", "login"), ("ben", "logout")]


def test_https_makes_the_cookie_secure_but_a_header_does_not(chat: Chat) -> None:
    form = {"name": "Anna", "password": PASSWORD}
    claimed = chat("POST", "/login", {**OURS, "x-forwarded-proto": "https"}, data=form)
    assert "Secure" not in claimed.headers["set-cookie"]
    assert "Secure" in chat("POST", "https://x/login", OURS, data=form).headers["set-cookie"]


def test_a_wrong_password_shows_the_page_again_escaped(chat: Chat) -> None:
    name = '"><script>x</script>'
    shown = chat.log_in("wrong password", name, lang="uk", next='/"><b>')
    assert shown.status_code == 401
    assert "<script" not in shown.text and "<b>" not in shown.text
    assert 'lang="uk"' in shown.text and 'role="alert"' in shown.text
    assert "wrong password" not in shown.text
    chat.log_in("wrong password")
    assert chat.told == [("unknown", "login failed"), ("Anna", "login failed")]
    assert chat("POST", "/login", OURS, content=b"x" * 20_000).status_code == 401


def test_guessing_has_to_wait(chat: Chat) -> None:
    assert [chat.log_in("wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    right = chat.log_in()
    assert right.status_code == 429 and 0 < int(right.headers["retry-after"]) <= 300
    assert chat.log_in(name="ben").status_code == 303


@pytest.mark.parametrize(
    ("wish", "language"),
    [("uk-UA,uk;q=0.9,en;q=0.8", "uk"), ("en,uk;q=0.5", "en"), ("de;q=x,fr", "en"), ("", "en")],
)
def test_the_page_speaks_the_browsers_language(chat: Chat, wish: str, language: str) -> None:
    headers = {**PAGE, "accept-language": wish}
    assert f'<html lang="{language}">' in chat("GET", "/login", headers).text
    assert '<html lang="uk">' in chat("GET", "/login?lang=uk", headers).text


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"origin": "http://chat.example:7860"}, True),
        ({"origin": "https://chat.example:7860"}, True),  # behind something that speaks TLS
        ({"referer": "http://chat.example:7860/c/1"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://inner:1"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://chat.example"}, False),
        ({"origin": "http://evil.example", "referer": "http://chat.example:7860/"}, False),
        ({"referer": "http://evil.example/?http://chat.example:7860"}, False),
        ({"origin": "http://chat.example:7860@evil.example"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://chat.example:7860"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://[bad"}, False),
    ],
)
def test_another_sites_page_changes_nothing(
    chat: Chat, headers: dict[str, str], passes: bool
) -> None:
    session = chat.cookie()
    for method in ("POST", "PUT", "DELETE"):
        answer = chat(method, "/x", {**HOST, **session, **headers})
        assert answer.status_code == (200 if passes else 403)
    assert chat("GET", "/x", {**HOST, **session, **headers}).status_code == 200


def test_a_script_without_a_session_may_post_what_is_open(chat: Chat) -> None:
    form = {"name": "Anna", "password": PASSWORD}
    assert chat("POST", "/login", HOST, data=form).status_code == 303
    assert chat("POST", "/x", HOST).status_code == 401
    foreign = {**HOST, "origin": "http://evil.example"}
    assert chat("POST", "/login", foreign, data=form).status_code == 403


def test_without_accounts_the_owner_is_whoever_sits_here(tmp_path: Path) -> None:
    chat = Chat(tmp_path, accounts=False, loopback=True)
    here = {"host": "127.0.0.1:7860"}
    assert chat("GET", "/", here).json() == {"name": OWNER.name}
    assert chat("POST", "/x", {**here, "origin": "http://127.0.0.1:7860"}).status_code == 200
    assert chat("POST", "/x", {**here, "origin": "http://127.0.0.1:3000"}).status_code == 403
    assert chat("GET", "/", HOST).status_code == 403
    assert chat("GET", "/login", here).headers["location"] == "/"
    two = [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]
    assert chat.raw(path="/", headers=two) == 403
    wide = Chat(tmp_path, accounts=False, loopback=False)
    assert wide("GET", "/", here).status_code == 403
    assert wide.reached == []


def test_websockets_are_guarded_too(chat: Chat) -> None:
    assert chat.raw(type="websocket", path="/ws") == 0
    assert chat.raw(type="websocket", path="/login") == 0
    assert chat.reached == []
    with pytest.raises(RuntimeError):
        chat.raw(type="strange", path="/")


def test_only_hashed_files_are_kept_by_the_browser(chat: Chat, tmp_path: Path) -> None:
    def caching(chat: Chat, path: str, headers: dict[str, str]) -> str:
        return str(chat("GET", path, headers).headers["cache-control"])

    session = {**HOST, **chat.cookie()}
    assert caching(chat, "/assets/a-1b2.js", session) == "private, max-age=31536000, immutable"
    assert caching(chat, "/assets/a-1b2.js", HOST) == "no-store"
    assert caching(chat, "/", session) == caching(chat, "/login", HOST) == "no-store"
    alone = Chat(tmp_path / "alone", accounts=False, loopback=True)
    here = {"host": "localhost"}
    assert caching(alone, "/assets/a.js", here) == "public, max-age=31536000, immutable"
    assert caching(alone, "/static/a.png", here) == "no-cache"


def test_an_unguarded_request_has_no_person() -> None:
    with pytest.raises(RuntimeError):
        person_of(Request({"type": "http", "headers": []}))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """The address of a served Gradio page with accounts, and a chat's parts to log in with."""
    import gradio as gr

    def who(text: str, request: gr.Request) -> Iterator[str]:
        yield "..."
        yield f"{person_of(request).name} {sorted(person_of(request).groups)} {request.username}"

    # Gradio reads the annotation, which names nothing outside this function.
    who.__annotations__["request"] = gr.Request
    with gr.Blocks(analytics_enabled=False) as blocks:
        box, out = gr.Textbox(), gr.Textbox()
        box.submit(who, box, out, api_name="who")
    chat = Chat(tmp_path)
    app = FastAPI(openapi_url=None)
    app.include_router(routes(chat.people, chat.sessions, lambda name, action: None))
    mounted = gr.mount_gradio_app(
        app, blocks, path="/", auth_dependency=lambda request: person_of(request).name
    )
    running = server(Guard(mounted, chat.people, chat.sessions, loopback=False))
    listener, port = bind("127.0.0.1", 0)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(10)
    listener.close()


def test_a_gradio_event_knows_who_sent_it(address: str) -> None:
    join = {"data": ["hi"], "fn_index": 0, "session_hash": "abc"}
    with httpx.Client(base_url=address, headers={"origin": address}, timeout=20) as client:
        assert client.post("/gradio_api/queue/join", json=join).status_code == 401
        assert client.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"
        assert client.get("/gradio_api/queue/data?session_hash=abc").status_code == 401
        assert client.get("/favicon.ico").status_code == 200
        login = client.post("/login", data={"name": "ben", "password": PASSWORD})
        assert (login.status_code, login.headers["location"]) == (303, "/")
        page = client.get("/")
        assert page.status_code == 200 and "gradio" in page.text
        assert client.post("/gradio_api/queue/join", json=join).status_code == 200
        heard = client.get("/gradio_api/queue/data?session_hash=abc").text
        messages = [json.loads(line[6:]) for line in heard.splitlines() if line.startswith("data:")]
        done = next(one for one in messages if one["msg"] == "process_completed")
        assert done["output"]["data"] == ["ben ['hr'] ben"]
        client.post("/logout")
        assert client.post("/gradio_api/queue/join", json=join).status_code == 401
