"""The service with a scripted model, in a process of its own, for `eval.bench.service`.

    python -m eval.bench.scripted FOLDER PORT [SECONDS]

Everything is real but the model that writes: it knows the sample questions' answers, says each word by
word in SECONDS (0.4), and may be used by several threads. FOLDER gets the index of the sample
documents, 200 accounts, and their keys in `keys.json`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rag.collection import Collection
from rag.generate import Generation, Message
from rag.settings import load_settings
from ui.database import Database
from ui.keys import Keys
from ui.people import People

__all__ = ["PEOPLE", "Scripted", "questions"]

PEOPLE = 200
_SEEDS = Path(__file__).resolve().parents[2] / "seeds"
_SHORT_SHARE = 0.3  # of the seconds, for the short phrase that is asked for first


def questions() -> dict[str, tuple[str, str]]:
    """The sample questions that have one short answer: its phrase and the sentence that it is from."""
    lines = (_SEEDS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {
        row["question"]: (row["answers"][0], row["gold"][0]["quote"])
        for row in rows
        if row.get("answers") and row.get("gold")
    }


class Scripted:
    """A generator that says what it is told to, in so many seconds an answer."""

    name = "scripted"
    concurrent = True

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answers = questions()

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **named: Any
    ) -> Iterator[str]:
        """See `rag.generate.Generator`."""
        prompt, short = messages[-1]["content"], bool(named.get("withhold"))
        known = next((self._answers[one] for one in self._answers if one in prompt), ("", ""))
        reply = known[0] if short else known[1]
        into.prompt_tokens = len(prompt) // 4
        if short:
            into.withheld = 0.02 if reply else 0.98
        pieces = [f"{word} " for word in (reply or "unanswerable").split()][:max_tokens]
        wait = self._seconds * (_SHORT_SHARE if short else 1 - _SHORT_SHARE) / len(pieces)
        for piece in pieces:
            time.sleep(wait)
            into.first_token_s = into.first_token_s or wait
            into.text += piece
            into.generated_tokens += 1
            into.logprobs.append(-0.02)
            yield piece


def main() -> None:
    """Set everything up and serve until a signal ends it."""
    from argon2 import PasswordHasher

    from ui.cli import run

    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.4
    settings = load_settings(collection="seeds", indexes=folder / "indexes")
    with Collection.open("seeds", settings, create=True) as made:
        made.update(_SEEDS / "documents")
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    people = People(settings.chat_folder / "people.json", hasher=quick)
    database = Database(settings.chat_folder / "chat.db")
    keys = Keys(database, people)
    made_keys = []
    for number in range(PEOPLE):
        name = f"person{number}"
        people.add(name, "correct horse battery", "admin" if number == 0 else "reader")
        made_keys.append(keys.add(name, name))
    database.close()
    (folder / "keys.json").write_text(json.dumps(made_keys))
    run(settings, "127.0.0.1", port, chat=False, service=True, model=Scripted(seconds))


if __name__ == "__main__":
    main()
