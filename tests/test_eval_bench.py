"""The bench end to end, over a scripted engine: run, kill, resume, score, compare, report."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.compare import compare, parse_gate
from eval.others import adopt, looks_refused
from eval.records import Evidence, Gold, Question, Suite
from eval.report import write_comparison, write_report
from eval.run import Plan, read_run, read_samples, run
from eval.score import score
from rag.errors import InputError
from rag.prompt import Style
from rag.records import Answer, AnswerSentence, Citation, Document, Hit, Timings

CITIES = ("Oslo", "Lima", "Cairo", "Quito", "Perth", "Dakar", "Turin", "Osaka", "Basel", "Minsk")


def small_suite(size: int = 30, name: str = "squad") -> Suite:
    """Paragraphs that each hold one fact, with one question each; every third is unanswerable."""
    documents, questions = [], []
    for n in range(size):
        city = f"{CITIES[n % len(CITIES)]} number {n}"
        text = f"Clerk {n} is busy. The office of clerk {n} is in {city}. It opens at noon."
        documents.append(Document(f"d/{n}", text, f"Clerk {n}"))
        start = text.index(city)
        answerable = n % 3 != 2
        gold = Gold(
            answers=(city,),
            evidence=((Evidence(f"d/{n}", city, start, start + len(city)),),),
            documents={f"d/{n}": 1},
        )
        questions.append(
            Question(
                id=f"q{n}",
                question=f"Where is the office of clerk {n}{'' if answerable else ' on Mars'}?",
                gold=gold if answerable else Gold(),
                answerable=answerable,
                cluster=f"d/{n}",
            )
        )
    return Suite(
        name,
        tuple(questions),
        tuple(documents),
        style="short",
        headline=("f1", "em"),
        caveats=("c",),
    )


class Scripted:
    """An engine that finds the paragraph by its number, right or one rank too low."""

    def __init__(
        self,
        suite: Suite,
        *,
        depth: int = 3,
        most_words: int = 99,
        reply: str | None = None,
        seconds: float = 0.0,
    ) -> None:
        self.held = {document.id: document for document in suite.documents}
        self.depth, self.most_words, self.reply, self.seconds = depth, most_words, reply, seconds
        self.asked: list[str] = []

    def describe(self) -> dict[str, Any]:
        return {"settings": {"top_k": self.depth, "most_words": self.most_words}, "code": "x"}

    def search(self, question: str, k: int) -> Sequence[Hit]:
        number = int(re.findall(r"\d+", question)[0])
        # For one question in four the right paragraph comes second.
        order = [number, number + 1] if number % 4 else [number + 1, number]
        names = [f"d/{n % len(self.held)}" for n in (*order, number + 2)][: min(k, self.depth)]
        return [
            Hit(r, 1 / r, d, self.held[d].title, None, None, 0, len(t := self.held[d].text), t)
            for r, d in enumerate(names, start=1)
        ]

    def ask(self, question: Question, documents: Sequence[Document] | None, style: Style) -> Answer:
        self.asked.append(question.id)
        time.sleep(self.seconds)
        hits = self.search(question.question, 3) if documents is None else []
        number = re.findall(r"\d+", question.question)[0]
        timings = Timings(total_s=time.perf_counter() % 1, prompt_tokens=10)
        plain = Answer(question.question, question.question, "Not in the documents.", True, 0.9)
        plain = dataclasses.replace(plain, passages=tuple(hits), timings=timings, model="scripted")
        for text_of in [hit.document for hit in hits] or [d.id for d in documents or ()]:
            text = self.held[text_of].text
            found = re.search(rf"of clerk {number} is in ([^.]+)", text)
            if found and "Mars" not in question.question:
                words = " ".join(found[1].split()[: self.most_words])
                start = found.start(1)
                quote = text[start : start + len(words)]
                cited = Citation(1, text_of, "", None, None, start, start + len(words), quote)
                said = self.reply if self.reply is not None else f"{words} [1]"
                return dataclasses.replace(
                    plain,
                    text=said,
                    refused=False,
                    confidence=0.8,
                    sentences=(AnswerSentence(words, "supported", (1,)),),
                    citations=(cited,),
                )
        return plain

    def closed_book(self, question: Question, style: Style) -> Answer:
        return Answer(question.question, question.question, "Oslo", False, 0.5, model="scripted")

    def document(self, identifier: str) -> Document:
        return self.held[identifier]

    def documents(self) -> Iterable[Document]:
        return self.held.values()

    def close(self) -> None:
        pass


def without_timings(path: Path) -> list[str]:
    """Lines of samples.jsonl with everything under a key `timings` taken out."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: stripped(v) for k, v in value.items() if k != "timings"}
        return [stripped(v) for v in value] if isinstance(value, list) else value

    lines = (path / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.dumps(stripped(json.loads(line))) for line in lines]


