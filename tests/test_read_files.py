"""Walking folders, and reading files in limited processes: what a user's disk may hold."""

from __future__ import annotations

import io
import os
import socket
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import docx
import openpyxl
import psutil
import pytest

from rag.errors import ReadError
from rag.read import Limits, find_files, read_file, read_files
from rag.read.pool import Worker, _document
from rag.records import Document

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one readable file."""
    (tmp_path / "a.txt").write_text("First line\n\nSome words.\n")
    return tmp_path


def ids(path: Path) -> list[str]:
    return [document_id for document_id, _ in find_files(path).files]


def reasons(path: Path) -> dict[str, str]:
    return dict(find_files(path).skipped)


# --- find_files


def test_files_are_found_in_order(folder: Path) -> None:
    (folder / "b").mkdir()
    for name in ("b/z.MD", "b/a.pdf", "Z.csv", "b/c.HTML"):
        (folder / name).write_text("x")
    assert ids(folder) == ["Z.csv", "a.txt", "b/a.pdf", "b/c.HTML", "b/z.MD"]
    assert find_files(folder) == find_files(folder)
    assert all(path == folder / name for name, path in find_files(folder).files)


def test_a_single_file_has_its_name_as_id(folder: Path) -> None:
    assert find_files(folder / "a.txt").files == [("a.txt", folder / "a.txt")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param(".hidden.txt", "is hidden", id="hidden"),
        pytest.param("photo.jpeg", "has type .jpeg", id="image"),
        pytest.param("README", "no type in its name", id="no-suffix"),
        pytest.param("old.doc", "save it as .docx", id="old-word"),
        pytest.param("old.XLS", "save it as .xlsx", id="old-excel"),
    ],
)
def test_what_is_skipped_and_why(folder: Path, name: str, reason: str) -> None:
    (folder / name).write_text("x")
    assert reason in reasons(folder)[name]
    assert ids(folder) == ["a.txt"]
    if name != ".hidden.txt":
        assert reason in reasons(folder / name)[name]


def test_a_hidden_folder_is_skipped_whole(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "x.txt").write_text("x")
    assert reasons(folder) == {".git": "is hidden"}


def test_a_folder_named_like_a_file_is_walked(folder: Path) -> None:
    (folder / "x.txt").mkdir()
    (folder / "x.txt" / "y.txt").write_text("x")
    assert ids(folder) == ["a.txt", "x.txt/y.txt"]


@posix
def test_links(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text("x")
    (folder / "sub").mkdir()
    (folder / ".data").mkdir()
    (folder / ".data" / "real.txt").write_text("x")
    links = {
        "out.txt": outside / "secret.txt",
        "out": outside,
        "sub/loop": folder,
        "again.txt": folder / "a.txt",
        "sub2": folder / "sub",
        "mapped.txt": folder / ".data" / "real.txt",
        "broken.txt": folder / "nowhere.txt",
        "self.txt": folder / "self.txt",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    assert ids(folder) == ["a.txt", "mapped.txt"]
    why = reasons(folder)
    assert "leads out" in why["out.txt"] and "leads out" in why["out"]
    assert "already" in why["again.txt"] and "already" in why["sub2"] and why["sub/loop"]
    assert "broken" in why["broken.txt"] and why["self.txt"]


@posix
def test_pipes_and_sockets_are_skipped(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    assert "pipe" in reasons(folder)["pipe.txt"]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s.txt"))
        assert "socket" in reasons(folder)["s.txt"]
    with pytest.raises(ReadError, match="not a regular file"):
        read_file(folder / "pipe.txt", "pipe.txt")


@linux
@pytest.mark.parametrize(
    ("name", "document_id"),
    [
        pytest.param(b"two\nlines.txt", "two\nlines.txt", id="newline"),
        pytest.param("😀.txt".encode(), "😀.txt", id="emoji"),
        pytest.param("e\u0301.txt".encode(), "\u00e9.txt", id="nfc"),
        pytest.param(b"caf\xe9.txt", "caf\\udce9.txt", id="not-utf-8"),
        pytest.param(b"-rf *$(x)'\".txt", "-rf *$(x)'\".txt", id="shell"),
    ],
)
def test_odd_names_are_found_and_read(tmp_path: Path, name: bytes, document_id: str) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_text("words")
    [(found, found_path)] = find_files(tmp_path).files
    assert found == document_id
    [(_, _, document)] = read_files([(found, found_path)])
    assert isinstance(document, Document) and document.text == "words"
    assert document.id == document_id and document.title.encode()


@linux
def test_names_that_differ_in_form_only_do_not_collide(tmp_path: Path) -> None:
    for name in ("\u00e9.txt", "e\u0301.txt"):
        (tmp_path / name).write_text("x")
    found = find_files(tmp_path)
    assert [i for i, _ in found.files] == ["\u00e9.txt"] and "rename" in found.skipped[0][1]


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="doesn't exist"):
        find_files(tmp_path / "nowhere")


# --- read_file


def test_read_file_completes_the_document(folder: Path) -> None:
    os.utime(folder / "a.txt", (86400 * 365, 86400 * 365))  # 1971-01-01
    document = read_file(folder / "a.txt", "sub/a.txt")
    assert document == Document(
        id="sub/a.txt",
        text="First line\n\nSome words.\n",
        title="First line",
        date="1971-01-01",
        media_type="text/plain",
    )


def test_title_from_the_name(tmp_path: Path) -> None:
    (tmp_path / "annual_report-2024.txt").write_text("one line")
    assert read_file(tmp_path / "annual_report-2024.txt", "x").title == "annual report-2024"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        pytest.param("a.txt", b"", "empty", id="empty"),
        pytest.param("a.pdf", b" \n\t ", "empty", id="blank"),
        pytest.param("a.txt", "\u00a0\u3000\n".encode(), "no words", id="unicode-blanks"),
        pytest.param("a.html", b"<script>x</script>", "no words", id="no-visible-words"),
        pytest.param("a.txt", b"%PDF-1.4 x", "a PDF", id="pdf-as-text"),
        pytest.param("a.md", b"\x89PNG\r\n\x1a\n1234", "a PNG image", id="png-as-markdown"),
        pytest.param("a.csv", b"PK\x03\x04zip", "a zip archive", id="zip-as-csv"),
        pytest.param("a.eml", b"\x1f\x8b\x08", "a gzip archive", id="gzip-as-mail"),
        pytest.param("a.xyz", b"x", "no type that can be read", id="unknown-type"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ReadError, match=reason):
        read_file(tmp_path / name, name)


def test_html_named_txt_reads_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("<p>x</p>")
    assert read_file(tmp_path / "a.txt", "a.txt").text == "<p>x</p>"


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "big.txt", "wb") as file:
        file.truncate(500_000_000)  # sparse: takes no room
    started = time.monotonic()
    with pytest.raises(ReadError, match=r"too large \(500 MB, the limit is 100 MB\)"):
        read_file(tmp_path / "big.txt", "big.txt")
    assert time.monotonic() - started < 5


def test_too_much_text_is_refused(folder: Path) -> None:
    with pytest.raises(ReadError, match="more than 10 characters"):
        read_file(folder / "a.txt", "a.txt", Limits(max_text_chars=10))


def test_a_folder_and_a_missing_file(folder: Path) -> None:
    (folder / "x.txt").mkdir()
    with pytest.raises(ReadError, match="folder|regular|permissions"):
        read_file(folder / "x.txt", "x.txt")
    with pytest.raises(ReadError, match="is gone"):
        read_file(folder / "gone.txt", "gone.txt")


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_a_file_without_permission(folder: Path) -> None:
    (folder / "a.txt").chmod(0)
    with pytest.raises(ReadError, match="permissions"):
        read_file(folder / "a.txt", "a.txt")


def test_the_date_is_that_of_the_file_at_last(folder: Path) -> None:
    today = datetime.fromtimestamp((folder / "a.txt").stat().st_mtime, UTC).date().isoformat()
    assert read_file(folder / "a.txt", "a.txt").date == today


# --- read_files


def many(folder: Path, count: int) -> list[tuple[str, Path]]:
    items = []
    for n in range(count):
        path = folder / f"{n:04}.txt"
        path.write_text(f"document {n}")
        items.append((path.name, path))
    return items


@pytest.mark.parametrize("workers", [1, 3])
def test_outcomes_come_in_order(tmp_path: Path, workers: int) -> None:
    items = many(tmp_path, 40)
    items[7][1].write_bytes(b"")
    items[11][1].unlink()
    outcomes = list(read_files(items, workers=workers))
    assert [(i, p) for i, p, _ in outcomes] == items
    failed = [n for n, (_, _, got) in enumerate(outcomes) if isinstance(got, ReadError)]
    assert failed == [7, 11]


def test_one_process_reads_many_files(tmp_path: Path) -> None:
    pids = set()
    worker = Worker(Limits())
    for document_id, path in many(tmp_path, 5):
        worker.read(path, document_id)
        assert worker._process is not None
        pids.add(worker._process.pid)
    worker.close()
    assert len(pids) == 1


def test_a_process_started_by_a_large_one_is_kept(tmp_path: Path) -> None:
    ballast = bytearray(700_000_000)  # over half of what a worker may use
    ballast[::4096] = b"x" * len(range(0, len(ballast), 4096))
    test_one_process_reads_many_files(tmp_path)
    assert len(ballast)


def test_a_lost_process_costs_no_file(tmp_path: Path) -> None:
    (first, path), (second, other) = many(tmp_path, 2)
    worker = Worker(Limits())
    worker.read(path, first)
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    assert worker.read(other, second).text == "document 1"
    worker.close()


def test_processes_end_with_the_iteration(tmp_path: Path) -> None:
    def reading() -> list[psutil.Process]:
        children = psutil.Process().children()
        return [c for c in children if "rag.read.worker" in " ".join(c.cmdline())]

    outcomes = read_files(many(tmp_path, 30), workers=2)
    next(outcomes)
    assert reading()
    assert isinstance(outcomes, Iterator)
    outcomes.close()  # type: ignore[attr-defined]
    assert not reading()


def swapped(data: bytes, member: str, content: bytes) -> bytes:
    """The zip archive `data`, unpacked, with `content` in the place of `member`."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name, content if name == member else source.read(name))
    return out.getvalue()


