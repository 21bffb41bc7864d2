"""CLAPNQ: search questions, one Wikipedia passage each, full answers with supporting sentences.

Format: `{"id", "input", "passages": [{"title", "text", "sentences"}], "output": [{"answer",
"selected_sentences"}]}`, one output an annotator; an empty answer means unanswerable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.records import Evidence, Gold, Question, Suite
from eval.suites import rows
from rag.errors import InputError
from rag.records import Document

__all__ = ["load"]

CAVEATS = (
    "The passage is given: this measures reading, answering and citing, not retrieval.",
    (
        "ROUGE-L rewards answers of the annotators' length and wording; copying the passage "
        "does well, so read the length beside it."
    ),
    "The text is tokenised (`It 's`), unlike documents that staff use.",
)


def load(data: Path) -> Suite:
    """`data` is a file, or a folder whose `*.jsonl` are all taken."""
    paths = sorted(data.glob("*.jsonl")) if data.is_dir() else [data]
    documents: list[Document] = []
    questions: list[Question] = []
    for path in paths:
        for number, row in rows.json_lines(path):
            for name, kind in (("id", str), ("input", str), ("passages", list), ("output", list)):
                rows.field(path, number, row, name, kind)
            found = [
                Document(f"{row['id']}/{n}", passage["text"], passage["title"])
                for n, passage in enumerate(row["passages"])
            ]
            documents += found
            questions.append(_question(path, number, row, found))
    return Suite(
        "clapnq",
        tuple(questions),
        tuple(documents),
        pooled=False,
        headline=("rouge_l", "cite_sentence_f1", "support", "words"),
        caveats=CAVEATS,
    )


def _question(path: Path, number: int, row: dict[str, Any], documents: list[Document]) -> Question:
    outputs = [output for output in row["output"] if output["answer"].strip()]
    evidence = tuple(
        tuple(_find(path, number, sentence, documents) for sentence in output["selected_sentences"])
        for output in outputs
    )
    return Question(
        id=row["id"],
        question=row["input"],
        gold=Gold(
            answers=tuple(output["answer"] for output in outputs),
            evidence=tuple(spans for spans in evidence if spans),
            documents={document.id: 1 for document in documents} if outputs else {},
        ),
        answerable=bool(outputs),
        documents=tuple(document.id for document in documents),
        cluster=row["passages"][0]["title"],
    )


def _find(path: Path, number: int, sentence: str, documents: list[Document]) -> Evidence:
    for document in documents:
        start = document.text.find(sentence)
        if start >= 0:
            return Evidence(document.id, sentence, start, start + len(sentence))
    raise InputError(f"{path}, line {number}, field selected_sentences: not in the passage")
