"""Folders into collections: what is new, changed, moved or gone, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest
from fakes import HashEmbedder

from rag import lock
from rag.collection import Collection, IndexReport, Progress
from rag.errors import CollectionError, InputError
from rag.ingest import read_jobs, stage_batch
from rag.plan import Found
from rag.records import Document
from rag.settings import Settings

Make = Callable[..., Path]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")

ANIMALS: dict[str, str | bytes] = {
    "cats.txt": "Cats purr when they are content.\n",
    "dogs.md": "# Dogs\n\nDogs bark at strangers.\n",
    "more/owls.txt": "Owls hoot in the dark forest.\n",
}


def counted(report: IndexReport) -> tuple[int, int, int, int, int]:
    done = (report.added, report.updated, report.unchanged, report.removed)
    return (*done, len(report.failed))


def ids(collection: Collection) -> list[str]:
    return [one.id for one in collection.documents()]


def texts(collection: Collection) -> dict[str, str]:
    return {one: collection.document(one).text for one in ids(collection)}


def found(collection: Collection, question: str) -> str:
    """The text of the best hit, checked against its document."""
    hit = collection.search(question, 1)[0]
    assert collection.document(hit.document).text[hit.start : hit.end] == hit.text
    return hit.text


def test_a_folder_goes_in_with_relative_ids(opened: Collection, make_folder: Make) -> None:
    report = opened.update(make_folder("zoo", ANIMALS))
    assert counted(report) == (3, 0, 0, 0, 0)
    assert (report.documents, report.chunks) == (3, 3)
    assert ids(opened) == ["cats.txt", "dogs.md", "more/owls.txt"]
    assert "hoot" in found(opened, "Which owls hoot in the forest?")


def test_a_document_may_be_one_passage(settings: Settings) -> None:
    text = "Owls hoot in the dark. " * 400
    sizes = {}
    for whole in (False, True):
        chosen = settings.model_copy(update={"whole_documents": whole})
        document = Document("owls.txt", text)
        with Collection.temporary([document], chosen, embedder=HashEmbedder()) as collection:
            hits = collection.search("Which owls hoot?", 5)
            sizes[whole] = [len(hit.text) for hit in hits]
    assert len(sizes[False]) >= 1
    assert max(sizes[False]) < len(text) / 2
    assert sizes[True] == [len(text.strip())]


def test_unchanged_files_cost_nothing(
    opened: Collection, make_folder: Make, embedder: HashEmbedder
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    before, generation = embedder.embedded, opened.generation
    assert counted(opened.update(zoo)) == (0, 0, 3, 0, 0)
    assert (embedder.embedded, opened.generation) == (before, generation)


def test_a_file_written_again_with_the_same_content_is_unchanged(
    opened: Collection, make_folder: Make, embedder: HashEmbedder
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    before, generation = embedder.embedded, opened.generation
    os.utime(zoo / "cats.txt", (1, 1))
    assert counted(opened.update(zoo)) == (0, 0, 3, 0, 0)
    assert (embedder.embedded, opened.generation) == (before, generation)


def test_a_changed_file_replaces_its_old_version(
    opened: Collection, make_folder: Make, embedder: HashEmbedder
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    before = embedder.embedded
    (zoo / "cats.txt").write_text("Cats sleep all day.\n")
    assert counted(opened.update(zoo)) == (0, 1, 2, 0, 0)
    assert embedder.embedded == before + 1
    assert opened.document("cats.txt").text == "Cats sleep all day.\n"
    assert not any("purr" in hit.text for hit in opened.search("cats purr content", 50))


def test_a_removed_file_is_in_neither_search(opened: Collection, make_folder: Make) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    (zoo / "dogs.md").unlink()
    report = opened.update(zoo)
    assert (counted(report), report.documents) == ((0, 0, 2, 1, 0), 2)
    hits = opened.search("dogs bark at strangers", 50)
    assert {hit.document for hit in hits} == {"cats.txt", "more/owls.txt"}
    assert all(hit.why["words"] == 0 for hit in hits)
    with pytest.raises(InputError, match=r"dogs\.md"):
        opened.document("dogs.md")


def test_a_renamed_file_is_not_embedded_again(
    opened: Collection, make_folder: Make, embedder: HashEmbedder
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    before = embedder.embedded
    (zoo / "cats.txt").rename(zoo / "more" / "felines.txt")
    assert counted(opened.update(zoo)) == (0, 0, 3, 0, 0)
    assert embedder.embedded == before
    assert ids(opened) == ["dogs.md", "more/felines.txt", "more/owls.txt"]
    assert opened.search("cats purr content", 1)[0].document == "more/felines.txt"
    assert counted(opened.update(zoo)) == (0, 0, 3, 0, 0)


def test_a_title_made_from_the_name_follows_the_name(opened: Collection, make_folder: Make) -> None:
    zoo = make_folder(
        "zoo", {"old_name.txt": "One line only, too long or not.", "b.md": "# Kept\n\nX y."}
    )
    opened.update(zoo)
    (zoo / "old_name.txt").rename(zoo / "new_name.txt")
    (zoo / "b.md").rename(zoo / "c.md")
    opened.update(zoo)
    assert {one.id: one.title for one in opened.documents()} == {
        "new_name.txt": "new name",
        "c.md": "Kept",
    }


def test_names_that_swap_or_move_up_are_not_embedded_again(
    opened: Collection, make_folder: Make, embedder: HashEmbedder
) -> None:
    logs = make_folder(
        "logs", {"1.txt": "First entry.", "2.txt": "Second entry.", "3.txt": "Third entry."}
    )
    opened.update(logs)
    before = embedder.embedded
    (logs / "3.txt").rename(logs / "4.txt")
    (logs / "1.txt").rename(logs / "swap")
    (logs / "2.txt").rename(logs / "1.txt")
    (logs / "swap").rename(logs / "2.txt")
    (logs / "3.txt").write_text("New entry.")
    assert counted(opened.update(logs)) == (0, 1, 3, 0, 0)
    assert embedder.embedded == before + 1
    assert texts(opened) == {
        "1.txt": "Second entry.",
        "2.txt": "First entry.",
        "3.txt": "New entry.",
        "4.txt": "Third entry.",
    }


def test_what_changed_is_named(opened: Collection, make_folder: Make) -> None:
    zoo = make_folder("zoo", {"b.txt": "Bees.", "a.txt": "Ants.", "c.txt": "Cows.", "k.txt": "K."})
    first = opened.update(zoo)
    added = ["a.txt", "b.txt", "c.txt", "k.txt"]
    assert first.changes == {"added": added, "updated": [], "removed": [], "moved": []}
    (zoo / "a.txt").rename(zoo / "z.txt")
    (zoo / "b.txt").write_text("Bumblebees.")
    (zoo / "c.txt").unlink()
    (zoo / "n.txt").write_text("New.")
    second = opened.update(zoo)
    assert counted(second) == (1, 1, 2, 1, 0)
    assert second.changes == {
        "added": ["n.txt"],
        "updated": ["b.txt"],
        "removed": ["c.txt"],
        "moved": ["z.txt"],
    }
    given = [Document("y", "Yaks."), Document("x", "Oxen.")]
    assert opened.put(given, "given").changes["added"] == ["x", "y"]
    given = [Document("y", "Yaks and more.")]
    assert opened.put(given, "given").changes == {
        "added": [],
        "updated": ["y"],
        "removed": ["x"],
        "moved": [],
    }


def test_the_list_of_documents_is_as_new_as_the_collection(
    opened: Collection, settings: Settings, make_folder: Make, embedder: HashEmbedder
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    held = {one.id: one.stamp for one in opened.documents()}
    opened.documents().clear()
    assert len(opened.documents()) == 3
    os.utime(zoo / "cats.txt", (1, 1))
    opened.update(zoo)
    assert opened.documents()[0].stamp != held["cats.txt"]
    with Collection.open("papers", settings, embedder=embedder) as other:
        other.forget(["cats.txt"])
    assert ids(opened) == ["dogs.md", "more/owls.txt"]


def test_a_new_ending_means_another_reader(opened: Collection, make_folder: Make) -> None:
    zoo = make_folder("zoo", {"a.txt": "# Heading\n\nSome words here.\n"})
    opened.update(zoo)
    assert opened.document("a.txt").marks == ()
    (zoo / "a.txt").rename(zoo / "a.md")
    opened.update(zoo)
    assert [mark.label for mark in opened.document("a.md").marks] == ["Heading"]


def test_copies_are_documents_of_their_own(opened: Collection, make_folder: Make) -> None:
    zoo = make_folder("zoo", {"a.txt": "The same words.", "b.txt": "The same words."})
    opened.update(zoo)
    (zoo / "a.txt").rename(zoo / "c.txt")
    (zoo / "b.txt").rename(zoo / "d.txt")
    assert counted(opened.update(zoo)) == (0, 0, 2, 0, 0)
    assert texts(opened) == dict.fromkeys(("c.txt", "d.txt"), "The same words.")


def test_a_single_file_is_called_by_its_name(opened: Collection, make_folder: Make) -> None:
    opened.update(make_folder("zoo", ANIMALS) / "more" / "owls.txt")
    assert ids(opened) == ["owls.txt"]


def test_a_single_file_and_then_its_folder(
    opened: Collection, make_folder: Make, embedder: HashEmbedder
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo / "cats.txt")
    report = opened.update(zoo)
    assert counted(report) == (2, 0, 1, 0, 0)
    assert ids(opened) == ["cats.txt", "dogs.md", "more/owls.txt"]
    assert embedder.embedded == 3
    (zoo / "cats.txt").unlink()
    assert counted(opened.update(zoo)) == (0, 0, 2, 1, 0)


def test_a_folder_and_then_one_of_its_files(opened: Collection, make_folder: Make) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    assert counted(opened.update(zoo / "more" / "owls.txt")) == (0, 0, 1, 0, 0)
    assert counted(opened.update(zoo / "more")) == (0, 0, 1, 0, 0)
    assert ids(opened) == sorted(ANIMALS)
    (zoo / "more" / "owls.txt").unlink()
    # Gone from the folder, whatever it was indexed with last.
    assert counted(opened.update(zoo)) == (0, 0, 2, 1, 0)


def test_an_identifier_that_is_taken_stays_with_its_file(
    opened: Collection, make_folder: Make
) -> None:
    zoo = make_folder("zoo", {"sub/new.md": "Below."})
    opened.update(zoo / "sub" / "new.md")
    (zoo / "new.md").write_text("Above.")
    opened.update(zoo)
    assert texts(opened) == {"new.md": "Below.", "zoo/new.md": "Above."}


def test_two_folders_with_the_same_names(opened: Collection, make_folder: Make) -> None:
    one = make_folder("one", {"a.txt": "From one.", "b.txt": "Only in one."})
    two = make_folder("two", {"a.txt": "From two."})
    opened.update(one)
    assert counted(opened.update(two)) == (1, 0, 0, 0, 0)
    assert texts(opened) == {
        "a.txt": "From one.",
        "b.txt": "Only in one.",
        "two/a.txt": "From two.",
    }
    # Each is refreshed by itself and leaves the other's in place.
    (one / "a.txt").unlink()
    assert counted(opened.update(two)) == (0, 0, 1, 0, 0)
    assert counted(opened.update(one)) == (0, 0, 1, 1, 0)
    assert texts(opened) == {"b.txt": "Only in one.", "two/a.txt": "From two."}


def test_folders_of_one_name_in_three_places(opened: Collection, make_folder: Make) -> None:
    for place in ("x", "y", "z"):
        opened.update(make_folder(f"{place}/docs", {"a.txt": f"From {place}."}))
    assert texts(opened) == {"a.txt": "From x.", "docs/a.txt": "From y.", "z/docs/a.txt": "From z."}


def test_a_prefixed_name_that_is_taken_too(opened: Collection, make_folder: Make) -> None:
    opened.update(make_folder("one", {"a.txt": "From one."}))
    opened.update(make_folder("p/two", {"a.txt": "From two.", "two/a.txt": "From two/two."}))
    assert sorted(texts(opened).values()) == ["From one.", "From two.", "From two/two."]
    assert ids(opened)[:2] == ["a.txt", "p/two/a.txt"]


def test_an_unreadable_file_keeps_its_old_version(opened: Collection, make_folder: Make) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    (zoo / "cats.txt").write_bytes(b"%PDF-1.7 not text at all")
    report = opened.update(zoo)
    assert counted(report) == (0, 0, 2, 0, 1)
    assert report.failed[0]["path"].endswith("cats.txt")
    assert "PDF" in report.failed[0]["error"]
    assert "purr" in opened.document("cats.txt").text
    (zoo / "cats.txt").write_text("Cats are back.")
    assert counted(opened.update(zoo)) == (0, 1, 2, 0, 0)


def test_one_bad_file_does_not_stop_the_rest(opened: Collection, make_folder: Make) -> None:
    zoo = make_folder(
        "zoo", {**ANIMALS, "bad.pdf": b"%PDF-1.7\nbroken", "empty.txt": b"", "x.exe": b"MZ"}
    )
    report = opened.update(zoo)
    assert counted(report) == (3, 0, 0, 0, 2)
    assert [Path(one["path"]).name for one in report.failed] == ["bad.pdf", "empty.txt"]
    assert [one["path"] for one in report.skipped] == ["x.exe"]


@posix
@pytest.mark.skipif(sys.platform != "win32" and os.getuid() == 0, reason="root may list any folder")
def test_a_folder_that_can_not_be_listed_keeps_its_documents(
    opened: Collection, make_folder: Make
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    (zoo / "more").chmod(0)
    try:
        assert counted(opened.update(zoo)) == (0, 0, 2, 0, 0)
    finally:
        (zoo / "more").chmod(0o755)
    assert ids(opened) == sorted(ANIMALS)


def test_a_file_that_was_hidden_from_the_listing_is_not_gone(
    opened: Collection, make_folder: Make
) -> None:
    hidden = make_folder("zoo/.kept", {"a.txt": "Indexed by its own name."})
    opened.update(hidden)
    assert counted(opened.update(hidden.parent)) == (0, 0, 0, 0, 0)
    assert ids(opened) == ["a.txt"]


def test_an_empty_folder_makes_an_empty_collection(opened: Collection, make_folder: Make) -> None:
    assert counted(opened.update(make_folder("empty", {}))) == (0, 0, 0, 0, 0)
    assert opened.search("anything at all") == []


def test_a_path_that_does_not_exist(opened: Collection, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such file or folder"):
        opened.update(tmp_path / "nowhere")


@posix
def test_odd_names(opened: Collection, make_folder: Make) -> None:
    names = [
        "with space.txt",
        "quote'\".txt",
        "100%.txt",
        "né.txt",
        "ne\u0301e.txt",
        "a\nb.txt",
        "😀.md",
    ]
    zoo = make_folder("zoo", {name: f"Text of file {n}." for n, name in enumerate(names)})
    try:
        Path(os.fsdecode(os.fsencode(zoo) + b"/latin\xe9.txt")).write_text(
            "Bytes that are no UTF-8."
        )
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    report = opened.update(zoo)
    assert counted(report) == (len(names) + 1, 0, 0, 0, 0)
    assert set(ids(opened)) >= {"with space.txt", "né.txt", "née.txt", "😀.md", "latin\\udce9.txt"}
    assert opened.document("latin\\udce9.txt").text == "Bytes that are no UTF-8."
    assert counted(opened.update(zoo)) == (0, 0, len(names) + 1, 0, 0)


def test_text_keeps_its_characters(opened: Collection, make_folder: Make) -> None:
    raw = "Tabs\tand  two spaces.\r\nCafe\u0301 — “quoted” 😀.\r\n\r\n  Indented.\n"
    zoo = make_folder("zoo", {"a.txt": raw})
    opened.update(zoo)
    expected = "Tabs\tand  two spaces.\nCafé — “quoted” 😀.\n\n  Indented.\n"
    assert opened.document("a.txt").text == expected
    for hit in opened.search("quoted café spaces", 10):
        assert expected[hit.start : hit.end] == hit.text


def test_work_that_was_staged_is_taken_up(settings: Settings, make_folder: Make) -> None:
    """A run that dies after embedding leaves what it did to the next one."""
    zoo = make_folder("zoo", ANIMALS)

    def die(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as first:
        with pytest.raises(KeyboardInterrupt):
            first.update(zoo, die)
        assert ids(first) == []
    second_embedder = HashEmbedder()
    (zoo / "dogs.md").write_text("Dogs changed meanwhile.")
    with Collection.open("papers", settings, embedder=second_embedder) as second:
        assert counted(second.update(zoo)) == (3, 0, 0, 0, 0)
        assert second_embedder.calls == [["Dogs changed meanwhile."]]
        assert ids(second) == sorted(ANIMALS)


def test_staged_work_of_another_folder_is_not_taken_up(
    settings: Settings, make_folder: Make
) -> None:
    one = make_folder("one", {"a.txt": "Twins."})
    two = make_folder("two", {"a.txt": "Twins."})

    def die(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as collection:
        with pytest.raises(KeyboardInterrupt):
            collection.update(one, die)
        collection.update(two)
        assert [one.path for one in collection.documents()] == [str((two / "a.txt").resolve())]


def test_another_embedder_is_refused_with_the_command_that_embeds_again(
    settings: Settings, make_folder: Make
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as first:
        first.update(zoo)
    other = settings.model_copy(update={"embedder": "some/other"})
    with pytest.raises(CollectionError, match=r"'minilm'.*footnote upgrade -c papers --embedder"):
        Collection.open("papers", other, embedder=HashEmbedder())
    with Collection.open("papers", other, rebuild=True, embedder=HashEmbedder()) as again:
        assert ids(again) == []
        assert counted(again.update(zoo)) == (3, 0, 0, 0, 0)


def test_a_collection_that_is_not_there(settings: Settings) -> None:
    with pytest.raises(
        CollectionError, match=r"no collection 'papers'.*footnote index FOLDER -c papers"
    ):
        Collection.open("papers", settings)
    assert not settings.indexes.exists()


def test_indexes_that_can_not_be_made(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = settings.model_copy(update={"indexes": tmp_path / "file"})
    with pytest.raises(CollectionError, match="FOOTNOTE_INDEXES"):
        Collection.open("papers", blocked, create=True, embedder=HashEmbedder())


def test_removing_a_collection_leaves_nothing(settings: Settings, make_folder: Make) -> None:
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as first:
        first.update(make_folder("zoo", ANIMALS))
    Collection.remove("papers", settings)
    assert [file.name for file in settings.indexes.iterdir()] in ([], [".papers.lock"])


def test_put_replaces_what_came_from_the_same_source(opened: Collection, make_folder: Make) -> None:
    opened.update(make_folder("zoo", ANIMALS))
    first = [Document("m1", "Mars has two moons."), Document("m2", "Venus has none.")]
    assert counted(opened.put(first, "given")) == (2, 0, 0, 0, 0)
    assert counted(opened.put(first, "given")) == (0, 0, 2, 0, 0)
    second = [Document("m2", "Venus has no moon."), Document("m3", "Saturn has rings.")]
    assert counted(opened.put(second, "given")) == (1, 1, 0, 1, 0)
    assert ids(opened) == ["cats.txt", "dogs.md", "m2", "m3", "more/owls.txt"]
    assert opened.document("m2").text == "Venus has no moon."


def test_a_temporary_collection_holds_the_last_documents_only(settings: Settings) -> None:
    with Collection.temporary([], settings, embedder=HashEmbedder()) as scratch:
        for n in range(5):
            scratch.put(
                [Document(f"d{n}", f"Only fact {n} counts."), Document("same", f"Version {n}.")],
                "given",
            )
            hits = scratch.search("Which fact counts in this version?", 50)
            assert {hit.document: hit.text for hit in hits} == {
                f"d{n}": f"Only fact {n} counts.",
                "same": f"Version {n}.",
            }
        scratch.put([], "given")
        assert scratch.search("fact") == []


def test_given_text_is_taken_unaltered(settings: Settings) -> None:
    text = "Cafe\u0301 one.\r\nNul\0here is text.\r\n\r\nThe ﬁnal 😀 line\u2028goes on."
    with Collection.temporary([Document("d", text)], settings, embedder=HashEmbedder()) as scratch:
        assert scratch.document("d").text == text
        hits = scratch.search("final line")
        assert [text[hit.start : hit.end] for hit in hits] == [hit.text for hit in hits]
        assert "".join(text.split()) == "".join("".join(hit.text for hit in hits).split())


@pytest.mark.parametrize("bad", ["a", "lone\ud800"], ids=["twice", "surrogate"])
def test_given_identifiers_must_be_usable(settings: Settings, bad: str) -> None:
    documents = [Document("a", "One."), Document(bad, "Two.")]
    with pytest.raises(InputError, match="identifier of its own"):
        Collection.temporary(documents, settings, embedder=HashEmbedder())


def test_half_a_surrogate_pair_does_no_harm(settings: Settings) -> None:
    document = Document("d", "Broken \ud83d emoji here.", "Title \udc00")
    with Collection.temporary([document], settings, embedder=HashEmbedder()) as scratch:
        [hit] = scratch.search("broken \ud83d emoji")
        assert hit.text == "Broken ? emoji here."


@pytest.mark.parametrize("question", ["", "  \n"], ids=repr)
def test_an_empty_question(opened: Collection, question: str) -> None:
    with pytest.raises(InputError, match="question is empty"):
        opened.search(question)


def test_a_second_writer_gets_a_clear_line(
    opened: Collection, settings: Settings, make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = make_folder("zoo", ANIMALS)
    opened.update(zoo)
    monkeypatch.setattr(lock, "_WAIT_FOR_WRITER_S", 0.1)
    with filelock.FileLock(settings.indexes / ".papers.lock"):
        for write in (
            lambda: opened.update(zoo),
            lambda: opened.put([], "given"),
            lambda: opened.forget(["cats.txt"]),
            lambda: Collection.remove("papers", settings),
        ):
            with pytest.raises(
                CollectionError, match="'papers' is being written by another process"
            ):
                write()
        assert len(opened.search("cats purr")) == 3  # readers go on


def _update(settings: Settings, folder: Path) -> None:
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as collection:
        collection.update(folder)


def test_two_processes_that_write_at_once_take_turns(settings: Settings, make_folder: Make) -> None:
    one = make_folder("one", {f"a{n}.txt": f"File a{n} of one." for n in range(20)})
    two = make_folder("two", {f"b{n}.txt": f"File b{n} of two." for n in range(20)})
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_update, args=(settings, path)) for path in (one, one, two)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    with Collection.open("papers", settings, embedder=HashEmbedder()) as collection:
        assert len(ids(collection)) == 40
        assert counted(collection.update(one)) == (0, 0, 20, 0, 0)


def test_progress_reaches_the_end(opened: Collection, make_folder: Make) -> None:
    seen: list[tuple[int, int]] = []
    zoo = make_folder("zoo", {f"{n}.txt": f"File number {n}." for n in range(70)})
    opened.update(zoo, lambda done, total: seen.append((done, total)))
    assert seen == [(64, 70), (70, 70)]


def test_retrieval_is_of_one_generation(opened: Collection) -> None:
    opened.put([Document("d", "A single fact.")], "given")
    result = opened.retrieve("single fact")
    assert (result.generation, result.collection, result.embedder) == (
        opened.generation,
        "papers",
        "hash",
    )
    started = time.perf_counter()
    opened.retrieve("single fact")
    assert time.perf_counter() - started < 1


def test_what_is_not_staged_is_told_with_the_reason_or_without(
    opened: Collection, make_folder: Make
) -> None:
    """Who stages elsewhere may say why a file failed, or be lost without a word."""
    folder = make_folder("files", {"a.txt": "One.", "b.txt": "Two.", "c.txt": "Three."})

    def staging(todo: list[Found], source: str, progress: Progress) -> list[dict[str, str]]:
        assert [one.id for one in todo] == ["a.txt", "b.txt", "c.txt"]
        assert source == str(folder)
        jobs = read_jobs([todo[2]], source, opened.settings, [])
        stage_batch(list(jobs), opened._store, opened.embedder, opened.settings)
        reason = "is damaged: get a whole copy"
        return [{"path": str(todo[at].path), "error": reason} for at in (0, 2)]

    report = opened.update(folder, staging=staging)
    assert [one["path"] for one in report.failed] == [str(folder / "a.txt"), str(folder / "b.txt")]
    assert report.failed[0]["error"] == "is damaged: get a whole copy"
    assert "was not staged" in report.failed[1]["error"]
    assert [one.id for one in opened.documents()] == ["c.txt"]
    assert opened.update(folder).changes["added"] == ["a.txt", "b.txt"]
