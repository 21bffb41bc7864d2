"""What every route shares: the reader's language, the replies to what can't be done."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse

from rag.errors import RagError
from ui.strings import LANGUAGES, Say, speaker

__all__ = ["LANGUAGE_COOKIE", "fragment", "language_of", "missing", "refused", "say_of"]

LANGUAGE_COOKIE = "fn-lang"


def language_of(request: Request) -> str:
    """The interface's language: the one chosen on the page, else the browser's, else English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    for part in request.headers.get("accept-language", "").split(","):
        name = part.split(";")[0].strip().lower().split("-")[0]
        if name in LANGUAGES:
            return name
    return "en"


def say_of(request: Request) -> Say:
    """What speaks the interface's language."""
    return speaker(language_of(request))


def fragment(html: str) -> HTMLResponse:
    """A piece of a page."""
    return HTMLResponse(html)


def refused(error: RagError) -> JSONResponse:
    """A user's mistake: one line that names the remedy."""
    return JSONResponse({"error": str(error)}, status_code=400)


def missing() -> JSONResponse:
    """There is no such thing, or it is not this person's: both look the same."""
    return JSONResponse({"error": "There is no such thing here."}, status_code=404)
