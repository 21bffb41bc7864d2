"""What reading one file may cost. Knows nothing of formats or processes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on reading one file; a file that passes one of them raises `ReadError`.

    `seconds` bounds wall-clock and processor time, `memory_mb` the whole reading process. An
    Office file is a zip archive: `max_uncompressed_mb` bounds what it unpacks to in all, and
    `max_archive_ratio` how many bytes of a large member may come out of one stored byte.
    """

    max_bytes: int = 100_000_000
    max_text_chars: int = 20_000_000
    seconds: float = 60.0
    memory_mb: int = 1024
    max_uncompressed_mb: int = 500
    max_archive_ratio: int = 200
