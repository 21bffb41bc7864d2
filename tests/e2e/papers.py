"""The documents that the browser tests ask about: one of each format, and sources that differ.

`HARBOUR` maps names of files to their bytes. Each speaks of a subject of its own.
"""

from __future__ import annotations

import io
from email.message import EmailMessage
from typing import Any

import docx
import openpyxl
import pptx
from pptx.util import Inches
from reportlab.pdfgen import canvas

__all__ = ["HARBOUR", "OTHER"]

PADDING = "\n\n".join(
    f"Item {n} of the notice board concerns nets, ropes and the usual repairs of the season. "
    "Whoever leaves gear on the slipway overnight moves it before the morning bell."
    for n in range(1, 31)
)


def _saved(document: Any) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _docx() -> bytes:
    document = docx.Document()
    document.core_properties.title = "Crew list"
    document.add_heading("Crew list", 1)
    document.add_paragraph("The pilots of Eastmere and their licences are set out below.")
    rows = [["Pilot", "Licence", "Since"], ["Ada Quill", "Deep water", "1998"]]
    rows += [["Jon Brill", "Inner basin", "2004"], ["Mira Sand", "Night pilotage", "2011"]]
    table = document.add_table(len(rows), 3)
    for r, row in enumerate(rows):
        for c, words in enumerate(row):
            table.cell(r, c).text = words
    return _saved(document)


def _pptx() -> bytes:
    deck = pptx.Presentation()
    for title, body in (
        ("Dredging plan", "The basin is dredged in March.\nThe spoil goes to the outer bank."),
        ("Crane", "The new crane lifts eighty tonnes.\nIt stands on the east pier."),
    ):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    deck.slides[0].shapes.add_textbox(0, 0, Inches(3), Inches(1)).text_frame.text = "Draft"
    return _saved(deck)


def _xlsx() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Budget"
    rows = [["Post", "2023", "2024"], ["Buoys", "310", "325"], ["Fog signal", "120", "145"]]
    for row in [*rows, ["Tugboat fuel", "870", "912"], ["Paint", "45", "61"]]:
        sheet.append(row)
    return _saved(book)


def _pdf() -> bytes:
    file = io.BytesIO()
    page = canvas.Canvas(file, pagesize=(420, 595))
    page.setTitle("The lighthouse")
    for lines in (
        ["The lighthouse", "The lighthouse at Eastmere burns whale oil."],
        ["The lamp", "Its lamp was replaced in 1902 after the great storm.", ""]
        + ["The keeper receives forty crowns a year."],
        ["Visitors", "Visitors climb the stairs on Sundays."],
    ):
        for at, line in enumerate(lines):
            page.setFont("Helvetica-Bold" if at == 0 else "Helvetica", 16 if at == 0 else 11)
            page.drawString(60, 520 - 24 * at, line)
        page.showPage()
    page.save()
    return file.getvalue()


def _eml() -> bytes:
    mail = EmailMessage()
    mail["Subject"] = "Storm damage"
    mail["From"] = "Lena Orr <lena@example.org>"
    mail["To"] = "harbour@example.org"
    mail["Date"] = "Fri, 03 May 2024 09:00:00 +0000"
    mail.set_content(
        "Dear all,\n\nthe storm sank the dinghy Petrel at the fuel jetty. The insurer pays for it.\n"
        "\nLena\n"
    )
    return bytes(mail)


HARBOUR: dict[str, str | bytes] = {
    "harbour.md": (
        "# Harbour rules\n\nThe harbour of Eastmere opened in 1887. Boats over twelve metres pay a "
        "toll of nine crowns.\n\nThe harbour master keeps the register of moorings in a blue "
        "ledger. Nobody moors at the north quay in winter.\n"
    ),
    "notices.txt": (
        f"{PADDING}\n\nThe chandler Piet Vos sells hemp rope on Saturdays.\n\n{PADDING}\n"
    ),
    "berths.csv": "Berth,Depth (m),Tenant\n"
    + "".join(f"K{n},{3 + n / 10:.1f},Tenant {n}\n" for n in range(1, 21))
    + "K21,7.8,Orla Finch\n"
    + "".join(f"K{n},{3 + n / 10:.1f},Tenant {n}\n" for n in range(22, 31)),
    "council.html": (
        "<html><head><title>Council minutes</title><meta name=date content=2021-06-01></head><body>"
        "<h1>Council minutes</h1><p>Present were seven members.</p>"
        "<p>The council of Eastmere raised the mooring fee to fifteen crowns.</p></body></html>"
    ),
    "crew.docx": _docx(),
    "plan.pptx": _pptx(),
    "budget.xlsx": _xlsx(),
    "lighthouse.pdf": _pdf(),
    "storm.eml": _eml(),
    "guide-1990.html": (
        "<html><head><title>Town guide</title><meta name=date content=1990-05-01></head><body>"
        "<p>The clock tower of Eastmere was built in 1856.</p></body></html>"
    ),
    "guide-2015.html": (
        "<html><head><title>New town guide</title><meta name=date content=2015-02-01></head><body>"
        "<p>The clock tower of Eastmere was built in 1900.</p></body></html>"
    ),
}
OTHER: dict[str, str | bytes] = {
    "mill.md": "# The mill\n\nThe mill of Westmere grinds barley. Its wheel is nine metres wide.\n"
}
