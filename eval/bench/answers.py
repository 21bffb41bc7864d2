"""How long warm answers take, question after question in one process, and what their time goes to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast, get_args

from eval.bench.corpus import collection_of, corpora
from eval.bench.figures import WHOLE_TOKENS, Figure, fit_line, median
from eval.bench.part import Run, counting, peak_memory_gb, track
from eval.bench.timed import Timed
from eval.bench.weights import weights_of
from eval.records import Question, Suite
from rag import convert
from rag.assistant import Assistant, Finished, Token
from rag.collection import Collection
from rag.embed import Embedder
from rag.generate import Generation, Generator, Message, load_generator
from rag.hardware import pick_runtime
from rag.prompt import Style
from rag.records import Answer
from rag.settings import Settings, load_settings

__all__ = ["Asked", "measure", "summary"]

_LENGTHS = (64, 128, 256, 512, 1024)  # words of the prompts that the line is fitted to
_SHORT_ONES = 3  # of these, with --quick


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, when its first words were shown (None where it refused without any), and how many
    tokens its sentences have (None where there are none)."""

    answer: Answer
    shown_s: float | None
    written: int | None = None


def measure(
    run: Run, *, embedder: Embedder | None = None, generator: Generator | None = None
) -> dict[str, Any]:
    """By corpus, medians of both styles; the time to read prompts; the weights; memory.

    `embedder` and `generator` stand in for those that the settings name.
    """
    settings = load_settings()
    with counting("opening the model"):
        model = Timed(generator or load_generator(settings))
    values: dict[str, Any] = {}
    for suite in corpora(run):
        with collection_of(suite, settings, embedder) as collection:
            values[suite.name] = _corpus(suite, collection, settings, model)
    values["prompt"] = _prompts(model, _LENGTHS[:_SHORT_ONES] if run.quick else _LENGTHS)
    values["peak_memory_gb"] = peak_memory_gb()
    if generator is None and not settings.endpoint:
        chosen = (settings.model, pick_runtime(settings.runtime), settings.cache)
        weights = weights_of(convert.causal_lm_folder(*chosen, settings.allow_network))
        values["weights"] = asdict(weights) if weights else {}
    return values


def _corpus(
    suite: Suite, collection: Collection, settings: Settings, model: Timed
) -> dict[str, Any]:
    assistant = Assistant(collection, settings, cast(Generator, model))
    _ask(assistant, suite.questions[0], "short", model)  # whatever is loaded at first use
    found: dict[str, Any] = {}
    for style in get_args(Style):
        model.calls.clear()
        what = f"{suite.name}, {style} answers"
        asked = [_ask(assistant, one, style, model) for one in track(suite.questions, what)]
        speeds = [speed for call in model.calls if (speed := call.tokens_per_s) is not None]
        found[style] = summary(asked, speeds)
    return found


def _ask(assistant: Assistant, question: Question, style: Style, model: Timed) -> Asked:
    shown: float | None = None
    before = len(model.calls)
    started = time.perf_counter()
    history = [dict(turn) for turn in question.history]
    for event in assistant.stream(question.question, history=history, style=style):
        if isinstance(event, Token) and shown is None:
            shown = time.perf_counter() - started
        elif isinstance(event, Finished):
            # Sentences are asked for after the phrase, over what was read for it.
            sentences = [call for call in model.calls[before:] if call.again]
            return Asked(event.answer, shown, sentences[-1].generated_tokens if sentences else None)
    raise AssertionError("a stream ends with Finished")


def summary(asked: Sequence[Asked], speeds: Sequence[float]) -> dict[str, Figure]:
    """Medians over the answers that the model was asked for; `speeds` are tokens a second.

    `whole_s` is what one with sentences would have taken if they had `WHOLE_TOKENS` tokens, at the
    median speed.
    A figure that nothing was measured for is left out.
    """
    times = [one.answer.timings for one in asked]
    read = [one for one in times if one.first_token_s is not None]
    lists: dict[str, list[float]] = {
        "first_token_s": [one.first_token_s for one in read if one.first_token_s is not None],
        "shown_s": [one.shown_s for one in asked if one.shown_s is not None],
        "total_s": [one.total_s for one in read],
        "retrieve_s": [one.retrieve_s for one in times],
        "prompt_tokens": [one.prompt_tokens for one in read],
        "generated_tokens": [one.written for one in asked if one.written],
        "tokens_per_s": list(speeds),
    }
    found = {name: median(values) for name, values in lists.items() if values}
    if speeds:
        speed = found["tokens_per_s"]["value"]
        whole = [
            one.answer.timings.total_s + (WHOLE_TOKENS - one.written) / speed
            for one in asked
            if one.written
        ]
        if whole:
            found["whole_s"] = median(whole)
    refused = sum(one.answer.refused for one in asked)
    found["refused"] = {"n": len(asked), "value": refused / len(asked)}
    return found


def _prompts(model: Timed, lengths: Sequence[int]) -> dict[str, Any]:
    """Seconds to the first token of prompts that share nothing, and the line through them."""
    tokens, seconds = [], []
    for at, length in enumerate(track(lengths, "prompts of several lengths")):
        words = " ".join(f"{_WORDS[(n * (at + 3)) % len(_WORDS)]}" for n in range(length))
        # No system message: of that, what an earlier run knew would not be read again.
        messages: list[Message] = [{"role": "user", "content": f"Prompt {at}. {words}"}]
        record = Generation()
        for _ in model.stream(messages, 1, record):
            pass
        tokens.append(record.prompt_tokens)
        seconds.append(record.first_token_s or 0.0)
    line = fit_line(tokens, seconds)
    return {
        "tokens": tokens,
        "first_token_s": seconds,
        "fixed_s": line.fixed,
        "tokens_per_s": 1 / line.slope if line.slope > 0 else None,
    }


_WORDS = (
    "river stone paper winter bridge letter summer garden market window silver forest copper "
    "village harbour island mountain valley kitchen engine"
).split()
