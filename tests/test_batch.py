"""Questions by the file: checked first, answered once, resumed after a kill."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import HashEmbedder

from rag import batch
from rag.batch import BatchLine, merge_reports, read_lines
from rag.collection import IndexReport, Progress
from rag.errors import InputError
from rag.records import Document


@contextlib.contextmanager
def no_bar(title: str) -> Iterator[Progress]:
    yield lambda done, total: None


def write(path: Path, *records: Any) -> Path:
    lines = [
        one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in records
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def question(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "question": f"Question {name}?", **more}


def test_lines_are_read(tmp_path: Path) -> None:
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    documents = [{"id": 7, "text": "One\r\ntwo\0.", "title": "T"}, {"id": "b", "text": ""}]
    file = write(
        tmp_path / "in.jsonl",
        question("a", history=history),
        "",
        question("b", documents=documents),
        {"id": 3, "question": "?"},
    )
    assert read_lines(file) == [
        BatchLine("a", "Question a?", tuple(history)),
        BatchLine("b", "Question b?", (), (Document("7", "One\r\ntwo\0.", "T"), Document("b", ""))),
        BatchLine("3", "?"),
    ]


def test_line_separators_within_strings_part_no_lines(tmp_path: Path) -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive"
    file = tmp_path / "in.jsonl"
    file.write_text(
        json.dumps(question("a", documents=[{"id": "d", "text": text}]), ensure_ascii=False),
        "utf-8",
    )
    [line] = read_lines(file)
    assert line.documents == (Document("d", text),)


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", '{"id": "a", "question": "A \\ud83d b \\ud83d\\ude00?"}')
    assert read_lines(file)[0].question == "A ? b 😀?"


BAD: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "not JSON"),
    "too deep": ("[" * 100_000, "not JSON"),
    "no object": ([1], "not a JSON object"),
    "no question": ({"id": "x"}, "'question'"),
    "no id": ({"question": "x"}, "'id'"),
    "empty question": ({"id": "x", "question": " "}, "'question' is empty"),
    "unknown field": (question("x", docs=[]), "'docs'"),
    "id twice": (question("first"), "'first' stands twice"),
    "history no list": (question("x", history="Hi"), "'history'"),
    "strange role": (question("x", history=[{"role": "system", "content": "x"}]), "'role'"),
    "no content": (question("x", history=[{"role": "user"}]), "'content'"),
    "documents no list": (question("x", documents={}), "'documents'"),
    "no text": (question("x", documents=[{"id": "d"}]), "'text'"),
    "document twice": (
        question("x", documents=[{"id": "d", "text": ""}] * 2),
        "document 'd' stands twice",
    ),
}


@pytest.mark.parametrize(("record", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_named_by_line_and_field(tmp_path: Path, record: Any, message: str) -> None:
    file = write(tmp_path / "in.jsonl", question("first"), "", record)
    with pytest.raises(InputError, match=rf"in\.jsonl, line 3: .*{message}"):
        read_lines(file)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        read_lines(tmp_path / "missing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(InputError, match="not UTF-8"):
        read_lines(tmp_path / "latin.jsonl")


class Answers:
    """Stands for the engine; `asked` holds the ids that it was given."""

    def __init__(self, fail_at: str | None = None) -> None:
        self.asked: list[str] = []
        self.fail_at = fail_at

    def __call__(self, line: BatchLine) -> dict[str, Any]:
        if line.id == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(line.id)
        return {"id": line.id, "text": f"answer to {line.id}\u2028"}


def run(
    out: Path, answers: Callable[[BatchLine], dict[str, Any]], names: str = "abcd"
) -> list[str]:
    lines = [BatchLine(name, "?") for name in names]
    batch._run(lines, out, answers, no_bar, "x")
    return [json.loads(line)["id"] for line in out.read_bytes().split(b"\n") if line]


def test_a_batch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(out, Answers("c"))
    second = Answers()
    assert run(out, second) == ["a", "b", "c", "d"]
    assert second.asked == ["c", "d"]
    third = Answers()
    assert run(out, third) == ["a", "b", "c", "d"]
    assert third.asked == []


@pytest.mark.parametrize("cut", [1, 5, 20], ids=lambda cut: f"{cut} bytes short")
def test_a_torn_last_line_is_answered_again(tmp_path: Path, cut: int) -> None:
    out = tmp_path / "out.jsonl"
    run(out, Answers())
    whole = out.read_bytes()
    out.write_bytes(whole[:-cut])
    again = Answers()
    assert run(out, again) == ["a", "b", "c", "d"]
    assert again.asked == ["d"]
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    ["Dear diary, without an end", "Dear diary\n", "5\n", '{"no": "id"}\n', '[{"id": 1}]\n'],
    ids=repr,
)
def test_a_file_of_something_else_is_not_touched(tmp_path: Path, content: str) -> None:
    out = tmp_path / "precious.txt"
    out.write_text(content)
    with pytest.raises(InputError, match=r"precious\.txt.*another --out"):
        run(out, Answers())
    assert out.read_text() == content


def test_the_output_is_not_the_input(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", question("a"))
    with pytest.raises(InputError, match="another --out"):
        batch._lines(file, file)


def test_an_output_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"):
        run(tmp_path / "file" / "out.jsonl", Answers())


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full on this system")
    file = full.open("a")
    with pytest.raises(InputError, match=r"free some space.*same command again"):
        batch._write_line(file, {"id": "a"}, full)
    with contextlib.suppress(OSError):
        file.close()


def test_a_question_that_can_not_be_asked_is_named(tmp_path: Path) -> None:
    def one(line: BatchLine) -> dict[str, Any]:
        raise InputError("the question has over 4000 characters")

    with pytest.raises(InputError, match="'a'.*4000 characters"):
        run(tmp_path / "out.jsonl", one)


def test_search_over_documents_that_come_with_the_question(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-c` is ignored, and no collection need be there."""
    from rag import collection

    monkeypatch.setattr(collection, "load_embedder", lambda settings: HashEmbedder())
    texts = {"x": "Cafe\u0301 cats purr.\r\n", "y": "Dogs\0bark."}
    documents = [{"id": name, "text": text} for name, text in texts.items()]
    file = write(tmp_path / "in.jsonl", *(question(name, documents=documents) for name in "abc"))
    batch.search(file, tmp_path / "out.jsonl", settings, 5, True, no_bar)
    records = [
        json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").split("\n")[:-1]
    ]
    assert [one["id"] for one in records] == ["a", "b", "c"]
    for one in records:
        assert {hit["document"] for hit in one["hits"]} == {"x", "y"}
        for hit in one["hits"]:
            assert texts[hit["document"]][hit["start"] : hit["end"]] == hit["text"]


def test_reports_add_up() -> None:
    one = IndexReport(1, 2, 3, 4, [{"path": "a", "error": "x"}], 10, 20, 0.5)
    two = IndexReport(5, 0, 0, 1, [{"path": "b", "error": "y"}], 15, 31, 0.25)
    one.changes.update(added=["c"], removed=["x"])
    two.changes.update(added=["a", "c"], moved=["m"])
    total = merge_reports([one, two])
    assert (total["added"], total["updated"], total["unchanged"], total["removed"]) == (6, 2, 3, 5)
    assert [failure["path"] for failure in total["failed"]] == ["a", "b"]
    assert (total["documents"], total["chunks"], total["seconds"]) == (15, 31, 0.75)
    assert total["changes"] == {"added": ["a", "c"], "moved": ["m"], "removed": ["x"]}
