"""Conversations and their turns, each seen only by whoever asked; links to a turn; their end.

A question is stored before anything is computed, so that nothing asked is lost when the program
ends. Knows nothing of assistants, of who may read which collection, or of pages.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from rag.errors import InputError
from rag.records import Answer
from rag.utf8 import storable
from ui.database import Database
from ui.snapshot import Source, from_json, to_json

__all__ = [
    "SCHEMA",
    "Conversation",
    "History",
    "Turn",
    "TurnStatus",
    "days_ago",
    "one_line",
    "utc_now",
]

TurnStatus = Literal["asked", "answered", "stopped", "failed"]

_TITLE = 60  # code points of a question that make a conversation's title
_RENAMED = 200  # code points of a title that somebody chose
_WORDS = 16  # words of a search that count

# `*_folded` are what a search looks in: casefolded here, because SQLite folds ASCII alone.
SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, collection TEXT NOT NULL, title TEXT NOT NULL,
    title_folded TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS conversations_of ON conversations (user, updated);
CREATE TABLE IF NOT EXISTS turns (
    id TEXT PRIMARY KEY,
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, question TEXT NOT NULL, question_folded TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'asked', answer TEXT, answer_folded TEXT NOT NULL DEFAULT '',
    sources TEXT NOT NULL DEFAULT '[]', note TEXT NOT NULL DEFAULT '', asked TEXT NOT NULL,
    scope TEXT NOT NULL DEFAULT '{}',
    UNIQUE (conversation, number)
);
CREATE TABLE IF NOT EXISTS shares (
    token TEXT PRIMARY KEY, turn TEXT NOT NULL UNIQUE REFERENCES turns (id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS feedback (
    user TEXT NOT NULL, turn TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    verdict TEXT NOT NULL, reason TEXT NOT NULL, correction TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (user, turn)
);
CREATE INDEX IF NOT EXISTS feedback_on ON feedback (turn);
"""

