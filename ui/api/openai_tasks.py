"""What chat programs ask for besides answers: titles, tags, follow-ups, search queries.

Open WebUI sends such a task as a user's message that begins "### Task:" and says which JSON it wants.
It is no question about documents, so it gets that JSON by rule, without the model. Pure.
"""

from __future__ import annotations

import json
import re

from ui.history import one_line

__all__ = ["is_task", "reply"]

_TASK = re.compile(r"\s*#{1,4}\s*Task:", re.I)
_CONTEXT = re.compile(r"<(?:context|user_query)>", re.I)  # a question with somebody's own passages
_ASKED = re.compile(r"^\s*USER:\s*(.+?)\s*(?=^\s*ASSISTANT:|\Z)", re.M | re.S)
_CHAT = re.compile(r"<chat_history>(.*?)(?:</chat_history>|\Z)", re.S)
_TITLE = 50  # code points


def is_task(text: str) -> bool:
    """Whether a message asks for something about a conversation, not about documents."""
    return bool(_TASK.match(text)) and not _CONTEXT.search(text)


def reply(task: str) -> str:
    """What such a task gets: the JSON that it names, or an empty object."""
    wanted = next(
        (
            key
            for key in ("title", "tags", "follow_ups", "queries", "text", "prompt")
            if f'"{key}"' in task or f"{{{key}" in task
        ),
        "",
    )
    if wanted == "title":
        return _said(title=_title(task))
    if wanted in ("tags", "follow_ups", "queries"):
        return _said(**{wanted: []})
    return _said(**{wanted: ""}) if wanted else "{}"


def _title(task: str) -> str:
    chat = _CHAT.search(task)
    asked = _ASKED.search(chat[1] if chat else task)
    return one_line(asked[1], _TITLE) if asked else "Conversation"


def _said(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False)
