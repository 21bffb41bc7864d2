"""Indexes over passages: exact where they say so, whole after any change, never believed unproved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder, bag_vector
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from rag import index as index_module
from rag import part as part_module
from rag.basefile import kept_files, load_part, save_part, tidy
from rag.collection import Collection
from rag.current import CurrentIndex
from rag.index import Block, VectorIndex
from rag.part import FLAT, GRAPH, KINDS, LISTS, Part
from rag.records import Document
from rag.settings import Settings

EDITION = "1-x"


def unit(rows: int, seed: int = 0, dimensions: int = 16) -> np.ndarray:
    """Random unit vectors as the store has them, shape (rows, d), float16."""
    drawn = np.random.default_rng(seed).standard_normal((rows, dimensions))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16)


def make_part(kind: str, keys: np.ndarray, vectors: np.ndarray) -> Part:
    return Part.empty(kind, vectors, len(keys)).extended([(keys, vectors)])


class Rows:
    """Stands in for the store: vectors by key."""

    def __init__(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        self.by_key = dict(zip(keys.tolist(), vectors, strict=True))

    def __call__(self, keys: np.ndarray) -> Block:
        found = sorted(set(keys.tolist()) & self.by_key.keys())
        return np.array(found, np.int64), np.array([self.by_key[key] for key in found])

    def best(self, query: np.ndarray, limit: int, keys: set[int]) -> list[tuple[int, float]]:
        """What looking at everything finds."""
        scored = [(key, float(self.by_key[key].astype(np.float32) @ query)) for key in keys]
        return sorted(scored, key=lambda one: (-one[1], one[0]))[:limit]


WORDS = np.array([bag_vector(f"word{n}") for n in range(5)])


def build(edition: str = EDITION) -> VectorIndex:
    keys = np.arange(10, 15, dtype=np.int64)
    return VectorIndex.over(make_part(FLAT, keys, WORDS), edition, Rows(keys, WORDS))


def test_search_is_exact_and_best_first() -> None:
    question = bag_vector("word3 word3 word1")
    found = build().search(question, 3)
    assert [key for key, _ in found[:2]] == [13, 11]
    # (2a + b) / |2a + b| . a, with a and b nearly at right angles: about 2 / sqrt(5) = .894
    assert found[0][1] == pytest.approx(float(question @ WORDS[3].astype(np.float16)), abs=1e-6)
    assert found[0][1] == pytest.approx(0.894, abs=0.1)


@pytest.mark.parametrize("kind", [FLAT, GRAPH])
def test_an_empty_index_finds_nothing(kind: str) -> None:
    assert build().search(bag_vector("x"), 0) == []
    part = Part.empty(kind, np.zeros((0, 64), np.float16))
    empty = VectorIndex.over(part, EDITION, Rows(np.zeros(0, np.int64), WORDS[:0]))
    assert empty.search(bag_vector("x"), 5) == []
    assert empty.search(bag_vector("x"), 5, np.array([1, 2])) == []


def test_only_some_keys_may_be_found() -> None:
    index, question = build(), bag_vector("word3 word3 word1")
    everything = index.search(question, 5)
    some = np.array([14, 10, 11, 99], np.int64)  # 99 is not there
    found = index.search(question, 5, some)
    assert [key for key, _ in found] == [key for key, _ in everything if key in (10, 11, 14)]
    assert index.search(question, 1, some)[0][0] == 11
    assert index.search(question, 5, np.zeros(0, np.int64)) == []


@pytest.fixture(scope="module")
def small_sizes() -> Iterator[None]:
    """Limits so low that a few hundred rows use every way of searching."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_module, "SCANNED", 40)
        patch.setattr(index_module, "LOOKED_UP", 5)
        yield


@examples(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 300),
    share=st.floats(0, 1),
    steps=st.lists(st.tuples(st.integers(0, 40), st.floats(0, 0.6)), max_size=4),
    allowed=st.none() | st.floats(0, 1),
    limit=st.integers(1, 20),
    seed=st.integers(0, 5),
)
def test_any_history_of_changes_agrees_with_looking_at_everything(
    small_sizes: None,
    kind: str,
    rows: int,
    share: float,
    steps: list[tuple[int, float]],
    allowed: float | None,
    limit: int,
    seed: int,
) -> None:
    """Always as many as there are, live ones only, with exact scores; all of them, where exact."""
    dice = np.random.default_rng(seed)
    every = np.cumsum(dice.integers(1, 4, 300 + 200)).astype(np.int64)
    vectors = unit(len(every), seed)
    store = Rows(every, vectors)
    live = set(every[:rows].tolist())
    index = VectorIndex.over(make_part(kind, every[:rows], vectors[:rows]), EDITION, store)
    at = rows
    for count, gone_share in [(0, share / 2), *steps]:
        gone = np.array([key for key in sorted(live) if dice.random() < gone_share], np.int64)
        added = slice(at, at + count)
        index = index.moved_on("2-y", [(every[added], vectors[added])], gone)
        live = (live | set(every[added].tolist())) - set(gone.tolist())
        at += count
    query = unit(1, seed + 100)[0].astype(np.float32)
    within = None
    if allowed is not None:
        within = every[dice.random(len(every)) < allowed]
        live &= set(within.tolist())
    found = index.search(query, limit, within)
    expected = store.best(query, limit, live)
    assert len(found) == len(expected)
    assert {key for key, _ in found} <= live
    for key, score in found:
        assert score == pytest.approx(float(store.by_key[key].astype(np.float32) @ query), abs=1e-5)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    if kind == FLAT:
        assert scores == pytest.approx([score for _, score in expected], abs=1e-5)


