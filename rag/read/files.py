"""Which files of a folder are documents, what they are called, and why the others are not.

Looks at names and kinds only; no file is opened.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import ReadError
from rag.read.draft import one_line
from rag.read.formats import FORMATS, format_of

__all__ = ["FileList", "find_files"]

_SAVE_AS = {
    ".doc": ".docx",
    ".rtf": ".docx",
    ".odt": ".docx",
    ".ppt": ".pptx",
    ".odp": ".pptx",
    ".xls": ".xlsx",
    ".ods": ".xlsx",
    ".msg": ".eml",
}


@dataclass(frozen=True, slots=True)
class FileList:
    """`files` are (document_id, path) pairs ordered by id; `skipped` are (path, reason) pairs.

    Paths in `skipped` are relative to the folder, printable, and ordered; reasons are one line.
    """

    files: list[tuple[str, Path]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def find_files(path: Path) -> FileList:
    """The documents at `path`, a file or a folder with all that is in it.

    An id is the POSIX path relative to the folder in NFC (for a single file, its name), with
    bytes that are no UTF-8 spelled out as `\\udcXX`. Skipped are hidden files and folders, types
    that can't be read, pipes and devices, links that lead out of the folder or back into it.
    Raises `ReadError` when `path` doesn't exist or can't be listed.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise ReadError("doesn't exist or can't be reached: check the path") from error
    found = FileList()
    if not stat.S_ISDIR(status.st_mode):
        name = _printable(path.name)
        if reason := _refusal(path.name, status.st_mode):
            found.skipped.append((name, reason))
        else:
            found.files.append((name, path))
        return found
    try:
        os.listdir(path)
    except OSError as error:
        raise ReadError("is a folder that can't be listed: change its permissions") from error
    _Walk(path, found).run()
    found.files.sort()
    found.skipped.sort()
    return found


class _Walk:
    """One walk: real files and folders first, then the links, which may lead to them."""

    def __init__(self, root: Path, found: FileList) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._found = found
        self._seen: set[str] = set()  # real paths of folders walked and files listed
        self._ids: set[str] = set()
        self._links: list[tuple[Path, str]] = []

    def run(self) -> None:
        self._folder(self._root, "")
        while self._links:
            links, self._links = sorted(self._links, key=lambda link: link[1]), []
            for path, name in links:
                self._link(path, name)

    def _folder(self, top: Path, prefix: str) -> None:
        """List everything under `top`; its ids begin with `prefix`. Iterative: any depth."""
        stack = [(top, prefix)]
        while stack:
            folder, prefix = stack.pop()
            self._seen.add(os.path.realpath(folder))
            for entry in self._entries(folder, prefix):
                path, name = folder / entry.name, prefix + entry.name
                if entry.name.startswith("."):
                    self._skip(name, "is hidden")
                elif entry.is_symlink():
                    self._links.append((path, name))
                elif entry.is_dir(follow_symlinks=False):
                    stack.append((path, name + "/"))
                else:
                    self._file(path, name)

    def _entries(self, folder: Path, prefix: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                yield from sorted(entries, key=lambda entry: entry.name)
        except OSError:
            self._skip(prefix, "is a folder that can't be listed: change its permissions")

    def _link(self, path: Path, name: str) -> None:
        target = os.path.realpath(path)
        if os.path.commonpath([target, self._real_root]) != self._real_root:
            self._skip(name, "is a link that leads out of the folder")
        elif target in self._seen:
            self._skip(name, "is a link to what is listed already")
        elif self._real_root.startswith(os.path.join(target, "")) or target == self._real_root:
            self._skip(name, "is a link that loops")
        elif os.path.isdir(target):
            self._folder(path, name + "/")
        else:
            self._file(path, name)

    def _file(self, path: Path, name: str) -> None:
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            self._skip(name, "is a broken link" if path.is_symlink() else "is gone")
            return
        document_id = _printable(name)
        if reason := _refusal(name, mode):
            self._skip(name, reason)
        elif document_id in self._ids:
            self._skip(name, "has a name that differs from another's in accents only: rename it")
        else:
            self._ids.add(document_id)
            self._seen.add(os.path.realpath(path))
            self._found.files.append((document_id, path))

    def _skip(self, name: str, reason: str) -> None:
        self._found.skipped.append((_printable(name), reason))


def _refusal(name: str, mode: int) -> str:
    """Why the file is no document, judged by its name and kind; "" if it is one."""
    if not stat.S_ISREG(mode):
        return "is a pipe, socket or device, not a file"
    if format_of(name):
        return ""
    suffix = Path(name).suffix.lower()
    if suffix in _SAVE_AS:
        return f"is of a type that isn't read ({suffix}): save it as {_SAVE_AS[suffix]}"
    kind = f"type {_printable(one_line(suffix, 20))}" if suffix else "no type in its name"
    return f"has {kind}: only {' '.join(FORMATS)} are read"


def _printable(name: str) -> str:
    """`name` in NFC, encodable: bytes that are no UTF-8 come as backslash escapes."""
    return unicodedata.normalize("NFC", name).encode("utf-8", "backslashreplace").decode()
