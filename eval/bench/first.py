"""A first answer in a fresh process, timed from when the process was started.

    python -m eval.bench.first whole|stages CLOCK COLLECTION QUESTION

CLOCK is `time.monotonic()` of whoever started it. Imports stand inside functions, against the habit
of this project, because how long they take is measured. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time

__all__ = ["stages", "whole"]


def whole(started: float, name: str, question: str) -> dict[str, float]:
    """As `footnote ask` does it: seconds until a first token was computed, and until one was shown."""
    from eval.bench.part import peak_memory_gb
    from rag.assistant import Assistant, Finished, Token
    from rag.collection import Collection
    from rag.settings import load_settings

    settings = load_settings()
    found: dict[str, float] = {}
    with Collection.open(name, settings) as collection:
        assistant = Assistant(collection, settings)
        began = time.monotonic() - started
        for event in assistant.stream(question):
            if isinstance(event, Token):
                found.setdefault("shown_s", time.monotonic() - started)
            elif isinstance(event, Finished):
                found["whole_s"] = time.monotonic() - started
                first = event.answer.timings.first_token_s
                if first is not None:
                    found["first_token_s"] = began + first
    return found | {"peak_memory_gb": peak_memory_gb()}


def stages(started: float, name: str, question: str) -> dict[str, float]:
    """The same one after the other: seconds of each stage up to the first token."""
    marks = [("interpreter", time.monotonic())]
    from rag.assistant import Assistant
    from rag.collection import Collection
    from rag.settings import load_settings

    marks.append(("imports", time.monotonic()))
    settings = load_settings()
    with Collection.open(name, settings) as collection:
        _ = collection.embedder.dimensions
        marks.append(("embedder", time.monotonic()))
        collection.search(question)
        marks.append(("search", time.monotonic()))
        assistant = Assistant(collection, settings)
        _ = assistant.generator
        marks.append(("model opened", time.monotonic()))
        times = assistant.ask(question, style="short").timings
    found, before = {}, started
    for label, at in marks:
        found[label], before = at - before, at
    return found | {"prompt read": (times.first_token_s or 0.0) - times.retrieve_s}


if __name__ == "__main__":
    what, clock, *given = sys.argv[1:]
    print(json.dumps((whole if what == "whole" else stages)(float(clock), *given)))
