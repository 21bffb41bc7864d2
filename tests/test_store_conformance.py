"""What every store must do, whatever keeps it: one suite over SQLite + FAISS and PostgreSQL."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import durability_driver as driver
import numpy as np
import pytest
from fakes import DIMENSIONS, HashEmbedder, bag_vector

from rag import lock
from rag.backend import Keeper, Passages, backend
from rag.chunk import chunk_document
from rag.collection import Collection
from rag.errors import CollectionError, InputError
from rag.ingest import given_job, stage_batch
from rag.postgres import backend as postgres_backend
from rag.records import Document, Mark
from rag.scope import Scope
from rag.sentences import sentence_spans
from rag.settings import Settings
from rag.stored import Move, Touch

Make = Callable[..., Path]
EVERY = bool(os.environ.get("FOOTNOTE_FUZZ_N"))  # questions of the sample corpus, not one in four
SEEDS = Path(__file__).resolve().parent.parent / "seeds"


@pytest.fixture(params=["files", "postgres"])
def kept(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Settings under which collections are kept in files, then in PostgreSQL."""
    if request.param == "files":
        return settings
    return settings.model_copy(update={"store": request.getfixturevalue("database")})


def open_store(settings: Settings, name: str = "papers") -> tuple[Passages, Keeper]:
    opened = backend(settings).open(name, lambda: DIMENSIONS, create=True)
    assert opened
    return opened


@pytest.fixture
def store(kept: Settings) -> Iterator[Passages]:
    opened, _ = open_store(kept)
    yield opened
    opened.close()


@pytest.fixture
def collection(kept: Settings, embedder: HashEmbedder) -> Iterator[Collection]:
    with Collection.open("papers", kept, create=True, embedder=embedder) as opened:
        yield opened


def stage(store: Passages, *documents: Document, path: str = "", digest: str = "h") -> list[str]:
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


def put(store: Passages, *documents: Document) -> int:
    return store.publish(stage(store, *documents))


def word_hits(store: Passages, question: str) -> list[str]:
    keys = [key for key, _ in store.search_words(question, 10)]
    return [chunk.chunk.text for chunk in store.chunks(keys)]


CATS = Document(
    "a", "Cats purr softly.", "Cats", "2020-01-02", "text/markdown", (Mark(0, "page", 3),)
)
DOGS = Document("b", "Dogs bark loudly.")


# What comes back


def test_a_document_comes_back_as_it_was(store: Passages) -> None:
    put(store, CATS)
    assert store.document("a") == CATS
    assert store.document("z") is None
    assert [(one.id, one.title, one.size) for one in store.documents()] == [("a", "Cats", 17)]


ODD_TEXTS = {
    "NUL": "One\0two three.\n\nFour\0five.",
    "beyond the basic plane": "Emoji 😀 and 𝔐𝔞𝔱𝔥. 字 and 𠜎.",
    "right to left": "שלום עולם. مرحبا بالعالم.",
    "combining": "e\u0301 is not \u00e9. Z\u0351\u036b\u0343 is one letter.",
    "odd line ends": "One\u2028two\u2029three\x85four\x0bfive.",
    "byte order mark": "\ufeffStarts so. \ufffe ends.",
    "quotes": 'It\'s "so"; DROP TABLE documents; -- {k} %s %(x)s \\ \\x00 $1',
    "nothing to find": "... --- ...",
    "a long word": "w" * 5000 + " ends.",
}


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_every_character_is_kept(store: Passages, text: str) -> None:
    given = Document("n", text, title=text, marks=(Mark(0, "heading", 1, text),))
    put(store, given)
    assert store.document("n") == given
    [listed] = store.documents()
    assert (listed.size, listed.title) == (len(text), text)
    chunks = store.chunks(store.chunk_keys(["n"]).tolist())
    assert chunks
    for one in chunks:
        assert one.chunk.text == text[one.chunk.start : one.chunk.end]
        assert one.title == text


ODD_IDS = ["a'b", 'a"b', "%s", "{k}", "x" * 5000, "ä/ö.txt", "a\\b", " ", "😀", "\ue000"]


def test_identifiers_of_any_kind_are_told_apart_and_in_order(store: Passages) -> None:
    put(store, *(Document(one, f"Text of number {at}.") for at, one in enumerate(ODD_IDS)))
    assert [one.id for one in store.documents()] == sorted(ODD_IDS)
    for at, one in enumerate(ODD_IDS):
        found = store.document(one)
        assert found and found.text == f"Text of number {at}."
    store.publish([], ODD_IDS[:5])
    assert [one.id for one in store.documents()] == sorted(ODD_IDS[5:])


