"""Word search in large collections: what its folder finds, and that nothing wrong is ever found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import HashEmbedder

from eval.bench.generated import fill_store
from rag import lexical
from rag.collection import Collection
from rag.records import Document
from rag.settings import Settings
from rag.store import Store
from rag.wordfile import extend_words, words_at

pytest.importorskip("tantivy")
SIZE = 1500


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few passages count as many."""
    monkeypatch.setattr(lexical, "LARGE", 2)


def folders(where: Path) -> list[Path]:
    return sorted(where.glob("*words-*"))


def test_the_first_ten_are_those_of_the_exact_index(large: None, tmp_path: Path) -> None:
    store, exact = Store(tmp_path / "collection.db"), Store(None)
    questions, _ = fill_store(store, SIZE, lambda done: None, 60)
    fill_store(exact, SIZE, lambda done: None, 60)
    shares = []
    for question in questions:
        found, expected = (one.search_words(question, 10) for one in (store, exact))
        assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)
        shares.append(len({key for key, _ in found} & {key for key, _ in expected}) / len(expected))
    assert words_at(tmp_path, store.edition)
    assert np.mean(shares) >= 0.95


def test_an_open_reader_follows_what_comes_and_goes(
    large: None, tmp_path: Path, settings: Settings
) -> None:
    texts = {f"{n}.txt": f"Number {n} is about cats." for n in range(5)}

    def put(collection: Collection) -> None:
        documents = [Document(name, text) for name, text in texts.items()]
        collection.put(documents, source="given")

    embedder = HashEmbedder()
    with (
        Collection.open("c", settings, create=True, embedder=embedder) as writer,
        Collection.open("c", settings, embedder=embedder) as reader,
    ):
        for change in ({}, {"new.txt": "A zyzzyva, cité: 1,900 of them."}, {"0.txt": "A dog."}):
            texts |= change
            put(writer)
            found = {
                word: {c.chunk.document for c in reader._store.chunks([k for k, _ in hits])}
                for word in ("cats", "cat", "zyzzyva", "CITE", "1,900", "dogs", "and the")
                for hits in [reader._store.search_words(word, 10)]
            }
            assert words_at(settings.indexes / "c", reader._store.edition)
            cats = {name for name, text in texts.items() if "cats" in text}
            new = {"new.txt"} & texts.keys()
            assert found["cats"] == found["cat"] == cats
            assert found["zyzzyva"] == found["CITE"] == found["1,900"] == new
            assert found["dogs"] == {name for name, text in texts.items() if "dog" in text}
        assert len(folders(settings.indexes / "c")) == 2  # this edition's, and the one before


def test_what_is_damaged_or_half_written_is_not_used(large: None, tmp_path: Path) -> None:
    store = Store(tmp_path / "collection.db")
    questions, _ = fill_store(store, 100, lambda done: None, 3)
    [*_, folder] = folders(tmp_path)
    found = [key for key, _ in store.search_words(questions[0], 3)]
    (folder / "more").write_bytes(b"")
    assert words_at(tmp_path, store.edition) is None
    (folder / "more").unlink()
    [data] = folder.glob("*.idx")
    whole = data.read_bytes()
    data.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert words_at(tmp_path, store.edition) is None
    assert words_at(tmp_path, "1-other") is None
    again = Store(tmp_path / "collection.db")  # the store's own index answers
    assert [key for key, _ in again.search_words(questions[0], 3)][:1] == found[:1]
    (tmp_path / ".words-1-dead.tmp").mkdir()
    again.publish([], [again.documents()[0].id])  # the next change makes another
    assert words_at(tmp_path, again.edition)
    assert not list(tmp_path.glob("*.tmp"))


def test_a_folder_that_cannot_be_made_costs_only_time(tmp_path: Path) -> None:
    assert not extend_words(tmp_path / "nowhere", "", "1-a", [(1, "", "cats")], ())
    assert not extend_words(tmp_path, "0-missing", "1-a", [(1, "", "cats")], ())
    assert folders(tmp_path) == []


def test_a_folder_of_another_form_is_none(tmp_path: Path) -> None:
    assert extend_words(tmp_path, "", "e1", [(1, "", "cats purr")], [])
    seal = tmp_path / "words-e1" / "seal.json"
    sealed = json.loads(seal.read_text())
    assert words_at(tmp_path, "e1") is not None
    seal.write_text(json.dumps(sealed | {"form": sealed["form"] + 1}))
    assert words_at(tmp_path, "e1") is None
