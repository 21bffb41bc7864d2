"""Text that can be stored and sent. An argument or a browser's JSON may hold what UTF-8 can't."""

from __future__ import annotations

__all__ = ["storable"]


def storable(text: str) -> str:
    """`text` with "?" for lone surrogates, which UTF-8 can't hold. The length stays."""
    return text.encode("utf-8", "replace").decode()
