"""Collections that are filled, read and removed at the same time: real SQLite, FAISS and files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import HashEmbedder
from hypothesis import given
from hypothesis import strategies as st

from rag.collection import Collection
from rag.embed import Embedding
from rag.errors import CollectionError, InputError, StoreUnavailable
from rag.report import IndexReport
from rag.settings import Settings
from ui.database import Database
from ui.embedding import SharedEmbedder
from ui.indexing import Indexer
from ui.library import Library, Task
from ui.people import People, Person
from ui.uploads import safe_name

EDITOR = Person("eve", "editor", frozenset({"law"}))
READER = Person("rob", "reader", frozenset({"law"}))
OTHER = Person("otto", "editor", frozenset({"sales"}))


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "people.json")


@pytest.fixture
def library(settings: Settings, people: People, tmp_path: Path) -> Iterator[Library]:
    made = Library(settings, people, Database(tmp_path / "chat.db"), HashEmbedder())
    yield made
    made.close()


@pytest.fixture
def papers(library: Library) -> Library:
    """The library with one collection, 'papers', private to the group 'law'."""
    library.create(EDITOR, "papers")
    return library


def settled(library: Library, name: str = "papers") -> Task:
    """The last task, once nothing runs any more."""
    for task in library.tasks(name):
        assert task.ended.wait(20)
    return library.tasks(name)[-1]


def ids(library: Library, name: str = "papers") -> list[str]:
    with library.view(name) as collection:
        return [one.id for one in collection.documents()]


# File names


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("../../x.txt", "x.txt"),
        ("..\\..\\x.txt", "x.txt"),
        ("/etc/passwd", "passwd"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("a\x00b\r\nc\x1b[31m.md", "ab c[31m.md"),
        (".hidden.txt", "hidden.txt"),
        ("... .txt", "txt"),
        ("CON.txt", "_CON.txt"),
        ("com1.tar.csv", "_com1.tar.csv"),
        ("<img src=x onerror=alert(1)>.txt", "_img src=x onerror=alert(1)_.txt"),
        ("e\u0301te\u0301.txt", "\u00e9t\u00e9.txt"),
        ("Звіт за 2024.docx", "Звіт за 2024.docx"),
        ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
        ("", "document"),
    ],
)
def test_names_of_files_are_made_safe(raw: str, safe: str) -> None:
    assert safe_name(raw) == safe


@given(st.text(max_size=400), st.sampled_from(["", ".txt", ".PDF", ".md"]))
def test_any_name_is_made_safe_and_stays_so(raw: str, ending: str) -> None:
    name = safe_name(raw + ending)
    assert safe_name(name) == name
    assert 0 < len(name.encode()) <= 150
    assert Path(name).name == name and not name.startswith(".")
    assert name.isprintable() and not set(name) & set('\\/:<>"|?*')
    assert safe_name(raw + "x" + ending).endswith(ending)


# Uploading


def test_an_upload_is_indexed_and_replaced_by_the_next_of_its_name(papers: Library) -> None:
    path = papers.upload(EDITOR, "papers", "../a.txt", [b"Rivers ", b"flow."])
    assert path.read_bytes() == b"Rivers flow."
    assert settled(papers).changes["added"] == ["a.txt"]
    papers.upload(EDITOR, "papers", "a.txt", [b"Mountains stand."])
    task = settled(papers)
    assert (task.state, task.report["updated"], task.changes["updated"]) == ("done", 1, ["a.txt"])
    with papers.view("papers") as collection:
        assert collection.document("a.txt").text == "Mountains stand."
        assert collection.search("mountains")[0].document == "a.txt"
    assert [(one.name, one.user, one.state) for one in papers.uploads("papers")] == [
        ("a.txt", "eve", "read")
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("virus.exe", b"MZ", "virus.exe: is of no type that is read"),
        ("noending", b"words", "noending: is of no type that is read"),
        ("blank.txt", b" \n\t", "blank.txt: is empty"),
        ("none.txt", b"", "none.txt: is empty"),
        ("big.txt", b"x" * 1_000_001, "big.txt: is larger than 1 MB"),
    ],
)
def test_what_can_not_be_indexed_is_refused_at_once(
    settings: Settings, people: People, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    small = settings.model_copy(update={"max_file_mb": 1})
    library = Library(small, people, Database(None), HashEmbedder())
    library.create(EDITOR, "papers")
    with pytest.raises(InputError, match=told):
        library.upload(EDITOR, "papers", name, [content[:10], content[10:]])
    assert not library.uploads("papers") and not library.tasks("papers")
    assert not [one for one in (small.chat_folder / "uploads").rglob("*") if one.is_file()]
    library.close()


def test_one_person_may_keep_so_much_and_replace_what_they_have(
    settings: Settings, people: People
) -> None:
    small = settings.model_copy(update={"uploads_mb": 1})
    library = Library(small, people, Database(None), HashEmbedder())
    library.create(EDITOR, "papers")
    most = b"Rivers flow. " * 50_000  # 650,000 bytes of 1,000,000
    library.upload(EDITOR, "papers", "a.txt", [most])
    library.upload(EDITOR, "papers", "a.txt", [most])
    with pytest.raises(InputError, match="b.txt: your uploads would be over 1 MB in all"):
        library.upload(EDITOR, "papers", "b.txt", [most])
    assert [one.name for one in library.uploads("papers")] == ["a.txt"]
    library.close()


def test_a_replacement_that_is_refused_leaves_the_file_as_it_was(papers: Library) -> None:
    path = papers.upload(EDITOR, "papers", "a.txt", [b"Rivers flow."])

    def broken() -> Iterator[bytes]:
        yield b"half of"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        papers.upload(EDITOR, "papers", "a.txt", broken())
    assert path.read_bytes() == b"Rivers flow."


def test_what_fails_stays_listed_until_it_is_replaced_or_deleted(papers: Library) -> None:
    papers.upload(EDITOR, "papers", "bad.pdf", [b"%PDF-1.7 no such thing"])
    papers.upload(EDITOR, "papers", "good.txt", [b"Rivers flow."])
    task = settled(papers)
    failed = papers.uploads("papers")[0]
    assert (failed.name, failed.state) == ("bad.pdf", "failed") and failed.error
    assert task.to_dict()["report"]["failed"] == [{"path": "bad.pdf", "error": failed.error}]
    assert str(papers.settings.indexes) not in str(task.to_dict())
    papers.delete(EDITOR, "papers", [], ["bad.pdf"])
    assert [one.name for one in papers.uploads("papers")] == ["good.txt"]
    assert ids(papers) == ["good.txt"]


def test_uploads_that_were_cut_off_are_read_after_a_restart(
    settings: Settings, people: People, tmp_path: Path
) -> None:
    database = Database(tmp_path / "chat.db")
    first = Library(settings, people, database, HashEmbedder())
    first.create(EDITOR, "papers")
    with first._writes("papers", 1):  # as if another change went on
        first.upload(EDITOR, "papers", "a.txt", [b"Rivers flow."])
        first._indexer.forget("papers")
    first.close()
    second = Library(settings, people, database, HashEmbedder())
    second.resume()
    assert settled(second).state == "done"
    assert ids(second) == ["a.txt"] and second.uploads("papers")[0].state == "read"
    second.close()


# Reading folders again


def test_a_folder_that_is_read_again_says_what_changed(
    papers: Library, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder("reports", {"a.txt": "Rivers.", "b.txt": "Hills.", "c.txt": "Lakes."})
    with Collection.open("papers", papers.settings, embedder=HashEmbedder()) as collection:
        collection.update(folder)
    papers.upload(EDITOR, "papers", "u.txt", [b"Uploaded."])
    settled(papers)
    (folder / "a.txt").write_text("Rivers and seas.")
    (folder / "b.txt").unlink()
    (folder / "d.txt").write_text("Deserts.")
    task = papers.index(EDITOR, "papers")
    assert task.ended.wait(20)
    assert {kind: names for kind, names in task.changes.items() if names} == {
        "added": ["d.txt"],
        "updated": ["a.txt"],
        "removed": ["b.txt"],
    }
    assert ids(papers) == ["a.txt", "c.txt", "d.txt", "u.txt"]
    papers.delete(EDITOR, "papers", ["c.txt", "u.txt"])
    assert ids(papers) == ["a.txt", "d.txt"] and (folder / "c.txt").exists()
    assert papers.index(EDITOR, "papers", folder.resolve()).ended.wait(20)
    assert ids(papers) == ["a.txt", "c.txt", "d.txt"]  # it is still in its folder
    with pytest.raises(InputError, match="no folder that 'papers' was made from"):
        papers.index(EDITOR, "papers", Path("/etc"))


def test_a_folder_that_is_gone_is_named_and_the_rest_is_read(
    papers: Library, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder("gone", {"a.txt": "Rivers."})
    with Collection.open("papers", papers.settings, embedder=HashEmbedder()) as collection:
        collection.update(folder)
    papers.upload(EDITOR, "papers", "u.txt", [b"Uploaded."])
    settled(papers)
    folder.rename(folder.with_name("elsewhere"))
    task = papers.index(EDITOR, "papers")
    assert task.ended.wait(20)
    assert (task.state, task.error) == ("failed", "gone: no such file or folder")
    assert task.report["unchanged"] == 1


class SlowEmbedder(HashEmbedder):
    """Waits at every call for as long as `go` is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.began = threading.Event()

    def embed(self, texts: Sequence[str], *rest: Any, **named: Any) -> list[Embedding]:
        self.began.set()
        assert self.go.wait(20)
        return super().embed(texts, *rest, **named)


