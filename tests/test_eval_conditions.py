"""Conditions under which there is no answer, questions kept from training, and systems unsure."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from test_eval_bench import Scripted, by_name, small_suite, without_timings, write_answers

from eval.compare import compare
from eval.conditions import given, pool_of, unanswerable
from eval.keywords import Keywords
from eval.metrics import measure
from eval.others import adopt
from eval.records import Gold, Question, Suite
from eval.run import Plan, read_run, read_samples, run
from eval.score import score
from eval.split import is_held_out
from eval.suites import Options, load
from rag.errors import InputError
from rag.records import Document, Hit


class Words(Scripted):
    """The scripted engine with a real search: whole documents by keywords."""

    def search(self, question: str, k: int) -> list[Hit]:
        found = Keywords(self.held.values()).search(question, k)
        return [
            Hit(rank, 1 / rank, name, "", None, None, 0, len(text), text)
            for rank, row in enumerate(found, start=1)
            for name, text in [(str(row["document"]), self.held[str(row["document"])].text)]
        ]


def articles() -> Suite:
    """Two articles of eight paragraphs: paragraph n says where office n is, in its article's words.

    Paragraph 3 of either repeats the answer of paragraph 2.
    """
    documents, questions = [], []
    for title, place in (("Bees", "hive"), ("Ships", "dock")):
        for n in range(8):
            answer = f"{place} {2 if n == 3 else n}"
            text = f"{title} paragraph {n}: the office of clerk {n} is in {answer}."
            documents.append(Document(f"{title}/{n}", text, title))
            questions.append(
                Question(
                    f"{title}-{n}",
                    f"Where is the office of clerk {n} of {title}?",
                    Gold(answers=(answer,), documents={f"{title}/{n}": 1}),
                    cluster=f"{title}/{n}",
                )
            )
    nothing = Question("none", "Where is the office on Mars?", answerable=False)
    return Suite("squad", (*questions, nothing), tuple(documents), style="short")


def test_removed_gives_the_nearest_without_the_gold() -> None:
    suite = articles()
    made = unanswerable(suite, "removed", Words(suite))
    by_id = {question.id: question for question in made.questions}
    # Clerks 2 and 3 of each article share an answer, so either's text answers the other's question
    # if it is among the five; the question without a gold document is no part of this condition.
    assert "none" not in by_id
    for question in made.questions:
        names = question.documents or ()
        held = {document.id: document.text for document in suite.documents}
        assert len(names) == 5
        assert question.cluster not in names
        assert question.answerable is False
        assert question.gold == Gold()
        before = next(q for q in suite.questions if q.id == question.id)
        assert not any(before.gold.answers[0] in held[name] for name in names)
    nearest = Words(suite).search("Where is the office of clerk 5 of Bees?", 6)
    assert nearest[0].document == "Bees/5"
    assert by_id["Bees-5"].documents == tuple(hit.document for hit in nearest[1:])
    left = 16 - len(made.questions)
    assert f"{left} questions were left out" in made.caveats[-1]


def test_questions_still_answered_are_left_out() -> None:
    suite = articles()
    few = [d for d in suite.documents if d.id in ("Bees/2", "Bees/3", "Bees/5")]
    some = [q for q in suite.questions if q.id in ("Bees-2", "Bees-3", "Bees-5")]
    small = dataclasses.replace(suite, documents=tuple(few), questions=tuple(some))
    made = unanswerable(small, "removed", Words(small))
    assert [question.id for question in made.questions] == ["Bees-5"]
    assert "2 questions were left out" in made.caveats[-1]


def test_a_copy_of_the_gold_text_is_removed_too() -> None:
    suite = articles()
    copy = dataclasses.replace(suite.documents[5], id="Bees/copy")
    twice = dataclasses.replace(suite, documents=(*suite.documents, copy))
    made = unanswerable(twice, "removed", Words(twice))
    asked = next(question for question in made.questions if question.id == "Bees-5")
    assert "Bees/copy" not in (asked.documents or ())


def test_off_topic_leaves_out_the_whole_article() -> None:
    suite = articles()
    made = unanswerable(suite, "off_topic", Words(suite))
    assert len(made.questions) == 16
    for question in made.questions:
        other = "Ships" if question.id.startswith("Bees") else "Bees"
        assert len(question.documents or ()) == 6
        assert {name.split("/")[0] for name in question.documents or ()} == {other}


def test_passages_given_singly_are_pooled_under_a_name_of_their_own() -> None:
    suite = articles()
    single = dataclasses.replace(given(suite), name="clapnq", pooled=False)
    pool = pool_of(single)
    assert (pool.name, pool.pooled) == ("clapnq-pool", True)
    assert pool_of(suite) is suite
    made = unanswerable(single, "removed", Words(pool))
    assert not made.pooled
    assert all(question.cluster not in (question.documents or ()) for question in made.questions)


def test_a_suite_without_gold_documents_has_no_such_condition() -> None:
    suite = articles()
    bare = dataclasses.replace(suite, questions=suite.questions[-1:])
    with pytest.raises(InputError, match="no question left under removed"):
        unanswerable(bare, "removed", Words(suite))
    with pytest.raises(InputError, match="prepare the suite"):
        run(suite, Words(suite), Plan(Path("nowhere"), "removed"))


def test_a_run_of_unanswerable_questions_scores_and_reports(tmp_path: Path) -> None:
    suite = small_suite(30)
    made = unanswerable(suite, "removed", Scripted(suite))
    assert len(made.questions) == 20
    summary = score(run(made, Scripted(suite), Plan(tmp_path / "a", "removed")))
    refused = by_name(summary, "refused", "unanswerable")
    # All 20 refused: Wilson for 20 of 20 has its low end at 20 / (20 + 1.96^2).
    assert (refused["n"], refused["estimate"], refused["high"]) == (20, 1, 1)
    assert refused["low"] == pytest.approx(20 / (20 + 1.959964**2), abs=1e-5)
    assert by_name(summary, "right", "unanswerable")["estimate"] == 1
    names = {row["metric"] for row in summary["metrics"]}
    assert not names & {"em", "f1", "refusal_precision", "recall@1"}
    floors = {
        name: {r["metric"]: r["estimate"] for r in rows} for name, rows in summary["floors"].items()
    }
    assert (floors["always abstain"]["refused"], floors["always abstain"]["right"]) == (1, 1)
    assert (floors["return everything"]["refused"], floors["return everything"]["right"]) == (0, 0)
    assert summary["run"]["condition"] == "removed"
    assert any("Condition removed" in note for note in summary["notes"])


def squad_file(folder: Path) -> Path:
    """Two articles of a SQuAD file, one of which the adapter was not trained on."""
    articles = []
    for title, first in (("Normans", 1000), ("Imperialism", 2000)):
        paragraphs = []
        for n in range(4):
            context, year = f"{title} number {n} came in {first + n}.", str(first + n)
            answer = {"text": year, "answer_start": context.index(year)}
            asked = {"id": f"{title}-{n}", "question": f"When came {title} {n}?"}
            paragraphs.append({"context": context, "qas": [asked | {"answers": [answer]}]})
        articles.append({"title": title, "paragraphs": paragraphs})
    folder.mkdir()
    (folder / "squad.json").write_text(json.dumps({"data": articles}), encoding="utf-8")
    return folder


def test_held_out_keeps_questions_and_not_documents(tmp_path: Path) -> None:
    data = squad_file(tmp_path / "squad")
    every = load("squad", Options(data))
    kept = load("squad", Options(data, held_out=True))
    assert [q.id for q in kept.questions] == [f"Imperialism-{n}" for n in range(4)]
    assert all(is_held_out("squad", question) for question in kept.questions)
    assert kept.documents == every.documents
    said = "Questions that the reader adapter was not trained on: 4 of 8 (--held-out)."
    assert said in kept.caveats
    assert any("may have been trained on 4 of the suite's 8" in c for c in every.caveats)


def test_suites_never_trained_on_say_nothing_of_training(tmp_path: Path) -> None:
    every = load("seeds", Options(split="tune"))
    assert not any("adapter" in caveat for caveat in every.caveats)
    kept = load("seeds", Options(split="tune", held_out=True))
    assert kept.questions == every.questions


def test_answers_without_a_confidence_do_not_enter_calibration(tmp_path: Path) -> None:
    suite = small_suite(6)
    ours = run(suite, Scripted(suite), Plan(tmp_path / "ours"))
    rows = [{"id": f"q{n}", "text": "Oslo"} for n in range(6)]
    rows[0] |= {"confidence": 0.25}
    rows[1] |= {"confidence": 0.75}
    adopt(ours, write_answers(tmp_path / "t.jsonl", rows), tmp_path / "theirs")
    summary = score(tmp_path / "theirs")
    # Two have one: q0 (gold "Oslo number 0": F1 1/2, right) and q1 (wrong): |.25 - 1| and |.75 - 0|.
    found = by_name(summary, "ece", "all")
    assert (found["n"], found["estimate"]) == (2, 0.75)
    assert compare(ours, tmp_path / "theirs").find("ece").n == 2
    sample = read_samples(tmp_path / "theirs")[2]
    assert "confidence" not in measure(sample, {}, "short")


def test_a_run_apart_meets_no_other(tmp_path: Path) -> None:
    suite = small_suite(6)
    base = tmp_path / "squad"
    first = run(suite, Scripted(suite), Plan(base, apart=True))
    again = Scripted(suite)
    assert run(suite, again, Plan(base, apart=True)) == first
    assert again.asked == []
    other = run(suite, Scripted(suite, depth=1), Plan(base, apart=True))
    assert other != first
    assert first.name == f"squad-{read_run(first)['fingerprint'][:8]}"
    assert without_timings(first)
