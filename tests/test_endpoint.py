"""A model server that misbehaves in each way that real ones do, and what its client makes of it."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import ssl
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest
from fakes import TRUSTING, HashEmbedder
from modelserver import DONE, STOP, Doing, ModelServer, Wire, answers, cuts, delta, says, streams

from rag.assistant import Assistant
from rag.collection import Collection
from rag.doctor import endpoint_findings, examine
from rag.endpoint import EndpointGenerator
from rag.errors import ModelBusy, ModelError, ModelUnavailable, SettingsError
from rag.generate import Generation, Message, load_generator
from rag.modelserver import model_server
from rag.records import Document
from rag.settings import Settings, load_settings

KEY = "sk-topsecret-0123456789"
LIMITS: dict[str, Any] = {
    "endpoint_first_token_s": 20,
    "endpoint_silence_s": 20,
    "endpoint_whole_s": 60,
    "endpoint_retries": 2,
    "endpoint_retry_wait_s": 0.05,
    "endpoint_queue_s": 0.3,
}
MESSAGES: list[Message] = [{"role": "user", "content": "Say hello."}]
HI = "Hello there."


def settings_for(server: ModelServer | str, **more: Any) -> Settings:
    url = server if isinstance(server, str) else server.url
    return Settings(**{"endpoint": url, "model": "tiny"} | LIMITS | more)


def said(settings: Settings, **wishes: Any) -> tuple[str, Generation]:
    record = Generation()
    pieces = list(EndpointGenerator(settings).stream(MESSAGES, 50, record, **wishes))
    assert "".join(pieces) == record.text
    assert all(pieces)
    return record.text, record


def hello(*before: str) -> list[str]:
    return [*before, delta("Hello"), delta(" there."), STOP, DONE]


def silent(wire: Wire) -> None:
    wire.left(5)


def silent_after(*parts: str) -> Doing:
    def do(wire: Wire) -> None:
        wire.head()
        for part in parts:
            wire.chunk(part)
        wire.left(5)

    return do


def for_ever(part: str, pause: float, first: str = ": hello\n\n") -> Doing:
    """Repeats itself until the client leaves."""

    def do(wire: Wire) -> None:
        wire.head()
        wire.chunk(first)
        while not wire.left(pause):
            wire.chunk(part)
        wire.close()

    return do


def raw(data: bytes) -> Doing:
    def do(wire: Wire) -> None:
        wire.send(data)
        wire.close()

    return do


def message(content: str, **more: Any) -> str:
    whole = {"choices": [{"message": {"content": content}, "finish_reason": "stop"} | more]}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def by_bytes(text: str) -> list[bytes]:
    data = text.encode()
    return [data[at : at + 1] for at in range(len(data))]


HTML = "<html><head><style>b{}</style></head><body><h1>Bad gateway</h1>nginx</body></html>"
SPEECH: dict[str, tuple[Doing, str]] = {
    "well behaved": (says(HI), HI),
    "role only, content null": (streams(delta(None, delta={"role": "assistant"}), *hello()), HI),
    "pings": (streams(": ping\n\n", *hello(": ping\n\n")), HI),
    "event names and identifiers": (
        streams("event: message\nid: 7\nretry: 3\n" + "".join(hello())),
        HI,
    ),
    "CRLF": (streams("".join(hello()).replace("\n", "\r\n")), HI),
    "no blank lines": (streams("".join(hello()).replace("\n\n", "\n")), HI),
    "no space after data:": (streams("".join(hello()).replace("data: ", "data:")), HI),
    "a byte order mark": (streams("\ufeff" + "".join(hello())), HI),
    "byte by byte, in UTF-8": (
        streams(*by_bytes('data: {"choices":[{"delta":{"content":"Zażółć 😀"}}]}\n' + STOP + DONE)),
        "Zażółć 😀",
    ),
    "bad UTF-8": (
        streams(b'data: {"choices":[{"delta":{"content":"caf\xe9!"}}]}\n\n', STOP),
        "caf\ufffd!",
    ),
    "U+2028, U+2029 and U+0085 unescaped": (
        streams('data: {"choices":[{"delta":{"content":"a\u2028b\u2029c\u0085d"}}]}\n\n', STOP),
        "a\u2028b\u2029c\u0085d",
    ),
    "half an emoji an event": (streams(delta("\ud83d"), delta("\ude00!"), STOP), "😀!"),
    "half an emoji alone": (streams(delta("a\ud83d"), STOP), "a\ufffd"),
    "the limit was reached": (streams(delta("Hello"), delta("", finish_reason="length")), "Hello"),
    "thoughts apart": (streams(delta(None, delta={"reasoning_content": "Hm."}), *hello()), HI),
    "thoughts in front": (streams(delta("<th"), delta("ink>Hm.</think>\n\n"), *hello()), HI),
    "looks like a thought": (streams(delta("<thin"), delta(" ice"), STOP), "<thin ice"),
    "nothing at all": (streams(delta(""), STOP, DONE), ""),
    "white space only": (streams(delta(" \n"), STOP), " \n"),
    "no [DONE]": (streams(delta(HI), STOP), HI),
    "no finish_reason": (streams(delta(HI), DONE), HI),
    "no end of lines": (streams(delta(HI), STOP.strip()), HI),
    "cut after its end": (cuts(delta(HI), STOP), HI),
    "never closed after its end": (silent_after(delta(HI), STOP), HI),
    "more after [DONE]": (streams(*hello(), delta("And more.")), HI),
    "one JSON body": (answers("200 OK", message(HI), "Content-Type: application/json"), HI),
    "one JSON body without a reason": (answers("200 OK", message(HI, finish_reason=None)), HI),
    "odd types": (
        streams(
            'data: {"choices": {}, "usage": []}\n\ndata: []\n\ndata: 7\n\n',
            'data: {"choices": ["x"], "usage": {"prompt_tokens": "many"}}\n\n',
            'data: {"choices": [{"delta": [1]}]}\n\n',
            'data: {"choices": [{"delta": {"content": 5}, "logprobs": {"content": [1]}}]}\n\n',
            *hello(),
        ),
        HI,
    ),
}


@pytest.mark.parametrize("name", SPEECH)
def test_what_is_understood(name: str) -> None:
    doing, expected = SPEECH[name]
    with ModelServer(doing) as server:
        text, record = said(settings_for(server))
    assert text == expected
    assert len(server.bodies) == 1, "the first attempt is enough"
    assert (record.first_token_s is None) == (not text)


FAILURES: dict[str, tuple[Doing, type[ModelError], str]] = {
    "an error as a JSON body": (
        answers("200 OK", '{"error": {"message": "out of\\nmemory", "code": 500}}'),
        ModelUnavailable,
        "has failed .*out of memory",
    ),
    "an error as a string": (answers("200 OK", '{"error": "boom"}\n'), ModelUnavailable, "boom"),
    "an error as an event": (
        streams(delta("Hel"), 'data: {"error": {"message": "engine died"}}\n\n'),
        ModelUnavailable,
        "engine died",
    ),
    "an error as a field": (
        streams('error: {"code": 400, "message": "too long"}\n\n'),
        ModelError,
        "refuses the request .*too long",
    ),
    "an error as an object": (
        answers("200 OK", '{"object": "error", "message": "no such lora", "code": 404}'),
        ModelError,
        "no such lora",
    ),
    "an error as a bare line": (
        streams(delta("Hel"), '{"error": "killed"}\n'),
        ModelUnavailable,
        "killed",
    ),
    "a web page": (answers("200 OK", HTML), ModelError, "web page.*endpoint"),
    "a web page with a 500": (
        answers("500 Internal Server Error", HTML),
        ModelUnavailable,
        r"\(500: Bad gateway nginx\)",
    ),
    "no JSON": (streams("data: hello\n\n"), ModelError, "not JSON"),
    "another API": (
        answers("200 OK", '{"response": "Hello", "done": true}'),
        ModelError,
        "no chat completions: check 'endpoint'",
    ),
    "an unknown path": (answers("404 Not Found", HTML), ModelError, "set 'model' to one of tiny"),
    "a redirect": (
        answers("307 Temporary Redirect", "", "Location: http://127.0.0.1:1/v1"),
        ModelError,
        "elsewhere .*not followed",
    ),
    "a bad request": (
        answers("400 Bad Request", '{"error": {"message": "context length exceeded"}}'),
        ModelError,
        "refuses .*context length exceeded",
    ),
    "a filter": (
        streams(delta("Hel"), delta("", finish_reason="content_filter")),
        ModelError,
        "filter cut the reply",
    ),
    "thoughts only": (
        streams(delta(None, delta={"reasoning": "Hm"}), delta("", finish_reason="length")),
        ModelError,
        "only thought.*endpoint_extra",
    ),
    "thoughts without an end": (streams(delta("<think>Hm"), STOP), ModelError, "only thought"),
    "silence": (silent, ModelUnavailable, r"said nothing for 0\.4 s.*endpoint_first_token_s"),
    "silence after the head": (silent_after(), ModelUnavailable, "endpoint_first_token_s"),
    "silence in mid-reply": (
        silent_after(delta("Hel")),
        ModelUnavailable,
        r"fell silent in mid-reply for 0\.3 s.*endpoint_silence_s",
    ),
    "nothing but pings": (for_ever(": ping\n\n", 0.02), ModelUnavailable, "first_token_s"),
    "pings in mid-reply": (
        for_ever(": ping\n\n", 0.02, first=delta("Hel")),
        ModelUnavailable,
        "endpoint_silence_s",
    ),
    "no end": (for_ever(delta("word "), 0.1), ModelUnavailable, "took longer than.*whole_s"),
    "a line without an end": (
        for_ever("data: " + "x" * 100_000, 0.001),
        ModelError,
        "line without an end",
    ),
    "too much": (for_ever(": " + "x" * 900_000 + "\n", 0.0001), ModelUnavailable, "than 16 MB"),
    "a rest longer than we wait": (
        answers("429 Too Many Requests", "{}", "Retry-After: 3600"),
        ModelUnavailable,
        "overloaded.*left alone for 3600 s",
    ),
    "JSON of great depth": (streams("data: " + "[" * 100_000 + "\n\n"), ModelError, "not JSON"),
}


# Everything else has time enough on a machine that is busy.
IN_TIME: dict[str, dict[str, float]] = {
    "silence": {"endpoint_first_token_s": 0.4},
    "silence after the head": {"endpoint_first_token_s": 0.4},
    "nothing but pings": {"endpoint_first_token_s": 0.4},
    "silence in mid-reply": {"endpoint_silence_s": 0.3},
    "pings in mid-reply": {"endpoint_silence_s": 0.3},
    "no end": {"endpoint_whole_s": 1},
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_fails_is_said_at_once(name: str) -> None:
    doing, kind, words = FAILURES[name]
    with ModelServer(doing) as server, pytest.raises(ModelError) as caught:
        said(settings_for(server, **IN_TIME.get(name, {})))
    assert type(caught.value) is kind
    assert re.search(words, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(server.bodies) == 1, "not tried again"


RETRIED: dict[str, tuple[list[Doing], str]] = {
    "cut before the head": ([raw(b"")], HI),
    "no HTTP": ([raw(b"220 smtp ready\r\n\r\n")], HI),
    "reset before the head": ([lambda wire: wire.cut()], HI),
    "cut before the first token": ([cuts(": ping\n\n")], HI),
    "ended before the first token": ([streams(delta(None, delta={"role": "assistant"}))], HI),
    "an empty body": ([answers("200 OK", "")], HI),
    "a JSON body that is cut": (
        [raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + message(HI).encode())],
        HI,
    ),
    "503 while it loads": ([answers("503 Service Unavailable", '{"error": "Loading model"}')], HI),
    "502 as a web page": ([answers("502 Bad Gateway", HTML)], HI),
    "504, 408": ([answers("504 Gateway Timeout", ""), answers("408 Request Timeout", "")], HI),
    "429 with a rest": ([answers("429 Too Many Requests", "", "Retry-After: 0")], HI),
    "429 with a date gone by": (
        [answers("429 x", "", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT")],
        HI,
    ),
    "429 with nonsense": ([answers("429 Too Many Requests", "", "Retry-After: soon")], HI),
    "overloaded, in an event": ([streams('data: {"error": {"code": "503"}}\n\n')], HI),
    "aborted": ([streams(delta("Hel"), delta("", finish_reason="abort"))], HI),
    # What was given already is not given again.
    "cut in mid-reply": ([cuts(delta("Hello"), delta(" the"))], HI),
    "cut twice, at other places": ([cuts(delta("Hello th")), cuts(delta("Hel"))], HI),
    "ended in mid-reply": ([streams(delta("Hello"))], HI),
    "cut at its last token": ([cuts(delta("Hello"), delta(" there."))], HI),
}


@pytest.mark.parametrize("name", RETRIED)
def test_what_is_tried_again(name: str) -> None:
    script, expected = RETRIED[name]
    with ModelServer(*script, then=says(HI)) as server:
        text, record = said(settings_for(server))
    assert text == expected
    assert len(server.bodies) == len(script) + 1
    assert server.bodies[0] == server.bodies[-1]
    assert (record.generated_tokens, record.prompt_tokens) == (2, 7)
    assert record.logprobs == [-0.1, -0.1]


@pytest.mark.parametrize("second", ["Hello you.", "Hell", "Goodbye there."])
def test_another_reply_is_not_sewn_to_a_cut_one(second: str) -> None:
    with ModelServer(cuts(delta("Hello"), delta(" there")), then=says(second)) as server:
        with pytest.raises(ModelUnavailable, match="broke off in mid-reply, and began another"):
            said(settings_for(server))
        assert len(server.bodies) == 2


def test_retries_end(unused: str) -> None:
    with ModelServer(then=cuts(delta("Hello"))) as server:
        with pytest.raises(
            ModelUnavailable, match="the reply broke off|RemoteProtocolError|ReadErr"
        ):
            said(settings_for(server))
        assert len(server.bodies) == 3
    with pytest.raises(ModelUnavailable, match="is the server running"):
        said(settings_for(unused))


@pytest.fixture
def unused() -> str:
    """An address at which nobody listens."""
    with ModelServer() as server:
        return server.url


def test_pauses_grow_and_are_bounded_by_the_whole() -> None:
    with ModelServer(then=answers("503 x", "")) as server:
        settings = settings_for(
            server, endpoint_retries=20, endpoint_retry_wait_s=0.2, endpoint_whole_s=1
        )
        began = time.monotonic()
        with pytest.raises(ModelUnavailable, match="not ready"):
            said(settings)
        assert time.monotonic() - began < 1.5
        assert 3 < len(server.bodies) < 21


def test_a_rest_that_is_asked_for_is_given() -> None:
    with ModelServer(answers("503 x", "", "Retry-After: 1"), then=says(HI)) as server:
        began = time.monotonic()
        assert said(settings_for(server, endpoint_retry_wait_s=2))[0] == HI
        assert 1 <= time.monotonic() - began < 2


def test_what_is_asked_for() -> None:
    with ModelServer(then=says(HI)) as server:
        extra = {"chat_template_kwargs": {"enable_thinking": False}}
        said(settings_for(server, endpoint_key=KEY, endpoint_extra=extra))
    body = server.bodies[0]
    assert body["messages"] == MESSAGES
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("tiny", 50, 0)
    assert body["stream"] and body["logprobs"]
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert f"authorization: bearer {KEY}" in server.headers[0].lower()


@pytest.mark.parametrize("refused", ["stream_options", "logprobs"])
def test_what_a_server_does_not_know_is_left_out_from_then_on(refused: str) -> None:
    told = json.dumps({"error": {"message": f"Unrecognized request argument: {refused}"}})
    with ModelServer(answers("400 Bad Request", told), then=says(HI)) as server:
        generator = EndpointGenerator(settings_for(server))
        for _ in range(2):
            assert "".join(generator.stream(MESSAGES, 9, Generation())) == HI
    assert [refused in body for body in server.bodies] == [True, False, False]


@pytest.mark.parametrize(
    ("reply", "withheld"), [("Unanswerable.", 0.904837), ("in 1994", None)], ids=["said", "not"]
)
def test_a_reply_to_be_withheld_is_noted(reply: str, withheld: float | None) -> None:
    with ModelServer(then=says(reply)) as server:  # one token of logarithm -.1: exp(-.1) = .904837
        record = said(settings_for(server), withhold="unanswerable")[1]
    assert record.withheld == (pytest.approx(withheld, rel=1e-5) if withheld else None)


def test_a_model_that_declines_is_believed(settings: Settings) -> None:
    """It said that the sources hold no answer: it is not asked for sentences all the same."""
    document = Document("memo.md", "The Budapest Memorandum was signed in 1994.\n")
    with ModelServer(then=says("Unanswerable")) as server:
        asked = settings.model_copy(update=TRUSTING | {"endpoint": server.url, "model": "tiny"})
        with Collection.temporary([document], asked, embedder=HashEmbedder()) as collection:
            answer = Assistant(collection, asked).ask("Why was the Budapest Memorandum signed?")
        assert answer.refused
        assert answer.model == f"tiny ({server.url})"
        assert len(server.bodies) == 1


def echo(status: str) -> Doing:
    """A server that repeats the key in its refusal, as some do."""
    return answers(status, json.dumps({"error": {"message": f"Incorrect API key: {KEY}"}}))


def test_the_key_is_in_no_message(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    for doing in (
        echo("401 Unauthorized"),
        echo("400 Bad Request"),
        echo("500 x"),
        answers("200 OK", f"key {KEY}"),
        streams(f"data: {KEY}\n\n"),
        raw(f"HTTP/1.1 {KEY} x\r\n\r\n".encode()),
    ):
        with ModelServer(then=doing) as server, pytest.raises(ModelError) as caught:
            said(settings_for(server, endpoint_key=KEY))
        assert "topsecret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert "topsecret" not in repr(settings_for(server, endpoint_key=KEY))
    assert "topsecret" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("key", "words"), [("", "it wants a key"), (KEY, "'endpoint_key' is not accepted")]
)
def test_a_missing_and_a_wrong_key(key: str, words: str) -> None:
    with ModelServer(then=answers("401 Unauthorized", "{}")) as server:
        with pytest.raises(ModelError, match=f"{words}.*set 'endpoint_key'"):
            said(settings_for(server, endpoint_key=key))


BAD_SETTINGS = {
    "no URL": {"endpoint": "localhost:8000"},
    "another scheme": {"endpoint": "file:///etc/passwd"},
    "a password": {"endpoint": "http://me:topsecret@127.0.0.1:8000/v1"},
    "a key in the URL": {"endpoint": "http://127.0.0.1/v1?key=topsecret"},
    "a port beyond all": {"endpoint": "http://topsecret:99999/"},
    "a line end": {"endpoint": "http://127.0.0.1/v1\r\nX: topsecret"},
    "a key with a line end": {"endpoint_key": "topsecret\r\nX: y"},
    "a key that is no ASCII": {"endpoint_key": "topsecret–1"},
    "no limit": {"endpoint_first_token_s": 0},
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_settings_that_can_not_be(name: str) -> None:
    values = cast("dict[str, Any]", BAD_SETTINGS[name])
    with pytest.raises(SettingsError, match=f"setting '{next(iter(values))}'") as caught:
        load_settings(**values)
    assert "topsecret" not in str(caught.value)


def test_extras_that_are_no_json() -> None:
    with pytest.raises(SettingsError, match="endpoint_extra"):
        EndpointGenerator(settings_for("http://127.0.0.1:1", endpoint_extra={"x": {1, 2}}))


def test_the_connection_is_kept() -> None:
    with ModelServer(then=says(HI)) as server:
        settings = settings_for(server)
        for _ in range(5):
            assert said(settings)[0] == HI
        assert load_generator(settings).name == f"tiny ({server.url})"
        assert said(settings)[0] == HI
        assert server.connections == 1


def test_leaving_stops_the_server() -> None:
    gone = threading.Event()

    def do(wire: Wire) -> None:
        wire.head()
        wire.chunk(delta("Hello"))
        if wire.left(5):
            gone.set()

    with ModelServer(do) as server:
        stream = cast("Any", EndpointGenerator(settings_for(server))).stream(
            MESSAGES, 9, Generation()
        )
        assert next(stream) == "Hello"
        stream.close()
        assert gone.wait(2)


@pytest.mark.parametrize("patient", [True, False])
def test_back_pressure(patient: bool) -> None:
    """No more than two at once; the others wait, and who waits in vain is told so."""
    limits = {"endpoint_parallel": 2, "endpoint_queue_s": 60 if patient else 0.1}
    outcomes: list[str] = []
    with ModelServer(then=says("a b c", pause=0.1)) as server:
        settings = settings_for(server, **limits)

        def ask() -> None:
            try:
                outcomes.append(said(settings)[0])
            except ModelBusy as error:
                outcomes.append("busy" if "server is busy: 2 requests" in str(error) else "?")

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most == 2
        assert outcomes.count("a b c") == 8 if patient else 2 <= outcomes.count("a b c") < 8
        assert outcomes.count("busy") == 8 - outcomes.count("a b c")
        assert said(settings)[0] == "a b c", "every place was given back"


def test_places_are_given_back_whatever_happens() -> None:
    with ModelServer(then=answers("400 x", "")) as server:
        generator = EndpointGenerator(settings_for(server, endpoint_parallel=1))
        for _ in range(3):
            with pytest.raises(ModelError, match="refuses"):
                list(generator.stream(MESSAGES, 9, Generation()))
        server.then = says(HI)
        stream = cast("Any", generator.stream(MESSAGES, 9, Generation()))
        next(stream)
        stream.close()
        assert "".join(generator.stream(MESSAGES, 9, Generation())) == HI


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signed itself, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    encoding = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(certificate.public_bytes(encoding))
    (folder / "key.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "ca.pem", folder / "key.pem"


def test_tls_is_verified(authority: tuple[Path, Path], tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority)
    with ModelServer(then=says(HI), tls=context) as server:
        with pytest.raises(ModelError, match="set 'endpoint_ca'"):
            said(settings_for(server))
        assert server.bodies == []
        assert said(settings_for(server, endpoint_ca=authority[0]))[0] == HI
    (tmp_path / "no.pem").write_text("nothing")
    for path in (tmp_path / "no.pem", tmp_path / "missing.pem"):
        with pytest.raises(SettingsError, match=f"endpoint_ca: .*{path.name}"):
            said(settings_for(server, endpoint_ca=path))


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with ModelServer(then=says(HI)) as server:
        assert said(settings_for(server))[0] == HI


def test_the_doctor_asks_the_server(unused: str) -> None:
    problems: list[str] = []
    with ModelServer(models=["big", "tiny"]) as server:
        settings = settings_for(server, endpoint_key=KEY)
        expected = {"url": server.url, "reachable": True, "models": ["big", "tiny"]}
        assert endpoint_findings(settings, problems) == expected
        assert problems == []
        endpoint_findings(settings.model_copy(update={"model": "huge"}), problems)
        assert "set 'model' to one of big, tiny" in problems.pop()
        server.models = []
        assert endpoint_findings(settings, problems)["reachable"] and not problems
    assert not endpoint_findings(settings_for(unused), problems)["reachable"]
    assert "is the server running" in problems.pop()


@pytest.mark.slow
def test_the_doctor_where_there_is_a_server_and_where_not(tmp_path: Path) -> None:
    places: dict[str, Any] = {"indexes": tmp_path, "cache": tmp_path}
    assert examine(Settings(**places))["endpoint"] is None
    with ModelServer() as server:
        found = examine(settings_for(server, endpoint_key=KEY, **places))
    assert found["endpoint"]["reachable"]
    assert not [one for one in found["problems"] if server.url in one]
    assert KEY not in json.dumps(found)


def test_one_server_a_process() -> None:
    settings = settings_for("http://127.0.0.1:1")
    others = [settings.model_copy(update={"top_k": 3}), settings_for("http://127.0.0.1:2")]
    assert model_server(settings) is model_server(others[0])
    assert model_server(settings) is not model_server(others[1])