@pytest.fixture
def slow(settings: Settings, people: People) -> Iterator[tuple[Library, SlowEmbedder]]:
    embedder = SlowEmbedder()
    library = Library(settings, people, Database(None), embedder)
    library.create(EDITOR, "papers")
    yield library, embedder
    embedder.go.set()
    library.close()


def test_lists_never_wait_for_indexing_and_several_uploads_make_one_run(
    slow: tuple[Library, SlowEmbedder],
) -> None:
    library, embedder = slow
    library.upload(EDITOR, "papers", "a.txt", [b"Rivers."])
    assert embedder.began.wait(20)
    for name in ("b.txt", "c.txt"):
        library.upload(EDITOR, "papers", name, [b"Hills and lakes."])
    began = time.monotonic()
    assert ids(library) == [] and library.reader("papers").counts() == (0, 0)
    assert time.monotonic() - began < 5
    assert [task.state for task in library.tasks("papers")] == ["running", "waiting"]
    with pytest.raises(CollectionError, match="is being read in"):
        library.delete(EDITOR, "papers", [], ["a.txt"])
    embedder.go.set()
    assert settled(library).changes["added"] == ["b.txt", "c.txt"]
    first = library.tasks("papers")[0]
    assert (first.state, first.done, first.total) == ("done", 1, 1)


