"""Keys: shown once, stored hashed, with their user's rights and life; and the command for them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner, Result

from rag.errors import InputError
from ui.database import Database
from ui.keys import Keys
from ui.keys_cli import app
from ui.people import People
from ui.people_cli import app as users_app

PASSWORD = "correct horse battery"
DAY = 86_400


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> People:
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    made = People(tmp_path / ".chat" / "people.json", hasher=PasswordHasher(1, 8, 1))
    made.add("Anna", PASSWORD, "admin")
    made.add("ben", PASSWORD, "reader", ["hr"])
    return made


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(people: People, clock: Clock) -> Keys:
    return Keys(Database(people.path.with_name("chat.db")), people, clock=clock)


def test_a_key_is_its_user_as_they_are_now(keys: Keys, people: People) -> None:
    key = keys.add("reporting", "BEN")
    assert re.fullmatch(r"fn_[\w-]{43}", key)
    assert keys.person(key) == people.person("ben")
    people.change("ben", role="editor", groups=["sales"])
    found = keys.person(key)
    assert found and (found.role, found.groups) == ("editor", {"sales"})
    people.change("ben", password="another horse battery")
    assert keys.person(key), "a password is no part of a key"
    for wrong in ("", "fn_", key[:-1], key + "x", key.lower(), "fn_" + "a" * 43, "é", "x" * 10**6):
        assert keys.person(wrong) is None


def test_only_its_hash_is_on_the_disk(keys: Keys, people: People) -> None:
    key = keys.add("reporting", "ben")
    held = b"".join(one.read_bytes() for one in people.path.parent.iterdir() if one.is_file())
    assert key.encode() not in held
    assert hashlib.sha256(key.encode()).digest() in held
    assert all(key not in str(one) for one in keys.all())


def test_a_key_ends_when_it_was_said(keys: Keys, clock: Clock) -> None:
    key, lasting = keys.add("short", "ben", days=2), keys.add("long", "ben")
    clock.now += 2 * DAY - 1
    assert keys.person(key)
    clock.now += 1
    assert keys.person(key) is None
    clock.now += 10_000 * DAY
    assert keys.person(lasting)


def test_last_use_is_noted_now_and_then(keys: Keys, clock: Clock) -> None:
    key = keys.add("reporting", "ben")
    assert keys.all()[0].used == ""
    keys.person(key)
    first = keys.all()[0].used
    clock.now += 30
    keys.person(key)
    assert keys.all()[0].used == first
    clock.now += 31
    keys.person(key)
    assert keys.all()[0].used > first


def test_a_key_goes_with_its_user(keys: Keys, people: People) -> None:
    key = keys.add("reporting", "ben")
    people.remove("ben")
    assert keys.person(key) is None
    people.add("ben", PASSWORD, "admin")
    assert keys.person(key) is None, "another of that name must not have it"
    assert keys.all() == []


def test_what_can_not_be_added_or_removed(keys: Keys) -> None:
    keys.add("reporting", "ben")
    for name, user, why in (
        ("Reporting", "anna", "already"),
        ("other", "nobody", "no user 'nobody'"),
        ("", "ben", "can't be a key's name"),
        ("a b", "ben", "can't be a key's name"),
    ):
        with pytest.raises(InputError, match=why):
            keys.add(name, user)
    with pytest.raises(InputError, match="there is no key 'x'"):
        keys.remove("x")


# The command


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_keys_are_made_listed_and_removed(people: People) -> None:
    assert "there are no keys" in run("list").stdout
    made = run("add", "reporting", "--user", "ben", "--days", "30")
    key = made.stdout.strip()
    assert re.fullmatch(r"fn_[\w-]{43}", key) and "can't be shown again" in made.stderr
    (row,) = json.loads(run("list", "--json").stdout)
    assert (row["name"], row["user"], row["used"]) == ("reporting", "ben", "") and row["ends"]
    assert "reporting  ben  ends 20" in run("list").stdout
    refused = run("add", "x", "--user", "nobody")
    assert isinstance(refused.exception, InputError) and "\n" not in str(refused.exception)
    assert run("add", "x", "--user", "ben", "--days", "0").exit_code == 2
    assert run("remove", "reporting").stdout == "removed reporting\n"
    assert isinstance(run("remove", "reporting").exception, InputError)


def test_removing_a_user_removes_their_keys(people: People, keys: Keys) -> None:
    key, other = keys.add("reporting", "ben"), keys.add("anna", "anna")
    done = CliRunner().invoke(users_app, ["remove", "BEN", "--yes"])
    assert done.exit_code == 0, done.exception
    people.add("ben", PASSWORD, "admin")
    assert keys.person(key) is None and keys.person(other)
