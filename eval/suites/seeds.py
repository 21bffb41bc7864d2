"""The sample corpus of this repository, and the questions about news texts kept outside it.

Format: `seeds/README.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.records import Evidence, Gold, Question, Suite
from eval.suites import rows
from rag.errors import InputError

__all__ = ["load", "load_news"]

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
HEADLINE = ("right", "contains", "items", "claims", "points", "words")
CAVEATS = (
    (
        "Both halves of the questions are about the same documents: held-out says nothing about"
        " other collections."
    ),
    (
        "A reply is right when it contains a gold answer, so copying the passage wins; read the"
        " length and the floor beside it."
    ),
    (
        "Gold spans of a question with several sources are all counted, so a short answer from "
        "one of them has a low citation recall."
    ),
)


def load(split: str | None = None, seeds: Path = SEEDS) -> Suite:
    """The questions about `seeds/documents`; `split` is `tune`, `held-out` or None for both."""
    questions = _questions(seeds / "questions.jsonl", split)
    folder = str(seeds / "documents")
    return Suite("seeds", questions, folder=folder, headline=HEADLINE, caveats=CAVEATS)


def load_news(data: Path, split: str | None = None, seeds: Path = SEEDS) -> Suite:
    """The questions about the texts in the folder `data`."""
    questions = _questions(seeds / "news-questions.jsonl", split)
    for question in questions:
        for name in question.gold.documents:
            if not (data / name).is_file():
                raise InputError(f"{data} lacks {name}; point --data at the folder of news texts")
    return Suite("news", questions, folder=str(data), headline=HEADLINE, caveats=CAVEATS[:2])


def _questions(path: Path, split: str | None) -> tuple[Question, ...]:
    questions = tuple(_question(row) for _, row in rows.json_lines(path))
    if split is None:
        return questions
    known = sorted({q.split for q in questions})
    if split not in known:
        raise InputError(f"--split {split}: this suite has {' and '.join(known)}")
    return tuple(q for q in questions if q.split == split)


def _question(row: dict[str, Any]) -> Question:
    evidence = tuple(Evidence(gold["document"], gold["quote"]) for gold in row.get("gold", ()))
    documents = dict.fromkeys([*(e.document for e in evidence), *row.get("documents", ())], 1)
    gold = Gold(
        answers=tuple(row["answers"]),
        items=_variants(row, "items"),
        claims=_variants(row, "claims"),
        points=_variants(row, "points"),
        evidence=(evidence,) if evidence else (),
        documents=documents,
    )
    return Question(
        id=row["id"],
        question=row["question"],
        gold=gold,
        answerable=row["answerable"],
        history=tuple(row.get("history", ())),
        # Unanswerable questions share no document: each is a cluster of its own.
        cluster=next(iter(documents), row["id"]),
        type=row["type"],
        split=row["split"],
    )


def _variants(row: dict[str, Any], name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(variants) for variants in row.get(name, ()))
