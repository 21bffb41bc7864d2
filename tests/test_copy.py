"""Collections copied between files and a database: all of it, to the bit, or nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import DIMENSIONS, HashEmbedder
from typer.testing import CliRunner

from rag import copy as copy_module
from rag.backend import Backend, backend
from rag.cli import app
from rag.collection import Collection
from rag.copy import copy_collection
from rag.errors import CollectionError, InputError
from rag.records import Document, Mark
from rag.settings import Settings

Make = Callable[..., Path]


@pytest.fixture
def in_database(settings: Settings, database: str) -> Settings:
    return settings.model_copy(update={"store": database})


@pytest.fixture
def filled(settings: Settings, make_folder: Make) -> Settings:
    """A collection in files: from a folder, given, replaced, with odd characters."""
    zoo = make_folder(
        "zoo", {"cats.txt": "Cats purr. They sleep.\n" * 30, "dogs.md": "# Dogs\n\nBark."}
    )
    odd = Document(
        "odd", "One two 😀.\n\nThree.", "O\0dd", "2020", "text/plain", (Mark(0, "page", 4),)
    )
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as collection:
        collection.put([odd, Document("empty", "")], "given")
        collection.update(zoo)
        (zoo / "dogs.md").write_text("# Dogs\n\nDogs bark at 1,900 strangers.")
        collection.update(zoo)
    return settings


def everything(settings: Settings, name: str = "papers") -> list[Any]:
    """All that is stored, as it comes back; keys are a place's own, their order is not."""
    opened = backend(settings).open(name, lambda: DIMENSIONS, create=False)
    assert opened
    store, _ = opened
    documents = store.documents()
    chunks = store.chunks(store.chunk_keys(one.id for one in documents).tolist())
    held = [
        (asdict(one.chunk), one.title, one.date, one.spans, one.pages, one.vector.tobytes(),
         one.sentences.tobytes())
        for one in chunks
    ]  # fmt: skip
    texts = [store.document(one.id) for one in documents]
    assert store.counts() == (len(documents), len(chunks))
    store.close()
    return [documents, texts, held]


def test_there_and_back_again_nothing_changes(
    filled: Settings, in_database: Settings, embedder: HashEmbedder
) -> None:
    before = everything(filled)
    files, database = backend(filled), backend(in_database)
    told: list[tuple[int, int]] = []
    there = copy_collection("papers", files, database, "papers", lambda *one: told.append(one))
    assert (there.collection, there.documents) == ("papers", 4)
    assert there.chunks == len(before[2])
    assert told[-1] == (8, 8)
    assert database.names() == ["papers"]
    assert everything(in_database) == before
    back = copy_collection("papers", database, files, "again")
    assert (back.sha256, back.sentences) == (there.sha256, there.sentences)
    assert everything(filled, "again") == before
    assert sorted(files.names()) == ["again", "papers"]
    with (
        Collection.open("papers", in_database, embedder=embedder) as one,
        Collection.open("again", filled, embedder=embedder) as other,
        Collection.open("papers", filled, embedder=embedder) as first,
    ):
        for question in ("cats purr", "1,900 strangers", "one two"):
            assert one.search(question) == other.search(question) == first.search(question)
        assert embedder.embedded == 9  # three questions, of each: no document
        folder = Path(next(doc.source for doc in one.documents() if doc.path))
        assert one.update(folder).unchanged == 2  # and it is followed from where it was


def test_a_taken_name_is_refused(filled: Settings, in_database: Settings) -> None:
    files, database = backend(filled), backend(in_database)
    copy_collection("papers", files, database, "papers")
    with pytest.raises(InputError, match=r"a collection 'papers' in .*--as"):
        copy_collection("papers", files, database, "papers")
    with pytest.raises(CollectionError, match="no collection 'unknown'"):
        copy_collection("unknown", files, database, "unknown")
    assert database.names() == ["papers"]


class Through:
    """A backend that does something to every vector on its way into a store."""

    def __init__(self, inner: Backend, touch: Callable[[int, np.ndarray], np.ndarray]) -> None:
        self._inner, self._touch = inner, touch
        self._seen = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, name: str, dimensions: Any, create: bool) -> Any:
        opened = self._inner.open(name, dimensions, create)
        assert opened
        store: Any = opened[0]
        stage = store.stage

        def touched(document: Any, chunks: Any, spans: Any, embeddings: Any, **named: Any) -> None:
            changed = []
            for one in embeddings:
                changed.append(type(one)(self._touch(self._seen, one.passage), one.sentences))
                self._seen += 1
            stage(document, chunks, spans, changed, **named)

        store.stage = touched
        return opened