def test_pages_and_the_time_of_adding(store: Passages) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    marks = (Mark(0, "page", 1), Mark(2, "page", 12))
    put(store, Document("a", "Some text.", marks=marks), Document("b", "Some text."))
    held = store.documents()
    assert [one.pages for one in held] == [12, None]
    for one in held:
        assert before <= datetime.fromisoformat(one.added) <= datetime.now(UTC)
    store.publish([], [], [Move("a", "z", "s", "", "1", "Zed")])
    assert store.documents()[1].added == held[0].added


def test_vectors_are_kept_to_the_bit(store: Passages) -> None:
    put(store, CATS, DOGS)
    chunks = store.chunks(store.chunk_keys(["a", "b"]).tolist())
    for one, document in zip(chunks, (CATS, DOGS), strict=True):
        [made] = HashEmbedder().embed([document.text], [one.chunk.context], [one.spans])
        np.testing.assert_array_equal(one.vector, made.passage.astype("<f2").astype(np.float32))
        scaled = np.round(made.sentences * 127).astype(np.int8).astype(np.float32)
        np.testing.assert_array_equal(one.sentences, scaled / np.float32(127))
    assert (chunks[0].chunk.page, chunks[0].pages) == (3, (3,))


# Staged, published, moved, touched


def test_what_is_staged_is_seen_by_nobody(store: Passages, kept: Settings) -> None:
    put(store, CATS)
    stage(store, Document("a", "Cats sleep."), DOGS)
    other, keeper = open_store(kept)
    for one in (store, other):
        assert [held.id for held in one.documents()] == ["a"]
        assert one.document("a") == CATS
        assert one.counts() == (1, 1)
        assert len(one.chunk_keys(["a", "b"])) == 1
        assert word_hits(one, "dogs sleep") == []
        assert one.staged() == {"a": ("h", ""), "b": ("h", "")}
    with other.transaction(write=False):
        assert len(keeper.get().search(bag_vector("cats dogs sleep"), 10)) == 1
    other.close()


def test_publishing_replaces_and_removes_in_one_step(store: Passages) -> None:
    put(store, CATS, DOGS)
    generation, edition = store.generation, store.edition
    stage(store, Document("a", "Cats sleep."))
    assert store.publish(["a"], ["b", "b", "unknown"]) == generation + 1
    assert store.edition != edition
    assert [one.id for one in store.documents()] == ["a"]
    assert word_hits(store, "purr bark") == []
    assert word_hits(store, "sleep") == ["Cats sleep."]
    assert store.counts() == (1, 1)
    assert store.staged() == {}


def test_staging_again_replaces_what_was_staged(store: Passages) -> None:
    stage(store, CATS)
    stage(store, Document("a", "Cats sleep."), digest="h2", path="/a")
    stage(store, Document("a", "Cats sleep."), digest="h2", path="/a")
    assert store.staged() == {"a": ("h2", "/a")}
    store.publish(["a"])
    assert store.counts() == (1, 1)
    assert word_hits(store, "cats") == ["Cats sleep."]


def test_moved_documents_keep_their_chunks_and_may_swap_names(store: Passages) -> None:
    put(store, CATS, DOGS)
    before = store.chunk_keys(["a", "b"]).tolist()
    moves = [Move("a", "b", "s2", "/b", "2", "B"), Move("b", "a", "s2", "/a", "3", "A")]
    store.publish([], [], moves)
    assert store.chunk_keys(["a", "b"]).tolist() == before
    texts = {one.id: store.document(one.id).text for one in store.documents()}  # type: ignore[union-attr]
    assert texts == {"a": DOGS.text, "b": CATS.text}
    moved = store.documents()[1]
    assert (moved.source, moved.path, moved.stamp, moved.title) == ("s2", "/b", "2", "B")
    assert word_hits(store, "purr") == ["Cats purr softly."]
    put(store, Document("c", "Owls hoot."))
    store.publish([], [], [Move("c", "a", "s", "/a", "1", "C")])  # what has the name makes room
    assert {one.id: store.document(one.id).text for one in store.documents()} == {  # type: ignore[union-attr]
        "a": "Owls hoot.",
        "b": CATS.text,
    }
    assert (store.counts(), word_hits(store, "bark")) == ((2, 2), [])


