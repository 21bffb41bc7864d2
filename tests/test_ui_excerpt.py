"""Excerpts: nothing of a text is lost, changed or highlighted wrongly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ui.excerpt import Excerpt, Highlight, excerpts


@st.composite
def highlighted(draw: st.DrawFn) -> tuple[str, list[Highlight]]:
    text = draw(st.text(st.sampled_from("ab. \né🙂"), min_size=1, max_size=2500))
    spans = draw(
        st.lists(
            st.tuples(st.integers(0, len(text) - 1), st.integers(1, 300)), min_size=1, max_size=5
        )
    )
    return text, [
        Highlight(str(at), start, min(len(text), start + size))
        for at, (start, size) in enumerate(spans)
    ]


@given(highlighted(), st.integers(0, 400))
def test_every_highlight_is_shown_once_and_exactly(
    given_: tuple[str, list[Highlight]], around: int
) -> None:
    text, highlights = given_
    found = excerpts(text, highlights, around)
    assert sorted(one.label for each in found for one in each.highlights) == sorted(
        one.label for one in highlights
    )
    for before, after in zip(found, found[1:], strict=False):
        assert before.end < after.start
    for excerpt in found:
        assert excerpt.text == text[excerpt.start : excerpt.end]
        assert "".join(piece for piece, _ in excerpt.pieces()) == excerpt.text
        for one in excerpt.highlights:
            lit = "".join(piece for piece, labels in excerpt.pieces() if one.label in labels)
            assert lit == text[one.start : one.end]


def test_overlapping_highlights_are_cut_at_each_edge() -> None:
    excerpt = Excerpt("abcdef", 10, 16, (Highlight("1", 11, 14), Highlight("2", 13, 16)))
    assert list(excerpt.pieces()) == [("a", ()), ("bc", ("1",)), ("d", ("1", "2")), ("ef", ("2",))]


def test_an_excerpt_begins_and_ends_at_a_clean_edge() -> None:
    text = "A first sentence stands here. " * 40 + "QUOTE. " + "Another one stands here. " * 40
    start = text.index("QUOTE")
    (excerpt,) = excerpts(text, [Highlight("1", start, start + 6)])
    assert excerpt.text.startswith("A first") and excerpt.text.endswith("here.")
    assert 240 <= start - excerpt.start <= 400 and 240 <= excerpt.end - start - 6 <= 400


def test_far_apart_highlights_stand_in_separate_excerpts() -> None:
    text = "word " * 1000
    assert len(excerpts(text, [Highlight("1", 0, 4), Highlight("2", 4000, 4004)])) == 2
    assert len(excerpts(text, [Highlight("1", 0, 4), Highlight("2", 400, 404)])) == 1


@given(highlighted(), st.booleans())
def test_blocks_hold_all_but_line_ends_and_light_what_the_pieces_light(
    given_: tuple[str, list[Highlight]], unwrap: bool
) -> None:
    text, highlights = given_
    excerpt = Excerpt(text, 0, len(text), tuple(highlights))
    blocks = list(excerpt.blocks(unwrap))
    assert "".join("".join(block.text.split()) for block in blocks) == "".join(text.split())
    for block in blocks:
        assert block.text == "".join(piece for piece, _ in block.pieces)
        assert "\n" not in block.text and block.text.strip()
    for one in highlights:
        lit = "".join(p for block in blocks for p, labels in block.pieces if one.label in labels)
        assert "".join(lit.split()) == "".join(text[one.start : one.end].split())


def test_blocks_are_lines_that_know_of_the_empty_line_before_them() -> None:
    text = "# Head\n\nOne line.\n- item\n\n \n\nEnd"
    excerpt = Excerpt(text, 100, 100 + len(text), (Highlight("1", 112, 122),))
    assert [(block.text, block.apart) for block in excerpt.blocks()] == [
        ("# Head", False),
        ("One line.", True),
        ("- item", False),
        ("End", True),
    ]
    assert [block.pieces for block in excerpt.blocks()][1:3] == [
        (("One ", ()), ("line.", ("1",))),
        (("- it", ("1",)), ("em", ())),
    ]


def test_only_line_ends_that_wrap_a_paragraph_are_undone() -> None:
    wrapped = (
        "The harbour of Eastmere opened in the year eighteen\n"
        "hundred and eighty-seven, as the register of the\n"
        "moorings says.\n"
        "- A list item that is longer than fifty characters, yes\n"
        "Then: a line of its own."
    )
    excerpt = Excerpt(wrapped, 0, len(wrapped), ())
    assert [block.text for block in excerpt.blocks(unwrap=True)] == [
        "The harbour of Eastmere opened in the year eighteen "
        "hundred and eighty-seven, as the register of the "
        "moorings says.",
        "- A list item that is longer than fifty characters, yes",
        "Then: a line of its own.",
    ]
    poem = Excerpt("A short line\nand another", 0, 24, ())
    assert len(list(poem.blocks(unwrap=True))) == 2