@pytest.mark.parametrize("into", ["files", "postgres"])
def test_what_did_not_arrive_as_it_was_is_not_published(
    filled: Settings, in_database: Settings, into: str
) -> None:
    files, database = backend(filled), backend(in_database)
    copy_collection("papers", files, database, "papers")
    source, target = (database, files) if into == "files" else (files, database)

    def flipped(at: int, vector: np.ndarray) -> np.ndarray:
        if at != 1:
            return vector
        halves = vector.astype("<f2")
        halves.view(np.uint16)[5] ^= 1  # the last bit of one number
        return halves.astype(np.float32)

    broken: Any = Through(target, flipped)
    with pytest.raises(
        CollectionError, match="did not arrive as it was sent: nothing was published"
    ):
        copy_collection("papers", source, broken, "other")
    assert target.names() == ["papers"]
    assert not target.exists(".other.copy")
    copy_collection("papers", source, target, "other")
    assert target.names() == ["other", "papers"]


@pytest.mark.parametrize("into", ["files", "postgres"])
def test_a_copy_that_is_broken_off_leaves_no_collection(
    filled: Settings, in_database: Settings, into: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_module, "_TOGETHER", 1)
    files, database = backend(filled), backend(in_database)
    copy_collection("papers", files, database, "papers")
    source, target = (database, files) if into == "files" else (files, database)
    child = os.fork() if hasattr(os, "fork") and into == "files" else None
    if child == 0:  # ends as a killed process does: nothing is tidied up

        def ended(at: int, vector: np.ndarray) -> np.ndarray:
            if at == 2:
                os._exit(9)
            return vector

        ending: Any = Through(target, ended)
        copy_collection("papers", source, ending, "other")
        os._exit(0)
    if child is not None:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        assert target.exists(".other.copy")  # its remains, which the next copy removes

    def stopped(at: int, vector: np.ndarray) -> np.ndarray:
        if at == 2:
            raise KeyboardInterrupt
        return vector

    stopping: Any = Through(target, stopped)
    with pytest.raises(KeyboardInterrupt):
        copy_collection("papers", source, stopping, "other")
    assert target.names() == ["papers"]
    assert not target.exists("other")
    assert not target.exists(".other.copy")
    copy_collection("papers", source, target, "other")
    places = {"files": filled, "postgres": in_database}
    assert everything(places[into], "other") == everything(filled)


@contextmanager
def environment(patch: pytest.MonkeyPatch, settings: Settings, store: str) -> Iterator[None]:
    with patch.context() as inner:
        inner.setenv("FOOTNOTE_INDEXES", str(settings.indexes))
        inner.setenv("FOOTNOTE_STORE", store)
        yield


def test_the_command(
    filled: Settings, in_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner().invoke
    with environment(monkeypatch, filled, ""):
        assert "set 'store'" in str(run(app, ["copy", "papers"]).exception)
        done = run(app, ["copy", "papers", "--to", in_database.store, "--json"])
        assert done.exit_code == 0, done
        report = json.loads(done.stdout)
        assert (report["collection"], report["documents"]) == ("papers", 4)
        assert run(app, ["copy", "papers", "--to", "nowhere"]).exit_code == 2
        assert run(app, ["copy", "papers", "--to", "files"]).exit_code == 2
    with environment(monkeypatch, filled, in_database.store):
        done = run(app, ["copy", "papers", "--from", "store", "--to", "files", "--as", "back"])
        assert "copied 'back' to" in done.stdout
        assert "4 documents" in done.stdout
        listed = json.loads(run(app, ["collections", "--json"]).stdout)
        assert [(one["name"], one["documents"]) for one in listed] == [("papers", 4)]
        assert run(app, ["remove", "papers", "--yes"]).exit_code == 0
        assert "no collection 'papers' in postgresql://" in str(
            run(app, ["remove", "papers", "--yes"]).exception
        )
        assert json.loads(run(app, ["collections", "--json"]).stdout) == []
    with environment(monkeypatch, filled, ""):
        listed = json.loads(run(app, ["collections", "--json"]).stdout)
        assert [one["name"] for one in listed] == ["back", "papers"]
