"""Answers as HTML: what is shown, and that nothing untrusted is ever more than text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from rag.records import (
    Answer,
    AnswerSentence,
    Citation,
    Claim,
    Conflict,
    Document,
    Hit,
    Mark,
    Timings,
)
from ui import render

TEXT = (
    "# Budapest\n\nIn 1994 three states gave assurances. They were signed in Budapest. "
    "The text is short.\n"
)
DOCUMENT = Document(
    "b.md", TEXT, "Memorandum", "1994-12-05", marks=(Mark(0, "heading", 1, "Budapest"),)
)


def cite(marker: int, quote: str) -> Citation:
    start = TEXT.index(quote)
    return Citation(
        marker, "b.md", "Memorandum", "1994-12-05", None, start, start + len(quote), quote
    )


GAVE = cite(1, "In 1994 three states gave assurances.")
SIGNED = cite(2, "They were signed in Budapest.")
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
REFUSAL = Answer(
    question="Who sang?",
    standalone_question="Who sang in Budapest?",
    text="The documents do not say: I found no answer to “Who sang in Budapest?”. The closest "
    "passages are in “Memorandum”.",
    refused=True,
    confidence=0.7,
    passages=(
        Hit(
            1,
            0.4,
            "b.md",
            "Memorandum",
            "1994-12-05",
            3,
            12,
            49,
            "In 1994 three states gave assurances.",
        ),
    ),
)

PAYLOADS = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "image link": "![pixel](https://evil.example/p.png)",
    "image reference": "![pixel][1]\n\n[1]: https://evil.example/p.png",
    "script link": "[click](javascript:alert(1))",
    "link": "[click](https://evil.example)",
    "automatic link": "see https://evil.example/x or www.evil.example or a@evil.example",
    "angle link": "<https://evil.example>",
    "out of an attribute": '" onmouseover="alert(1)',
    "out of a quote": "' onfocus='alert(1)' autofocus='",
    "out of a block": "\n\n</div></span></mark><h1>Footnote says</h1>\n\n# heading\n\n- item",
    "style": "<style>body{display:none}</style>",
    "svg": "<svg><script>alert(1)</script></svg>",
    "frame": "<iframe src='https://evil.example'></iframe>",
    "form": "<form action='https://evil.example'><input name=password></form>",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62;",
    "formula": "$$\\href{javascript:alert(1)}{x}$$ \\(a\\)",
    "code": "```html\n<script>alert(1)</script>\n``` and `<b>`",
    "template": "${alert(1)} {{constructor.constructor('alert(1)')()}} {% x %}",
    "forged anchor": '<span id="src-1-1">false</span> [[1]](#src-1-1)',
    "comment": "<!-- --><![CDATA[<b>]]><?php ?>",
    "split tag": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "control characters": "a\x00b\x1b[31mc\x08 <\x00script>",
    "right to left": "\u202egnp.exe\u202c \u2066<b>\u2069",
    "table": "| a | b |\n|---|---|\n| <b>x</b> | y |",
}
TAGS = set(
    "article a bdi blockquote br div h2 h3 li mark ol p section small span strong ul".split()
)
ATTRIBUTES = {"class", "dir", "href", "id", "tabindex", "title", "hidden"}


def tree(html: str) -> LexborHTMLParser:
    return LexborHTMLParser(f"<html><head></head><body>{html}</body></html>")


def assert_harmless(html: str) -> None:
    """Known tags and attributes only, links to this page's sources only, as HTML and as Markdown."""
    assert "\n" not in html  # one block: Markdown reads nothing inside it
    as_markdown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(html)
    assert as_markdown.strip() == html
    for node in tree(html).css("body *"):
        assert node.tag in TAGS, node.html
        assert set(node.attributes) <= ATTRIBUTES, node.html
        if node.tag == "a":
            assert re.fullmatch(r"#src-\d+-p?\d+", node.attributes["href"] or "")
        if "id" in node.attributes:
            assert re.fullmatch(r"src-\d+-p?\d+|turn-\d+", node.attributes["id"] or "")


