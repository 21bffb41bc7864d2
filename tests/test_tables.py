"""Tables around highlights: cells are where they say, and hold what the reader was given."""

from __future__ import annotations

import csv
import io
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.read import Limits, read_file
from rag.read.tables import table_lines
from rag.read.text import read_csv
from rag.records import Document, Mark
from ui.excerpt import Highlight
from ui.tables import Cell, TableExcerpt, table_around

SEEDS = Path(__file__).resolve().parent.parent / "seeds" / "documents"
HTML = "text/html"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def csv_document(text: str) -> Document:
    draft = read_csv(text.encode(), Limits())
    return Document("a.csv", draft.text, media_type="text/csv", marks=draft.marks)


def lit(document: Document, *words: str) -> list[Highlight]:
    starts = [document.text.index(one) for one in words]
    return [
        Highlight(str(at), start, start + len(one))
        for at, (start, one) in enumerate(zip(starts, words, strict=True), 1)
    ]


def around(document: Document, *words: str, rows: int = 3) -> TableExcerpt:
    found = table_around(document, lit(document, *words), rows)
    assert found is not None
    check(document, found)
    return found


def check(document: Document, found: TableExcerpt) -> None:
    """What holds for every excerpt."""
    width = len(found.rows[0] if found.rows else found.header)
    for row in (found.header, *found.rows):
        assert len(row) in (width, 0)
        for cell in row:
            assert plain(document, document.text[cell.start : cell.end]) == cell.text
        for a, b in zip(row, row[1:], strict=False):
            assert a.start <= a.end <= b.start <= b.end
    for one, other in zip(found.rows, found.rows[1:], strict=False):
        assert one[-1].end < other[0].start
    if found.rows:
        assert found.start <= found.rows[0][0].start and found.rows[-1][-1].end <= found.end


def plain(document: Document, raw: str) -> str:
    if document.media_type == "text/csv":
        if match := re.fullmatch(r'"((?:[^"]|"")*)"([^"]*|[^"].*)', raw, re.DOTALL):
            raw = match[1].replace('""', '"') + match[2]
        return raw.strip()
    if document.media_type == "text/markdown":
        raw = raw.replace("\\|", "|")
    return raw.strip()


def texts(row: tuple[Cell, ...]) -> list[str]:
    return [cell.text for cell in row]


def marked(found: TableExcerpt) -> dict[str, tuple[str, ...]]:
    return {c.text: c.marks for row in (found.header, *found.rows) for c in row if c.marks}


# --- csv


def test_csv_rows_around_a_cell() -> None:
    document = read_file(SEEDS / "timeline.csv", "timeline.csv")
    found = around(document, "Full-scale invasion begins", rows=1)
    assert texts(found.header) == ["date", "event", "place", "note"]
    assert [row[0].text for row in found.rows] == ["2022-02-21", "2022-02-24", "2022-03-29"]
    assert marked(found) == {"Full-scale invasion begins": ("1",)}
    assert found.more_before and found.more_after
    assert document.text[found.start : found.end].count("\n") == 2


def test_csv_quotes_commas_and_line_ends_in_cells() -> None:
    document = csv_document(
        'name,note\n"Ana, B.","said ""yes""\nthen left"\n\n5" pipe,x\n"open,never closed\nlast,y\n'
    )
    found = around(document, "yes")
    assert texts(found.header) == ["name", "note"]
    assert [texts(row) for row in found.rows] == [
        ["Ana, B.", 'said "yes"\nthen left'],
        ['5" pipe', "x"],
        ['"open', "never closed"],
        ["last", "y"],
    ]
    assert marked(found) == {'said "yes"\nthen left': ("1",)}


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_csv_delimiters(sign: str) -> None:
    rows = ["name{}sum{}place", "a{}1,5{}Kyiv", "b{}2,5{}Lviv"]
    if sign == ",":
        rows = [row.replace("1,5", "1.5").replace("2,5", "2.5") for row in rows]
    document = csv_document("\n".join(row.format(sign, sign) for row in rows))
    found = around(document, "Lviv", rows=0)
    assert texts(found.header) == ["name", "sum", "place"]
    assert [row[2].text for row in found.rows] == ["Lviv"]


def test_csv_without_a_header_has_none() -> None:
    found = around(csv_document("1,2\n3,4\n5,6\n"), "3")
    assert found.header == () and len(found.rows) == 3


FIELDS = st.text(st.sampled_from('ab ",;\n'), max_size=6)


@given(
    st.lists(st.lists(FIELDS, min_size=2, max_size=4), min_size=1, max_size=8),
    st.booleans(),
    st.data(),
)
def test_csv_cells_are_those_of_the_csv_module(
    rows: list[list[str]], quoted: bool, data: st.DataObject
) -> None:
    file = io.StringIO()
    rows = [["name", "sum", "place", "day"], *rows]
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(file, lineterminator="\n", quoting=quoting).writerows(rows)
    text = file.getvalue()
    document = Document(
        "a", text, media_type="text/csv", marks=(Mark(text.find("\n") + 1, "heading", 1),)
    )
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    found = table_around(document, [Highlight("x", start, end)], 50)
    if found is None:  # another delimiter fits as well, or only a line end is highlighted
        return
    check(document, found)
    if len(found.header) >= 4 and found.header[0].text == "name":
        given_ = [[cell.strip() for cell in row] for row in rows[1:]]
        width = max(map(len, rows))
        assert [texts(row) for row in found.rows] == [
            row + [""] * (width - len(row)) for row in given_
        ]
    for row in found.rows:
        for cell in row:
            assert bool(cell.marks) == (max(start, cell.start) < min(end, cell.end))


