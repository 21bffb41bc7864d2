"""Who gets what: every route of the whole chat, Gradio's own among them, asked by everybody."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fakes import HashEmbedder
from fastapi.routing import iter_route_contexts
from talker import Fixed, Talker, Told

from rag.collection import Collection
from rag.settings import Settings
from ui.guard import OPEN
from ui.people import People
from ui.server import bind, mount, server
from ui.services import Services, opened
from ui.sessions import COOKIE
from ui.streams import Owners
from ui.uploads import Uploads

pytestmark = pytest.mark.slow  # a minute: every route, as everybody

PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
VAULT = "vault-of-zebra"
FILE = "payroll.txt"
SAID = "The salary of Xenia Quorum is 7310944862 crowns."
# What nobody outside the group may ever read, wherever it stands; the number is long, so that no
# duration or identifier holds it by chance.
SECRETS = (VAULT, "payroll", "Xenia", "7310944862", "latecomer", "Rosebud", "sled of childhood")


@dataclass
class Chat:
    """A running chat, everybody in it, and what the owner of the secrets has."""

    address: str
    services: Services
    model: Fixed
    paths: list[tuple[str, str]]
    ids: dict[str, str] = field(default_factory=dict)
    asked: Told | None = None
    page: str = ""  # Rita's session_hash

    def page_of(self, name: str) -> Talker:
        """A new page of somebody's; of nobody's where the name is empty."""
        return Talker(self.address, self.services.sessions.begin(name) if name else "")


def all_paths(app: Any) -> list[tuple[str, str]]:
    """Every method and path pattern of an application behind its middleware."""
    while not hasattr(app, "routes"):
        app = app._app

    def walk(routes: Any) -> Iterator[tuple[str, str]]:
        for one in iter_route_contexts(routes):
            inner = getattr(one.original_route, "app", None)
            if hasattr(inner, "routes"):
                yield from walk(inner.routes)
            else:
                yield from ((method, one.path) for method in one.methods or {"GET"})

    return sorted(set(walk(app.routes)))


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    folder = tmp_path_factory.mktemp("access")
    settings = Settings(
        collection="harbour",
        indexes=folder / "indexes",
        chat=folder / "chat",
        parse_memory_mb=2048,
        audit_text=True,
    )
    embedder = HashEmbedder()
    for name, file, text in (
        ("harbour", "rules.txt", "Boats over twelve metres pay a toll of nine crowns."),
        (VAULT, FILE, f"{SAID} It is paid in June."),
    ):
        place = folder / "documents" / name
        place.mkdir(parents=True)
        (place / file).write_text(text)
        with Collection.open(name, settings, create=True, embedder=embedder) as collection:
            assert not collection.update(place).failed
    people = People(settings.chat_folder / "people.json", hasher=QUICK)
    people.add("anna", PASSWORD, "admin")
    for name, role, groups in (
        ("rita", "reader", ["hr"]),
        ("erik", "editor", ["hr"]),
        ("otto", "reader", ["sales"]),
        ("olga", "editor", []),
    ):
        people.add(name, PASSWORD, role, groups)  # type: ignore[arg-type]
    people.restrict(VAULT, ["hr"])
    model = Fixed("7310944862 crowns", SAID)
    with opened(settings, embedder=embedder, model=model) as services:
        app = mount(services, loopback=False)
        listener, port = bind("127.0.0.1", 0)
        running = server(app)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        made = Chat(f"http://127.0.0.1:{port}", services, model, all_paths(app))
        fill(made)
        yield made
        running.should_exit = True
        thread.join(10)
        listener.close()


def fill(chat: Chat) -> None:
    """Everything that can be secret: a question, its answer, a link, a verdict, an upload."""
    services = chat.services
    rita, erik = chat.page_of("rita"), chat.page_of("erik")
    chat.asked = rita.ask("What salary does Xenia Quorum get?", VAULT)
    chat.page = rita.session
    turn, conversation = chat.asked.turn, chat.asked.conversation
    answer = services.history.turn("rita", turn).answer
    assert answer is not None
    assert answer.citations, "nothing was cited: there is nothing to keep secret"
    said = {"verdict": "down", "reason": "wrong", "correction": "It was Rosebud."}
    rita.http.post(f"/answers/{turn}/feedback", json=said).raise_for_status()
    link = rita.http.post(f"/answers/{turn}/share", json={}).raise_for_status().json()["url"]
    sent = erik.http.post(
        f"/documents/{VAULT}/upload",
        params={"name": "latecomer.txt"},
        content=b"A sled of childhood.",
    )
    assert sent.status_code == 200, sent.text
    for task in services.library.tasks(VAULT):
        task.ended.wait(30)
    chat.ids = {
        "collection": VAULT,
        "turn": turn,
        "conversation": conversation,
        "token": link.rsplit("/", 1)[1],
        "session_hash": chat.page,
        "event_id": chat.page,
        "source": "0",
        "part": "0",
        "component_id": "1",
        "segment_id": "0",
        "environment": "client",
        "type": "component",
        "file_name": "index.js",
        "api_name": "predict",
        "run": "0",
        "ext": "ts",
        "size": "192",
        "key": "x",
        "path": "index.html",
        "url_path": f"{chat.address}/panel/documents/{VAULT}",
        "path_or_url": f"{chat.address}/panel/documents/{VAULT}",
    }


def addresses(chat: Chat, pattern: str) -> list[str]:
    """A pattern with everything filled in that Rita has; `{id}` is a conversation's or a turn's."""
    found = []
    for id in ("conversation", "turn"):
        for kind in ("md", "docx", "json", "txt"):
            filled = pattern.replace(":path}", "}")
            for name, value in {**chat.ids, "id": chat.ids[id], "kind": kind}.items():
                filled = filled.replace(f"{{{name}}}", value)
            assert "{" not in filled, f"the test does not know how to fill {pattern}"
            found.append(filled)
    return list(dict.fromkeys(found))


def body(chat: Chat) -> dict[str, Any]:
    """What fits any route that takes JSON."""
    context = {"do": "open", "conversation": chat.ids["conversation"], "collection": VAULT}
    return {
        "data": [json.dumps(context)],
        "fn_index": 1,
        "session_hash": chat.page,
        "event_id": chat.page,
        "component_id": 1,
        "fn_name": "get",
    }


QUERY = (
    "?session_hash={session}&id=payroll.txt&upload_id={session}&q=zzz"
    "&url=file:///etc/passwd&next=/panel/collections&c={conversation}"
)
FORMS: tuple[dict[str, Any], ...] = (
    {"title": "seen"},
    {"verdict": "up"},
    {"documents": [FILE], "uploads": ["latecomer.txt"]},
    {"source": None},
    {},
)


def sweep(chat: Chat, page: Talker) -> Iterator[tuple[str, str, httpx.Response]]:
    """Ask every route for what is Rita's; event streams are read for a moment."""
    query = QUERY.format(session=chat.page, conversation=chat.ids["conversation"])
    for method, pattern in chat.paths:
        if pattern in ("/logout", "/collections"):
            continue
        ours = pattern.startswith(("/documents", "/collections", "/conversations", "/answers"))
        bodies = (*FORMS, body(chat)) if ours else (body(chat),)
        for path in addresses(chat, pattern):
            for one in bodies if method == "POST" else ({},):
                extra = {"json": one} if method == "POST" else {}
                with page.http.stream(method, path + query, **extra, timeout=10) as answer:
                    kind = answer.headers.get("content-type", "")
                    if "event-stream" in kind and answer.status_code == 200:
                        text = next(answer.iter_text(), "")
                        yield method, path, httpx.Response(200, text=text)
                        continue
                    answer.read()
                    yield method, path, answer