def text_of(html: str, selector: str) -> str:
    return " | ".join(node.text() for node in tree(html).css(selector))


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_hostile_text_is_only_text_wherever_it_stands(payload: str) -> None:
    document = Document(
        payload,
        f"before {payload} after",
        payload,
        payload,
        marks=(Mark(0, "heading", 1, payload),),
    )
    start = len("before ")
    citation = Citation(1, payload, payload, payload, 2, start, start + len(payload), payload)
    hit = Hit(1, 0.5, payload, payload, payload, 2, 0, len(payload), payload)
    answer = Answer(
        question=payload,
        standalone_question=f"{payload} again",
        text=f"{payload} [1]",
        refused=False,
        confidence=0.5,
        sentences=(AnswerSentence(payload, "partial", (1,)),),
        citations=(citation,),
        missing=(payload,),
        conflicts=(Conflict(payload, (Claim(payload, (1,)), Claim(payload, (1,)))),),
        passages=(hit,),
    )
    refusal = replace(answer, refused=True, sentences=(), citations=())
    for html in (
        render.question_html(payload),
        render.draft_html(payload),
        render.stopped_html(payload),
        render.failure_html(payload),
        render.stage_html(payload, payload),
        render.stage_html("reading", payload),
        render.answer_html(answer, 1),
        render.answer_html(refusal, 1),
        render.answer_html(replace(answer, sentences=()), 1),
        render.sources_html([(1, answer), (2, refusal)], {payload: document}),
        render.sources_html([(1, answer)], {}),
    ):
        assert_harmless(html)
    shown = text_of(render.question_html(payload), ".fn-question")
    assert shown == re.sub(r"[\x00-\x08\x0e-\x1f]", "\ufffd", payload.strip())


@given(st.text())
def test_safe_text_reads_as_it_was_written(text: str) -> None:
    html = render.safe(text)
    parsed = tree(f"<pre>x{html}x</pre>")
    expected = re.sub(r"[\x0b\x0c\r]", " ", text)
    expected = re.sub(r"[\x00-\x08\x0e-\x1f\x7f]", "\ufffd", expected)
    assert [node.tag for node in parsed.css("pre *")] == []
    assert parsed.css_first("pre").text() == f"x{expected}x"


def test_each_marker_links_to_its_source_and_shows_the_quote() -> None:
    links = tree(render.answer_html(ANSWER, 3)).css("a.fn-marker")
    assert [link.attributes["href"] for link in links] == ["#src-3-1", "#src-3-1", "#src-3-2"]
    assert [link.text() for link in links] == ["Source 1", "Source 1", "Source 2"]
    assert GAVE.quote in (links[0].attributes["title"] or "")


def test_a_partly_supported_sentence_looks_different_and_says_why() -> None:
    html = render.answer_html(ANSWER, 1)
    assert text_of(html, "span.fn-supported") == "Three states gave assurances."
    assert text_of(html, "span.fn-partial") == "They signed in the city of Budapest."
    assert text_of(html, ".fn-note") == "partly supported"
    assert "only part" in (tree(html).css_first(".fn-note").attributes["title"] or "")
    assert "1 of 2 statements supported, 1 partly" in text_of(html, ".fn-footer")


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (1.0, "high, 100%"),
        (0.85, "high, 85%"),
        (0.84, "fair, 84%"),
        (0.65, "fair, 65%"),
        (0.5, "low, 50%"),
    ],
)
def test_confidence_stands_in_words_and_a_number(confidence: float, words: str) -> None:
    html = render.answer_html(replace(ANSWER, confidence=confidence), 1)
    assert text_of(html, ".fn-confidence") == f"Confidence: {words}"


def test_lines_that_begin_with_a_dash_become_a_list() -> None:
    answer = replace(
        ANSWER,
        text="There are two [1].\n- One is short [1].\n- One is long - really [2].\nThat is all.",
        sentences=(
            AnswerSentence("There are two.", "supported", (1,)),
            AnswerSentence("One is short.", "supported", (1,)),
            AnswerSentence("One is long - really.", "supported", (2,)),
            AnswerSentence("That is all.", "supported", ()),
        ),
    )
    html = render.answer_html(answer, 1)
    assert text_of(html, "ul > li > span") == "One is short. | One is long - really."
    assert text_of(html, ".fn-answer > p > span") == "There are two. | That is all."
    assert len(tree(html).css("ul")) == 1


def test_a_short_answer_keeps_its_marker() -> None:
    answer = replace(
        ANSWER, text="1994 [1]", sentences=(AnswerSentence("1994", "supported", (1,)),)
    )
    assert text_of(render.answer_html(answer, 1), ".fn-answer") == "1994Source 1"


