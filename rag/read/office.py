"""What Word, PowerPoint and Excel files have in common: zip archives of XML with core properties.

`check_archive` refuses what is not the promised format, is encrypted, or would unpack to more
than the limits, before a parser sees it. Images, macros and embedded files are not read.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from typing import Any

from rag.errors import ReadError
from rag.read.draft import one_line, parse_date
from rag.read.limits import Limits

__all__ = ["cell_words", "check_archive", "core_date"]

_MAIN_PART = {
    "docx": ("word/document.xml", "Word document"),
    "pptx": ("ppt/presentation.xml", "PowerPoint presentation"),
    "xlsx": ("xl/workbook.xml", "Excel workbook"),
}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAX_MEMBERS = 20_000
_SMALL_MEMBER = 1_000_000  # bytes; below it any ratio is harmless
_DOCTYPE = re.compile(
    rb"<\0?!\0?(?:D\0?O\0?C\0?T\0?Y\0?P\0?E|E\0?N\0?T\0?I\0?T\0?Y)", re.IGNORECASE
)


def check_archive(data: bytes, kind: str, limits: Limits) -> None:
    """Raise `ReadError` unless `data` is a sound Office file of `kind`, open and within limits."""
    name = _MAIN_PART[kind][1]
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise ReadError("is encrypted: save a copy without a password and index that")
        raise ReadError(f"is in an old Office format: save it as .{kind} and index that")
    if not data.startswith(b"PK"):
        raise ReadError(f"is not a {name}: rename it after its real format or save it as .{kind}")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, OverflowError) as error:
        raise ReadError("is damaged or cut short: get a whole copy of the file") from error
    _check_sizes(members, limits)
    names = {member.filename for member in members}
    if _MAIN_PART[kind][0] not in names:
        for other, (part, title) in _MAIN_PART.items():
            if part in names:
                raise ReadError(f"is really a {title}: rename it to end in .{other}")
        raise ReadError(f"is a zip archive but not a {name}: unpack it or save it as .{kind}")
    for member in members:
        if member.filename.endswith((".xml", ".rels")):
            with archive.open(member) as file:
                if _DOCTYPE.search(file.read(4096)):
                    raise ReadError("declares XML entities, which no Office program does: not read")


def _check_sizes(members: list[zipfile.ZipInfo], limits: Limits) -> None:
    total = sum(member.file_size for member in members)
    if total > limits.max_uncompressed_mb * 1_000_000:
        raise ReadError(
            f"unpacks to {total // 1_000_000:,} MB, over the limit of "
            f"{limits.max_uncompressed_mb:,} MB: split it into smaller files"
        )
    if len(members) > _MAX_MEMBERS:
        raise ReadError(f"holds {len(members):,} parts, over {_MAX_MEMBERS:,}: not a usual file")
    for member in members:
        if member.flag_bits & 1:
            raise ReadError("is encrypted: save a copy without a password and index that")
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > _SMALL_MEMBER and ratio > limits.max_archive_ratio:
            raise ReadError("looks like a zip bomb (unpacks to far more than it stores): not read")


def cell_words(value: object, number_format: str) -> str:
    """A cell's value as a person reads it: no binary rounding noise, dates in ISO form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if "%" in (number_format or ""):
            return f"{value * 100:.10g}%"
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return one_line(str(value), 1 << 30)


def core_date(properties: Any) -> str | None:
    """When the file was last modified by its program, else when it was made."""
    for value in (properties.modified, properties.created):
        if value is not None and value.year > 1980 and (found := parse_date(value)):
            return found
    return None
