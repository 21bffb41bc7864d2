"""SQuAD v1.1 and v2.0 files: every paragraph of every article is a document of one pool.

Format: `{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers":
[{"text", "answer_start"}], "is_impossible"?}]}]}]}`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eval.records import Evidence, Gold, Question, Suite
from eval.suites import rows
from rag.errors import InputError
from rag.records import Document

__all__ = ["load"]

CAVEATS = (
    (
        "An unanswerable question was written to fit one paragraph; another article of the pool"
        " may answer it by chance."
    ),
    (
        "Questions were written while looking at the paragraph, so they share its words: "
        "keyword search does better here than on what staff type."
    ),
    ("Intervals resample paragraphs; the few articles of a file are not a sample of all subjects."),
)


def load(data: Path) -> Suite:
    """`data` is the file, or a folder with one JSON file."""
    path = rows.only_file(data, "*.json")
    documents: list[Document] = []
    questions: list[Question] = []
    try:
        for article in json.loads(rows.read_text(path))["data"]:
            for number, paragraph in enumerate(article["paragraphs"]):
                title = article["title"].replace("_", " ")
                identifier = f"{article['title']}/{number}"
                documents.append(Document(identifier, paragraph["context"], title))
                questions += [_question(path, identifier, qa, paragraph) for qa in paragraph["qas"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a SQuAD file: {type(error).__name__} {error}") from None
    return Suite(
        "squad",
        tuple(questions),
        tuple(documents),
        style="short",
        headline=("f1", "em", "contains", "words"),
        caveats=CAVEATS,
    )


def _question(path: Path, document: str, qa: dict[str, Any], paragraph: dict[str, Any]) -> Question:
    answerable = not qa.get("is_impossible", False)
    answers = tuple(dict.fromkeys(a["text"] for a in qa["answers"])) if answerable else ()
    if answerable and not answers:
        raise InputError(f"{path}, question {qa['id']}, field answers: empty")
    starts = {(a["answer_start"], a["text"]) for a in qa["answers"]} if answerable else set()
    for start, text in starts:
        if paragraph["context"][start : start + len(text)] != text:
            raise InputError(f"{path}, question {qa['id']}, field answer_start: {text!r} not there")
    # Each annotator's phrase; a citation is scored against the best of them.
    evidence = tuple(
        (Evidence(document, text, start, start + len(text)),) for start, text in sorted(starts)
    )
    gold = Gold(answers=answers, evidence=evidence, documents={document: 1} if answerable else {})
    return Question(
        id=qa["id"],
        question=qa["question"],
        gold=gold,
        answerable=answerable,
        cluster=document,
        split="answerable" if answerable else "unanswerable",
    )
