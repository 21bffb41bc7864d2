"""Ask a suite's questions and write down what came back, one line a question.

    DIR/run.json          what was asked of what: suite, settings, code, hardware
    DIR/samples.jsonl     one `Sample` a line, in the suite's order
    DIR/documents.jsonl   the texts that offsets refer to

A run that was killed goes on where it stopped. Nothing is judged here.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval import conditions
from eval.cache import Cache
from eval.engine import Engine
from eval.keywords import Keywords
from eval.records import Question, Sample, Suite, digest, documents_digest
from eval.versions import versions
from rag.errors import InputError
from rag.hardware import cpu_features
from rag.records import Document

__all__ = ["Plan", "Progress", "read_documents", "read_run", "read_samples", "run"]

_DEPTH = 50  # passages: enough that ten documents are among them
_FLOOR_DEPTH = 10
_PACKAGES = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "openvino", "scipy")

Progress = Callable[[Sequence[Question]], Iterator[Question]]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How to run a suite: where to, and under which of `eval.conditions.CONDITIONS`.

    With `apart` the directory's name gets the run's fingerprint, so that other settings, code or
    questions never meet an earlier run in one place.
    """

    out: Path
    condition: str = "retrieved"
    apart: bool = False
    retrieval_only: bool = False
    cache: Path | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def run(suite: Suite, engine: Engine, plan: Plan, progress: Progress = iter) -> Path:
    """Run or resume; returns the directory.

    InputError where the directory holds another run, or the suite can't be run in this way.
    """
    began = time.perf_counter()
    suite = _prepared(suite, engine, plan)
    header = _header(suite, engine, plan)
    if plan.apart:
        name = f"{plan.out.name}-{header['fingerprint'][:8]}"
        plan = dataclasses.replace(plan, out=plan.out.with_name(name))
    done = _resume(plan.out, header, suite.questions)
    left = [question for question in suite.questions if question.id not in done]
    before = read_run(plan.out)
    if before["finished"] and not left:
        kept = {"timings": before["timings"], "finished": True}
        _write_json(plan.out / "run.json", header | kept)
        return plan.out
    asker = _Asker(suite, engine, plan, digest(header["engine"]))
    asked, reused = 0.0, 0
    with (plan.out / "samples.jsonl").open("a", encoding="utf-8", newline="\n") as file:
        for question in progress(left):
            sample = asker.sample(question)
            asked += sample.timings["asked_s"]
            reused += bool(sample.timings["cached"])
            file.write(sample.to_json() + "\n")
            file.flush()
    asker.close()
    _write_documents(plan.out, suite, asker.find)
    wall = time.perf_counter() - began
    measured = bool(left) and not reused
    header["timings"] = header["timings"] | {
        "wall_s": round(wall, 3),
        "asked_s": round(asked, 3),
        "reused": reused + len(done),
        "overhead": round(1 - asked / wall, 4) if measured else None,
        "overhead_s": round((wall - asked) / len(left), 5) if measured else None,
    }
    _write_json(plan.out / "run.json", header | {"finished": True})
    return plan.out


def _prepared(suite: Suite, engine: Engine, plan: Plan) -> Suite:
    """The suite with quotes located, and documents pinned where the gold ones are given."""
    known = conditions.CONDITIONS
    if plan.condition not in known:
        raise InputError(f"no condition {plan.condition!r}; there are: {', '.join(known)}")
    if plan.retrieval_only and plan.condition != "retrieved":
        raise InputError("--retrieval-only goes with no --condition: nothing else is retrieved")
    if plan.retrieval_only and not suite.pooled:
        raise InputError(
            f"suite {suite.name} gives each question its passages: nothing to retrieve"
        )
    if plan.condition in conditions.UNANSWERABLE and any(
        question.answerable is not False for question in suite.questions
    ):
        raise InputError(f"{plan.condition}: prepare the suite with conditions.unanswerable first")
    find = _finder(suite, engine)
    if plan.condition == "given":
        suite = conditions.given(suite)
    questions = [question.located(find) for question in suite.questions]
    if plan.retrieval_only or suite.retrieval:
        questions = [q for q in questions if q.gold.documents or q.gold.evidence]
    if not questions:
        raise InputError(f"suite {suite.name} has no question with a gold document to run on")
    return dataclasses.replace(
        suite, questions=tuple(questions), retrieval=suite.retrieval or plan.retrieval_only
    )


def _finder(suite: Suite, engine: Engine) -> Callable[[str], Document]:
    held = {document.id: document for document in suite.documents}

    def find(identifier: str) -> Document:
        return held[identifier] if identifier in held else engine.document(identifier)

    return find


