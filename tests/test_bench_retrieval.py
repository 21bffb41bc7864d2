"""The retrieval benchmark: its collections are what they say, and a small run measures everything."""

from __future__ import annotations

import numpy as np
import pytest

from eval.bench.generated import DIMENSIONS, GivenEmbedder, fill_store
from eval.bench.retrieval import _SHOWN, measure, on_paper
from rag.store import Store


def test_a_generated_collection_is_whole_and_always_the_same() -> None:
    stores = [Store(None) for _ in range(2)]
    asked = [fill_store(store, 250, lambda done: None, 10) for store in stores]
    for store in stores:
        assert store.counts() == (13, 250)
        keys, vectors = store.vectors(DIMENSIONS)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
        for stored in store.chunks(keys.tolist()[::50]):
            document = store.document(stored.chunk.document)
            assert document
            assert document.text[stored.chunk.start : stored.chunk.end] == stored.chunk.text
            assert len(stored.chunk.text.split()) == 80
    assert asked[0][0] == asked[1][0]
    np.testing.assert_array_equal(asked[0][1], asked[1][1])
    assert stores[0].vectors(DIMENSIONS)[1].tolist() == stores[1].vectors(DIMENSIONS)[1].tolist()
    # Each question is about a passage: that one is nearest, and has all of its words.
    questions, near = asked[0]
    keys, vectors = stores[0].vectors(DIMENSIONS)
    for question, vector in zip(questions, near, strict=True):
        nearest = int(keys[np.argmax(vectors @ vector)])
        assert nearest in [key for key, _ in stores[0].search_words(question, 3)]


def test_vectors_are_looked_up() -> None:
    vectors = np.eye(2, DIMENSIONS, dtype=np.float32)
    one, other = GivenEmbedder(["a", "b"], vectors).embed(["b", "?"], spans=[[(0, 1)], []])
    np.testing.assert_array_equal(one.passage, vectors[1])
    assert (one.sentences.shape, other.sentences.shape) == ((1, DIMENSIONS), (0, DIMENSIONS))
    assert np.linalg.norm(other.passage) == pytest.approx(1)


@pytest.mark.slow
def test_a_small_run_measures_everything() -> None:
    row = measure(400, 10, quiet=True)
    for _, name, plain, _ in _SHOWN:
        assert row[name] >= 0
        assert not plain or row[plain] >= 0
    assert (row["recall"], row["words_overlap"]) == (1, 1)
    assert "100,000,000" in on_paper(row, 400)
