"""Your own questions about your own documents, in a CSV or JSON Lines file.

| field | |
| --- | --- |
| `question` | required |
| `answers` or `answer` | ways to say it: separated by ` | ` in CSV, a list or string in JSON |
| `answerable` | `true` (the default) or `false`: the documents do not hold the answer |
| `source` | optional: the document's identifier, as `footnote search` shows it |
| `quote` | optional: the exact words of `source` that support the answer |
| `history` | optional: earlier turns, a JSON list of `{"role", "content"}` |
| `id`, `type`, `note` | optional; the id is the line number otherwise |
| `feedback` | optional, not scored: what the chat recorded with a correction |

Corrections from the chat are exported in this form, as JSON Lines: `feedback` then holds
`{"shown": answer text, "verdict": "down", "at": ISO time}`, and `answers` the correction.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eval.records import Evidence, Gold, Question, Suite
from eval.suites import rows
from rag.errors import InputError

__all__ = ["FIELDS", "load"]

FIELDS = (
    "id",
    "question",
    "answers",
    "answer",
    "answerable",
    "source",
    "quote",
    "history",
    "type",
    "note",
    "feedback",
)
CAVEATS = (
    "`contains` is won by long answers; read the length and the floor beside it.",
    "Few questions make wide intervals: below 100, only large differences show.",
)


def load(data: Path, documents: Path | None = None, collection: str | None = None) -> Suite:
    """Read and check every row; all that is wrong with the first bad row is its line and field.

    The documents are a folder or file (`documents`) or a collection that is already built.
    """
    if documents is None and collection is None:
        raise InputError("suite own needs --documents PATH or -c COLLECTION to ask about")
    if documents is not None and not documents.exists():
        raise InputError(f"--documents {documents} does not exist")
    questions = tuple(_question(data, number, row) for number, row in _rows(data))
    return Suite(
        "own",
        questions,
        folder=str(documents) if documents is not None else None,
        collection=collection if documents is None else None,
        headline=("right", "contains", "f1", "words"),
        caveats=CAVEATS,
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix.lower() != ".csv":
        yield from rows.json_lines(path)
        return
    table = csv.DictReader(io.StringIO(rows.read_text(path), newline=""))
    for row in table:
        if None in row or None in row.values():
            raise InputError(f"{path}, line {table.line_num}: not as many fields as the header has")
        yield table.line_num, {name: value for name, value in row.items() if value.strip()}


def _question(path: Path, number: int, row: Mapping[str, Any]) -> Question:
    def bad(name: str, what: str) -> InputError:
        return InputError(f"{path}, line {number}, field {name}: {what}")

    for name in row:
        if name not in FIELDS:
            raise bad(name, f"unknown; the fields are {', '.join(FIELDS)}")
    question = row.get("question")
    if not isinstance(question, str) or not question.strip():
        raise bad("question", "missing or empty")
    answerable = _truth(row.get("answerable", True))
    if answerable is None:
        raise bad("answerable", "neither true nor false")
    answers = _answers(row.get("answers", row.get("answer", "")))
    if answers is None:
        raise bad("answers", "neither text nor a list of texts")
    if answerable and not answers:
        raise bad("answers", "empty; or set answerable to false if the documents do not say")
    if not answerable and answers:
        raise bad("answers", "given, though answerable is false")
    source, quote = row.get("source", ""), row.get("quote", "")
    if not isinstance(source, str) or not isinstance(quote, str):
        raise bad("source" if not isinstance(source, str) else "quote", "not text")
    if quote and not source:
        raise bad("source", "missing, though there is a quote")
    history = _history(row.get("history", []))
    if history is None:
        raise bad("history", 'not a list of {"role": "user" or "assistant", "content": text}')
    evidence = ((Evidence(source, quote),),) if quote else ()
    identifier = str(row.get("id", number))
    return Question(
        id=identifier,
        question=question,
        gold=Gold(answers=answers, evidence=evidence, documents={source: 1} if source else {}),
        answerable=answerable,
        history=history,
        cluster=source or identifier,
        type=str(row.get("type", "")),
    )


def _truth(value: Any) -> bool | None:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return value if isinstance(value, bool) else words.get(str(value).strip().lower())


def _answers(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                return _answers(json.loads(value))
            except ValueError:
                pass
        value = value.split("|")
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        return None
    return tuple(dict.fromkeys(v.strip() for v in value if v.strip()))


def _history(value: Any) -> tuple[dict[str, str], ...] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list):
        return None
    turns = []
    for turn in value:
        if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant"):
            return None
        if not isinstance(turn.get("content"), str):
            return None
        turns.append({"role": turn["role"], "content": turn["content"]})
    return tuple(turns)
