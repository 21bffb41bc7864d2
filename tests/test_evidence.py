"""Which sentences the model reads, and that their offsets are those of the document."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fakes import HashEmbedder, bag_vector, count_tokens

from rag.collection import Collection
from rag.evidence import Evidence, SourceSentence, choose, source_sentences
from rag.records import Document, Mark
from rag.settings import Settings

COUNT = HashEmbedder().count


def sentence(
    text: str,
    start: int = 0,
    score: float = 0.5,
    document: str = "d",
    rank: int = 0,
    context: str = "",
) -> SourceSentence:
    end = start + len(text)
    return SourceSentence(
        document, document.upper(), None, None, start, end, text, context, rank, score
    )


def row(*scores: float, document: str = "d", rank: int = 0) -> list[SourceSentence]:
    """Sentences of five tokens each, one after the other."""
    return [
        sentence(f"Fact {n:02} is so.", n * 15, score, document, rank)
        for n, score in enumerate(scores)
    ]


def texts(evidence: Sequence[Evidence]) -> dict[str, list[str]]:
    return {item.document: [one.text for one in item.sentences] for item in evidence}


def test_sentences_have_the_documents_offsets() -> None:
    text = "# Cats\n\nCats purr. They sleep.\n\n# Dogs\n\nDogs bark. They run."
    marks = (Mark(0, "heading", 1, "Cats"), Mark(text.index("# Dogs"), "heading", 1, "Dogs"))
    document = Document("d", text, "Animals", "2020", marks=marks)
    with Collection.temporary([document], Settings(), embedder=HashEmbedder()) as collection:
        found = collection.retrieve("Do dogs bark?")
    sentences = source_sentences(found.candidates, "Do dogs bark?", bag_vector("dogs bark"))
    assert {one.text for one in sentences} >= {
        "Cats purr.",
        "They sleep.",
        "Dogs bark.",
        "They run.",
    }
    for one in sentences:
        assert text[one.start : one.end] == one.text
        assert (one.title, one.date) == ("Animals", "2020")
    best = max(sentences, key=lambda one: one.score)
    assert best.text == "Dogs bark."
    assert "Dogs" in best.context


def test_a_rare_word_of_the_question_weighs_more_than_a_common_one() -> None:
    parts = [f"Report number {n} was filed." for n in range(8)] + ["Nobody saw the zebra."]
    document = Document("d", " ".join(parts))
    with Collection.temporary([document], Settings(), embedder=HashEmbedder()) as collection:
        found = collection.retrieve("report zebra")
    sentences = source_sentences(found.candidates, "report zebra", bag_vector("nothing"))
    assert max(sentences, key=lambda one: one.score).text == "Nobody saw the zebra."


def test_the_best_come_with_their_neighbours_in_the_documents_order() -> None:
    rows = row(0.1, 0.2, 0.9, 0.1, 0.1)
    # 12 tokens for the title and 5 for each: room for three sentences.
    assert texts(choose(rows, 28, COUNT)) == {"d": [rows[n].text for n in (1, 2, 3)]}


def test_the_budget_is_kept() -> None:
    rows = row(*([0.5] * 10)) + row(*([0.4] * 10), document="e", rank=1)
    for budget in (20, 40, 60, 100):
        chosen = choose(rows, budget, COUNT)
        spent = sum(12 + sum(count_tokens(one.text) for one in item.sentences) for item in chosen)
        assert 0 < spent <= budget


def test_a_sentence_over_the_budget_is_still_read() -> None:
    long = sentence("word " * 200)
    assert texts(choose([long], 50, COUNT)) == {"d": [long.text]}


def test_documents_come_in_order_of_their_best_sentence() -> None:
    rows = row(0.3, 0.2) + row(0.1, 0.9, document="e", rank=1)
    assert list(texts(choose(rows, 1000, COUNT))) == ["e", "d"]


def test_neighbours_are_of_the_same_passage() -> None:
    rows = [sentence("Last of d.", 0, 0.1), sentence("First of e.", 0, 0.9, "e", 1)]
    assert texts(choose(rows, 18, COUNT)) == {"e": ["First of e."]}


def test_nothing_gives_nothing() -> None:
    assert choose([], 100, COUNT) == []


@pytest.mark.parametrize(
    ("second", "start", "expected"),
    [
        ("Two.", 5, "One. Two."),
        ("Nine.", 60, "One. … Nine."),
        ("- item", 5, "One.\n- item"),
    ],
    ids=["near", "far", "list"],
)
def test_what_was_left_out_shows(second: str, start: int, expected: str) -> None:
    evidence = Evidence("d", "D", None, (sentence("One."), sentence(second, start)))
    assert evidence.text == expected
