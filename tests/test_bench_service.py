"""The benchmark of the service: a small run of it, over the real embedder."""

from __future__ import annotations

import pytest

from eval.bench.scripted import Scripted, questions
from eval.bench.service import Measured, measure
from rag.generate import Generation


def test_the_scripted_model_says_what_the_gold_says() -> None:
    asked = "On which day was the Budapest Memorandum signed?"
    assert questions()[asked][0] == "5 December 1994"
    model, record = Scripted(0.0), Generation()
    messages = [{"role": "user", "content": f"Evidence.\n\nQuestion: {asked}"}]
    said = "".join(model.stream(messages, 50, record, withhold="unanswerable"))
    assert said.strip() == "5 December 1994" and record.withheld == 0.02
    again = "".join(model.stream(messages, 50, Generation()))
    assert again.startswith("On 5 December 1994, on the margins")


def test_a_report_is_worked_out_by_hand() -> None:
    found = Measured(overhead=[0.01] * 99 + [0.05], answer=[1.0], queue=[0], model=[0.4], job=[0.5])
    found.other, found.memory, found.seconds, found.streams = [0.1], [100, 101, 102], 10.0, 9
    found.statuses.update({"200": 11})
    told = found.report()
    assert told["overhead_ms"]["p50"] == 10 and told["overhead_ms"]["most"] == 50
    assert (told["answers"], told["answers_per_s"], told["requests"]) == (10, 1.0, 11)
    assert told["memory_mb"] == {"first third": 100, "last third": 102, "most": 102}


@pytest.mark.slow
def test_a_small_crowd_is_served() -> None:
    told = measure(clients=6, seconds=6, think=0.3, model_s=0.1).report()
    assert set(told["statuses"]) == {"200"} and told["answers"] > 10
    assert 0 < told["overhead_ms"]["p50"] < told["answer_ms"]["most"]
    assert told["memory_mb"]["most"] > 50
