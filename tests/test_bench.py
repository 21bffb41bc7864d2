"""The speed benchmark: its arithmetic by hand, and its parts over a scripted model."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import TRUSTING, HashEmbedder, ScriptedGenerator
from typer.testing import CliRunner

from eval.bench import answers, start, users
from eval.bench.__main__ import app
from eval.bench.answers import Asked, summary
from eval.bench.figures import Weights, attainable, fit_line, median
from eval.bench.installed import closure, installed, split
from eval.bench.part import Run, peak_memory_gb
from eval.bench.plots import draw, points
from eval.bench.results import Results, keep, read
from eval.bench.rows import Row, rows
from eval.bench.table import cells, show
from eval.bench.timed import Call, Timed
from eval.bench.weights import weights_of
from rag.errors import InputError
from rag.generate import Generation
from rag.records import Answer, Timings

SIZED = Weights(layers=1_000, head=500, read_bytes=750)


class Model(ScriptedGenerator):
    """Says the same to every question; a prompt takes a thousandth of a second a token."""

    def _reply(self, again: bool) -> Any:
        return "They all met in Budapest in 1994 to sign it [1]." if again else "1994"

    def stream(self, messages: Any, max_tokens: int, into: Generation, **how: Any) -> Iterator[str]:
        yield from super().stream(messages, max_tokens, into, **how)
        into.first_token_s = 0.5 + into.prompt_tokens / 1000


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the environment: collections of the test's own, nothing refused."""
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(tmp_path / "indexes"))
    for name, value in TRUSTING.items():
        monkeypatch.setenv(f"FOOTNOTE_{name.upper()}", str(value))


# Arithmetic


def test_a_median_has_an_interval_where_there_are_enough_values() -> None:
    assert median([3.0, 1.0]) == {"n": 2, "value": 2.0}
    assert median([2.0] * 5) == {"n": 5, "value": 2.0, "low": 2.0, "high": 2.0}
    values = list(range(101))
    found = median(values)
    assert found["value"] == 50
    # By order statistics the interval is from the 41st to the 61st value.
    assert found["low"] == pytest.approx(40, abs=3)
    assert found["high"] == pytest.approx(60, abs=3)
    assert median(values) == found
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_one_slow_run_does_not_bend_the_line() -> None:
    line = fit_line([100, 200, 300, 400, 500], [0.7, 0.9, 1.1, 9.0, 1.5])
    assert (line.fixed, line.slope) == (pytest.approx(0.5), pytest.approx(0.002))
    with pytest.raises(ValueError, match="two different"):
        fit_line([1, 1], [1, 2])


def test_the_roofline_by_hand() -> None:
    # 100 GFLOP/s at 20 GB/s meet at 5 FLOP a byte.
    assert [attainable(x, 20, 100) for x in (1, 5, 50)] == [20, 100, 100]
    assert SIZED.write_intensity == 4  # 2 x 1500 operations over 750 bytes
    assert SIZED.read_intensity(30) == 80  # 2 x 1000 x 30 over 750


def test_a_summary_leaves_out_what_was_not_measured() -> None:
    def one(total: float, written: int | None, first: float | None, shown: float | None) -> Asked:
        times = Timings(0.1, first, total, 400, 50)
        return Asked(Answer("q", "q", "a", first is None, 1.0, timings=times), shown, written)

    asked = [one(5.0, 24, 2.0, 3.0), one(7.0, 44, 2.4, 3.4), one(0.2, None, None, None)]
    found = summary(asked, [10.0, 20.0, 20.0])
    assert found["first_token_s"] == {"n": 2, "value": 2.2}
    assert found["shown_s"] == {"n": 2, "value": 3.2}
    # With 64 tokens at 20 a second: 5 + 40/20 and 7 + 20/20.
    assert found["whole_s"] == {"n": 2, "value": 7.5}
    assert found["refused"] == {"n": 3, "value": pytest.approx(1 / 3)}
    assert summary(asked[2:], []).keys() == {"retrieve_s", "refused"}


# What is read of files and packages


