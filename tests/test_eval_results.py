"""The page of results over scripted models, and the bench over ten rows of one's own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fakes import HashEmbedder
from test_eval_bench import CITIES, by_name, without_timings
from test_eval_conditions import squad_file

from eval.cli import _limits
from eval.footnote import RagEngine
from eval.page import Section, page
from eval.records import Suite
from eval.results import ENTRIES, Entry, write_results
from eval.run import read_run
from eval.score import score
from eval.session import Indexing, run_suite
from eval.suites import SUITES, Options
from rag.errors import InputError, SettingsError
from rag.generate import Generation, Message
from rag.settings import Settings

README = Path(__file__).resolve().parents[1] / "eval" / "README.md"


class Reader:
    """A generator that says the last capitalised word or number of what it reads, or the year."""

    name = "reader"

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **told: Any
    ) -> Iterator[str]:
        into.prompt_tokens, into.first_token_s = 10, 0.001
        found = re.findall(r"\bin (\w+)", messages[-1]["content"])
        into.text = found[0] if found else "unanswerable"
        into.generated_tokens = 1
        into.logprobs.append(-0.05)
        yield into.text


def engine(suite: Suite, settings: Settings, indexing: Indexing) -> RagEngine:
    """The real engine with both models scripted."""
    return RagEngine(suite, settings, indexing, embedder=HashEmbedder(), generator=Reader())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for collections and the cache."""
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.setenv("FOOTNOTE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def ten_rows(folder: Path) -> tuple[Path, Path]:
    """A table of ten questions in the README's form, and the folder that they are about."""
    papers = folder / "papers"
    papers.mkdir()
    example = re.search(r"```\n(question,.*?)\n", README.read_text(encoding="utf-8"))
    assert example is not None
    header = example[1]
    assert header == "question,answers,answerable,source,quote"
    lines = [header]
    for n, city in enumerate(CITIES[:9]):
        text = f"The office of clerk {n} is in {city}. It opens at noon."
        (papers / f"{n}.txt").write_text(text, encoding="utf-8")
        lines.append(f"Where is the office of clerk {n}?,{city},,{n}.txt,is in {city}")
    lines.append("Who paints the walls of Mars?,,false,,")
    table = folder / "questions.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table, papers


def test_ten_rows_of_ones_own_as_the_readme_says(home: Path) -> None:
    command = "footnote eval run own --data questions.csv --documents"
    assert command in README.read_text(encoding="utf-8")
    table, papers = ten_rows(home)
    for name in ("a", "b"):
        run_suite(
            "own",
            Options(data=table, documents=papers),
            settings={"refuse_below": 0, "search_gate": 0},
            out=home / name,
            use_cache=False,
            make_engine=engine,
        )
    summary = score(home / "a")
    assert by_name(summary, "recall@3")["n"] == 9
    assert by_name(summary, "refused", "unanswerable")["n"] == 1
    assert by_name(summary, "exact_quotes", "answerable")["estimate"] == 1
    assert without_timings(home / "a") == without_timings(home / "b")


ENTRIES_OF_TEST = (
    Entry("Pooled", "squad", 4, held_out=True),
    Entry("Gold removed", "squad", 2, condition="removed", held_out=True),
    Entry("Other articles", "squad", condition="off_topic"),
    Entry("Retrieval", "squad", split="answerable", retrieval_only=True),
    Entry("Dense", "squad", retrieval_only=True, settings={"weight_words": "0"}, note="So."),
    Entry("News", "news"),
    Entry("Absent", "clapnq"),
    Entry("Unknown", "no such suite"),
)


def write(home: Path, **changes: Any) -> str:
    asked = {
        "data": home / "data",
        "runs": home / "runs",
        "out": home / "RESULTS.md",
        "entries": ENTRIES_OF_TEST,
        "make_engine": engine,
        "use_cache": False,
    }
    return write_results(**(asked | changes)).read_text(encoding="utf-8")


def test_one_command_writes_the_page_and_resumes(home: Path) -> None:
    (home / "data").mkdir()
    squad_file(home / "data" / "squad2")
    text = write(home, summary=home / "all.json")
    head, _, rest = text.partition("## Summary")
    for name in ("date", "hardware", "model: reader", "embedder: minilm", "code"):
        assert f"\n- {name}" in head
    assert str(home) not in text
    overview, *sections = re.split(r"\n## ", rest)
    assert overview.count("\n| Pooled |") >= 2  # the headline metric and the refusals
    assert "| News | not run |" in overview
    by_title = {section.partition("\n")[0]: section for section in sections}
    assert set(by_title) == {entry.title for entry in ENTRIES_OF_TEST}
    pooled = by_title["Pooled"]
    assert "    footnote eval run squad --data DIR/squad2 --held-out --limit 4\n" in pooled
    assert "n = 4 questions, condition retrieved" in pooled
    assert "always abstain" in pooled
    assert "- Questions that the reader adapter was not trained on: 4 of 8" in pooled
    removed = by_title["Gold removed"]
    assert "--condition removed --held-out --limit 2" in removed
    assert "| `refused` | unanswerable | 2 |" in removed
    assert "- Condition removed: " in removed
    assert "| `refused` | unanswerable | 8 |" in by_title["Other articles"]
    assert "BM25 only" in by_title["Retrieval"]
    assert "--retrieval-only --set weight_words=0" in by_title["Dense"]
    assert "\n- So.\n" in by_title["Dense"]
    assert "Not run: its data was not there." in by_title["Absent"]
    assert "Not run: there is no such suite here." in by_title["Unknown"]
    for section in by_title.values():
        table = [line for line in section.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in table}) <= 1  # every row has every column
    assert len(json.loads((home / "all.json").read_text(encoding="utf-8"))) == 5
    # Again: nothing is asked anew, and other settings meet no earlier run.
    runs = {path: (path / "samples.jsonl").stat().st_mtime_ns for path in runs_in(home)}
    assert len(runs) == 5
    assert write(home) == text
    assert {path: (path / "samples.jsonl").stat().st_mtime_ns for path in runs_in(home)} == runs
    write(home, settings={"top_k": 1}, entries=ENTRIES_OF_TEST[3:4])
    assert len(runs_in(home)) == 6


