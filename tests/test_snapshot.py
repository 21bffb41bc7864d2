"""What an answer rests on, kept as it was: exact to the character, whatever happens to the document."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rag.errors import InputError
from rag.records import Answer, Citation, Document, Hit, Mark
from rag.store import StoredDocument
from ui.excerpt import Excerpt, Highlight
from ui.snapshot import Part, Source, from_json, snapshot, to_json

TEXT = "Report\n\nOvens\n\n" + "Filler. " * 200 + "Eight ovens stand there.\fLast page: nine."
EIGHT, NINE = TEXT.index("Eight"), TEXT.index("nine")
REPORT = Document(
    "report.pdf",
    TEXT,
    title="Report",
    media_type="application/pdf",
    marks=(
        Mark(0, "page", 1),
        Mark(0, "heading", 1, "Report"),
        Mark(8, "heading", 2, "Ovens"),
        Mark(TEXT.index("\f") + 1, "page", 2),
    ),
)
NOTES = Document("notes.txt", "Short notes.", title="Notes")
STORED = StoredDocument(
    *("report.pdf", "docs", "/docs/report.pdf", "ff00", "1", "Report", None, "application/pdf", 9)
)


def document(name: str) -> Document:
    held = {one.id: one for one in (REPORT, NOTES)}
    if name not in held:
        raise InputError(f"there is no document '{name}'")
    return held[name]


def stored(name: str) -> StoredDocument | None:
    return STORED if name == "report.pdf" else None


def cite(marker: int, name: str, start: int, quote: str) -> Citation:
    return Citation(marker, name, name.title(), "2024", 7, start, start + len(quote), quote)


def answer(*citations: Citation, refused: bool = False, passages: tuple[Hit, ...] = ()) -> Answer:
    return Answer("q", "q", "t", refused, 0.5, citations=citations, passages=passages)


def test_documents_come_by_first_marker_and_neighbours_merge() -> None:
    near = TEXT.index("stand")
    found = snapshot(
        answer(
            cite(3, "report.pdf", near, "stand there."),
            cite(2, "report.pdf", EIGHT, "Eight ovens"),
            cite(1, "notes.txt", 6, "notes"),
            cite(4, "report.pdf", 0, "Report"),
        ),
        document,
        stored,
    )
    notes, report = found
    assert (notes.document, notes.hash, notes.path, notes.media_type) == (
        *("notes.txt", "", "", "text/plain"),
    )
    assert (report.hash, report.path, report.media_type) == (
        *("ff00", "/docs/report.pdf", "application/pdf"),
    )
    top, oven = report.parts
    assert [one.label for one in top.excerpt.highlights] == ["4"]
    assert (top.heading, top.page, top.last) == ((), 1, False)
    assert [one.label for one in oven.excerpt.highlights] == ["2", "3"]
    assert (oven.heading, oven.page, oven.last) == (("Ovens",), 1, True)
    assert oven.excerpt.text == TEXT[oven.excerpt.start :]


def test_the_page_is_the_quotes_own() -> None:
    (source,) = snapshot(answer(cite(1, "report.pdf", NINE, "nine")), document, stored)
    assert source.parts[0].page == 2  # the passage began on another one


def test_what_changed_or_went_is_the_quote_alone() -> None:
    changed, gone = cite(1, "report.pdf", 0, "Other words"), cite(2, "gone.txt", 5, "was here")
    report, lost = snapshot(answer(changed, gone), document, stored)
    for source, cited in ((report, changed), (lost, gone)):
        highlight = Highlight(str(cited.marker), cited.start, cited.end)
        excerpt = Excerpt(cited.quote, cited.start, cited.end, (highlight,))
        assert source.parts == (Part(excerpt, (), 7, None, False),)
    assert (lost.title, lost.media_type) == ("Gone.Txt", "")


def test_a_refusal_keeps_its_three_closest_passages() -> None:
    def hit(rank: int, name: str, start: int, text: str) -> Hit:
        return Hit(rank, 0.5, name, "", None, None, start, start + len(text), text)

    passages = (
        hit(1, "report.pdf", EIGHT, "Eight ovens"),
        hit(2, "gone.txt", 0, "lost"),
        hit(3, "report.pdf", EIGHT - 8, "Filler. Eight"),
        hit(4, "notes.txt", 0, "Short"),
    )
    report, gone = snapshot(answer(refused=True, passages=passages), document, stored)
    shown = {
        part.excerpt.highlights[0].label: (part.excerpt.text, part.heading)
        for source in (report, gone)
        for part in source.parts
    }
    assert shown == {
        "p3": ("Filler. Eight", ("Ovens",)),
        "p1": ("Eight ovens", ("Ovens",)),
        "p2": ("lost", ()),
    }
    assert gone.title == "gone.txt"


def test_a_table_is_kept_as_rows() -> None:
    rows = "Country,Year,Ovens\nGermany,2024,8\nFrance,2024,9\n"
    whole = Document("ovens.csv", rows, media_type="text/csv")
    at = rows.index("France")
    found = snapshot(answer(cite(1, "ovens.csv", at, "France,2024,9")), lambda name: whole, stored)
    table = found[0].parts[0].table
    assert table is not None
    assert [cell.text for cell in table.rows[-1]] == ["France", "2024", "9"]
    assert from_json(to_json(found)) == found


def test_a_greeting_has_no_sources() -> None:
    assert snapshot(answer(), document, stored) == ()


words = st.text(max_size=5)
spans = st.integers(0, 2**40)
highlights = st.lists(st.builds(Highlight, words, spans, spans), max_size=2).map(tuple)
texts = st.builds(Excerpt, words, spans, spans, highlights)
headings = st.lists(words, max_size=2).map(tuple)
pages = st.none() | spans
parts = st.builds(Part, texts, headings, pages, st.none(), st.booleans())
kept = st.builds(
    Source,
    *(words, words, st.none() | words, words, words, words),
    st.lists(parts, max_size=2).map(tuple),
)


@given(st.lists(kept, max_size=2).map(tuple))
def test_sources_survive_json(sources: tuple[Source, ...]) -> None:
    assert from_json(to_json(sources)) == sources


@given(st.data())
def test_every_quote_stays_exact(data: st.DataObject) -> None:
    """Each citation is highlighted once, over its own words, in the text as it was."""
    text = data.draw(st.text(st.sampled_from("ab. \n😀é"), min_size=1, max_size=2000))
    whole = replace(REPORT, text=text, marks=())
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 40))
    cited = [
        cite(number, "report.pdf", start, text[start : start + length])
        for number, (start, length) in enumerate(data.draw(st.lists(places, max_size=5)), 1)
    ]
    sources = snapshot(answer(*cited), lambda name: whole, stored)
    found = {}
    for part in (part for source in sources for part in source.parts):
        excerpt = part.excerpt
        assert excerpt.text == text[excerpt.start : excerpt.end]
        assert part.last == (excerpt.end == len(text))
        for one in excerpt.highlights:
            assert one.label not in found
            found[one.label] = excerpt.text[one.start - excerpt.start : one.end - excerpt.start]
    assert found == {str(one.marker): one.quote for one in cited}
