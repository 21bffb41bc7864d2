"""What a model remembers of a prompt's constant first part, kept in files across restarts.

Reading the part again takes seconds; its keys and values are a few megabytes. A file is named by all
that the numbers depend on and begins with a hash of the rest, so that one that was cut short or
changed counts as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from rag.hardware import cpu_features

__all__ = ["PrefixCache", "State", "fingerprint"]

State = dict[str, npt.NDArray[Any]]
"""Arrays by name, as a model gave them; only that model knows what they mean."""

_KEPT = 16  # files; the longest unused go first
_HASH = 32  # bytes of a SHA-256


def fingerprint(files: Sequence[Path], *others: object) -> str:
    """What a model's numbers depend on: its files as they are, this processor, and `others`."""
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return repr((stats, sorted(cpu_features()), others))


class PrefixCache:
    """Files in `folder` for one model, whose numbers depend on what `fingerprint` says."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def get(self, ids: Sequence[int], adapted: bool) -> State | None:
        """What was kept after reading the tokens `ids`, if it was."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self._path(ids, adapted)
        try:
            data = path.read_bytes()
            if hashlib.sha256(data[_HASH:]).digest() != data[:_HASH]:
                return None
            state: State = load(data[_HASH:])
        except (OSError, SafetensorError):
            return None
        with contextlib.suppress(OSError):  # of a cache that is another user's
            os.utime(path)
        return state

    def put(self, ids: Sequence[int], adapted: bool, state: State) -> None:
        """Keep what a model knows after `ids`. Where nothing can be written, nothing is kept."""
        from safetensors.numpy import save

        data = save(state)
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, scratch = tempfile.mkstemp(dir=self._folder, suffix=".scratch")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(data).digest() + data)
                os.replace(scratch, self._path(ids, adapted))
            except OSError:
                os.unlink(scratch)
            for old in sorted(self._folder.iterdir(), key=_age)[:-_KEPT]:
                old.unlink(missing_ok=True)

    def _path(self, ids: Sequence[int], adapted: bool) -> Path:
        key = json.dumps([self._fingerprint, adapted, list(ids)])
        return self._folder / hashlib.sha256(key.encode()).hexdigest()[:32]


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process removed it meanwhile
        return 0.0
