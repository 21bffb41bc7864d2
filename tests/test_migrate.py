"""Databases as earlier versions wrote them, brought up to date without embedding anything again."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import HashEmbedder

from rag.collection import Collection
from rag.embed import Embedding
from rag.errors import CollectionError
from rag.lock import writing
from rag.migrate import MIGRATIONS, SCHEMA, upgrade
from rag.records import Document, Mark
from rag.settings import Settings
from rag.store import Store

# As the first version made them: no list, no log, spans without pages.
FIRST_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, live INTEGER NOT NULL, source TEXT NOT NULL, path TEXT NOT NULL,
    hash TEXT NOT NULL, stamp TEXT NOT NULL,
    title TEXT NOT NULL, date TEXT, media_type TEXT NOT NULL, text TEXT NOT NULL, marks TEXT NOT NULL,
    UNIQUE (id, live)
);
CREATE TABLE chunks (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents (key) ON DELETE CASCADE,
    start INTEGER NOT NULL, end INTEGER NOT NULL, page INTEGER, context TEXT NOT NULL,
    vector BLOB NOT NULL, spans TEXT NOT NULL, sentences BLOB NOT NULL
);
CREATE INDEX chunks_document ON chunks (document);
CREATE VIRTUAL TABLE words USING fts5 (
    context, text, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER forget AFTER DELETE ON chunks BEGIN DELETE FROM words WHERE rowid = OLD.key; END;
"""
NUL = "\U0010ffff"
MEMO = "The pact was signed in Budapest. " * 3 + "Kyiv gave up its warheads. " * 3 + "It holds."
DOCUMENTS = [
    Document(
        "memo", MEMO, "Memo", "1994-12-05", "text/plain", (Mark(0, "page", 1), Mark(120, "page", 2))
    ),
    Document("talk", "Slides say little. They say it twice.", marks=(Mark(0, "slide", 7),)),
    Document("odd", "Before the nought.\0After the nought comes more."),
    Document("plain", "Dogs bark loudly in the yard."),
]


def first(path: Path) -> None:
    """Write the collection of `path` anew as the first version would have (schema 1)."""
    was = sqlite3.connect(path)
    made = sqlite3.connect(path.with_name("old.db"))
    made.executescript(FIRST_TABLES)
    for row in was.execute("SELECT key, value FROM meta WHERE key IN ('generation', 'embedder')"):
        made.execute("INSERT INTO meta VALUES (?, ?)", row)
    made.execute("INSERT INTO meta VALUES ('schema', '1')")
    columns = "key, id, live, source, path, hash, stamp, title, date, media_type, text, marks"
    for row in was.execute(f"SELECT {columns} FROM documents"):
        values = [one.replace(NUL, "\0") if isinstance(one, str) else one for one in row]
        made.execute(f"INSERT INTO documents ({columns}) VALUES ({','.join('?' * 12)})", values)
    for *row, spans, sentences in was.execute("SELECT * FROM chunks"):
        pairs = json.dumps([span[:2] for span in json.loads(spans)])
        made.execute("INSERT INTO chunks VALUES (?,?,?,?,?,?,?,?,?)", (*row, pairs, sentences))
    made.execute(
        "INSERT INTO words (rowid, context, text) SELECT c.key, c.context, "
        "substr(d.text, c.start + 1, c.end - c.start) FROM documents d JOIN chunks c "
        "ON c.document = d.key WHERE d.live = 1"
    )
    made.commit()
    for one in (was, made):
        one.close()
    replace(path)


def replace(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(path.with_name("old.db"), path)
    for left in path.parent.glob("passages-*"):
        left.unlink()


def second(path: Path) -> None:
    """Schema 2 as it first was: schema 1 with the pages of sentences."""
    database = sqlite3.connect(path)
    database.execute("DROP INDEX listed")
    for column in ("added", "size", "pages"):
        database.execute(f"ALTER TABLE documents DROP COLUMN {column}")
    for table in ("history", "changes"):
        database.execute(f"DROP TABLE {table}")
    set_schema(database, 2)


def second_half_grown(path: Path) -> None:
    """Schema 2 that had its columns and its log with its last change, and then one by the first."""
    database = sqlite3.connect(path)
    database.execute("UPDATE documents SET size = NULL, pages = NULL WHERE id = 'memo'")
    set_schema(database, 2)


def set_schema(database: sqlite3.Connection, schema: int) -> None:
    database.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(schema),))
    database.commit()
    database.close()