def shown(answer: httpx.Response, address: str) -> set[str]:
    """The secrets in an answer, but for those that its question named."""
    text = answer.text + str(answer.headers)
    if answer.status_code == 422:  # tells what was wrong with the question, in its own words
        address += answer.request.content.decode()
    return {one for one in SECRETS if one in text and one not in address}


# Nobody


def test_nobody_gets_past_the_door_anywhere(chat: Chat) -> None:
    nobody = chat.page_of("")
    seen = {(method, path): answer for method, path, answer in sweep(chat, nobody)}
    assert len(seen) > 90
    for (method, path), answer in seen.items():
        if (method, path) in OPEN:
            continue
        assert answer.status_code == 401, (method, path)
        assert answer.text == ("" if method == "HEAD" else "Log in first.")
    page = nobody.http.get(f"/answer/{chat.ids['token']}", headers={"accept": "text/html"})
    assert page.status_code == 303
    assert page.headers["location"].startswith("/login?next=")
    for method, path in OPEN:
        assert not shown(nobody.http.request(method, path), "")


# Somebody from elsewhere


@pytest.mark.parametrize("name", ["otto", "olga"])
def test_another_group_gets_nothing_by_any_route_and_any_id(chat: Chat, name: str) -> None:
    page = chat.page_of(name)
    before = chat.services.history.turns("rita", chat.ids["conversation"])
    for method, path, answer in sweep(chat, page):
        assert not shown(answer, path), (method, path, answer.text[:300])
        assert answer.status_code != 500, (method, path)
        named = {chat.ids["turn"], chat.ids["conversation"], chat.ids["token"], VAULT}
        if any(one in path for one in named):
            assert answer.status_code in (400, 404, 422), (method, path, answer.status_code)
    for path in ("/me", "/panel/collections", "/panel/conversations?q=Xenia", "/config", "/"):
        assert not shown(page.http.get(path), path)
    assert chat.services.history.turns("rita", chat.ids["conversation"]) == before
    assert [one.name for one in chat.services.library.uploads(VAULT)] == ["latecomer.txt"]