@pytest.mark.parametrize("kind", [GRAPH, LISTS])
@pytest.mark.parametrize("gone", [0.0, 0.3])
@pytest.mark.parametrize("allowed", [1.0, 0.5, 0.1, 0.01])
def test_recall_of_what_is_not_exact(
    monkeypatch: pytest.MonkeyPatch, kind: str, gone: float, allowed: float
) -> None:
    monkeypatch.setattr(part_module, "SCANNED", 100)
    monkeypatch.setattr(index_module, "LOOKED_UP", 20)
    dice = np.random.default_rng(2)
    rows, asked, dimensions = 3000, 25, 128
    centres = dice.standard_normal((60, dimensions))
    vectors = centres[dice.integers(60, size=rows)] + dice.standard_normal((rows, dimensions))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    keys = np.arange(rows, dtype=np.int64)
    live = keys[dice.random(rows) >= gone]
    index = VectorIndex.over(make_part(kind, keys, vectors), EDITION, Rows(keys, vectors))
    index = index.moved_on("2-y", [], np.setdiff1d(keys, live))
    within = live[dice.random(len(live)) < allowed]
    hits = 0
    for n in range(asked):
        query = (vectors[n * 100] + 0.05 * dice.standard_normal(dimensions)).astype(np.float32)
        found = {key for key, _ in index.search(query, 10, None if allowed == 1 else within)}
        best = within[np.argsort(-(vectors[within].astype(np.float32) @ query))[:10]]
        hits += len(found & set(best.tolist()))
    assert hits / (asked * min(10, len(within))) >= 0.98


def test_a_base_is_due_when_enough_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "FEW", 10)
    monkeypatch.setattr(part_module, "FLAT_ROWS", 150)
    keys, vectors = np.arange(300, dtype=np.int64), unit(300)
    nothing = np.zeros(0, np.int64)

    def changed(added: int, gone: int) -> VectorIndex:
        index = VectorIndex.over(
            make_part(FLAT, keys[:100], vectors[:100]), EDITION, Rows(keys, vectors)
        )
        return index.moved_on("2-y", [(keys[100 : 100 + added], vectors[:added])], keys[:gone])

    assert [changed(*one).due for one in ((10, 0), (11, 0), (0, 11), (5, 6))] == [0, 1, 1, 1]
    assert [changed(*one).outgrown for one in ((50, 0), (51, 0), (0, 20), (0, 21))] == [0, 1, 0, 1]
    assert not changed(0, 0).moved_on("3-z", [], nothing).due


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_back_from_its_file(tmp_path: Path, kind: str) -> None:
    keys, vectors = np.arange(7, 407, dtype=np.int64), unit(400)
    part = make_part(kind, keys, vectors).without(np.array([9, 300]))
    path = save_part(part, EDITION, tmp_path)
    assert path and kept_files(tmp_path) == [(EDITION, path)]
    query = vectors[3].astype(np.float32)
    for writable in (False, True):
        loaded = load_part(path, EDITION, writable)
        assert loaded and (loaded.kind, loaded.count) == (kind, 398)
        for one, other in zip(loaded.search(query, 5), part.search(query, 5), strict=True):
            np.testing.assert_array_equal(one, other)
    # Rows may be added to one that was read to be written; what is gone stays gone.
    assert loaded
    more = loaded.extended([(np.array([3]), vectors[3:4])])  # a key lower than the others
    assert set(more.search(query, 2)[0][:2]) == {3, 10}
    again = load_part(save_part(more, "2-x", tmp_path) or tmp_path, "2-x")
    assert again and again.count == 399
    assert 9 not in again.search(vectors[2].astype(np.float32), 399)[0]
    assert 3 not in again.without(np.array([3])).search(query, 399)[0]


