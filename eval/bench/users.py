"""What people wait for when several ask at once, through the chat's own desk, line and history."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.bench.corpus import collection_of, corpora
from eval.bench.figures import percentile
from eval.bench.part import Run, counting, peak_memory_gb
from rag.embed import Embedder
from rag.errors import RagError
from rag.generate import Generator
from rag.scope import Scope
from rag.settings import load_settings
from ui.desk import Job
from ui.services import Services, opened

__all__ = ["PEOPLE", "measure"]

PEOPLE = (1, 4, 16)
_EACH, _QUICK_EACH = 4, 2
_LOOK_S = 0.005


@dataclass(slots=True)
class Asking:
    """One person: asks a question, waits for its answer, asks the next. Times are in seconds."""

    name: str
    questions: list[str]
    job: Job | None = None
    asked_at: float = 0.0
    shown: bool = False
    watch: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    first_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    tokens: int = 0


def measure(
    run: Run,
    *,
    people: Sequence[int] = PEOPLE,
    each: int | None = None,
    embedder: Embedder | None = None,
    model: Generator | None = None,
) -> dict[str, Any]:
    """By how many people ask: percentiles of what they wait for, and what all got together.

    The first question of a chat that was just opened is asked before, and not counted.
    """
    each = each or (_QUICK_EACH if run.quick else _EACH)
    suite = corpora(Run(questions=run.asked))[0]
    questions = [one.question for one in suite.questions if one.answerable and not one.history]
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        settings = load_settings()
        collection = stack.enter_context(collection_of(suite, settings, embedder)).name
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="footnote-bench-"))
        settings = settings.model_copy(
            update={"chat": Path(folder), "questions_an_hour": 0, "collection": collection}
        )
        services = stack.enter_context(opened(settings, embedder=embedder, model=model))
        with counting("opening the chat"):
            _serve(services, collection, [Asking("first", questions[:1])])
        for count in people:
            crowd = [
                Asking(
                    f"person {n}", [questions[(n * each + k) % len(questions)] for k in range(each)]
                )
                for n in range(count)
            ]
            found[str(count)] = _measured(services, collection, crowd, count * each)
    return found | {"peak_memory_gb": peak_memory_gb()}


def _measured(
    services: Services, collection: str, crowd: Sequence[Asking], total: int
) -> dict[str, float]:
    with counting(f"{len(crowd)} asking at once") as told:
        started = time.perf_counter()
        _serve(services, collection, crowd, lambda done: told(done, total))
        took = time.perf_counter() - started
    firsts = [one for person in crowd for one in person.first_s]
    answers = [one for person in crowd for one in person.answer_s]
    row: dict[str, float] = {"n": len(answers), "shown_n": len(firsts)}
    for name, values in (("first", firsts), ("answer", answers)):
        row |= {f"{name}_p{share}_s": percentile(values, share) for share in (50, 95) if values}
    row["answers_per_minute"] = 60 * len(answers) / took
    row["tokens_per_s"] = sum(person.tokens for person in crowd) / took
    return row


def _serve(
    services: Services,
    collection: str,
    crowd: Sequence[Asking],
    told: Callable[[int], object] = lambda answered: None,
) -> None:
    """Let everybody ask all of their questions; one loop looks at every page."""
    answered = 0
    try:
        while any(person.job or person.questions for person in crowd):
            for person in crowd:
                if person.job is None and person.questions:
                    _ask(services, collection, person)
                elif person.job is not None and _look(services, person):
                    answered += 1
                    told(answered)
            time.sleep(_LOOK_S)
    finally:
        for person in crowd:
            person.watch.close()


def _ask(services: Services, collection: str, person: Asking) -> None:
    question = person.questions.pop(0)
    person.asked_at, person.shown = time.perf_counter(), False
    conversation = services.history.begin(person.name, collection, question)
    turn = services.history.ask(person.name, conversation.id, question, {})
    person.job = services.desk.ask(person.name, turn, collection, Scope(), [])
    person.watch.enter_context(services.desk.watch(person.job))


def _look(services: Services, person: Asking) -> bool:
    """Note what is new on a person's page; True where the answer is complete.

    Raises:
        RagError: it failed.
    """
    job, now = person.job, time.perf_counter()
    assert job is not None
    done = job.done  # read first: whatever was shown before it is there
    if job.draft and not person.shown:
        person.shown = True
        person.first_s.append(now - person.asked_at)
    if not done:
        return False
    person.answer_s.append(now - person.asked_at)
    person.watch.close()
    person.job = None
    turn = services.history.turn(person.name, job.turn.id)
    if turn.answer is None:
        raise RagError(f"the chat gave no answer to “{turn.question}”: {turn.note or turn.status}")
    person.tokens += turn.answer.timings.generated_tokens
    return True
