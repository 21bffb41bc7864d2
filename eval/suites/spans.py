"""Reference spans in the form of `chunk_eval`: which characters of a corpus answer a question.

Format: `questions.csv` with `question`, `references` (JSON: `[{"content", "start_index",
"end_index"}]`) and `corpus_id`, beside `<corpus_id>.md`.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from eval.records import Evidence, Gold, Question, Suite
from eval.suites import rows
from rag.errors import InputError
from rag.records import Document

__all__ = ["load"]

CAVEATS = (
    "Long passages buy recall with precision: read both, and the passage length.",
    ("Only a few corpora, so differences between chunk sizes may not carry over to other texts."),
)


def load(data: Path) -> Suite:
    """`data` is the folder. Offsets must fit the content, or the line is named."""
    path = data / "questions.csv"
    texts: dict[str, Document] = {}
    questions: list[Question] = []
    table = csv.DictReader(io.StringIO(rows.read_text(path), newline=""))
    for row in table:
        number = table.line_num
        try:
            name = f"{row['corpus_id']}.md"
            references = json.loads(row["references"])
            if name not in texts:
                texts[name] = Document(name, rows.read_text(_inside(data, name)))
            spans = tuple(
                Evidence(name, r["content"], int(r["start_index"]), int(r["end_index"]))
                for r in references
            )
            question = row["question"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number}: {type(error).__name__} {error}") from None
        for span in spans:
            if texts[name].text[span.start : span.end] != span.quote:
                raise InputError(f"{path}, line {number}, field references: offsets do not fit")
        gold = Gold(evidence=(spans,))  # which of so few documents is no question
        identifier = f"spans-{len(questions) + 1}"
        # Questions about neighbouring text share passages; 5,000 characters make one cluster.
        cluster = f"{name}:{(spans[0].start or 0) // 5000}" if spans else identifier
        questions.append(Question(identifier, question, gold, cluster=cluster, type=name))
    return Suite(
        "spans",
        tuple(questions),
        tuple(texts.values()),
        retrieval=True,
        headline=("span_recall@5", "span_precision@5", "span_iou@5", "passage_chars"),
        caveats=CAVEATS,
    )


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if path.resolve().parent != folder.resolve():
        raise InputError(f"{folder}/questions.csv, field corpus_id: {name!r} leaves the folder")
    return path
