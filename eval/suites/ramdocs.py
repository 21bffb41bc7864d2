"""RAMDocs: several documents a question, some right, some wrong, some noise.

Format: `{"question", "documents": [{"text", "type", "answer"}], "gold_answers", "wrong_answers"}`.
"""

from __future__ import annotations

from pathlib import Path

from eval.records import Gold, Question, Suite
from eval.suites import rows
from rag.records import Document

__all__ = ["load"]

CAVEATS = (
    (
        "`set_exact` asks for every gold answer and no wrong one in the answer's text, compared"
        " as normalised strings: a right answer in other words counts as missing."
    ),
    (
        "Misinformation was made by replacing a name or number, so nothing in a single document"
        " gives it away."
    ),
    "Every question is answerable.",
)


def load(data: Path) -> Suite:
    """`data` is the file, or a folder with one `*.jsonl`."""
    path = rows.only_file(data, "*.jsonl")
    documents: list[Document] = []
    questions: list[Question] = []
    for number, row in rows.json_lines(path):
        for name, kind in (
            ("question", str),
            ("documents", list),
            ("gold_answers", list),
            ("wrong_answers", list),
        ):
            rows.field(path, number, row, name, kind)
        identifier = f"ramdocs-{number}"
        found = {f"{identifier}/{n}": d for n, d in enumerate(row["documents"])}
        documents += [Document(name, d["text"]) for name, d in found.items()]
        gold = Gold(
            complete=tuple(dict.fromkeys(row["gold_answers"])),
            wrong=tuple(dict.fromkeys(row["wrong_answers"])),
            documents={name: 1 for name, d in found.items() if d["type"] == "correct"},
        )
        kind_of = "ambiguous" if len(gold.complete) > 1 else "single"
        questions.append(
            Question(
                id=identifier,
                question=row["question"],
                gold=gold,
                documents=tuple(found),
                cluster=identifier,
                type=kind_of,
            )
        )
    return Suite(
        "ramdocs",
        tuple(questions),
        tuple(documents),
        pooled=False,
        headline=("set_exact", "set_recall", "wrong", "words"),
        caveats=CAVEATS,
    )