@pytest.mark.parametrize(
    "context",
    [
        {"do": "open", "conversation": "{conversation}"},
        {"do": "ask", "question": "salary of Xenia?", "conversation": "{conversation}"},
        {"do": "ask", "question": "which salary?", "collection": VAULT},
        {"do": "ask", "question": "which salary?", "collection": f"../indexes/{VAULT}"},
        {"do": "again", "turn": "{turn}"},
        {"do": "ask", "question": "which?", "collection": "harbour", "edit": "{turn}"},
        {
            "do": "ask",
            "question": "which?",
            "collection": "harbour",
            "scope": {"documents": [FILE]},
        },
    ],
)
def test_the_conversation_itself_gives_another_nothing(chat: Chat, context: dict[str, Any]) -> None:
    page = chat.page_of("otto")
    filled = {
        key: value.format(**chat.ids) if isinstance(value, str) else value
        for key, value in context.items()
    }
    page.join(filled).raise_for_status()
    seen = [json.dumps(one, ensure_ascii=False) for one in page.messages()]
    for one in seen:
        mine = {secret for secret in SECRETS if secret in one} - {
            secret for secret in SECRETS if secret in json.dumps(filled)
        }
        assert not mine, one
    assert len(chat.services.history.turns("rita", chat.ids["conversation"])) == 1


# Those within


def test_a_reader_of_the_group_reads_and_changes_nothing(chat: Chat) -> None:
    page = chat.page_of("rita")
    http = page.http
    assert FILE in http.get(f"/panel/documents/{VAULT}").text
    assert "Xenia" in http.get(f"/documents/{VAULT}/text", params={"id": FILE}).text
    assert "7310944862" in http.get(f"/panel/sources/{chat.ids['turn']}").text
    for path, given in (
        (f"/documents/{VAULT}/delete", {"documents": [FILE]}),
        (f"/documents/{VAULT}/index", {}),
        (f"/collections/{VAULT}/remove", {}),
        ("/documents/harbour/delete", {"documents": ["rules.txt"]}),
        ("/collections", {"name": "mine"}),
    ):
        assert http.post(path, json=given).status_code in (400, 404), path
    sent = http.post(f"/documents/{VAULT}/upload", params={"name": "a.txt"}, content=b"words")
    assert sent.status_code == 404
    with chat.services.library.view(VAULT) as held:
        assert held.counts()[0] == 2
    assert not (chat.services.settings.indexes / "mine").exists()


def test_an_editor_changes_the_groups_documents_but_sees_no_ones_questions(chat: Chat) -> None:
    http = chat.page_of("erik").http
    assert http.post("/collections", json={"name": "shelf"}).status_code == 200
    assert chat.services.people.groups_of("shelf") == {"hr"}
    sent = http.post("/documents/shelf/upload", params={"name": "a.txt"}, content=b"One word.")
    assert sent.status_code == 200
    for task in chat.services.library.tasks("shelf"):
        task.ended.wait(30)
    assert http.post("/documents/shelf/delete", json={"uploads": ["a.txt"]}).status_code == 200
    assert http.post("/collections/shelf/remove", json={}).status_code == 200
    for path in ("/panel/sources/{turn}", "/export/answer/{turn}.md", "/answers/{turn}/question"):
        assert http.get(path.format(**chat.ids)).status_code == 404
    assert "7310944862" in http.get(f"/answer/{chat.ids['token']}").text  # what Rita shared


def test_an_admin_reads_every_collection_but_no_ones_questions(chat: Chat) -> None:
    http = chat.page_of("anna").http
    assert VAULT in http.get("/panel/collections").text
    assert "Xenia" in http.get(f"/documents/{VAULT}/text", params={"id": FILE}).text
    for path in ("/panel/sources/{turn}", "/export/conversation/{conversation}.json"):
        assert http.get(path.format(**chat.ids)).status_code == 404
    assert "Xenia" not in http.get("/panel/conversations").text


# Somebody who was within


