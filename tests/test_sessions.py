"""The chat's database, login sessions in it, and the brake on guessing."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rag.errors import InputError
from ui.database import ChatDataError, Database
from ui.people import People
from ui.sessions import Sessions, Throttle

PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HOUR = 3600.0


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def people(tmp_path: Path) -> People:
    found = People(tmp_path / "people.json", hasher=QUICK)
    found.add("Anna", PASSWORD, "admin")
    found.add("ben", PASSWORD)
    return found


@pytest.fixture(params=["file", "memory"])
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    return Database(tmp_path / "chat" / "chat.db" if request.param == "file" else None)


def test_a_session_lasts_until_it_ends(database: Database, people: People) -> None:
    sessions = Sessions(database, people)
    first, second, other = sessions.begin("Anna"), sessions.begin("Anna"), sessions.begin("ben")
    assert len({first, second, other}) == 3 and len(first) >= 43
    assert sessions.name_of(first) == "Anna"
    assert Sessions(database, people).name_of(other) == "ben"
    for guess in ("", "x", first[:-1], first + "x", "\ud800", "' OR 1=1 --"):
        assert sessions.name_of(guess) is None
    sessions.end(first)
    sessions.end("never was")
    assert sessions.name_of(first) is None and sessions.name_of(second) == "Anna"
    sessions.end_all("anna")
    assert sessions.name_of(second) is None and sessions.name_of(other) == "ben"
    with pytest.raises(InputError):
        sessions.begin("nobody")


def test_tokens_are_not_stored(tmp_path: Path, people: People) -> None:
    database = Database(tmp_path / "chat.db")
    token = Sessions(database, people).begin("Anna")
    stored = b"".join(one.read_bytes() for one in tmp_path.glob("chat.db*"))
    assert token.encode() not in stored and b"Anna" in stored


def test_idle_and_old_sessions_end(people: People) -> None:
    clock = Clock()
    database = Database(None)
    sessions = Sessions(database, people, clock=clock)
    idle, used = sessions.begin("Anna"), sessions.begin("ben")
    for _ in range(24):  # a week, asked every seven hours
        clock.now += 7 * HOUR - 1
        if clock.now - Clock.now < 7 * 24 * HOUR:
            assert sessions.name_of(used) == "ben"
    assert sessions.name_of(idle) is None
    assert sessions.name_of(used) == "ben"
    clock.now = Clock.now + 7 * 24 * HOUR
    assert sessions.name_of(used) is None
    assert database.rows("SELECT * FROM sessions") == []


def test_a_new_password_and_removal_end_sessions(people: People) -> None:
    sessions = Sessions(Database(None), people)
    anna, ben = sessions.begin("Anna"), sessions.begin("ben")
    people.change("ben", role="editor")
    assert sessions.name_of(ben) == "ben"
    people.change("ben", password="another password")
    assert sessions.name_of(ben) is None
    ben = sessions.begin("ben")
    people.remove("ben")
    people.add("ben", "another password")
    assert sessions.name_of(ben) is None
    assert sessions.name_of(anna) == "Anna"


def test_guessing_is_slowed_by_name_and_by_address() -> None:
    clock = Clock()
    brake = Throttle(clock=clock)
    assert [brake.attempt("anna", f"10.0.0.{n}") for n in range(5)] == [0] * 5
    clock.now += 100
    assert brake.attempt("ANNA", "10.0.0.9") == 200
    assert brake.attempt("ben", "10.0.0.9") == 0
    clock.now += 200
    assert brake.attempt("anna", "10.0.0.9") == 0
    brake = Throttle(clock=clock)
    tries = [brake.attempt(f"user{n}", f"2001:db8::{n:x}") for n in range(21)]
    assert tries[:20] == [0] * 20 and tries[20] == 300
    assert brake.attempt("user", "2001:db8:0:1::1") == 0
    brake = Throttle(clock=clock)
    for _ in range(50):  # the right password is never slowed
        assert brake.attempt("anna", "10.0.0.1") == 0
        brake.succeeded("anna", "10.0.0.1")
    assert [brake.attempt("not a name", "x") for _ in range(21)] == [0] * 20 + [300]


def test_the_database_is_private_and_set_up(tmp_path: Path) -> None:
    database = Database(tmp_path / "chat" / "chat.db")
    database.script("CREATE TABLE a (x UNIQUE); CREATE TABLE b (a REFERENCES a(x))")
    database.insert("INSERT INTO a VALUES (1)")
    for file in (tmp_path / "chat").iterdir():
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "chat").st_mode) == 0o700
    assert [
        database.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "secure_delete")
    ] == [*("wal", 1)]
    with pytest.raises(sqlite3.IntegrityError):
        database.run("INSERT INTO b VALUES (2)")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        database.rows("SELECT * FROM c")


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    database.script("CREATE TABLE t (x UNIQUE); CREATE TABLE IF NOT EXISTS t (x)")
    assert database.insert("INSERT INTO t VALUES (?)", (1,)) == 1
    with contextlib.suppress(ZeroDivisionError), database.transaction():
        database.run("INSERT INTO t VALUES (2)")
        with database.transaction() as inner:
            inner.execute("INSERT INTO t VALUES (3)")
        assert len(database.rows("SELECT * FROM t")) == 3
        raise ZeroDivisionError
    assert [row["x"] for row in database.rows("SELECT x FROM t")] == [1]
    with pytest.raises(sqlite3.IntegrityError):
        database.script("INSERT INTO t VALUES (5); INSERT INTO t VALUES (1)")
    assert database.run("DELETE FROM t WHERE x >= :least", {"least": 1}) == 1
    database.close()
    with pytest.raises(ChatDataError):
        database.rows("SELECT 1")


def test_threads_write_at_once(database: Database) -> None:
    def work(first: int) -> None:
        database.script("CREATE TABLE IF NOT EXISTS t (x UNIQUE)")
        for number in range(first, first + 25):
            with database.transaction() as connection:
                connection.execute("INSERT INTO t VALUES (?)", (number,))
                assert database.rows("SELECT 1 FROM t WHERE x = ?", (number,))

    threads = [threading.Thread(target=work, args=(25 * n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.rows("SELECT COUNT(*) AS n FROM t")[0]["n"] == 150


def test_what_the_disk_does_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    database = Database(path, patience=0.05)
    database.script("CREATE TABLE t (x)")
    with Database(path).transaction(), pytest.raises(ChatDataError, match="another process"):
        database.run("INSERT INTO t VALUES (1)")
    pages = database.rows("PRAGMA page_count")[0][0]
    database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ChatDataError, match="disk is full"):
        database.run("INSERT INTO t VALUES (zeroblob(100000))")
    assert database.rows("SELECT * FROM t") == []
    database.close()
    for file in tmp_path.glob("chat.db-*"):
        file.unlink()
    path.write_bytes(b"no database" * 500)
    with pytest.raises(ChatDataError, match="not a database") as raised:
        Database(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(ChatDataError, match="can't be created"):
        Database(path / "chat.db")
