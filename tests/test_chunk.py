"""Chunks: exact, ordered, bounded, and nothing left out."""

from __future__ import annotations

import pytest
from fakes import HashEmbedder, count_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunk import chunk_document
from rag.records import Document, Mark

COUNT = HashEmbedder().count

WORDS = st.sampled_from("the cat sat. On mat? 3.5 a,b 日本語 😀 é\u0301 x! I. — (no)".split(" "))
GAPS = st.sampled_from([" ", " ", " ", "\n", "\n\n", "\t", "", "\r\n", "\u2028"])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=150).map(
    lambda parts: "".join(word + gap for word, gap in parts)
) | st.text(max_size=300)
KINDS = st.sampled_from(["page", "heading", "sheet", "slide"])


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = draw(TEXTS)
    starts = draw(st.lists(st.integers(0, len(text)), max_size=6).map(sorted))
    labels = st.text("ab c", max_size=400)
    marks = [Mark(at, draw(KINDS), draw(st.integers(1, 6)), draw(labels)) for at in starts]
    return Document("d", text, draw(labels), None, "text/plain", tuple(marks))


def check(document: Document, limit: int, skipped: str = "") -> list[str]:
    """The rules that hold for any document; the texts of its chunks."""
    chunks = chunk_document(document, COUNT, limit)
    at, left = 0, ""
    for chunk in chunks:
        assert chunk.document == document.id
        assert at <= chunk.start < chunk.end <= len(document.text)
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert count_tokens(chunk.context) + count_tokens(chunk.text) <= limit
        assert chunk.page == document.page_at(chunk.start)
        left += document.text[at : chunk.start]
        at = chunk.end
    left += document.text[at:]
    assert "".join(left.split()) == "".join(skipped.split())
    return [chunk.text for chunk in chunks]


@settings(max_examples=150)
@given(documents(), st.integers(32, 200))
def test_every_rule_holds_for_any_document(document: Document, limit: int) -> None:
    check(document, limit)


@pytest.mark.parametrize("text", ["x" * 3000, "日" * 500, "!" * 300, "a" * 131 + " b", "😀" * 200])
def test_text_without_spaces_is_cut(text: str) -> None:
    assert len(check(Document("d", text), 32)) > 1


def test_a_long_sentence_is_cut_at_white_space() -> None:
    pieces = check(Document("d", " ".join(f"word{n}" for n in range(100))), 40)
    assert len(pieces) > 4
    assert all(piece.startswith("word") for piece in pieces)


def test_a_short_document_is_one_chunk() -> None:
    assert check(Document("d", "One. Two.\n\nThree.\n"), 200) == ["One. Two.\n\nThree."]


def test_an_empty_document_has_none() -> None:
    assert check(Document("d", " \n "), 200) == []


def test_a_little_too_much_becomes_two_halves() -> None:
    text = " ".join(f"Fact {n:02} is so." for n in range(11))  # 5 tokens each, 55 in all
    sizes = [count_tokens(piece) for piece in check(Document("d", text), 50)]
    assert len(sizes) == 2
    assert min(sizes) >= 20


def test_headings_part_chunks_and_are_their_context() -> None:
    text = "# A\n\nUnder a.\n\n## B\n\nUnder b.\n\n# C\n\nUnder c.\n"
    marks = tuple(
        Mark(text.index(f"# {label}") - (level - 1), "heading", level, label)
        for label, level in (("A", 1), ("B", 2), ("C", 1))
    )
    chunks = chunk_document(Document("d", text, "Title", marks=marks), COUNT, 100)
    assert [(chunk.text, chunk.context) for chunk in chunks] == [
        ("# A\n\nUnder a.", "Title > A"),
        ("## B\n\nUnder b.", "Title > A > B"),
        ("# C\n\nUnder c.", "Title > C"),
    ]


def test_a_title_that_is_the_heading_is_said_once() -> None:
    document = Document("d", "# A\n\nText.", "A", marks=(Mark(0, "heading", 1, "A"),))
    assert chunk_document(document, COUNT, 100)[0].context == "A"


def test_a_long_context_takes_a_quarter_at_most() -> None:
    [chunk] = chunk_document(Document("d", "Text.", "long title " * 50), COUNT, 80)
    assert 0 < count_tokens(chunk.context) <= 20


def test_sentences_run_across_pages() -> None:
    text = "This sentence begins here and\nends on the next page."
    document = Document("d", text, marks=(Mark(0, "page", 1), Mark(30, "page", 2)))
    [chunk] = chunk_document(document, COUNT, 100)
    assert (chunk.text, chunk.page) == (text, 1)


FRONT = "---\ntitle: A report\ndate: 2024-05-01\n---\n"


def test_front_matter_is_no_passage() -> None:
    document = Document("d", f"{FRONT}\nThe body.\n", media_type="text/markdown")
    assert check(document, 100, skipped=FRONT) == ["The body."]


@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        (f"{FRONT}The body.", "text/plain"),
        ("---\n\nThe first part.\n\n---\n\nThe second part.", "text/markdown"),
        ("---\nThe first part.\n---\nThe second part.", "text/markdown"),
        ("---\ntitle: never closed\n\nBody.", "text/markdown"),
        (f"Before.\n{FRONT}", "text/markdown"),
    ],
    ids=["no markdown", "rules", "tight rules", "unclosed", "not at the head"],
)
def test_what_only_looks_like_front_matter_stays(text: str, media_type: str) -> None:
    check(Document("d", text, media_type=media_type), 100)
