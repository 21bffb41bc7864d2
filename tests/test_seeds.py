"""The sample corpus and its gold questions: the form, the quotes, the answers, the binaries."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rag.read import find_files, read_files
from rag.records import Document

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "seeds"
DOCUMENTS = SEEDS / "documents"
SHARED = Path(os.environ.get("FOOTNOTE_DATA", ROOT.parent / "shared"))
BENCHMARK = (
    "What are the security guarantee options for Ukraine being considered by the US and NATO?"
)

# What a type's gold consists of, beside `answers`; an unanswerable question has none.
GOLD_FIELD = {"list": "items", "conflict": "claims", "summary": "points"}
TYPES = {
    "single",
    "multi-document",
    "table",
    "conflict",
    "list",
    "count",
    "summary",
    "follow-up",
    "unanswerable-near-miss",
    "unanswerable-off-topic",
}
REQUIRED = {"id", "question", "answerable", "answers", "type", "split"}
OPTIONAL = {"items", "claims", "points", "history", "derived", "absent"}

Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (SEEDS / name).read_text(encoding="utf-8").splitlines()]


QUESTIONS = rows("questions.jsonl")
NEWS = rows("news-questions.jsonl")


def by_id(row: Row) -> str:
    return str(row["id"])


def of_type(*types: str) -> list[Row]:
    return [row for row in QUESTIONS if row["type"] in types]


def contains(text: str, phrase: str) -> bool:
    """Whether `phrase` stands in `text` on word boundaries, in any case."""
    return bool(re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE))


def quotes(row: Row) -> str:
    return "\n".join(gold["quote"] for gold in row["gold"])


def read_all(folder: Path) -> dict[str, Document]:
    """Every document of `folder` by its id; a file that can't be read fails the test."""
    found = find_files(folder)
    assert found.skipped == []
    documents = {}
    for name, _, outcome in read_files(found.files):
        assert isinstance(outcome, Document), (name, outcome)
        documents[name] = outcome
    return documents


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The normalised text of every sample document, by its id."""
    return {name: document.text for name, document in read_all(DOCUMENTS).items()}


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("seeds_make", SEEDS / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


# The form of the questions


@pytest.mark.parametrize("row", QUESTIONS + NEWS, ids=by_id)
def test_row_has_the_documented_fields(row: Row) -> None:
    where = {"documents"} if row["id"].startswith("n") else {"gold"}
    assert REQUIRED | where <= row.keys() <= REQUIRED | where | OPTIONAL
    assert row["type"] in TYPES
    assert row["split"] in ("tune", "held-out")
    assert row["answerable"] is not row["type"].startswith("unanswerable")
    assert ("history" in row) is (row["type"] == "follow-up")
    assert row["question"] == row["question"].strip() != ""


@pytest.mark.parametrize("row", QUESTIONS + NEWS, ids=by_id)
def test_row_has_gold_exactly_when_it_is_answerable(row: Row) -> None:
    groups = [row[field] for field in ("items", "claims", "points") if field in row]
    assert bool(row["answers"] or groups) is row["answerable"]
    assert bool(row.get("gold") or row.get("documents")) is row["answerable"]
    if field := GOLD_FIELD.get(row["type"]):
        assert len(row[field]) >= 2
    for variants in (variants for group in groups for variants in group):
        assert variants
        assert all(isinstance(variant, str) and variant for variant in variants)


@pytest.mark.parametrize(
    "row", [row for row in QUESTIONS + NEWS if row["type"] == "follow-up"], ids=by_id
)
def test_history_alternates_and_ends_with_the_assistant(row: Row) -> None:
    roles = [turn["role"] for turn in row["history"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    assert all(turn.keys() == {"role", "content"} and turn["content"] for turn in row["history"])


def test_ids_and_questions_are_unique() -> None:
    for name in ("id", "question"):
        common = Counter(row[name] for row in QUESTIONS + NEWS).most_common()
        repeated = [value for value, count in common if count > 1]
        # Both suites ask this on purpose: neither collection holds the answer.
        allowed = {"What is the capital of Australia?"} if name == "question" else set()
        assert set(repeated) <= allowed


def test_splits_are_halves_of_every_type() -> None:
    assert len(QUESTIONS) >= 100
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    for row in QUESTIONS:
        splits[row["type"]][row["split"]] += 1
    assert splits.keys() == TYPES
    for kind, count in splits.items():
        assert count["tune"] == count["held-out"], kind


def test_news_questions_are_thirty_in_two_halves() -> None:
    assert Counter(row["split"] for row in NEWS) == {"tune": 15, "held-out": 15}
    assert BENCHMARK in [row["question"] for row in NEWS]


# The gold against the documents


def test_every_document_is_found_read_and_small(texts: dict[str, str]) -> None:
    assert len(texts) == 19
    formats = {".md", ".txt", ".csv", ".html", ".eml", ".pdf", ".docx", ".xlsx", ".pptx"}
    assert {Path(name).suffix for name in texts} == formats
    assert all(len(text) > 500 for text in texts.values())
    assert all(path.stat().st_size < 200_000 for path in DOCUMENTS.iterdir())


def test_every_document_is_asked_about(texts: dict[str, str]) -> None:
    asked = {gold["document"] for row in QUESTIONS for gold in row["gold"]}
    assert asked == texts.keys()


def test_every_gold_quote_stands_in_its_document(texts: dict[str, str]) -> None:
    for row in QUESTIONS:
        for gold in row["gold"]:
            assert gold.keys() == {"document", "quote"}
            assert gold["quote"].strip(), row["id"]
            assert gold["quote"] in texts[gold["document"]], (row["id"], gold)


@pytest.mark.parametrize("row", of_type("single", "table", "follow-up"), ids=by_id)
def test_the_answer_stands_in_a_gold_quote(row: Row) -> None:
    # The first answer is the gold; the others are ways to say the same that a reply may use.
    if row["answers"]:
        assert contains(quotes(row), row["answers"][0])


@pytest.mark.parametrize("row", [row for row in QUESTIONS if row["answerable"]], ids=by_id)
def test_every_item_claim_and_point_stands_in_a_gold_quote(row: Row) -> None:
    for field in ("items", "claims", "points"):
        for variants in row.get(field, []):
            assert any(contains(quotes(row), variant) for variant in variants), variants


@pytest.mark.parametrize("row", of_type("conflict"), ids=by_id)
def test_each_claim_has_a_document_of_its_own(row: Row) -> None:
    sides = [
        {
            gold["document"]
            for gold in row["gold"]
            if any(contains(gold["quote"], variant) for variant in variants)
        }
        for variants in row["claims"]
    ]
    # A document may give both figures ("35 took part, 26 pledged"), so each side needs another one.
    assert len(sides) == 2
    assert sides[0] - sides[1]
    assert sides[1] - sides[0]


@pytest.mark.parametrize("row", of_type("unanswerable-near-miss"), ids=by_id)
def test_no_document_holds_what_a_near_miss_asks_for(row: Row, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert not re.search(row["absent"], text, re.IGNORECASE), name


def test_counts_follow_from_their_quotes() -> None:
    numbers = {"two": 2, "three": 3, "four": 4, "eight": 8}
    for row in of_type("count"):
        assert row["derived"] is True
        if len(row["gold"]) > 1:
            assert numbers[row["answers"][0]] == len(row["gold"]), row["id"]


def test_the_count_over_tables_is_right(texts: dict[str, str]) -> None:
    agreements = texts["bilateral-agreements.html"].splitlines()
    coalitions = texts["capability-coalitions.docx"].partition("Who leads what\n")[2]
    led = coalitions.partition("\n\nHow they work")[0].strip().splitlines()[1:]
    missions = texts["training-missions.xlsx"].splitlines()
    assert sum("Place: Kyiv" in line for line in agreements) == 4
    assert len(led) == 8
    assert sum("Germany" in line for line in led) == 2
    assert sum("Started: 2022" in line for line in missions) == 3


# The files


def test_make_reproduces_the_binary_documents(make: ModuleType, tmp_path: Path) -> None:
    made = make.main(tmp_path)
    assert [path.name for path in made] == sorted(
        path.name
        for path in DOCUMENTS.iterdir()
        if path.suffix in (".pdf", ".docx", ".xlsx", ".pptx")
    )
    committed = read_all(DOCUMENTS)
    # Texts, titles and dates, not bytes: another zlib may compress the same parts otherwise.
    for name, document in read_all(tmp_path).items():
        assert document == committed[name]


def test_make_gives_the_same_bytes_twice(make: ModuleType, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    for one, two in zip(*map(make.main, folders), strict=True):
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("markdown", "kind", "cells"),
    [
        ("## Two words", "heading", (("Two words",),)),
        ("one\nline", "paragraph", (("one line",),)),
        ("- a\n- b", "list", (("a",), ("b",))),
        ("| a | b |\n| --- | --- |\n| c | d |", "table", (("a", "b"), ("c", "d"))),
        ("---", "break", ()),
    ],
)
def test_parse_knows_the_blocks(
    make: ModuleType, markdown: str, kind: str, cells: tuple[tuple[str, ...], ...]
) -> None:
    source = make.parse(f"title: T\ndate: 2024-02-12\nauthor: A\n\n{markdown}\n")
    (block,) = source.blocks
    assert (block.kind, block.rows) == (kind, cells)
    assert (source.title, source.author, source.date.year) == ("T", "A", 2024)


def test_nothing_is_shared_with_the_news_documents(texts: dict[str, str]) -> None:
    folder = SHARED / "seeds"
    if not folder.is_dir():
        pytest.skip(f"no news documents in {folder}: name their parent in FOOTNOTE_DATA")
    theirs: set[tuple[str, ...]] = set()
    for path in folder.glob("*.txt"):
        theirs |= runs(path.read_text(encoding="utf-8"))
    ours = dict(texts)
    for row in QUESTIONS + NEWS:
        if row["question"] != BENCHMARK:
            ours[row["id"]] = json.dumps(row)
    assert theirs
    for name, text in ours.items():
        assert not runs(text) & theirs, name


def runs(text: str, length: int = 8) -> set[tuple[str, ...]]:
    """Every run of `length` words of `text`, in lower case and without punctuation."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}
