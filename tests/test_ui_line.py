"""The line: fair to people whatever they do, and its forecast is what happens."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from ui.line import Line

PEOPLE = st.sampled_from(["anna", "ben", "cara", "dan"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), PEOPLE),
        st.tuples(st.just("leave"), st.integers(0, 40)),
        st.tuples(st.just("take"), st.none()),
    ),
    max_size=60,
)


def drained(line: Line) -> list[str]:
    return list(iter(line.take, None))


@given(STEPS)
def test_nobody_is_passed_twice_and_the_forecast_comes_true(steps: list) -> None:
    line, numbers = Line(), count()
    waiting: dict[str, list[str]] = {}  # by person, oldest first
    passed: dict[str, list[str]] = {}  # who was served since a person has been waiting, unserved
    for what, given_ in steps:
        if what == "join":
            key = f"{given_}-{next(numbers)}"
            line.join(given_, key)
            waiting.setdefault(given_, []).append(key)
            passed.setdefault(given_, [])
        elif what == "leave":
            keys = [key for held in waiting.values() for key in held]
            key = keys[given_ % len(keys)] if keys else "nobody-0"
            assert line.leave(key) == bool(keys)
            if keys:
                waiting[key.split("-")[0]].remove(key)
        else:
            forecast = line.order()
            key = line.take()
            assert key == (forecast[0] if forecast else None)
            assert line.order() == forecast[1:]
            if key is None:
                continue
            person = key.split("-")[0]
            assert waiting[person].pop(0) == key, "one's own questions keep their order"
            passed[person] = []
            for other in waiting:
                if other != person and waiting[other]:
                    passed[other].append(person)
                    assert passed[other].count(person) < 2
        for person in [one for one, keys in waiting.items() if not keys]:
            del waiting[person], passed[person]
        assert len(line) == sum(map(len, waiting.values()))
        assert all(line.waiting(one) == len(waiting.get(one, ())) for one in ("anna", "ben"))
    forecast = line.order()
    assert sorted(forecast) == sorted(key for keys in waiting.values() for key in keys)
    assert drained(line) == forecast


def test_one_question_does_not_wait_behind_all_of_somebody_elses() -> None:
    line = Line()
    for key in ("a1", "a2", "a3"):
        line.join("anna", key)
    assert line.take() == "a1"
    line.join("ben", "b1")
    line.join("cara", "c1")
    line.join("ben", "b2")
    # anna stood behind nobody when she was served, so her next comes once more before the others.
    assert line.order() == ["a2", "b1", "c1", "a3", "b2"]


def test_newcomers_do_not_pass_one_who_waits() -> None:
    line = Line()
    for key in ("a1", "a2"):
        line.join("anna", key)
    assert line.take() == "a1"
    for at in range(100):
        line.join(f"person {at}", str(at))
    assert line.take() == "a2"
    assert drained(line) == [str(at) for at in range(100)]


def test_an_empty_line_has_nobody() -> None:
    line = Line()
    assert line.take() is None
    assert not line.leave("x")
    assert (len(line), line.order(), line.waiting("anna")) == (0, [], 0)
