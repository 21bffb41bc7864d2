"""What one running chat consists of, put together here and handed to the page and to every route."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from rag.embed import Embedder
from rag.errors import RagError
from rag.generate import Generator
from rag.pages import Pages
from rag.settings import Settings
from ui.audit import Audit
from ui.database import Database
from ui.desk import Desk
from ui.feedback import Feedback
from ui.history import History
from ui.keys import Keys
from ui.library import Library
from ui.people import People
from ui.sessions import Sessions
from ui.suggest import Suggestions

__all__ = ["Services", "opened"]

_log = logging.getLogger(__name__)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Services:
    """One of each; all of them are safe to use from any thread. `closing` runs when all has ended."""

    settings: Settings
    people: People
    sessions: Sessions
    keys: Keys
    history: History
    feedback: Feedback
    audit: Audit
    library: Library
    desk: Desk
    pages: Pages
    suggestions: Suggestions
    closing: contextlib.ExitStack


@contextlib.contextmanager
def opened(
    settings: Settings, *, embedder: Embedder | None = None, model: Generator | None = None
) -> Iterator[Services]:
    """What answers over `settings.chat_folder` and `settings.indexes` until the block ends.

    `embedder` and `model` stand in for those that the settings name.

    Raises:
        ChatDataError: the folder or its database can't be used.
    """
    with contextlib.ExitStack() as stack:
        closing = stack.enter_context(contextlib.ExitStack())
        database = Database(settings.chat_folder / "chat.db")
        stack.callback(database.close)
        closed = settings.unlisted == "closed"
        people = People(settings.chat_folder / "people.json", closed=closed)
        history = History(database)
        history.interrupted()
        library = Library(settings, people, database, embedder)
        stack.callback(library.close)
        suggestions = Suggestions(database)
        library.on_removed += [history.forget_collection, suggestions.forget]
        library.resume()
        pages = Pages()
        stack.callback(pages.close)
        desk = Desk(library, history, settings, model, chore=suggestions)
        stack.callback(desk.close)
        audit = Audit(database, settings.audit_text)
        ended = threading.Event()
        stack.callback(ended.set)
        if settings.keep_days:
            threading.Thread(
                target=_forget_daily, args=(history, audit, settings.keep_days, ended), daemon=True
            ).start()
        desk.start()
        yield Services(
            settings=settings,
            people=people,
            sessions=Sessions(database, people),
            keys=Keys(database, people),
            history=history,
            feedback=Feedback(database),
            audit=audit,
            library=library,
            desk=desk,
            pages=pages,
            suggestions=suggestions,
            closing=closing,
        )


def _forget_daily(history: History, audit: Audit, days: int, ended: threading.Event) -> None:
    """Remove what is older than `days`: now, and once a day."""
    while True:
        try:
            history.forget_older(days)
            audit.forget_older(days)
        except RagError as error:  # tried again tomorrow
            _log.warning("footnote: old conversations could not be removed: %s", error)
        if ended.wait(_DAY_S):
            return
