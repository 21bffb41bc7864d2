"""Answers as bubbles: what is shown, and that nothing untrusted is ever more than text."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from rag.records import Answer, AnswerSentence, Citation, Claim, Conflict, Hit, Timings
from ui.render import answer as render
from ui.render.text import esc, one_line, safe
from ui.render.welcome import welcome_html
from ui.strings import speaker

SAY, SKAZHY = speaker("en"), speaker("uk")
TURN = "-_Ab9_x-_"
GAVE = Citation(1, "b.md", "Memorandum", "1994-12-05", None, 0, 22, "Three gave assurances.")
SIGNED = Citation(2, "c.md", "Signing", None, None, 0, 29, "They were signed in Budapest.")
ANSWER = Answer(
    question="What was given?",
    standalone_question="What was given?",
    text="Three states gave assurances [1]. They signed in the city of Budapest [1][2].",
    refused=False,
    confidence=0.91,
    sentences=(
        AnswerSentence("Three states gave assurances.", "supported", (1,)),
        AnswerSentence("They signed in the city of Budapest.", "partial", (1, 2)),
    ),
    citations=(GAVE, SIGNED),
    timings=Timings(total_s=2.34),
)
HIT = Hit(1, 0.4, "b.md", "Memorandum", "1994-12-05", 3, 0, 22, GAVE.quote)
REFUSAL = Answer(
    question="Who sang?",
    standalone_question="Who sang in Budapest?",
    text="The documents do not say. The closest passages are in “Memorandum”.",
    refused=True,
    confidence=0.7,
    passages=tuple(replace(HIT, rank=rank) for rank in range(1, 6)),
)
PAYLOADS = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "image link": "![pixel](https://evil.example/p.png)",
    "image reference": "![pixel][1]\n\n[1]: https://evil.example/p.png",
    "script link": "[click](javascript:alert(1))",
    "automatic link": "see https://evil.example/x or www.evil.example or a@evil.example",
    "angle link": "<https://evil.example>",
    "out of an attribute": '" onmouseover="alert(1)',
    "out of a quote": "' onfocus='alert(1)' autofocus='",
    "out of a block": "\n\n</div></span></mark><h1>Footnote says</h1>\n\n# heading\n\n- item",
    "other line ends": "a\r\rb\u2028\u2028c\u0085\u0085d\x0c\x0c# e",
    "style": "<style>body{display:none}</style>",
    "form": "<form action='https://evil.example'><input name=password></form>",
    "button": '<button class="fn-act" value="up:x">ok</button>',
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62;",
    "formula": "$$\\href{javascript:alert(1)}{x}$$ \\(a\\)",
    "code": "```html\n<script>alert(1)</script>\n``` and `<b>`",
    "template": "${alert(1)} {{constructor.constructor('alert(1)')()}} {% x %} {n} {question}",
    "forged anchor": '<span id="src-1-1">false</span> [[1]](#src-1-1)',
    "comment": "<!-- --><![CDATA[<b>]]><?php ?>",
    "split tag": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "control characters": "a\x00b\x1b[31mc\x08 <\x00script>",
    "right to left": "\u202egnp.exe\u202c \u2066<b>\u2069",
    "table": "| a | b |\n|---|---|\n| <b>x</b> | y |",
    "half a character": "\ud800 <b>",
}
ATTRIBUTES = {
    "a": {"class", "href", "title"},
    "button": {"type", "class", "value", "title"},
    "div": {"class", "dir"},
    "span": {"class", "title"},
    "li": {"class"},
    "ul": {"class"},
    "b": set(),
    "p": set(),
    "ol": set(),
    "small": set(),
    "strong": set(),
}


def tree(html: str) -> LexborHTMLParser:
    return LexborHTMLParser(f"<html><head></head><body>{html}</body></html>")


def assert_harmless(html: str) -> None:
    """Known tags and attributes only, links to this page's sources only, as HTML and as Markdown."""
    html.encode()
    assert len(html.splitlines()) <= 1  # one block: Markdown reads nothing inside it
    as_markdown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(html)
    assert as_markdown.strip() == html
    for node in tree(html).css("body *"):
        assert set(node.attributes) <= ATTRIBUTES[node.tag], node.html
        if node.tag == "a":
            assert re.fullmatch(rf"#src-{TURN}-p?\d+", node.attributes["href"] or "")
        if node.tag == "button":
            assert re.fullmatch(rf"[a-z]+:{TURN}", node.attributes["value"] or "")
        assert re.fullmatch(r"(fn-[a-z-]+ ?)*", node.attributes.get("class") or "")


def text_of(html: str, selector: str) -> str:
    return " | ".join(node.text() for node in tree(html).css(selector))