def test_the_question_as_understood_is_shown_only_where_it_differs() -> None:
    assert "Understood as" not in render.answer_html(ANSWER, 1)
    changed = replace(ANSWER, standalone_question="What was given in Budapest?")
    understood = text_of(render.answer_html(changed, 1), ".fn-understood")
    assert understood == "Understood as: “What was given in Budapest?”"


def test_small_talk_is_a_plain_line() -> None:
    talk = Answer("Hello", "Hello", "Hello. Ask <me> about two documents.", False, 1.0)
    html = render.answer_html(talk, 1)
    assert text_of(html, ".fn-answer") == talk.text
    assert tree(html).css(".fn-footer, a.fn-marker") == []


def test_what_was_left_out_is_said() -> None:
    html = render.answer_html(replace(ANSWER, notes=("One sentence was <b>left</b> out.",)), 1)
    assert text_of(html, ".fn-aside") == "One sentence was <b>left</b> out."


def test_a_refusal_has_its_own_layout_with_the_closest_passages() -> None:
    html = render.answer_html(REFUSAL, 2)
    shown = text_of(html, ".fn-refusal")
    assert "“Who sang in Budapest?”" in shown
    assert "are in" not in shown, "the closest passages stand below as cards, not in the text too"
    assert tree(html).css_first("a.fn-passage").attributes["href"] == "#src-2-p1"
    assert text_of(html, ".fn-refusal small") == "page 3 · 1994-12-05"
    assert text_of(html, ".fn-confidence") == "Confidence that none is there: fair, 70%"
    assert tree(html).css("a.fn-marker") == []


def test_what_is_missing_and_what_is_disputed_is_said() -> None:
    answer = replace(
        ANSWER,
        missing=("the price",),
        conflicts=(
            Conflict("the year", (Claim("It was 1994.", (1,)), Claim("It was 1995.", (2,)))),
        ),
    )
    html = render.answer_html(answer, 1)
    assert text_of(html, ".fn-missing li") == "the price"
    assert text_of(html, ".fn-conflict strong") == "Sources disagree: the year"
    assert text_of(html, ".fn-conflict li") == "It was 1994.Source 1 | It was 1995.Source 2"


def test_the_panel_highlights_exactly_the_quotes_and_joins_those_of_one_document() -> None:
    html = render.sources_html([(1, ANSWER)], {"b.md": DOCUMENT})
    assert text_of(html, "article h3") == "Memorandum"
    assert text_of(html, ".fn-facts") == "b.md · 1994-12-05"
    assert text_of(html, ".fn-heading") == "Budapest"
    assert text_of(html, "mark") == f"{GAVE.quote} | {SIGNED.quote}"
    assert [node.attributes["id"] for node in tree(html).css(".fn-anchor")] == [
        "src-1-1",
        "src-1-2",
    ]
    # The anchors' own numbers aside, the excerpt is the document's text.
    parsed = tree(html)
    for number in parsed.css(".fn-number"):
        number.decompose()
    assert parsed.css_first("blockquote").text() == TEXT


def test_the_panel_shows_the_page_that_the_quote_is_on() -> None:
    paged = replace(
        DOCUMENT,
        marks=(Mark(0, "page", 1), Mark(GAVE.start, "page", 2), Mark(SIGNED.start, "page", 3)),
    )
    html = render.sources_html([(1, ANSWER)], {"b.md": paged})
    assert text_of(html, ".fn-facts") == "b.md · pages 2, 3 · 1994-12-05"


@pytest.mark.parametrize("documents", [{}, {"b.md": replace(DOCUMENT, text="New. " + TEXT)}])
def test_a_document_that_changed_is_not_highlighted_in_the_wrong_place(documents: dict) -> None:
    html = render.sources_html([(1, ANSWER)], documents)
    assert "has changed since" in text_of(html, ".fn-changed")
    assert text_of(html, "mark") == f"{GAVE.quote} | {SIGNED.quote}"


def test_only_the_last_answers_sources_are_open_and_anchors_are_unique() -> None:
    html = render.sources_html([(1, ANSWER), (2, REFUSAL), (3, ANSWER)], {"b.md": DOCUMENT})
    sections = tree(html).css("section")
    assert [("hidden" in one.attributes) for one in sections] == [True, True, False]
    anchors = [node.attributes["id"] for node in tree(html).css("[id]")]
    assert len(anchors) == len(set(anchors)) == 3 + 5


def test_the_panel_says_what_it_is_for_before_the_first_answer() -> None:
    assert render.sources_html([], {}) == render.nothing_yet_html()
