"""Files on the disk against documents in the store: what must be read, moved or removed.

A document keeps its identifier for as long as its file stays where it is. A file that appears with
the content of one that went was moved: its vectors stay. What lies below the folder and is no longer
there is gone, whichever folder it was indexed with. Looks at names, times and hashes; reads no
document and writes nothing.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from rag.errors import InputError, ReadError
from rag.read import find_files
from rag.read.formats import title_from_name
from rag.store import Move, StoredDocument, Touch

__all__ = ["Found", "Plan", "make_plan"]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that must be read. `stamp` changes whenever the file may have; `hash` is SHA-256."""

    id: str
    path: Path
    hash: str
    stamp: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to happen for the store to agree with the disk.

    `known` holds every identifier in the store, `gone` those to remove; `unreadable` and `skipped`
    hold a path and a reason each.
    """

    source: str
    known: frozenset[str]
    to_read: list[Found]
    unchanged: int
    touched: list[Touch]
    moved: list[Move]
    gone: list[str]
    unreadable: list[dict[str, str]]
    skipped: list[dict[str, str]]


def make_plan(path: Path, stored: Sequence[StoredDocument], keep: bool = False) -> Plan:
    """Compare the file `path`, or the files below the folder `path`, with what is stored.

    With `keep` nothing is gone because its file is.

    Raises:
        InputError: there is no such path, or it can't be listed.
    """
    try:
        listed = find_files(path)
    except ReadError as error:
        raise InputError(f"{path}: {error}") from None
    root = path.resolve()
    files = [(wanted, file.resolve()) for wanted, file in listed.files]
    present = {spelled(file) for _, file in files}
    by_path = {one.path: one for one in stored if one.path}
    gone = {
        one.id: one
        for one in by_path.values()
        if not keep
        and one.path not in present
        and _below(one.path, spelled(root))
        and not _still_there(one.path)
    }
    taken = {one.id for one in stored} - gone.keys()
    claimed = {wanted for wanted, _ in files}
    changed: list[tuple[Found, StoredDocument | None]] = []
    touched: list[Touch] = []
    unreadable: list[dict[str, str]] = []
    unchanged = 0
    for wanted, file in files:
        old = by_path.get(spelled(file))
        document_id = old.id if old else _free_id(wanted, root, taken, claimed)
        taken.add(document_id)
        try:
            stamp = _stamp(file)
            if old and old.stamp == stamp:
                unchanged += 1
                continue
            digest = _hash(file)
        except OSError as error:
            reason = f"can't be read ({error.strerror}): check its permissions"
            unreadable.append({"path": spelled(file), "error": reason})
            continue
        if old and old.hash == digest:
            touched.append(Touch(old.id, stamp))
            unchanged += 1
        else:
            changed.append((Found(document_id, file, digest, stamp), old))
    to_read, moved = _split(changed, list(gone.values()), spelled(root))
    left = gone.keys() - {one.old for one in moved} - {one.id for one, _ in changed}
    return Plan(
        source=spelled(root),
        known=frozenset(one.id for one in stored),
        to_read=to_read,
        unchanged=unchanged + len(moved),
        touched=touched,
        moved=moved,
        gone=sorted(left),
        unreadable=unreadable,
        skipped=[{"path": shown, "reason": reason} for shown, reason in listed.skipped],
    )


def spelled(path: Path) -> str:
    """A path as text that can be stored: bytes that are no UTF-8 come as backslash escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _split(
    changed: list[tuple[Found, StoredDocument | None]], gone: list[StoredDocument], source: str
) -> tuple[list[Found], list[Move]]:
    """Part what must be read from what only moved.

    Content is free to move where its file is gone or holds something else now, so files that swap
    their names, or move up in a row, count as moved too. A new ending means another reader.
    """
    free: dict[tuple[str, str], list[StoredDocument]] = {}
    for one in [*gone, *(old for _, old in changed if old)]:
        free.setdefault((one.hash, Path(one.path).suffix.lower()), []).append(one)
    to_read: list[Found] = []
    moved: list[Move] = []
    for item, _ in changed:
        candidates = free.get((item.hash, item.path.suffix.lower()))
        if not candidates:
            to_read.append(item)
            continue
        old = candidates.pop()
        named = old.title == title_from_name(Path(old.path))
        title = title_from_name(item.path) if named else old.title
        moved.append(Move(old.id, item.id, source, spelled(item.path), item.stamp, title))
    return to_read, moved


def _free_id(wanted: str, root: Path, taken: set[str], claimed: set[str]) -> str:
    """`wanted`, or where that is taken the same behind as many folder names as it needs.

    `claimed` are the names that the folder's files have by themselves.
    """
    folder = root if root.is_dir() else root.parent
    names = [spelled(Path(part)) for part in folder.parts[1:]]
    for size in range(len(names) + 1):
        candidate = "/".join([*names[len(names) - size :], wanted])
        if candidate not in taken and not (size and candidate in claimed):
            return candidate
    return next(name for n in count(2) if (name := f"{wanted} ({n})") not in taken)


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _still_there(path: str) -> bool:
    """Whether a file that was not listed is there after all, in a folder that can't be read now."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False


def _stamp(file: Path) -> str:
    """Size, times and inode: a file whose stamp is the same is taken to be the same."""
    status = file.stat()
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
