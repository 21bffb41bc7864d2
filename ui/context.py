"""What the page sends along with a question: untrusted, so it is checked here and nowhere else."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.scope import Scope
from ui.strings import Say, speaker

__all__ = ["Context", "Limits", "parse"]

_LONGEST = 2_000_000  # characters of it all; ten thousand names of documents fit
_ID = r"^[A-Za-z0-9_-]{0,64}$"


class Limits(BaseModel):
    """Which documents a question may look at; empty fields leave everything in."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    documents: tuple[str, ...] = Field(default=(), max_length=10_000)
    kinds: tuple[str, ...] = Field(default=(), max_length=20)
    after: str = Field(default="", max_length=10)
    before: str = Field(default="", max_length=10)

    def scope(self) -> Scope:
        """The same for `rag`."""
        return Scope(frozenset(self.documents), frozenset(self.kinds), self.after, self.before)


class Context(BaseModel):
    """What to do, where, and in which language. Identifiers may be anybody's: check who asks.

    `edit` is the turn whose question the next one replaces; `turn` the one to be asked again; `number`
    rises with everything that a page sends, so that what arrives late is known to be old.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    do: Literal["", "open", "ask", "again"] = ""
    conversation: str = Field(default="", pattern=_ID)
    collection: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    scope: Limits = Limits()
    lang: str = Field(default="en", max_length=8)
    question: str = Field(default="", max_length=20_000)
    turn: str = Field(default="", pattern=_ID)
    number: int = Field(default=0, ge=0)
    edit: str = Field(default="", pattern=_ID)

    @property
    def say(self) -> Say:
        """What speaks the page's language."""
        return speaker(self.lang)


def parse(text: str) -> Context:
    """The context in the page's own words; an empty one where they can't be read."""
    if len(text) > _LONGEST:
        return Context()
    try:
        return Context.model_validate_json(text or "{}")
    except (ValidationError, UnicodeEncodeError):  # half a surrogate pair is no text
        return Context()
