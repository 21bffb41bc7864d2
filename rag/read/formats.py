"""Which reader reads which file, and what every document has in common after it.

Turns a path into a `Document` in this process, without limits on time or memory: those are the
business of `rag.read.worker` and `rag.read.pool`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rag.errors import ReadError
from rag.read.draft import Draft, one_line
from rag.read.limits import Limits
from rag.records import Document

__all__ = ["FORMATS", "Format", "format_of", "load"]


class Format(NamedTuple):
    """A media type, and the function that reads it as "module:name" (imported when needed)."""

    media_type: str
    reader: str

    def load(self) -> Callable[[bytes, Limits], Draft]:
        """The reader itself."""
        module, _, name = self.reader.partition(":")
        reader: Callable[[bytes, Limits], Draft] = getattr(
            import_module(f"rag.read.{module}"), name
        )
        return reader


_OFFICE = "application/vnd.openxmlformats-officedocument."
_TEXT = Format("text/plain", "text:read_text")
_MARKDOWN = Format("text/markdown", "text:read_markdown")
_HTML = Format("text/html", "web:read_html")

FORMATS = {
    ".txt": _TEXT,
    ".text": _TEXT,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".csv": Format("text/csv", "text:read_csv"),
    ".tsv": Format("text/tab-separated-values", "text:read_csv"),
    ".html": _HTML,
    ".htm": _HTML,
    ".eml": Format("message/rfc822", "mail:read_mail"),
    ".pdf": Format("application/pdf", "pdf:read_pdf"),
    ".docx": Format(_OFFICE + "wordprocessingml.document", "word:read_docx"),
    ".pptx": Format(_OFFICE + "presentationml.presentation", "slides:read_pptx"),
    ".xlsx": Format(_OFFICE + "spreadsheetml.sheet", "sheets:read_xlsx"),
}

_MAGIC = (  # how files begin that are no text, and what to call them
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive or an Office file"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or encrypted Office file"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"RIFF", "a sound, film or image file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a", "a RAR archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"{\\rtf", "an RTF file"),
)


def format_of(path: str | os.PathLike[str]) -> Format | None:
    """The format that the name of `path` promises; None for a name that promises none."""
    return FORMATS.get(Path(path).suffix.lower())


def load(path: Path, document_id: str, limits: Limits) -> Document:
    """The document at `path`. Raises `ReadError`; a damaged file may also raise anything else."""
    known = format_of(path)
    if known is None:
        raise ReadError(f"is of no type that can be read: use one of {' '.join(sorted(FORMATS))}")
    data, modified = file_bytes(path, limits)
    if not data.strip():
        raise ReadError("is empty: nothing to index")
    if known.media_type.startswith(("text/", "message/")):
        for magic, name in _MAGIC:
            if data.startswith(magic):
                raise ReadError(f"is not text but {name}: rename it after its real format")
    draft = known.load()(data, limits)
    if not draft.text.strip():
        raise ReadError("holds no words: nothing to index")
    if len(draft.text) > limits.max_text_chars:
        raise ReadError(
            f"holds more than {limits.max_text_chars:,} characters of text: "
            "split it into smaller files"
        )
    return Document(
        id=document_id,
        text=draft.text,
        title=draft.title or title_from_name(path),
        date=draft.date or modified,
        media_type=known.media_type,
        marks=draft.marks,
    )


def file_bytes(path: Path, limits: Limits) -> tuple[bytes, str]:
    """The content of a regular file and the day it was last modified (UTC)."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb") as file:  # a pipe put in its place must not block
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ReadError("is not a regular file: give a file or a folder of files")
            if status.st_size > limits.max_bytes:
                raise ReadError(
                    f"is too large ({status.st_size / 1e6:,.0f} MB, the limit is "
                    f"{limits.max_bytes / 1e6:,.0f} MB): split it into smaller files"
                )
            data = file.read(limits.max_bytes + 1)  # it may grow while it is read
    except FileNotFoundError as error:
        raise ReadError("is gone: it was moved or deleted; index the folder again") from error
    except IsADirectoryError as error:
        raise ReadError("is a folder, not a file: give it a name without this ending") from error
    except PermissionError as error:
        raise ReadError("may not be read by this user: change its permissions") from error
    except (OSError, ValueError) as error:
        raise ReadError(f"can't be opened ({one_line(str(error), 100)}): check the disk") from error
    if len(data) > limits.max_bytes:
        raise ReadError("is too large: it grew while it was read")
    return data, datetime.fromtimestamp(status.st_mtime, UTC).date().isoformat()


def title_from_name(path: Path) -> str:
    """A title made from the file's name: "annual_report-2024.pdf" is "annual report-2024"."""
    stem = PurePosixPath(path.name).stem
    printable = stem.encode("utf-8", "backslashreplace").decode()
    return one_line(re.sub(r"[_+]+", " ", printable)) or "untitled"
