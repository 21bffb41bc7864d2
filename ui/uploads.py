"""Files from the browser: names that can be trusted, bytes on the disk, and who sent what.

Knows collections by name only; reads no document and decides nothing about rights.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rag.errors import CollectionError, InputError
from rag.read.formats import FORMATS, format_of
from ui.database import Database, private_folder

__all__ = ["Upload", "Uploads", "safe_name"]

_MOST_BYTES = 150  # of a file's name, in UTF-8
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format and bidi, and no characters
_REPLACED = str.maketrans(dict.fromkeys('<>:"|?*', "_"))
_RESERVED = {"CON", "PRN", "AUX", "NUL"} | {
    f"{port}{n}" for port in ("COM", "LPT") for n in range(10)
}

_TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    collection TEXT NOT NULL, name TEXT NOT NULL, user TEXT NOT NULL, at TEXT NOT NULL,
    bytes INTEGER NOT NULL, hash TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (collection, name)
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that `user` sent `at` a time (ISO 8601, UTC). `state`: waiting, read or failed."""

    collection: str
    name: str
    user: str
    at: str
    bytes: int
    hash: str
    state: str = "waiting"
    error: str = ""


class Uploads:
    """The uploaded files of all collections below `folder`, and their rows. Safe for any thread."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._root = folder
        self._database = database
        self._placing = threading.Lock()  # of a file and its row: two uploads may have one name
        database.script(_TABLES)

    def folder(self, collection: str) -> Path:
        """Where a collection's uploads are, whether there are any or not."""
        return (self._root / collection).resolve()

    def of(self, collection: str) -> list[Upload]:
        """A collection's uploads, ordered by name."""
        return self._found("WHERE collection = ? ORDER BY name", collection)

    def of_user(self, user: str) -> list[Upload]:
        """Everything that one person uploaded."""
        return self._found("WHERE user = ? ORDER BY collection, name", user)

    def collections(self) -> list[str]:
        """The collections with uploads."""
        rows = self._database.rows("SELECT DISTINCT collection FROM uploads")
        return sorted(row["collection"] for row in rows)

    def _found(self, which: str, value: str) -> list[Upload]:
        columns = "collection, name, user, at, bytes, hash, state, error"
        rows = self._database.rows(f"SELECT {columns} FROM uploads {which}", (value,))
        return [Upload(*row) for row in rows]

    def receive(
        self,
        collection: str,
        user: str,
        filename: str,
        stream: Iterable[bytes],
        most_mb: int,
        all_mb: int,
    ) -> Path:
        """Write a file under a safe name; one of the same name is replaced, whole or not at all.

        Raises:
            InputError: it is of no type that is read, empty, larger than `most_mb` megabytes, or
                the user's uploads would be larger than `all_mb` together.
            CollectionError: it can't be written.
        """
        name = safe_name(filename)
        if format_of(name) is None:
            known = " ".join(sorted(FORMATS))
            raise InputError(f"{name}: is of no type that is read: save it as one of {known}")
        parts = self._root / ".parts"
        scratch = ""
        try:
            for folder in (self._root, parts, self._root / collection):
                private_folder(folder)
            descriptor, scratch = tempfile.mkstemp(dir=parts)
            with open(descriptor, "wb") as file:
                size, digest = _copy(name, stream, file, most_mb * 1_000_000)
                file.flush()
                os.fsync(file.fileno())
            path = self.folder(collection) / name
            with self._placing:
                kept = [
                    one
                    for one in self.of_user(user)
                    if (one.collection, one.name) != (collection, name)
                ]
                if sum(one.bytes for one in kept) + size > all_mb * 1_000_000:
                    raise InputError(
                        f"{name}: your uploads would be over {all_mb:,} MB in all: delete some first"
                    )
                os.replace(scratch, path)
                self._database.run(
                    "INSERT OR REPLACE INTO uploads (collection, name, user, at, bytes, hash) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (collection, name, user, now(), size, digest),
                )
        except OSError as error:
            raise CollectionError(
                f"{name}: can't be written ({error.strerror or error}): free some disk space, or check "
                "the permissions of the uploads"
            ) from None
        finally:
            if scratch:
                Path(scratch).unlink(missing_ok=True)
        return path

    def mark(self, collection: str, since: str, failed: dict[str, str]) -> None:
        """Note the end of a run that began at `since`: `failed` holds reasons by file name.

        What came in the meantime stays as it is: another run reads it.
        """
        with self._database.transaction():
            for one in self.of(collection):
                if one.at > since:
                    continue
                error = failed.get(one.name, "")
                self._database.run(
                    "UPDATE uploads SET state = ?, error = ? WHERE collection = ? AND name = ? "
                    "AND at = ?",
                    ("failed" if error else "read", error, collection, one.name, one.at),
                )

    def delete(self, collection: str, name: str) -> None:
        """Delete a file and its row. Idempotent."""
        try:
            (self.folder(collection) / safe_name(name)).unlink(missing_ok=True)
        except OSError as error:
            raise CollectionError(
                f"{name}: can't be deleted ({error.strerror}): check the permissions of the uploads"
            ) from None
        self._database.run(
            "DELETE FROM uploads WHERE collection = ? AND name = ?", (collection, name)
        )

    def clear(self, collection: str) -> None:
        """Delete all files and rows of a collection."""
        try:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.folder(collection))
        except OSError as error:
            raise CollectionError(
                f"{self.folder(collection)}: can't be deleted ({error.strerror}): check its permissions"
            ) from None
        self._database.run("DELETE FROM uploads WHERE collection = ?", (collection,))


def now() -> str:
    """The time as ISO 8601 in UTC, to the microsecond: it tells two uploads apart."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def safe_name(raw: str) -> str:
    """A file's name that is safe on every system and shows what it is.

    The base name alone, in NFC, without control, format and bidirectional characters, leading dots
    and what Windows reserves; at most 150 bytes, the ending kept. Idempotent.
    """
    base = raw.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(
        " " if one.isspace() else one
        for one in base
        if one.isspace() or unicodedata.category(one) not in _DROPPED
    )
    name = unicodedata.normalize("NFC", kept).translate(_REPLACED)
    name = " ".join(name.split()).lstrip(". ").rstrip(". ")
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > 20:
        stem, dot, ending = name, "", ""
    if stem.split(".")[0].strip().upper() in _RESERVED:
        stem = f"_{stem}"
    room = _MOST_BYTES - len((dot + ending).encode())
    stem = stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ")
    return (stem or "document") + dot + ending


def _copy(name: str, stream: Iterable[bytes], file: object, most: int) -> tuple[int, str]:
    """Write a stream that may be no longer than `most` bytes; its size and SHA-256."""
    size, digest, blank = 0, hashlib.sha256(), True
    for piece in stream:
        size += len(piece)
        if size > most:
            raise InputError(
                f"{name}: is larger than {most // 1_000_000} MB: split it, or raise max_file_mb"
            )
        digest.update(piece)
        blank = blank and not piece.strip()
        file.write(piece)  # type: ignore[attr-defined]
    if blank:
        raise InputError(f"{name}: is empty: nothing to index")
    return size, digest.hexdigest()
