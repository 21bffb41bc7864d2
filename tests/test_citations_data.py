"""Citations over hundreds of answers: every quote stands in its file, at its offsets, to the character.

The model's words are the data set's own gold answers, so that no model is needed to see whether
alignment is exact and finds the right paragraph.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from fakes import ScriptedGenerator

from rag.assistant import Assistant
from rag.collection import Collection
from rag.sentences import sentence_spans
from rag.settings import Settings, load_settings

ANSWERS = 520


@pytest.mark.slow
def test_gold_answers_are_cited_exactly(data: Path, settings: Settings, tmp_path: Path) -> None:
    articles = json.loads((data / "squad2" / "squad2.json").read_text("utf-8"))["data"]
    asked: list[tuple[str, str, str]] = []
    folder = tmp_path / "paragraphs"
    folder.mkdir()
    for article in articles:
        for number, paragraph in enumerate(article["paragraphs"]):
            name = f"{article['title']}_{number}.txt"
            (folder / name).write_text(paragraph["context"], "utf-8")
            asked += [
                (name, qa["question"], qa["answers"][0]["text"])
                for qa in paragraph["qas"]
                if qa["answers"]
            ]
    real = load_settings(indexes=settings.indexes, refuse_below=0.0, search_gate=0.0)
    answered = right = 0
    with Collection.open("paragraphs", real, create=True) as collection:
        collection.update(folder)
        for name, question, gold in asked[:ANSWERS]:
            generator = ScriptedGenerator(*[gold] * 12)  # also where other sources are asked
            answer = Assistant(collection, real, generator).ask(question, style="short")
            answered += not answer.refused
            right += name in {one.document for one in answer.citations}
            for one in answer.citations:
                file = unicodedata.normalize("NFC", (folder / one.document).read_text("utf-8"))
                assert one.quote
                assert collection.document(one.document).text[one.start : one.end] == one.quote
                assert file[one.start : one.end] == one.quote
                assert len(sentence_spans(one.quote)) <= 3
    assert answered >= 0.95 * ANSWERS
    assert right >= 0.9 * answered
