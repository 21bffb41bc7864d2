"""Two folders change places in one step, so that there is no moment without either of them."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

__all__ = ["exchange", "sync_folder"]

_HERE = -100  # AT_FDCWD: paths as they are given
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS: the same number
_UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


def exchange(new: Path, old: Path) -> None:
    """Let `new` and `old`, on one file system, change places.

    A file system that can't do it in one step (NFS, Windows) does it in three: killed between them,
    `old` is left under the name of `new` with `.old` after it.

    Raises:
        OSError: it can't be done; both are where they were.
    """
    if not _in_one_step(new, old):
        aside = new.with_name(f"{new.name}.old")
        os.rename(old, aside)
        os.rename(new, old)
        os.rename(aside, new)
    sync_folder(old.parent)


def _in_one_step(new: Path, old: Path) -> bool:
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(new), os.fsencode(old)
    if hasattr(library, "renameat2"):
        status = library.renameat2(_HERE, paths[0], _HERE, paths[1], _EXCHANGE)
    elif hasattr(library, "renamex_np"):
        status = library.renamex_np(*paths, _EXCHANGE)
    else:
        return False
    code = ctypes.get_errno()
    if status and code not in _UNKNOWN:
        raise OSError(code, os.strerror(code), str(old))
    return not status


def sync_folder(folder: Path) -> None:
    """Have what was renamed in a folder outlive a loss of power."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