def test_weights_of_both_formats(tmp_path: Path) -> None:
    header = {
        "__metadata__": {},
        "embed": {"shape": [1000, 64], "dtype": "BF16"},
        "layer": {"shape": [64, 256], "dtype": "BF16"},
        "norm": {"shape": [64], "dtype": "BF16"},
    }
    text = json.dumps(header).encode()
    folder = tmp_path / "tensors"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(92))
    found = weights_of(folder)
    assert found == Weights(64 * 256, 64_000, 8 + len(text) + 92)
    folder = tmp_path / "ir"
    folder.mkdir()
    consts = [("u4", "1000,2,32"), ("u8", "1000,4,16"), ("u4", "512,2,32"), ("f16", "512,40,1")]
    layers = "".join(
        f'<layer type="Const"><data element_type="{kind}" shape="{shape}"/></layer>'
        for kind, shape in consts
    )
    other = '<layer type="Parameter"><data element_type="i64" shape="?,?"/></layer>'
    (folder / "model.xml").write_text(f"<net><layers>{layers}{other}</layers></net>")
    (folder / "model.bin").write_bytes(bytes(150_000))
    # The smaller of the two vocabulary matrices is looked up in: 32,000 bytes are not read.
    assert weights_of(folder) == Weights(512 * 64, 64_000, 118_000)
    assert weights_of(tmp_path) is None


def test_an_installation_is_split_by_who_asks_for_it() -> None:
    asks = {"us": [("torch", frozenset())], "torch": [("numpy", frozenset())]}
    asks |= {"numpy": [("torch", frozenset())]}  # a circle
    used = closure([("us", frozenset())], lambda name, extras: asks.get(name, []))
    assert used == {"us", "torch", "numpy"}
    sizes = {"torch": 7_000, "numpy": 2_000, "part1": 500, "part2": 600, "pytest": 30, "pip": 4}
    parts = dict.fromkeys(("part1", "part2"), "model")
    found = split(sizes, parts, used, {"pytest", "numpy"})
    kinds = {kind: round(found[f"{kind}_gb"] * 1e9) for kind in ("code", "weights", "development")}
    assert kinds == {"code": 9_000, "weights": 1_100, "development": 30}
    assert found["other_gb"] == pytest.approx(4e-9)
    assert list(found["largest_gb"]) == ["torch", "numpy", "model", "pytest", "pip"]


def test_what_is_installed_here_adds_up() -> None:
    found = installed()
    kinds = ("code", "weights", "development", "other")
    assert sum(found[f"{kind}_gb"] for kind in kinds) == pytest.approx(found["install_gb"])
    assert found["code_gb"] > found["largest_gb"]["torch"] > 0.1
    assert found["development_gb"] > 0


def test_the_peak_is_of_this_process() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        before, after = fresh.submit(_grown).result()
    assert before + 0.1 < after < before + 1


def _grown() -> tuple[float, float]:
    """The peak of a process before and after it holds 400 MB."""
    before = peak_memory_gb()
    assert np.ones(50_000_000).sum() == 5e7
    return before, peak_memory_gb()


# Parts over a scripted model


def test_calls_are_timed_though_their_reader_stops() -> None:
    model = Timed(Model())
    pieces = model.stream([{"role": "user", "content": "When?"}], 9, Generation(), again=True)
    assert (next(pieces), model.name) == ("They", "scripted")
    pieces.close()
    assert (model._inner.stopped, model.calls) == (1, [])
    into = Generation()
    assert "".join(model.stream([], 9, into, again=True)).startswith("They all met")
    assert [(one.generated_tokens, one.again) for one in model.calls] == [(9, True)]
    assert Call(400, 21, 2.0, 4.0, True).tokens_per_s == 10
    assert Call(400, 3, 2.0, 4.0, True).tokens_per_s is None


@pytest.mark.usefixtures("trusting")
def test_answers_are_measured(tmp_path: Path) -> None:
    asks = [{"id": "a", "question": "What is the toll?", "is_impossible": True, "answers": []}]
    paragraph = {"context": "The toll of the old bridge is nine crowns.", "qas": asks}
    (tmp_path / "squad2").mkdir()
    file = tmp_path / "squad2" / "dev.json"
    file.write_text(json.dumps({"data": [{"title": "Bridge", "paragraphs": [paragraph]}]}))
    found = answers.measure(
        Run(tmp_path, 5, quick=True), embedder=HashEmbedder(), generator=Model()
    )
    assert found["squad"]["short"]["refused"]["n"] == 1
    for style in ("short", "full"):
        assert found["seeds"][style]["total_s"]["n"] >= 4
        assert found["seeds"][style]["refused"]["n"] == 5
    assert found["seeds"]["full"]["generated_tokens"]["value"] > 1
    # The scripted model's own speed comes back out of the fit.
    assert found["prompt"]["fixed_s"] == pytest.approx(0.5)
    assert found["prompt"]["tokens_per_s"] == pytest.approx(1000)
    assert "weights" not in found