@given(st.text(st.sampled_from('ab",\n'), max_size=60), st.integers(0, 60), st.integers(1, 60))
def test_any_csv_has_its_cells_where_they_say(text: str, start: int, size: int) -> None:
    document = Document("a", text, media_type="text/csv")
    found = table_around(document, [Highlight("x", start, start + size)])
    if found:
        check(document, found)


def test_a_large_csv_is_quick() -> None:
    body = "".join(f'{at},"name, {at}",{at * 7},some more words\n' for at in range(100_000))
    document = csv_document("number,name,sum,note\n" + body)
    began = time.perf_counter()
    found = around(document, '"name, 99990"')
    assert time.perf_counter() - began < 3
    assert len(found.rows) == 7 and marked(found) == {"name, 99990": ("1",)}


# --- Markdown


def test_markdown() -> None:
    text = (
        "Words before.\n| Option | Cost |\n|:---|---:|\n| A \\| B | 5 |\n| C | `x` |\nD | 7 | 8\n\n"
        "| not | a table |\n"
    )
    document = Document("a.md", text, media_type="text/markdown")
    found = around(document, "A \\", "7")
    assert texts(found.header) == ["Option", "Cost", ""]
    assert [texts(row) for row in found.rows] == [
        ["A | B", "5", ""],
        ["C", "`x`", ""],
        ["D", "7", "8"],
    ]
    assert marked(found) == {"A | B": ("1",), "7": ("2",)}
    assert table_around(document, lit(document, "Words")) is None
    assert table_around(document, lit(document, "a table")) is None
    assert table_around(document, lit(document, "A \\", "Words")) is None
    assert table_around(document, lit(document, "7", "a table")) is None


# --- Lines that the readers make


@pytest.mark.parametrize(
    ("name", "words", "header", "row", "lit_cells"),
    [
        (
            "training-missions.xlsx",
            "Started: 2022; Where: Poland",
            ["Mission", "Run by", "Started", "Where", "Status in June 2025"],
            ["EUMAM Ukraine", "European Union", "2022", "Poland and Germany, mainly", "active"],
            ["2022", "Poland and Germany, mainly"],
        ),
        (
            "capability-coalitions.docx",
            "Maritime | United Kingdom, Norway",
            ["Coalition", "Lead nations"],
            ["Maritime", "United Kingdom, Norway"],
            ["Maritime", "United Kingdom, Norway"],
        ),
        (
            "induction-slides.pptx",
            "Means: observers",
            ["Arrangement", "Trigger", "Means", "Will"],
            ["Minsk agreements", "none", "observers only", "weak"],
            ["observers only"],
        ),
        (
            "nato-faq.html",
            "Where: Vilnius",
            ["Year", "Step", "Where"],
            ["2023", "NATO-Ukraine Council meets for the first time", "Vilnius"],
            ["Vilnius"],
        ),
        (
            "guarantee-options.md",
            "ratification",
            ["Option", "Deterrent effect", "Main obstacle", "Time to set up"],
            ["B. Article 5-like pledge", "high if believed", "ratification", "6-12 months"],
            ["ratification"],
        ),
    ],
)
def test_samples(
    name: str, words: str, header: list[str], row: list[str], lit_cells: list[str]
) -> None:
    document = read_file(SEEDS / name, name)
    found = around(document, words)
    assert texts(found.header) == header
    assert [texts(one) for one in found.rows].count(row) == 1
    assert list(marked(found)) == lit_cells


@pytest.mark.parametrize("name", ["minsk-report.pdf", "glossary.txt", "rescheduling.eml"])
def test_prose_is_no_table(name: str) -> None:
    document = read_file(SEEDS / name, name)
    for start in range(0, len(document.text) - 10, 50):
        assert table_around(document, [Highlight("1", start, start + 10)]) is None


WORDS = st.text(st.sampled_from("ab;:—| 1"), min_size=1, max_size=5).map(
    lambda w: "x" + w.strip() + "x"
)


VALUES = st.sampled_from(["", "", "a", "b, c", "7.1", "Aid", "x - y"])