_CONVERSATIONS = (
    "SELECT id, user, collection, title, created, updated, "
    "(SELECT count(*) FROM turns WHERE conversation = c.id) AS turns FROM conversations AS c "
)
_TURNS = (
    "SELECT t.*, coalesce(f.verdict, '') AS verdict FROM turns AS t "
    "JOIN conversations AS c ON c.id = t.conversation "
    "LEFT JOIN feedback AS f ON f.turn = t.id AND f.user = c.user "
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its turns, of which there are `turns`. Times are ISO 8601, UTC."""

    id: str
    user: str
    collection: str
    title: str
    created: str
    updated: str
    turns: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what became of it.

    `number` counts from 1 in its conversation. `note` is the error line of a failed turn, the draft
    of a stopped one ("restart" if the program ended meanwhile), else "". `scope` is what the
    question was limited to, plain JSON. `verdict` is what its own user thought of the answer: "up",
    "down" or "".
    """

    id: str
    conversation: str
    number: int
    question: str
    status: TurnStatus
    answer: Answer | None
    sources: tuple[Source, ...]
    note: str
    asked: str
    scope: dict[str, Any]
    verdict: str


class History:
    """Everybody's conversations.

    Methods that take a user see that user's own alone.

    Raises (from each of those):
        InputError: the conversation or turn is somebody else's, or is not there.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(SCHEMA)

    # Conversations

    def begin(self, user: str, collection: str, question: str) -> Conversation:
        """A new conversation, named after its first question. It holds no turn yet."""
        title = one_line(question, _TITLE) or "…"
        made, now = secrets.token_urlsafe(16), utc_now()
        self._database.run(
            "INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?)",
            (made, user, collection, title, _folded(title), now, now),
        )
        return Conversation(made, user, collection, title, now, now, 0)

    def conversations(self, user: str, search: str = "", limit: int = 200) -> list[Conversation]:
        """A user's conversations, those with the latest question first.

        With `search`, only those where every word of it stands somewhere in the title, the questions
        or the answers, as part of a word too and in any case. Nothing in it is an operator.
        """
        where, values = "WHERE user = ? ", [user]
        for word in _folded(search).split()[:_WORDS]:
            where += (
                "AND (instr(title_folded, ?) OR EXISTS (SELECT 1 FROM turns WHERE conversation = c.id "
                "AND (instr(question_folded, ?) OR instr(answer_folded, ?)))) "
            )
            values += [word] * 3
        rows = self._database.rows(
            f"{_CONVERSATIONS}{where}ORDER BY updated DESC, rowid DESC LIMIT ?",
            [*values, max(0, limit)],
        )
        return [Conversation(*row) for row in rows]

    def conversation(self, user: str, id: str) -> Conversation:
        """One conversation."""
        rows = self._database.rows(f"{_CONVERSATIONS}WHERE id = ? AND user = ?", (id, user))
        if not rows:
            raise InputError("this conversation is not there: it may have been deleted")
        return Conversation(*rows[0])

    def rename(self, user: str, id: str, title: str) -> None:
        """Give it another title, in one line.

        Raises:
            InputError: the title is empty.
        """
        shown = one_line(title, _RENAMED)
        if not shown:
            raise InputError("the title is empty: give it a word")
        self.conversation(user, id)
        self._database.run(
            "UPDATE conversations SET title = ?, title_folded = ? WHERE id = ? AND user = ?",
            (shown, _folded(shown), id, user),
        )

    def delete(self, user: str, id: str) -> None:
        """Remove a conversation with its turns, their links and what was thought of them."""
        self.conversation(user, id)
        self._database.run("DELETE FROM conversations WHERE id = ? AND user = ?", (id, user))

    # Turns

    def ask(self, user: str, conversation_id: str, question: str, scope: dict[str, Any]) -> Turn:
        """Store a question as the conversation's next turn; on disk when this returns."""
        made, now, question = secrets.token_urlsafe(16), utc_now(), storable(question)
        with self._database.transaction():
            self.conversation(user, conversation_id)
            self._database.run(
                "INSERT INTO turns (id, conversation, number, question, question_folded, asked, scope) "
                "SELECT ?, ?, coalesce(max(number), 0) + 1, ?, ?, ?, ? FROM turns "
                "WHERE conversation = ?",
                (
                    *(made, conversation_id, question, _folded(question), now),
                    *(json.dumps(scope), conversation_id),
                ),
            )
            self._touch(conversation_id, now)
            return self.turn(user, made)

    def finish(self, turn_id: str, answer: Answer, sources: Iterable[Source]) -> None:
        """Store the answer. Nothing happens if the turn was deleted meanwhile."""
        self._database.run(
            "UPDATE turns SET status = 'answered', answer = ?, answer_folded = ?, sources = ?, "
            "note = '' WHERE id = ?",
            (
                storable(json.dumps(answer.to_dict(), ensure_ascii=False)),
                _folded(answer.text),
                to_json(tuple(sources)),
                turn_id,
            ),
        )

    def stop(self, turn_id: str, draft: str) -> None:
        """The reader wanted no more: keep what was written. A finished turn stays as it is."""
        self._end(turn_id, "stopped", draft)

    def fail(self, turn_id: str, message: str) -> None:
        """No answer came about: keep the line that says why. A finished turn stays as it is."""
        self._end(turn_id, "failed", message)

    def turns(self, user: str, conversation_id: str) -> list[Turn]:
        """All turns of a conversation, in order."""
        self.conversation(user, conversation_id)
        rows = self._database.rows(
            f"{_TURNS}WHERE t.conversation = ? AND c.user = ? ORDER BY t.number",
            (conversation_id, user),
        )
        return [_turn(row) for row in rows]

    def turn(self, user: str, turn_id: str) -> Turn:
        """One turn."""
        rows = self._database.rows(f"{_TURNS}WHERE t.id = ? AND c.user = ?", (turn_id, user))
        if not rows:
            raise InputError("this answer is not there: it may have been deleted")
        return _turn(rows[0])

    def cut(self, user: str, conversation_id: str, number: int) -> None:
        """Remove the turns from `number` on, so that a question can be asked anew."""
        with self._database.transaction():
            self.conversation(user, conversation_id)
            self._database.run(
                "DELETE FROM turns WHERE conversation = ? AND number >= ?",
                (conversation_id, number),
            )
            self._touch(conversation_id, utc_now())

    def interrupted(self) -> int:
        """For the start of the program: questions without an answer count as stopped by "restart".

        Returns how many there were.
        """
        return self._database.run(
            "UPDATE turns SET status = 'stopped', note = 'restart' WHERE status = 'asked'"
        )

    # Links

    def share(self, user: str, turn_id: str) -> str:
        """The token of a link to this turn, always the same one."""
        with self._database.transaction():
            self.turn(user, turn_id)
            self._database.run(
                "INSERT OR IGNORE INTO shares VALUES (?, ?)", (secrets.token_urlsafe(16), turn_id)
            )
            rows = self._database.rows("SELECT token FROM shares WHERE turn = ?", (turn_id,))
        return str(rows[0]["token"])

    def shared(self, token: str) -> tuple[Turn, Conversation] | None:
        """The turn behind a link, without its verdict, and where it stands; None if it is gone.

        Whoever follows the link must still be allowed the collection: the caller checks.
        """
        rows = self._database.rows(
            f"{_TURNS}JOIN shares AS s ON s.turn = t.id WHERE s.token = ?", (token,)
        )
        if not rows:
            return None
        turn = replace(_turn(rows[0]), verdict="")
        found = self._database.rows(f"{_CONVERSATIONS}WHERE id = ?", (turn.conversation,))
        return (turn, Conversation(*found[0])) if found else None

    # Forgetting

    def forget_user(self, user: str) -> dict[str, int]:
        """Remove all that a person asked, shared or judged; how many of each."""
        own = "SELECT t.id FROM turns AS t JOIN conversations AS c ON c.id = t.conversation "
        own += "WHERE c.user = :user"
        steps = {
            "feedback": f"feedback WHERE user = :user OR turn IN ({own})",
            "shares": f"shares WHERE turn IN ({own})",
            "turns": f"turns WHERE id IN ({own})",
            "conversations": "conversations WHERE user = :user",
        }
        with self._database.transaction():
            return {
                name: self._database.run(f"DELETE FROM {what}", {"user": user})
                for name, what in steps.items()
            }

    def forget_collection(self, collection: str) -> int:
        """Remove everybody's conversations with a collection; how many."""
        return self._database.run("DELETE FROM conversations WHERE collection = ?", (collection,))

    def forget_older(self, days: int) -> int:
        """Remove conversations in which nothing was asked for `days` days; how many."""
        return self._database.run("DELETE FROM conversations WHERE updated < ?", (days_ago(days),))

    def _end(self, turn_id: str, status: TurnStatus, note: str) -> None:
        self._database.run(
            "UPDATE turns SET status = ?, note = ? WHERE id = ? AND status = 'asked'",
            (status, storable(note), turn_id),
        )

    def _touch(self, conversation_id: str, now: str) -> None:
        self._database.run(
            "UPDATE conversations SET updated = ? WHERE id = ?", (now, conversation_id)
        )


def utc_now() -> str:
    """Now as ISO 8601 with microseconds, UTC. As texts such times sort by time."""
    return _iso(datetime.now(UTC))


def days_ago(days: int) -> str:
    """The time `days` days before now, as `utc_now` writes it."""
    return _iso(datetime.now(UTC) - timedelta(days=days))


def one_line(text: str, most: int) -> str:
    """Runs of white space as one space, cut at a word so that it has `most` code points at most."""
    line = " ".join(storable(text).split())
    if len(line) <= most:
        return line
    words, space, _ = line[:most].rpartition(" ")
    return (words if space else line[: most - 1]) + "…"


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _folded(text: str) -> str:
    """The form in which two texts are compared: compatibility forms and case made equal."""
    whole = unicodedata.normalize("NFKC", storable(text)).casefold()
    return unicodedata.normalize("NFKC", whole).replace("\0", " ")


def _turn(row: sqlite3.Row) -> Turn:
    return Turn(
        id=row["id"],
        conversation=row["conversation"],
        number=row["number"],
        question=row["question"],
        status=row["status"],
        answer=Answer.from_dict(json.loads(row["answer"])) if row["answer"] else None,
        sources=from_json(row["sources"]),
        note=row["note"],
        asked=row["asked"],
        scope=json.loads(row["scope"]),
        verdict=row["verdict"],
    )