def test_a_collection_is_removed_while_it_is_being_read(
    slow: tuple[Library, SlowEmbedder], make_folder: Callable[..., Path]
) -> None:
    library, embedder = slow
    gone: list[str] = []
    library.on_removed.append(gone.append)
    for n in range(3):
        library.upload(EDITOR, "papers", f"{n}.txt", [b"Rivers flow."])
    reader = library.reader("papers")
    assert embedder.began.wait(20)
    threading.Timer(0.2, embedder.go.set).start()
    with library.view("papers") as open_still:
        library.remove(EDITOR, "papers")
        assert open_still.documents() is not None
    assert gone == ["papers"] and library.names(EDITOR) == []
    assert not (library.settings.chat_folder / "uploads" / "papers").exists()
    for use in (library.reader, lambda name: library.view(name).__enter__()):
        with pytest.raises(CollectionError, match="there is no collection 'papers'"):
            use("papers")
    library.create(OTHER, "papers")
    assert library.reader("papers") is not reader and library.uploads("papers") == []
    assert library.names(EDITOR) == [] and library.names(OTHER) == ["papers"]


def test_a_file_that_a_kill_left_without_its_row_is_read_at_the_next_start(
    papers: Library, settings: Settings, people: People, tmp_path: Path
) -> None:
    path = papers.upload(EDITOR, "papers", "a.txt", [b"Rivers flow."])
    settled(papers)
    assert papers.uploads("papers")[0].state == "read"
    path.write_bytes(b"Rivers flow into the sea.")  # and the program was killed before the row
    papers.close()
    again = Library(settings, people, Database(tmp_path / "chat.db"), HashEmbedder())
    again.resume()
    settled(again)
    with again.view("papers") as collection:
        assert collection.document("a.txt").text == "Rivers flow into the sea."
    again.close()


def test_each_thread_that_answers_has_a_connection_of_its_own(papers: Library) -> None:
    mine = papers.reader("papers")
    theirs: list[Collection] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: theirs.append(papers.reader("papers")))
        thread.start()
        thread.join()
    assert papers.reader("papers") is mine and mine not in theirs
    papers.close()
    for one in (mine, *theirs):
        with pytest.raises(Exception, match="closed"):
            one.counts()


# Rights


