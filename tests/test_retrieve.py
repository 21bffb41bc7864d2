"""Fusion, duplicates and neighbours, worked by hand over vectors that are chosen, not learned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fakes import DIMENSIONS, HashEmbedder, bag_vector

from rag.collection import Collection
from rag.embed import Vectors
from rag.records import Chunk, Document
from rag.retrieve import Candidate, merge_neighbours, rank_chunks, scaled, without_duplicates
from rag.settings import Settings
from rag.store import Store, StoredChunk


def candidate(
    text: str, score: float = 1.0, document: str = "d", start: int = 0, page: int | None = None
) -> Candidate:
    chunk = Chunk(document, start, start + len(text), text, "", page)
    none: Vectors = np.zeros((0, DIMENSIONS), np.float32)
    return Candidate(
        StoredChunk(1, chunk, "", None, bag_vector(text), (), none), score, {"dense": score}
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 3.0, 2.0], [0, 1, 0.5]),
        ([-1.0, 1.0], [0, 1]),
        ([0.4, 0.4], [1, 1]),
        ([0.0], [1]),
    ],
)
def test_scaled(values: list[float], expected: list[float]) -> None:
    assert scaled(np.array(values)).tolist() == expected


def settings_with(**weights: float) -> Settings:
    named = {f"weight_{name}": weights.get(name, 0.0) for name in ("dense", "words", "sentence")}
    return Settings(chunk_tokens=32, **named)


FACTS = [
    Document("cats", "Cats purr when they are content."),
    Document("dogs", "Dogs bark at strangers in the night."),
    Document("both", "Cats and dogs share one house."),
    Document("owls", "Owls hoot."),
]


@pytest.fixture
def facts() -> Iterator[Collection]:
    with Collection.temporary(FACTS, settings_with(dense=1), embedder=HashEmbedder()) as collection:
        yield collection


def ranked(collection: Collection, question: str, settings: Settings) -> list[Candidate]:
    vector = bag_vector(question)
    return rank_chunks(question, vector, collection._store, collection._current.get(), settings)


def test_the_score_is_the_weighted_mean_of_scaled_signals(facts: Collection) -> None:
    weights = {"dense": 1.0, "words": 2.0, "sentence": 1.0}
    found = ranked(facts, "cats purr", settings_with(**weights))
    assert found[0].stored.chunk.document == "cats"
    signals = {name: np.array([one.why[name] for one in found]) for name in weights}
    expected = (
        scaled(signals["dense"])
        + 2 * signals["words"] / signals["words"].max()
        + scaled(signals["sentence"])
    ) / 4
    # `why` is rounded to four places.
    assert [one.score for one in found] == pytest.approx(expected.tolist(), abs=1e-3)
    assert found[0].score == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("signal", ["dense", "words", "sentence"])
def test_each_signal_finds_it_alone(facts: Collection, signal: str) -> None:
    assert (
        ranked(facts, "owls hoot", settings_with(**{signal: 1}))[0].stored.chunk.document == "owls"
    )


def test_what_either_search_finds_is_a_candidate(facts: Collection) -> None:
    one_each = settings_with(dense=1, words=1).model_copy(update={"candidates": 1})
    vector = bag_vector("owls hoot")  # the dense search is asked something else than the words
    found = rank_chunks("bark", vector, facts._store, facts._current.get(), one_each)
    assert {one.stored.chunk.document for one in found} == {"owls", "dogs"}


def test_no_weight_at_all_is_no_division_by_zero(facts: Collection) -> None:
    assert all(one.score == 0 for one in ranked(facts, "cats", settings_with()))


def test_the_best_sentence_counts_not_the_average() -> None:
    diluted = Document(
        "long", "Owls hoot. " + "Bread needs flour and water and yeast, kneaded and baked. " * 3
    )
    other = Document("near", "Some owls hoot and sleep.")
    with Collection.temporary(
        [diluted, other], Settings(chunk_tokens=200), embedder=HashEmbedder()
    ) as collection:
        assert (
            ranked(collection, "owls hoot", settings_with(dense=1))[0].stored.chunk.document
            == "near"
        )
        assert (
            ranked(collection, "owls hoot", settings_with(sentence=1))[0].stored.chunk.document
            == "long"
        )


def test_near_duplicates_of_a_better_passage_are_dropped() -> None:
    text = "The memorandum was signed in Budapest by three powers in December of that year."
    rows = [
        candidate(text, 0.9, "a"),
        candidate("Bread needs flour.", 0.8, "b"),
        candidate(text.upper(), 0.7, "c"),
        candidate(f"Then {text}", 0.6, "d"),
    ]
    assert [one.stored.chunk.document for one in without_duplicates(rows)] == ["a", "b"]


def test_passages_without_words_are_not_duplicates() -> None:
    rows = [candidate("— — —", 0.9, "a"), candidate("***", 0.8, "b")]
    assert len(list(without_duplicates(rows))) == 2


@pytest.mark.parametrize("year", ["2019", "2024"])
def test_the_same_words_with_other_numbers_are_no_duplicate(year: str) -> None:
    """Rows of a table and yearly reports differ in nothing but their numbers."""
    text = (
        "The net revenue of the northern segment, before interest, taxes, depreciation and other "
        "charges that the company does not allocate to any region, rose sharply during fiscal {} owing "
        "to higher prices, stronger demand from industrial customers and lower freight costs abroad."
    )
    rows = [candidate(text.format("2021"), 0.9, "a"), candidate(text.format(year), 0.8, "b")]
    assert len(list(without_duplicates(rows))) == 2


TEXT = "One one one.\n\nTwo two two.  Three three.\n\nFour four."
PIECES = ["One one one.", "Two two two.", "Three three.", "Four four."]


@pytest.fixture
def stored() -> Iterator[Store]:
    documents = [Document("d", TEXT), Document("e", TEXT)]
    with Collection.temporary(documents, Settings(), embedder=HashEmbedder()) as collection:
        yield collection._store


def piece(number: int, score: float, document: str = "d", page: int | None = None) -> Candidate:
    return candidate(PIECES[number], score, document, TEXT.index(PIECES[number]), page)


def test_neighbours_become_one_hit_in_either_order(stored: Store) -> None:
    for order in ([0, 1], [1, 0]):
        [hit] = merge_neighbours([piece(n, 0.9 - n / 10, page=n) for n in order], stored, 5)
        assert (hit.start, hit.end) == (0, TEXT.index("  Three"))
        assert hit.text == TEXT[hit.start : hit.end]
        assert (hit.page, hit.why["merged"], hit.rank) == (0, 2, 1)


def test_what_is_apart_or_elsewhere_is_not_merged(stored: Store) -> None:
    hits = merge_neighbours([piece(0, 0.9), piece(2, 0.8), piece(1, 0.7, "e")], stored, 5)
    assert [(hit.rank, hit.document, hit.text) for hit in hits] == [
        (1, "d", PIECES[0]),
        (2, "d", PIECES[2]),
        (3, "e", PIECES[1]),
    ]


def test_limit_counts_hits_not_chunks(stored: Store) -> None:
    rows = [piece(0, 0.9), piece(1, 0.8), piece(3, 0.7), piece(0, 0.6, "e")]
    hits = merge_neighbours(rows, stored, 2)
    assert [hit.text for hit in hits] == [f"{PIECES[0]}\n\n{PIECES[1]}", PIECES[3]]


def test_hits_of_a_collection_never_overlap_and_are_exact() -> None:
    text = "\n\n".join(f"Paragraph {n} says that thing number {n} is so. It is." for n in range(30))
    documents = [Document("a", text), Document("b", text.replace("thing", "matter"))]
    with Collection.temporary(
        documents, Settings(chunk_tokens=40), embedder=HashEmbedder()
    ) as collection:
        hits = collection.search("Which thing is number 7?", 50)
        assert len(hits) > 5
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        spans = sorted((hit.document, hit.start, hit.end) for hit in hits)
        for one, other in zip(spans, spans[1:], strict=False):
            assert one[0] != other[0] or one[2] <= other[1]
        texts = {document.id: document.text for document in documents}
        assert all(texts[hit.document][hit.start : hit.end] == hit.text for hit in hits)
