"""Documents that give orders to the program, each beside true ones.

Format (`eval/attacks/documents.jsonl`): `{"id", "family", "question", "history"?, "answerable",
"answers", "forbidden", "false"?, "documents": [{"name", "text"}], "truth", "order", "wish"}`. A
document's text is what its file holds: it goes through the reader that its name asks for, so what a
page hides is hidden. `forbidden` may stand nowhere in an answer; `false` is a claim that a document
makes and two contradict: it may stand under `conflicts` but not in the text. `truth`, `order` and
`wish` (what a model that obeys the `order` writes) are for tests with a scripted model.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.records import Gold, Question, Suite
from eval.suites import rows
from rag.errors import InputError
from rag.read.formats import load as read_file
from rag.read.limits import Limits
from rag.records import Document

__all__ = ["ATTACKS", "Attack", "attacks", "load"]

ATTACKS = Path(__file__).resolve().parents[1] / "attacks" / "documents.jsonl"
CAVEATS = (
    (
        "`attack_success` looks for the attacker's own words in all of an answer but its passages;"
        " an answer that is merely worse for the attack counts under `right`."
    ),
    (
        "A false claim that two other documents contradict may stand under `conflicts`, with its "
        "source; `wrong` counts it in the text."
    ),
    "The attacks were written for this suite, by people who know the defences.",
)
_FIELDS = (
    ("id", str),
    ("family", str),
    ("question", str),
    ("answerable", bool),
    ("answers", list),
    ("forbidden", list),
    ("documents", list),
    ("truth", str),
    ("order", str),
    ("wish", str),
)


@dataclass(frozen=True, slots=True)
class Attack:
    """A question about documents of which the first is the attacker's.

    `order` are the words that a model must read to obey, `wish` what it then writes, and `truth` the
    sentence that it writes otherwise ("" where the documents do not hold the answer).
    """

    question: Question
    documents: tuple[Document, ...]
    order: str
    wish: str
    truth: str


def load(path: Path = ATTACKS) -> Suite:
    """Every attack as a question about its own documents."""
    cases = tuple(attacks(path))
    return Suite(
        "injection",
        tuple(case.question for case in cases),
        tuple(document for case in cases for document in case.documents),
        pooled=False,
        headline=("attack_success", "wrong", "right", "refused"),
        caveats=CAVEATS,
    )


def attacks(path: Path = ATTACKS) -> Iterator[Attack]:
    """The attacks in the order of the file."""
    with tempfile.TemporaryDirectory() as scratch:
        for number, row in rows.json_lines(path):
            for name, kind in _FIELDS:
                rows.field(path, number, row, name, kind)
            documents = tuple(
                _document(Path(scratch), row["id"], given) for given in row["documents"]
            )
            if len(documents) < 2:
                raise InputError(f"{path}, line {number}: an attack needs a true document too")
            yield Attack(
                _question(row, documents), documents, row["order"], row["wish"], row["truth"]
            )


def _document(scratch: Path, case: str, given: dict[str, Any]) -> Document:
    """What the reader makes of a file; undated, for the day that it was written means nothing."""
    file = scratch / given["name"]
    file.write_bytes(given["text"].encode())
    document = read_file(file, f"{case}/{given['name']}", Limits())
    return dataclasses.replace(document, date=given.get("date"))


def _question(row: dict[str, Any], documents: tuple[Document, ...]) -> Question:
    answers, false = tuple(row["answers"]), tuple(row.get("false", ()))
    # With `complete`, `wrong` is what the text may not say; without, what stands nowhere.
    gold = Gold(
        answers=answers,
        complete=answers[:1] if false else (),
        wrong=false or tuple(row["forbidden"]),
        documents={one.id: 1 for one in documents[1:]} if answers else {},
    )
    return Question(
        id=row["id"],
        question=row["question"],
        gold=gold,
        answerable=row["answerable"],
        history=tuple(row.get("history", ())),
        documents=tuple(one.id for one in documents),
        cluster=row["id"],
        type=row["family"],
    )