def by_name(summary: dict[str, Any], metric: str, name: str = "answerable") -> dict[str, Any]:
    rows = summary["metrics"]
    return next(r for r in rows if (r["metric"], r["slice"]) == (metric, name))


def test_two_runs_are_the_same_apart_from_timings(tmp_path: Path) -> None:
    suite = small_suite()
    for name in ("a", "b"):
        run(suite, Scripted(suite), Plan(tmp_path / name))
    raw = [(tmp_path / n / "samples.jsonl").read_text(encoding="utf-8") for n in ("a", "b")]
    assert raw[0] != raw[1]  # timings do differ
    assert without_timings(tmp_path / "a") == without_timings(tmp_path / "b")


def test_scores_of_a_run_by_hand(tmp_path: Path) -> None:
    suite = small_suite(12)
    summary = score(run(suite, Scripted(suite), Plan(tmp_path / "a")))
    # 12 questions: 2, 5, 8 and 11 are unanswerable and refused; the other 8 answered exactly.
    assert by_name(summary, "em")["estimate"] == 1
    assert by_name(summary, "em")["n"] == 8
    assert by_name(summary, "refused", "unanswerable")["estimate"] == 1
    assert by_name(summary, "refused", "answerable")["estimate"] == 0
    # Of the answerable 0, 1, 3, 4, 6, 7, 9, 10, those divisible by 4 have the gold second: 6 of 8.
    assert by_name(summary, "recall@1")["estimate"] == 0.75
    assert by_name(summary, "recall@3")["estimate"] == 1
    assert by_name(summary, "exact_quotes")["estimate"] == 1
    assert by_name(summary, "invalid_citations")["estimate"] == 0
    # The 4 refusals were all right; abstaining always would be right on 4 of 12.
    assert by_name(summary, "refusal_precision", "all")["estimate"] == 1
    # All right with confidence .8, all refusals right with .9: ECE is 8/12 * .2 + 4/12 * .1.
    assert by_name(summary, "ece", "all")["estimate"] == pytest.approx(1 / 6, abs=1e-6)
    floors = {name: {(r["metric"], r["slice"]): r["estimate"] for r in rows}
              for name, rows in summary["floors"].items()}  # fmt: skip
    assert floors["always abstain"]["right", "all"] == pytest.approx(4 / 12)
    assert floors["always abstain"]["refusal_precision", "all"] == pytest.approx(4 / 12)
    assert floors["always abstain"]["em", "answerable"] == 0
    assert floors["copy the top passage"]["contains", "answerable"] == 0.75
    assert floors["return everything"]["contains", "answerable"] == 1
    assert floors["BM25 only"]["recall@3", "answerable"] > 0.8
    assert any("Only 12 clusters" in note for note in summary["notes"])


def test_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, __file__, str(out)], cwd=Path(__file__).parents[1])
    samples = out / "samples.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if samples.exists() and samples.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    before = samples.read_bytes()
    done = before.count(b"\n")
    assert 3 <= done < 30
    samples.write_bytes(before + b'{"id": "q9", "torn')  # what a kill in mid-write leaves
    with pytest.raises(InputError, match="not finished"):
        score(out)
    suite = small_suite()
    engine = Scripted(suite)
    run(suite, engine, Plan(out))
    assert len(engine.asked) == 30 - done
    run(suite, Scripted(suite), Plan(tmp_path / "whole"))
    assert without_timings(out) == without_timings(tmp_path / "whole")


