"""The data sets: one short module each, and the table of them all.

A suite module turns files in a published format (or one's own) into a `Suite`. It knows the format
alone: nothing of engines, metrics or where the files came from.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.records import Question, Suite
from eval.split import is_held_out
from eval.suites import beir, clapnq, injection, mtrag, own, ramdocs, sec10q, seeds, spans, squad
from rag.errors import InputError

__all__ = ["SUITES", "Options", "Spec", "find", "load", "subset"]


@dataclass(frozen=True, slots=True)
class Options:
    """Where the files are and which questions to take.

    `gold_only`: those with gold documents; `held_out`: those that the reader adapter was not trained
    on. The documents of the pool all stay.
    """

    data: Path | None = None
    documents: Path | None = None
    collection: str | None = None
    limit: int | None = None
    seed: int = 0
    split: str | None = None
    gold_only: bool = False
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """An entry of `footnote eval list`. `folder` is the set's usual name below a data folder."""

    name: str
    about: str
    needs_data: bool
    load: Callable[[Options], Suite]
    folder: str = ""


def _data(options: Options) -> Path:
    assert options.data is not None  # `load` has checked
    return options.data


SUITES: tuple[Spec, ...] = (
    Spec("seeds", "the sample corpus in seeds/", False, lambda o: seeds.load(o.split)),
    Spec(
        "news",
        "30 questions about five news texts (--data: their folder)",
        True,
        lambda o: seeds.load_news(_data(o), o.split),
    ),
    Spec(
        "squad",
        "SQuAD v1.1/v2.0 file: short answers from the pooled paragraphs",
        True,
        lambda o: squad.load(_data(o)),
        "squad2",
    ),
    Spec(
        "clapnq",
        "CLAPNQ: full answers from one given passage",
        True,
        lambda o: clapnq.load(_data(o)),
        "clapnq",
    ),
    Spec(
        "ramdocs",
        "RAMDocs: conflicting documents",
        True,
        lambda o: ramdocs.load(_data(o)),
        "ramdocs",
    ),
    Spec(
        "mtrag", "MTRAG tasks: follow-up questions", True, lambda o: mtrag.load(_data(o)), "mtrag"
    ),
    Spec(
        "scifact",
        "SciFact, a BEIR folder; retrieval only",
        True,
        lambda o: beir.load(_data(o), "scifact"),
        "scifact",
    ),
    Spec(
        "beir",
        "any BEIR folder (corpus, queries, qrels); retrieval only",
        True,
        lambda o: beir.load(_data(o)),
    ),
    Spec(
        "spans",
        "reference spans (chunk_eval form); retrieval only",
        True,
        lambda o: spans.load(_data(o)),
        "chunk_eval",
    ),
    Spec(
        "sec10q",
        "quarterly reports in PDF, answers from tables",
        True,
        lambda o: sec10q.load(_data(o)),
        "sec10q",
    ),
    Spec(
        "injection",
        "documents that give orders to the program, beside true ones",
        False,
        lambda o: injection.load(),
    ),
    Spec(
        "own",
        "your own CSV or JSONL (--data), with --documents PATH or -c COLLECTION",
        True,
        lambda o: own.load(_data(o), o.documents, o.collection),
    ),
)


def find(name: str) -> Spec:
    """The suite called `name`; InputError naming all of them otherwise."""
    for spec in SUITES:
        if spec.name == name:
            return spec
    known = ", ".join(spec.name for spec in SUITES)
    raise InputError(f"no suite {name!r}; there are: {known}")


def load(name: str, options: Options) -> Suite:
    """Read a suite and take the questions that `options` ask for."""
    spec = find(name)
    if spec.needs_data and options.data is None:
        raise InputError(f"suite {name} needs --data PATH ({spec.about})")
    if options.data is not None and not options.data.exists():
        raise InputError(f"--data {options.data} does not exist")
    suite = spec.load(options)
    if options.split:
        kept = tuple(q for q in suite.questions if q.split == options.split)
        suite = dataclasses.replace(suite, questions=kept)
    if not suite.questions:
        raise InputError(f"suite {name} has no questions left; check --data and --split")
    _unique(suite)
    if not suite.retrieval:
        suite = _told_of_training(suite, options.held_out)
    usable = suite.questions
    if options.gold_only:
        usable = tuple(q for q in usable if q.gold.documents or q.gold.evidence)
    chosen = subset(usable, options.limit, options.seed)
    return dataclasses.replace(suite, questions=chosen)


def _told_of_training(suite: Suite, held_out: bool) -> Suite:
    """The suite with a caveat on what the reader adapter has seen, and without it if `held_out`."""
    kept = tuple(q for q in suite.questions if is_held_out(suite.name, q))
    size, of = len(kept), len(suite.questions)
    if held_out:
        if not kept:
            raise InputError(f"suite {suite.name} has no held-out question; leave out --held-out")
        said = f"Questions that the reader adapter was not trained on: {size} of {of} (--held-out)."
        return dataclasses.replace(suite, questions=kept, caveats=(*suite.caveats, said))
    if size == of:
        return suite
    said = (
        f"The reader adapter may have been trained on {of - size} of the suite's {of} questions: "
        "use --held-out to judge answers."
    )
    return dataclasses.replace(suite, caveats=(*suite.caveats, said))


def _unique(suite: Suite) -> None:
    seen: set[str] = set()
    for question in suite.questions:
        if question.id in seen:
            raise InputError(f"suite {suite.name}: two questions have the id {question.id}")
        seen.add(question.id)


def subset(questions: Sequence[Question], limit: int | None, seed: int) -> tuple[Question, ...]:
    """`limit` questions, answerable and unanswerable in the proportion of the whole, in file order.

    The choice depends on seed and ids alone, so the same questions come up on every machine.
    """
    if limit is None or limit >= len(questions):
        return tuple(questions)
    if limit < 1:
        raise InputError("--limit must be 1 or more")
    strata: dict[bool | None, list[Question]] = defaultdict(list)
    for question in questions:
        strata[question.answerable].append(question)
    # Spread each stratum evenly over [0, 1) and take the first `limit` of the merged order: shares
    # stay proportional, and a smaller limit is a subset of a larger one.
    order = sorted(
        ((rank + 0.5) / len(members), question.id)
        for members in strata.values()
        for rank, question in enumerate(sorted(members, key=lambda q: _shuffled(q.id, seed)))
    )
    chosen = {identifier for _, identifier in order[:limit]}
    return tuple(question for question in questions if question.id in chosen)


def _shuffled(identifier: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{identifier}".encode()).hexdigest()
