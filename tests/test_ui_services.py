"""A running chat as a whole: put together, taken apart, and what a restart finds."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fakes import TRUSTING, HashEmbedder, ScriptedGenerator

from rag.collection import Collection
from rag.errors import InputError
from rag.records import Document
from rag.settings import Settings
from ui.context import Context
from ui.database import ChatDataError, Database
from ui.history import History
from ui.people import OWNER
from ui.services import Services, opened
from ui.talk import Talk

WHAT = "What is the toll of the old bridge?"
TEXT = "The toll of the old bridge is nine crowns.\n"


class Model(ScriptedGenerator):
    """Says the same to every question."""

    def _reply(self, again: bool) -> Any:
        return TEXT.strip() if again else "nine crowns"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(
        collection="papers",
        indexes=tmp_path / "indexes",
        **TRUSTING,
    )
    with Collection.open("papers", made, create=True, embedder=HashEmbedder()) as collection:
        collection.put([Document("toll.txt", TEXT, "Tolls")], "given")
    return made


def run(settings: Settings) -> Any:
    return opened(settings, embedder=HashEmbedder(), model=Model())


def ask(services: Services) -> str:
    talk = Talk(services, OWNER, Context(do="ask", collection="papers"))
    talk.begin(WHAT)
    assert talk.job
    end = time.monotonic() + 20
    while not talk.job.done:
        assert time.monotonic() < end
        time.sleep(0.005)
    return talk.job.turn.id


def test_what_was_asked_is_there_after_a_restart(settings: Settings) -> None:
    before = set(threading.enumerate())
    with run(settings) as services:
        turn = ask(services)
        begun = services.history.begin("owner", "papers", WHAT)
        lost = services.history.ask("owner", begun.id, WHAT, {}).id  # as if it ended right here
    assert set(threading.enumerate()) <= before, "no thread is left"
    assert (settings.chat_folder / "chat.db").stat().st_mode & 0o077 == 0
    with run(settings) as services:
        assert services.history.turn("owner", turn).status == "answered"
        found = services.history.turn("owner", lost)
        assert (found.status, found.note) == ("stopped", "restart")


def test_a_collection_takes_what_was_asked_of_it_along(settings: Settings) -> None:
    with run(settings) as services:
        turn = ask(services)
        services.library.remove(OWNER, "papers")
        with pytest.raises(InputError):
            services.history.turn("owner", turn)
        assert services.history.conversations("owner") == []


def test_old_conversations_go_at_the_start(settings: Settings) -> None:
    settings.chat_folder.mkdir(mode=0o700)
    database = Database(settings.chat_folder / "chat.db")
    old, new = (History(database).begin("owner", "papers", one) for one in ("Old?", "New?"))
    database.run("UPDATE conversations SET updated = '2020-01-01' WHERE id = ?", (old.id,))
    database.close()
    with run(settings.model_copy(update={"keep_days": 30})) as services:
        end = time.monotonic() + 10
        while len(services.history.conversations("owner")) > 1:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert services.history.conversation("owner", new.id)


def test_a_damaged_database_is_one_line(settings: Settings) -> None:
    settings.chat_folder.mkdir(mode=0o700)
    (settings.chat_folder / "chat.db").write_bytes(b"no database at all " * 99)
    with pytest.raises(ChatDataError) as raised, run(settings):
        raise AssertionError("it was opened")
    assert "chat.db" in str(raised.value) and "\n" not in str(raised.value)
