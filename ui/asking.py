"""From a person's question to a job in line: what they may ask, stored before anything is computed.

Shared by the chat's page and the service. Knows nothing of how an answer is shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from rag.errors import InputError
from rag.prompt import Style
from rag.reader import LONGEST_QUESTION
from ui.context import Limits
from ui.history import Conversation, Turn, utc_now
from ui.job import Busy, Closing, Job
from ui.people import Person
from ui.services import Services

__all__ = ["ask", "ask_unkept", "fitting"]


def fitting(question: str) -> str:
    """The question without white space around it.

    Raises:
        InputError: it is empty or too long.
    """
    question = question.strip()
    if not question:
        raise InputError("the question is empty: ask something")
    if len(question) > LONGEST_QUESTION:
        raise InputError(
            f"the question has {len(question):,} characters: {LONGEST_QUESTION:,} at most are read"
        )
    return question


def ask(
    services: Services,
    person: Person,
    question: str,
    limits: Limits,
    *,
    collection: str = "",
    conversation: Conversation | None = None,
    earlier: Sequence[Turn] = (),
    style: Style | None = None,
    trace: object = None,
) -> Job:
    """Put a question in line and in the history: in a new conversation, or as the next of one.

    That the person may read the collection, and that the conversation is theirs, is for the caller to
    check. A question that is refused leaves nothing behind.

    Raises:
        InputError: they have too many questions in hand (`Busy`), or the limits can't be met.
        CollectionError: the collection can't be opened.
    """
    user, scope = person.name, limits.scope()
    services.desk.admit(user)
    if conversation is None:
        with services.library.view(collection):  # there is one, and it can be opened
            pass
        conversation, earlier = services.history.begin(user, collection, question), ()
    turn = services.history.ask(user, conversation.id, question, limits.model_dump())
    place = conversation.collection
    try:
        job = services.desk.ask(user, turn, place, scope, earlier, style=style, trace=trace)
    except (Busy, Closing):  # another page of theirs was quicker, or the program is to end
        services.history.cut(user, turn.conversation, turn.number)
        if not earlier:
            services.history.delete(user, turn.conversation)
        raise
    services.audit.note(user, "ask", place, question)
    return job


def ask_unkept(
    services: Services,
    person: Person,
    question: str,
    collection: str,
    messages: Sequence[dict[str, str]],
    trace: object = None,
) -> Job:
    """Put a question in line that no history keeps; `messages` are what was said before.

    Raises: as `ask`.
    """
    with services.library.view(collection):
        pass
    # What the desk needs of a turn; no table holds it.
    made = secrets.token_urlsafe(16)
    turn = Turn(made, "", 1, question, "asked", None, (), "", utc_now(), {}, "")
    scope = Limits().scope()
    job = services.desk.ask(
        person.name, turn, collection, scope, messages=messages, kept=False, trace=trace
    )
    services.audit.note(person.name, "ask", collection, question)
    return job