@pytest.mark.usefixtures("trusting")
def test_people_ask_at_once() -> None:
    found = users.measure(
        Run(quick=True), people=(1, 3), each=2, embedder=HashEmbedder(), model=Model()
    )
    assert (found["1"]["n"], found["3"]["n"]) == (2, 6)
    for row in (found["1"], found["3"]):
        assert 0 < row["answer_p50_s"] <= row["answer_p95_s"]
        assert row["answers_per_minute"] > 1


@pytest.mark.slow
@pytest.mark.usefixtures("trusting")
def test_a_first_answer_is_timed_from_the_start_of_its_process() -> None:
    found = start.measure(Run(questions=4, quick=True))
    assert found["import_loads"] == []
    stages = found["stages_s"]
    assert list(stages)[-1] == "prompt read"
    assert min(stages.values()) >= 0
    assert sum(stages.values()) > stages["model opened"] > 0.1
    assert found["whole_s"] >= found["first_token_s"] > stages["prompt read"] / 4


def test_the_command_starts_and_says_how_long_it_took() -> None:
    taken, printed = start._timed([*start._footnote(), "--help"])
    assert taken > 0.01
    assert "footnote" in printed


# The table, the file and the plots

FIRST = {"n": 100, "value": 0.9, "low": 0.8, "high": 1.1}
RESULTS: Results = {
    "machine": {
        "measured": "2026-01-02T03:04:05+00:00",
        "quick": False,
        "values": {
            **{"processor": "P [x]", "features": ["avx2"], "threads": 2, "bandwidth_gbs": 30.0},
            **{"float32_gflops": 150.0, "install_gb": 3.0, "code_gb": 2.0, "weights_gb": 1.0},
            **{"development_gb": 0.0, "other_gb": 0.0, "largest_gb": {"torch": 0.7}},
        },
    },
    "answers": {
        "measured": "2026-01-02T03:14:05+00:00",
        "quick": True,
        "values": {
            "seeds": {
                "full": {
                    "first_token_s": FIRST,
                    "whole_s": {"n": 4, "value": 8.0},
                    "prompt_tokens": {"n": 4, "value": 300.0},
                    "tokens_per_s": {"n": 4, "value": 10.0},
                },
                "short": {"total_s": {"n": 4, "value": 1.5}},
            },
            "prompt": {
                **{"tokens": [100, 200], "first_token_s": [1.5, 2.5]},
                **{"fixed_s": 0.5, "tokens_per_s": 100.0},
            },
            "weights": {"layers": 10**9, "head": 2 * 10**8, "read_bytes": 10**9},
        },
    },
    "users": {
        "measured": "2026-01-02T03:24:05+00:00",
        "quick": False,
        "values": {
            **{
                str(count): {
                    **{"n": 2 * count, "shown_n": count, "first_p50_s": 1.0, "first_p95_s": 2.0},
                    **{"answer_p50_s": seconds, "answer_p95_s": 2 * seconds},
                    **{"answers_per_minute": 20.0, "tokens_per_s": 9.0},
                }
                for count, seconds in ((1, 2.0), (4, 8.8))
            },
            "peak_memory_gb": 3.0,
        },
    },
    "retrieval": {
        "measured": "2026-01-02T03:34:05+00:00",
        "quick": False,
        "values": {
            size: {"fused_p50_ms": ms, "fused_p95_ms": 2 * ms, "plain_fused_p50_ms": 10 * ms}
            for size, ms in (("10000", 2.0), ("100000", 4.0))
        },
    },
    "peers": {
        "measured": "2026-01-02T03:44:05+00:00",
        "quick": False,
        "values": {
            "systems": {
                "footnote": {"n": 8, "total_s": 5.0, "ingest_per_s": 21.0},
                "txtai": {"n": 8, "total_s": 20.0, "ingest_per_s": 6.0, "first_token_s": None},
                "haystack": {"skipped": "haystack-ai is not installed"},
            }
        },
    },
    "ingest": {
        "measured": "2026-01-02T03:54:05+00:00",
        "quick": False,
        "values": {
            **{"documents": 1000, "index_per_s": 20.0, "plain_encode_per_s": 8.0},
            **{"index_tokens_per_s": 4000.0, "plain_encode_tokens_per_s": 2000.0},
            **{"pdf_pages": 300, "pdf_s": 30.0, "pdf_read_s": 3.0, "pdf_chunk_s": 2.0},
            **{"pdf_embed_s": 24.0, "pdf_write_s": 1.0, "files": 10_000},
            **{"files_first_per_s": 900.0, "files_unchanged_s": 2.0},
        },
    },
}