def test_touching_changes_no_generation(store: Passages) -> None:
    put(store, CATS)
    edition = store.edition
    store.touch([Touch("a", "9"), Touch("unknown", "9")])
    assert store.documents()[0].stamp == "9"
    assert store.edition == edition


def test_staged_documents_can_be_dropped(store: Passages) -> None:
    stage(store, CATS, DOGS)
    store.drop_staged(["a"])
    assert list(store.staged()) == ["b"]
    assert store.publish(["a", "b"]) == 1
    assert [one.id for one in store.documents()] == ["b"]


def test_a_failed_transaction_leaves_nothing(store: Passages) -> None:
    put(store, CATS)

    def fail() -> None:
        with store.transaction():
            store.set_meta("x", "y")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.meta("x") is None
    put(store, DOGS)  # and the store still works
    store.set_meta("x", "'y'")
    assert store.meta("x") == "'y'"


# Words, vectors, filters


@pytest.mark.parametrize(
    "question",
    [
        *"\"*_ -😀\\'",
        "",
        "C++ (x",
        "it's",
        "NEAR(",
        'a"b',
        "cats AND",
        "x:y",
        "^cats",
        "a & b | !c",
    ],
    ids=repr,
)
def test_no_character_of_a_question_is_an_operator(store: Passages, question: str) -> None:
    put(store, CATS)
    store.search_words(question, 5)
    assert word_hits(store, f"{question} purr") == ["Cats purr softly."]


def test_words_are_found_by_stem_without_accents_and_with_their_numbers(store: Passages) -> None:
    texts = ["The café was closing early.", "It cost 1,900 in all.", "Version 3.5 came; 3 others."]
    put(store, *(Document(str(at), text) for at, text in enumerate(texts)))
    assert word_hits(store, "CAFE closed") == texts[:1]
    assert word_hits(store, "1,900") == texts[1:2]
    assert word_hits(store, "3.5") == texts[2:]


def test_filters_hold_in_both_searches(store: Passages, kept: Settings) -> None:
    put(store, CATS, DOGS, Document("c", "Cats and dogs."))
    stage(store, Document("a", "A later version of cats."), Document("d", "Cats to come."))
    every = store.chunk_keys(["a", "b", "c", "d", "unknown"])
    assert len(every) == 3
    assert (np.diff(every) > 0).all()
    [key] = store.chunk_keys(["b"]).tolist()
    assert [one for one, _ in store.search_words("cats dogs", 9, store.chunk_keys(["b"]))] == [key]
    nothing = store.chunk_keys([])
    assert store.search_words("cats dogs", 9, nothing) == []
    other, keeper = open_store(kept)
    with other.transaction(write=False):
        index = keeper.get()
        near = bag_vector("cats")
        assert [one for one, _ in index.search(near, 9, store_keys(other, "b"))] == [key]
        assert index.search(near, 9, nothing) == []
        assert len(index.search(near, 2)) == 2
        found = index.search(near, 9)
        for chunk_key, score in found:
            [chunk] = other.chunks([chunk_key])
            assert score == pytest.approx(float(chunk.vector @ near), abs=1e-6)
        assert found == sorted(found, key=lambda one: (-one[1], one[0]))
    other.close()


def store_keys(store: Passages, *ids: str) -> np.ndarray:
    return store.chunk_keys(ids)


def test_scopes_and_hits_of_a_collection(collection: Collection) -> None:
    dated = [
        Document(f"d{n}.md", f"Cats of {2000 + n}.", date=f"{2000 + n}-05-01") for n in range(8)
    ]
    collection.put(dated, "given")
    hits = collection.search("cats", 9, Scope(after="2003", before="2004"))
    assert {hit.document for hit in hits} == {"d3.md", "d4.md"}
    assert [hit.text for hit in collection.search("cats", 9, Scope(frozenset({"d1.md"})))] == [
        "Cats of 2001."
    ]
    with pytest.raises(InputError, match=r"no document 'x' in collection 'papers'"):
        collection.search("cats", 9, Scope(frozenset({"x"})))
    assert collection.search("cats of 2003", 9)[0].why["words"] > 0


# Folders


