"""The files that keep a part of an index: never the truth, and never believed without proof.

A file is named by the edition of the store that it was made of and by the SHA-256 of its bytes, and
says the edition again within. It is written beside its final name, flushed to disk and renamed, so
one that is stale, foreign, half written or damaged is never opened. Layout: FAISS's own format; the
keys, int64, those of rows that are gone inverted (~key); a line of JSON; the length of that line.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rag.changes import generation_of
from rag.part import Part

__all__ = ["kept_files", "load_part", "save_part", "tidy"]

_PREFIX, _SUFFIX, _SCRATCH = "passages-", ".faiss", ".passages-"
_FORMER = "vectors-*.faiss", ".vectors-*.tmp"  # as an earlier version called them
_LENGTH = 8  # bytes of the length at the end


def kept_files(folder: Path) -> list[tuple[str, Path]]:
    """(Edition, file) of every file that is there, the newest edition first. None is opened."""
    found = []
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        edition = path.name[len(_PREFIX) : -len(_SUFFIX)].rpartition("-")[0]
        if edition.partition("-")[0].isdigit():
            found.append((edition, path))
    return sorted(found, key=lambda one: (-generation_of(one[0]), one[1].name))


def save_part(part: Part, edition: str, folder: Path) -> Path | None:
    """Write a part; None where that fails, which costs only time."""
    import faiss

    scratch = None
    try:
        handle, scratch = tempfile.mkstemp(prefix=_SCRATCH, suffix=".tmp", dir=folder)
        os.close(handle)
        faiss.write_index(part.index, scratch)
        with open(scratch, "r+b") as file:
            keys_at = file.seek(0, os.SEEK_END)
            file.write(np.where(part.live, part.keys, ~part.keys).astype("<i8").tobytes())
            about = {"edition": edition, "kind": part.kind, "rows": len(part.keys), "at": keys_at}
            line = json.dumps(about).encode()
            file.write(line + len(line).to_bytes(_LENGTH, "little"))
            file.flush()
            os.fsync(file.fileno())
        kept = folder / f"{_PREFIX}{edition}-{_digest(Path(scratch))}{_SUFFIX}"
        os.replace(scratch, kept)
        return kept
    except (OSError, RuntimeError):  # FAISS raises the latter where the disk is full
        if scratch:
            Path(scratch).unlink(missing_ok=True)
        return None


def load_part(path: Path, edition: str, writable: bool = False) -> Part | None:
    """The part in a file, which stays on disk and is read as it is needed unless `writable`.

    Every byte is checked first, about 1 s for 1.5 GB. None where the file is not whole, or not of
    this edition; one that is damaged is removed.
    """
    import faiss

    try:
        if not path.name.endswith(f"-{_digest(path)}{_SUFFIX}"):
            path.unlink()
            return None
        about, keys = _trailer(path)
        if about["edition"] != edition:
            return None
        index = faiss.read_index(str(path), 0 if writable else faiss.IO_FLAG_MMAP_IFC)
        if index.ntotal != about["rows"] or len(keys) != about["rows"]:
            return None
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, OverflowError):
        return None
    return Part(about["kind"], index, np.where(keys < 0, ~keys, keys), keys >= 0)


def tidy(folder: Path, kept: Path) -> None:
    """Remove every other file. For the one process that may write to the collection."""
    for pattern in (f"{_PREFIX}*{_SUFFIX}", f"{_SCRATCH}*.tmp", *_FORMER):
        for path in folder.glob(pattern):
            if path != kept:
                try:
                    path.unlink(missing_ok=True)
                except OSError:  # still open somewhere, on a system that minds
                    continue


def _trailer(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    with path.open("rb") as file:
        end = file.seek(-_LENGTH, os.SEEK_END)
        length = int.from_bytes(file.read(_LENGTH), "little")
        file.seek(end - length)
        about: dict[str, Any] = json.loads(file.read(length))
        file.seek(about["at"])
        return about, np.frombuffer(file.read(8 * about["rows"]), "<i8").astype(np.int64)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
