"""Word search in bounded time: what is found has its exact score, and little is missed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from eval.bench.generated import fill_store
from rag import lexical
from rag.store import Store

SIZE = 2000


@pytest.fixture(scope="module")
def filled() -> tuple[Store, list[str]]:
    """Generated passages whose words follow Zipf's law, and questions about them."""
    store = Store(None)
    questions, _ = fill_store(store, SIZE, lambda done: None, 60)
    return store, questions


def everything(store: Store, question: str) -> dict[int, float]:
    """Every row that has one of the words, as FTS5 scores it."""
    words = " OR ".join(f'"{word}"' for word in dict.fromkeys(question.split()))
    sql = "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ?"
    return dict(store.rows(sql, (words,)))


def best(scores: dict[int, float], limit: int) -> list[tuple[int, float]]:
    return sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:limit]


def test_nothing_is_left_out_where_there_is_little(filled: tuple[Store, list[str]]) -> None:
    store, questions = filled
    for question in questions:
        assert store.search_words(question, 50) == best(everything(store, question), 50)


def test_where_there_is_much_the_top_hardly_changes(
    filled: tuple[Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, questions = filled
    plain = [best(everything(store, one), 50) for one in questions]
    assert np.mean([len(everything(store, one)) for one in questions]) > 250
    monkeypatch.setattr(lexical, "ROWS", 150)
    shares: dict[int, list[float]] = {10: [], 50: []}
    for question, expected in zip(questions, plain, strict=True):
        found = store.search_words(question, 50)
        assert len(found) == len(expected)
        for top, into in shares.items():
            keys = {key for key, _ in expected[:top]}
            into.append(sum(key in keys for key, _ in found[:top]) / len(keys))
    assert np.mean(shares[50]) >= 0.9
    assert np.mean(shares[10]) >= 0.95


@examples(deadline=None, max_examples=60)
@given(
    words=st.lists(
        st.sampled_from([f"w{n}x" for n in "12345789abcdefg"] + ["nowhere"]), max_size=6
    ),
    rows=st.sampled_from([1, 20, 100, 500]),
    limit=st.integers(1, 60),
    share=st.none() | st.floats(0, 1),
)
def test_every_score_is_exact_and_every_row_allowed(
    filled: tuple[Store, list[str]], words: list[str], rows: int, limit: int, share: float | None
) -> None:
    store, _ = filled
    question = " ".join(words)
    scores = everything(store, question) if words else {}
    within = None
    if share is not None:
        within = np.flatnonzero(np.random.default_rng(1).random(SIZE + 1) < share)
        allowed = set(within.tolist())
        scores = {key: one for key, one in scores.items() if key in allowed}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "ROWS", rows)
        found = store.search_words(question, limit, within)
        assert found == store.search_words(question, limit, within)
    for key, score in found:
        assert score == pytest.approx(scores[key])
    assert found == best(dict(found), limit)
    assert len(found) >= min(limit, len(scores), rows)


def test_counts_of_words_follow_the_collection(filled: tuple[Store, list[str]]) -> None:
    store = Store(None)
    fill_store(store, 100, lambda done: None, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexical, "ROWS", 5)
        assert len(store.search_words("w1x w2x", 200)) >= 5
        gone = store.chunk_keys(one.id for one in store.documents()[:3])
        store.publish([], [one.id for one in store.documents()[:3]])
        found = dict(store.search_words("w1x w2x", 200))
        scores = everything(store, "w1x w2x")
        assert found == pytest.approx({key: scores[key] for key in found})
        assert not found.keys() & set(gone.tolist())
