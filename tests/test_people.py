"""Accounts: what is let in, what is refused, and what a damaged or changing file does."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rag.errors import InputError
from ui.database import ChatDataError
from ui.people import OWNER, People, Person

PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def people(tmp_path: Path) -> People:
    found = People(tmp_path / "chat" / "people.json", hasher=QUICK)
    found.add("Anna", PASSWORD, "admin", ["hr"])
    return found


def test_only_the_right_password_opens(people: People) -> None:
    assert people.verify("anna", PASSWORD) == Person("Anna", "admin", frozenset({"hr"}))
    for name, password in [
        ("anna", PASSWORD + " "),
        ("anna", PASSWORD.upper()),
        ("anna", ""),
        ("anna", "x" * 100_000),
        ("nobody", PASSWORD),
        ("", ""),
        ("owner", PASSWORD),
        ("anna", "\ud800 surrogate"),
    ]:
        assert people.verify(name, password) is None


def test_passwords_are_kept_as_argon2id_and_composed_alike(people: People) -> None:
    people.add("ben", "пароль із й і ї", "reader")
    assert people.verify("ben", "пароль із и\u0306 і і\u0308") is not None
    text = people.path.read_text()
    assert text.count("$argon2id$") == 2 and "пароль" not in text and PASSWORD not in text


def test_an_unknown_name_takes_as_long(tmp_path: Path) -> None:
    people = People(tmp_path / "people.json")  # today's real parameters
    people.add("anna", PASSWORD, "admin")

    def seconds(name: str) -> float:
        start = time.perf_counter()
        assert people.verify(name, "wrong password") is None
        return time.perf_counter() - start

    seconds("warm-up")
    known = min(seconds("anna") for _ in range(3))
    unknown = min(seconds("nobody") for _ in range(3))
    assert 0.2 < known / unknown < 5  # without a hash it would be a thousand


def test_old_hashes_are_renewed(people: People) -> None:
    before = people.fingerprint("anna")
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    later = People(people.path, hasher=stronger)
    assert later.verify("anna", "wrong password") is None
    assert later.fingerprint("anna") == before
    assert later.verify("anna", PASSWORD) is not None
    assert later.fingerprint("anna") != before
    assert "m=16,t=2" in people.path.read_text()
    assert later.verify("anna", PASSWORD) is not None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 65,
        "owner",
        "OWNER",
        "anna",
        "ANNA",
        "a b",
        "-a",
        ".a",
        "a/b",
        "a\n",
        "їжак",
        "a:b",
    ],
)
def test_unfit_and_taken_names_are_refused(people: People, name: str) -> None:
    with pytest.raises(InputError):
        people.add(name, PASSWORD)
    assert len(people.all()) == 1


@pytest.mark.parametrize("password", ["", "123456789", "x" * 1025, "e\u0301" * 9])
def test_unfit_passwords_are_refused(people: People, password: str) -> None:
    with pytest.raises(InputError, match="10 to 1024"):
        people.add("ben", password)
    with pytest.raises(InputError, match="10 to 1024"):
        people.change("anna", password)


def test_there_is_always_an_admin(tmp_path: Path) -> None:
    people = People(tmp_path / "people.json", hasher=QUICK)
    assert not people.enabled
    with pytest.raises(InputError, match="first account must be an admin"):
        people.add("ben", PASSWORD, "editor")
    people.add("anna", PASSWORD, "admin")
    people.add("ben", PASSWORD)
    for refused in (lambda: people.remove("anna"), lambda: people.change("anna", role="reader")):
        with pytest.raises(InputError, match="last admin"):
            refused()
    people.change("BEN", role="admin")
    people.remove("anna")
    with pytest.raises(InputError, match="last admin"):
        people.change("ben", role="editor")
    people.remove("ben")
    assert not people.enabled and people.path.exists()
    with pytest.raises(InputError, match="no user 'ben'"):
        people.remove("ben")


def test_groups_decide_who_reads(people: People) -> None:
    people.restrict("payroll", ["hr", "board"])
    reader, insider = Person("r", "reader"), Person("i", "reader", frozenset({"hr"}))
    outside, inside = Person("e", "editor"), Person("f", "editor", frozenset({"board"}))
    admin = Person("a", "admin")
    asked = [reader, insider, outside, inside, admin, OWNER]
    assert [people.may_read(one, "payroll") for one in asked] == [
        False,
        True,
        False,
        True,
        True,
        True,
    ]
    assert [people.may_edit(one, "payroll") for one in asked] == [
        *(False, False, False, True, True, True)
    ]
    assert all(people.may_read(one, "seeds") for one in asked)
    assert [people.may_edit(one, "seeds") for one in asked] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]
    assert [people.may_administer(one) for one in asked] == [False] * 4 + [True] * 2
    people.restrict("payroll", [])
    assert people.groups_of("payroll") == frozenset() and people.may_read(reader, "payroll")
    for collection, group in (("../x", "hr"), ("payroll", "a b")):
        with pytest.raises(InputError):
            people.restrict(collection, [group])


def test_another_process_is_noticed(people: People) -> None:
    other = People(people.path, hasher=QUICK)
    assert other.enabled
    people.add("ben", PASSWORD)
    assert other.person("BEN") == Person("ben", "reader")
    other.change("ben", role="editor", groups=["x"])
    assert people.person("ben") == Person("ben", "editor", frozenset({"x"}))


@pytest.mark.parametrize(
    "content",
    [
        *("", "{}", "[]", "null", "{", "[" * 100_000, '{"users": {}}', "\x00"),
        '{"version": 2, "users": {}, "collections": {}}',
        '{"users": {}, "collections": {}, "admins": []}',
        '{"users": {"a": {"role": "admin", "password": ""}}, "collections": {}}',
        '{"users": {"a": {"role": "root", "password": "$argon2id$x"}}, "collections": {}}',
        '{"users": {"owner": {"role": "admin", "password": "$argon2id$x"}}, "collections": {}}',
        '{"users": {}, "collections": {"x": "hr"}}',
    ],
)
def test_a_damaged_file_locks_everyone_out(people: People, content: str) -> None:
    people.path.write_text(content)
    for fresh in (people, People(people.path)):
        for ask in (
            lambda p: p.enabled,
            lambda p: p.verify("anna", PASSWORD),
            lambda p: p.person("anna"),
            lambda p: p.may_read(Person("r", "reader"), "payroll"),
            lambda p: p.add("new", PASSWORD, "admin"),
        ):
            with pytest.raises(ChatDataError, match="nobody is let in") as raised:
                ask(fresh)
            assert "\n" not in str(raised.value)
    assert people.path.read_text() == content


def test_a_hash_that_is_none_and_a_file_that_goes_are_damage(people: People) -> None:
    content = json.loads(people.path.read_text())
    content["users"]["Anna"]["password"] = "$argon2id$nonsense"
    people.path.write_text(json.dumps(content))
    with pytest.raises(ChatDataError, match="nobody is let in") as raised:
        people.verify("anna", PASSWORD)
    assert "nonsense" not in str(raised.value)
    people.path.unlink()
    with pytest.raises(ChatDataError, match="is gone"):
        _ = people.enabled


def test_only_its_owner_reads_the_file(people: People) -> None:
    assert stat.S_IMODE(os.stat(people.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(people.path.parent).st_mode) == 0o700
    assert {one.name for one in people.path.parent.iterdir()} <= {"people.json", "people.lock"}


def _add_some(path: Path, first: int) -> None:
    people = People(path, hasher=QUICK)
    for number in range(first, first + 10):
        people.add(f"user{number}", PASSWORD)


def test_processes_that_write_at_once_lose_nothing(people: People) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add_some, args=(people.path, 10 * n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(people.all()) == 31


def test_where_unlisted_collections_are_closed_only_named_groups_and_admins_read(
    tmp_path: Path,
) -> None:
    people = People(tmp_path / "people.json", closed=True)
    people.restrict("papers", ["law"])
    reader, admin = Person("rob", "reader", frozenset({"law"})), Person("ada", "admin")
    assert people.may_read(reader, "papers") and not people.may_read(reader, "payroll")
    assert not people.may_edit(Person("eve", "editor"), "payroll")
    assert people.may_read(admin, "payroll")
