"""A model server that fails, and the local model that answers meanwhile: never both in one answer.

FOOTNOTE_KILL_N sets how often the server's process is killed (15 by default).
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import modelserver
import pytest
from fakes import TRUSTING, HashEmbedder
from modelserver import PHRASE, SENTENCE, ModelServer, answers, asked, cuts, delta, says

from rag.assistant import Assistant, Finished, Stage, Token
from rag.collection import Collection
from rag.endpoint import EndpointGenerator
from rag.errors import ModelBusy, ModelError, ModelUnavailable
from rag.failover import Circuit, Elsewhere, Failover
from rag.generate import Generation, Generator, Message
from rag.records import Answer, Document
from rag.settings import Settings

KILLS = int(os.environ.get("FOOTNOTE_KILL_N", "15"))
MEMO = Document(
    "memo.md",
    "The Budapest Memorandum was signed on 5 December 1994. Russia, Britain and the United States "
    "gave Ukraine security assurances.\n",
    "The memorandum",
)
WHEN = "When was the Budapest Memorandum signed?"
LOCAL = "On 5 December 1994 the Budapest Memorandum was signed."
FOLLOW_UP = [{"role": "user", "content": "What was signed?"}]


class LocalModel:
    """Says the same as the server's model in other words. Fails the test if two answers mix."""

    name = "the local model"

    def __init__(self) -> None:
        self.asked = 0
        self._writing = threading.Lock()

    def stream(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        into: Generation,
        *,
        adapted: bool = False,
        again: bool = False,
        withhold: str = "",
    ) -> Iterator[str]:
        assert self._writing.acquire(blocking=False), "a local model reads one prompt at a time"
        try:
            self.asked += 1
            short = "shortest exact phrase" in messages[-1]["content"]
            for piece in (PHRASE if short else LOCAL).split(" "):
                into.text += f" {piece}" if into.text else piece
                yield piece
        finally:
            self._writing.release()


@pytest.fixture
def library(settings: Settings) -> Iterator[Collection]:
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as collection:
        collection.put([MEMO], "given")
        yield collection


class Bench:
    """An assistant over a server and a local model, with the circuit's clock in the test's hands."""

    def __init__(
        self, library: Collection, url: str, failures: int = 2, pause_s: float = 30, **more: Any
    ) -> None:
        quick = {
            "endpoint_retries": 1,
            "endpoint_retry_wait_s": 0.05,
        }
        values = TRUSTING | quick | {"endpoint": url, "model": "tiny"} | more
        self.settings = library.settings.model_copy(update=values)
        self.time = 0.0
        self.opened = 0
        self.local = LocalModel()
        self.circuit = Circuit(failures, pause_s, lambda: self.time)
        server = EndpointGenerator(self.settings)
        self.generator = Failover(server, self._open, self.circuit, 5)
        self.assistant = Assistant(library, self.settings, self.generator)

    def _open(self) -> Generator:
        self.opened += 1
        return self.local

    def ask(self) -> str:
        """Who answered; it is a whole answer of that one's."""
        return author(self.assistant.ask(WHEN))


def author(answer: Answer) -> str:
    """ "server" or "local"; its name and its words agree, and the sentence is proved."""
    who = "local" if answer.model == LocalModel.name else "server"
    words = LOCAL if who == "local" else SENTENCE
    assert [(one.text, one.status) for one in answer.sentences] == [(words, "supported")]
    assert answer.citations[0].quote == MEMO.text[: MEMO.text.index(".") + 1]
    assert not answer.refused
    return who


class TestCircuit:
    def test_it_opens_after_failures_in_a_row(self) -> None:
        circuit = Circuit(3, 30, lambda: 0.0)
        for happens in (circuit.failed, circuit.failed, circuit.succeeded, circuit.failed):
            assert circuit.admits()
            happens()
        circuit.failed()
        assert circuit.admits()
        circuit.failed()
        assert circuit.is_open and not circuit.admits()

    def test_one_tries_after_the_pause(self) -> None:
        now = [0.0]
        circuit = Circuit(1, 30, lambda: now[0])
        circuit.failed()
        now[0] = 29.9
        assert not circuit.admits()
        now[0] = 30
        assert circuit.admits() and not circuit.admits(), "one alone"
        circuit.failed()
        now[0] = 59
        assert not circuit.admits()
        now[0] = 60
        assert circuit.admits()
        circuit.untold()
        assert circuit.admits(), "that one told nothing"
        circuit.succeeded()
        assert circuit.admits() and circuit.admits()