def test_a_group_taken_away_takes_everything_at_once(chat: Chat) -> None:
    people = chat.services.people
    people.add("vera", PASSWORD, "reader", ["hr"])
    page = chat.page_of("vera")
    mine = page.ask("What salary does Xenia Quorum get?", VAULT)
    turn, conversation = mine.turn, mine.conversation
    link = page.http.post(f"/answers/{turn}/share", json={}).json()["url"]
    paths = [
        f"/panel/documents/{VAULT}",
        f"/panel/welcome/{VAULT}",
        f"/documents/{VAULT}/text?id={FILE}",
        f"/documents/{VAULT}/tasks",
        f"/panel/sources/{turn}",
        f"/answers/{turn}/question",
        f"/answers/{turn}/feedback",
        f"/export/answer/{turn}.md",
        f"/export/conversation/{conversation}.md",
        f"/panel/shared/{link.rsplit('/', 1)[1]}",
        link,
    ]
    assert [page.http.get(path).status_code for path in paths] == [200] * len(paths)
    people.change("vera", groups=[])
    assert [page.http.get(path).status_code for path in paths] == [404] * len(paths)
    for path in (
        *paths,
        "/panel/collections",
        "/panel/conversations",
        "/panel/conversations?q=7310944862",
    ):
        assert not shown(page.http.get(path), path), path
    last, seen = page.send(do="open", conversation=conversation)
    assert last is None
    assert not any("7310944862" in one for one in seen)
    people.remove("vera")
    assert page.http.get("/me").status_code == 401
    assert {page.http.get(path).status_code for path in paths} == {401}


@pytest.mark.parametrize("how", ["removed", "group"])
def test_a_running_answer_ends_with_its_readers_rights(chat: Chat, how: str) -> None:
    people, model = chat.services.people, chat.model
    name = f"walter-{how}"
    people.add(name, PASSWORD, "reader", ["hr"])
    page = chat.page_of(name)
    model.seconds = 3.0
    try:
        question = {"do": "ask", "question": "What salary does Xenia Quorum get?"}
        page.join({**question, "collection": VAULT}).raise_for_status()
        after = 0
        removed = False
        with contextlib.suppress(httpx.HTTPError):  # a stream that is cut may end in an error
            for one in page.messages():
                text = json.dumps(one)
                if removed:
                    after += 1
                elif "fn-draft" in text or "fn-stage" in text:
                    people.remove(name) if how == "removed" else people.change(name, groups=[])
                    removed = True
        assert removed
        assert after <= 1, "what was on its way, at most"
    finally:
        model.seconds = 0.0


# Gradio


TRICKS = [
    f"{start}{path}"
    for path in (
        "/etc/passwd",
        "{chat}/chat.db",
        "{chat}/people.json",
        "{chat}/uploads/vault-of-zebra/latecomer.txt",
        "../../../../../../../../etc/passwd",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "..%5c..%5c..%5cetc%5cpasswd",
        "....//....//....//etc/passwd",
        "%252e%252e/%252e%252e/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:1/",
        "/tmp/gradio/x",
        "/proc/self/environ",
        "ui/server.py",
        "/etc/passwd%00.png",
    )
    for start in (
        "/gradio_api/file=",
        "/gradio_api/file/",
        "//gradio_api/file=",
        "/gradio_api/./file=",
        "/gradio_api/proxy=",
        "/static/",
        "/assets/",
        "/svelte/",
        "/file=",
        "/answer/",
    )
]


def test_no_file_can_be_read_through_gradio(chat: Chat) -> None:
    token = chat.services.sessions.begin("anna")
    host = chat.address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    where = str(chat.services.settings.chat_folder)
    for trick in TRICKS:
        # As it stands: clients tidy paths up.
        connection.request(
            "GET", trick.replace("{chat}", where), headers={"Cookie": f"{COOKIE}={token}"}
        )
        answer = connection.getresponse()
        given = answer.read()
        assert answer.status in (400, 403, 404, 422), (trick, answer.status, given[:200])
        for secret in (b"root:", b"SQLite", b"$argon2", b"sled of", b"import ", b"PATH="):
            assert secret not in given, trick
    connection.close()


def test_gradios_other_routes_are_not_there_even_for_an_admin(chat: Chat) -> None:
    http = chat.page_of("anna").http
    kept = (
        "/gradio_api/queue/join",
        "/gradio_api/queue/data",
        "/gradio_api/run/",
        "/gradio_api/app_id",
    )
    for method, pattern in chat.paths:
        if not pattern.startswith(("/gradio_api", "/monitoring", "/pwa_icon", "/manifest")):
            continue
        if pattern.startswith(kept):
            continue
        for path in addresses(chat, pattern):
            answer = http.request(method, path, json=body(chat) if method == "POST" else None)
            assert answer.status_code == 404, (method, path)
    sent = http.post("/gradio_api/upload", files={"files": ("a.txt", b"words")})
    assert sent.status_code == 404