def shown(answer: Answer, **named: Any) -> str:
    html = render.answer_html(answer, TURN, named.pop("say", SAY), **named)
    assert_harmless(html)
    return html


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_hostile_text_is_only_text_wherever_it_stands(payload: str) -> None:
    citation = Citation(1, payload, payload, payload, 2, 0, len(payload), payload)
    hit = Hit(1, 0.5, payload, payload, payload, 2, 0, len(payload), payload, payload)
    answer = Answer(
        question=payload,
        standalone_question=f"{payload} again",
        text=f"{payload} [1]",
        refused=False,
        confidence=0.5,
        sentences=(AnswerSentence(payload, "partial", (1, 7)),),
        citations=(citation,),
        missing=(payload,),
        conflicts=(Conflict(payload, (Claim(payload, (1,)), Claim(payload, (1, 9)))),),
        notes=(payload,),
        passages=(hit,),
        model=payload,
        collection=payload,
    )
    for say in (SAY, SKAZHY):
        for html in (
            render.question_html(payload),
            render.draft_html(payload, say, "writing", payload),
            render.stopped_html(payload, TURN, say),
            render.failure_html(payload, TURN, say),
        ):
            assert_harmless(html)
        shown(answer, say=say)
        shown(replace(answer, conflicts=()), say=say)
        shown(replace(answer, refused=True, sentences=(), citations=()), say=say)
        shown(replace(answer, sentences=()), say=say)
    told = tree(welcome_html(3, [payload], payload, True, SAY))
    assert {one.tag for one in told.css("body *")} == {"h2", "p", "ul", "li", "button"}
    assert all(set(one.attributes) <= {"class", "type", "dir", "data-question"}
               for one in told.css("body *"))  # fmt: skip
    expected = re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", payload.strip())
    expected = re.sub(r"[\x0b-\x0d]", " ", expected)
    assert text_of(render.question_html(payload), ".fn-question") == expected
    if "\n" not in payload:
        assert told.css_first(".fn-suggestion").attributes["data-question"] == expected


@given(st.text(st.characters()), st.sampled_from([safe, esc]))
def test_escaped_text_reads_as_it_was_written(text: str, escape: Any) -> None:
    expected = re.sub(r"[\x0b\x0c\r]", " ", text)
    expected = re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", expected)
    parsed = tree(f'<pre title="{escape(text)}">x{escape(text)}x</pre>')
    assert parsed.css("pre *") == []
    assert parsed.css_first("pre").text() == f"x{expected}x"
    assert parsed.css_first("pre").attributes["title"] == (expected or "")


def test_each_marker_links_to_its_source_and_shows_the_quote() -> None:
    links = tree(shown(ANSWER)).css("a.fn-marker")
    assert [one.attributes["href"] for one in links] == [f"#src-{TURN}-{at}" for at in (1, 1, 2)]
    assert [one.text() for one in links] == ["Source 1", "Source 1", "Source 2"]
    assert GAVE.quote in (links[0].attributes["title"] or "")


def test_what_is_not_supported_looks_different_and_says_why() -> None:
    unsupported = AnswerSentence("Nobody knows.", "unsupported", ())
    html = shown(replace(ANSWER, sentences=(*ANSWER.sentences, unsupported)))
    assert text_of(html, "span.fn-supported") == "Three states gave assurances."
    assert text_of(html, "span.fn-partial") == "They signed in the city of Budapest."
    assert text_of(html, "span.fn-unsupported") == "Nobody knows."
    assert text_of(html, ".fn-note") == "partly supported | not supported"
    assert "only part" in (tree(html).css_first(".fn-note").attributes["title"] or "")
    assert "◐ 1 of 3 statements supported" in text_of(html, ".fn-footer")
    assert "✓ 1 of 1 statement supported" in shown(replace(ANSWER, sentences=ANSWER.sentences[:1]))


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(1.0, "high, 100%"), (0.85, "high, 85%"), (0.84, "fair, 84%"), (0.65, "fair, 65%"),
     (0.5, "low, 50%"), (0.0, "low, 0%")],
)  # fmt: skip
def test_confidence_stands_in_words_and_a_number(confidence: float, words: str) -> None:
    html = shown(replace(ANSWER, confidence=confidence))
    assert text_of(html, ".fn-confidence") == f"Confidence: {words}"


def test_lines_that_begin_with_a_dash_become_a_list() -> None:
    said = ["There are two.", "One is short.", "One is long - really.", "That is all."]
    html = shown(
        replace(
            ANSWER,
            text="There are two [1].\n- One is short [1].\n- One is long - really [2].\nThat is all.",
            sentences=tuple(AnswerSentence(one, "supported", (1,)) for one in said),
        )
    )
    assert text_of(html, "ul > li > span") == " | ".join(said[1:3])
    assert text_of(html, ".fn-answer > p > span") == " | ".join((said[0], said[3]))
    assert len(tree(html).css("ul")) == 1


