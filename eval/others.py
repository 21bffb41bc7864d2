"""Another system's answers, brought into the form of a run so that they are scored like ours.

One JSON object a line: `id` and `text`; where the system has them also `refused`, `confidence`
(0 to 1), `citations` (`[{"document", "quote"}]`, or with `start` and `end`), `passages`
(`[{"document", "start"?, "end"?}]`, best first) and `seconds`. Answers in the form of
`footnote ask --json` are taken as they are.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.floors import plain_answer
from eval.metrics import text
from eval.records import Sample, digest
from eval.run import read_documents, read_run, read_samples
from eval.suites import rows
from rag.errors import InputError

__all__ = ["adopt", "looks_refused"]

_REFUSAL = re.compile(
    r"\b(i (do not|don't|can ?not|can't) (know|answer|find)|unanswerable|no answer|"
    r"not (stated|given|mentioned|provided|specified|found) in|"
    r"do(es)? not (state|mention|provide|contain|say)|"
    r"cannot be (answered|determined)|insufficient information|no information)\b",
    re.IGNORECASE,
)


def looks_refused(reply: str) -> bool:
    """Whether a reply without a `refused` field reads as a refusal: empty, or a set phrase in its
    first 200 characters. A guess: systems that say it otherwise should set `refused`."""
    plain = text.strip_markers(reply).replace("\u2019", "'")
    return not plain or _REFUSAL.search(plain[:200]) is not None


def adopt(questions_of: Path, answers: Path, out: Path) -> Path:
    """Write a run directory `out` with the questions of the run `questions_of` and these answers.

    Every question needs an answer; InputError names the first line or id that is wrong.
    """
    header, documents = read_run(questions_of), read_documents(questions_of)
    if header["retrieval"]:
        raise InputError(f"{questions_of} is a run without answers; there is nothing to compare")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; choose another --out")
    found = _read(answers)
    samples = []
    for sample in read_samples(questions_of):
        if sample.id not in found:
            raise InputError(f"{answers} has no answer with id {sample.id}")
        number, row = found[sample.id]
        samples.append(_sample(sample, row, documents, f"{answers}, line {number}"))
    out.mkdir(parents=True, exist_ok=True)
    name = answers.stem
    header |= {
        "engine": {
            "settings": {},
            "system": name,
            "answers": digest([r for _, r in found.values()]),
        },
        "timings": {"reused": 0},
        "fingerprint": digest([header["data"], name, [r for _, r in found.values()]]),
    }
    text_of = "".join(sample.to_json() + "\n" for sample in samples)
    (out / "samples.jsonl").write_text(text_of, encoding="utf-8", newline="\n")
    copied = (questions_of / "documents.jsonl").read_bytes()
    (out / "documents.jsonl").write_bytes(copied)
    (out / "run.json").write_text(
        json.dumps(header, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    return out


def _read(path: Path) -> dict[str, tuple[int, dict[str, Any]]]:
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, row in rows.json_lines(path):
        identifier = str(rows.field(path, number, row, "id", object))
        rows.field(path, number, row, "text", str)
        if identifier in found:
            raise InputError(f"{path}, line {number}, field id: {identifier} came before")
        found[identifier] = (number, row)
    return found


def _sample(
    sample: Sample, row: Mapping[str, Any], documents: Mapping[str, str], where: str
) -> Sample:
    refused = row.get("refused")
    refused = looks_refused(row["text"]) if refused is None else bool(refused)
    try:
        spans = [_span(c, documents) for c in row.get("citations", ())]
        passages = [_span(p, documents) for p in row.get("passages", ())]
        sure = row.get("confidence")
        confidence = None if sure is None else float(sure)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{where}: {type(error).__name__} {error} in citations or passages"
        ) from None
    body = text.strip_markers(row["text"])
    answer = plain_answer(sample, body, [] if refused else spans, documents)
    if {"sentences", "citations", "timings"} <= row.keys():  # an answer of Footnote's own form
        answer |= {name: row[name] for name in answer.keys() & row.keys()}
    else:
        for citation, span in zip(answer["citations"], spans, strict=False):
            citation["quote"] = span.get("quote") or citation["quote"]
    answer |= {"refused": refused, "confidence": confidence, "model": str(row.get("model", ""))}
    if refused:
        answer |= {"sentences": [], "citations": []}
    timings = {"total_s": row["seconds"]} if "seconds" in row else {}
    answer["timings"] = row.get("timings", {})
    return dataclasses.replace(sample, answer=answer, hits=passages, timings=timings)


def _span(row: Mapping[str, Any], documents: Mapping[str, str]) -> dict[str, Any]:
    """A citation or passage as a span: by offsets, else by its quote, else the whole document.

    A quote that is not in the document gets an empty span, and so counts as invalid.
    """
    name = str(row["document"])
    body = documents.get(name, "")
    quote = row.get("quote") or row.get("text") or ""
    start, end = row.get("start"), row.get("end")
    if start is None or end is None:
        at = body.find(quote) if quote else 0
        start, end = (at, at + (len(quote) or len(body))) if at >= 0 else (0, 0)
    return {"document": name, "start": int(start), "end": int(end), "score": 0.0, "quote": quote}
