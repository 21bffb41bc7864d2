"""The words: the same in both languages, all of them used, none of them missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import ui
from ui.strings import LANGUAGES, plural, speaker, table

UI = Path(ui.__file__).parent
FILES = sorted((UI / "strings").glob("*.json"))
CODE = {
    path: path.read_text("utf-8")
    for pattern in ("**/*.py", "js/*.js")
    for path in sorted(UI.glob(pattern))
    if path.name != "__init__.py" or path.parent.name != "strings"
}
FORMS = {"en": {"one", "other"}, "uk": {"one", "few", "many"}}
FORM = re.compile(r"\.(?:one|few|many|other)$")


def keys(strings: dict[str, str]) -> set[str]:
    """Keys as they are asked for: without plural forms."""
    plurals = plural_keys(strings)
    return {FORM.sub("", key) if FORM.sub("", key) in plurals else key for key in strings}


def plural_keys(strings: dict[str, str]) -> dict[str, set[str]]:
    """The forms of each key that has some; `.other` alone is a word and no form."""
    found: dict[str, set[str]] = {}
    for key in strings:
        if match := FORM.search(key):
            found.setdefault(key[: match.start()], set()).add(match[0][1:])
    return {key: forms for key, forms in found.items() if forms != {"other"}}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_both_languages_say_the_same_things(path: Path) -> None:
    both = json.loads(path.read_text("utf-8"))
    assert set(both) == set(LANGUAGES)
    assert keys(both["en"]) == keys(both["uk"])
    for language, strings in both.items():
        assert all(strings.values()), "no string is empty"
        for key, forms in plural_keys(strings).items():
            # "other" is for fractions in Ukrainian, which the browser's own rules may ask for.
            assert FORMS[language] <= forms <= FORMS[language] | {"other"}, (language, key)
            assert key not in strings, "a form would never be chosen"
    for key in keys(both["en"]):
        names = {
            frozenset(re.findall(r"\{(\w+)\}", text))
            for strings in both.values()
            for at, text in strings.items()
            if at == key or FORM.sub("", at) == key
        }
        # "{n}" may be left out of a form that can only mean one.
        assert len({one - {"n"} for one in names}) == 1, (key, names)


def test_no_key_stands_in_two_files() -> None:
    found = [key for path in FILES for key in json.loads(path.read_text("utf-8"))["en"]]
    assert len(found) == len(set(found))
    assert {key.split(".")[0] for key in found}.isdisjoint({"", " "})


def used() -> tuple[set[str], set[str]]:
    """What the code asks for: whole keys, and beginnings that a value completes."""
    known = keys(table("en"))
    parts = "|".join(sorted({key.split(".")[0] for key in known}))
    quoted = re.compile(rf"""["'`]((?:{parts})(?:\.[\w-]+)+)["'`]""")
    called = re.compile(rf"""\b(?:say|t)\(\s*["'`]((?:{parts})(?:\.[\w-]+)+)["'`]""")
    begun = re.compile(rf"""["'`]((?:{parts})\.(?:[\w-]+\.)*)(?:["']\s*\+|\$?\{{)""")
    code = "\n".join(CODE.values())
    # Not every text that looks like a key is one: actions and files are called so, too.
    whole = (set(quoted.findall(code)) & known) | set(called.findall(code))
    return whole, set(begun.findall(code))


def test_every_key_that_the_code_asks_for_exists() -> None:
    known = keys(table("en"))
    whole, begun = used()
    assert len(whole) > 100 and len(begun) > 10, "the patterns find the calls"
    assert whole - known == set()
    assert {one for one in begun if not any(key.startswith(one) for key in known)} == set()


def test_no_key_is_unused() -> None:
    whole, begun = used()
    code = "\n".join(CODE.values())
    deep = tuple(one for one in begun if one.count(".") > 1)
    # What completes `say(f"documents.{name}")` stands somewhere as a word by itself.
    unused = {
        key
        for key in keys(table("en")) - whole
        if not key.startswith(deep)
        and not re.search(rf"""["'`\s]{re.escape(key.split(".", 1)[1])}["'`\s]""", code)
    }
    assert unused == set()


@pytest.mark.parametrize(
    ("number", "en", "uk"),
    [
        (0, "other", "many"),
        (1, "one", "one"),
        (2, "other", "few"),
        (4, "other", "few"),
        (5, "other", "many"),
        (10, "other", "many"),
        (11, "other", "many"),
        (12, "other", "many"),
        (14, "other", "many"),
        (15, "other", "many"),
        (20, "other", "many"),
        (21, "other", "one"),
        (22, "other", "few"),
        (25, "other", "many"),
        (100, "other", "many"),
        (101, "other", "one"),
        (102, "other", "few"),
        (111, "other", "many"),
        (112, "other", "many"),
        (121, "other", "one"),
        (1000, "other", "many"),
        (1001, "other", "one"),
        (1011, "other", "many"),
        (1_000_003, "other", "few"),
    ],
)
def test_plural_categories_are_those_of_cldr(number: int, en: str, uk: str) -> None:
    assert (plural("en", number), plural("uk", number)) == (en, uk)


def test_saying() -> None:
    en, uk = speaker("en"), speaker("uk")
    assert en("answer.stage.queued", n=1) == "Waiting: 1 question before this one"
    assert uk("answer.stage.queued", n=22) == "Очікування: перед цим ще 22 запитання"
    assert speaker("tlh")("page.cancel") == "Cancel"
    assert en("answer.confidence", word="{percent}{n}", percent=5) == "Confidence: {percent}{n}, 5%"
    with pytest.raises(KeyError):
        en("answer.nothing")