def test_the_question_as_understood_is_shown_only_where_it_differs() -> None:
    assert "Understood as" not in shown(ANSWER)
    html = shown(replace(ANSWER, standalone_question="What was given in Budapest?"))
    assert text_of(html, ".fn-understood") == "Understood as: “What was given in Budapest?”"


def test_small_talk_is_a_plain_line() -> None:
    html = shown(Answer("Hello", "Hello", "Hello. Ask <me> about it.", False, 1.0))
    assert text_of(html, "body *") == "Hello. Ask <me> about it."


def test_a_refusal_has_its_own_layout_with_the_closest_passages() -> None:
    html = shown(REFUSAL)
    assert "No answer in the documents." in text_of(html, ".fn-refusal strong")
    assert "are in" not in html, "the closest passages stand below as cards, not in the text too"
    cards = tree(html).css("a.fn-passage")
    assert [one.attributes["href"] for one in cards] == [f"#src-{TURN}-p{at}" for at in (1, 2, 3)]
    assert text_of(html, ".fn-refusal small").startswith("page 3 · 1994-12-05 |")
    assert text_of(html, ".fn-confidence") == "Confidence that none is there: fair, 70%"
    assert tree(html).css("a.fn-marker") == []


def test_what_is_missing_left_out_and_disputed_is_said() -> None:
    claims = (Claim("It was 1994. (“Memorandum”, 1994)", (1,)), Claim("It was 1995.", (2, 2)))
    conflict = Conflict("the year", claims)
    html = shown(replace(ANSWER, missing=("the price",), conflicts=(conflict,), notes=("Cut.",)))
    assert text_of(html, ".fn-missing li") == "the price"
    assert text_of(html, ".fn-aside") == "Cut."
    assert text_of(html, ".fn-conflict strong") == "Sources disagree: the year"
    assert text_of(html, ".fn-side small") == "Memorandum · 1994-12-05 | Signing"
    assert "It was 1994.Source 1" in text_of(html, ".fn-side")


def test_an_answer_that_is_the_sides_themselves_says_them_once() -> None:
    claims = tuple(Claim(one.text, one.citations) for one in ANSWER.sentences)
    html = shown(replace(ANSWER, conflicts=(Conflict("the city", claims),)))
    assert text_of(html, ".fn-side b") == " | ".join(one.text for one in ANSWER.sentences)
    assert html.count(ANSWER.sentences[0].text) == 1 and "fn-answer" not in html
    assert len(tree(html).css("a.fn-marker")) == 3


def test_the_buttons_say_what_they_do_and_which_verdict_was_given() -> None:
    def on(verdict: str) -> list[str | None]:
        return [
            one.attributes["value"] for one in tree(shown(ANSWER, verdict=verdict)).css(".fn-on")
        ]

    assert (on(""), on("up"), on("down")) == ([], [f"up:{TURN}"], [f"down:{TURN}"])
    assert text_of(shown(ANSWER, say=SKAZHY), ".fn-act-again") == "Запитати ще раз"
    for html in (render.stopped_html("", TURN, SAY), render.failure_html("x", TURN, SAY)):
        assert [one.attributes["value"] for one in tree(html).css("button")] == [
            f"again:{TURN}",
            f"edit:{TURN}",
        ]


def test_stages_and_what_was_stopped() -> None:
    assert text_of(render.stage_html("reading", SAY, "1"), ".fn-stage") == "Reading 1 passage"
    assert text_of(render.stage_html("reading", SKAZHY, "22"), ".fn-stage") == "Читання 22 уривків"
    assert "Nothing here was checked" in render.stopped_html("so far", TURN, SAY)
    assert "restarted" in render.stopped_html("", TURN, SAY, restarted=True)
    assert "fn-draft" not in render.draft_html(" ", SAY)


def test_one_line_is_cut_at_a_word() -> None:
    assert (one_line(" a\n b "), one_line("one two three", 9)) == ("a b", "one two …")


def test_the_welcome() -> None:
    assert "Nothing leaves this computer" in welcome_html(1, (), "", False, SAY)
    assert "http://10.0.0.7/v1" in welcome_html(1, (), "http://10.0.0.7/v1", False, SAY)
    assert "documents.show" in welcome_html(0, (), "", True, SAY)
    assert "documents.show" not in welcome_html(0, (), "", False, SAY)
    failed = tree(welcome_html(0, (), "", True, SAY, "it is <damaged>"))
    assert failed.css_first("[role=alert]").text() == "it is <damaged>"
