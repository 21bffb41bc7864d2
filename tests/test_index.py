"""FAISS as a cache: right when whole, rebuilt when not, never believed without proof."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder, bag_vector

from rag.collection import Collection
from rag.index import VectorIndex
from rag.records import Document
from rag.settings import Settings


def build(edition: str = "1-x", size: int = 5) -> VectorIndex:
    vectors = np.array([bag_vector(f"word{n}") for n in range(size)])
    return VectorIndex.build(np.arange(10, 10 + size, dtype=np.int64), vectors, edition)


def test_search_is_exact_and_best_first() -> None:
    found = build().search(bag_vector("word3 word3 word1"), 3)
    assert [key for key, _ in found[:2]] == [13, 11]
    # (2a + b) / |2a + b| . a, with a and b nearly at right angles: about 2 / sqrt(5) = .894
    assert found[0][1] == pytest.approx(
        float(bag_vector("word3 word3 word1") @ bag_vector("word3"))
    )
    assert found[0][1] == pytest.approx(0.894, abs=0.1)


def test_an_empty_index_finds_nothing() -> None:
    assert build(size=0 + 1).search(bag_vector("x"), 0) == []
    empty = VectorIndex.build(np.zeros(0, np.int64), np.zeros((0, 64), np.float32), "1-x")
    assert empty.search(bag_vector("x"), 5) == []


def test_only_some_keys_may_be_found() -> None:
    index, question = build(), bag_vector("word3 word3 word1")
    everything = index.search(question, 5)
    some = np.array([14, 10, 11, 99], np.int64)  # 99 is not there
    assert index.search(question, 5, some) == [one for one in everything if one[0] in (10, 11, 14)]
    assert index.search(question, 1, some)[0][0] == 11
    assert index.search(question, 5, np.zeros(0, np.int64)) == []


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    index = build()
    index.save(tmp_path)
    loaded = VectorIndex.load(tmp_path, "1-x")
    assert loaded is not None
    assert loaded.search(bag_vector("word2"), 5) == index.search(bag_vector("word2"), 5)


def cache_file(folder: Path) -> Path:
    [file] = folder.glob("vectors-*.faiss")
    return file


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped bit": flip,
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
    build().save(tmp_path)
    damage(cache_file(tmp_path))
    assert VectorIndex.load(tmp_path, "1-x") is None


def test_saving_removes_older_files(tmp_path: Path) -> None:
    build("1-x").save(tmp_path)
    (tmp_path / ".vectors-left.tmp").write_bytes(b"by a killed process")
    build("2-x").save(tmp_path)
    assert [file.name[:11] for file in tmp_path.iterdir()] == ["vectors-2-x"]


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_failing_to_save_costs_only_time(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "gone"
    if kind == "a file":
        folder.write_text("")
    build().save(folder)
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
        cache_file(folder).unlink()
        old.write_bytes(kept)
    with Collection.open("papers", settings, embedder=HashEmbedder()) as third:
        hit = third.search("dogs bark")[0]
        assert (hit.document, hit.why["dense"]) == ("b", pytest.approx(1, abs=1e-3))


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
