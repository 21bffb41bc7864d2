"""Collections and the chat's data into one file, while others read and write.

Each database is copied as one transaction sees it (SQLite's online backup), checked, and put into the
file (`rag.archive`) with its caches of that moment. The chat's data is whatever lies below its folder:
databases are copied in the same way, other files as they are. Names that begin with a dot are work
under way, `*.lock` a lock, links lead elsewhere: none of them is taken. The file has another name until
it is whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rag import __version__
from rag.archive import Contents, Manifest, Moved, Progress, Writer, counting
from rag.database import Database
from rag.errors import CollectionError, InputError
from rag.migrate import schema_of
from rag.settings import Settings

__all__ = ["Backup", "back_up", "is_database", "contents_of", "only_one", "stored_collections"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAGIC = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")  # belong to a database that is copied as a whole
_SCRATCH = ".partial"


@dataclass
class Backup:
    """What was written: the manifest, and what was left out, each with its reason."""

    manifest: Manifest
    bytes: int
    skipped: list[dict[str, str]] = field(default_factory=list)


def stored_collections(indexes: Path) -> list[str]:
    """The names of the collections that lie in a folder."""
    found = (one.parent.name for one in indexes.glob("*/collection.db"))
    return sorted(name for name in found if _NAME.fullmatch(name))


def back_up(
    settings: Settings,
    out: Path,
    names: Sequence[str] = (),
    *,
    chat: bool = True,
    force: bool = False,
    progress: Progress = lambda done, of: None,
) -> Backup:
    """Write a backup of collections (all, if none is named) and, with `chat`, the chat's data.

    Needs room for the file and for the largest database once more, beside `out`.

    Raises:
        InputError: `out` is there already and not `force`, or there is nothing to back up.
        CollectionError: a collection is missing or damaged, or another backup is under way.
    """
    stored = stored_collections(settings.indexes)
    names = list(dict.fromkeys(names)) or stored
    for name in names:
        if name not in stored:
            raise CollectionError(f"there is no collection '{name}' in {settings.indexes}")
    chat = chat and settings.chat_folder.is_dir()
    if not names and not chat:
        raise InputError(f"{settings.indexes}: holds nothing to back up")
    if out.exists() and not force:
        raise InputError(f"{out}: is there already: name another file, or give --force")
    with only_one(settings.indexes):
        for left in out.parent.glob(f".{out.name}-*{_SCRATCH}"):  # of one that was killed
            shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(_SCRATCH, f".{out.name}-", out.parent))
        try:
            moved = counting(progress, _work(settings, names, chat))
            made = _written(settings, scratch, names, chat, moved)
            os.replace(scratch / "backup", out)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return made


def _work(settings: Settings, names: Sequence[str], chat: bool) -> int:
    """How many bytes are read: those of a database twice."""
    folders = [settings.indexes / name for name in names]
    files = [path for folder in folders for path in _caches(folder)]
    files += [path for folder in folders for path in 2 * [folder / "collection.db"]]
    for path in _files_below(settings.chat_folder) if chat else ():
        files += [path, path] if is_database(path) else [path]
    return sum(path.stat().st_size for path in files if path.is_file())


def _written(
    settings: Settings, scratch: Path, names: Sequence[str], chat: bool, moved: Moved
) -> Backup:
    skipped: list[dict[str, str]] = []
    with open(
        scratch / "backup", "xb", opener=lambda path, flags: os.open(path, flags, 0o600)
    ) as file:
        writer = Writer(file)
        # The chat first: it knows of every answer that is in it, and of no document.
        files = _add_chat(writer, settings.chat_folder, scratch, skipped, moved) if chat else None
        contents = {
            name: _add_collection(writer, settings.indexes / name, scratch, moved) for name in names
        }
        manifest = Manifest(
            footnote=__version__,
            made=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            collections=contents,
            chat=files,
            members=writer.members,
        )
        writer.close(manifest)
        return Backup(manifest, file.tell(), skipped)


def _add_collection(writer: Writer, folder: Path, scratch: Path, moved: Moved) -> Contents:
    """Add a database and the caches beside it, which are never changed once they are there."""
    copy = scratch / "database"
    _copy(folder / "collection.db", copy, moved)
    with contextlib.closing(Database(copy)) as database:
        contents = contents_of(database)
    place = f"collections/{folder.name}"
    writer.add(f"{place}/collection.db", copy, moved)
    copy.unlink()
    for cache in _caches(folder):
        writer.add(f"{place}/{cache.relative_to(folder).as_posix()}", cache, moved)
    return contents


def _caches(folder: Path) -> list[Path]:
    found = [*folder.glob("passages-*"), *folder.glob("words-*/*")]
    return sorted(path for path in found if not path.name.startswith(".tantivy-"))  # locks


def contents_of(database: Database) -> Contents:
    """What a collection's database of any schema holds.

    Raises:
        CollectionError: it is damaged, or of a later version.
    """
    schema = schema_of(database)
    [(documents,)] = database.rows("SELECT count(*) FROM documents WHERE live = 1")
    [(chunks,)] = database.rows(
        "SELECT count(*) FROM documents d JOIN chunks c ON c.document = d.key WHERE d.live = 1"
    )
    return Contents(
        schema_version=schema,
        embedder=database.meta("embedder") or "",
        generation=int(database.meta("generation") or 0),
        documents=documents,
        chunks=chunks,
    )


def _copy(path: Path, copy: Path, moved: Moved) -> None:
    """Copy a database as one transaction sees it, into a file that stands alone, and check it."""
    done = 0

    def progress(pages: int, of: int) -> None:
        nonlocal done
        moved((pages - done) * size)
        done = pages

    with (
        contextlib.closing(Database(path)) as source,
        contextlib.closing(Database(copy)) as target,
    ):
        [(size,)] = source.rows("PRAGMA page_size")
        target.rows("PRAGMA synchronous = OFF")  # it is read again in a moment, or thrown away
        source.copy_to(target, progress)
        target.rows("PRAGMA journal_mode = DELETE")
        [(found,), *_] = target.rows("PRAGMA quick_check(1)")
    if found != "ok":
        raise CollectionError(
            f"{path}: is damaged ({found}), so it was not backed up: restore an older backup, or index "
            "its folders again with --rebuild"
        )


def _add_chat(
    writer: Writer, folder: Path, scratch: Path, skipped: list[dict[str, str]], moved: Moved
) -> int:
    """Add what lies below the chat's folder, databases first; how many files that are."""
    before = len(writer.members)
    paths = list(_files_below(folder))
    databases = [path for path in paths if is_database(path)]
    beside = {path.with_name(path.name + end) for path in databases for end in _BESIDE}
    for path in databases:
        copy = scratch / "database"
        try:
            _copy(path, copy, moved)
        except CollectionError as error:
            raise CollectionError(f"{error}; --no-chat leaves the chat's data out") from None
        writer.add(_name(folder, path), copy, moved)
        copy.unlink()
    for path in paths:
        if path in beside or path in databases:
            continue
        if path.is_symlink() or not (writer.add(_name(folder, path), path, moved) or _gone(path)):
            skipped.append({"path": str(path), "reason": "is no plain file"})
    return len(writer.members) - before


def _gone(path: Path) -> bool:
    return not path.exists()


def _name(folder: Path, path: Path) -> str:
    return f"chat/{path.relative_to(folder).as_posix()}"


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and not name.endswith(".lock"):
                yield Path(root, name)


def is_database(path: Path) -> bool:
    """Whether a file is a SQLite database."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextlib.contextmanager
def only_one(indexes: Path) -> Iterator[None]:
    """One backup or restore at a time.

    Raises:
        CollectionError: another is under way, or the folder can't be written.
    """
    import filelock

    lock = filelock.FileLock(indexes / ".backup.lock", timeout=0)
    try:
        indexes.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise CollectionError(
            "another backup or restore is under way: wait until that has ended"
        ) from None
    try:
        yield
    finally:
        lock.release()
