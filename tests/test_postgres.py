"""PostgreSQL alone: who sees what, many writers, big collections, replicas, and what is said."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from fakes import DIMENSIONS, TRUSTING, HashEmbedder, ScriptedGenerator
from typer.testing import CliRunner

from eval.bench.generated import GivenEmbedder, fill_store
from eval.bench.postgres_server import Server, wait_for
from rag import doctor
from rag.address import shown
from rag.assistant import Assistant
from rag.backend import backend
from rag.cli import app
from rag.collection import Collection
from rag.doctor import examine
from rag.errors import CollectionError, InputError, SettingsError
from rag.ingest import given_job, stage_batch
from rag.postgres import lexical, vectors, words
from rag.postgres import publish as publish_module
from rag.postgres import session as session_module
from rag.postgres.backend import PostgresBackend
from rag.postgres.database import close_pools
from rag.postgres.store import PostgresStore
from rag.postgres.vectors import CurrentVectors
from rag.records import Document
from rag.settings import Settings
from rag.store import Store
from rag.stored import Move
from ui.database import Database as ChatDatabase
from ui.library import Library
from ui.people import People, Person


@pytest.fixture
def kept(settings: Settings, database: str) -> Settings:
    """Settings under which collections are kept in an empty database."""
    return settings.model_copy(update={"store": database})


def opened(
    kept: Settings, run: str = "", name: str = "papers"
) -> tuple[PostgresStore, CurrentVectors]:
    found = PostgresBackend(kept).open(name, lambda: DIMENSIONS, create=True, run=run)
    assert found
    return found


def stage(kept: Settings, store: PostgresStore, *documents: Document) -> list[str]:
    return stage_batch([given_job(one, "given") for one in documents], store, HashEmbedder(), kept)


# Who sees what


@pytest.fixture
def two(kept: Settings, embedder: HashEmbedder) -> Settings:
    """Two collections in one database."""
    for name in ("one", "two"):
        with Collection.open(name, kept, create=True, embedder=embedder) as made:
            made.put([Document("d", f"The secret of {name} is out.")], "given")
    return kept


TABLES = ("documents", "chunks", "words")


def test_row_level_security_lets_through_the_declared_collection_alone(two: Settings) -> None:
    keys = {name: backend(two).identity(name)[1] for name in ("one", "two")}  # type: ignore[index]
    with psycopg.connect(two.store, autocommit=True) as connection:
        connection.execute("SET ROLE footnote_app")

        def seen(table: str, declared: str | None) -> set[int]:
            with connection.transaction():
                if declared is not None:
                    connection.execute(f"SET LOCAL footnote.collection = '{declared}'")
                rows = connection.execute(f"SELECT DISTINCT collection FROM footnote.{table}")
                return {key for (key,) in rows}

        for table in TABLES:
            for key in keys.values():
                assert seen(table, str(key)) == {key}
            for nothing in (None, "", "999"):
                assert seen(table, nothing) == set()
        with connection.transaction():
            connection.execute(f"SET LOCAL footnote.collection = '{keys['one']}'")
            for table in TABLES:
                gone = connection.execute(
                    f"DELETE FROM footnote.{table} WHERE collection = {keys['two']}"
                )
                assert gone.rowcount == 0
            renamed = connection.execute("UPDATE footnote.collections SET generation = 9")
            assert renamed.rowcount == 1
        connection.execute(f"SET footnote.collection = '{keys['one']}'")
        for key, allowed in ((keys["one"], True), (keys["two"], False)):
            insert = (
                "INSERT INTO footnote.words (collection, term, part, passages, postings) "
                f"VALUES ({key}, 'x', 99, 1, '')"
            )
            if allowed:
                connection.execute(insert)
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level"):
                    connection.execute(insert)
        for table in TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT 1 FROM footnote.{table}_{keys['one']}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE footnote.documents")


def test_a_statement_of_the_store_without_where_sees_its_own_alone(two: Settings) -> None:
    store, _ = opened(two, name="one")
    assert store.rows("SELECT text FROM footnote.documents") == [("The secret of one is out.",)]
    with store.database.transaction(None, write=False) as connection:
        assert connection.execute("SELECT count(*) FROM footnote.chunks").fetchone() == (0,)
        [(role, passes)] = connection.execute(
            "SELECT rolname, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchall()
        assert (role, passes) == ("footnote_app", False)


@pytest.fixture
def roles(postgres: Server, database: str) -> Iterator[tuple[str, str, str]]:
    """The database's name, an owner who is no superuser, and a clerk who owns nothing."""
    name = database.partition("/test_")[2].partition("?")[0]
    owner, clerk, name = f"owner_{name}", f"clerk_{name}", f"test_{name}"
    postgres.run(f"CREATE ROLE {owner} LOGIN CREATEROLE")
    postgres.run(f"CREATE ROLE {clerk} LOGIN PASSWORD 'tops3cret'")
    postgres.run(f"GRANT CREATE ON DATABASE {name} TO {owner}")
    # Roles are the server's: another database of it may have made this one.
    if postgres.run("SELECT 1 FROM pg_roles WHERE rolname = 'footnote_app'"):
        postgres.run(f"GRANT footnote_app TO {owner} WITH ADMIN OPTION")
    yield name, owner, clerk
    close_pools()
    for role in (clerk, owner):
        postgres.run(f"DROP OWNED BY {role} CASCADE", name)
        postgres.run(f"DROP ROLE {role}")


