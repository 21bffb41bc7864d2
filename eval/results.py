"""Every development suite, run or reused, as one page: RESULTS.md.

What is run is the table `ENTRIES`; how it reads is `page.py`'s. A run is kept under the hash of all
that decides it, so a page that was cut short goes on where it stopped, and other code starts anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.footnote import RagEngine
from eval.page import Section, page
from eval.records import Question
from eval.report import write_report
from eval.run import Progress
from eval.score import score
from eval.session import Indexing, MakeEngine, run_suite
from eval.suites import SUITES, Options, find
from rag.errors import InputError, RagError

__all__ = ["ENTRIES", "Entry", "TimeIsUp", "write_results"]

# The published figure has one vector a document.
_DENSE = {
    "weight_dense": "1",
    "weight_words": "0",
    "weight_sentence": "0",
    "whole_documents": "true",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A section of the page: which suite, how, and how many questions (None: all)."""

    title: str
    suite: str
    limit: int | None = None
    split: str | None = None
    condition: str = "retrieved"
    held_out: bool = False
    retrieval_only: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def slug(self) -> str:
        """A folder's name for the run."""
        parts = [self.suite, self.split, "" if self.condition == "retrieved" else self.condition]
        parts += ["heldout" if self.held_out else "", "retrieval" if self.retrieval_only else ""]
        parts += ["-".join(f"{k}={v}" for k, v in self.settings.items())]
        return "-".join(part for part in parts if part)

    def command(self, limit: int | None, seed: int, settings: Mapping[str, Any]) -> str:
        """The command line that makes this run alone."""
        parts = ["footnote eval run", self.suite]
        if find(self.suite).needs_data:
            parts.append(f"--data DIR/{find(self.suite).folder}".rstrip("/"))
        parts += [f"--split {self.split}"] if self.split else []
        parts += [f"--condition {self.condition}"] if self.condition != "retrieved" else []
        parts += ["--held-out"] if self.held_out else []
        parts += ["--retrieval-only"] if self.retrieval_only else []
        parts += [f"--limit {limit}"] if limit else []
        parts += [f"--seed {seed}"] if seed else []
        return " ".join(
            [*parts, *(f"--set {k}={v}" for k, v in {**settings, **self.settings}.items())]
        )


ENTRIES = (
    Entry("Sample corpus, held-out half", "seeds", split="held-out"),
    Entry("News texts", "news"),
    Entry("SQuAD 2.0, pooled paragraphs", "squad", 60, held_out=True),
    Entry("SQuAD 2.0, gold removed", "squad", 20, condition="removed", held_out=True),
    Entry("SQuAD 2.0, other articles only", "squad", 20, condition="off_topic", held_out=True),
    Entry("CLAPNQ", "clapnq", 40, held_out=True),
    Entry("RAMDocs", "ramdocs", 24, held_out=True),
    Entry("MTRAG", "mtrag", 20),
    Entry("Quarterly reports", "sec10q", 16),
    Entry("Instructions hidden in documents", "injection"),
    Entry("SQuAD 2.0, retrieval", "squad", split="answerable", retrieval_only=True),
    Entry("Reference spans, retrieval", "spans", retrieval_only=True),
    Entry("SciFact, retrieval", "scifact", retrieval_only=True),
    Entry(
        "SciFact, dense only, to compare with the published .645",
        "scifact",
        retrieval_only=True,
        settings=_DENSE,
        note=(
            "Published: .645, over all 300 test queries and one vector an abstract. Encoding title "
            "and text plainly with the same embedder gives .665 on the 150 queries here: that is "
            "what to agree with."
        ),
    ),
)


class TimeIsUp(RagError):
    """The minutes given are over; what was asked so far is kept."""


def write_results(
    *,
    data: Path | None,
    runs: Path,
    out: Path,
    news: Path | None = None,
    summary: Path | None = None,
    only: Sequence[str] = (),
    limits: Mapping[str, int] | None = None,
    minutes: float | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    use_cache: bool = True,
    progress: Progress = iter,
    indexing: Indexing = lambda done, of: None,
    make_engine: MakeEngine = RagEngine,
    entries: Sequence[Entry] = ENTRIES,
) -> Path:
    """Run what `entries` list, as far as its data is there, and write the page.

    `data` holds one folder for each set, named as in `footnote eval list`; `news` is the folder of
    the news texts. `limits` takes the place of an entry's by suite, or as `suite-condition`; "" is
    a bound for all. After `minutes` nothing more is asked; the sections left say so.
    """
    for name in only:
        find(name)
    given, chosen = dict(limits or {}), dict(settings or {})
    _check_limits(given, entries)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes

    def limited(questions: Sequence[Question]) -> Iterator[Question]:
        for question in progress(questions):
            if deadline is not None and time.monotonic() > deadline:
                raise TimeIsUp("the time is up")
            yield question

    found = []
    for entry in entries:
        if only and entry.suite not in only:
            continue
        folder = news if entry.suite == "news" else _folder(entry, data)
        missing = _missing(entry, folder)
        if missing:
            found.append(Section(entry.title, missing=missing))
            continue
        size = _limit(entry, given)
        try:
            directory = run_suite(
                entry.suite,
                Options(folder, limit=size, seed=seed, split=entry.split, held_out=entry.held_out),
                settings=chosen | dict(entry.settings),
                condition=entry.condition,
                retrieval_only=entry.retrieval_only,
                out=runs / entry.slug,
                apart=True,
                use_cache=use_cache,
                progress=limited,
                indexing=indexing,
                make_engine=make_engine,
            )
        except TimeIsUp:
            found.append(
                Section(entry.title, missing="Not finished: the time was up. Run it again.")
            )
            continue
        scored = score(directory)
        write_report(directory, scored)
        command = entry.command(size, seed, chosen)
        found.append(Section(entry.title, command, scored, slug=entry.slug, note=entry.note))
    if not any(section.summary for section in found):
        raise InputError("nothing to report: no suite's data is there; use --data PATH")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(found, datetime.now(UTC).date()), encoding="utf-8")
    if summary is not None:
        summary.parent.mkdir(parents=True, exist_ok=True)
        value = {section.slug: section.summary for section in found if section.summary}
        summary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return out


def _missing(entry: Entry, folder: Path | None) -> str:
    """Why an entry can't be run; nothing where it can."""
    spec = next((spec for spec in SUITES if spec.name == entry.suite), None)
    if spec is None:
        return "Not run: there is no such suite here."
    return "Not run: its data was not there." if folder is None and spec.needs_data else ""


def _folder(entry: Entry, data: Path | None) -> Path | None:
    name = next((spec.folder for spec in SUITES if spec.name == entry.suite), "")
    return data / name if data is not None and name and (data / name).exists() else None


def _names(entry: Entry) -> tuple[str, str]:
    kind = "retrieval" if entry.retrieval_only else entry.condition
    return f"{entry.suite}-{kind}", entry.suite


def _limit(entry: Entry, given: Mapping[str, int]) -> int | None:
    own = next((given[name] for name in _names(entry) if name in given), None)
    if own is not None:
        return own
    return min((n for n in (given.get(""), entry.limit) if n is not None), default=None)


def _check_limits(given: Mapping[str, int], entries: Sequence[Entry]) -> None:
    known = sorted({name for entry in entries for name in _names(entry)})
    for name in given:
        if name and name not in known:
            raise InputError(f"--limit {name}=…: no such suite on the page; {', '.join(known)}")
