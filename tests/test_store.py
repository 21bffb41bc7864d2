"""SQLite as the only truth: staging, publishing, and what readers see meanwhile."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from fakes import DIMENSIONS, HashEmbedder

from rag.chunk import chunk_document
from rag.errors import CollectionError
from rag.records import Document, Mark
from rag.sentences import sentence_spans
from rag.store import Move, Store, Touch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "collection.db")
    yield opened
    opened.close()


def stage(store: Store, *documents: Document, path: str = "", digest: str = "h") -> list[str]:
    embedder = HashEmbedder()
    with store.transaction():
        for document in documents:
            chunks = chunk_document(document, embedder.count, 60)
            spans = [sentence_spans(chunk.text) for chunk in chunks]
            vectors = embedder.embed([c.text for c in chunks], [c.context for c in chunks], spans)
            store.stage(
                document, chunks, spans, vectors, source="s", path=path, digest=digest, stamp="1"
            )
    return [document.id for document in documents]


def put(store: Store, *documents: Document) -> int:
    return store.publish(stage(store, *documents))


def word_hits(store: Store, question: str) -> list[str]:
    keys = [key for key, _ in store.search_words(question, 10)]
    return [chunk.chunk.text for chunk in store.chunks(keys)]


CATS = Document(
    "a", "Cats purr softly.", "Cats", "2020-01-02", "text/markdown", (Mark(0, "page", 3),)
)
DOGS = Document("b", "Dogs bark loudly.")


def test_a_document_comes_back_as_it_was(store: Store) -> None:
    put(store, CATS)
    assert store.document("a") == CATS
    assert store.document("z") is None
    assert [(one.id, one.title, one.size) for one in store.documents()] == [("a", "Cats", 17)]


def test_pages_and_the_time_of_adding(store: Store) -> None:
    def marked(name: str, *marks: Mark) -> Document:
        return Document(name, "Some text.", marks=marks)

    before = datetime.now(UTC).replace(microsecond=0)
    put(
        store,
        marked("a", Mark(0, "page", 1), Mark(2, "page", 2), Mark(5, "page", 12)),
        marked("b", Mark(0, "slide", 1), Mark(0, "heading", 4, '"page", 9')),
        marked("c", Mark(0, "sheet", 1, "One"), Mark(5, "sheet", 2, "Two")),
        marked("d", Mark(0, "heading", 3, "No pages")),
        marked("e"),
    )
    held = store.documents()
    assert [one.pages for one in held] == [12, 1, 2, None, None]
    for one in held:
        assert one.added.endswith("Z")
        assert before <= datetime.fromisoformat(one.added) <= datetime.now(UTC)


def test_a_move_keeps_the_time_of_adding(store: Store) -> None:
    put(store, CATS)
    store._db.execute("UPDATE documents SET added = '2001-02-03T04:05:06Z'")
    store.publish([], moved=[Move("a", "z", "s", "", "1", "Cats")])
    assert [(one.id, one.added) for one in store.documents()] == [("z", "2001-02-03T04:05:06Z")]


def test_what_changed_since_an_edition(store: Store) -> None:
    keys: dict[str, list[int]] = {}
    editions = [store.edition]

    def publish(*documents: Document, removed: tuple[str, ...] = ()) -> None:
        store.publish(stage(store, *documents), removed)
        editions.append(store.edition)
        for one in documents:
            keys[one.id + str(len(editions) - 1)] = store.chunk_keys([one.id]).tolist()

    def since(at: int) -> tuple[list[int], list[int]]:
        changes = store.changes(editions[at])
        assert changes
        return changes.added.tolist(), changes.gone.tolist()

    publish(CATS, DOGS)
    publish(Document("a", "Cats sleep."))
    stage(store, Document("x", "Never shown."))
    store.drop_staged(["x"])
    publish(Document("c", "Owls hoot."), removed=("b", "b", "unknown"))
    a1, b1, a2, c3 = (keys[one] for one in ("a1", "b1", "a2", "c3"))
    assert since(3) == ([], [])
    assert since(2) == (c3, b1)
    assert since(1) == (a2 + c3, a1 + b1)
    assert since(0) == (a2 + c3, a1 + b1)  # what came and went in between is gone too
    store.publish([], moved=[Move("a", "z", "s", "", "1", "Zed")])
    assert since(2) == (c3, b1)
    assert store.live_keys().tolist() == a2 + c3
    for unknown in ("3-0", "99-x", "0-x"):
        assert store.changes(unknown) is None
    store.cut_changes(editions[2])
    assert store.changes(editions[1]) is None
    assert since(2) == (c3, b1)


def test_a_log_that_misses_a_generation_begins_anew(store: Store) -> None:
    put(store, CATS)
    first = store.edition
    # As a version of the program does that keeps no log.
    store._db.execute("DELETE FROM documents")
    store._db.execute("UPDATE meta SET value = '2' WHERE key = 'generation'")
    store._db.execute("UPDATE meta SET value = 'other' WHERE key = 'edition'")
    assert store.changes(first) is None
    assert store.counts() == (0, 0)
    put(store, DOGS)
    assert store.changes(first) is None
    assert store.changes("2-other") is not None
    assert store.counts() == (1, 1)


def test_counting_reads_one_row(store: Store) -> None:
    embedder_text = "One fact. " * 40
    put(store, *(Document(f"d{n}", embedder_text) for n in range(30)))
    store.publish(stage(store, Document("d1", "Short.")), ["d2", "d3", "d3"])
    documents, chunks = store.counts()
    assert (documents, chunks) == (28, len(store.live_keys()))
    steps = []
    store._db.set_progress_handler(lambda: steps.append(1), 100)
    assert store.counts() == (documents, chunks)
    assert len(steps) <= 2


def test_a_list_of_documents_reads_no_text(store: Store) -> None:
    put(store, CATS, DOGS)
    [*plan] = store.rows(
        "EXPLAIN QUERY PLAN SELECT id, source, path, hash, stamp, title, date, media_type, size, "
        "pages, added FROM documents WHERE live = 1 ORDER BY id"
    )
    assert [row[3] for row in plan] == ["SEARCH documents USING COVERING INDEX listed (live=?)"]
    [*plan] = store.rows("EXPLAIN QUERY PLAN SELECT id, hash, path FROM documents WHERE live = 0")
    assert [row[3] for row in plan] == ["SEARCH documents USING COVERING INDEX listed (live=?)"]


def test_keys_of_some_documents(store: Store) -> None:
    put(store, CATS, DOGS)
    stage(store, Document("a", "A later version."), Document("c", "Not live yet."))
    every = store.chunk_keys(["a", "b", "c", "z"])
    assert every.tolist() == store.vectors(DIMENSIONS)[0].tolist()
    [key] = store.chunk_keys(["b"])
    assert store.chunks([int(key)])[0].chunk.text == DOGS.text
    assert store.chunk_keys([]).tolist() == []
    assert store.search_words("cats dogs", 9, store.chunk_keys([])) == []


def test_more_keys_than_sqlite_binds_variables(store: Store) -> None:
    put(store, CATS, DOGS)
    many = np.arange(300_000, dtype=np.int64)
    assert store.search_words("cats dogs", 9, many) == store.search_words("cats dogs", 9)
    assert len(store.chunk_keys(str(n) for n in range(300_000))) == 0


def test_vectors_come_back_with_their_chunks(store: Store) -> None:
    put(store, CATS, DOGS)
    keys, vectors = store.vectors(DIMENSIONS)
    assert vectors.shape == (2, DIMENSIONS)
    chunks = store.chunks([int(key) for key in keys])
    for chunk, vector in zip(chunks, vectors, strict=True):
        np.testing.assert_array_equal(chunk.vector, vector)
        expected = HashEmbedder().embed([chunk.chunk.text], [chunk.chunk.context], [chunk.spans])[0]
        # float16 keeps 11 bits, int8 about 7.
        np.testing.assert_allclose(chunk.vector, expected.passage, atol=1e-3)
        np.testing.assert_allclose(chunk.sentences, expected.sentences, atol=0.5 / 127 + 1e-6)
    assert chunks[0].chunk.page == 3


def test_what_is_staged_is_seen_by_nobody(store: Store) -> None:
    put(store, CATS)
    stage(store, Document("a", "Cats sleep."), DOGS)
    assert [one.id for one in store.documents()] == ["a"]
    assert store.document("a") == CATS
    assert store.counts() == (1, 1)
    assert len(store.vectors(DIMENSIONS)[0]) == 1
    assert word_hits(store, "dogs sleep") == []
    assert store.staged() == {"a": ("h", ""), "b": ("h", "")}


def test_publishing_replaces_and_removes_in_one_step(store: Store) -> None:
    put(store, CATS, DOGS)
    generation, edition = store.generation, store.edition
    stage(store, Document("a", "Cats sleep."))
    assert store.publish(["a"], ["b"]) == generation + 1
    assert store.edition != edition
    assert [one.id for one in store.documents()] == ["a"]
    assert word_hits(store, "purr bark") == []
    assert word_hits(store, "sleep") == ["Cats sleep."]
    assert store.counts() == (1, 1)
    assert store.staged() == {}


def test_a_moved_document_keeps_its_chunks(store: Store) -> None:
    put(store, CATS)
    before = store.vectors(DIMENSIONS)[0].tolist()
    store.publish([], [], [Move("a", "z", "s2", "/z", "2", "Zed")])
    assert store.vectors(DIMENSIONS)[0].tolist() == before
    [moved] = store.documents()
    assert (moved.id, moved.source, moved.path, moved.stamp, moved.title) == (
        "z",
        "s2",
        "/z",
        "2",
        "Zed",
    )
    assert word_hits(store, "purr") == ["Cats purr softly."]


def test_documents_can_swap_their_names(store: Store) -> None:
    put(store, CATS, DOGS)
    store.publish([], [], [Move("a", "b", "s", "", "", ""), Move("b", "a", "s", "", "", "")])
    texts = {one.id: store.document(one.id).text for one in store.documents()}  # type: ignore[union-attr]
    assert texts == {"a": DOGS.text, "b": CATS.text}


def test_touching_changes_no_generation(store: Store) -> None:
    put(store, CATS)
    edition = store.edition
    store.touch([Touch("a", "9")])
    assert store.documents()[0].stamp == "9"
    assert store.edition == edition


def test_staged_documents_can_be_dropped(store: Store) -> None:
    stage(store, CATS, DOGS)
    store.drop_staged(["a"])
    assert list(store.staged()) == ["b"]


@pytest.mark.parametrize(
    "question",
    [
        "C++ (x",
        "it's",
        "NEAR(",
        '"',
        'a"b',
        "*",
        "cats AND",
        "_",
        "",
        " ",
        "😀",
        "-",
        "x:y",
        "^cats",
        "\\",
    ],
    ids=repr,
)
def test_no_character_of_a_question_is_an_operator(store: Store, question: str) -> None:
    put(store, CATS)
    store.search_words(question, 5)
    # The question's operators do not change what else it finds.
    assert word_hits(store, f"{question} purr") == ["Cats purr softly."]


def test_words_are_found_by_stem_and_without_accents(store: Store) -> None:
    put(store, Document("a", "The café was closing early."))
    assert word_hits(store, "CAFE closed") == ["The café was closing early."]


def test_nul_is_kept(store: Store) -> None:
    text = "One\0two three.\n\nFour\0five."
    put(store, Document("n", text))
    assert store.document("n").text == text  # type: ignore[union-attr]
    assert store.documents()[0].size == len(text)
    keys = [int(key) for key in store.vectors(DIMENSIONS)[0]]
    for chunk in store.chunks(keys):
        assert chunk.chunk.text == text[chunk.chunk.start : chunk.chunk.end]


def test_a_read_transaction_sees_one_generation(tmp_path: Path) -> None:
    reader, writer = Store(tmp_path / "c.db"), Store(tmp_path / "c.db")
    put(writer, CATS)
    with reader.transaction(write=False):
        assert reader.generation == 1
        put(writer, DOGS)
        assert reader.generation == 1
        assert [one.id for one in reader.documents()] == ["a"]
        assert word_hits(reader, "bark") == []
    assert reader.generation == 2
    assert word_hits(reader, "bark") == ["Dogs bark loudly."]
    reader.close()
    writer.close()


def test_opening_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    writer = Store(tmp_path / "c.db")
    put(writer, CATS)
    with writer.transaction():
        started = time.perf_counter()
        reader = Store(tmp_path / "c.db")
        assert reader.document("a") == CATS
        assert time.perf_counter() - started < 5
        reader.close()
    writer.close()


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    put(store, CATS)

    def fail() -> None:
        with store.transaction():
            store.set_meta("x", "y")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.meta("x") is None
    put(store, DOGS)  # and the store still works


def test_many_may_create_it_at_once(tmp_path: Path) -> None:
    errors: list[Exception] = []
    barrier = threading.Barrier(8)

    def create() -> None:
        barrier.wait()
        try:
            Store(tmp_path / "c.db").close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_processes_may_create_it_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "c.db")
    code = f"from pathlib import Path; from rag.store import Store; Store(Path({path!r}))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)
    ]
    assert [process.communicate()[1] for process in started] == [b"", b"", b""]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_bytes(b"not a database" * 500)
    with pytest.raises(CollectionError, match=r"c\.db.*--rebuild"):
        Store(tmp_path / "c.db")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "c.db")
    database.execute("CREATE TABLE meta (name)")
    database.commit()
    database.close()
    with pytest.raises(CollectionError, match=r"c\.db"):
        Store(tmp_path / "c.db")


def test_another_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    first = Store(tmp_path / "c.db")
    first.set_meta("schema", "99")
    first.close()
    with pytest.raises(CollectionError, match=r"later version.*schema 99.*install"):
        Store(tmp_path / "c.db")


def test_damage_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    first = Store(path)
    put(first, *(Document(f"d{n}", f"Fact number {n} is true. " * 40) for n in range(40)))
    first.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)  # all but the first page
    path.write_bytes(data)
    with pytest.raises(CollectionError, match=r"c\.db"):
        Store(path).documents()