def test_a_folder_is_followed(collection: Collection, make_folder: Make) -> None:
    texts: dict[str, str | bytes] = {
        "cats.txt": "Cats purr.\n",
        "dogs.md": "# Dogs\n\nDogs bark.\n",
        "more/owls.txt": "Owls hoot.\n",
    }
    zoo = make_folder("zoo", texts)
    assert collection.update(zoo).added == 3
    assert collection.update(zoo).unchanged == 3
    assert collection.generation == 1
    (zoo / "cats.txt").write_text("Cats sleep.\n")
    (zoo / "more/owls.txt").rename(zoo / "owls.txt")
    (zoo / "dogs.md").unlink()
    report = collection.update(zoo)
    assert (report.updated, report.removed, report.documents) == (1, 1, 2)
    assert [one.id for one in collection.documents()] == ["cats.txt", "owls.txt"]
    assert collection.document("owls.txt").text == "Owls hoot.\n"
    assert collection.search("bark", 9)[0].why["words"] == 0
    collection.forget(["owls.txt"])
    assert collection.counts() == (1, 1)


def test_an_interrupted_run_is_taken_up(
    kept: Settings, make_folder: Make, embedder: HashEmbedder
) -> None:
    zoo = make_folder("zoo", {"cats.txt": "Cats purr.\n", "dogs.txt": "Dogs bark.\n"})

    class Stopped(HashEmbedder):
        def embed(self, *given: Any, **named: Any) -> Any:
            if self.calls:
                raise KeyboardInterrupt
            return super().embed(*given, **named)

    with Collection.open("papers", kept, create=True, embedder=embedder) as first:
        first.update(zoo / "cats.txt")
        first.forget(["cats.txt"])
    store, _ = open_store(kept)
    job = given_job(Document("dogs.txt", "Dogs bark.\n"), "")
    stage_batch([job], store, embedder, kept)  # staged, then killed
    store.close()
    before = embedder.embedded
    with Collection.open("papers", kept, embedder=embedder) as second:
        second.update(zoo)
        assert second.counts() == (2, 2)
        assert embedder.embedded == before + 2  # another's staged document was not taken up
        assert second._store.staged() == {}


# Collections as a whole


def test_names_identities_and_removal(kept: Settings, embedder: HashEmbedder) -> None:
    place = backend(kept)
    assert (place.names(), place.exists("one"), place.identity("one")) == ([], False, None)
    with pytest.raises(CollectionError, match="no collection 'one' in .*: make it with"):
        Collection.open("one", kept, embedder=embedder)
    for name in ("two", "one"):
        with Collection.open(name, kept, create=True, embedder=embedder) as made:
            made.put([Document("d", f"Text of {name}.")], "given")
    assert place.names() == ["one", "two"]
    first = place.identity("one")
    assert first == place.identity("one") != place.identity("two")
    Collection.remove("one", kept)
    assert (place.names(), place.exists("one"), place.identity("one")) == (["two"], False, None)
    with Collection.open("one", kept, create=True, embedder=embedder) as made:
        assert (made.counts(), made.generation) == ((0, 0), 0)
    assert place.identity("one") is not None
    with Collection.open("two", kept, embedder=embedder) as other:
        assert other.document("d").text == "Text of two."
    place.rename("two", "three")
    assert place.names() == ["one", "three"]
    with Collection.open("three", kept, rebuild=True, embedder=embedder) as anew:
        assert anew.counts() == (0, 0)


def test_another_embedder_is_refused_with_the_remedy(
    kept: Settings, embedder: HashEmbedder
) -> None:
    with Collection.open("papers", kept, create=True, embedder=embedder) as made:
        made.put([CATS], "given")
    other = kept.model_copy(update={"embedder": "other"})
    with pytest.raises(
        CollectionError, match="made with embedder 'minilm', not 'other'.*--rebuild"
    ):
        Collection.open("papers", other, embedder=embedder)
    with Collection.open("papers", other, rebuild=True, embedder=embedder) as anew:
        anew.put([CATS], "given")


def test_stored_texts_are_embedded_again_by_another_embedder(kept: Settings) -> None:
    with Collection.open("papers", kept, create=True, embedder=HashEmbedder()) as made:
        made.put([CATS, DOGS], "given")
    other = kept.model_copy(update={"embedder": "other"})
    embedder = HashEmbedder()
    with Collection.open("papers", other, embedder=embedder, any_embedder=True) as opened:
        assert opened.reembed() == 2
        assert opened.made_with == "other"
        assert len(embedder.calls[0]) == 2
        assert opened.documents() and opened.document("a") == CATS
        assert opened.search("cats")[0].document == "a"
        assert opened.generation == 2
    with pytest.raises(CollectionError, match="made with embedder 'other'"):
        Collection.open("papers", kept, embedder=HashEmbedder())