def test_the_server_answers_and_the_local_model_stays_closed(library: Collection) -> None:
    with ModelServer() as server:
        bench = Bench(library, server.url)
        assert bench.ask() == "server"
        assert bench.assistant.ask(WHEN).model == f"tiny ({server.url})"
    assert bench.opened == 0


def test_the_circuit_in_use(library: Collection) -> None:
    broken = answers("500 x", "")
    with ModelServer(then=broken) as server:
        bench = Bench(library, server.url)
        assert [bench.ask() for _ in range(4)] == ["local"] * 4
        assert len(server.bodies) == 2, "after two failures it is left alone"
        bench.time = 31
        assert [bench.ask(), bench.ask()] == ["local", "local"]
        assert len(server.bodies) == 3, "one tried it"
        bench.time, server.then = 62, asked()
        assert [bench.ask(), bench.ask()] == ["server", "server"]
    assert bench.opened == 1, "the local model is opened once"


def test_an_answer_that_breaks_off_is_written_anew_by_one_model(library: Collection) -> None:
    """The phrase is the server's; it dies within the sentence, at whatever word."""
    words = SENTENCE.split(" ")
    for at in range(len(words)):
        parts = [delta(f"{word} ") for word in words[:at]]
        with ModelServer(says(PHRASE), cuts(*parts), cuts(*parts)) as server:
            bench = Bench(library, server.url)
            events = list(bench.assistant.stream(WHEN))
        finished = events[-1]
        assert isinstance(finished, Finished) and author(finished.answer) == "local"
        stages = [one.name for one in events if isinstance(one, Stage)]
        assert stages.count("restarting") == 1
        restart = events.index(Stage("restarting"))
        after = "".join(one.text for one in events[restart:] if isinstance(one, Token))
        assert after == LOCAL.replace(" ", ""), "what a reader sees from then on is one model's"


def test_a_rewritten_question_is_part_of_the_answer(library: Collection) -> None:
    """The rewrite was the server's, the rest fails: the local model rewrites it again."""
    rewrite = says("When was the Budapest Memorandum signed?")
    with ModelServer(rewrite, then=answers("500 x", "")) as server:
        bench = Bench(library, server.url)
        answer = bench.assistant.ask("And when did that one happen then?", history=FOLLOW_UP)
    assert answer.model == LocalModel.name
    assert bench.local.asked >= 2
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("status", "words"), [("401 x", "endpoint_key"), ("404 x", "no model"), ("400 x", "refuses")]
)
def test_what_an_operator_has_to_mend_is_not_hidden(
    library: Collection, status: str, words: str
) -> None:
    with ModelServer(then=answers(status, "")) as server:
        bench = Bench(library, server.url)
        for _ in range(4):
            with pytest.raises(ModelError, match=words):
                bench.ask()
    assert bench.opened == 0


def test_a_busy_server_is_not_a_failed_one(library: Collection) -> None:
    with ModelServer(then=asked(0.2)) as server:
        bench = Bench(library, server.url, endpoint_parallel=1, endpoint_queue_s=0)
        stream = cast("Any", bench.assistant.stream(WHEN))
        assert any(isinstance(event, Token) for event in iter(lambda: next(stream), None))
        with pytest.raises(ModelBusy):
            bench.ask()
        stream.close()
    assert bench.opened == 0 and not bench.circuit.is_open


def test_a_reader_who_leaves_tells_the_circuit_nothing(library: Collection) -> None:
    with ModelServer(answers("500 x", ""), then=asked()) as server:
        bench = Bench(library, server.url, failures=1)
        assert bench.ask() == "local"
        bench.time = 31
        stream = cast("Any", bench.generator).stream(
            [{"role": "user", "content": "?"}], 9, Generation()
        )
        next(stream)
        stream.close()
        assert bench.circuit.is_open
        assert bench.ask() == "server", "the next one tries"
        assert not bench.circuit.is_open


