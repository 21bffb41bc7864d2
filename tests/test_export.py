"""Exports hold all of an answer, and nothing that a reader's program would act on."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from docx import Document as read_docx
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from rag.records import Answer, AnswerSentence, Citation, Claim, Conflict
from ui.excerpt import Excerpt, Highlight
from ui.export import conversation_docx, conversation_json, conversation_markdown, turn_text
from ui.history import Conversation, Turn
from ui.snapshot import Part, Source

CITATIONS = (
    Citation(1, "sub/a.pdf", "Report", "2024-05", 3, 10, 21, "Eight\n ovens"),
    Citation(2, "b.txt", "", None, None, 0, 4, "Nine"),
)
ANSWER = Answer(
    question="And there?",
    standalone_question="How many ovens are there?",
    text="Eight ovens [1].\n- Nine [2].",
    refused=False,
    confidence=0.834,
    sentences=(
        AnswerSentence("Eight ovens.", "supported", (1,)),
        AnswerSentence("Nine.", "partial", (2,)),
        AnswerSentence("Ten.", "unsupported"),
    ),
    citations=CITATIONS,
    missing=("who built them",),
    conflicts=(Conflict("ovens", (Claim("Eight.", (1,)), Claim("Nine.", (2,)))),),
    notes=("One sentence was left out.",),
    model="scripted",
)
EXCERPT = Excerpt("Eight\n ovens", 10, 21, (Highlight("1", 10, 21),))
SOURCES = (
    Source(
        *("sub/a.pdf", "Report", "2024-05", "application/pdf", "", ""),
        parts=(Part(EXCERPT, ("Plant", "Kilns"), 3, None, False),),
    ),
)
ASKED = "2026-05-01T10:00:00.000000Z"
TALK = Conversation("c", "anna", "papers", "Ovens", ASKED, ASKED, 1)
TURN = Turn("t", "c", 1, "And there?", "answered", ANSWER, SOURCES, "", ASKED, {}, "up")
FACTS = [
    "And there?",
    "How many ovens are there?",
    "supported: Eight ovens. [1]",
    "partly supported: Nine. [2]",
    "not supported: Ten.",
    "Not in the documents",
    "who built them",
    "Sources disagree: ovens",
    "Eight. [1]",
    "One sentence was left out.",
    "[1] Report, sub/a.pdf, page 3, Plant › Kilns, 2024-05, characters 10-21: “Eight ovens”",
    "[2] b.txt, characters 0-4: “Nine”",
    "Confidence: 83%, scripted",
]


def rendered(markdown: str) -> LexborHTMLParser:
    made = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return LexborHTMLParser(made.render(markdown))


def test_markdown_and_word_hold_every_part() -> None:
    page = rendered(conversation_markdown(TALK, [TURN])).text()
    word = read_docx(io.BytesIO(conversation_docx(TALK, [TURN])))
    paper = "\n".join(paragraph.text for paragraph in word.paragraphs)
    for fact in FACTS:
        assert fact in page
        assert fact in paper
    assert word.core_properties.author == ""


def test_json_holds_the_answer_as_it_is() -> None:
    held = json.loads(conversation_json(TALK, [TURN]))
    assert held["conversation"]["title"] == "Ovens"
    assert Answer.from_dict(held["turns"][0]["answer"]) == ANSWER


def test_the_clipboards_text() -> None:
    assert turn_text(TURN) == (
        "Eight ovens [1].\n- Nine [2].\n\n"
        "[1] Report, page 3, Plant › Kilns, 2024-05: “Eight ovens”\n"
        "[2] b.txt: “Nine”\n"
    )


@pytest.mark.parametrize(
    ("status", "note", "told"),
    [
        ("asked", "", "Not answered yet."),
        ("stopped", "restart", "Stopped."),
        ("stopped", "Eight, I", "Nothing here was checked"),
        ("failed", "the model is missing", "No answer. the model is missing"),
    ],
)
def test_turns_without_an_answer(status: str, note: str, told: str) -> None:
    turn = replace(TURN, status=status, note=note, answer=None, sources=())
    assert told in turn_text(turn)
    assert told in rendered(conversation_markdown(TALK, [turn])).text()
    assert json.loads(conversation_json(TALK, [turn]))["turns"][0]["answer"] is None
    read_docx(io.BytesIO(conversation_docx(TALK, [turn])))


def everywhere(text: str) -> tuple[Conversation, Turn]:
    """A conversation whose every untrusted field is `text`."""
    citation = Citation(1, text, text, text, None, 0, 1, text)
    answer = Answer(
        question="other",
        standalone_question=f"{text} ",
        text=f"{text}\n{text}",
        refused=False,
        confidence=0.5,
        sentences=(AnswerSentence(text, "supported", (1,)),),
        citations=(citation,),
        missing=(text,),
        conflicts=(Conflict(text, (Claim(text, (1,)), Claim(text, ()))),),
        notes=(text,),
        model=text,
    )
    part = Part(Excerpt(text, 0, 1, (Highlight("1", 0, 1),)), (text,), None, None, True)
    source = Source(text, text, text, "", "", "", (part,))
    turn = replace(TURN, question=text, answer=answer, sources=(source,))
    return replace(TALK, title=text, collection=text), turn


OURS = {"html", "head", "body", "h1", "h2", "p", "ul", "li", "strong"}


@given(st.text(st.sampled_from("ab1. \n\t-+*_#>`~=|:![]()<>&;\\/@$%^{}\"'\0é\u2028"), max_size=40))
@example("[x](http://evil.example)")
@example("![x](http://evil.example/p.png)")
@example("<http://evil.example> <img src=x onerror=alert(1)>")
@example("a\n\n# Heading\n\n---\n\n1. list\n- list\n+ list\n* list")
@example("a\n===\nb\n---\n    code\n\tcode\n```\ncode\n```\n> quote")
@example("[1]: http://evil.example\n\n[1] [^1] | a | b |\n|---|---|\n| c | d |")
@example("\\[x](y) \\\\<b> &lt;b&gt; &#60;b&#62; **b** __b__ ~~b~~ `b`")
def test_markdown_is_inert(text: str) -> None:
    talk, turn = everywhere(text)
    written = conversation_markdown(talk, [turn])
    page = rendered(written)
    assert {node.tag for node in page.root.traverse(include_text=False)} <= OURS
    # No field ends up as a heading or a list of its own, and its words come out as they went in.
    assert len(page.css("h1, h2")) == 2
    assert page.css("li li, li h1, li h2") == []
    assert not any(node.attributes for node in page.root.traverse(include_text=False))
    shown = " ".join(text.replace("\0", "\ufffd").split())
    assert shown in " ".join(page.css_first("h2").text().split())
    assert shown in page.css("li")[0].text()


@settings(max_examples=20)
@given(st.text(st.characters(codec=None, max_codepoint=0x10FFFF), max_size=30))
@example("\0\x01\x0b\x1f\x7f\ud800\ufffe\uffff\x85 ]]> & <b>")
def test_word_takes_any_text(text: str) -> None:
    talk, turn = everywhere(text)
    made = read_docx(io.BytesIO(conversation_docx(talk, [turn])))
    kept = "".join(one for one in text if one.isalnum())
    shown = "".join(one for one in made.paragraphs[2].text if one.isalnum())
    assert shown == f"1{kept}"
