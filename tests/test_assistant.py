"""Questions to answers, with the models scripted and all between them real."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import HashEmbedder, ScriptedGenerator

from rag.assistant import Assistant, Finished, Stage, Token
from rag.collection import Collection
from rag.errors import InputError, ModelError
from rag.records import Answer, Document, Mark
from rag.settings import Settings

MEMO = Document(
    "memo.md",
    "# Budapest\n\nThe Budapest Memorandum was signed on 5 December 1994. Russia, Britain and the "
    "United States gave Ukraine security assurances. In return Ukraine gave up about 1,900 nuclear "
    "warheads.\n",
    "The memorandum",
    "1994-12-05",
    "text/markdown",
    (Mark(0, "heading", 1, "Budapest"),),
)
REMOVAL = Document(
    "removal.txt",
    "The last nuclear warhead left Ukraine in 1996. Trains carried it to Russia.\n",
    "Removal",
)
BREAD = Document("bread.txt", "Bread needs flour, water, salt and yeast.\n", "Bread")
DOCUMENTS = {one.id: one for one in (MEMO, REMOVAL, BREAD)}

WHEN = "When was the Budapest Memorandum signed?"


@pytest.fixture
def bold(settings: Settings) -> Settings:
    """No answer is withheld for want of confidence: that is decided elsewhere."""
    return settings.model_copy(update={"refuse_below": 0.0, "search_gate": 0.0})


@pytest.fixture
def library(bold: Settings) -> Iterator[Collection]:
    with Collection.open("papers", bold, create=True, embedder=HashEmbedder()) as collection:
        collection.put(DOCUMENTS.values(), "given")
        yield collection


def check(answer: Answer, texts: dict[str, str] | None = None) -> dict[str, Any]:
    """The contract of an answer, said again in code; the answer as JSON gives it back."""
    texts = texts or {one.id: one.text for one in DOCUMENTS.values()}
    record: dict[str, Any] = json.loads(json.dumps(answer.to_dict()))
    markers = [one["marker"] for one in record["citations"]]
    assert markers == list(range(1, len(markers) + 1))
    for one in record["citations"]:
        assert one["quote"]
        assert texts[one["document"]][one["start"] : one["end"]] == one["quote"]
    for hit in record["passages"]:
        assert texts[hit["document"]][hit["start"] : hit["end"]] == hit["text"]
    for sentence in record["sentences"]:
        assert set(sentence["citations"]) <= set(markers)
        assert not re.search(r"\[\d+\]", sentence["text"])
        assert bool(sentence["citations"]) == (sentence["status"] != "unsupported")
    shown = [int(marker) for marker in re.findall(r"\[(\d+)\]", record["text"])]
    if record["refused"]:
        assert record["sentences"] == record["citations"] == shown == []
    else:
        assert set(shown) == set(markers)
        assert record["sentences"]
    assert record["text"]
    assert 0 <= record["confidence"] <= 1
    return record


def ask(
    library: Collection,
    reply: str,
    question: str = WHEN,
    settings: Settings | None = None,
    **named: Any,
) -> Answer:
    """Ask a model that says the same when it is asked once more."""
    generator = ScriptedGenerator(reply, reply)
    return Assistant(library, settings or library.settings, generator).ask(question, **named)


def test_where_no_sentence_holds_the_shortest_answer_is_asked_for(library: Collection) -> None:
    generator = ScriptedGenerator("It was signed in 2031.", "5 December 1994")
    answer = Assistant(library, library.settings, generator).ask(WHEN)
    record = check(answer)
    assert answer.text == "5 December 1994 [1]"
    assert "5 December 1994" in record["citations"][0]["quote"]
    assert generator.messages[0][0] != generator.messages[1][0]
    assert answer.timings.generated_tokens == 5 + 3


def test_an_answer_is_cited_to_the_character(library: Collection) -> None:
    answer = ask(library, "The Budapest Memorandum was signed on 5 December 1994.")
    record = check(answer)
    assert answer.text == "The Budapest Memorandum was signed on 5 December 1994 [1]."
    assert record["citations"][0] == {
        "marker": 1,
        "document": "memo.md",
        "title": "The memorandum",
        "date": "1994-12-05",
        "page": None,
        "start": 12,
        "end": 66,
        "quote": "The Budapest Memorandum was signed on 5 December 1994.",
    }
    assert (answer.collection, answer.embedder, answer.model) == ("papers", "hash", "scripted")
    assert (answer.question, answer.standalone_question, answer.generation) == (WHEN, WHEN, 1)


def test_each_sentence_has_its_own_sources(library: Collection) -> None:
    answer = ask(
        library,
        "Ukraine gave up about 1,900 nuclear warheads. "
        "The last warhead left in 1996 by train to Russia.",
        "How did Ukraine give up nuclear warheads?",
    )
    check(answer)
    assert [one.status for one in answer.sentences] == ["supported", "supported"]
    cited = {one.marker: one.document for one in answer.citations}
    assert cited[answer.sentences[0].citations[0]] == "memo.md"
    assert {cited[marker] for marker in answer.sentences[1].citations} == {"removal.txt"}


def test_a_source_that_is_cited_twice_has_one_marker(library: Collection) -> None:
    answer = ask(
        library,
        "The Budapest Memorandum was signed in December 1994. "
        "The Memorandum was signed on 5 December 1994.",
    )
    check(answer)
    assert [one.citations for one in answer.sentences] == [(1,), (1,)]


@pytest.mark.parametrize(
    "reply",
    [
        "It was signed on 5 December 1994 [1].",
        "It was signed on 5 December 1994 [7, 9].",
        "It was signed on 5 December 1994 (source 2).",
        "<source 1: x>It was signed on 5 December 1994.</source>",
    ],
)
def test_the_models_own_markers_are_not_used(library: Collection, reply: str) -> None:
    answer = ask(library, reply)
    check(answer)
    assert answer.text == "It was signed on 5 December 1994 [1]."


def test_what_no_source_supports_is_not_shown_as_fact(library: Collection) -> None:
    answer = ask(
        library, "The Budapest Memorandum was signed on 5 December 1994. Penguins enjoy swimming."
    )
    check(answer)
    assert "enguin" not in answer.text or answer.sentences[-1].status == "unsupported"


def test_an_answer_with_another_number_is_refused(library: Collection) -> None:
    answer = ask(library, "The Budapest Memorandum was signed on 7 May 1987.")
    record = check(answer)
    assert answer.refused
    assert WHEN in answer.text
    assert record["passages"], "the closest passages are shown"


@pytest.mark.parametrize("reply", ["", "…", "[1]", "\n\n"], ids=repr)
def test_a_model_that_says_nothing_refuses(library: Collection, reply: str) -> None:
    assert check(ask(library, reply))["refused"]


def test_too_little_confidence_refuses(library: Collection) -> None:
    strict = library.settings.model_copy(update={"refuse_below": 1.0})
    answer = ask(library, "The Budapest Memorandum was signed on 5 December 1994.", settings=strict)
    check(answer)
    assert answer.refused


def test_an_empty_collection_refuses_without_the_model(bold: Settings) -> None:
    generator = ScriptedGenerator()
    with Collection.temporary([], bold, embedder=HashEmbedder()) as empty:
        answer = Assistant(empty, bold, generator).ask(WHEN)
    check(answer)
    assert answer.refused
    assert answer.passages == ()
    assert answer.confidence > 0.9, "that nothing is there is certain"
    assert generator.messages == []


def test_short_style_is_a_phrase(library: Collection) -> None:
    generator = ScriptedGenerator('"5 December 1994."\nBecause it says so.')
    answer = Assistant(library, library.settings, generator).ask(WHEN, style="short")
    check(answer)
    assert answer.text == "5 December 1994 [1]"
    assert answer.citations[0].document == "memo.md"
    assert generator.limits[0] < library.settings.max_new_tokens


def test_lists_stay_lists(library: Collection) -> None:
    reply = "- Russia gave security assurances.\n- Ukraine gave up nuclear warheads."
    answer = ask(library, reply, "What did the countries give?")
    check(answer)
    assert [line[:2] for line in answer.text.split("\n")] == ["- ", "- "]
    assert [one.text for one in answer.sentences] == [line[2:] for line in reply.split("\n")]


def test_the_model_reads_evidence_and_nothing_else(library: Collection) -> None:
    generator = ScriptedGenerator("1994")
    Assistant(library, library.settings, generator).ask(WHEN)
    [messages] = generator.messages
    assert "The Budapest Memorandum was signed on 5 December 1994." in messages[-1]["content"]
    assert messages[-1]["content"].count("<source ") <= len(DOCUMENTS)


def test_a_follow_up_is_rewritten_and_searched_as_such(library: Collection) -> None:
    generator = ScriptedGenerator(f' "{WHEN}"\n', "It was signed on 5 December 1994.")
    history = [
        {"role": "user", "content": "What is the Budapest Memorandum?"},
        {"role": "assistant", "content": "An agreement."},
    ]
    answer = Assistant(library, library.settings, generator).ask(
        "When was it signed?", history=history
    )
    check(answer)
    assert (answer.question, answer.standalone_question) == ("When was it signed?", WHEN)
    assert "What is the Budapest Memorandum?" in generator.messages[0][-1]["content"]
    assert WHEN in generator.messages[1][-1]["content"]
    assert not answer.refused


def test_a_question_that_stands_alone_is_not_rewritten(library: Collection) -> None:
    generator = ScriptedGenerator("1994")
    history = [{"role": "user", "content": "Tell me of bread."}]
    answer = Assistant(library, library.settings, generator).ask(WHEN, history=history)
    assert answer.standalone_question == WHEN
    assert len(generator.messages) == 1


@pytest.mark.parametrize("rewrite", ["", "?", "x" * 5000], ids=["empty", "too short", "too long"])
def test_a_rewrite_that_went_wrong_is_not_used(library: Collection, rewrite: str) -> None:
    generator = ScriptedGenerator(rewrite, "1994")
    history = [{"role": "user", "content": "What is the Budapest Memorandum?"}]
    answer = Assistant(library, library.settings, generator).ask(
        "When was it signed?", history=history
    )
    assert answer.standalone_question == "When was it signed?"


def test_a_stream_goes_by_stages_and_ends_with_the_answer(library: Collection) -> None:
    generator = ScriptedGenerator("It was signed on 5 December 1994.")
    events = list(Assistant(library, library.settings, generator).stream(WHEN))
    names = [event.name for event in events if isinstance(event, Stage)]
    assert names == ["searching", "reading", "writing", "checking"]
    tokens = "".join(event.text for event in events if isinstance(event, Token))
    assert tokens == "It was signed on 5 December 1994."
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Finished) for event in events) == 1


def test_closing_a_stream_stops_the_model(library: Collection) -> None:
    generator = ScriptedGenerator("One two three four five.", "It was signed on 5 December 1994.")
    assistant = Assistant(library, library.settings, generator)
    stream = assistant.stream(WHEN)
    while not isinstance(next(stream), Token):
        pass
    stream.close()  # type: ignore[attr-defined]
    assert generator.stopped == 1
    assert not assistant.ask(WHEN).refused, "and the next question is answered"


def test_a_model_that_fails_says_so(library: Collection) -> None:
    assistant = Assistant(
        library, library.settings, ScriptedGenerator(ModelError("gone"), "5 December 1994")
    )
    with pytest.raises(ModelError, match="gone"):
        assistant.ask(WHEN)
    assert not assistant.ask(WHEN).refused


@pytest.mark.parametrize("question", ["", " \n", "x" * 4001], ids=["empty", "blank", "too long"])
def test_questions_that_can_not_be_asked(library: Collection, question: str) -> None:
    with pytest.raises(InputError, match="question"):
        ask(library, "x", question)


def test_half_a_surrogate_pair_in_a_question_does_no_harm(library: Collection) -> None:
    answer = ask(library, "It was signed on 5 December 1994.", f"{WHEN} \ud83d")
    json.dumps(check(answer), ensure_ascii=False).encode()


def test_without_collection_or_documents_there_is_nothing_to_ask(bold: Settings) -> None:
    with pytest.raises(InputError, match="no collection"):
        Assistant(None, bold, ScriptedGenerator("x")).ask(WHEN)


def plain(answer: Answer) -> dict[str, Any]:
    return dataclasses.replace(
        answer, timings=Answer.__dataclass_fields__["timings"].default
    ).to_dict()


def test_equal_runs_differ_in_nothing_but_timings(bold: Settings) -> None:
    def once(*before: str) -> dict[str, Any]:
        with Collection.temporary(DOCUMENTS.values(), bold, embedder=HashEmbedder()) as collection:
            generator = ScriptedGenerator(
                *(["Russia gave assurances."] * len(before)), "It was 5 December 1994."
            )
            assistant = Assistant(collection, bold, generator)
            for question in before:
                assistant.ask(question)
            return plain(assistant.ask(WHEN))

    assert once() == once() == once("Who gave security assurances?", "What does bread need?")


def test_given_documents_give_the_same_answer_whatever_came_before(bold: Settings) -> None:
    def once(*before: list[Document]) -> dict[str, Any]:
        # Where the documents say nothing of bread, the model is asked twice.
        asked = sum(1 if BREAD in documents else 2 for documents in before)
        replies = ["Bread needs flour."] * asked
        generator = ScriptedGenerator(*replies, "It was 5 December 1994.")
        assistant = Assistant(None, bold, generator)
        assistant._scratch = Collection.temporary([], bold, embedder=HashEmbedder())
        for documents in before:
            assistant.ask("What does bread need?", documents=documents)
        return plain(assistant.ask(WHEN, documents=[MEMO, REMOVAL]))

    assert once() == once([BREAD]) == once([BREAD], [MEMO], [REMOVAL, MEMO])


ODD = {
    "NUL": "Intro line.\0 The treaty\0was signed in 1994 in Oslo. More text.",
    "line ends": "Intro.\r\n\r\nThe treaty was signed in 1994 in Oslo.\r\nMore.\r",
    "decomposed": "Cafe\u0301 talk. The treaty was signed in 1994 in Oslo, sen\u0303or. More.",
    "byte order mark": "\ufeffThe treaty was signed in 1994 in Oslo. More.",
    "astral": "😀😀 The treaty was signed in 1994 in Oslo 😀. More.",
    "separators": "Intro.\u2028The treaty was signed in 1994 in Oslo.\u2029More\x85text.",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_given_documents_are_quoted_unaltered(library: Collection, text: str) -> None:
    document = Document("mine", text, "A title that is no part of it")
    answer = ask(
        library,
        "The treaty was signed in Oslo in 1994.",
        "When was the treaty signed?",
        documents=[document],
    )
    check(answer, {"mine": text})
    assert not answer.refused
    assert all("signed in 1994 in Oslo" in one.quote for one in answer.citations)
    assert (answer.collection, {hit.document for hit in answer.passages}) == ("", {"mine"})
    # And the collection is as it was.
    assert [one.id for one in library.documents()] == sorted(DOCUMENTS)


def test_no_documents_at_all_refuse(library: Collection) -> None:
    answer = ask(library, "x", documents=[])
    check(answer, {})
    assert answer.refused