def test_local_weights_that_are_missing(library: Collection) -> None:
    def missing() -> Generator:
        raise ModelError("no weights: install them")

    with ModelServer(then=answers("500 x", "")) as server:
        bench = Bench(library, server.url)
        bench.generator._open_local = missing
        with pytest.raises(ModelError, match="fails, and so does 'endpoint_failover': no weights"):
            bench.ask()


def test_without_an_answer_it_is_a_plain_generator(unused: str, settings: Settings) -> None:
    local = LocalModel()
    one = settings.model_copy(update={"endpoint": unused, "endpoint_retries": 0})
    both = Failover(EndpointGenerator(one), lambda: local, Circuit(3, 30), 1)
    record = Generation()
    assert "".join(both.stream([{"role": "user", "content": "?"}], 9, record))
    assert (record.text, local.asked) == (LOCAL, 1)
    parts = (delta("Hel"),)
    with ModelServer(then=cuts(*parts)) as server:
        one = settings.model_copy(update={"endpoint": server.url, "endpoint_retries": 0})
        both = Failover(EndpointGenerator(one), lambda: local, Circuit(3, 30), 1)
        with pytest.raises(Elsewhere):
            list(both.stream([{"role": "user", "content": "?"}], 9, Generation()))


@pytest.fixture
def unused() -> str:
    """An address at which nobody listens."""
    with ModelServer() as server:
        return server.url


def test_many_at_once(library: Collection, settings: Settings) -> None:
    """Eight threads over one generator, each with an assistant of its own; a server that often fails."""
    dice = random.Random(7)

    def moody(wire: Any) -> None:
        doing: Callable[[Any], None] = dice.choice(
            [asked(), asked(), asked(), cuts(delta("The ")), answers("500 x", "")]
        )
        doing(wire)

    with ModelServer(then=moody) as server:
        bench = Bench(library, server.url, failures=3, pause_s=0.05)
        bench.circuit._now = time.monotonic
        found: list[str] = []

        def work() -> None:
            with Collection.open("papers", settings, embedder=HashEmbedder()) as own:
                assistant = Assistant(own, bench.settings, bench.generator)
                for _ in range(12):
                    found.append(author(assistant.ask(WHEN)))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 96, "every answer is whole and by one model"
    assert found.count("server") > 5 and found.count("local") > 5


class Process:
    """The model server as a process of its own."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = int(taken.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-S", str(Path(modelserver.__file__)), str(self.port), "0.004"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout
        self._process.stdout.readline()

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout
            self._process.stdout.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("failover", [False, True], ids=["alone", "with the local model"])
def test_killed_at_any_moment(library: Collection, settings: Settings, failover: bool) -> None:
    """Three readers ask while the server is killed and started; every outcome is whole or an error."""
    dice = random.Random(11)
    process = Process()
    bench = Bench(library, process.url, pause_s=0.1, endpoint_retries=3)
    bench.circuit._now = time.monotonic
    outcomes: list[str] = []
    wrong: list[BaseException] = []
    ended = threading.Event()

    def read() -> None:
        generator = bench.generator if failover else EndpointGenerator(bench.settings)
        with Collection.open("papers", settings, embedder=HashEmbedder()) as own:
            assistant = Assistant(own, bench.settings, generator)
            while not ended.is_set():
                try:
                    outcomes.append(author(assistant.ask(WHEN)))
                except ModelUnavailable as error:
                    clear = "\n" not in str(error) and process.url in str(error)
                    outcomes.append("error" if clear else f"unclear: {error}")
                except BaseException as error:
                    wrong.append(error)
                    return

    process.start()
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.02, 0.25))
            process.kill()
            if dice.random() < 0.3:  # some stay away for longer than the retries take
                time.sleep(dice.uniform(0.2, 0.5))
            process.start()
        before = len(outcomes)
        time.sleep(1)
        after = outcomes[before:]
    finally:
        ended.set()
        for reader in readers:
            reader.join(30)
        process.kill()
    found = Counter(outcomes)
    print(f"\n{KILLS} kills: {dict(found)}")
    assert not wrong, wrong[0]
    assert set(found) <= {"server", "local", "error"}
    assert found["server"] > KILLS / 2
    assert "server" in after, "it is asked again once it is back"
    if failover:
        assert found["local"] > 0 and not found["error"]
    else:
        assert found["error"] > 0 and not found["local"]
