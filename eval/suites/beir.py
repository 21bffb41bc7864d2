"""BEIR folders: `corpus.jsonl`, `queries.jsonl` and `qrels.tsv` (or `qrels/test.tsv`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eval.records import Gold, Question, Suite
from eval.suites import rows
from rag.errors import InputError
from rag.records import Document

__all__ = ["documents", "load"]

CAVEATS = (
    "Passages are collapsed to documents, each at its best passage's rank.",
    "Documents that nobody judged count as irrelevant, so a score is a lower bound.",
)


def documents(corpus: Path) -> Iterator[Document]:
    """Those of a file `corpus.jsonl`, one after the other."""
    for number, row in rows.json_lines(corpus):
        yield Document(
            rows.field(corpus, number, row, "_id", str),
            rows.field(corpus, number, row, "text", str),
            row.get("title") or "",
        )


def load(data: Path, name: str = "beir") -> Suite:
    """Queries without a judgement are left out."""
    corpus = data / "corpus.jsonl"
    held = tuple(documents(corpus))
    judged = _qrels(data, {document.id for document in held})
    queries = data / "queries.jsonl"
    questions = []
    for number, row in rows.json_lines(queries):
        identifier = rows.field(queries, number, row, "_id", str)
        text = rows.field(queries, number, row, "text", str)
        if identifier in judged:
            gold = Gold(documents=judged[identifier])
            cluster = min(gold.documents)
            questions.append(Question(identifier, text, gold, cluster=cluster))
    return Suite(
        name,
        tuple(questions),
        held,
        retrieval=True,
        headline=("ndcg@10", "recall@10", "mrr@10"),
        caveats=CAVEATS,
    )


def _qrels(data: Path, corpus: set[str]) -> dict[str, dict[str, int]]:
    path = next((p for p in (data / "qrels.tsv", data / "qrels" / "test.tsv") if p.exists()), None)
    if path is None:
        raise InputError(f"{data} has neither qrels.tsv nor qrels/test.tsv")
    judged: dict[str, dict[str, int]] = {}
    for number, line in enumerate(rows.read_text(path).splitlines(), start=1):
        parts = line.split("\t")
        if (number == 1 and parts[-1] == "score") or not line.strip():
            continue
        try:
            query, document, grade = parts[0], parts[-2], int(parts[-1])
        except (ValueError, IndexError):
            raise InputError(f"{path}, line {number}: not query, document, score") from None
        if document not in corpus:
            raise InputError(f"{path}, line {number}: document {document} is not in corpus.jsonl")
        if grade > 0:
            judged.setdefault(query, {})[document] = grade
    return judged
