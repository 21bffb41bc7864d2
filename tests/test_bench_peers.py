"""Other systems beside ours: what they are given, how they are timed, what is made of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from eval.bench.peers.__main__ import main as command
from eval.bench.peers.__main__ import run_system, with_earlier
from eval.bench.peers.peer import Told, decode_rate, listening
from eval.bench.peers.registry import OURS, SYSTEMS, System
from eval.bench.peers.summary import ratios, summarise, table
from eval.bench.peers.task import Task, make_task, read_task
from eval.bench.peers.worker import measure
from rag.errors import InputError, ModelError
from rag.settings import Settings

TASK = Task(("a", "b", "c"), ("p", "q"), ("Who?", "When?"), "/embedder", "/none.gguf", 2)
END = 99


class Model:
    """Stands where `llama_cpp.Llama` does: it replies with what it is given."""

    def __init__(self, *reply: int) -> None:
        self.reply = reply

    def token_eos(self) -> int:
        return END

    def generate(self, tokens: Sequence[int], temp: float = 0.8) -> Iterator[int]:
        if temp:
            raise ValueError("not greedy")
        yield from self.reply


def test_a_listener_hears_every_token_and_how_a_reply_ended() -> None:
    generate = Model.generate
    with listening(Model) as calls:
        assert list(Model(5, 6, END).generate([1, 2, 3], temp=0)) == [5, 6, END]
        for n, _ in enumerate(Model(7, 8, 9, END).generate([1], temp=0), 1):
            if n == 2:  # as many as it may write
                break
    assert [(one.prompt_tokens, len(one.times), one.ended) for one in calls] == [
        (3, 2, True),
        (1, 2, False),
    ]
    assert Model.generate is generate

    def asked_wrongly() -> None:
        with listening(Model):
            list(Model(5).generate([1]))

    with pytest.raises(ValueError, match="not greedy"):
        asked_wrongly()
    assert Model.generate is generate


def test_speed_is_counted_from_the_first_token_and_not_for_a_few() -> None:
    assert decode_rate([10.0 + 0.5 * n for n in range(9)]) == 2.0
    assert decode_rate([1.0, 2.0, 3.0]) is None


class Recorded:
    """A peer that notes what is asked of it."""

    def __init__(self) -> None:
        self.held: list[Sequence[str]] = []
        self.asked: list[str] = []

    def index(self, texts: Sequence[str]) -> None:
        self.held.append(tuple(texts))

    def ask(self, question: str) -> Told:
        self.asked.append(question)
        return told(text=question)


def told(**fields: Any) -> Told:
    plain = Told("x", 100, 10, 1.0, 3.0, 5.0, limited=False, refused=False)
    return dataclasses.replace(plain, **fields)


def test_a_worker_warms_up_and_asks_about_the_passages() -> None:
    peer = Recorded()
    row = measure(peer, TASK, ingests=True)
    assert peer.held == [("Warm up. a", "Warm up. b"), ("a", "b", "c"), ("p", "q")]
    assert peer.asked[1:] == ["Who?", "When?"]
    assert [one["text"] for one in row["told"]] == ["Who?", "When?"]
    assert row["index_s"] >= 0

    alone = Recorded()
    assert measure(alone, TASK, ingests=False)["index_s"] is None
    assert alone.held == [("p", "q")]


def measured(index_s: float | None, *rows: Told) -> dict[str, Any]:
    told = [dataclasses.asdict(one) for one in rows]
    return {"index_s": index_s, "open_s": 1.0, "versions": {}, "told": told}


def test_medians_and_ratios() -> None:
    few = told(decode_per_s=None, first_token_s=2.0, total_s=4.0)
    ours = summarise(measured(2.0, told(), few, told(total_s=11.0, limited=True)), 100, 64)
    assert (ours["n"], ours["ingest_per_s"], ours["limited"], ours["refused"]) == (3, 50.0, 1, 0)
    assert (ours["first_token_s"], ours["total_s"], ours["decode_per_s"]) == (1.0, 4.0, 5.0)
    assert ours["whole_s"] == pytest.approx(1.0 + 63 / 5)

    short = summarise(measured(None, told(total_s=2.0, decode_per_s=None)), 100, 64)
    assert short["ingest_per_s"] is None and short["whole_s"] is None
    other = summarise(measured(10.0, told(first_token_s=6.0, total_s=10.0)), 100, 64)
    rows = {OURS[0]: ours, OURS[1]: short, "txtai": other, "haystack": {"error": "x"}}
    # 6 s / 1 s, 10 s / 4 s, 10 s / 2 s; 50 documents a second / 10.
    assert ratios(rows) == {
        "txtai": {"first_token": 6.0, "total": 2.5, "short_total": 5.0, "ingest": 5.0}
    }
    assert ratios({"txtai": other}) == {}
    assert table(rows, "").row_count == 3


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with two abstracts, and one paragraph that answers one of two questions."""
    (tmp_path / "scifact").mkdir()
    rows = [{"_id": n, "title": f"T{n}", "text": f"Text {n}."} for n in "123"]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "scifact" / "corpus.jsonl").write_text(lines)
    asked = {"question": "Where?", "answers": [{"text": "Oslo", "answer_start": 6}], "id": "1"}
    vain = {"question": "Why?", "answers": [], "is_impossible": True, "id": "2"}
    article = {"title": "A_city", "paragraphs": [{"context": "It is Oslo.", "qas": [asked, vain]}]}
    (tmp_path / "squad2").mkdir()
    (tmp_path / "squad2" / "squad2.json").write_text(json.dumps({"data": [article]}))
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    return tmp_path


