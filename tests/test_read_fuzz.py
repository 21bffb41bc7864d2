"""Thousands of damaged files: each is read or refused in one line, and its neighbours are read.

`FOOTNOTE_FUZZ_N` sets how many (300), `FOOTNOTE_FUZZ_SEED` the first seed (0).
"""

from __future__ import annotations

import io
import os
import random
import re
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

from rag.errors import ReadError
from rag.read import Limits, normalise, read_files
from rag.records import Document

COUNT = int(os.environ.get("FOOTNOTE_FUZZ_N", "300"))
SEED = int(os.environ.get("FOOTNOTE_FUZZ_SEED", "0"))
LIMITS = Limits(seconds=20)
ROWS = [["Country", "Year", "Aid"], ["Germany", "2024", "7.1"], ["France", "2023", "2.5"]]


def sound_files() -> dict[str, bytes]:
    """One healthy file of each format, by suffix."""
    word = docx.Document()
    word.add_heading("Heading", 1)
    word.add_paragraph("Words of the document.")
    table = word.add_table(3, 3)
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text = "first\nsecond"
    book = openpyxl.Workbook()
    for r, row in enumerate(ROWS):
        book.active.append(row)
        for c, cell in enumerate(row):
            table.cell(r, c).text = cell
    files = {}
    for suffix, document in ((".docx", word), (".pptx", deck), (".xlsx", book)):
        out = io.BytesIO()
        document.save(out)
        files[suffix] = out.getvalue()
    out = io.BytesIO()
    words = Paragraph("Words that fill a paragraph. " * 20, getSampleStyleSheet()["BodyText"])
    SimpleDocTemplate(out).build([words, Table(ROWS), PageBreak(), words])
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["Date"] = "Звіт", "a@example.org", "Fri, 03 May 2024 10:00"
    mail.set_content("Hello — тест")
    mail.add_alternative("<p>html</p>", subtype="html")
    mail.add_attachment(b"x", maintype="image", subtype="png", filename="x.png")
    page = "<html><title>T</title><main><h1>H</h1><p style='color:red'>w</p><ul><li>a</ul><table>"
    page += "".join("<tr>" + "".join(f"<td>{c}" for c in row) for row in ROWS) + "</table>"
    return files | {
        ".pdf": out.getvalue(),
        ".eml": bytes(mail),
        ".html": page.encode(),
        ".txt": "Перший рядок\n\nslova\r\n".encode() * 20,
        ".md": b"---\ntitle: x\ndate: 2024\n---\n# H\n\ntext\n\n```\n# no\n```\nSub\n---\n",
        ".csv": "Країна;Рік\nDE;2024\n".encode("cp1251") * 20,
    }


def damaged(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """`data` after one to three random injuries."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(7)
        if data.startswith(b"PK") and chance.random() < 0.7:
            kind = 6  # other injuries only ever break the archive's checksums
        if kind == 0:
            data = data[:at]
        elif kind == 1 and data:
            spoilt = bytearray(data)
            for _ in range(chance.randint(1, 30)):
                spoilt[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            data = bytes(spoilt)
        elif kind == 2:
            data = data[:at] + chance.randbytes(chance.randint(1, 500)) + data[at:]
        elif kind == 3:
            other = chance.choice(others)
            data = data[:at] + other[chance.randrange(len(other)) :]
        elif kind == 4:
            data = data[:at] + data[at + chance.randint(1, 200) :]
        elif kind == 5:
            piece = data[at : at + chance.randint(1, 300)]
            data = data[:at] + piece * chance.randint(2, 50) + data[at:]
        else:
            data = member_damaged(data, chance, others)
    return data


def member_damaged(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """A zip archive whose checksums are right and whose members are wrong; else `data`."""
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
            names = source.namelist()
            victim = chance.choice(names)
            for name in names:
                content = source.read(name)
                if name == victim:
                    at = chance.randrange(len(content) + 1)
                    edit = chance.randrange(7)
                    if edit == 0:
                        continue
                    if edit == 1:
                        content = content[:at]
                    elif edit == 2:
                        content = content.replace(b"1", b"99999999").replace(b"w:p>", b"w:tbl>", 3)
                    elif edit == 3:
                        content = content[:at] + content[: at // 2] + content[at:]
                    elif edit == 4 and content:
                        content = content[: at - 1] + chance.randbytes(1) + content[at:]
                    elif edit == 5:
                        tags = re.findall(rb"<[\w:]+", content) or [b"<a"]
                        content = content.replace(chance.choice(tags), chance.choice(tags))
                    else:
                        texts = re.findall(rb'"[^"<>]*"', content) or [b'"a"']
                        content = content.replace(chance.choice(texts), chance.choice(texts), 3)
                target.writestr(name, content)
    except Exception:  # an earlier injury: it is no archive any more
        return data
    return out.getvalue()


def check(got: Document | ReadError) -> str:
    """Assert that an outcome is sound; returns its kind."""
    if isinstance(got, ReadError):
        line = str(got)
        assert line and "\n" not in line and len(line) < 300 and line.isprintable(), repr(line)
        return "refused"
    assert got.text.strip() and normalise(got.text) == got.text
    got.text.encode()
    got.title.encode()
    starts = [mark.start for mark in got.marks]
    assert starts == sorted(starts) and all(0 <= start <= len(got.text) for start in starts)
    assert got.title and "\n" not in got.title and got.date
    return "read"


@pytest.mark.slow
def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    sound = sound_files()
    suffixes = sorted(sound)
    path = {suffix: tmp_path / f"sound{suffix}" for suffix in suffixes}
    for suffix, data in sound.items():
        path[suffix].write_bytes(data)

    def items() -> Iterator[tuple[str, Path]]:
        for n in range(SEED, SEED + COUNT):
            suffix = suffixes[n % len(suffixes)]
            chance = random.Random(n)
            file = tmp_path / f"{n}{suffix}"
            file.write_bytes(damaged(sound[suffix], chance, list(sound.values())))
            yield file.name, file
            if n % 10 == 0:
                healthy = suffixes[n // 10 % len(suffixes)]
                yield f"sound{healthy}", path[healthy]

    expected = {i: got for i, _, got in read_files([(p.name, p) for p in path.values()], LIMITS)}
    assert all(isinstance(got, Document) for got in expected.values())
    kinds: Counter[str] = Counter()
    slowest = 0.0
    before = time.monotonic()
    for document_id, file, got in read_files(items(), LIMITS):
        slowest = max(slowest, time.monotonic() - before)
        if document_id in expected:
            assert got == expected[document_id]
        else:
            kinds[f"{file.suffix} {check(got)}"] += 1
            file.unlink()
        before = time.monotonic()
    print(dict(sorted(kinds.items())), f"slowest {slowest:.1f} s")
    assert slowest < 2 * LIMITS.seconds
    assert sum(kinds.values()) == COUNT
