"""Questions to begin with: only those that the collection answers, made when nobody waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import TRUSTING, HashEmbedder, ScriptedGenerator

from rag.assistant import Assistant
from rag.collection import Collection
from rag.records import Document
from rag.settings import Settings
from ui.database import Database
from ui.suggest import _SAMPLES, Suggestions

TOLL = Document("toll.txt", "The toll of the old bridge is nine crowns.\n", "Tolls")
MILL = Document("mill.txt", "The mill of Lower Dale grinds rye in winter.\n", "The mill")
ASKED = "What is the toll of the old bridge?"
MILLED = "What does the mill of Lower Dale grind?"
ANSWERS = {
    ASKED: ["nine crowns", "The toll of the old bridge is nine crowns."],
    MILLED: ["rye", "The mill of Lower Dale grinds rye in winter."],
}


def never() -> bool:
    return False


@pytest.fixture
def suggestions() -> Iterator[Suggestions]:
    database = Database(None)
    yield Suggestions(database)
    database.close()


@pytest.fixture
def papers(tmp_path: Path) -> Iterator[Collection]:
    settings = Settings(
        collection="papers",
        indexes=tmp_path / "indexes",
        **TRUSTING,
    )
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as opened:
        opened.put([TOLL], "given")
        yield opened


class Model(ScriptedGenerator):
    """Makes a question as it is told to (`replies`), and answers like a reader of the passage."""

    def _reply(self, again: bool) -> str:
        said = self.messages[-1][-1]["content"]
        if said.startswith("Here is a passage"):
            return str(self.replies.pop(0))
        question = next((one for one in ANSWERS if one in said), ASKED)
        return ANSWERS[question][again]


def step(suggestions: Suggestions, papers: Collection, *replies: str) -> tuple[bool, Model]:
    model = Model(*replies)
    return suggestions.step(papers, Assistant(papers, papers.settings, model), never), model


def test_a_question_is_kept_if_it_is_answered_from_its_document(
    suggestions: Suggestions, papers: Collection
) -> None:
    more, model = step(suggestions, papers, f'"{ASKED}"\nIt is about a bridge.')
    assert more and TOLL.text.strip() in model.messages[0][0]["content"]
    assert suggestions.of(papers) == (ASKED,)
    more, model = step(suggestions, papers)
    assert not more and model.messages == [], "the document was tried already"
    papers.put([TOLL, MILL], "given")
    assert step(suggestions, papers, MILLED)[0]
    assert suggestions.of(papers) == (ASKED, MILLED)
    papers.forget(["toll.txt"])
    assert suggestions.of(papers) == (MILLED,), "its document is gone"
    suggestions.forget("papers")
    assert suggestions.of(papers) == ()


@pytest.mark.parametrize(
    "said",
    [
        "",
        "\n\n",
        "The toll is nine crowns.",
        "Why?",
        "What does the passage say about the old bridge?",
        f"What is the toll of the old bridge {'and ' * 30}?",
        "Which comet was seen over Peru by Lope de Vega?",  # answered, but no sentence supports it
    ],
)
def test_what_is_no_good_question_is_dropped_and_not_tried_again(
    suggestions: Suggestions, papers: Collection, said: str
) -> None:
    if said.startswith("Which comet"):
        papers.settings.__dict__["search_gate"] = 0.9
    assert step(suggestions, papers, said)[0]
    assert suggestions.of(papers) == ()
    assert not step(suggestions, papers)[0]


@pytest.mark.parametrize("after", [0, 2, 12])
def test_an_interruption_leaves_the_document_for_later(
    suggestions: Suggestions, papers: Collection, after: int
) -> None:
    """Whoever asked may have left again when the step looks a second time."""
    calls = 0

    def once() -> bool:
        nonlocal calls
        calls += 1
        return calls == after + 1

    model = Model(ASKED)
    assert suggestions.step(papers, Assistant(papers, papers.settings, model), once)
    assert calls == after + 1, "it stopped at once"
    assert suggestions.of(papers) == ()
    assert step(suggestions, papers, ASKED)[0] and suggestions.of(papers) == (ASKED,)


def test_no_question_is_offered_twice_and_only_four_are_made(
    suggestions: Suggestions, papers: Collection
) -> None:
    copies = [Document(f"toll{at}.txt", TOLL.text, "Tolls") for at in range(15)]
    papers.put([*copies, MILL], "given")
    steps = 0
    while step(suggestions, papers, ASKED)[0]:
        steps += 1
    assert 4 <= steps <= 12
    assert suggestions.of(papers) == (ASKED,)


def test_the_samples_have_their_questions_from_the_start(
    suggestions: Suggestions, papers: Collection
) -> None:
    papers.put([Document(name, f"About {name}.\n", name) for name in _SAMPLES], "given")
    assert suggestions.of(papers) == tuple(_SAMPLES.values())
    more, model = step(suggestions, papers)
    assert not more and model.messages == []


def test_an_empty_collection_has_none(suggestions: Suggestions, papers: Collection) -> None:
    papers.forget(["toll.txt"])
    assert suggestions.of(papers) == () and not step(suggestions, papers)[0]
