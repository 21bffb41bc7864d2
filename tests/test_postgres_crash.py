"""Kill the database in mid-work: nothing may be lost, doubled or wrong, and what fails must say so.

FOOTNOTE_KILL_N sets how many times the server is killed (2 by default).
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator

import durability_driver as driver
import pytest
from fakes import HashEmbedder

from eval.bench.postgres_server import Server
from rag.collection import Collection
from rag.errors import CollectionError
from rag.postgres.database import close_pools
from rag.records import Document
from rag.settings import Settings

KILLS = int(os.environ.get("FOOTNOTE_KILL_N", "2"))


@pytest.fixture
def crashing(postgres: Server) -> Iterator[Server]:
    """A server of the test's own, in a place where there can be one."""
    server = Server.made()
    yield server
    close_pools()
    server.close()


class Asking(threading.Thread):
    """Asks without end. Every answer is whole, every failure one clear line."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self.stopped = threading.Event()
        self.answers = 0
        self.errors: list[str] = []
        self.failures: list[BaseException] = []

    def run(self) -> None:
        try:
            collection = Collection.open("papers", self._settings, embedder=HashEmbedder())
            while not self.stopped.is_set():
                try:
                    self._ask(collection)
                    self.answers += 1
                except CollectionError as error:
                    self.errors.append(str(error))
        except BaseException as error:
            self.failures.append(error)

    def _ask(self, collection: Collection) -> None:
        found = collection.retrieve("Paragraph 2 tells of topic2", 50)
        assert found.hits, "all is lost"
        for hit in found.hits:
            name, version = hit.document, hit.text.split("version")[1].split()[0]
            assert hit.text in driver.text_of(name, int(version)), hit


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_the_primary_at_any_moment(crashing: Server, settings: Settings) -> None:
    kept = settings.model_copy(update={"store": crashing.url(), "chunk_tokens": 48})
    dice = random.Random(7)
    version, state = 1, {f"d{n}": 1 for n in range(30)}
    with Collection.open("papers", kept, create=True, embedder=HashEmbedder()) as collection:
        _put(collection, state)
    readers = [Asking(kept) for _ in range(2)]
    for reader in readers:
        reader.start()
    steps = 0
    said: list[str] = []
    for _ in range(KILLS):
        stop = threading.Timer(dice.uniform(0.05, 1.5), crashing.kill)
        stop.start()
        broken = False
        while not broken:
            version += 1
            wanted = {name: one for name, one in state.items() if dice.random() > 0.1}
            wanted |= {name: version for name in wanted if dice.random() < 0.5}
            wanted |= {f"n{version}x{n}": version for n in range(dice.randrange(6))}
            try:
                with Collection.open("papers", kept, embedder=HashEmbedder()) as collection:
                    _put(collection, wanted)
                state = wanted
                steps += 1
            except CollectionError as error:
                said.append(str(error))
                broken = True
        stop.join()
        crashing.start()
        with Collection.open("papers", kept, embedder=HashEmbedder()) as collection:
            now = driver.state_of(collection)
            assert now in (state, wanted), "lost, mixed up or doubled"
            state = now
            _put(collection, wanted)  # the same again succeeds
            assert driver.state_of(collection) == wanted
            state = wanted
            texts = [driver.text_of(*one) for one in state.items()]
            assert collection.counts()[0] == len(texts)
            _whole(collection)
    answered = sum(reader.answers for reader in readers)
    time.sleep(0.5)
    for reader in readers:
        reader.stopped.set()
        reader.join(30)
    assert [reader.failures for reader in readers] == [[], []]
    said += [one for reader in readers for one in reader.errors]
    for one in said:
        assert re.fullmatch(r"postgresql://.*: .*run the same again", one), one
    print(
        f"\n{KILLS} kills, {steps} publications, {answered} answers, {len(said)} clear errors: "
        "nothing lost, doubled or wrong"
    )
    assert answered
    assert len(said) >= KILLS


def _put(collection: Collection, state: driver.State) -> None:
    documents = [Document(name, driver.text_of(name, one)) for name, one in state.items()]
    collection.put(documents, "given")


def _whole(collection: Collection) -> None:
    """What is counted is there, no chunk is without its document, no word without its passage."""
    store = collection._store
    rows = getattr(store, "rows")  # noqa: B009
    documents, chunks = collection.counts()
    [(held, passages)] = rows(
        "SELECT count(*), sum(chunks) FROM footnote.documents WHERE collection = {k} AND live = 1"
    )
    assert (held, passages) == (documents, chunks)
    [(stray,)] = rows(
        "SELECT count(*) FROM footnote.chunks c WHERE collection = {k} AND NOT EXISTS (SELECT FROM "
        "footnote.documents d WHERE d.collection = {k} AND d.key = c.document)"
    )
    assert stray == 0
    [(every,)] = rows(
        "SELECT sum(passages) FROM footnote.words WHERE collection = {k} AND term = 'paragraph'"
    )
    [(true,)] = rows(
        "SELECT count(*) FROM footnote.chunks c JOIN footnote.documents d ON d.key = c.document "
        "WHERE c.collection = {k} AND d.collection = {k} AND d.live = 1 AND c.text ~ 'Paragraph'"
    )
    assert every == true