def test_all_are_given_the_same(data: Path) -> None:
    settings = Settings(model=str(data / "own.gguf"), threads=3)
    task = make_task(data, 2, 5, settings)
    assert task.abstracts == ("T1\n\nText 1.", "T2\n\nText 2.")
    assert (task.passages, task.questions) == (("A city\n\nIt is Oslo.",), ("Where?",))
    assert (task.weights, task.threads) == (str(data / "own.gguf"), 3)
    task.write(data / "task.json")
    assert read_task(data / "task.json") == task
    assert dataclasses.replace(task, weights="elsewhere").digest == task.digest
    assert dataclasses.replace(task, questions=("Who?",)).digest != task.digest

    with pytest.raises(ModelError, match="packaged model or a GGUF file"):
        make_task(data, 2, 5, Settings(model=str(data / "none.gguf")))
    (data / "scifact" / "corpus.jsonl").unlink()
    with pytest.raises(InputError, match=r"corpus\.jsonl: can't be read .*--data"):
        make_task(data, 2, 5, settings)


def test_a_system_that_is_not_there_or_fails_is_a_line() -> None:
    absent = System("txtai", "no.such:Thing", ("no-such-distribution",))
    skipped = run_system(absent, TASK)["skipped"]
    assert skipped.startswith("no-such-distribution not installed: ") and "[peers]" in skipped
    # Without llama-cpp-python it can't be imported; with it there are no such weights.
    failing = dataclasses.replace(SYSTEMS["llama.cpp"], packages=())
    error = run_system(failing, TASK)["error"]
    assert error.startswith("ended with 1: ") and "\n" not in error


def test_figures_of_the_same_task_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    assert with_earlier(path, TASK) == {}
    rows = {"txtai": {"n": 1}, "footnote": {"n": 2}, "gone": {}}
    path.write_text(json.dumps({"task": TASK.digest, "systems": rows}))
    assert list(with_earlier(path, TASK).items()) == [("footnote", {"n": 2}), ("txtai", {"n": 1})]
    assert with_earlier(path, dataclasses.replace(TASK, threads=1)) == {}
    path.write_text("[]")
    with pytest.raises(InputError, match=r"peers\.json: not a file of this benchmark"):
        with_earlier(path, TASK)


def test_an_unknown_system_is_named() -> None:
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, ["--system", "nope"])
    assert done.exit_code == 1
    assert "--system nope: there are footnote, footnote-short, llama.cpp" in done.output
