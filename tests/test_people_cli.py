"""`footnote users`: what it prints, what it refuses, and that it never waits for a person."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rag.errors import InputError
from ui.people import People
from ui.people_cli import app

PASSWORD = "correct horse battery"


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOOTNOTE_INDEXES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def users(*words: str, typed: str = PASSWORD + "\n") -> Result:
    return CliRunner().invoke(app, list(words), input=typed)


def good(*words: str, typed: str = PASSWORD + "\n") -> str:
    done = users(*words, typed=typed)
    assert done.exit_code == 0, done.exception
    return done.stdout


def refused(*words: str) -> str:
    done = users(*words)
    assert isinstance(done.exception, InputError)
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_users_come_change_and_go(indexes: Path) -> None:
    assert "no users" in good("list")
    assert json.loads(good("list", "--json")) == []
    assert "first account must be an admin" in refused("add", "ben", "--password-stdin")
    assert "added Anna (admin)" in good("add", "Anna", "--role", "admin", "--password-stdin")
    words = ("add", "ben", "--group", "hr", "-g", "sales", "--password-stdin")
    assert "added ben (reader, hr, sales)" in good(*words, typed=PASSWORD + "\r\nmore")
    assert json.loads(good("list", "--json")) == [
        {"name": "Anna", "role": "admin", "groups": []},
        {"name": "ben", "role": "reader", "groups": ["hr", "sales"]},
    ]
    assert good("list").splitlines() == ["Anna  admin", "ben   reader  hr sales"]
    people = People(indexes / ".chat" / "people.json")
    assert people.verify("ben", PASSWORD) is not None
    good("change", "BEN", "--role", "editor", "--no-groups")
    assert people.person("ben").groups == frozenset()  # type: ignore[union-attr]
    good("change", "ben", "--password-stdin", typed="another password\n")
    assert people.verify("ben", PASSWORD) is None
    assert people.verify("ben", "another password") is not None
    assert "last admin" in refused("remove", "anna", "--yes")
    good("remove", "ben", "--yes")
    assert "open on this machine" in good("remove", "anna", "--yes")


def test_a_collection_is_private_to_groups(indexes: Path) -> None:
    assert "every user reads 'payroll'" in good("access", "payroll")
    done = users("access", "payroll", "--group", "hr")
    assert "private to: hr" in done.stdout
    assert "nobody is in the group 'hr'" in done.stderr and "no collection" in done.stderr
    assert "private to: hr" in good("access", "payroll")
    assert "every user" in good("access", "payroll", "--everyone")
    assert users("access", "payroll", "--everyone", "--group", "x").exit_code == 2


def test_nothing_is_asked_where_nobody_sits(indexes: Path) -> None:
    assert "--password-stdin" in refused("add", "anna", "--role", "admin")
    assert "10 to 1024" in users("add", "a", "--password-stdin", typed="\n").exception.args[0]
    good("add", "anna", "--role", "admin", "--password-stdin")
    assert "--yes" in refused("remove", "anna")
    assert "--password-stdin" in refused("change", "anna", "--password")
    assert "no user 'ben'" in refused("change", "ben", "--role", "admin")
    assert users("change", "anna").exit_code == 2
    assert users("add", "x", "--role", "root").exit_code == 2


def test_a_damaged_file_is_one_line(indexes: Path) -> None:
    (indexes / ".chat").mkdir()
    (indexes / ".chat" / "people.json").write_text("{")
    program = (
        "import rag.cli, ui.people_cli as u; rag.cli.app.add_typer(u.app, name='users');"
        "rag.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "users", "list"],
        env={"FOOTNOTE_INDEXES": str(indexes), "HOME": str(indexes), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "nobody is let in" in done.stderr
