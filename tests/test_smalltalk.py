"""Small talk is told from questions strictly, and answered with what the collection holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.smalltalk import Smalltalk, reply, smalltalk

SMALL: dict[Smalltalk, list[str]] = {
    "greeting": ["hi", "Hello!", "good morning", "Hey there", "Hello, how are you?", "HELLO", "hiii",
                 "Привіт!", "Добрий день", "Доброго дня!", "Guten Tag", "Hallo", "Bonjour !", "¡Hola!",
                 "Buenos días", "hi 👋", "  hello  "],
    "thanks": ["thanks a lot", "Thank you!", "thank you so much", "ok, thanks", "Thanks for your help.",
               "Дякую!", "Vielen Dank", "Danke schön", "merci beaucoup",
               "¡Muchas gracias!", "Thanks, great!"],
    "goodbye": ["bye", "Goodbye!", "see you later", "Thanks, bye!", "До побачення", "Auf Wiedersehen",
                "Tschüss", "au revoir", "adiós", "Have a nice day!", "Бувай"],
    "help": ["what can you do?", "who are you?", "help", "how does this work?", "Hi, who are you?",
             "what documents do you have?", "Which files are there?", "Help!", "What can I ask?",
             "Are you a robot?", "Can you help me?", "Що ти вмієш?", "Хто ти?", "Wer bist du?",
             "Was kannst du?", "Qui es-tu ?", "Comment ça marche ?",
             "¿Quién eres?", "¿Qué puedes hacer?",
             "list the documents", "how do I use this?"],
}  # fmt: skip
QUESTIONS = """Hello, when was NATO founded?
help me find the date of the treaty
Thanks, and who signed it?
What can you tell me about NATO?
Who are the signatories?
how does this treaty work?
what documents do you have about NATO?
Which documents mention Ukraine?
hi-tech exports in 2014
Good morning Vietnam
Help desk opening hours
Thanksgiving
Bye-laws
what is this clause about?
How does it work in Germany?
No, thanks to whom?
Who are you going to invite?
Привіт, коли було підписано договір?
Danke, und wer hat unterschrieben?
Was kannst du über Berlin sagen?
What is your refund policy?
The greeting
2014?
?!
""".splitlines()


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in SMALL.items() for text in texts]
)
def test_small_talk(kind: Smalltalk, text: str) -> None:
    assert smalltalk(text) == kind


@pytest.mark.parametrize("text", ["", *QUESTIONS])
def test_not_small_talk(text: str) -> None:
    assert smalltalk(text) is None


def test_reply_says_what_there_is() -> None:
    said = reply("help", "seeds", 1200, ["Treaty", "Report", "Law", "Fourth"])
    assert "“seeds”" in said
    assert "1,200 documents" in said
    assert "such as “Treaty”, “Report” and “Law”" in said
    assert "Fourth" not in said


@pytest.mark.parametrize(
    ("titles", "documents", "expected"),
    [
        pytest.param(["A", "B"], 2, "2 documents, “A” and “B”.", id="all-named"),
        pytest.param(["A"], 1, "1 document, “A”.", id="one"),
        pytest.param([], 2, "holds 2 documents.", id="no-titles"),
        pytest.param(["", " "], 2, "holds 2 documents.", id="blank-titles"),
        pytest.param([], 0, "holds no documents yet", id="empty"),
    ],
)
def test_reply_counts(titles: list[str], documents: int, expected: str) -> None:
    assert expected in reply("greeting", "c", documents, titles)


@pytest.mark.parametrize("kind", ["greeting", "help"])
def test_titles_are_no_markup(kind: Smalltalk) -> None:
    said = reply(kind, "c_*", 3, ["[x](http://e) <b>\n# **y**", "t" * 500])
    assert not set("*_`<>[]#\n") & set(said)
    assert len(said) < 500


@pytest.mark.parametrize("kind", ["thanks", "goodbye"])
def test_short_replies(kind: Smalltalk) -> None:
    assert 0 < len(reply(kind, "c", 3, ["T"])) < 100


@given(st.text())
def test_any_text(text: str) -> None:
    assert smalltalk(text) in (None, *SMALL)


@given(st.text(min_size=1, max_size=40))
def test_a_question_after_a_greeting_is_a_question(text: str) -> None:
    assert smalltalk(f"Hello, when was the treaty signed? {text}") is None