def test_another_run_in_the_directory_is_not_touched(tmp_path: Path) -> None:
    suite = small_suite()
    run(suite, Scripted(suite), Plan(tmp_path))
    before = (tmp_path / "samples.jsonl").read_bytes()
    with pytest.raises(InputError, match="top_k was 3, is 1"):
        run(suite, Scripted(suite, depth=1), Plan(tmp_path))
    with pytest.raises(InputError, match="questions was 30"):
        run(small_suite(12), Scripted(suite), Plan(tmp_path))
    assert (tmp_path / "samples.jsonl").read_bytes() == before


def test_a_bad_line_before_the_last_is_named(tmp_path: Path) -> None:
    suite = small_suite(6)
    run(suite, Scripted(suite), Plan(tmp_path))
    lines = (tmp_path / "samples.jsonl").read_text(encoding="utf-8").split("\n")
    lines[1] = "{}"
    (tmp_path / "samples.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_samples(tmp_path)


def test_cache_answers_what_was_asked_before_and_nothing_else(tmp_path: Path) -> None:
    suite, cache = small_suite(), tmp_path / "cache.sqlite"
    run(suite, Scripted(suite), Plan(tmp_path / "a", cache=cache))
    again = Scripted(suite)
    run(suite, again, Plan(tmp_path / "b", cache=cache))
    assert again.asked == []
    assert without_timings(tmp_path / "a") == without_timings(tmp_path / "b")
    other = Scripted(suite, depth=1)
    run(suite, other, Plan(tmp_path / "c", cache=cache))
    assert len(other.asked) == 30
    uncached = Scripted(suite)
    run(suite, uncached, Plan(tmp_path / "d"))
    assert len(uncached.asked) == 30


def test_conditions(tmp_path: Path) -> None:
    suite = small_suite(12)
    given = score(run(suite, Scripted(suite), Plan(tmp_path / "given", "given")))
    assert by_name(given, "em")["n"] == 8
    assert by_name(given, "em")["estimate"] == 1
    closed = score(run(suite, Scripted(suite), Plan(tmp_path / "closed", "closed")))
    assert by_name(closed, "em")["estimate"] == 0
    # The model alone gives no confidence, and none is made up for it.
    assert {(s.answer or {})["confidence"] for s in read_samples(tmp_path / "closed")} == {None}
    assert not {"ece", "aurc"} & {row["metric"] for row in closed["metrics"]}
    assert any("without a confidence" in note for note in closed["notes"])
    assert not any("without a confidence" in note for note in given["notes"])
    found = score(run(suite, Scripted(suite), Plan(tmp_path / "r", retrieval_only=True)))
    # Rank 2 for questions 0 and 4 of the 8: MRR is (6 + 2/2) / 8.
    assert by_name(found, "mrr@10")["estimate"] == 0.875
    assert read_samples(tmp_path / "r")[0].answer is None
    with pytest.raises(InputError, match="no condition"):
        run(suite, Scripted(suite), Plan(tmp_path / "x", "guessed"))


def test_the_bench_costs_little_beside_the_model(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    suite = small_suite(200)
    engine = Scripted(suite, seconds=0.002)
    before = time.process_time()
    out = run(suite, engine, Plan(tmp_path, cache=tmp_path / "c.sqlite"))
    write_report(out, score(out))
    spent = (time.process_time() - before) / 200
    told = read_run(out)["timings"]
    record_property("overhead_s_per_question", round(spent, 5))
    record_property("of_which_asking_s", told["overhead_s"])
    # Processor seconds of everything but the engine's pause (running, scoring, the report): at most
    # 3% of a realistic answer of 2 seconds. The clock would count what else the machine does.
    assert spent <= 0.03 * 2
    assert 0 <= told["overhead_s"] <= told["wall_s"] / 200
    assert told["asked_s"] >= 200 * 0.002


@pytest.mark.parametrize(
    ("worse", "metric"),
    [({"depth": 1}, "right"), ({"most_words": 1}, "f1")],
    ids=["retrieval depth cut to 1", "answers truncated"],
)
def test_planted_regression_is_caught_at_300(
    tmp_path: Path, worse: dict[str, Any], metric: str
) -> None:
    suite = small_suite(300)
    run(suite, Scripted(suite), Plan(tmp_path / "a"))
    run(suite, Scripted(suite, **worse), Plan(tmp_path / "b"))
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.find(metric).verdict == "worse"
    assert parse_gate(f"{metric} < -0.02").fails(found)
    assert found.find(metric).losses
    assert not found.find(metric).wins


def test_depth_cut_to_one_by_hand(tmp_path: Path) -> None:
    suite = small_suite(300)
    run(suite, Scripted(suite), Plan(tmp_path / "a"))
    run(suite, Scripted(suite, depth=1), Plan(tmp_path / "b"))
    found = compare(tmp_path / "a", tmp_path / "b").find("em", "answerable")
    # 200 are answerable; of those 50 are divisible by 4 (75 of 300, a third unanswerable).
    assert (found.n, found.first, found.second, len(found.losses)) == (200, 1.0, 0.75, 50)
    assert found.difference == -0.25
    assert found.p == pytest.approx(2 * 0.5**50)  # 50 changes, all for the worse


def test_identical_runs_are_not_flagged(tmp_path: Path) -> None:
    suite = small_suite(300)
    for name in ("a", "b"):
        run(suite, Scripted(suite), Plan(tmp_path / name))
    found = compare(tmp_path / "a", tmp_path / "b")
    quality = [d for d in found.differences if not d.metric.endswith(("_s", "_mb"))]
    assert quality
    assert {d.verdict for d in quality} == {"same"}
    assert not parse_gate("f1 < -0.02").fails(found)
    assert not parse_gate("f1 < 0").fails(found)


def test_runs_of_other_questions_are_refused(tmp_path: Path) -> None:
    suite = small_suite(6)
    run(suite, Scripted(suite), Plan(tmp_path / "a"))
    moved = tuple(dataclasses.replace(q, id=f"x{q.id}") for q in suite.questions)
    run(dataclasses.replace(suite, questions=moved), Scripted(suite), Plan(tmp_path / "b"))
    with pytest.raises(InputError, match="no question in common"):
        compare(tmp_path / "a", tmp_path / "b")
    regold = tuple(dataclasses.replace(q, gold=Gold(answers=("x",))) for q in suite.questions)
    run(dataclasses.replace(suite, questions=regold), Scripted(suite), Plan(tmp_path / "c"))
    with pytest.raises(InputError, match="another gold"):
        compare(tmp_path / "a", tmp_path / "c")


@pytest.mark.parametrize("text", ["f1", "f1 < x", "speed < 1", "f1 <= 0.1", "f1 < 0.1 or 1"])
def test_bad_gates_are_named(text: str) -> None:
    with pytest.raises(InputError, match="--fail-if"):
        parse_gate(text)


def test_gates_name_metrics_with_and_without_slices() -> None:
    gate = parse_gate("refused@answerable > 0.05")
    assert (gate.metric, gate.slice, gate.sign, gate.limit) == ("refused", "answerable", ">", 0.05)
    assert parse_gate("recall@5 < -.1").metric == "recall@5"
    assert parse_gate("recall@5@all < -.1").slice == "all"


# Another system's answers


def write_answers(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_another_systems_answers_are_scored_like_ours(tmp_path: Path) -> None:
    suite = small_suite(6)
    ours = run(suite, Scripted(suite), Plan(tmp_path / "ours"))
    # q0, q1, q3, q4 are answerable: q0 right with its quote, q1 a quote that is nowhere, q3 right
    # with a document only, q4 refuses; q2 refuses rightly by its words, q5 answers wrongly.
    quoted = [{"document": "d/0", "quote": "in Oslo"}]
    misquoted = [{"document": "d/1", "quote": "nowhere"}]
    rows: list[dict[str, Any]] = [
        {"id": "q0", "text": "Oslo number 0 [1]", "citations": quoted},
        {"id": "q1", "text": "Lima number 1", "citations": misquoted},
        {"id": "q2", "text": "I don't know."},
        {"id": "q3", "text": "Quito number 3", "citations": [{"document": "d/3"}]},
        {"id": "q4", "text": "", "refused": True},
        {"id": "q5", "text": "On Mars.", "seconds": 2.5},
    ]
    answers = write_answers(tmp_path / "theirs.jsonl", rows)
    summary = score(adopt(ours, answers, tmp_path / "theirs"))
    assert by_name(summary, "em")["estimate"] == 0.75
    assert by_name(summary, "refused", "answerable")["estimate"] == 0.25
    assert by_name(summary, "refused", "unanswerable")["estimate"] == 0.5
    # Quotes: q0 exact, q1 not, q3 (the whole document) exact, by definition.
    assert by_name(summary, "exact_quotes")["estimate"] == pytest.approx(2 / 3)
    assert by_name(summary, "total_s", "unanswerable")["estimate"] == 2.5
    assert compare(ours, tmp_path / "theirs").find("em").difference == -0.25


def test_answers_in_our_own_form_score_as_the_run_does(tmp_path: Path) -> None:
    suite = small_suite(12)
    ours = run(suite, Scripted(suite), Plan(tmp_path / "ours"))
    rows = [{"id": s.id, **(s.answer or {})} for s in read_samples(ours)]
    adopt(ours, write_answers(tmp_path / "batch.jsonl", rows), tmp_path / "batch")
    wanted, found = score(ours)["metrics"], score(tmp_path / "batch")["metrics"]
    quality = [row for row in wanted if not row["metric"].endswith(("_s", "_mb"))]
    assert len(quality) > 25
    assert [row for row in found if not row["metric"].endswith(("_s", "_mb"))] == quality


def test_missing_and_repeated_answers_are_named(tmp_path: Path) -> None:
    suite = small_suite(3)
    ours = run(suite, Scripted(suite), Plan(tmp_path / "ours"))
    one = {"id": "q0", "text": "x"}
    with pytest.raises(InputError, match="no answer with id q1"):
        adopt(ours, write_answers(tmp_path / "a.jsonl", [one]), tmp_path / "a")
    with pytest.raises(InputError, match="line 2, field id"):
        adopt(ours, write_answers(tmp_path / "b.jsonl", [one, one]), tmp_path / "b")
    with pytest.raises(InputError, match="line 1: field text"):
        adopt(ours, write_answers(tmp_path / "c.jsonl", [{"id": "q0"}]), tmp_path / "c")


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        ("", True),
        ("[1]", True),
        ("I don\u2019t know that.", True),
        ("The context does not mention a date.", True),
        ("Unanswerable", True),
        ("In 1994, in Budapest.", False),
        ("No one knows; Kuchma signed.", False),
    ],
)
def test_refusals_of_other_systems(reply: str, refused: bool) -> None:
    assert looks_refused(reply) is refused


# Reports

HOSTILE = '</script><script>alert(1)</script><img src="https://evil.example/x.png" onerror=x> [1]'


class Tags(HTMLParser):
    """Collects tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [(name, value or "") for name, value in attrs]


def test_report_asks_nothing_from_outside_and_escapes_everything(tmp_path: Path) -> None:
    suite = small_suite(12)
    hostile = dataclasses.replace(suite.questions[0], type='<b onclick="x">')
    suite = dataclasses.replace(suite, questions=(hostile, *suite.questions[1:]))
    run(suite, Scripted(suite), Plan(tmp_path / "a"))
    run(suite, Scripted(suite, reply=HOSTILE), Plan(tmp_path / "b"))
    pages = [write_report(tmp_path / "b", score(tmp_path / "b"))]
    pages.append(write_comparison(compare(tmp_path / "a", tmp_path / "b"), tmp_path / "c.html"))
    for path in pages:
        html = path.read_text(encoding="utf-8")
        seen = Tags()
        seen.feed(html)
        assert "img" not in seen.tags
        assert "b" not in seen.tags
        assert "link" not in seen.tags
        assert seen.tags.count("script") == 1
        assert "&lt;/script&gt;&lt;script&gt;alert(1)" in html
        for name, value in seen.values:
            assert not name.startswith("on")
            if name in ("src", "href", "action", "srcset", "data"):
                assert value.startswith("#"), (name, value)
        outside = re.findall(r"(?:https?:)?//[\w.-]+", html)
        assert set(outside) <= {"https://evil.example", "//evil.example"}  # as text only
        assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    report = pages[0].read_text(encoding="utf-8")
    assert report.count("<svg") == 4
    assert "<mark>Oslo number 0</mark>" in report


# The command line


def cli(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_command_line_score_compare_show(tmp_path: Path) -> None:
    suite = small_suite(60)
    a, b = tmp_path / "a", tmp_path / "b"
    run(suite, Scripted(suite), Plan(a))
    run(suite, Scripted(suite, depth=1), Plan(b))
    scored = cli("score", a, "--json")
    assert scored.exit_code == 0
    assert json.loads(scored.stdout)["run"]["suite"] == "squad"
    assert (a / "summary.json").exists()
    assert (a / "report.html").exists()
    assert cli("compare", a, a, "--fail-if", "f1 < -0.02").exit_code == 0
    failed = cli("compare", a, b, "--fail-if", "f1 < -0.02")
    assert failed.exit_code == 1
    assert "failed: f1 < -0.02" in failed.stderr
    assert "loss in f1" in failed.stdout
    assert "q0 " in cli("show", a).stdout
    assert "gold: Oslo number 0" in cli("show", a, "q0").stdout
    missing = cli("show", a, "nothing")
    assert missing.exit_code == 1
    assert missing.stderr.count("\n") == 1


def test_command_line_names_mistakes_in_one_line(tmp_path: Path) -> None:
    for arguments in (
        ("score", tmp_path),
        ("compare", tmp_path, tmp_path),
        ("show", tmp_path),
    ):
        result = cli(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


def test_listing_is_quick_and_names_every_suite() -> None:
    result = cli("list")
    for name in ("seeds", "squad", "clapnq", "ramdocs", "scifact", "beir", "spans", "mtrag", "own"):
        assert name in result.stdout


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys, eval.cli; "
        "heavy = {'numpy', 'scipy', 'torch', 'matplotlib', 'rich.progress', 'jinja2', 'pydantic'}; "
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 0


@pytest.mark.slow
def test_ten_rows_of_ones_own_over_the_real_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    lines = ["question,answers,source,quote"]
    for n, city in enumerate(CITIES):
        text = f"The office of clerk {n} is in {city}. It opens at noon."
        (folder / f"{n}.txt").write_text(text, encoding="utf-8")
        lines.append(f"Where is the office of clerk {n}?,{city},{n}.txt,is in {city}")
    table = tmp_path / "questions.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(tmp_path / "indexes"))
    common = ("run", "own", "--data", table, "--documents", folder, "--retrieval-only")
    for name in ("a", "b"):
        done = cli(*common, "--no-cache", "--out", tmp_path / name)
        assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "a" / "summary.json").read_text(encoding="utf-8"))
    assert by_name(summary, "recall@1")["n"] == 10
    assert by_name(summary, "recall@3")["estimate"] >= 0.9
    assert without_timings(tmp_path / "a") == without_timings(tmp_path / "b")


def slow_run(out: Path) -> None:
    """What the killed child does: a run slow enough to be caught in the middle."""
    suite = small_suite()
    run(suite, Scripted(suite, seconds=0.1), Plan(out))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    slow_run(Path(sys.argv[1]))
