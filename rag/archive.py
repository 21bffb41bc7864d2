"""One file that holds a backup: a plain tar, and in it a manifest with the SHA-256 of every member.

The manifest comes last, so a file that ends too soon has none. The file may come from anywhere: names
that lead elsewhere, links, devices, members given twice or not named in the manifest are refused
before anything is written, and nothing is kept whose bytes are not those of the manifest. Knows
nothing of collections but where they stand in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.errors import InputError

__all__ = [
    *("Contents", "Manifest", "Member", "Moved", "Progress", "Writer"),
    *("counting", "read_manifest", "unpack"),
]

MANIFEST = "manifest.json"
_LONGEST_MANIFEST = 1 << 28  # bytes: a million files
_BLOCK = 1 << 20
# No link is followed, and a pipe waits for nobody.
_PLAINLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Moved = Callable[[int], None]
"""Called with how many bytes more are done."""

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes to do, roughly)."""


def counting(progress: Progress, total: int) -> Moved:
    """What adds up the bytes that are done."""
    done = 0

    def moved(size: int) -> None:
        nonlocal done
        done += size
        progress(done, max(done, total))

    return moved


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Strict):
    """A file in the backup."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Contents(_Strict):
    """What a collection's database holds: its schema, and how many live documents and chunks."""

    schema_version: int = Field(ge=1)
    embedder: str
    generation: int = Field(ge=0)
    documents: int = Field(ge=0)
    chunks: int = Field(ge=0)


class Manifest(_Strict):
    """What a backup holds. `made` is ISO 8601 in UTC; `chat` counts the files of the chat's data.

    A collection stands below `collections/NAME/`, the chat's data below `chat/`.
    """

    form: Literal[1] = 1
    footnote: str
    made: str
    collections: dict[Name, Contents]
    chat: int | None = None
    members: dict[str, Member]

    def bytes_of(self, prefix: str) -> int:
        """How many bytes stand below a folder of the backup."""
        return sum(one.size for name, one in self.members.items() if name.startswith(prefix))


class Writer:
    """Writes members into an open file. Call `close` with what the manifest says besides."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)
        self.members: dict[str, Member] = {}

    def add(self, name: str, path: Path, moved: Moved = lambda size: None) -> bool:
        """Add a file under a name; False where there is no such file (any more), or it is a link.

        Raises:
            OSError: it can't be read, or grew shorter meanwhile.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | _PLAINLY)
        except FileNotFoundError:
            return False
        with open(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                return False
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = about.st_size, int(about.st_mtime), 0o600
            reader = _Hashing(file, moved)
            self._tar.addfile(info, reader)
        self.members[name] = Member(size=about.st_size, sha256=reader.digest.hexdigest())
        return True

    def close(self, manifest: Manifest) -> None:
        """Write the manifest and the end, and flush all to the disk."""
        content = manifest.model_dump_json(indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(content), 0o600
        self._tar.addfile(info, io.BytesIO(content))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())


class _Hashing:
    """A file that is read once, with the hash of what was read."""

    def __init__(self, file: IO[bytes], moved: Moved) -> None:
        self._file, self._moved = file, moved
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        self._moved(len(block))
        return block


def read_manifest(path: Path) -> Manifest:
    """What a backup says it holds; its members are exactly those that it names.

    Raises:
        InputError: it is no backup, not whole, or holds what no backup does.
    """
    with _opened(path) as tar:
        found: dict[str, tarfile.TarInfo] = {}
        for info in tar:
            _check(info, path)
            if info.name in found:
                raise InputError(f"{path}: holds {info.name!r} twice: it is no backup")
            found[info.name] = info
        about = found.pop(MANIFEST, None)
        if about is None or about.size > _LONGEST_MANIFEST:
            raise InputError(f"{path}: is not whole, or no backup: it has no manifest")
        file = tar.extractfile(about)
        assert file is not None
        try:
            manifest = Manifest.model_validate_json(file.read())
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or MANIFEST
            raise InputError(
                f"{path}: was made by another version, or is no backup ({place}: {first['msg']})"
            ) from None
        if {name: info.size for name, info in found.items()} != {
            name: one.size for name, one in manifest.members.items()
        }:
            raise InputError(f"{path}: is damaged: its members are not those of its manifest")
    return manifest


def unpack(
    path: Path, manifest: Manifest, prefix: str, into: Path, moved: Moved, private: bool = False
) -> None:
    """Write the members below `prefix` into the folder `into`, without it, and check every one.

    `private` ones are for their owner alone. What is left in `into` after an error is of no use.

    Raises:
        InputError: a member's bytes are not those of the manifest, or it leads elsewhere.
    """
    with _opened(path) as tar:
        for info in tar:
            _check(info, path)
            if not info.name.startswith(prefix) or info.name not in manifest.members:
                continue
            target = into / info.name.removeprefix(prefix)
            _make_folders(target.parent, into, 0o700 if private else 0o777)
            digest = hashlib.sha256()
            file = tar.extractfile(info)
            assert file is not None
            with open(target, "xb", opener=_private if private else None) as out:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
                    moved(len(block))
                out.flush()
                os.fsync(out.fileno())
            if digest.hexdigest() != manifest.members[info.name].sha256:
                raise InputError(
                    f"{path}: is damaged: the bytes of {info.name!r} are not those of its manifest: "
                    "take another backup"
                )


def _make_folders(folder: Path, top: Path, mode: int) -> None:
    """`Path.mkdir(parents=True)` gives the mode to the last one alone."""
    if folder != top and not folder.is_dir():
        _make_folders(folder.parent, top, mode)
        folder.mkdir(mode)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _check(info: tarfile.TarInfo, path: Path) -> None:
    """Refuse whatever is no plain file below one of our folders."""
    plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and info.sparse is None
    plain = plain and info.size >= 0
    parts = info.name.split("/")
    placed = info.name == MANIFEST or (len(parts) > 1 and parts[0] in ("chat", "collections"))
    if not plain or not placed or {"", ".", ".."} & set(parts) or "\\" in info.name:
        raise InputError(f"{path}: holds {info.name!r}, which no backup does: nothing was restored")
    if hasattr(tarfile, "data_filter"):  # again, by those who know more ways than we do
        try:
            tarfile.data_filter(info, str(path.parent))
        except tarfile.FilterError as error:
            raise InputError(f"{path}: {error}: nothing was restored") from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except tarfile.TarError as error:
        raise InputError(f"{path}: is not whole, or no backup ({error})") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeError, ValueError) as error:  # a header's numbers and names, decoded
        raise InputError(f"{path}: is damaged ({error})") from None
