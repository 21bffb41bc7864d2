"""HTML, mail, Word, PowerPoint, Excel and PDF: what the text says and where the marks stand."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml.ns import qn
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen import canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

from rag.errors import ReadError
from rag.read.limits import Limits
from rag.read.mail import read_mail
from rag.read.pdf import line_boxes, load_page, open_pdf, page_text, read_pdf
from rag.read.sheets import read_xlsx
from rag.read.slides import read_pptx
from rag.read.tables import table_lines
from rag.read.web import write_html
from rag.read.word import read_docx
from rag.records import Mark

LIMITS = Limits()
AID = [["Country", "Year", "Aid (EUR bn)"], ["Germany", "2024", "7.1"], ["France", "2023", "2.5"]]
AID_LINES = [
    "Country | Year | Aid (EUR bn)",
    "Germany — Year: 2024; Aid (EUR bn): 7.1",
    "France — Year: 2023; Aid (EUR bn): 2.5",
]


def saved(document: Any) -> bytes:
    """The bytes that an object with `save` writes."""
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


# --- Tables


@pytest.mark.parametrize(
    ("rows", "header", "lines"),
    [
        pytest.param(AID, None, AID_LINES, id="header-found"),
        pytest.param(
            [["", "2023", "2024"], ["Aid", "1.0", "2.0"]],
            None,
            ["2023 | 2024", "Aid — 2023: 1.0; 2024: 2.0"],
            id="years-as-names",
        ),
        pytest.param([["1", "2"], ["3", "4"]], None, ["1 | 2", "3 | 4"], id="no-header"),
        pytest.param(
            [["Name", "Alice"], ["Born", "in Kyiv"]],
            None,
            ["Name | Alice", "Born | in Kyiv"],
            id="two-columns-of-words",
        ),
        pytest.param(
            [["", "2023", "2023"], ["", "Q1", "Q2"], ["Aid", "1", "2"]],
            2,
            ["2023 Q1 | 2023 Q2", "Aid — 2023 Q1: 1; 2023 Q2: 2"],
            id="two-header-rows",
        ),
        pytest.param(
            [["A", "B", "C"], ["x", "", "3"], ["", "", ""], ["y", "2"], ["z", "1", "2", "9"]],
            1,
            ["A | B | C", "x — C: 3", "y — B: 2", "z — B: 1; C: 2; 9"],
            id="ragged-and-empty",
        ),
        pytest.param([], None, [], id="nothing"),
    ],
)
def test_table_lines(rows: list[list[str]], header: int | None, lines: list[str]) -> None:
    assert table_lines(rows, header) == lines


# --- HTML


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        pytest.param("<p>one\n  <b>two</b></p><p>three</p>", "one two\n\nthree", id="paragraphs"),
        pytest.param("one<br>two", "one\ntwo", id="line-break"),
        pytest.param("<ul><li>a<li>b<ul><li>c</ul></ul>d", "- a\n- b\n\n- c\n\nd", id="lists"),
        pytest.param("<table><tr><th>A<th>B<tr><td>x<td>1</table>", "A | B\nx — B: 1", id="table"),
        pytest.param(
            "<table><tr><th rowspan=2>A<th colspan=2>B<tr><th>b1<th>b2<tr><td>x<td>1<td>2</table>",
            "A | B b1 | B b2\nx — B b1: 1; B b2: 2",
            id="spanning-headers",
        ),
        pytest.param("<p>a&amp;b&nbsp;c</p><!-- d -->", "a&b c", id="entities-and-comments"),
        pytest.param("<pre>a\nb</pre>c", "a\nb\n\nc", id="pre"),
        pytest.param("<nav>n</nav><main>m<nav>n</nav></main>", "m", id="main"),
        pytest.param(
            "<header>h</header><article><header>k</header>a</article><p>p</p><footer>f</footer>",
            "k\n\na\n\np",
            id="article",
        ),
        pytest.param("<header>h</header><p>p</p>", "h\n\np", id="header-without-article"),
        pytest.param("<div>" * 5000 + "deep", "deep", id="nested-5000-deep"),
    ],
)
def test_html_text(markup: str, text: str) -> None:
    assert write_html(markup, LIMITS).text == text


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>x</script>",
        "<style>x</style>",
        "<noscript>x</noscript>",
        "<template>x</template>",
        "<p hidden>x</p>",
        "<p style='display: none'>x</p>",
        "<p style='visibility:hidden'>x</p>",
        "<div style='font-size: 0px'><p>x</p></div>",
        "<p style='opacity:0'>x</p>",
        "<p style='color:#FFF'>x</p>",
        "<p style='color: white; background: #ffffff'>x</p>",
        "<div style='background:black'><p style='color:black'>x</p></div>",
        "<p style='position:absolute;left:-9999px'>x</p>",
        "<table><tr hidden><td>x</table>",
        "<table><tr><td style='display:none'>x</table>",
        "<h1 hidden>x</h1>",
        "<!-- x -->",
        "<input type=hidden value=x>",
        "<p style='height:0; overflow:hidden'>x</p>",
        "<p style='font-size:1px'>x</p>",
        "<p style='opacity:0.01'>x</p>",
        "<p style='color:rgba(0, 0, 0, 0)'>x</p>",
        "<p style='clip-path: inset(50%)'>x</p>",
        "<style>.a { display: none }</style><p class='b a'>x</p>",
        "<style>/* .b{} */ p#a, .c{font-size:0}</style><p id=a>x</p><p class=c>x</p>",
        "<style>@import 'y'; @media print { .b {color: red} } .a {opacity:0}</style><p class=a>x",
    ],
)
def test_hidden_html_is_left_out(hidden: str) -> None:
    draft = write_html(f"<p>seen</p>{hidden}", LIMITS)
    assert draft.text == "seen" and draft.marks == ()


@pytest.mark.parametrize(
    "style",
    [
        pytest.param("color:#fff;background:navy", id="white-on-navy"),
        pytest.param("font-size:0.8em", id="small"),
        pytest.param("opacity:0.5", id="half-seen"),
        pytest.param("background-color:white", id="background-only"),
        pytest.param("color:rgba(0,0,0,0.8)", id="nearly-opaque"),
        pytest.param("font-size:10px", id="ten-pixels"),
        pytest.param("color:#333000", id="colour-that-ends-in-zeros"),
        pytest.param("height:0", id="no-height-but-overflowing"),
    ],
)
def test_visible_styles_stay(style: str) -> None:
    assert write_html(f"<p style='{style}'>seen</p>", LIMITS).text == "seen"


@pytest.mark.parametrize(
    "markup",
    [
        pytest.param("<p aria-hidden=true>seen</p>", id="hidden-from-screen-readers-only"),
        pytest.param(
            "<style>@media print { .a { display: none } }</style><p class=a>seen</p>", id="print"
        ),
        pytest.param(
            "<style>.a {display: none} .a.open {display: block}</style><p class=a>seen</p>",
            id="opened-by-a-click",
        ),
        pytest.param("<style>.menu p {display: none}</style><p>seen</p>", id="other-selectors"),
        pytest.param("<style>.a {display: none</style><p class=a>seen</p>", id="broken-rule"),
    ],
)
def test_what_a_style_sheet_does_not_surely_hide_stays(markup: str) -> None:
    assert write_html(markup, LIMITS).text == "seen"


def test_html_title_date_and_headings() -> None:
    draft = write_html(
        "<title>T &amp; x</title><meta name=date content=2020-01-01>"
        '<meta property="article:published_time" content="2024-05-03T10:00Z">'
        "<h1>Big</h1><p>words</p><h3>Small <i>one</i></h3>",
        LIMITS,
    )
    assert (draft.title, draft.date) == ("T & x", "2024-05-03")
    assert draft.marks == (Mark(0, "heading", 1, "Big"), Mark(12, "heading", 3, "Small one"))
    assert draft.text[12:] == "Small one"


# --- Mail


def message(**headers: str) -> EmailMessage:
    mail = EmailMessage()
    standard = {"Subject": "Звіт €", "From": "Олена <o@example.org>", "To": "p@example.org"}
    for name, value in (standard | {"Date": "Fri, 03 May 2024 23:00:00 -0500"} | headers).items():
        mail[name] = value
    mail.set_content("Hello — тест\nsecond line")
    return mail


def test_mail() -> None:
    mail = message()
    mail.add_alternative("<p>html</p>", subtype="html")
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename="звіт.pdf")
    draft = read_mail(bytes(mail), LIMITS)
    assert (draft.title, draft.date) == ("Звіт €", "2024-05-03")
    assert draft.text == (
        "Звіт €\n\nFrom: Олена <o@example.org>\nTo: p@example.org\n"
        "Date: Fri, 03 May 2024 23:00:00 -0500\n\nHello — тест\nsecond line\n\n"
        "Attachments: звіт.pdf"
    )


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        pytest.param(
            b"From: a\nSubject: s\nContent-Type: text/html\n\n<p hidden>x</p><p>seen</p>",
            "\n\nseen",
            id="html-only",
        ),
        pytest.param(
            b"From: a\nSubject: s\nContent-Transfer-Encoding: quoted-printable\n"
            b"Content-Type: text/plain; charset=windows-1251\n\n=CF=F0=E8=E2=B3=F2",
            "Привіт",
            id="quoted-printable-1251",
        ),
        pytest.param(
            b"From: a\nSubject: s\nContent-Type: text/plain; charset=nonsense\n\nwords",
            "words",
            id="unknown-charset",
        ),
        pytest.param(
            b"From: a\nSubject: s\nContent-Transfer-Encoding: base64\n\n!!!not base64",
            "s\n\nFrom: a",
            id="broken-base64",
        ),
        pytest.param(
            b"From: =?nonsense?q?x?=\nSubject: =?utf-8?b?QUJDR?=\nDate: soon\n\nwords",
            "words",
            id="broken-headers",
        ),
        pytest.param(
            b"From: a\nSubject: s\nContent-Type: multipart/mixed\n\nno boundary",
            "no boundary",
            id="no-boundary",
        ),
    ],
)
def test_odd_mail(raw: bytes, part: str) -> None:
    assert part in read_mail(raw, LIMITS).text


def test_mail_that_cannot_be_read() -> None:
    with pytest.raises(ReadError, match="no mail headers"):
        read_mail(b"just words\n\nand more", LIMITS)
    with pytest.raises(ReadError, match="encrypted"):
        read_mail(b"From: a\nSubject: s\nContent-Type: multipart/encrypted\n\nx", LIMITS)


# --- Word


def test_docx() -> None:
    document = docx.Document()
    document.core_properties.title = "Aid report"
    document.core_properties.modified = datetime.datetime(2024, 5, 6)
    document.add_heading("Aid", 1)
    document.add_paragraph("First paragraph.")
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("two", style="List Bullet")
    table = document.add_table(3, 3)
    for r, row in enumerate(AID):
        for c, words in enumerate(row):
            table.cell(r, c).text = words
    document.add_heading("Next", 2)
    draft = read_docx(saved(document), LIMITS)
    table_text = "\n".join(AID_LINES)
    assert draft.text == f"Aid\n\nFirst paragraph.\n\n- one\n- two\n\n{table_text}\n\nNext"
    assert draft.marks == (
        Mark(0, "heading", 1, "Aid"),
        Mark(draft.text.index("Next"), "heading", 2, "Next"),
    )
    assert (draft.title, draft.date) == ("Aid report", "2024-05-06")


def test_docx_changes_hidden_text_and_content_controls() -> None:
    document = docx.Document()
    body = document.element.body
    parse = docx.oxml.parse_xml
    space = f'xmlns:w="{docx.oxml.ns.nsmap["w"]}"'
    for xml in (
        f"<w:p {space}><w:ins><w:r><w:t>in</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>out</w:delText></w:r></w:del></w:p>",
        f"<w:p {space}><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
        "<w:r><w:t>shown</w:t></w:r></w:p>",
        f"<w:sdt {space}><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent>"
        "</w:sdt>",
    ):
        body.insert(len(body) - 1, parse(xml))
    assert read_docx(saved(document), LIMITS).text == "in\n\nshown\n\ncontrol"


def test_docx_words_that_nobody_sees_are_left_out() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("seen")
    paragraph.add_run(" white").font.color.rgb = docx.shared.RGBColor(255, 255, 255)
    paragraph.add_run(" dust").font.size = docx.shared.Pt(1)
    cell = document.add_table(1, 1).cell(0, 0).paragraphs[0]  # may stand on a dark ground
    cell.add_run("white").font.color.rgb = docx.shared.RGBColor(255, 255, 255)
    assert read_docx(saved(document), LIMITS).text == "seen\n\nwhite"


INVISIBLE = "\u200b\u2060\u202e\u2066\U000e0041\U000e0101"


def test_invisible_characters_are_left_out_of_built_text() -> None:
    document = docx.Document()
    document.add_paragraph(f"vi{INVISIBLE}sible")
    assert read_docx(saved(document), LIMITS).text == "visible"
    assert write_html(f"<p>vi{INVISIBLE}sible", LIMITS).text == "visible"


def test_docx_merged_cells_and_tables_in_cells() -> None:
    document = docx.Document()
    table = document.add_table(2, 3)
    table.cell(0, 0).merge(table.cell(1, 0)).text = "both"
    table.cell(0, 1).merge(table.cell(0, 2)).text = "wide"
    table.cell(1, 1).add_table(1, 1).cell(0, 0).text = "inner"
    table.cell(1, 2).text = "last"
    assert read_docx(saved(document), LIMITS).text == "both | wide\nboth | inner | last"


def test_docx_header_row_is_taken_at_its_word() -> None:
    document = docx.Document()
    table = document.add_table(2, 2)
    for cell, words in zip(table._cells, ["Field", "Value", "Name", "Alice"], strict=True):
        cell.text = words
    properties = table.rows[0]._tr.get_or_add_trPr()
    properties.append(properties.makeelement(qn("w:tblHeader")))
    assert read_docx(saved(document), LIMITS).text == "Field | Value\nName — Value: Alice"


# --- PowerPoint


def test_pptx() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text = "first\nsecond"
    slide.notes_slide.notes_text_frame.text = "say hello"
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Figures"
    frame = second.shapes.add_table(3, 3, 0, 0, Inches(4), Inches(2))
    for r, row in enumerate(AID):
        for c, words in enumerate(row):
            frame.table.cell(r, c).text = words
    data = CategoryChartData()
    data.categories = ["2023", "2024"]
    data.add_series("Aid", (1.5, None))
    size = (0, 0, Inches(4), Inches(2))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *size, data)
    draft = read_pptx(saved(deck), LIMITS)
    figures = "\n".join(AID_LINES)
    assert draft.text == (
        "Plan\n\n- first\n- second\n\nNotes: say hello\n\n"
        f"Figures\n\n{figures}\n\nAid\n2023 — Aid: 1.5\n2024"
    )
    start = draft.text.index("Figures")
    assert [m for m in draft.marks if m.kind == "slide"] == [
        Mark(0, "slide", 1, "Plan"),
        Mark(start, "slide", 2, "Figures"),
    ]
    assert draft.title == "Plan"


# --- Excel


def test_xlsx() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Aid"
    rows: list[list[Any]] = [
        ["Sums by country"],
        ["Country", "Share", "Paid on"],
        ["Germany", 0.1 + 0.2, datetime.datetime(2024, 1, 2)],
        ["France", 0.7, None],
        [],
        ["Italy", 1, True],
    ]
    for row in rows:
        sheet.append(row)
    sheet["B3"].number_format = "0.0%"
    book.create_sheet("Empty")
    book.create_sheet("More").append([1, 2])
    draft = read_xlsx(saved(book), LIMITS)
    assert draft.text == (
        "Aid\n\nSums by country\nCountry | Share | Paid on\n"
        "Germany — Share: 30%; Paid on: 2024-01-02\nFrance — Share: 0.7\n\n"
        "Italy — Share: 1; Paid on: yes\n\nEmpty\n\nMore\n\n1 | 2"
    )
    assert [(m.number, m.label) for m in draft.marks] == [(1, "Aid"), (2, "Empty"), (3, "More")]
    assert all(draft.text.startswith(mark.label, mark.start) for mark in draft.marks)


def test_xlsx_with_a_false_row_number_does_not_hang() -> None:
    book = openpyxl.Workbook()
    book.active.append(["x"])
    data = rezipped(
        saved(book), lambda _, content: content.replace(b'row r="1"', b'row r="99999999"')
    )
    with pytest.raises(ReadError, match="impossible number"):
        read_xlsx(data, LIMITS)


# --- Office archives


def word(words: str = "hello") -> bytes:
    document = docx.Document()
    document.add_paragraph(words)
    return saved(document)


def rezipped(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The archive with `change(name, content)` in each member's place."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return out.getvalue()


def bomb(name: str, content: bytes) -> bytes:
    return content + b" " * 30_000_000 if name == "word/document.xml" else content


def entities(name: str, content: bytes) -> bytes:
    evil = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    return content.replace(b"<w:document", evil + b"<w:document", 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"plain words", "not a Word document", id="text"),
        pytest.param(word()[:-300], "cut short", id="truncated"),
        pytest.param(b"PK\x03\x04", "cut short", id="only-the-magic"),
        pytest.param(saved(openpyxl.Workbook()), "rename it to end in .xlsx", id="excel"),
        pytest.param(rezipped(word(), bomb), "zip bomb", id="bomb"),
        pytest.param(rezipped(word(), entities), "entities", id="external-entity"),
        pytest.param(
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "without a password",
            id="encrypted",
        ),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Office format", id="old-word"),
    ],
)
def test_bad_office_files(data: bytes, reason: str) -> None:
    with pytest.raises(ReadError, match=reason):
        read_docx(data, LIMITS)


def test_archive_that_unpacks_to_too_much() -> None:
    with pytest.raises(ReadError, match="over the limit of 0 MB"):
        read_docx(word(), Limits(max_uncompressed_mb=0))


# --- PDF


def drawn(*pages: list[tuple[float, float, str]], **options: Any) -> bytes:
    """A PDF with (x, y, words) drawn on each page."""
    file = io.BytesIO()
    pdf = canvas.Canvas(file, **options)
    pdf.setTitle("Annual report")
    for page in pages:
        for x, y, words in page:
            pdf.drawString(x, y, words)
        pdf.showPage()
    pdf.save()
    return file.getvalue()


LONG = "This paragraph is long enough to be wrapped into several lines of the page. " * 4
LONG = LONG.strip()


def flowed(*parts: Any) -> bytes:
    file = io.BytesIO()
    SimpleDocTemplate(file, title="123").build(list(parts))
    return file.getvalue()


def test_pdf_paragraphs_headings_and_tables() -> None:
    styles = getSampleStyleSheet()
    rows = [["Net sales", "$ 94,836", "$ 117,154"], ["Costs", "52,860", "66,822"]]
    data = flowed(
        Paragraph("The heading", styles["Heading1"]),
        Paragraph(LONG, styles["BodyText"]),
        Paragraph(LONG, styles["BodyText"]),
        Spacer(1, 20),
        Table(rows, colWidths=[200, 100, 100]),
    )
    draft = read_pdf(data, LIMITS)
    assert draft.text == (
        f"The heading\n\n{LONG}\n\n{LONG}\n\nNet sales $ 94,836 $ 117,154\nCosts 52,860 66,822"
    )
    assert draft.marks == (Mark(0, "page", 1), Mark(0, "heading", 1, "The heading"))
    assert draft.title == ""  # "123" names nothing


def test_pdf_bold_lines_are_headings_unless_they_are_rows_of_a_table() -> None:
    styles = getSampleStyleSheet()
    data = flowed(
        Paragraph("<b>Note 2</b>", styles["BodyText"]),
        Paragraph(LONG, styles["BodyText"]),
        Paragraph("<b>Bold words begin</b> " + LONG, styles["BodyText"]),
        Table(
            [["Total", "12", "13"]],
            colWidths=[200, 100, 100],
            style=[("FONT", (0, 0), (-1, -1), "Helvetica-Bold")],
        ),
    )
    headings = [mark.label for mark in read_pdf(data, LIMITS).marks if mark.kind == "heading"]
    assert headings == ["Note 2"]


def test_pdf_pages_title_and_date() -> None:
    draft = read_pdf(drawn([(72, 700, "One.")], [], [(72, 700, "Three.")]), LIMITS)
    assert draft.text == "One.\n\nThree."
    assert draft.marks == (Mark(0, "page", 1), Mark(6, "page", 2), Mark(6, "page", 3))
    assert draft.title == "Annual report" and draft.date is not None


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        pytest.param(["gave secu-", "rity to all"], "gave security to all", id="word"),
        pytest.param(["from Franco-", "German talks"], "from Franco-German talks", id="capital"),
        pytest.param(
            ["the long-term plan", "is a long-", "term plan"], "long-term plan", id="seen"
        ),
    ],
)
def test_pdf_hyphens_at_line_ends(lines: list[str], text: str) -> None:
    page = [(72.0, 700.0 - 14 * n, line) for n, line in enumerate(lines)]
    assert read_pdf(drawn(page), LIMITS).text.endswith(text)


def test_pdf_cells_drawn_apart_on_one_height_are_one_line() -> None:
    page = [
        (72.0, 700.0, "Sales"),
        (300.0, 700.0, "10"),
        (72.0, 686.0, "Costs"),
        (300.0, 686.0, "7"),
    ]
    assert read_pdf(drawn(page), LIMITS).text == "Sales 10\nCosts 7"


def test_pdf_columns_are_read_one_after_the_other() -> None:
    left = [(72.0, 700.0 - 14 * n, f"left {n}") for n in range(12)]
    right = [(320.0, 700.0 - 14 * n, f"right {n}") for n in range(12)]
    lines = read_pdf(drawn(left + right), LIMITS).text.split()
    assert lines.index("right") == 24


def test_pdf_header_cells_of_two_lines_are_one_line() -> None:
    cells = [(200.0, "July 1,", "2023"), (300.0, "June 25,", "2022")]
    page = [(x, y, w) for x, a, b in cells for y, w in ((700.0, a), (688.0, b))]
    page += [(72.0, 670.0, "Sales"), (200.0, 670.0, "10"), (300.0, 670.0, "9")]
    assert read_pdf(drawn(page), LIMITS).text.split("\n")[0] == "July 1, 2023 June 25, 2022"


def test_line_boxes_find_the_words_again() -> None:
    data = drawn([(72, 700, "First page.")], [(72, 700, "Some words"), (72, 600, "Below")])
    _, text_page = load_page(open_pdf(data), 2)
    page = page_text(text_page)
    start = page.text.index("words")
    [box] = line_boxes(text_page, page.index[start : start + 5])
    assert 100 < box.left < 110 and 690 < box.bottom < 700 < box.top < 715
    both = line_boxes(text_page, [at for at in page.index if at >= 0])
    assert len(both) == 2 and both[0].bottom > both[1].top
    assert line_boxes(text_page, []) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"plain words", "is not a PDF", id="text"),
        pytest.param(drawn([(72, 700, "x")])[:-600], "cut short", id="truncated"),
        pytest.param(b"%PDF-1.4\nrubbish\n%%EOF", "damaged", id="rubbish"),
        pytest.param(
            drawn([(72, 700, "x")], encrypt=StandardEncryption("secret")),
            "without a password",
            id="encrypted",
        ),
        pytest.param(drawn([], []), "ocrmypdf", id="no-text-layer"),
    ],
)
def test_bad_pdfs(data: bytes, reason: str) -> None:
    with pytest.raises(ReadError, match=reason):
        read_pdf(data, LIMITS)


def test_pdf_with_only_an_owner_password_is_read() -> None:
    lock = StandardEncryption("", ownerPassword="owner", canCopy=0)
    assert read_pdf(drawn([(72, 700, "open words")], encrypt=lock), LIMITS).text == "open words"