def runs_in(home: Path) -> list[Path]:
    return sorted(path.parent for path in (home / "runs").glob("*/run.json"))


def test_when_the_time_is_up_the_rest_waits(home: Path) -> None:
    (home / "data").mkdir()
    squad_file(home / "data" / "squad2")
    with pytest.raises(InputError, match="nothing to report"):
        write(home, minutes=0, entries=ENTRIES_OF_TEST[:1])
    assert not read_run(runs_in(home)[0])["finished"]
    text = write(home, entries=ENTRIES_OF_TEST[:1], limits={"": 2})
    assert "n = 2 questions" in text
    assert "Not finished: the time was up" in write(
        home,
        entries=ENTRIES_OF_TEST[:2],
        limits={"squad-retrieved": 2},
        progress=stop_at_the_second(),
    )


def stop_at_the_second() -> Callable[[Sequence[Any]], Iterator[Any]]:
    """Questions pass until a second run asks for some; then the time is up."""

    def passed(questions: Sequence[Any]) -> Iterator[Any]:
        from eval.results import TimeIsUp

        for _ in questions:
            raise TimeIsUp("the time is up")
        yield from questions

    return passed


def test_limits_by_suite_and_condition() -> None:
    assert _limits(["60", "squad=30", "squad-removed=5"]) == {
        "": 60, "squad": 30, "squad-removed": 5,
    }  # fmt: skip
    for text in ("squad", "squad=0", "x=y"):
        with pytest.raises(SettingsError, match="--limit"):
            _limits([text])
    with pytest.raises(InputError, match="no such suite on the page"):
        write_results(data=None, runs=Path(), out=Path(), limits={"sqad": 1})


def test_every_entry_is_a_suite_and_a_run_of_its_own() -> None:
    known = {spec.name for spec in SUITES} | {"injection"}
    assert {entry.suite for entry in ENTRIES} <= known
    assert len({entry.slug for entry in ENTRIES}) == len(ENTRIES)
    news = next(entry for entry in ENTRIES if entry.suite == "seeds")
    assert news.command(None, 0, {}) == "footnote eval run seeds --split held-out"


def test_a_page_without_a_run_still_says_what_is_missing() -> None:
    text = page([Section("Gone", missing="Not run: lost.")], date(2025, 1, 2))
    assert "- date: 2025-01-02\n- hardware: none\n" in text
    assert text.endswith("## Gone\n\nNot run: lost.\n")