OLD: dict[str, tuple[int, Callable[[Path], None]]] = {
    "1": (1, first),
    "2": (2, second),
    "2, half grown": (2, second_half_grown),
}
old_ones = pytest.mark.parametrize(("schema", "age"), OLD.values(), ids=OLD.keys())


@pytest.fixture
def database(settings: Settings) -> Path:
    small = settings.model_copy(update={"chunk_tokens": 32})
    with Collection.open("papers", small, create=True, embedder=HashEmbedder()) as collection:
        collection.put(DOCUMENTS, "given")
    return settings.indexes / "papers" / "collection.db"


def shape(path: Path) -> dict[str, Any]:
    """Tables with their columns, and indexes with theirs."""
    database = sqlite3.connect(path)
    names = database.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
    found: dict[str, Any] = {}
    for kind, name in names:
        of = "table_info" if kind == "table" else "index_info"
        rows = database.execute(f"SELECT name FROM pragma_{of}(?)", (name,)).fetchall()
        found[f"{kind} {name}"] = sorted(map(str, rows)) if kind == "table" else rows
    database.close()
    return found


def contents(settings: Settings) -> Any:
    """All that a reader sees: lists, texts, passages with pages and vectors, and what questions find."""
    embedder = HashEmbedder()
    with Collection.open("papers", settings, embedder=embedder) as collection:
        store = collection._store
        listed = [
            (one.id, one.title, one.size, one.pages, one.hash) for one in collection.documents()
        ]
        texts = [collection.document(one.id) for one in collection.documents()]
        chunks = [
            (one.chunk, one.spans, one.pages, one.vector.tobytes(), one.sentences.tobytes())
            for one in store.chunks(store.live_keys().tolist())
        ]
        questions = ["Where was the pact signed?", "warheads", "after the nought", "dogs"]
        hits = [collection.search(one, 5) for one in questions]
        assert embedder.calls == [[one] for one in questions], "something was embedded again"
        return listed, texts, chunks, hits, collection.counts(), collection.generation


def test_every_schema_has_a_way_to_this_one() -> None:
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA))


@old_ones
def test_an_older_database_becomes_as_if_written_today(
    database: Path, settings: Settings, tmp_path: Path, schema: int, age: Callable[[Path], None]
) -> None:
    expected = contents(settings)
    assert [one.pages for one in Store(database).documents()] == [2, None, None, 7]
    age(database)
    with pytest.raises(CollectionError, match=rf"schema {schema}.*footnote upgrade -c papers"):
        Collection.open("papers", settings)
    steps: list[tuple[int, int]] = []
    assert upgrade(database, lambda done, of: steps.append((done, of))) == schema
    assert steps and all(done == of for done, of in steps[-1:])
    assert contents(settings) == expected
    with Collection.open("new", settings, create=True, embedder=HashEmbedder()) as fresh:
        fresh.put(DOCUMENTS, "given")
    assert shape(database) == shape(settings.indexes / "new" / "collection.db")
    assert upgrade(database) == SCHEMA
    assert contents(settings) == expected


@old_ones
def test_whoever_writes_upgrades(
    database: Path, settings: Settings, schema: int, age: Callable[[Path], None]
) -> None:
    age(database)
    embedder = HashEmbedder()
    with Collection.open("papers", settings, create=True, embedder=embedder) as collection:
        report = collection.put([*DOCUMENTS, Document("new", "Cats purr.")], "given")
        assert (report.added, report.unchanged) == (1, 4)
        assert embedder.embedded == 1
        assert collection.search("Do cats purr?")[0].document == "new"
        assert "warheads" in collection.search("warheads")[0].text


def _die_at(path: Path, step: int) -> None:
    calls = 0

    def progress(done: int, of: int) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)

    upgrade(path, progress)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_killed_upgrade_leaves_the_old_schema(
    database: Path, settings: Settings, step: int
) -> None:
    expected = contents(settings)
    first(database)
    before = list(sqlite3.connect(database).iterdump())
    child = multiprocessing.get_context("fork").Process(target=_die_at, args=(database, step))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    assert list(sqlite3.connect(database).iterdump()) == before
    assert upgrade(database) == 1
    assert contents(settings) == expected