def test_rows_have_their_limits_ratios_and_targets() -> None:
    found = {row.what: row for row in rows(RESULTS)}
    first, whole = found["seeds: first token"], found["seeds: whole answer of 64 tokens"]
    assert cells(first)[1] == "0.9 s (n 100, 0.8 to 1.1)"
    assert (first.met, whole.met, found["seeds: short answer"].met) == (True, False, True)
    # 30 GB/s over weights of 1 GB: at most 30 tokens a second; 10 were written.
    writing = found["seeds: writing"]
    assert (writing.reference, writing.ratio) == (30, pytest.approx(1 / 3))
    assert found["seeds: weights read while writing"].ratio == pytest.approx(1 / 3)
    # 150 GFLOP/s over two operations for each of 10^9 parameters: 75 tokens a second.
    assert found["reading a prompt"].ratio == pytest.approx(100 / 75)
    # Four people wait 8.8 s where one waits 2: 1.1 times what a fair line must cost.
    assert found["4 at once: whole answer, p50"].ratio == pytest.approx(1.1)
    assert found["10,000 passages: search, p50"].ratio == pytest.approx(0.1)
    indexed = [row.ratio for row in rows(RESULTS) if row.what == "documents indexed"]
    assert indexed == pytest.approx([3.5, 2.5])  # beside txtai, and beside a plain encode
    assert (found["answer as it was"].ratio, found["answer as it was"].beside) == (0.25, "txtai")
    assert found["haystack"].value == "not measured: haystack-ai is not installed"
    assert (found["tokens indexed"].ratio, found["tokens indexed"].reference) == (2, 2000)
    assert found["PDF of 300 pages, searchable"].met is False
    less = Row("x", 1.0, "s", target=0.5)
    assert (cells(less)[-1], cells(less)[-2]) == ("no", "≤ 0.5 s")


def test_the_table_says_what_is_older(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULTS, ["answers"])
    printed = capsys.readouterr().out
    assert "machine (measured 2026-01-02T03:04:05+00:00)" in printed
    assert "answers (quick)" in printed
    assert "P [x], avx2" in printed


def test_results_of_earlier_parts_stay(tmp_path: Path) -> None:
    file = tmp_path / "new" / "results.json"
    keep(file, "start", {"help_s": 1.0}, quick=False)
    keep(file, "users", {}, quick=True)
    found = keep(file, "start", {"help_s": 0.2}, quick=True)
    assert found == read(file)
    assert (found["start"]["values"], found["start"]["quick"]) == ({"help_s": 0.2}, True)
    assert "users" in found
    assert [one.name for one in file.parent.iterdir()] == ["results.json"]
    file.write_text('{"runtime": "openvino", "warm": {"n": 5}}')  # another form
    assert read(file) == {}
    file.write_text("{")
    with pytest.raises(InputError, match=r"results\.json.*remove it"):
        read(file)


def test_plots_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    files = draw(RESULTS, tmp_path / "plots")
    assert [one.name for one in files] == ["retrieval.svg", "first-token.svg", "roofline.svg"]
    texts = ["".join(ElementTree.parse(one).getroot().itertext()) for one in files]
    assert "0.50 s + a second for 100 tokens" in texts[1]
    assert "float32: 150 GFLOP/s, 30 GB/s" in texts[2]
    assert draw({}, tmp_path / "none") == []
    # 2 x 10^9 x 300 operations over 10^9 bytes, and 100 tokens a second of 2 x 10^9 each.
    reading, writing = points(RESULTS["answers"]["values"])
    assert reading == ("reading 300 tokens", 600, 200)
    assert writing == ("writing", pytest.approx(2.4), pytest.approx(24))


def command(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_mistakes_are_named_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    unknown = command("fast", "--json", file)
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (1, 1)
    assert "error: no part 'fast'" in unknown.stderr
    assert "no such folder" in command("start", "--data", tmp_path / "x", "--json", file).stderr
    assert not file.exists()


@pytest.mark.usefixtures("trusting")
def test_a_part_that_fails_is_named_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTNOTE_EMBEDDER", "no-such-folder")
    file = tmp_path / "results.json"
    keep(file, "machine", RESULTS["machine"]["values"], quick=False)
    done = command("users", "--quick", "--json", file)
    assert done.exit_code == 1
    assert "error: users: embedder no-such-folder" in done.stderr
    assert "error: not measured: users" in done.stderr
    assert "matrix products, float32" in done.stdout
    assert read(file).keys() == {"machine"}
