"""Plain text, Markdown and CSV keep their characters; their structure goes into marks."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ReadError
from rag.read.draft import clean, normalise, one_line, parse_date
from rag.read.limits import Limits
from rag.read.text import decode, markdown_headings, read_csv, read_markdown, read_text
from rag.records import Mark

LIMITS = Limits()
UKRAINIAN = "Україна отримала допомогу у 2024 році. Європейський Союз надав 7,1 млрд євро."


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param("a\r\nb\rc\nd", "a\nb\nc\nd", id="line-ends"),
        pytest.param("\ufeffa\ufeffb", "a\ufeffb", id="only-a-leading-bom"),
        pytest.param("e\u0301", "\u00e9", id="nfc"),
        pytest.param("a\0b\r\0\n", "ab\n", id="nul"),
        pytest.param("x\ud800y", "x\ufffdy", id="lone-surrogate"),
        pytest.param("  a\t b \n\n", "  a\t b \n\n", id="blanks-stay"),
    ],
)
def test_normalise(raw: str, expected: str) -> None:
    assert normalise(raw) == expected


anything = st.text(st.characters(codec=None), max_size=200)


@given(anything)
def test_normalise_is_idempotent_and_storable(raw: str) -> None:
    text = normalise(raw)
    assert normalise(text) == text
    assert text.encode("utf-8").decode("utf-8") == text
    assert "\r" not in text and "\0" not in text and not text.startswith("\ufeff")
    assert unicodedata.is_normalized("NFC", text)


@given(anything)
def test_clean_and_one_line_are_normal_too(raw: str) -> None:
    assert normalise(clean(raw)) == clean(raw)
    line = one_line(raw, 50)
    assert len(line) <= 50 and "\n" not in line and line == line.strip()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        pytest.param(UKRAINIAN, "utf-8", id="utf-8"),
        pytest.param(UKRAINIAN, "utf-8-sig", id="utf-8-bom"),
        pytest.param(UKRAINIAN, "utf-16", id="utf-16"),
        pytest.param("\ufeff" + UKRAINIAN, "utf-16-be", id="utf-16-be"),
        pytest.param(UKRAINIAN, "utf-32", id="utf-32"),
        pytest.param(UKRAINIAN, "cp1251", id="windows-1251"),
        pytest.param("Привіт, світе! Це їжак.", "cp1251", id="windows-1251-short"),
        pytest.param(UKRAINIAN, "koi8-u", id="koi8-u"),
        pytest.param("Résumé: l'été à Paris — déjà vu", "cp1252", id="french"),
        pytest.param("naïve café", "latin-1", id="latin-1-short"),
        pytest.param("Zażółć gęślą jaźń, żółw i łódź", "cp1250", id="polish"),
        pytest.param("日本語の文章です。今日は天気がいい。", "shift_jis", id="japanese"),
    ],
)
def test_decode_finds_the_encoding(text: str, encoding: str) -> None:
    assert normalise(decode(text.encode(encoding))) == normalise(text)


def test_a_broken_byte_does_not_make_utf8_something_else() -> None:
    data = UKRAINIAN.encode() + b"\xd0"
    assert decode(data) == UKRAINIAN + "\ufffd"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes(range(256)) * 20, id="all-bytes"),
        pytest.param(b"\x01\x02\x03\x04 some words \x05\x06\x07", id="control-characters"),
        pytest.param("plain".encode("utf-16-le"), id="utf-16-without-mark"),
    ],
)
def test_binary_is_refused(data: bytes) -> None:
    with pytest.raises(ReadError, match="save it as UTF-8"):
        decode(data)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        pytest.param("Annual report\n\nThe year was good.", "Annual report", id="first-line"),
        pytest.param("Just one line", "", id="one-line-is-no-title"),
        pytest.param("x" * 121 + "\nmore", "", id="long-first-line"),
        pytest.param("\n\nwords", "", id="starts-empty"),
    ],
)
def test_title_of_plain_text(text: str, title: str) -> None:
    assert read_text(text.encode(), LIMITS).title == title


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        pytest.param("# A\n\ntext\n\n## B ##\n", [(0, 1, "A"), (11, 2, "B")], id="atx"),
        pytest.param("Top\n===\n\nSub\n---\n", [(0, 1, "Top"), (9, 2, "Sub")], id="setext"),
        pytest.param("Two\nlines\n===\n", [(0, 1, "Two lines")], id="setext-of-two-lines"),
        pytest.param("```\n# no\n```\n# yes\n", [(13, 1, "yes")], id="fence"),
        pytest.param("~~~~\n```\n# no\n~~~\n# no\n~~~~\n", [], id="long-fence"),
        pytest.param("    # code\n", [], id="indented-code"),
        pytest.param("#no space\n", [], id="needs-a-blank"),
        pytest.param("####### seven\n", [], id="seven-marks"),
        pytest.param("# *Bold* `code` [link](u)\n", [(0, 1, "Bold code link")], id="inline"),
        pytest.param("- item\n---\n", [], id="rule-after-list"),
        pytest.param("#\n", [(0, 1, "")], id="empty-heading"),
    ],
)
def test_markdown_headings(text: str, headings: list[tuple[int, int, str]]) -> None:
    expected = tuple(Mark(start, "heading", level, label) for start, level, label in headings)
    assert markdown_headings(text) == expected


words = st.text("abcdefgh ЇєéK", min_size=1, max_size=20).filter(lambda w: w.strip() == w)


@given(st.lists(st.one_of(st.tuples(st.integers(1, 6), words), words), max_size=12))
def test_markdown_marks_stand_where_headings_begin(blocks: list[tuple[int, str] | str]) -> None:
    text, expected = "", []
    for block in blocks:
        if isinstance(block, tuple):
            expected.append(Mark(len(text), "heading", block[0], one_line(block[1])))
            text += "#" * block[0] + " " + block[1] + "\n\n"
        else:
            text += block + "\n\n"
    assert markdown_headings(normalise(text)) == tuple(expected)


@given(anything)
def test_markdown_keeps_its_characters(raw: str) -> None:
    data = "x" + raw.encode("utf-8", "replace").decode()
    try:
        draft = read_markdown(data.encode(), LIMITS)
    except ReadError:
        return  # control characters: binary
    assert draft.text == normalise(data)
    starts = [mark.start for mark in draft.marks]
    assert starts == sorted(starts) and all(0 <= start <= len(draft.text) for start in starts)


def test_front_matter_gives_title_and_date_and_stays() -> None:
    source = "---\ntitle: 'Aid: a report'\nauthor: X\ndate: 3 May 2024\n---\n\n# Heading\n"
    draft = read_markdown(source.encode(), LIMITS)
    assert (draft.text, draft.title, draft.date) == (source, "Aid: a report", "2024-05-03")
    assert draft.marks == (Mark(source.index("# Heading"), "heading", 1, "Heading"),)


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    draft = read_markdown(b"---\n\n# Title\n\ntext\n", LIMITS)
    assert draft.title == "Title" and draft.date is None


@pytest.mark.parametrize(
    ("text", "start", "label"),
    [
        pytest.param("Country,Year\nDE,2024\n", 13, "Country, Year", id="comma"),
        pytest.param("Country;Aid, bn\nDE;7,1\n", 16, "Country, Aid, bn", id="semicolon"),
        pytest.param("a\tb\n1\t2\n", 4, "a, b", id="tab"),
        pytest.param('a,"b\nc"\n1,2\n', 8, "a, b c", id="quoted-line-end"),
        pytest.param('"a ""x""",b\n1,2\n', 12, 'a "x", b', id="doubled-quotes"),
    ],
)
def test_csv_header_is_marked_at_the_first_data_row(text: str, start: int, label: str) -> None:
    draft = read_csv(text.encode(), LIMITS)
    assert draft.text == text
    assert draft.marks == (Mark(start, "heading", 1, label),)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1,2\n3,4\n", id="numbers-only"),
        pytest.param("one column\na\nb\n", id="one-column"),
        pytest.param("a,b\n", id="header-only"),
        pytest.param('"never closed,b\n1,2\n', id="open-quote"),
    ],
)
def test_csv_without_a_header_has_no_marks(text: str) -> None:
    assert read_csv(text.encode(), LIMITS).marks == ()


