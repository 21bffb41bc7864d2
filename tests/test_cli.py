"""The command: exit codes, what goes to which stream, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fakes import HashEmbedder

from rag import __version__, cli, collection
from rag.weights import PACKAGED

Make = Callable[..., Path]
ROOT = Path(__file__).resolve().parent.parent
FILES: dict[str, str | bytes] = {
    "cats.txt": "Cats purr when they are content.\n",
    "sub/dogs.md": "# Dogs\n\nDogs “bark” [loud] at <b>strangers</b>.\n\n  Two  spaces.\n",
}


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which holds the JSON alone."""
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line of an error."""
        assert self.out == ""
        assert self.err.startswith("footnote: ")
        assert self.err.count("\n") == 1
        return self.err


@pytest.fixture
def footnote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Run a command in this process, over the hash embedder and folders of the test's own."""
    for name in [name for name in os.environ if name.startswith("FOOTNOTE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.setenv("FOOTNOTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FOOTNOTE_PARSE_MEMORY_MB", "2048")
    monkeypatch.setattr(collection, "load_embedder", lambda settings: HashEmbedder())
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Result:
        monkeypatch.setattr(sys, "argv", ["footnote", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Result(int(ended.value.code or 0), out, err)

    return run


Run = Callable[..., Result]


@pytest.fixture
def zoo(footnote: Run, make_folder: Make) -> Path:
    """A folder that is indexed as the collection 'zoo'."""
    folder = make_folder("zoo", FILES)
    assert footnote("index", folder, "-c", "zoo").status == 0
    return folder


def test_index_reports(footnote: Run, make_folder: Make) -> None:
    folder = make_folder("zoo", {**FILES, "x.exe": b"MZ"})
    first = footnote("index", folder, "-c", "zoo", "--json")
    assert first.status == 0
    assert set(first.json) == set(
        "added updated unchanged removed failed documents chunks seconds".split()
    )
    expected = {"added": 2, "updated": 0, "unchanged": 0, "removed": 0, "failed": []}
    assert first.json == {**expected, "documents": 2, "chunks": 2, "seconds": first.json["seconds"]}
    second = footnote("index", folder, "-c", "zoo")
    assert (second.status, "2 unchanged" in second.out, "x.exe" in second.err) == (0, True, True)


def test_failed_files_are_status_3_and_the_rest_is_in(footnote: Run, make_folder: Make) -> None:
    folder = make_folder("zoo", {**FILES, "bad.pdf": b"%PDF-1.7 broken", "empty.md": b""})
    result = footnote("index", folder, "-c", "zoo", "--json")
    assert result.status == 3
    assert [Path(one["path"]).name for one in result.json["failed"]] == ["bad.pdf", "empty.md"]
    assert all(one["error"] for one in result.json["failed"])
    assert result.json["documents"] == 2
    assert "bad.pdf" in result.err


def test_several_paths_are_one_report(footnote: Run, make_folder: Make) -> None:
    one, two = make_folder("one", FILES), make_folder("two", {"owls.txt": "Owls hoot."})
    result = footnote("index", one, two / "owls.txt", "-c", "zoo", "--json")
    assert (result.json["added"], result.json["documents"]) == (3, 3)


def test_search_prints_hits(footnote: Run, zoo: Path) -> None:
    result = footnote("search", "Why do cats purr?", "-c", "zoo", "-k", "1", "--json")
    assert (result.status, result.err) == (0, "")
    assert result.json["question"] == "Why do cats purr?"
    [hit] = result.json["hits"]
    assert set(hit) >= set("rank score document title page start end text".split())
    text = (zoo / "cats.txt").read_text()
    assert (hit["rank"], hit["document"], hit["text"]) == (
        1,
        "cats.txt",
        text[hit["start"] : hit["end"]],
    )
    plain = footnote("search", "dogs bark", "-c", "zoo")
    assert "sub/dogs.md" in plain.out
    assert "[loud] at <b>strangers</b>" in plain.out, "text is no markup"
    assert "dense" in plain.out


def test_filters_work_together(footnote: Run, make_folder: Make) -> None:
    def dated(text: str, date: str) -> str:
        return f"---\ndate: {date}\n---\n\n{text}\n"

    files = {
        "old.md": dated("Owls hoot at night.", "2019-05-06"),
        "new.md": dated("Owls hoot at dawn.", "2024-02-03"),
        "table.csv": "bird,sound\nowl,hoot\n",
        "note.txt": "Owls hoot for ever.\n",
    }
    folder = make_folder("zoo", files)
    for name in ("table.csv", "note.txt"):  # these are dated by their file
        os.utime(folder / name, (10**9, 10**9))
    assert footnote("index", folder, "-c", "zoo").status == 0

    def found(*filters: str) -> set[str]:
        result = footnote("search", "owls hoot", "-c", "zoo", "--json", *filters)
        return {hit["document"] for hit in result.json["hits"]}

    assert found() == set(files)
    assert found("--type", "csv", "--type", ".TXT") == {"table.csv", "note.txt"}
    assert found("-d", "old.md", "--document", "note.txt") == {"old.md", "note.txt"}
    assert found("--after", "2019") == {"old.md", "new.md"}
    assert found("--after", "2019-06", "--before", "2024-02", "--type", "md") == {"new.md"}
    for filters, message in (
        (["-d", "odl.md"], r"no document 'odl\.md' in collection 'zoo'.*'old\.md'"),
        (["--after", "soon"], "'soon' is no date: write YYYY-MM-DD"),
        (["--type", "exe"], "'exe' is no type.*csv, docx"),
        (["--type", "pdf", "--before", "2020"], "no document in .* is of type pdf and dated 2020"),
    ):
        for command in ("search", "ask"):
            result = footnote(command, "Do owls hoot?", "-c", "zoo", "--json", *filters)
            assert result.status == 1
            assert re.search(message, result.line)
    hello = footnote("ask", "Hello!", "-c", "zoo", "--json", "-d", "new.md")
    assert "4 documents, such as “new”" in hello.json["text"]


def test_search_takes_a_batch(footnote: Run, zoo: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        '{"id": "a", "question": "cats?"}\n{"id": "b", "question": "dogs?"}\n'
    )
    result = footnote("search", "--batch", "in.jsonl", "--out", "out.jsonl", "-c", "zoo", "-k", "1")
    assert result.status == 0
    records = [
        json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    ]
    assert [one["id"] for one in records] == ["a", "b"]


def test_show_prints_the_text_as_it_is(footnote: Run, zoo: Path) -> None:
    result = footnote("show", "sub/dogs.md", "-c", "zoo")
    assert (result.status, result.out) == (0, FILES["sub/dogs.md"])


def test_collections_and_their_documents(footnote: Run, zoo: Path) -> None:
    assert footnote("collections", "--json").json == [{"name": "zoo", "documents": 2, "chunks": 2}]
    listed = footnote("collections", "-c", "zoo", "--json").json
    assert [one["id"] for one in listed] == ["cats.txt", "sub/dogs.md"]
    assert "cats.txt" in footnote("collections", "-c", "zoo").out
    assert "zoo" in footnote("collections").out


def test_no_collections_yet(footnote: Run) -> None:
    assert footnote("collections", "--json").json == []
    assert "no collections" in footnote("collections").out


def test_remove_asks_first_and_never_where_nobody_can_answer(
    footnote: Run, zoo: Path, tmp_path: Path
) -> None:
    assert "--yes" in footnote("remove", "zoo").line
    assert (tmp_path / "indexes" / "zoo").is_dir()
    result = footnote("remove", "zoo", "--yes")
    assert (result.status, "removed" in result.out) == (0, True)
    assert not (tmp_path / "indexes" / "zoo").exists()
    assert (zoo / "cats.txt").is_file()
    assert footnote("remove", "zoo", "--yes").status == 1


ERRORS: dict[str, tuple[list[str], str]] = {
    "no collection": (
        ["search", "x", "-c", "nope"],
        "no collection 'nope'.*footnote index FOLDER -c nope",
    ),
    "no such path": (["index", "nowhere", "-c", "zoo"], "nowhere: no such file or folder"),
    "no document": (["show", "nope.txt", "-c", "zoo"], r"no document 'nope\.txt'"),
    "empty question": (["search", " ", "-c", "zoo"], "question is empty"),
    "a path as a collection": (["search", "x", "-c", "../zoo"], "setting 'collection'"),
    "remove a path": (["remove", "../zoo", "--yes"], "setting 'collection'"),
    "no such style": (["ask", "x", "-c", "zoo", "--style", "loud"], "setting 'style'"),
    "no batch file": (
        ["search", "--batch", "no.jsonl", "--out", "o", "-c", "zoo"],
        r"no\.jsonl: can't be read",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_is_one_line_and_status_1(
    footnote: Run, zoo: Path, arguments: list[str], message: str
) -> None:
    result = footnote(*arguments)
    assert result.status == 1
    assert re.search(message, result.line)


def test_a_setting_that_is_unknown(footnote: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTNOTE_MODLE", "x")
    assert "unknown setting 'modle'" in footnote("collections").line


def test_another_embedder_is_refused(
    footnote: Run, zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTNOTE_EMBEDDER", "other")
    assert "upgrade -c zoo --embedder" in footnote("search", "cats", "-c", "zoo").line


USAGE: dict[str, list[str]] = {
    "unknown command": ["fly"],
    "unknown option": ["search", "x", "--loud"],
    "no number": ["search", "x", "-k", "many"],
    "zero passages": ["search", "x", "-k", "0"],
    "no question": ["search"],
    "batch without out": ["search", "--batch", "in.jsonl"],
    "batch with a filter": ["search", "--batch", "in.jsonl", "--out", "out", "--after", "2020"],
    "no path": ["index"],
    "no document": ["show"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE.keys())
def test_wrong_usage_is_status_2(footnote: Run, arguments: list[str]) -> None:
    result = footnote(*arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err


def test_help_has_an_example_for_the_main_commands(footnote: Run) -> None:
    for command in ("index", "search", "ask", "show"):
        result = footnote(command, "--help")
        assert result.status == 0
        assert f"footnote {command}" in result.out


def test_version(footnote: Run) -> None:
    assert footnote("--version").out.strip() == __version__


def test_a_question_of_any_bytes(footnote: Run, zoo: Path) -> None:
    result = footnote("search", os.fsdecode(b"cats \xff purr"), "-c", "zoo", "--json")
    assert result.status == 0
    assert result.json["hits"]


def test_odd_names_in_reports(footnote: Run, make_folder: Make) -> None:
    folder = make_folder("zoo", FILES)
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/latin\xe9.pdf")).write_bytes(b"%PDF-1.7 broken")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    result = footnote("index", folder, "-c", "zoo", "--json")
    assert result.status == 3
    assert "latin" in result.json["failed"][0]["path"]


# In a process of its own


def python(code: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT, **more
    )


def test_the_library_loads_nothing_heavy_and_nothing_above_it() -> None:
    heavy = (
        "torch transformers faiss numpy openvino sentence_transformers gradio typer ui eval".split()
    )
    code = f"import sys, rag; print([name for name in {heavy!r} if name in sys.modules])"
    assert python(code).stdout.strip() == "[]"


def test_no_module_of_the_library_imports_what_is_above_it() -> None:
    code = (
        "import importlib, pkgutil, sys, rag\n"
        "for one in pkgutil.walk_packages(rag.__path__, 'rag.'):\n"
        "    importlib.import_module(one.name)\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'ui', 'eval', 'gradio', 'torch', 'faiss', 'transformers', 'openvino'}))"
    )
    result = python(code)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_a_reader_that_goes_away_is_no_error(
    footnote: Run, make_folder: Make, tmp_path: Path
) -> None:
    footnote("index", make_folder("big", {"big.txt": "A line of words.\n" * 20_000}), "-c", "big")
    arguments = "['footnote', 'show', 'big.txt', '-c', 'big']"
    code = f"import sys; sys.argv = {arguments}; from rag.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout and process.stderr
    process.stdout.read(10)
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), error) == (0, b"")


@pytest.mark.slow
def test_doctor_says_what_is_there(footnote: Run) -> None:
    result = footnote("doctor", "--json")
    found = result.json
    assert found["footnote"] == __version__
    assert set(found) >= {
        "processor",
        "packages",
        "models",
        "cache",
        "indexes",
        "settings",
        "problems",
    }
    assert result.status == (1 if found["problems"] else 0)
    assert "endpoint_key" not in found["settings"]
    assert len(found["models"]["minilm"]["sha256"]) == 64
    assert f"footnote {__version__}" in footnote("doctor").out


def test_a_converted_model_needs_its_packages_no_more(
    footnote: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image: the weights were converted when it was built."""
    absent = replace(PACKAGED["qwen2.5-coder-1.5b"], packages=("not-installed",))
    monkeypatch.setitem(PACKAGED, "qwen2.5-coder-1.5b", absent)
    monkeypatch.setenv("FOOTNOTE_CACHE", str(tmp_path))
    assert "not-installed" in str(footnote("doctor", "--json").json["problems"])
    (tmp_path / "models" / "qwen2.5-coder-1.5b-openvino-8bit-cc324af0").mkdir(parents=True)
    found = footnote("doctor", "--json").json
    assert "not-installed" not in str(found["problems"])
    assert found["models"]["qwen2.5-coder-1.5b"]["installed"] is False
    assert "its packages are not installed" in " ".join(footnote("doctor").out.split())


@pytest.mark.slow
def test_the_real_embedder_from_the_command_line(tmp_path: Path, make_folder: Make) -> None:
    folder = make_folder("zoo", FILES)
    environment = {**os.environ, "FOOTNOTE_INDEXES": str(tmp_path / "indexes")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = (
            f"import sys; sys.argv = ['footnote', *{arguments!r}]; from rag.cli import main; main()"
        )
        return python(code, env=environment)

    indexed = run("index", str(folder), "-c", "zoo", "--json")
    assert indexed.returncode == 0, indexed.stderr
    assert json.loads(indexed.stdout)["documents"] == 2
    found = run(
        "search", "Which animal makes a noise at people it does not know?", "-c", "zoo", "--json"
    )
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["hits"][0]["document"] == "sub/dogs.md"