def test_one_writer_at_a_time_and_readers_go_on(
    kept: Settings, embedder: HashEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_WAIT_FOR_WRITER_S", 0.2)
    monkeypatch.setattr(postgres_backend, "_WAIT_FOR_WRITER_S", 0.2)
    with Collection.open("papers", kept, create=True, embedder=embedder) as one:
        one.put([CATS], "given")
        with backend(kept).writing("papers"):
            with pytest.raises(CollectionError, match="is being written by another process"):
                one.put([DOGS], "other")
            with pytest.raises(CollectionError, match="is being written by another process"):
                Collection.remove("papers", kept)
            assert one.search("cats", 1)
            with backend(kept).writing("others"):
                pass
        one.put([DOGS], "other")
        assert one.counts() == (2, 2)


def test_many_may_create_it_at_once(kept: Settings) -> None:
    errors: list[Exception] = []
    barrier = threading.Barrier(6)

    def create() -> None:
        barrier.wait()
        try:
            open_store(kept)[0].close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert backend(kept).names() == ["papers"]


# Generations


def test_a_reader_that_holds_a_generation_sees_no_other(kept: Settings) -> None:
    (reader, keeper), (writer, _) = open_store(kept), open_store(kept)
    put(writer, CATS)
    with reader.transaction(write=False):
        edition, index = reader.edition, keeper.get()
        stage(writer, Document("a", "Cats sleep."), DOGS)
        writer.publish(["a", "b"])
        writer.publish([], ["a"])
        assert (reader.generation, reader.edition) == (1, edition)
        assert [one.id for one in reader.documents()] == ["a"]
        assert reader.document("a") == CATS
        assert word_hits(reader, "bark purr") == ["Cats purr softly."]
        [(key, _)] = index.search(bag_vector("dogs"), 9)
        assert [one.chunk.text for one in reader.chunks([key])] == ["Cats purr softly."]
        assert reader.counts() == (1, 1)
    assert reader.generation == 3
    assert word_hits(reader, "bark purr") == ["Dogs bark loudly."]
    reader.close()
    writer.close()


@pytest.mark.slow
def test_two_readers_and_a_writer_see_whole_generations_only(
    kept: Settings, tmp_path: Path
) -> None:
    small = kept.model_copy(update={"chunk_tokens": 48})
    with Collection.open("papers", small, create=True, embedder=HashEmbedder()) as collection:
        documents = [Document(f"d{n}", driver.text_of(f"d{n}", 1)) for n in range(20)]
        collection.put(documents, "given")
    logs = [tmp_path / f"reader{n}" for n in range(2)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["durability_driver"])
    processes: list[Any] = [
        context.Process(target=driver.rewrite, args=(small, 4)),
        *(context.Process(target=driver.watch, args=(small, 4, log)) for log in logs),
    ]
    for one in processes:
        one.start()
    for one in processes:
        one.join(60)
    outcomes = [json.loads(log.read_text()) for log in logs]
    assert [one.get("error") for one in outcomes] == [None, None]
    assert all(one["seen"] > 2 for one in outcomes), outcomes


# One and the other


@pytest.mark.slow
def test_both_stores_give_the_same_hits(
    settings: Settings, database: str, embedder: HashEmbedder
) -> None:
    questions = [
        json.loads(line)["question"]
        for file in sorted(SEEDS.rglob("*.jsonl"))
        for line in file.read_text("utf-8").splitlines()
        if "question" in line
    ]
    assert len(questions) > 20
    other = settings.model_copy(update={"store": database})
    with (
        Collection.open("papers", settings, create=True, embedder=embedder) as files,
        Collection.open("papers", other, create=True, embedder=embedder) as postgres,
    ):
        for one in (files, postgres):
            one.update(SEEDS)
        assert files.counts() == postgres.counts()
        same = 0
        for question in questions[:: 1 if EVERY else 4]:
            expected, found = files.search(question, 10), postgres.search(question, 10)
            for a, b in zip(expected, found, strict=True):
                assert (a.document, a.start, a.end, a.text) == (b.document, b.start, b.end, b.text)
                assert b.score == pytest.approx(a.score, abs=2e-6)
                assert b.why == pytest.approx(a.why, abs=2e-4)
                same += 1
    print(f"\n{same} hits: the same in both stores")
    assert same > 300