def flip(file: Path, at: float = 0.5) -> None:
    data = bytearray(file.read_bytes())
    data[int(len(data) * at)] ^= 1
    file.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped bit": flip,
    "flipped bit at the end": lambda file: flip(file, 0.999),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-7]),
    "empty": lambda file: file.write_bytes(b""),
    "missing": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "of another edition": lambda file: file.rename(file.with_name(file.name.replace("1-x", "1-y"))),
    "of another generation": lambda file: file.rename(
        file.with_name(file.name.replace("1-x", "2-x"))
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_not_opened(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    assert save_part(build().base, EDITION, tmp_path)
    damage(cache_file(tmp_path))
    for edition, path in [*kept_files(tmp_path), (EDITION, tmp_path / "passages-1-x-0.faiss")]:
        assert load_part(path, edition) is None


def test_a_file_without_a_trailer_is_not_opened(tmp_path: Path) -> None:
    """One that is what its name says, but not ours."""
    import hashlib

    for data in (b"", b"x" * 100, b"\xff" * 8, b"{}\x02" + b"\0" * 7, b"[]\x02" + b"\0" * 7):
        name = f"passages-1-x-{hashlib.sha256(data).hexdigest()[:32]}.faiss"
        (tmp_path / name).write_bytes(data)
        assert load_part(tmp_path / name, EDITION) is None


def cache_file(folder: Path) -> Path:
    [file] = folder.glob("passages-*.faiss")
    return file


def test_tidying_leaves_one_file(tmp_path: Path) -> None:
    save_part(build().base, "1-x", tmp_path)
    for left in (".passages-left.tmp", "vectors-1-x-0.faiss", ".vectors-left.tmp", "other.db"):
        (tmp_path / left).write_bytes(b"by a killed process, or by an earlier version")
    kept = save_part(build().base, "2-x", tmp_path)
    assert kept
    tidy(tmp_path, kept)
    assert {file.name for file in tmp_path.iterdir()} == {kept.name, "other.db"}


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_failing_to_save_costs_only_time(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "gone"
    if kind == "a file":
        folder.write_text("")
    assert save_part(build().base, EDITION, folder) is None
    assert not folder.is_dir()


DOCUMENTS = [Document("a", "Cats purr."), Document("b", "Dogs bark."), Document("c", "Owls hoot.")]


@pytest.mark.parametrize("how", ["flipped bit", "truncated", "missing"])
def test_a_collection_rebuilds_a_damaged_cache(settings: Settings, how: str) -> None:
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as first:
        first.put(DOCUMENTS, "given")
    folder = settings.indexes / "papers"
    whole = cache_file(folder).read_bytes()
    DAMAGE[how](cache_file(folder))
    with Collection.open("papers", settings, embedder=HashEmbedder()) as second:
        hits = second.search("Which dogs bark?")
    assert (hits[0].document, hits[0].text) == ("b", "Dogs bark.")
    assert cache_file(folder).read_bytes() == whole


def test_the_cache_of_a_removed_database_is_not_believed(settings: Settings) -> None:
    """Same folder, same generation, other documents: only the edition tells them apart."""
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as first:
        first.put(DOCUMENTS, "given")
    folder = settings.indexes / "papers"
    old = cache_file(folder)
    kept = old.read_bytes()
    for file in folder.glob("collection.db*"):
        file.unlink()
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as second:
        second.put(list(reversed(DOCUMENTS)), "given")
        for _, path in kept_files(folder):
            path.unlink()
        old.write_bytes(kept)
    with Collection.open("papers", settings, embedder=HashEmbedder()) as third:
        hit = third.search("dogs bark")[0]
        assert (hit.document, hit.why["dense"]) == ("b", pytest.approx(1, abs=1e-3))


def test_a_database_put_back_from_a_copy(settings: Settings) -> None:
    """A base of a generation that never was, in the history that goes on from the copy."""
    folder = settings.indexes / "papers"
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as first:
        first.put(DOCUMENTS[:1], "given")
    copy = {file: file.read_bytes() for file in folder.glob("collection.db*")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "FEW", 0)
        with Collection.open("papers", settings, embedder=HashEmbedder()) as first:
            first.put(DOCUMENTS, "given")  # makes a base of generation 2
    for file in folder.glob("collection.db*"):
        file.unlink()
    for file, data in copy.items():
        file.write_bytes(data)
    with Collection.open("papers", settings, embedder=HashEmbedder()) as second:
        assert {hit.document for hit in second.search("dogs bark")} == {"a"}
        second.put([*DOCUMENTS[:1], Document("z", "Zebras bark.")], "given")
        assert {hit.document for hit in second.search("dogs bark")} == {"a", "z"}
    with Collection.open("papers", settings, embedder=HashEmbedder()) as third:
        assert {hit.document for hit in third.search("dogs bark")} == {"a", "z"}


def test_a_removed_document_is_not_found_at_once(settings: Settings) -> None:
    writer = Collection.open("papers", settings, create=True, embedder=HashEmbedder())
    writer.put(DOCUMENTS, "given")
    reader = Collection.open("papers", settings, embedder=HashEmbedder())
    assert {hit.document for hit in reader.search("dogs bark")} == {"a", "b", "c"}
    writer.forget(["b"])
    assert {hit.document for hit in reader.search("dogs bark")} == {"a", "c"}
    assert {hit.document for hit in writer.search("dogs bark")} == {"a", "c"}
    writer.close()
    reader.close()


def found(collection: Collection) -> set[str]:
    return {hit.document for hit in collection.search("dogs bark", 50)}


def test_a_change_leaves_the_base_until_it_is_due(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "FEW", 2)
    folder = settings.indexes / "papers"
    with (
        Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as writer,
        Collection.open("papers", settings, embedder=HashEmbedder()) as reader,
    ):
        writer.put(DOCUMENTS, "given")
        assert found(reader) == {"a", "b", "c"}
        base = cache_file(folder)
        writer.put([Document("d", "Deer dogs.")], "more")
        writer.forget(["c"])
        assert cache_file(folder) == base
        with Collection.open("papers", settings, embedder=HashEmbedder()) as fresh:
            assert found(fresh) == found(reader) == found(writer) == {"a", "b", "d"}
        writer.put([Document("d", "Deer dogs."), Document("e", "Eel dogs.")], "more")
        assert cache_file(folder) != base
        # A reader that has the old base goes on with it; one that comes later has the new one.
        with Collection.open("papers", settings, embedder=HashEmbedder()) as fresh:
            assert found(fresh) == found(reader) == found(writer) == {"a", "b", "d", "e"}
            assert fresh._current.get().base_edition == writer._current.get().base_edition
        for n in range(6):
            writer.put([Document(f"x{n}", f"Number {n} dogs.")], f"s{n}")
            assert found(reader) == found(writer)
        [(rows,)] = writer._store.rows("SELECT count(*) FROM history")
        assert rows <= 8  # the log is cut


def test_a_base_newer_than_what_a_transaction_sees(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "FEW", 0)
    with (
        Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as writer,
        Collection.open("papers", settings, embedder=HashEmbedder()) as reader,
    ):
        writer.put(DOCUMENTS[:2], "given")
        with reader._store.transaction(write=False):
            assert reader.documents()
            writer.put(DOCUMENTS, "given")
            current = CurrentIndex(reader._store, settings.indexes / "papers", lambda: 64)
            assert current.find() is None  # the base is of a later generation
            keys = [key for key, _ in current.get().search(bag_vector("dogs"), 9)]
            assert len(keys) == 2
        assert found(reader) == {"a", "b", "c"}


@pytest.mark.parametrize("kind", [GRAPH, LISTS])
def test_a_collection_grows_out_of_its_index(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(index_module, "FEW", 20)
    monkeypatch.setattr(part_module, "FLAT_ROWS", 60)
    monkeypatch.setattr(part_module, "GRAPH_ROWS", 60 if kind == LISTS else 1000)
    texts = [Document(f"d{n}", f"Fact {n} is about thing{n}.") for n in range(150)]
    with (
        Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as writer,
        Collection.open("papers", settings, embedder=HashEmbedder()) as reader,
    ):
        kinds = []
        for size in (30, 50, 59, 70, 75, 100, 120, 119, 150, 60):
            writer.put(texts[:size], "given")
            kinds.append(writer._current.get().base.kind)
            for n in (0, size // 2, size - 1):
                assert reader.search(f"thing{n}", 1)[0].document == f"d{n}"
            assert len(reader._current.get().search(bag_vector("fact"), 500)) == size
        assert kinds[:4] == [FLAT, FLAT, FLAT, kind]
        assert set(kinds[3:-1]) == {kind}
        with Collection.open("papers", settings, embedder=HashEmbedder()) as fresh:
            assert fresh.search("thing59", 1)[0].document == "d59"
            assert "d60" not in {hit.document for hit in fresh.search("thing60", 50)}
    # Its file is lost: a question makes an exact one, and whoever writes next the right one.
    cache_file(settings.indexes / "papers").unlink()
    with Collection.open("papers", settings, embedder=HashEmbedder()) as lone:
        assert lone.search("thing59", 1)[0].document == "d59"
        assert lone._current.get().base.kind == FLAT
    with Collection.open("papers", settings, embedder=HashEmbedder()) as last:
        last.put(texts[:62], "given")
        assert last._current.get().base.kind == kind
        assert last.search("thing61", 1)[0].document == "d61"