def test_a_new_collection_is_private_to_the_groups_of_who_made_it(papers: Library) -> None:
    assert papers.names(EDITOR) == papers.names(READER) == ["papers"]
    assert papers.names(OTHER) == []
    for person in (READER, OTHER):
        for change in (
            lambda who: papers.upload(who, "papers", "a.txt", [b"x"]),
            lambda who: papers.delete(who, "papers", []),
            lambda who: papers.index(who, "papers"),
            lambda who: papers.remove(who, "papers"),
        ):
            with pytest.raises(InputError, match="may not change"):
                change(person)
    with pytest.raises(InputError, match="may not change"):
        papers.create(READER, "mine")
    with pytest.raises(InputError, match="already"):
        papers.create(EDITOR, "papers")
    for name in ("../up", ".chat", "", "a/b", "a" * 65, "papers\n"):
        with pytest.raises(InputError, match="a collection's name"):
            papers.create(EDITOR, name)


def test_damaged_collections_are_named_and_refuse(papers: Library) -> None:
    folder = papers.settings.indexes / "broken"
    folder.mkdir()
    (folder / "collection.db").write_bytes(b"no database" * 100)
    assert papers.names(EDITOR) == ["papers", "broken"]
    with pytest.raises(CollectionError, match="damaged"), papers.view("broken"):
        pass


def test_what_one_person_uploaded_can_be_erased(papers: Library) -> None:
    friend = Person("finn", "editor", frozenset({"law"}))
    papers.upload(EDITOR, "papers", "mine.txt", [b"Rivers."])
    papers.upload(friend, "papers", "theirs.txt", [b"Hills."])
    settled(papers)
    assert papers.remove_uploads("eve") == 1 and papers.remove_uploads("eve") == 0
    assert ids(papers) == ["theirs.txt"]
    folder = papers.settings.chat_folder / "uploads" / "papers"
    assert [one.name for one in folder.iterdir()] == ["theirs.txt"]


def test_a_question_comes_in_between_the_parts_of_a_library() -> None:
    order: list[int] = []
    holding = threading.Event()

    class Noting(HashEmbedder):
        def embed(self, texts: Sequence[str], *rest: Any, **named: Any) -> list[Embedding]:
            order.append(len(texts))
            holding.set()
            time.sleep(0.1)
            return super().embed(texts, *rest, **named)

    shared = SharedEmbedder(Noting)
    indexing = threading.Thread(target=shared.embed, args=([f"text {n}" for n in range(130)],))
    indexing.start()
    assert holding.wait(5)
    shared.embed(["question"])
    indexing.join()
    assert order == [64, 1, 64, 2]


def test_uploads_that_came_through_another_disk_stay(
    settings: Settings, people: People, tmp_path: Path
) -> None:
    """Services that share a database have upload folders of their own, at the same path."""
    for number, (name, content) in enumerate([("a.txt", b"Rivers flow."), ("b.txt", b"Ice.")]):
        library = Library(settings, people, Database(tmp_path / f"{number}.db"), HashEmbedder())
        if number == 0:
            library.create(EDITOR, "papers")
        library.upload(EDITOR, "papers", name, [content])
        assert settled(library).changes["removed"] == []
        if number == 0:
            (settings.chat_folder / "uploads").rename(tmp_path / "the disk of the first")
        else:
            assert ids(library) == ["a.txt", "b.txt"]
            library.delete(EDITOR, "papers", ["a.txt"])
            assert ids(library) == ["b.txt"]
        library.close()


@pytest.mark.parametrize(("away", "state"), [(2, "done"), (3, "failed")])
def test_a_store_that_is_away_for_a_while_is_tried_again(
    tmp_path: Path, away: int, state: str
) -> None:
    tries: list[Path] = []

    def update(name: str, source: Path, progress: Any) -> IndexReport:
        tries.append(source)
        if len(tries) <= away:
            raise StoreUnavailable("the server is away")
        return IndexReport(added=1)

    indexer = Indexer(update, lambda task, failed: None, pauses_s=(0.01, 0.01))
    task = indexer.ask("papers", [tmp_path])
    assert task.ended.wait(10)
    assert (task.state, len(tries)) == (state, 3)
    indexer.close()


def test_waiting_for_a_store_ends_with_the_program(tmp_path: Path) -> None:
    begun = threading.Event()

    def update(name: str, source: Path, progress: Any) -> IndexReport:
        begun.set()
        raise StoreUnavailable("the server is away")

    indexer = Indexer(update, lambda task, failed: None)
    task = indexer.ask("papers", [tmp_path])
    assert begun.wait(10)
    began = time.monotonic()
    indexer.close()
    assert task.ended.is_set() and task.error == "was stopped"
    assert time.monotonic() - began < 0.9  # the first pause is longer