def test_an_upgrade_waits_for_no_writer(
    database: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.lock._WAIT_FOR_WRITER_S", 0.1)
    second(database)
    with writing("papers", settings.indexes), pytest.raises(CollectionError, match="being written"):
        upgrade(database)


def test_one_that_another_process_is_about_to_make_is_left_alone(settings: Settings) -> None:
    path = settings.indexes / "papers" / "collection.db"
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as begun:
        begun.execute("PRAGMA journal_mode = WAL")
        begun.execute("BEGIN IMMEDIATE")
        assert upgrade(path) == SCHEMA
    with Collection.open("papers", settings, create=True, embedder=HashEmbedder()) as collection:
        collection.put(DOCUMENTS, "given")


@pytest.mark.parametrize("schema", ["99", "0", "-1", "two"])
def test_what_it_does_not_know_is_left_alone(database: Path, schema: str) -> None:
    connection = sqlite3.connect(database)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (schema,))
    connection.commit()
    with pytest.raises(CollectionError, match=f"schema {schema}.*--rebuild"):
        upgrade(database)
    assert connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == (schema,)
    connection.close()


class Wider(HashEmbedder):
    """Another embedder: twice as wide, so that its vectors can't be mistaken for the first one's."""

    name = "wider"
    dimensions = 128

    def embed(self, *args: Any, **kwargs: Any) -> list[Embedding]:
        def twice(vectors: np.ndarray) -> np.ndarray:
            return np.concatenate([vectors, vectors], axis=-1) / np.float32(2**0.5)

        found = super().embed(*args, **kwargs)
        return [Embedding(twice(one.passage), twice(one.sentences)) for one in found]


def test_another_embedder_takes_over_from_the_stored_texts(
    database: Path, settings: Settings
) -> None:
    other = settings.model_copy(update={"embedder": "wider", "chunk_tokens": 32})
    reader = Collection.open("papers", settings, embedder=HashEmbedder())
    before = [hit.text for hit in reader.search("Where was the pact signed?")]
    hashes = [(one.id, one.hash) for one in reader.documents()]
    embedder = Wider()
    with Collection.open("papers", other, embedder=embedder, any_embedder=True) as collection:
        assert collection.made_with == "minilm"
        assert collection.reembed() == 4
        after = [hit.text for hit in collection.search("Where was the pact signed?")]
    assert after == before
    with pytest.raises(CollectionError, match="'wider'"):
        reader.search("Where was the pact signed?")  # with a vector of 64 numbers
    reader.close()
    with Collection.open("papers", other, embedder=Wider()) as collection:
        assert [(one.id, one.hash) for one in collection.documents()] == hashes
        assert collection.document("odd") == DOCUMENTS[2]
        assert collection.search("dogs")[0].document == "plain"


class Tired(Wider):
    """Dies after a number of batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def embed(self, *args: Any, **kwargs: Any) -> list[Embedding]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().embed(*args, **kwargs)


def test_embedding_again_goes_on_where_it_was_stopped(
    database: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.ingest._BATCH_DOCUMENTS", 1)
    expected = contents(settings)
    other = settings.model_copy(update={"embedder": "wider", "chunk_tokens": 32})
    with Collection.open("papers", other, embedder=Tired(2), any_embedder=True) as collection:
        with pytest.raises(KeyboardInterrupt):
            collection.reembed()
    assert contents(settings) == expected
    embedder = Wider()
    with Collection.open("papers", other, embedder=embedder, any_embedder=True) as collection:
        assert collection.reembed() == 4
        assert len(embedder.calls) == 2, "what was staged is taken up"
        assert collection.search("dogs")[0].document == "plain"


def test_what_another_embedder_left_staged_is_never_published(
    database: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("rag.ingest._BATCH_DOCUMENTS", 1)
    other = settings.model_copy(update={"embedder": "wider", "chunk_tokens": 32})
    with Collection.open("papers", other, embedder=Tired(2), any_embedder=True) as collection:
        with pytest.raises(KeyboardInterrupt):
            collection.reembed()
        assert len(collection._store.staged()) == 2
    with Collection.open("papers", settings, embedder=HashEmbedder()) as collection:
        collection.put([*DOCUMENTS, Document("new", "Cats purr.")], "given")
        assert collection._store.staged() == {}
        assert len({len(one.vector) for one in collection._store.chunks(range(1, 99))}) == 1
