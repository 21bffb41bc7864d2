"""What people thought of answers, and the test questions that can be made of it.

One verdict per person and turn; the last one wins. Who may judge which turn is the caller's business.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rag.errors import InputError
from rag.records import Answer
from rag.utf8 import storable
from ui.database import Database
from ui.history import SCHEMA, utc_now

__all__ = ["REASONS", "VERDICTS", "Feedback", "Given"]

VERDICTS = ("up", "down")
NOT_THERE = "not in the documents"
REASONS = ("wrong", "incomplete", "bad source", NOT_THERE, "should have answered", "other")

_CORRECTION = 4000  # code points that a correction may have
_GOLD = 300  # code points that a praised answer may fill as a gold answer, whole sentences
_HISTORY = 3  # earlier answered turns that a follow-up may lean on

_GIVEN = """
SELECT f.user, f.turn, f.verdict, f.reason, f.correction, f.at,
    t.conversation, t.number, t.question, t.answer, c.collection
FROM feedback AS f JOIN turns AS t ON t.id = f.turn JOIN conversations AS c ON c.id = t.conversation
"""


@dataclass(frozen=True, slots=True)
class Given:
    """A verdict with what it is about. `history`: what a follow-up leans on, as messages."""

    user: str
    turn: str
    collection: str
    question: str
    answer: Answer | None
    history: tuple[dict[str, str], ...]
    verdict: str
    reason: str
    correction: str
    at: str


class Feedback:
    """Everybody's verdicts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(SCHEMA)

    def give(self, user: str, turn_id: str, verdict: str, reason: str, correction: str) -> None:
        """Store a verdict in place of this person's earlier one on the same turn.

        Raises:
            InputError: verdict or reason is none of those there are, the correction is too long, or
                the turn is gone.
        """
        if verdict not in VERDICTS:
            raise InputError(f"verdict '{verdict}' is unknown: use {' or '.join(VERDICTS)}")
        if reason not in ("", *REASONS):
            raise InputError(f"reason '{reason}' is unknown: use one of {', '.join(REASONS)}")
        if len(correction) > _CORRECTION:
            raise InputError(f"the correction is too long: use {_CORRECTION} characters at most")
        try:
            self._database.run(
                "INSERT OR REPLACE INTO feedback (user, turn, verdict, reason, correction, at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (user, turn_id, verdict, reason, storable(correction).strip(), utc_now()),
            )
        except sqlite3.IntegrityError:
            raise InputError("this answer is not there: it may have been deleted") from None

    def of(self, user: str, turn_id: str) -> Given | None:
        """What a person thought of a turn; None if they did not say."""
        rows = self._database.rows(f"{_GIVEN}WHERE f.user = ? AND f.turn = ?", (user, turn_id))
        return self._given(rows[0]) if rows else None

    def all(self, collection: str | None = None) -> list[Given]:
        """All verdicts, or those on answers from one collection; oldest first."""
        where, values = ("WHERE c.collection = ? ", (collection,)) if collection else ("", ())
        rows = self._database.rows(f"{_GIVEN}{where}ORDER BY f.at, f.rowid", values)
        return [self._given(row) for row in rows]

    @staticmethod
    def as_suite(rows: Iterable[Given]) -> Iterator[dict[str, Any]]:
        """The verdicts that say what would have been right, as lines for `footnote eval own`.

        A correction is the gold answer; without one, a praised answer is, and a praised refusal or
        the reason "not in the documents" makes the question unanswerable. What tells only that
        something was wrong has no gold: it is left out.
        """
        seen: Counter[str] = Counter()
        for given in rows:
            gold = _gold(given)
            if gold is None:
                continue
            seen[given.turn] += 1  # several people may have judged one turn through its link
            again = f"-{seen[given.turn]}" if seen[given.turn] > 1 else ""
            yield {"id": given.turn + again, **_row(given), **gold}

    @staticmethod
    def without_gold(rows: Iterable[Given]) -> Iterator[dict[str, Any]]:
        """What `as_suite` leaves out, in the same form but without answers: to be read, not scored."""
        for given in rows:
            if _gold(given) is None:
                yield {"id": given.turn, **_row(given)}

    def _given(self, row: sqlite3.Row) -> Given:
        answer = _answer(row["answer"])
        follows = answer is not None and answer.standalone_question.strip() not in (
            "",
            row["question"].strip(),
        )
        return Given(
            user=row["user"],
            turn=row["turn"],
            collection=row["collection"],
            question=row["question"],
            answer=answer,
            history=self._before(row["conversation"], row["number"]) if follows else (),
            verdict=row["verdict"],
            reason=row["reason"],
            correction=row["correction"],
            at=row["at"],
        )

    def _before(self, conversation: str, number: int) -> tuple[dict[str, str], ...]:
        """The answered turns before a turn as messages, oldest first."""
        rows = self._database.rows(
            "SELECT question, answer FROM turns WHERE conversation = ? AND number < ? "
            "AND status = 'answered' ORDER BY number DESC LIMIT ?",
            (conversation, number, _HISTORY),
        )
        messages: list[dict[str, str]] = []
        for row in reversed(rows):
            earlier = Answer.from_dict(json.loads(row["answer"]))
            said = " ".join(one.text for one in earlier.sentences) or earlier.text
            asked = earlier.standalone_question or row["question"]
            messages.append({"role": "user", "content": asked})
            messages.append({"role": "assistant", "content": said})
        return tuple(messages)


def _answer(text: str | None) -> Answer | None:
    return Answer.from_dict(json.loads(text)) if text else None


def _gold(given: Given) -> dict[str, Any] | None:
    """The fields that say what is right, or None where nobody said."""
    if not given.question.strip():
        return None
    if given.verdict == "down" and given.reason == NOT_THERE:
        return {"answerable": False}
    if given.correction:
        return {"answers": [given.correction]}
    answer = given.answer
    if given.verdict != "up" or answer is None:
        return None
    if answer.refused:
        return {"answerable": False}
    said = _short(answer)
    if not said:  # a greeting: nothing was looked up
        return None
    cited = answer.citations[0] if answer.citations else None
    proof = {"source": cited.document, "quote": cited.quote} if cited else {}
    return {"answers": [said], **proof}


def _short(answer: Answer) -> str:
    """The supported sentences as one text: the first, and as many more as stay short."""
    said = ""
    for sentence in answer.sentences:
        longer = f"{said} {sentence.text}".strip()
        if said and len(longer) > _GOLD:
            break
        if sentence.status != "unsupported":
            said = longer
    return said


def _row(given: Given) -> dict[str, Any]:
    row: dict[str, Any] = {"question": given.question}
    if given.history:
        row["history"] = list(given.history)
    if given.correction and given.reason == NOT_THERE:
        row["note"] = given.correction
    row["feedback"] = {
        "shown": given.answer.text if given.answer else "",
        "verdict": given.verdict,
        "reason": given.reason,
        "at": given.at,
    }
    return row
