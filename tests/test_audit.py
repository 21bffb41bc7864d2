"""The log says who did what; words only where they are wanted; names go when they should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ui.audit import Audit
from ui.database import Database


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database(None)
    yield opened
    opened.close()


def test_words_are_kept_only_where_wanted(database: Database) -> None:
    Audit(database, with_text=False).note("anna", "ask", "papers", "Who is ill?")
    Audit(database, with_text=True).note("ben", "ask", "papers", "How many \ud800?")
    stored = [tuple(row) for row in database.rows("SELECT user, object, detail FROM audit")]
    assert stored == [("anna", "papers", ""), ("ben", "papers", "How many ??")]


def test_entries_come_newest_first_and_can_be_narrowed(database: Database) -> None:
    log = Audit(database, with_text=True)
    for user, action in (("anna", "login"), ("ben", "login failed"), ("anna", "upload")):
        log.note(user, action, "x")  # type: ignore[arg-type]
    database.run("UPDATE audit SET at = '2024-05-01T10:00:00.000000Z' WHERE action = 'login'")
    assert [one.action for one in log.entries()] == ["upload", "login failed", "login"]
    assert [one.action for one in log.entries("anna")] == ["upload", "login"]
    assert [one.action for one in log.entries("anna", limit=1)] == ["upload"]
    assert len(log.entries(since="2024-05-01")) == 3
    assert len(log.entries(since="2024-05-01T10:00:01")) == 2
    assert log.entries("' OR 1=1") == []
    assert log.forget_older(30) == 1
    assert [one.action for one in log.entries()] == ["upload", "login failed"]


def test_an_unknown_action_is_a_mistake(database: Database) -> None:
    with pytest.raises(ValueError, match="reindex"):
        Audit(database, with_text=True).note("anna", "dance")  # type: ignore[arg-type]


def test_a_forgotten_person_leaves_deeds_without_name_or_words(database: Database) -> None:
    log = Audit(database, with_text=True)
    log.note("anna", "ask", "papers", "my illness")
    log.note("root", "create", "anna", "account")
    log.note("ben", "ask", "papers", "anna")
    assert log.forget_user("anna") == 1
    assert [(one.user, one.object, one.detail) for one in log.entries()] == [
        ("ben", "papers", "anna"),
        ("root", "erased", "account"),
        ("erased", "papers", ""),
    ]