@given(st.lists(st.lists(words, min_size=2, max_size=4), min_size=1, max_size=6), st.data())
def test_csv_keeps_its_characters(rows: list[list[str]], data: st.DataObject) -> None:
    delimiter = data.draw(st.sampled_from(",;\t|"))
    text = "".join(delimiter.join(row) + "\n" for row in rows)
    draft = read_csv(text.encode(), LIMITS)
    assert draft.text == normalise(text)
    assert all(draft.text[mark.start - 1] == "\n" for mark in draft.marks)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param("2024-05-03", "2024-05-03", id="iso"),
        pytest.param("2024-05-03T23:30:00-05:00", "2024-05-03", id="own-clock"),
        pytest.param("D:20220729060321-04'00'", "2022-07-29", id="pdf"),
        pytest.param("D:2022", "2022", id="pdf-year"),
        pytest.param("Fri, 03 May 2024 10:00:00 +0300", "2024-05-03", id="mail"),
        pytest.param("May 2024", "2024-05", id="month"),
        pytest.param("2024", "2024", id="year"),
        pytest.param("5 May", None, id="no-year"),
        pytest.param("soon", None, id="words"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="none"),
        pytest.param("9" * 5000, None, id="digits"),
    ],
)
def test_parse_date(raw: str | None, expected: str | None) -> None:
    assert parse_date(raw) == expected


@given(anything)
def test_parse_date_never_fails(raw: str) -> None:
    found = parse_date(raw)
    assert found is None or (len(found) in (4, 7, 10) and found[:4].isdigit())
