"""What leaves the chat: conversations and answers as files, and the page of a shared answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from ui.export import conversation_docx, conversation_json, conversation_markdown, turn_text
from ui.guard import person_of
from ui.history import Conversation, Turn
from ui.render.shared import missing_page, shared_page
from ui.render.text import one_line
from ui.routes.common import (
    NotHere,
    TellingRoute,
    language_of,
    own_conversation,
    own_turn,
    say_of,
    shared_turn,
)
from ui.services import Services
from ui.theme import script, strings_html, style

__all__ = ["disposition", "routes"]

Writer = Callable[[Conversation, Sequence[Turn]], str | bytes]

_WRITERS: dict[str, tuple[Writer, str]] = {
    "md": (conversation_markdown, "text/markdown; charset=utf-8"),
    "docx": (
        conversation_docx,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    "json": (conversation_json, "application/json"),
}
_SCRIPTS = ("core", "sources", "card")  # what a shared answer needs
_NAME = 80  # code points of a file's name
_UNFIT = re.compile(r'[<>:"/\\|?*]+')  # what a file can't be called somewhere


def routes(services: Services) -> APIRouter:
    """`/export/…` and `/answer/…`."""
    router = APIRouter(route_class=TellingRoute)
    history, audit = services.history, services.audit

    @router.get("/export/conversation/{id}.{kind}")
    def conversation(request: Request, id: str, kind: str) -> Response:
        person = person_of(request)
        one = own_conversation(services, person, id)
        writer, media_type = _writer(kind)
        content = writer(one, history.turns(person.name, id))
        audit.note(person.name, "export", f"conversation {id}", f"{kind} {one.title}")
        return _file(content, media_type, one.title, kind)

    @router.get("/export/answer/{id}.{kind}")
    def answer(request: Request, id: str, kind: str) -> Response:
        """One turn; `txt` is what the clipboard gets."""
        person = person_of(request)
        turn, one = own_turn(services, person, id)
        if kind == "txt":
            content: str | bytes = turn_text(turn)
            media_type = "text/plain; charset=utf-8"
        else:
            writer, media_type = _writer(kind)
            content = writer(one, [turn])
        audit.note(person.name, "export", f"answer {id}", f"{kind} {turn.question}")
        return _file(content, media_type, one_line(turn.question, _NAME), kind)

    @router.get("/answer/{token}")
    def shared(request: Request, token: str) -> Response:
        """The page behind a link, for whoever may read the answer's collection."""
        person, say, language = person_of(request), say_of(request), language_of(request)
        try:
            turn, one = shared_turn(services, person, token)
            if turn.answer is None:
                raise NotHere
        except NotHere:
            return HTMLResponse(missing_page(language, style(), say), 404)
        audit.note(person.name, "open", f"answer {turn.id}", turn.question)
        page = shared_page(
            turn,
            turn.answer,
            one,
            token,
            asker=one.user if services.people.enabled else "",
            language=language,
            style=style(),
            scripts=f"{strings_html()}<script>{script(_SCRIPTS)}</script>",
            say=say,
        )
        return HTMLResponse(page)

    return router


def disposition(name: str, kind: str) -> str:
    """A Content-Disposition that saves a file under a title (RFC 6266, RFC 5987).

    The title is untrusted: what no file can be called, control and invisible characters and leading
    dots are left out. Programs that know no RFC 5987 get the ASCII part of it.
    """
    kept = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in name)
    fit = one_line(_UNFIT.sub(" ", kept))[:_NAME].strip(" .") or "footnote"
    plain = unicodedata.normalize("NFKD", fit).encode("ascii", "ignore").decode()
    ascii_name = one_line(re.sub(r"[^\w .,-]", "", plain)).strip(" .") or "footnote"
    return (
        f'attachment; filename="{ascii_name}.{kind}"; '
        f"filename*=UTF-8''{quote(f'{fit}.{kind}', safe='')}"
    )


def _writer(kind: str) -> tuple[Writer, str]:
    if kind not in _WRITERS:
        raise NotHere
    return _WRITERS[kind]


def _file(content: str | bytes, media_type: str, title: str, kind: str) -> Response:
    headers = {"content-disposition": disposition(title, kind)}
    return Response(content, media_type=media_type, headers=headers)
