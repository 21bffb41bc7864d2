"""Quarterly reports as PDF, with questions whose answers mostly stand in tables.

Format: `questions.csv` with `Question`, `Source Docs` (a file pattern), `Question Type`, `Source
Chunk Type` and `Answer`, beside `docs/`.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from eval.records import Gold, Question, Suite
from eval.suites import rows
from rag.errors import InputError

__all__ = ["load"]

CAVEATS = (
    (
        "Gold answers were written by a model and are long; ROUGE-L is a rough guide, the share"
        " of gold numbers found (`items`) a better one."
    ),
    "Four reports of one company: nothing here says how other reports fare.",
)


def load(data: Path) -> Suite:
    """`data` is the folder with `questions.csv` and `docs/`."""
    path = data / "questions.csv"
    files = sorted(p.name for p in (data / "docs").glob("*.pdf"))
    if not files:
        raise InputError(f"{data / 'docs'} holds no PDF files")
    questions = []
    table = csv.DictReader(io.StringIO(rows.read_text(path), newline=""))
    for n, row in enumerate(table, start=1):
        try:
            answer, kind = row["Answer"], row["Source Chunk Type"].lower()
            question = row["Question"]
        except (KeyError, AttributeError):
            raise InputError(f"{path}, line {table.line_num}: a field is missing") from None
        cited = [name for name in files if name in answer]
        body = re.sub(r"\(?SOURCE(\(S\))?:.*?(\)|$)", "", answer, flags=re.DOTALL).strip()
        gold = Gold(
            answers=(body,),
            items=tuple((number,) for number in _amounts(body)),
            documents=dict.fromkeys(cited, 1),
        )
        questions.append(Question(f"sec10q-{n}", question, gold, cluster=f"sec10q-{n}", type=kind))
    return Suite(
        "sec10q",
        tuple(questions),
        folder=str(data / "docs"),
        headline=("items", "rouge_l", "words"),
        caveats=CAVEATS,
    )


def _amounts(text: str) -> list[str]:
    """Amounts and percentages, without the dollar sign: what a right answer has to state."""
    found = re.findall(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+(?=\s*%)", text)
    return list(dict.fromkeys(found))
