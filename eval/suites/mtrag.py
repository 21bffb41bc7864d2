"""MTRAG tasks: the last turn of a conversation, with the passages to answer from.

Format: `{"task_id", "input": [{"speaker", "text"}…], "contexts": [{"document_id", "text",
"title"?}], "targets": [{"text"}], "answerability": [..], "Collection"}`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.records import Gold, Question, Suite
from eval.suites import rows
from rag.records import Document

__all__ = ["load"]

CAVEATS = (
    (
        "One reference answer each, often long and partly from a model: ROUGE-L says little "
        "between good answers."
    ),
    (
        "Underspecified questions ask for a question back: they count neither as answerable nor"
        " as unanswerable."
    ),
    ("Unanswerable tasks come without passages, so refusing them is easy; see squad and clapnq."),
)
ANSWERABLE = {"ANSWERABLE": True, "PARTIAL": True, "UNANSWERABLE": False}


def load(data: Path) -> Suite:
    """`data` is the file, or a folder with one `*.jsonl`."""
    path = rows.only_file(data, "*.jsonl")
    documents: dict[str, Document] = {}
    questions: list[Question] = []
    for number, row in rows.json_lines(path):
        for name, kind in (
            ("task_id", str),
            ("input", list),
            ("contexts", list),
            ("targets", list),
            ("answerability", list),
        ):
            rows.field(path, number, row, name, kind)
        given = []
        for n, context in enumerate(row["contexts"]):
            identifier = f"{row['task_id']}/{n}"
            documents[identifier] = Document(identifier, context["text"], context.get("title", ""))
            given.append(identifier)
        questions.append(_question(row, given))
    return Suite(
        "mtrag",
        tuple(questions),
        tuple(documents.values()),
        pooled=False,
        headline=("rouge_l", "support", "words"),
        caveats=CAVEATS,
    )


def _question(row: dict[str, Any], documents: list[str]) -> Question:
    kind = row["answerability"][0]
    roles = {"user": "user", "agent": "assistant"}
    turns = [{"role": roles[turn["speaker"]], "content": turn["text"]} for turn in row["input"]]
    answerable = ANSWERABLE.get(kind)
    answers = tuple(target["text"] for target in row["targets"]) if answerable else ()
    return Question(
        id=row["task_id"],
        question=turns[-1]["content"],
        gold=Gold(answers=answers),
        answerable=answerable,
        history=tuple(turns[:-1]),
        documents=tuple(documents),
        cluster=row.get("conversation_id", row["task_id"]),
        type=kind.lower(),
    )