class _Asker:
    """Question -> Sample: from the cache, by search alone, or by asking."""

    def __init__(self, suite: Suite, engine: Engine, plan: Plan, engine_key: str) -> None:
        self.suite, self.engine = suite, engine
        self.engine_key = engine_key
        self.closed = plan.condition == "closed"
        self.find = _finder(suite, engine)
        self.cache = Cache(plan.cache)
        self.keywords = Keywords(suite.documents or engine.documents()) if suite.pooled else None

    def sample(self, question: Question) -> Sample:
        key = digest([self.engine_key, self._inputs(question)])
        held = self.cache.get(key)
        started = time.perf_counter()
        found = self._ask(question) if held is None else held
        asked = time.perf_counter() - started
        if held is None:
            self.cache.put(key, found)
        floor = self.keywords.search(question.question, _FLOOR_DEPTH) if self.keywords else []
        timings = {
            "asked_s": round(asked, 6),
            "total_s": found["total_s"] if held else round(asked, 6),
            "cached": held is not None,
            "memory_mb": _peak_memory_mb(),
        }
        return Sample(question, found["answer"], found["hits"], floor, timings)

    def _inputs(self, question: Question) -> list[Any]:
        given = question.documents
        texts = None if given is None else documents_digest(self.find(name) for name in given)
        book = "closed" if self.closed else "open"
        kind = "search" if self.suite.retrieval else f"{self.suite.style} {book}"
        return [question.question, question.history, texts, kind]

    def _ask(self, question: Question) -> dict[str, Any]:
        started = time.perf_counter()
        if self.suite.retrieval:
            answer, passages = None, self.engine.search(question.question, _DEPTH)
        elif self.closed:
            reply = self.engine.closed_book(question, self.suite.style)
            # The model alone says nothing of how sure it is: no confidence, rather than a made-up one.
            answer, passages = reply.to_dict() | {"confidence": None}, ()
        else:
            given = question.documents
            documents = None if given is None else [self.find(name) for name in given]
            reply = self.engine.ask(question, documents, self.suite.style)
            answer, passages = reply.to_dict(), reply.passages
        hits = [
            {"document": h.document, "start": h.start, "end": h.end, "score": round(h.score, 6)}
            for h in passages
        ]
        total = round(time.perf_counter() - started, 6)
        # Through JSON, so that a cached answer and a fresh one are the same to the byte.
        plain = json.dumps({"answer": answer, "hits": hits, "total_s": total})
        found: dict[str, Any] = json.loads(plain)
        return found

    def close(self) -> None:
        self.cache.close()


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _header(suite: Suite, engine: Engine, plan: Plan) -> dict[str, Any]:
    described = engine.describe()
    questions = digest([question.to_dict() for question in suite.questions])
    identity = [suite.name, questions, plan.condition, suite.retrieval, suite.style, described]
    return {
        "suite": suite.name,
        "condition": plan.condition,
        "retrieval": suite.retrieval,
        "style": suite.style,
        "headline": list(suite.headline),
        "caveats": list(suite.caveats),
        "options": dict(plan.options),
        "questions": len(suite.questions),
        "data": questions,
        "engine": described,
        "fingerprint": digest(identity),
        "hardware": _hardware(),
        "packages": versions(_PACKAGES),
        "finished": False,
        "timings": {"started": datetime.now(UTC).isoformat(timespec="seconds")},
    }


def _hardware() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "machine": platform.machine(),
        "features": sorted(cpu_features()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 2**30, 1),
    }


def _resume(out: Path, header: Mapping[str, Any], questions: Sequence[Question]) -> set[str]:
    """Ids already answered in `out`, which must hold the beginning of this very run, or nothing."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "run.json"
    samples = out / "samples.jsonl"
    if not path.exists():
        if samples.exists():
            raise InputError(f"{out} holds samples without a run.json; choose another --out")
        _write_json(path, header)
        return set()
    before = read_run(out)
    if before["fingerprint"] != header["fingerprint"]:
        raise InputError(
            f"{out} holds another run ({_difference(before, header)}); choose another --out, or "
            "remove it"
        )
    _mend(samples)
    done = {sample.id for sample in read_samples(out)}
    if done != {question.id for question in questions[: len(done)]}:
        raise InputError(f"{samples} does not hold this run's questions; choose another --out")
    return done


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The first thing that two headers differ in."""
    old, new = before["engine"].get("settings", {}), after["engine"].get("settings", {})
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            return f"{name} was {old.get(name)!r}, is {new.get(name)!r}"
    for name in ("suite", "condition", "retrieval", "style", "questions", "data"):
        if before[name] != after[name]:
            return f"{name} differs" if name == "data" else f"{name} was {before[name]}"
    return "the code or the collection has changed"


def _mend(samples: Path) -> None:
    """Cut off a last line that a kill left torn."""
    if not samples.exists():
        return
    content = samples.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole != len(content):
        with samples.open("r+b") as file:
            file.truncate(whole)


def _write_documents(out: Path, suite: Suite, find: Callable[[str], Document]) -> None:
    """The texts that gold, citations and passages refer to; the whole pool where it is small."""
    names: dict[str, None] = {}
    if not suite.retrieval:
        names |= dict.fromkeys(document.id for document in suite.documents)
    for question in suite.questions:
        names |= dict.fromkeys(e.document for spans in question.gold.evidence for e in spans)
        names |= dict.fromkeys(question.documents or ())
    if not suite.retrieval:
        for sample in read_samples(out):
            names |= dict.fromkeys(hit["document"] for hit in sample.hits)
            assert sample.answer is not None
            names |= dict.fromkeys(c["document"] for c in sample.answer["citations"])
    temporary = out / "documents.jsonl.tmp"
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        for name in names:
            document = find(name)
            row = {"id": name, "title": document.title, "text": document.text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    temporary.replace(out / "documents.jsonl")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_run(out: Path) -> dict[str, Any]:
    """`run.json` of a directory."""
    path = out / "run.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except FileNotFoundError:
        raise InputError(f"{out} is not a run: it has no run.json") from None
    except ValueError:
        raise InputError(f"{path} is damaged; remove {out} and run again") from None


def read_samples(out: Path) -> list[Sample]:
    """`samples.jsonl` of a directory; a torn last line is left out, a bad one before it named."""
    path = out / "samples.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    samples = []
    for number, line in enumerate(lines, start=1):
        try:
            samples.append(Sample.from_json(line))
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path}, line {number}: not a sample; remove the line") from None
    return samples


def read_documents(out: Path) -> dict[str, str]:
    """Texts by document, from `documents.jsonl`."""
    path = out / "documents.jsonl"
    if not path.exists():
        raise InputError(f"{out} is not finished: run it again with the same options to go on")
    with path.open(encoding="utf-8", newline="\n") as file:
        rows = (json.loads(line) for line in file)
        return {row["id"]: row["text"] for row in rows}
