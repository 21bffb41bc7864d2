"""A backup put back: checked whole beside its place first, then put in place in one step each.

A collection that is there gets the backup's database in one transaction, so whoever has it open sees
the old generation, then the restored one; a new one is renamed into place. The chat's folder changes
places with the restored one, which nobody may have open. A restore that is killed leaves each of them
as it was or as it is in the backup; the same command, given again, does the rest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag.archive import Manifest, Progress, counting, read_manifest, unpack
from rag.backup import contents_of, is_database, only_one
from rag.database import Database
from rag.errors import CollectionError, InputError
from rag.lock import writing
from rag.migrate import SCHEMA
from rag.settings import Settings
from rag.swap import exchange, sync_folder

__all__ = ["restore"]

_SCRATCH = ".restoring-"


def restore(
    file: Path,
    settings: Settings,
    names: Sequence[str] = (),
    *,
    rename: str = "",
    chat: bool = True,
    force: bool = False,
    progress: Progress = lambda done, of: None,
) -> Manifest:
    """Put back collections and the chat's data; those of `names` alone, and then the chat's never.

    `rename` is another name for the one collection that is put back, then alone. What is there already
    is replaced with `force` alone. Returns the manifest of what was put back.

    Raises:
        InputError: the file is no backup or damaged, or something is there already.
        CollectionError: another process writes to a collection or has the chat open.
    """
    manifest = _chosen(read_manifest(file), file, names, rename, chat)
    places = {name: rename or name for name in manifest.collections}
    if not force:
        _check_free(settings, list(places.values()), manifest.chat is not None)
    prefixes = [f"collections/{name}/" for name in places]
    prefixes += ["chat/"] if manifest.chat is not None else []
    moved = counting(progress, sum(map(manifest.bytes_of, prefixes)))
    with only_one(settings.indexes), contextlib.ExitStack() as stack:
        for beside in (settings.indexes, settings.chat_folder.parent):
            for left in beside.glob(f"{_SCRATCH}*"):  # of one that was killed
                shutil.rmtree(left, ignore_errors=True)
        folder = stack.enter_context(_scratch(settings.indexes))
        for name in places:
            (folder / name).mkdir(parents=True)
            unpack(file, manifest, f"collections/{name}/", folder / name, moved)
            _check_database(folder / name / "collection.db", manifest, name, file)
        if manifest.chat is not None:
            beside = stack.enter_context(_scratch(settings.chat_folder.parent))
            new = beside / "chat"
            new.mkdir(mode=0o700)
            unpack(file, manifest, "chat/", new, moved, private=True)
            # Before the collections: it says who may read them.
            _put_chat(new, settings.chat_folder)
        for name, place in places.items():
            _put_collection(folder / name, place, settings.indexes)
    return manifest


def _chosen(
    manifest: Manifest, file: Path, names: Sequence[str], rename: str, chat: bool
) -> Manifest:
    """The part of a manifest that is to be put back."""
    for name in names:
        if name not in manifest.collections:
            held = ", ".join(sorted(manifest.collections)) or "none"
            raise InputError(f"{file}: holds no collection '{name}': it holds {held}")
    kept = {
        name: contents
        for name, contents in manifest.collections.items()
        if not names or name in names
    }
    for name, contents in kept.items():
        if contents.schema_version > SCHEMA:
            raise InputError(
                f"{file}: '{name}' was written by a later version (schema {contents.schema_version}, "
                f"not {SCHEMA}): install footnote {manifest.footnote}"
            )
        if f"collections/{name}/collection.db" not in manifest.members:
            raise InputError(f"{file}: is damaged: it lacks the database of '{name}'")
    if rename and len(kept) != 1:
        raise InputError(f"{file}: holds {len(kept)} collections: --as needs -c with one of them")
    # With a collection under another name, or one of many, the accounts stay as they are.
    wanted = chat and not rename and not names
    return manifest.model_copy(
        update={"collections": kept, "chat": manifest.chat if wanted else None}
    )


def _check_free(settings: Settings, places: Sequence[str], chat: bool) -> None:
    there = [place for place in places if (settings.indexes / place).exists()]
    if there:
        raise InputError(
            f"there is a collection '{there[0]}' already: --force replaces it, --as NAME restores under "
            "another name"
        )
    if chat and settings.chat_folder.is_dir() and any(settings.chat_folder.iterdir()):
        raise InputError(
            f"{settings.chat_folder}: holds the chat's data already: --force replaces it, --no-chat "
            "leaves it as it is"
        )


@contextlib.contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    beside.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=beside))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check_database(path: Path, manifest: Manifest, name: str, file: Path) -> None:
    with contextlib.closing(Database(path)) as database:
        database.rows("PRAGMA trusted_schema = OFF")
        found = contents_of(database)
    if found != manifest.collections[name]:
        raise InputError(f"{file}: is damaged: '{name}' does not hold what its manifest says")


def _put_collection(new: Path, name: str, indexes: Path) -> None:
    with writing(name, indexes):
        place = indexes / name
        if (place / "collection.db").is_file() and _opens(place / "collection.db"):
            _put_caches(new, place)
            with (
                contextlib.closing(Database(new / "collection.db")) as source,
                contextlib.closing(Database(place / "collection.db")) as target,
            ):
                target.rows("PRAGMA journal_mode = WAL")
                target.rows("PRAGMA synchronous = FULL")
                source.copy_to(target)
            return
        if place.exists():  # nothing in it can be opened: out of the way
            os.rename(place, new.with_name(f"{new.name}.old"))
        os.rename(new, place)
        sync_folder(indexes)


def _put_caches(new: Path, place: Path) -> None:
    """Before the database that they belong to. They are named by their content: none is replaced."""
    for cache in new.iterdir():
        if cache.name != "collection.db" and not (place / cache.name).exists():
            os.rename(cache, place / cache.name)


def _opens(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return True  # busy: whoever writes to it says so
    except sqlite3.DatabaseError:
        return False
    return True


def _put_chat(new: Path, place: Path) -> None:
    for path in place.rglob("*") if place.is_dir() else ():
        if is_database(path) and _in_use(path):
            raise CollectionError(
                f"{path}: the chat or the service is running: end it, then run the same command again, "
                "or leave the chat's data as it is with --no-chat"
            )
    if place.exists():
        exchange(new, place)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.rename(new, place)
        sync_folder(place.parent)


def _in_use(path: Path) -> bool:
    """Whether another process has a database open: the log can't be left while one has."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as database:
            [mode] = database.execute("PRAGMA journal_mode = DELETE").fetchone()
            return bool(mode != "delete")
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False
