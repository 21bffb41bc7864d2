"""The real model on the real sample corpus, through the command line, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag.generate import Generation, LocalGenerator, load_generator
from rag.prefix import PrefixCache
from rag.prompt import NO_ANSWER
from rag.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of collections with `seeds` in it."""
    folder = tmp_path_factory.mktemp("indexes")
    done = footnote(folder, "index", str(ROOT / "seeds" / "documents"), "--json")
    report = json.loads(done.stdout)
    assert (report["added"], report["failed"]) == (19, [])
    return folder


def footnote(indexes: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where every name lookup fails, so that a download could not succeed."""
    block = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise OSError('the network was used')\n"
        "socket.getaddrinfo = socket.create_connection = refuse\n"
        "from rag.cli import main\n"
        "main()\n"
    )
    environment = {**os.environ, "FOOTNOTE_INDEXES": str(indexes), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", block, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=indexes,
        check=True,
    )


def shown(indexes: Path, document: str) -> str:
    """What `footnote show` prints."""
    return footnote(indexes, "show", document).stdout


def test_batch_answers_are_cited_exactly_refused_honestly_and_repeatable(
    indexes: Path, tmp_path: Path
) -> None:
    questions = [
        {"id": "fact", "question": "What was Ukraine promised in the Budapest Memorandum?"},
        {"id": "away", "question": "Which team won the cricket match on Saturday?"},
        {
            "id": "given",
            "question": "What colour is the door?",
            "documents": [{"id": "d", "text": "Line one.\r\nThe door is green, said Ann."}],
        },
    ]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in questions), "utf-8")
    runs = []
    for name in ("one", "two"):
        out = tmp_path / f"{name}.jsonl"
        footnote(indexes, "ask", "--batch", str(source), "--out", str(out))
        lines = [json.loads(line) for line in out.read_text("utf-8").split("\n") if line]
        runs.append([{k: v for k, v in line.items() if k != "timings"} for line in lines])
    assert runs[0] == runs[1]
    fact, away, given = runs[0]

    assert not fact["refused"]
    assert "independence" in fact["text"]
    assert {one["document"] for one in fact["citations"]} == {"budapest-memorandum.md"}
    text = shown(indexes, "budapest-memorandum.md")
    for one in fact["citations"]:
        assert text[one["start"] : one["end"]] == one["quote"] != ""
        assert f"[{one['marker']}]" in fact["text"]

    assert away["refused"]
    assert (away["sentences"], away["citations"]) == ([], [])
    assert away["passages"]

    assert "green" in given["text"]
    (citation,) = given["citations"]
    original = questions[2]["documents"][0]["text"]  # type: ignore[index]
    assert citation["document"] == "d"
    assert original[citation["start"] : citation["end"]] == citation["quote"]


@pytest.fixture(scope="module")
def generator() -> LocalGenerator:
    loaded = load_generator(load_settings())
    assert isinstance(loaded, LocalGenerator)
    return loaded


def test_the_adapter_doubts_where_nothing_answers(generator: LocalGenerator) -> None:
    """The same passage and two questions: one that it answers, one that it only seems to."""
    passage = (
        "[Eastmere]\nThe harbour of Eastmere opened in 1887. Ada Quill designed the lighthouse."
    )
    doubt = {}
    for question in ("When did the harbour of Eastmere open?", "Who designed the harbour's crane?"):
        form = (
            "Reply with the shortest exact phrase from the sources that answers, or: unanswerable"
        )
        prompt = f"{passage}\n\nQuestion: {question}\n{form}"
        for adapted in (True, False):
            record = Generation()
            messages = [{"role": "user", "content": prompt}]
            said = "".join(
                generator.stream(messages, 8, record, adapted=adapted, withhold=NO_ANSWER)
            )
            assert record.withheld is not None
            assert said
            doubt[question[:4], adapted] = record.withheld
    assert doubt["When", True] < 0.5, doubt
    assert doubt["Who ", True] > 2 * doubt["When", True], doubt
    assert doubt["Who ", True] != doubt["Who ", False], "the adapter is switched on and off"


def test_what_was_kept_of_a_prompt_is_what_was_read(
    generator: LocalGenerator, tmp_path: Path
) -> None:
    """To the bit, as after a restart: the constant part is read once, then restored."""
    messages = [
        {"role": "system", "content": "You say the names of colours, one at a time."},
        {"role": "user", "content": "Begin with the colour of a ripe tomato."},
    ]
    fresh = LocalGenerator(
        generator._model,
        generator.tokenizer,
        lookup_tokens=2,
        prefixes=PrefixCache(tmp_path / "prefixes", generator._model.fingerprint),
    )

    def logprobs() -> list[float]:
        fresh._forget()
        record = Generation()
        list(fresh.stream(messages, 8, record))
        return record.logprobs

    first = logprobs()
    assert list((tmp_path / "prefixes").iterdir())
    assert logprobs() == first
