"""The commands over what the chat keeps: what they print, write and remove."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from eval.suites import own
from rag.errors import InputError
from rag.records import Answer
from ui import records_cli
from ui.audit import Audit
from ui.database import Database
from ui.feedback import Feedback
from ui.history import History

SECRET = "a word that nobody else uses: Zanzibarium"


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a chat's data."""
    monkeypatch.setenv("FOOTNOTE_CHAT", str(tmp_path / "chat"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "chat"


@pytest.fixture
def filled(chat: Path) -> Iterator[Database]:
    """Two people, a question of each, and what they thought."""
    database = Database(chat / "chat.db")
    history, feedback = History(database), Feedback(database)
    log = Audit(database, with_text=True)
    for user, verdict in (("anna", "down"), ("ben", "up")):
        conversation = history.begin(user, "papers", SECRET).id
        turn = history.ask(user, conversation, f"{SECRET} {user}?", {}).id
        history.finish(turn, Answer("q", "q", "No.", True, 0.9), ())
        feedback.give(user, turn, verdict, "", "")
        log.note(user, "ask", "papers", f"\x1b[31m{SECRET}")
    yield database
    database.close()


def run(*words: str) -> Result:
    app = typer.Typer()
    for command in (records_cli.audit, records_cli.feedback, records_cli.erase):
        app.command()(command)
    return CliRunner().invoke(app, words)


def test_audit(filled: Database) -> None:
    lines = run("audit").stdout.splitlines()
    assert len(lines) == 2 and "anna  ask  papers" in lines[0] and "ben" in lines[1]
    assert "\x1b" not in lines[0] and SECRET in lines[0]
    rows = json.loads(run("audit", "--user", "ben", "--json").stdout)
    assert [(row["user"], row["action"]) for row in rows] == [("ben", "ask")]
    assert run("audit", "--since", "2999-01-01").stdout == ""
    assert run("audit", "--since", "yesterday").exit_code == 2


def test_feedback(filled: Database, tmp_path: Path) -> None:
    out = tmp_path / "suite.jsonl"
    result = run("feedback", "--out", str(out))
    assert "1 question written" in result.stdout and "1 without" in result.stdout
    assert [one.answerable for one in own.load(out, collection="papers").questions] == [False]
    assert "0 questions" in run("feedback", "--out", str(out), "-c", "mails").stdout
    run("feedback", "--out", str(out), "--all")
    assert len(own.load(out, collection="papers").questions) == 1
    (rest,) = (tmp_path / "suite.rest.jsonl").read_text().splitlines()
    assert json.loads(rest)["feedback"]["verdict"] == "down"


def test_erase(filled: Database, chat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads: list[str] = []
    monkeypatch.setattr(records_cli, "remove_uploads", lambda user: uploads.append(user) or 3)
    refused = run("erase", "anna")
    assert isinstance(refused.exception, InputError) and "--yes" in str(refused.exception)
    assert len(History(filled).conversations("anna")) == 1 and uploads == []

    result = run("erase", "anna", "--yes")
    assert result.exit_code == 0, result.output
    for count in ("1 conversations", "1 turns", "1 feedback", "3 uploads", "1 audit entries"):
        assert count in result.stdout
    assert uploads == ["anna"]
    assert History(filled).conversations("anna") == []
    assert len(History(filled).conversations("ben")) == 1
    users = [entry.user for entry in Audit(filled, with_text=True).entries()]
    assert users == ["erased", "ben", "erased"]
    assert "0 conversations" in run("erase", "anna", "--yes").stdout


def test_what_was_erased_is_not_in_the_files(filled: Database, chat: Path) -> None:
    """While the chat is running, too: `filled` is open."""
    for user in ("anna", "ben"):
        run("erase", user, "--yes")
    held = b"".join(path.read_bytes() for path in chat.iterdir())
    assert held and b"zanzibarium" not in held.lower()


def test_without_a_chat_there_is_nothing_to_show(chat: Path) -> None:
    for words in (["audit"], ["feedback", "--out", "x"], ["erase", "anna", "--yes"]):
        result = run(*words)
        assert isinstance(result.exception, InputError)
        assert "footnote chat" in str(result.exception)
    assert not chat.exists()
