"""The one right to write to a collection. Readers never ask for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rag.errors import CollectionError

__all__ = ["writing"]

_WAIT_FOR_WRITER_S = 10


@contextlib.contextmanager
def writing(name: str, indexes: Path) -> Iterator[None]:
    """Hold the right to write to the collection `name` in the folder `indexes`.

    The system frees it when its holder dies.

    Raises:
        CollectionError: another process holds it, or the folder can't be written.
    """
    import filelock

    lock = filelock.FileLock(indexes / f".{name}.lock")
    try:
        lock.acquire(timeout=_WAIT_FOR_WRITER_S)
    except filelock.Timeout:
        raise CollectionError(
            f"collection '{name}' is being written by another process: wait until that has ended, "
            "then run the same command again"
        ) from None
    except OSError as error:
        raise CollectionError(
            f"{indexes}: can't be written ({error.strerror}): free some disk space, or set "
            "FOOTNOTE_INDEXES to a folder that can be written"
        ) from None
    try:
        yield
    finally:
        lock.release()
