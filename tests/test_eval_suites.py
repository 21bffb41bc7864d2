"""Every adapter on a small file of its format, and on files with something wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from eval.records import Evidence, Question
from eval.suites import SUITES, Options, find, load, own, seeds, subset
from rag.errors import InputError
from rag.records import Document


def lines(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_every_suite_is_found_and_those_in_need_of_data_say_so() -> None:
    for spec in SUITES:
        assert find(spec.name) is spec
        if spec.needs_data:
            with pytest.raises(InputError, match=f"suite {spec.name} needs --data"):
                load(spec.name, Options())
            with pytest.raises(InputError, match="does not exist"):
                load(spec.name, Options(data=Path("/nowhere")))
    with pytest.raises(InputError, match="there are: seeds"):
        find("squat")


def test_questions_survive_json() -> None:
    suite = load("seeds", Options())
    for question in suite.questions:
        assert Question.from_dict(json.loads(json.dumps(question.to_dict()))) == question


# Choosing questions

MANY = [Question(f"q{n}", "?", answerable=n % 4 != 0) for n in range(100)]


def test_a_subset_keeps_proportions_and_order_and_grows() -> None:
    small, large = subset(MANY, 20, 0), subset(MANY, 40, 0)
    assert sum(q.answerable is True for q in small) == 15  # 75 of 100
    assert {q.id for q in small} <= {q.id for q in large}
    assert [q.id for q in small] == [q.id for q in MANY if q in small]
    assert subset(MANY, 20, 0) == small != subset(MANY, 20, 1)
    assert subset(MANY, None, 0) == tuple(MANY) == subset(MANY, 1000, 0)


# Seeds


def test_seeds_split_and_gold() -> None:
    tune, held = load("seeds", Options(split="tune")), load("seeds", Options(split="held-out"))
    both = load("seeds", Options())
    assert len(tune.questions) + len(held.questions) == len(both.questions)
    with pytest.raises(InputError, match="held-out and tune"):
        load("seeds", Options(split="test"))
    first = next(q for q in both.questions if q.id == "s001")
    assert "5 December 1994" in first.gold.answers
    assert first.cluster == "budapest-memorandum.md"
    assert any(q.history for q in both.questions)
    assert any(q.gold.claims for q in both.questions)


def test_news_needs_all_its_texts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks 000_"):
        load("news", Options(data=tmp_path))
    for question in seeds._questions(seeds.SEEDS / "news-questions.jsonl", None):
        for name in question.gold.documents:
            (tmp_path / name).write_text("x", encoding="utf-8")
    assert len(load("news", Options(data=tmp_path)).questions) == 30


# SQuAD


def squad_file(path: Path, **changes: Any) -> Path:
    qa: dict[str, Any] = {
        "id": "1",
        "question": "Where?",
        "answers": [
            {"text": "Oslo", "answer_start": 7},
            {"text": "Oslo", "answer_start": 7},
            {"text": "in Oslo", "answer_start": 4},
        ],
        "is_impossible": False,
    }
    nothing = {"id": "2", "question": "When?", "answers": [], "is_impossible": True}
    paragraph = {"context": "It\u2019s in Oslo.", "qas": [qa | changes, nothing]}
    paragraph["context"] = "Was in Oslo."  # Oslo at 7, in Oslo at 4
    data = {"data": [{"title": "A_town", "paragraphs": [paragraph]}]}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_squad(tmp_path: Path) -> None:
    suite = load("squad", Options(data=squad_file(tmp_path / "s.json").parent))
    assert suite.documents == (Document("A_town/0", "Was in Oslo.", "A town"),)
    first, second = suite.questions
    assert first.gold.answers == ("Oslo", "in Oslo")
    assert first.gold.evidence == (
        (Evidence("A_town/0", "in Oslo", 4, 11),),
        (Evidence("A_town/0", "Oslo", 7, 11),),
    )
    assert (first.answerable, second.answerable) == (True, False)
    assert second.gold.documents == {}
    assert second.cluster == "A_town/0"
    assert suite.style == "short"
    only = load("squad", Options(data=tmp_path, gold_only=True))
    assert [q.id for q in only.questions] == ["1"]


def test_squad_mistakes_are_named(tmp_path: Path) -> None:
    wrong = squad_file(tmp_path / "a.json", answers=[{"text": "Oslo", "answer_start": 6}])
    with pytest.raises(InputError, match="question 1, field answer_start"):
        load("squad", Options(data=wrong))
    with pytest.raises(InputError, match="question 1, field answers: empty"):
        load("squad", Options(data=squad_file(tmp_path / "b.json", answers=[])))
    (tmp_path / "c.json").write_text('{"data": [{}]}', encoding="utf-8")
    with pytest.raises(InputError, match="not a SQuAD file"):
        load("squad", Options(data=tmp_path / "c.json"))
    with pytest.raises(InputError, match=r"holds 3 files \*\.json"):
        load("squad", Options(data=tmp_path))


# CLAPNQ


def clapnq_row(identifier: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    passage = {"title": "T", "text": "One two . Three four . ", "sentences": []}
    return {"id": identifier, "input": "what", "passages": [passage], "output": output}


def test_clapnq(tmp_path: Path) -> None:
    full = [
        {"answer": "One two.", "selected_sentences": ["One two ."]},
        {"answer": "Both.", "selected_sentences": ["One two .", "Three four ."]},
    ]
    lines(tmp_path / "answerable.jsonl", [clapnq_row("a", full)])
    nothing = [{"answer": "", "selected_sentences": []}]
    lines(tmp_path / "unanswerable.jsonl", [clapnq_row("b", nothing)])
    suite = load("clapnq", Options(data=tmp_path))
    first, second = suite.questions
    assert first.documents == ("a/0",)
    assert not suite.pooled
    assert first.gold.answers == ("One two.", "Both.")
    assert first.gold.evidence == (
        (Evidence("a/0", "One two .", 0, 9),),
        (Evidence("a/0", "One two .", 0, 9), Evidence("a/0", "Three four .", 10, 22)),
    )
    assert second.answerable is False
    assert second.gold.evidence == ()


def test_clapnq_mistakes_are_named(tmp_path: Path) -> None:
    foreign = [{"answer": "x", "selected_sentences": ["Five ."]}]
    path = lines(tmp_path / "a.jsonl", [clapnq_row("a", []), clapnq_row("b", foreign)])
    with pytest.raises(InputError, match="line 2, field selected_sentences"):
        load("clapnq", Options(data=path))
    with pytest.raises(InputError, match="line 1: field input is missing"):
        load("clapnq", Options(data=lines(path, [{"id": "a"}])))
    path.write_text("{}\n\nnot json\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: field id"):
        load("clapnq", Options(data=path))
    path.write_text("[]\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: not a JSON object"):
        load("clapnq", Options(data=path))
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match="UTF-8"):
        load("clapnq", Options(data=path))


# RAMDocs


def test_ramdocs(tmp_path: Path) -> None:
    row = {
        "question": "What is it?",
        "documents": [
            {"text": "A novel.", "type": "correct", "answer": "novel"},
            {"text": "A film.", "type": "misinfo", "answer": "film"},
        ],
        "gold_answers": ["novel", "novel", "play"],
        "wrong_answers": ["film"],
    }
    suite = load("ramdocs", Options(data=lines(tmp_path / "r.jsonl", [row])))
    (question,) = suite.questions
    assert (question.gold.complete, question.gold.wrong) == (("novel", "play"), ("film",))
    assert question.documents == ("ramdocs-1/0", "ramdocs-1/1")
    assert question.gold.documents == {"ramdocs-1/0": 1}
    assert question.type == "ambiguous"
    assert [d.text for d in suite.documents] == ["A novel.", "A film."]


# BEIR


def beir_folder(path: Path, qrels: str) -> Path:
    lines(
        path / "corpus.jsonl",
        [{"_id": "1", "title": "T", "text": "x"}, {"_id": "2", "text": "y\u2028z"}],
    )
    lines(path / "queries.jsonl", [{"_id": "q1", "text": "?"}, {"_id": "q2", "text": "!"}])
    (path / "qrels.tsv").write_text(qrels, encoding="utf-8")
    return path


def test_beir(tmp_path: Path) -> None:
    header = "query-id\tcorpus-id\tscore\n"
    folder = beir_folder(tmp_path, header + "q1\t2\t2\nq1\t1\t1\nq2\t1\t0\n")
    suite = load("scifact", Options(data=folder))
    (question,) = suite.questions  # q2 has nothing relevant
    assert question.gold.documents == {"2": 2, "1": 1}
    assert suite.retrieval
    assert [d.title for d in suite.documents] == ["T", ""]
    # without a header, and in TREC form with an iteration column
    beir_folder(tmp_path, "q1\t0\t2\t1\n")
    assert load("beir", Options(data=folder)).questions[0].gold.documents == {"2": 1}


def test_beir_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"qrels\.tsv, line 2: document 9"):
        load("beir", Options(data=beir_folder(tmp_path, "q1\t1\t1\nq1\t9\t1\n")))
    with pytest.raises(InputError, match=r"line 1: not query, document, score"):
        load("beir", Options(data=beir_folder(tmp_path, "q1\n")))
    (tmp_path / "qrels.tsv").unlink()
    with pytest.raises(InputError, match="neither"):
        load("beir", Options(data=tmp_path))


# Reference spans


def spans_folder(path: Path, start: int, corpus: str = "c") -> Path:
    (path / "c.md").write_text("# One\nTwo three.\n", encoding="utf-8")
    references = json.dumps([{"content": "Two", "start_index": start, "end_index": start + 3}])
    quoted = references.replace('"', '""')
    content = f'question,references,corpus_id\nWhat?,"{quoted}",{corpus}\n'
    (path / "questions.csv").write_text(content, encoding="utf-8")
    return path


def test_reference_spans(tmp_path: Path) -> None:
    suite = load("spans", Options(data=spans_folder(tmp_path, 6)))
    (question,) = suite.questions
    assert question.gold.evidence == ((Evidence("c.md", "Two", 6, 9),),)
    assert suite.documents[0].text == "# One\nTwo three.\n"


def test_reference_span_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2, field references: offsets"):
        load("spans", Options(data=spans_folder(tmp_path, 5)))
    with pytest.raises(InputError, match="leaves the folder"):
        load("spans", Options(data=spans_folder(tmp_path, 6, "../c")))


# MTRAG


def test_mtrag(tmp_path: Path) -> None:
    def task(kind: str) -> dict[str, Any]:
        return {
            "task_id": kind,
            "conversation_id": "c",
            "input": [
                {"speaker": "user", "text": "A?"},
                {"speaker": "agent", "text": "B."},
                {"speaker": "user", "text": "And?"},
            ],
            "contexts": [{"document_id": "d", "text": "x", "title": "T"}],
            "targets": [{"text": "C."}],
            "answerability": [kind],
        }

    kinds = ["ANSWERABLE", "PARTIAL", "UNANSWERABLE", "UNDERSPECIFIED"]
    path = lines(tmp_path / "t.jsonl", map(task, kinds))
    suite = load("mtrag", Options(data=path))
    assert [q.answerable for q in suite.questions] == [True, True, False, None]
    first = suite.questions[0]
    assert first.question == "And?"
    assert first.history == (
        {"role": "user", "content": "A?"},
        {"role": "assistant", "content": "B."},
    )
    assert first.gold.answers == ("C.",)
    assert first.documents == ("ANSWERABLE/0",)
    assert suite.questions[2].gold.answers == ()


# Quarterly reports


def test_sec10q(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "2022 Q3.pdf").write_bytes(b"%PDF")
    answer = "Sales were $82,959 million, 5% more. (SOURCE: 2022 Q3.pdf)"
    content = (
        "Question,Source Docs,Question Type,Source Chunk Type,Answer\n"
        f'How much?,*Q3*,Single-Doc,Table,"{answer}"\n'
    )
    (tmp_path / "questions.csv").write_text(content, encoding="utf-8")
    (question,) = load("sec10q", Options(data=tmp_path)).questions
    assert question.gold.answers == ("Sales were $82,959 million, 5% more.",)
    assert question.gold.items == (("82,959",), ("5",))
    assert question.gold.documents == {"2022 Q3.pdf": 1}
    assert question.type == "table"


# One's own


def own_csv(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_own_csv(tmp_path: Path) -> None:
    path = own_csv(
        tmp_path / "q.csv",
        "question,answers,source,quote,answerable\n"
        'Where?,Oslo | in Oslo,a.txt,"It is in Oslo, now",\n'
        "When?,,,,false\n"
        '"Two\nlines?",x,,,yes\n',
    )
    suite = own.load(path, documents=tmp_path)
    first, second, third = suite.questions
    assert first.gold.answers == ("Oslo", "in Oslo")
    assert first.gold.evidence == ((Evidence("a.txt", "It is in Oslo, now"),),)
    assert first.cluster == "a.txt"
    assert second.answerable is False
    assert third.question == "Two\nlines?"
    assert len({q.id for q in suite.questions}) == 3


def test_own_json_lines_with_history_and_feedback(tmp_path: Path) -> None:
    history = [{"role": "user", "content": "A?"}, {"role": "assistant", "content": "B."}]
    row = {
        "id": "f1",
        "question": "And?",
        "answers": ["x", "y|z"],
        "history": history,
        "feedback": {"shown": "w", "verdict": "down", "at": "2025-01-01T00:00:00Z"},
    }
    (question,) = own.load(lines(tmp_path / "q.jsonl", [row]), collection="seeds").questions
    assert question.gold.answers == ("x", "y|z")
    assert question.history == tuple(history)
    assert question.id == "f1"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"answers": "x"}, "question"),
        ({"question": " ", "answers": "x"}, "question"),
        ({"question": "?"}, "answers"),
        ({"question": "?", "answers": 3}, "answers"),
        ({"question": "?", "answers": "x", "answerable": "maybe"}, "answerable"),
        ({"question": "?", "answers": "x", "answerable": False}, "answers"),
        ({"question": "?", "answers": "x", "quote": "x"}, "source"),
        ({"question": "?", "answers": "x", "source": 3}, "source"),
        ({"question": "?", "answers": "x", "history": "no"}, "history"),
        ({"question": "?", "answers": "x", "history": [{"role": "system"}]}, "history"),
        ({"question": "?", "answers": "x", "anwser": "y"}, "anwser"),
    ],
)
def test_own_bad_rows_are_named_by_line_and_field(
    tmp_path: Path, row: dict[str, Any], field: str
) -> None:
    good = {"question": "?", "answers": "x"}
    path = lines(tmp_path / "q.jsonl", [good, row])
    with pytest.raises(InputError, match=rf"q\.jsonl, line 2, field {field}: "):
        own.load(path, documents=tmp_path)


def test_own_csv_with_too_few_fields_is_named(tmp_path: Path) -> None:
    path = own_csv(tmp_path / "q.csv", "question,answers\nWhere?,Oslo\nWhen?\n")
    with pytest.raises(InputError, match="line 3: not as many fields"):
        own.load(path, documents=tmp_path)


def test_own_needs_documents(tmp_path: Path) -> None:
    path = own_csv(tmp_path / "q.csv", "question,answers\nWhere?,Oslo\n")
    with pytest.raises(InputError, match="--documents PATH or -c"):
        load("own", Options(data=path))
    with pytest.raises(InputError, match="does not exist"):
        load("own", Options(data=path, documents=tmp_path / "gone"))


def test_quotes_are_located_or_named(tmp_path: Path) -> None:
    path = own_csv(tmp_path / "q.csv", "question,answers,source,quote\n?,Oslo,a.txt,in Oslo\n")
    (question,) = own.load(path, documents=tmp_path).questions
    located = question.located(lambda name: Document(name, "It is in Oslo."))
    assert located.gold.evidence == ((Evidence("a.txt", "in Oslo", 6, 13),),)
    with pytest.raises(InputError, match=r"question 2, field quote: 'in Oslo' is not in a\.txt"):
        question.located(lambda name: Document(name, "It is in Rome."))


def test_a_repeated_id_is_named(tmp_path: Path) -> None:
    row = {"id": "a", "question": "?", "answers": "x"}
    path = lines(tmp_path / "q.jsonl", [row, row])
    with pytest.raises(InputError, match="two questions have the id a"):
        load("own", Options(data=path, documents=tmp_path))