def test_a_parse_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    row = b"<row>" + b"<c><v>1</v></c>" * 20 + b"</row>"
    space = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    sheet = b"<worksheet %s><sheetData>%s</sheetData></worksheet>" % (space, row * 100_000)
    book = io.BytesIO()
    openpyxl.Workbook().save(book)  # 100,000 rows take some ten seconds
    data = swapped(book.getvalue(), "xl/worksheets/sheet1.xml", sheet)
    (tmp_path / "b.xlsx").write_bytes(data)
    (tmp_path / "c.txt").write_text("healthy")
    (tmp_path / "a.txt").write_text("healthy")
    started = time.monotonic()
    files = find_files(tmp_path).files
    a, b, c = [got for _, _, got in read_files(files, Limits(seconds=1.5))]
    assert isinstance(a, Document) and isinstance(c, Document)
    assert isinstance(b, ReadError) and "takes longer than 1.5 s" in str(b)
    assert time.monotonic() - started < 15


@linux
def test_a_parse_that_eats_memory_is_ended(tmp_path: Path) -> None:
    body = b"<w:p><w:r><w:t>some words 1</w:t></w:r></w:p>" * 700_000  # 32 MB, a tree of 500 MB
    space = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    content = b"<w:document %s><w:body>%s</w:body></w:document>" % (space, body)
    plain = io.BytesIO()
    docx.Document().save(plain)
    (tmp_path / "b.docx").write_bytes(swapped(plain.getvalue(), "word/document.xml", content))
    (tmp_path / "a.txt").write_text("healthy")
    (tmp_path / "c.txt").write_text("healthy")
    a, b, c = [got for _, _, got in read_files(find_files(tmp_path).files, Limits(memory_mb=300))]
    assert isinstance(a, Document) and isinstance(c, Document)
    assert isinstance(b, ReadError) and "300 MB" in str(b)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"text": None, "marks": None}, id="nothing"),
        pytest.param({"marks": [{"start": 9, "kind": "page", "number": 1, "label": ""}]}, id="end"),
        pytest.param({"marks": [{"start": 0, "kind": "x", "number": 1, "label": ""}]}, id="kind"),
        pytest.param({"date": 5}, id="date"),
    ],
)
def test_answers_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    good = {"text": "ab", "title": "", "date": None, "media_type": "text/plain", "marks": []}
    assert _document({"document": good}, "a", Limits()).text == "ab"
    with pytest.raises(ReadError, match="nonsense"):
        _document({"document": good | change}, "a", Limits())