@given(
    st.lists(st.lists(VALUES, min_size=4, max_size=4), max_size=8),
    st.sampled_from(["", "Country"]),
    st.data(),
)
def test_cells_of_built_lines_are_those_of_the_table(
    body: list[list[str]], corner: str, data: st.DataObject
) -> None:
    body = [["Germany", "2024", "7", "1"], *body]
    rows = [[corner, "Year", "Aid (EUR bn)", "Aid"], *body]
    lines = table_lines(rows, 1)
    text = "Before | it.\n\n" + "\n".join(lines) + "\n\nAfter"
    document = Document("a", text, media_type=HTML)
    first = text.index(lines[0])
    at = data.draw(st.integers(first, first + len("\n".join(lines)) - 1))
    if text[at] == "\n":
        at -= 1
    found = table_around(document, [Highlight("x", at, at + 1)], 50)
    filled = [row for row in body if any(row)]
    assert found is not None
    check(document, found)
    assert texts(found.header) == rows[0]
    assert [texts(row) for row in found.rows] == filled
    assert sum(bool(c.marks) for row in (found.header, *found.rows) for c in row) <= 1


@given(st.lists(WORDS, min_size=2, max_size=12), st.integers(0, 60))
def test_any_lines_have_their_cells_where_they_say(words: list[str], start: int) -> None:
    text = "\n".join(
        f"{a} | {b} — {a}: {b}; {b}: {a}" for a, b in zip(words, words[1:], strict=False)
    )
    for kind in (HTML, XLSX, "text/markdown"):
        document = Document("a", text, media_type=kind)
        found = table_around(document, [Highlight("x", start, start + 3)])
        if found:
            check(document, found)


def test_rows_after_an_empty_one_keep_the_header_of_their_sheet() -> None:
    text = (
        "Aid\n\nCountry | Year | Sum\nGermany — Year: 2024; Sum: 7\n\nFrance — Year: 2023; Sum: 2\n\n"
        "Other\n\nGermany — Year: 1"
    )
    marks = (Mark(0, "sheet", 1, "Aid"), Mark(text.index("Other"), "sheet", 2, "Other"))
    document = Document("a", text, media_type=XLSX, marks=marks)
    found = around(document, "France")
    assert texts(found.header) == ["Country", "Year", "Sum"]
    assert [row[0].text for row in found.rows] == ["Germany", "France"]
    assert table_around(document, [Highlight("1", len(text) - 5, len(text))]) is None


def test_a_list_or_two_tables_are_no_table() -> None:
    text = "- a | b\n- c | d\n\nA | B\n1 | 2\n\nA | B\n3 | 4"
    document = Document("a", text, media_type=HTML)
    assert table_around(document, lit(document, "c")) is None
    assert table_around(document, lit(document, "1", "3")) is None
    assert texts(around(document, "3").rows[0]) == ["3", "4"]


# --- Which rows


def numbers(count: int) -> Document:
    return csv_document("number,word\n" + "".join(f"{at},w{at}.\n" for at in range(count)))


def test_rows_around_highlights_that_are_far_apart() -> None:
    found = around(numbers(100), "w10.", "w50.", rows=2)
    assert [int(row[0].text) for row in found.rows] == [8, 9, 10, 11, 12, 48, 49, 50, 51, 52]
    assert marked(found) == {"w10.": ("1",), "w50.": ("2",)}
    assert found.more_before and found.more_after
    ends = around(numbers(5), "w1.", "w3.")
    assert len(ends.rows) == 5 and not ends.more_before and not ends.more_after


def test_rows_are_bounded_and_those_with_highlights_come_first() -> None:
    document = numbers(500)
    found = around(document, *(f"w{at * 10}." for at in range(30)), rows=5)
    shown = [int(row[0].text) for row in found.rows]
    assert len(shown) == 40 and {at * 10 for at in range(30)} <= set(shown)
    everything = [Highlight("all", 0, len(document.text))]
    whole = table_around(document, everything)
    assert whole is not None and len(whole.rows) == 40 and whole.more_after
    assert whole.header[0].marks == ("all",)


def test_a_highlight_in_the_header_shows_the_first_rows() -> None:
    found = around(numbers(9), "number", rows=2)
    assert marked(found) == {"number": ("1",)}
    assert [row[0].text for row in found.rows] == ["0", "1"] and found.more_after


def test_highlights_that_overlap_and_bad_ones() -> None:
    document = numbers(3)
    start = document.text.index("1,w1")
    found = table_around(
        document, [Highlight("1", start, start + 4), Highlight("2", start + 2, start + 3)]
    )
    assert found is not None
    assert [cell.marks for cell in found.rows[1]] == [("1",), ("1", "2")]
    assert table_around(document, []) is None
    assert table_around(document, [Highlight("1", 5, 5)]) is None
    assert table_around(document, [Highlight("1", 0, 10_000)]) is None
    assert table_around(document, [Highlight("1", -2, 3)]) is None


def test_what_is_too_large_to_look_at_is_no_table() -> None:
    wide = csv_document("\n".join([",".join(f"n{at}" for at in range(3000))] * 9))
    assert table_around(wide, lit(wide, "n2999\nn0")) is None
    long = csv_document('a,b\n1,"never' + "\nclosed" * 20_000 + '"\n2,c\n')
    assert table_around(long, lit(long, "never")) is None
    assert [cell.text for cell in around(long, "2,c", rows=0).rows[0]] == ["2", "c"]
