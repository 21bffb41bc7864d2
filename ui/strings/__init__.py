"""Every word that the interface says, in English and Ukrainian; one JSON file for each part.

A key that has to agree with a number has a form for each plural category of its language (CLDR):
`documents.count.one`, `.few`, `.many`, `.other`. Python and the page's script read the same files.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Literal, Protocol

__all__ = ["LANGUAGES", "Language", "Say", "plural", "preferred", "speaker", "table"]

Language = Literal["en", "uk"]
LANGUAGES: tuple[Language, ...] = ("en", "uk")


class Say(Protocol):
    """`say("documents.count", n=3)`: plain text in the reader's language, not yet escaped."""

    def __call__(self, key: str, /, **values: object) -> str: ...


@cache
def table(language: Language) -> dict[str, str]:
    """Every string of a language by its key."""
    found: dict[str, str] = {}
    for file in sorted(resources.files("ui.strings").iterdir(), key=lambda one: one.name):
        if file.name.endswith(".json"):
            found |= json.loads(file.read_text("utf-8"))[language]
    return found


def speaker(language: str) -> Say:
    """What says things in `language`; English where there is no such language.

    A key that does not exist raises KeyError: it is a mistake of the program.
    """
    chosen: Language = "uk" if language == "uk" else "en"

    def say(key: str, /, **values: object) -> str:
        strings = table(chosen)
        number = values.get("n")
        if isinstance(number, int) and key not in strings:
            key = f"{key}.{plural(chosen, number)}"
        text = strings[key]
        # In one pass: a value that holds "{n}" is not filled in itself.
        return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), text)

    return say


def preferred(wishes: str) -> Language:
    """The first of the languages in an Accept-Language header, which browsers order by preference."""
    tags = [wish.split(";")[0].strip().lower().split("-")[0] for wish in wishes.split(",")]
    return next((one for tag in tags for one in LANGUAGES if one == tag), "en")


def plural(language: Language, number: int) -> str:
    """The plural category of a whole number (Unicode CLDR, cardinal rules)."""
    if language == "en":
        return "one" if number == 1 else "other"
    tens, ones = number % 100, number % 10
    if ones == 1 and tens != 11:
        return "one"
    if 2 <= ones <= 4 and not 12 <= tens <= 14:
        return "few"
    return "many"
