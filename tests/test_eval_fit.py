"""Fitting and ablation on planted signals, and the signals of a small search."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from fakes import HashEmbedder
from typer.testing import CliRunner

from eval import ablation
from eval.ablation import ablate
from eval.fit import Labelled, _write, app, fit, labelled, search_rows
from eval.metrics.confidence import equal_mass_error
from eval.records import Gold, Question, Sample
from rag.collection import Collection
from rag.errors import InputError
from rag.records import Answer, AnswerSentence, Document
from rag.settings import Settings


def planted(size: int = 200) -> list[Labelled]:
    """`tells` decides, with one answer in ten turned round; `noise` says nothing."""
    draw = random.Random(1)
    rows = []
    for n in range(size):
        right = n % 2 == 0
        tells = float(right) if n % 10 else float(not right)
        rows.append(Labelled({"tells": tells, "noise": draw.random()}, right, f"c{n // 2}"))
    return rows


def test_ablation_finds_the_signal_that_matters() -> None:
    table = {row.signals: row for row in ablate(planted())}
    assert set(table) == {"all", "without noise", "without tells", "noise alone", "tells alone"}
    # Of 100 right answers 80 have tells 1, and all 100 wrong ones 0 (n % 10 == 0 is always right):
    # AUC = .8 * 1 + .2 * 1/2, less what the folds' intercepts cost.
    assert table["tells alone"].auc == pytest.approx(0.9, abs=0.04)
    assert table["all"].auc > 0.85
    assert abs(table["without tells"].auc - 0.5) < 0.15
    assert table["without tells"] == pytest_row(table["noise alone"], "without tells")
    assert table["tells alone"].aurc < table["noise alone"].aurc
    assert table["tells alone"].ece < 0.1


def pytest_row(row: ablation.Row, signals: str) -> ablation.Row:
    return ablation.Row(signals, row.auc, row.aurc, row.ece)


def test_ablation_needs_both_kinds() -> None:
    with pytest.raises(InputError, match="too few of one kind"):
        ablate([Labelled({"a": 1.0}, True, str(n)) for n in range(50)])


def test_equal_mass_error_by_hand() -> None:
    # two bins of two: (.1 and .3 against 0 and 1), (.7 and .9 against 1 and 1)
    pairs = [(0.9, 1.0), (0.1, 0.0), (0.7, 1.0), (0.3, 1.0)]
    assert equal_mass_error(pairs, 2) == pytest.approx((0.6 + 0.4) / 4)
    assert equal_mass_error([(0.5, 1.0)]) == 0.5


def test_fit_points_the_right_way() -> None:
    rows = planted()
    found = fit([row.signals for row in rows], [row.right for row in rows])
    assert found["weights"]["tells"] > 2
    assert abs(found["weights"]["noise"]) < 1
    with pytest.raises(InputError, match="every label is the same"):
        fit([{"a": 1.0}], [True])


def write_run(path: Path) -> Path:
    """Five samples: right, wrong, answered though unanswerable, without gold, and refused early."""
    path.mkdir()
    said = (AnswerSentence("Oslo", "supported"),)
    golds = {"a": ("Oslo",), "b": ("Lima",), "c": (), "d": (), "e": ("Oslo",)}
    lines = []
    for name, answers in golds.items():
        question = Question(name, "Where?", Gold(answers=answers), answerable=name != "c")
        signals = {} if name == "e" else {"answerable": float(name == "a")}
        reply = Answer("Where?", "Where?", "Oslo", False, 0.5, said, signals=signals)
        lines.append(Sample(question, reply.to_dict()).to_json() + "\n")
    (path / "samples.jsonl").write_text("".join(lines), encoding="utf-8")
    return path


def test_labels_of_a_run(tmp_path: Path) -> None:
    rows = labelled(write_run(tmp_path / "run"))
    # d is answerable without a gold answer: nobody can say; e has no signals.
    assert [(row.cluster, row.right) for row in rows] == [("a", True), ("b", False), ("c", False)]


def test_the_command_writes_where_it_is_told_and_keeps_the_rest(tmp_path: Path) -> None:
    run, out = write_run(tmp_path / "run"), tmp_path / "confidence.json"
    done = CliRunner().invoke(app, ["answer", str(run), "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    held = json.loads(out.read_text(encoding="utf-8"))
    assert (held["answer"]["n"], held["answer"]["positive"]) == (3, 1)
    assert held["answer"]["fitted_on"] == "run"
    before = held["answer"]
    _write(out, "search", [{"dense": 0.9}, {"dense": 0.1}], [True, False], "two")
    after = json.loads(out.read_text(encoding="utf-8"))
    assert after["answer"] == before
    assert after["search"]["weights"]["dense"] > 0


def test_signals_of_a_search_tell_strangers_from_its_own() -> None:
    documents = [
        Document("a", "The treaty was signed in Oslo by the king."),
        Document("b", "Bees gather honey in summer."),
    ]
    with Collection.temporary(documents, Settings(), embedder=HashEmbedder()) as collection:
        own, other = search_rows(["Where was the treaty signed?", "Quarks decay?"], collection)
    assert own.keys() == other.keys() == {"dense", "sentence", "asked_in_seen"}
    assert own["sentence"] > other["sentence"]
    assert own["asked_in_seen"] > other["asked_in_seen"] == 0
