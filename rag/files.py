"""Collections as folders of files: SQLite and FAISS, one folder each under `settings.indexes`."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from rag.current import CurrentIndex
from rag.errors import CollectionError
from rag.lock import writing
from rag.migrate import upgrade
from rag.settings import Settings
from rag.store import Store

__all__ = ["Files"]

_DATABASE = "collection.db"


class Files:
    """The folder that `settings.indexes` names. A folder whose name begins with a dot is none."""

    def __init__(self, settings: Settings) -> None:
        self._indexes = settings.indexes
        self.place = str(settings.indexes)

    def names(self) -> list[str]:
        """Of all collections, in order, damaged ones too."""
        found = [one.parent.name for one in self._indexes.glob(f"*/{_DATABASE}")]
        return sorted(name for name in found if not name.startswith("."))

    def exists(self, name: str) -> bool:
        """Whether there is such a collection, or anything else in its place."""
        return (self._indexes / name).exists()

    def identity(self, name: str) -> tuple[int, int] | None:
        """What tells a collection's database from another one in its place; None: there is none."""
        try:
            status = (self._indexes / name / _DATABASE).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def open(
        self, name: str, dimensions: Callable[[], int], create: bool
    ) -> tuple[Store, CurrentIndex] | None:
        """A collection's store and index; None where there is none and `create` is false.

        `create` also brings one of an earlier schema up to date.

        Raises:
            CollectionError: it is damaged, of another schema, or can't be made.
        """
        folder = self._indexes / name
        if not (folder / _DATABASE).is_file():
            if not create:
                return None
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CollectionError(
                    f"{folder}: can't be made ({error.strerror}): set FOOTNOTE_INDEXES to a folder "
                    "that can be written"
                ) from None
        elif create:
            upgrade(folder / _DATABASE)
        store = Store(folder / _DATABASE)
        return store, CurrentIndex(store, folder, dimensions)

    def remove(self, name: str) -> None:
        """Remove a collection, whole or damaged, in one step.

        Raises:
            CollectionError: it can't be removed, or another process is writing to it.
        """
        with self.writing(name):
            try:
                # Renamed first: a removal that is killed half way leaves no half collection.
                doomed = Path(
                    tempfile.mkdtemp(prefix=f".{name}-", suffix=".removed", dir=self._indexes)
                )
                (self._indexes / name).rename(doomed / name)
            except OSError as error:
                raise CollectionError(
                    f"{self._indexes / name}: can't be removed ({error.strerror}): check its "
                    "permissions"
                ) from None
            for left in self._indexes.glob(f".{name}-*.removed"):
                shutil.rmtree(left, ignore_errors=True)

    def rename(self, name: str, wanted: str) -> None:
        """Give a collection, which nobody has open, a name that none has."""
        try:
            (self._indexes / name).rename(self._indexes / wanted)
        except OSError as error:
            raise CollectionError(
                f"{self._indexes / wanted}: can't be made ({error.strerror}): check its permissions"
            ) from None

    def writing(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Hold the right to write to a collection; the system frees it when its holder dies.

        Raises:
            CollectionError: another process holds it, or the folder can't be written.
        """
        return writing(name, self._indexes)