def test_a_stream_is_its_persons_alone(chat: Chat) -> None:
    otto, rita = chat.page_of("otto"), chat.page_of("rita")
    path = f"/gradio_api/queue/data?session_hash={chat.page}"
    assert otto.http.get(path).status_code == 403
    assert otto.join({}, session=chat.page).status_code == 403
    run = {"data": ["{}"], "fn_index": 2, "session_hash": chat.page}
    assert otto.http.post("/gradio_api/run/predict", json=run).status_code == 403
    for query in (
        f"session_hash={chat.page}&session_hash={otto.session}",
        f"session_hash={otto.session}&session_hash={chat.page}",
        "",
        "session_hash=",
        "session_hash=../x",
        f"session_hash={'a' * 65}",
    ):
        assert otto.http.get(f"/gradio_api/queue/data?{query}").status_code == 400
    encoded = chat.page.replace(chat.page[0], f"%{ord(chat.page[0]):02x}", 1)
    assert otto.http.get(f"/gradio_api/queue/data?session_hash={encoded}").status_code == 403
    twice = f'{{"session_hash": "{otto.session}", "session_hash": "{chat.page}", "data": []}}'
    typed = {"content-type": "application/json"}
    join = "/gradio_api/queue/join"
    assert otto.http.post(join, content=twice, headers=typed).status_code == 403
    for bad in ("", "[]", "{", '{"session_hash": 5}', '{"session_hash": ["a"]}', "[" * 100_000):
        assert otto.http.post(join, content=bad, headers=typed).status_code == 400
    assert otto.http.post(join, content=b" " * 1_000_001, headers=typed).status_code == 400
    rita.session = chat.page  # another tab of the same person
    assert rita.send(do="open", conversation=chat.ids["conversation"])[0] == Told(
        chat.ids["conversation"], chat.ids["turn"], "open", VAULT
    )


def test_owners_are_remembered_so_long_and_so_many() -> None:
    now = [0.0]
    owners = Owners(each=3, clock=lambda: now[0])
    assert owners.claim("s1", "anna")
    assert owners.claim("s1", "anna")
    assert not owners.claim("s1", "ben")
    for n in range(50):  # one who makes up many drops only their own
        assert owners.claim(f"b{n}", "ben")
    assert not owners.claim("s1", "ben")
    assert owners.claim("b0", "anna"), "the oldest of too many is free again"
    assert not owners.claim("b49", "anna")
    now[0] = 24 * 3600 - 1
    assert owners.claim("s1", "anna"), "used, so it begins anew"
    now[0] += 2
    assert not owners.claim("s1", "ben")
    assert owners.claim("b49", "anna"), "idle for a day"
    now[0] += 24 * 3600 + 1
    assert owners.claim("s1", "ben")


def test_uploads_of_one_collection_do_not_reach_into_another(chat: Chat) -> None:
    http = chat.page_of("olga").http
    sent = http.post(
        "/documents/harbour/upload",
        params={"name": f"../{VAULT}/latecomer.txt"},
        content=b"Something of mine.",
    )
    assert sent.status_code == 200
    assert sent.json() == {"name": "latecomer.txt"}
    for task in chat.services.library.tasks("harbour"):
        task.ended.wait(30)
    uploads: Uploads = chat.services.library._uploads
    assert (uploads.folder(VAULT) / "latecomer.txt").read_bytes() == b"A sled of childhood."
    assert (uploads.folder("harbour") / "latecomer.txt").read_bytes() == b"Something of mine."
    for given in (
        {"uploads": [f"../{VAULT}/latecomer.txt"]},
        {"documents": [f"../{VAULT}/{FILE}"]},
    ):
        http.post("/documents/harbour/delete", json=given)
    assert (uploads.folder(VAULT) / "latecomer.txt").exists()
    http.post("/documents/harbour/delete", json={"uploads": ["latecomer.txt"]}).raise_for_status()


def test_logging_in_leads_to_a_page_of_this_site_alone(chat: Chat) -> None:
    nobody = chat.page_of("")
    for wanted in ("//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:x"):
        form = {"name": "otto", "password": PASSWORD, "next": wanted}
        answer = nobody.http.post("/login", data=form)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"
        nobody.http.cookies.clear()
    assert "<script" not in nobody.http.get("/login?next=%22%3E%3Cscript%3Ex").text