def test_an_owner_sets_up_and_a_clerk_works(
    postgres: Server,
    settings: Settings,
    roles: tuple[str, str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, owner, clerk = roles
    as_owner, as_clerk = postgres.url(name, owner), postgres.url(name, clerk, "tops3cret")
    clerks = settings.model_copy(update={"store": as_clerk})
    with pytest.raises(
        CollectionError, match=r"is not set up.*run 'footnote store init'"
    ) as raised:
        backend(clerks).names()
    assert "tops3cret" not in str(raised.value)
    run = CliRunner().invoke(app, ["store", "init", "--url", as_owner])
    assert "superuser" in str(run.exception)  # pgvector is for a superuser to install
    postgres.run("CREATE EXTENSION vector", name)
    assert CliRunner().invoke(app, ["store", "init", "--url", as_owner]).exit_code == 0
    with pytest.raises(CollectionError, match=r"permission denied.*footnote store init --user"):
        backend(clerks).names()
    monkeypatch.setenv("FOOTNOTE_STORE", as_owner)
    done = CliRunner().invoke(app, ["store", "init", "--user", clerk])
    assert (done.exit_code, f"'{clerk}' may use it" in done.stdout) == (0, True), done
    for store in (as_clerk, as_owner):
        with Collection.open(
            "papers",
            settings.model_copy(update={"store": store}),
            create=True,
            embedder=HashEmbedder(),
        ) as collection:
            collection.put([Document("d", f"Cats of {len(store)}.")], store)
            assert collection.search("cats", 1)
    for url in (as_owner, as_clerk):
        with psycopg.connect(url, autocommit=True) as connection:
            for table in TABLES:
                assert connection.execute(f"SELECT count(*) FROM footnote.{table}").fetchone() == (
                    0,
                )
    Collection.remove("papers", clerks)


def test_no_message_holds_a_password(settings: Settings, tmp_path: Any, caplog: Any) -> None:
    url = "postgresql://me:hunter2@127.0.0.1:1/papers?sslpassword=hunter2&connect_timeout=1"
    assert shown(url) == (
        "postgresql://me:***@127.0.0.1:1/papers?sslpassword=***&connect_timeout=1"
    )
    assert (
        shown("postgresql:///db?host=/run/pg&password=x")
        == "postgresql:///db?host=/run/pg&password=***"
    )
    for secret in ("hun#ter2", "hun?ter2", "hun/ter2", "hun@ter2", "hun:ter2", "hun%zz"):
        assert shown(f"postgresql://me:{secret}@h/db?a=b") == "postgresql://me:***@h/db?a=b"
    assert shown("postgresql://h/db?pass%77ord=x") == "postgresql://h/db?pass%77ord=***"
    assert shown("postgresql://me@[::1]:5432/db") == "postgresql://me@[::1]:5432/db"
    with pytest.raises(SettingsError, match="is no address of a database") as unfit:
        backend(settings.model_copy(update={"store": "postgresql://me:hunter%zz2@h/db"}))
    assert "hunter" not in str(unfit.value)
    kept = settings.model_copy(
        update={"store": url, "store_replicas": (url,), "cache": tmp_path, "collection": "papers"}
    )
    for said in (repr(kept), kept.model_dump_json()):
        assert "hunter2" not in said
    caplog.set_level(logging.DEBUG)
    started = time.monotonic()
    with pytest.raises(CollectionError) as raised:
        Collection.open("papers", kept)
    assert time.monotonic() - started < 15
    message = str(raised.value)
    assert "\n" not in message and "hunter2" not in message
    assert re.search(
        r"me:\*\*\*@127\.0\.0\.1:1/papers.*can't be reached.*Connection refused", message
    )
    assert "hunter2" not in caplog.text
    close_pools()


def test_a_collection_made_anew_is_another(kept: Settings, embedder: HashEmbedder) -> None:
    with Collection.open("papers", kept, create=True, embedder=embedder) as first:
        first.put([Document("a", "Cats purr.")], "given")
        Collection.remove("papers", kept)
        with Collection.open("papers", kept, create=True, embedder=embedder) as second:
            second.put([Document("b", "Dogs bark.")], "given")
            with pytest.raises(CollectionError, match="'papers' was removed: open it again"):
                first.search("cats")
            assert [hit.document for hit in second.search("cats")] == ["b"]


def test_a_removal_leaves_no_table(
    kept: Settings, postgres: Server, embedder: HashEmbedder
) -> None:
    for name in ("one", "two"):
        with Collection.open(name, kept, create=True, embedder=embedder) as made:
            made.put([Document("a", "Cats purr.")], "given")
    Collection.remove("one", kept)
    store, _ = opened(kept, name="two")
    left = store.rows(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'footnote' AND relname ~ '_[0-9]+$' ORDER BY relname"
    )
    assert [name for (name,) in left] == [
        f"{table}_{store.key}" for table in ("chunk_key", *sorted(TABLES))
    ]


def test_a_long_reader_keeps_no_other_waiting_when_a_collection_is_removed(
    two: Settings, embedder: HashEmbedder
) -> None:
    store, _ = opened(two, name="one")
    with store.transaction(write=False):
        store.documents()
        with pytest.raises(CollectionError, match="busy.*nothing was changed"):
            Collection.remove("two", two)
    with Collection.open("two", two, embedder=embedder) as there:
        assert there.search("secret", 1)
    Collection.remove("two", two)


# Many writers


def worker(kept: Settings, run: str, first: int, last: int, die: bool) -> None:
    """Stage documents, one transaction each; then wait to be killed."""
    store, _ = opened(kept, run)
    for n in range(first, last):
        stage(kept, store, Document(f"d{n}", f"Document number {n} of the bulk."))
    if die:
        with store.transaction():
            store.rows("SELECT 1")
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_many_programs_stage_into_one_collection(kept: Settings) -> None:
    opened(kept)
    context = multiprocessing.get_context("spawn")
    # What two are given is the same, as when a task is run again.
    shares = [(0, 30, False), (20, 50, False), (50, 70, True)]
    workers: list[Any] = [
        context.Process(target=worker, args=(kept, "bulk", *one)) for one in shares
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert [one.exitcode for one in workers] == [0, 0, -signal.SIGKILL]
    bulk, _ = opened(kept, "bulk")
    other, _ = opened(kept)
    assert other.staged() == {}  # an ordinary run neither takes up nor drops them
    with Collection.open("papers", kept, embedder=HashEmbedder()) as collection:
        collection.put([Document("own", "Cats purr.")], "given")
        assert collection.counts() == (1, 1)
        assert len(bulk.staged()) == 70
        bulk.publish(list(bulk.staged()))
        assert collection.counts() == (71, 71)
        assert {one.id for one in collection.documents()} == {"own", *(f"d{n}" for n in range(70))}
        for n in (0, 25, 69):
            [hit] = collection.search(f"document number {n}", 1)
            assert hit.text == f"Document number {n} of the bulk."


def test_publications_wait_for_one_another(kept: Settings) -> None:
    errors: list[Exception] = []

    def publish(n: int) -> None:
        try:
            store, _ = opened(kept, f"run{n}")
            for step in range(5):
                # Two runs have the same documents: the later one's stand.
                stage(kept, store, Document(f"d{n // 2}", f"Version {step} of run {n}."))
                store.publish(list(store.staged()))
        except Exception as error:
            errors.append(error)

    opened(kept)
    threads = [threading.Thread(target=publish, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    store, _ = opened(kept)
    assert store.generation == 30
    assert store.counts() == (3, 3)
    assert len(store.chunk_keys(["d0", "d1", "d2"])) == 3
    for term, holding in (("version", 3), ("run", 3)):
        [(count,)] = store.rows(
            "SELECT sum(passages) FROM footnote.words WHERE collection = {k} AND term = %s", (term,)
        )
        assert count == holding


def test_a_move_of_what_is_gone_removes_nothing(kept: Settings) -> None:
    store, _ = opened(kept)
    stage(kept, store, Document("b", "Dogs bark."))
    store.publish(["b"])
    # As planned by a program that did not know that another had moved it already.
    store.publish([], [], [Move("a", "b", "s", "/b", "1", "B")])
    assert (store.counts(), [one.id for one in store.documents()]) == ((1, 1), ["b"])


def test_another_schema_is_refused_with_the_remedy(kept: Settings, postgres: Server) -> None:
    opened(kept)
    with psycopg.connect(kept.store, autocommit=True) as connection:
        connection.execute("UPDATE footnote.collections SET schema = 99")
    with pytest.raises(CollectionError, match=r"papers.*schema 99, not 1.*--rebuild"):
        Collection.open("papers", kept, embedder=HashEmbedder())
    with Collection.open("papers", kept, rebuild=True, embedder=HashEmbedder()) as anew:
        assert anew.counts() == (0, 0)


# Words


def test_bm25_by_hand(kept: Settings) -> None:
    store, _ = opened(kept)
    stage(kept, store, Document("a", "Owls hoot hoot."), Document("b", "Cats purr softly now."))
    store.publish(["a", "b"])
    [(_, score)] = store.search_words("hoot", 5)
    # One of two passages has it: idf = ln(1.5 / 1.5) = 0, for which 1e-6 stands. It has it twice in 3
    # words; passages have 3.5 on average. 2 * 2.2 / (2 + 1.2 * (.25 + .75 * 3 / 3.5)) = 1.43256
    assert score == pytest.approx(1.43256e-6, rel=1e-4)
    stage(kept, store, *(Document(f"c{n}", "Dogs bark.") for n in range(8)))
    store.publish([f"c{n}" for n in range(8)])
    [(_, score)] = store.search_words("hoots", 5)
    # Ten passages of 2.3 words: ln(9.5 / 1.5) = 1.84583; 4.4 / (2 + .3 + .9 * 3 / 2.3) = 1.26658
    assert score == pytest.approx(1.84583 * 1.26658, rel=1e-4)


@pytest.fixture
def large(kept: Settings) -> tuple[PostgresStore, CurrentVectors, Store, list[str], np.ndarray]:
    """The same 3000 generated passages in PostgreSQL and in SQLite, with questions about them."""
    store, keeper = opened(kept)
    plain = Store(None)
    texts, near = fill_store(store, 3000, lambda done: None, 40)
    fill_store(plain, 3000, lambda done: None, 40)
    return store, keeper, plain, texts, near


@pytest.mark.slow
def test_a_larger_collection(large: Any, kept: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words pruned and whole, made anew after removals; vectors by the graph, filtered, staged."""
    store, keeper, plain, texts, near = large
    for question in texts:
        expected = plain.search_words(question, 50)
        found = store.search_words(question, 50)
        assert [key for key, _ in found] == [key for key, _ in expected]
        assert [one for _, one in found] == pytest.approx([one for _, one in expected])

    # Where a question's words have too many postings, what is found has its exact score.
    exact = [dict(store.search_words(one, 3000)) for one in texts]
    shares = []
    with monkeypatch.context() as patch:
        patch.setattr(words, "MOST", 150)
        patch.setattr(lexical, "RESCORED", 60)
        for question, scores in zip(texts, exact, strict=True):
            found = store.search_words(question, 50)
            for key, one in found[:10]:
                assert one == pytest.approx(scores[key])
            best = sorted(scores, key=lambda key: -scores[key])[:10]
            shares.append(len({key for key, _ in found[:10]} & set(best)) / 10)
    assert np.mean(shares) >= 0.85, np.mean(shares)

    # The graph.
    with store.transaction(write=False):
        index = keeper.get()
        true = [index.search_exactly(one, 10) for one in near]
        assert [index.search(one, 10) for one in near] == true
    assert not store.state.graph
    monkeypatch.setattr(vectors, "EXACT", 1000)
    keeper.renew(1000)
    assert store.state.graph
    stage_many = GivenEmbedder(texts, near)
    documents = [Document(f"s{n}", texts[n]) for n in range(40)]
    stage_batch([given_job(one, "given") for one in documents], store, stage_many, kept)
    part = store.chunk_keys(one.id for one in store.documents()[:100])
    with store.transaction(write=False):
        plan = "\n".join(
            line
            for (line,) in store.rows(
                f"EXPLAIN {vectors.graph_sql(384, 24)}", (vectors.half(near[0]),)
            )
        )
        assert f"chunks_graph_{store.key}" in plan
        found = [index.search(one, 10) for one in near]
        within = [index.search(one, 10, part) for one in near]
        true_within = [index.search_exactly(one, 10, part) for one in near]
    assert recall(found, true) >= 0.97
    assert recall(within, true_within) >= 0.97

    # Removals: counts follow at once, rows of words are made anew.
    monkeypatch.setattr(publish_module, "FEW_DEAD", 500)
    gone = [one.id for one in store.documents()[::4]]
    for at in range(0, len(gone), 10):
        store.publish([], gone[at : at + 10])
        plain.publish([], gone[at : at + 10])
    assert store.counts() == plain.counts()
    assert store.state.dead < 750
    for question in texts:
        expected, hits = plain.search_words(question, 50), store.search_words(question, 50)
        assert [one for _, one in hits] == pytest.approx([one for _, one in expected])
    plain.close()


def recall(found: list[Any], true: list[Any]) -> float:
    pairs = zip(found, true, strict=True)
    return float(np.mean([len({k for k, _ in a} & {k for k, _ in b}) / len(b) for a, b in pairs]))


# Answers, replicas, crashes


def test_two_programs_answer_identically(kept: Settings, embedder: HashEmbedder) -> None:
    trusting = kept.model_copy(update=TRUSTING)
    with Collection.open("papers", trusting, create=True, embedder=embedder) as first:
        memo = "The Budapest Memorandum was signed on 5 December 1994 in Budapest."
        first.put([Document("a", memo), Document("b", "Bread needs flour.")], "given")
        second = Collection.open("papers", trusting, embedder=HashEmbedder())
        answers = []
        for collection in (first, second):
            scripted = ScriptedGenerator(("5 December 1994", "It was signed on 5 December 1994."))
            question = "When was the Budapest Memorandum signed?"
            answer = Assistant(collection, trusting, scripted).ask(question).to_dict()
            answer.pop("timings")
            answers.append(answer)
        assert answers[0] == answers[1]
        assert answers[0]["citations"]


@pytest.fixture
def crashing() -> Iterator[Server]:
    """A server of the test's own."""
    server = Server.made()
    yield server
    close_pools()
    server.close()


@pytest.mark.slow
@pytest.mark.usefixtures("postgres")
def test_replicas_answer_while_they_know_enough(
    crashing: Server, settings: Settings, embedder: HashEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = settings.model_copy(update={"store": crashing.url()})
    with Collection.open("papers", kept, create=True, embedder=embedder) as writer:
        writer.put([Document("a", "Cats purr.")], "given")
        standby = crashing.standby()
        try:
            reading = kept.model_copy(update={"store_replicas": (standby.url(),)})
            with Collection.open("papers", reading, embedder=embedder) as reader:
                store = reader._store
                assert isinstance(store, PostgresStore)

                def answered_by() -> str:
                    [(recovering,)] = store.rows("SELECT pg_is_in_recovery()")
                    return "replica" if recovering else "primary"

                wait_for(lambda: answered_by() == "replica")
                assert [hit.text for hit in reader.search("cats")] == ["Cats purr."]
                standby.run("SELECT pg_wal_replay_pause()")
                writer.put([Document("b", "Dogs bark.")], "other")
                # This program knows of generation 2, which the replica has not.
                assert answered_by() == "primary"
                assert {hit.text for hit in reader.search("dogs")} == {"Cats purr.", "Dogs bark."}
                # Another one does not: it sees the generation before, whole.
                session_module._seen.clear()
                assert answered_by() == "replica"
                assert [hit.text for hit in reader.search("dogs")] == ["Cats purr."]
                standby.run("SELECT pg_wal_replay_resume()")
                wait_for(lambda: len(reader.search("dogs")) == 2)
                assert answered_by() == "replica"
                standby.kill()
                try:
                    reader.search("dogs")  # under way on the replica's last breath, or not
                except CollectionError as error:
                    said = str(error)
                    assert shown(standby.url()) in said
                assert len(reader.search("dogs")) == 2
                assert answered_by() == "primary"
        finally:
            standby.close()


@pytest.mark.slow
@pytest.mark.usefixtures("postgres")
def test_a_replica_names_collections_while_the_primary_is_away(
    crashing: Server, settings: Settings, embedder: HashEmbedder
) -> None:
    kept = settings.model_copy(update={"store": crashing.url()})
    with Collection.open("papers", kept, create=True, embedder=embedder) as writer:
        writer.put([Document("a", "Cats purr.")], "given")
    standby = crashing.standby()
    try:
        reading = kept.model_copy(update={"store_replicas": (standby.url(),)})
        crashing.stop()
        assert backend(reading).names() == ["papers"]
        assert backend(reading).exists("papers") and not backend(reading).exists("others")
    finally:
        standby.close()


def test_the_chats_library_keeps_collections_in_a_database(
    kept: Settings, embedder: HashEmbedder
) -> None:
    chat = kept.model_copy(update={"chat": kept.indexes / "chat"})
    chat.chat_folder.mkdir(parents=True)
    admin = Person("ada", "admin")
    database = ChatDatabase(chat.chat_folder / "chat.db")
    library = Library(chat, People(chat.chat_folder / "people.json"), database, embedder)
    try:
        library.create(admin, "papers")
        with pytest.raises(InputError, match="already"):
            library.create(admin, "papers")
        library.upload(admin, "papers", "cats.txt", iter([b"Cats purr."]))
        for task in library.tasks("papers"):
            assert task.ended.wait(20)
        with library.view("papers") as seen:
            assert [one.id for one in seen.documents()] == ["cats.txt"]
        assert [hit.text for hit in library.reader("papers").search("cats")] == ["Cats purr."]
        assert library.names(admin) == ["papers"]
        library.delete(admin, "papers", ["cats.txt"])
        assert library.reader("papers").counts() == (0, 0)
        library.remove(admin, "papers")
        assert library.names(admin) == []
        with pytest.raises(CollectionError, match="no collection 'papers'"):
            library.reader("papers")
        assert not (kept.indexes / "papers").exists()
    finally:
        library.close()
        database.close()


def test_nothing_of_it_is_loaded_where_files_serve() -> None:
    code = (
        "import sys, rag, rag.cli, rag.backend, rag.collection, rag.copy; "
        "print(sorted({'psycopg', 'psycopg_pool', 'pgvector', 'faiss', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_doctor_says_where_collections_are(kept: Settings, tmp_path: Any) -> None:
    opened(kept)
    assert doctor._store(kept, []) == {"place": shown(kept.store), "collections": 1}
    away = kept.model_copy(update={"cache": tmp_path, "store": "postgresql://x:pw@127.0.0.1:1/d"})
    found = examine(away)
    assert found["store"]["collections"] is None
    assert [one for one in found["problems"] if "x:***@127.0.0.1:1/d" in one]
    assert "pw@" not in json.dumps(found)
    close_pools()
