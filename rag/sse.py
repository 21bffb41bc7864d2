"""The bytes that a chat endpoint sends -> its events. Pure; knows what servers really send.

Lines end with a line feed, and nothing else ends one: U+2028 may stand inside a JSON string. They are
cut from bytes, so a character may be split between two chunks. Bad UTF-8 becomes U+FFFD.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rag.errors import ModelError

__all__ = ["events", "parsed"]

_LONGEST_LINE = 1_000_000  # bytes
# llama.cpp names a failure by the field; bare JSON in a stream is one, too.
_EVENT = re.compile(r"(?:data|(error)):\s*(.*)", re.DOTALL)


def events(chunks: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    """Each event of a stream in turn, or the one body of a server that does not stream.

    None says that the server has said [DONE]; what follows that is read and left out.

    Raises:
        ModelError: what comes is neither.
    """
    lines = _lines(chunks)
    begun = False
    for line in lines:
        text = line.strip("\ufeff \t\r\n")
        if not begun and text.startswith("{"):
            yield parsed("\n".join([text, *lines]))
            return
        if not begun and text.startswith("<"):
            raise ModelError("the model server sends a web page: does 'endpoint' end as it should?")
        begun = begun or bool(text)
        if match := _EVENT.fullmatch(text):
            if match[2] == "[DONE]":
                yield None
                for _ in lines:
                    pass
                return
            if match[2]:
                event = parsed(match[2])
                yield {"error": event} if match[1] else event
        elif text.startswith("{"):
            yield parsed(text)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    buffer = b""
    for chunk in chunks:
        *lines, buffer = (buffer + chunk).split(b"\n")
        if len(buffer) > _LONGEST_LINE:
            raise ModelError("the model server sends a line without an end: is it a chat endpoint?")
        for line in lines:
            yield line.decode("utf-8", "replace")
    yield buffer.decode("utf-8", "replace")


def parsed(text: str) -> dict[str, Any]:
    """JSON from a server; something else than an object counts as an empty one.

    Raises:
        ModelError: it is not JSON.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(
            f"the model server sends something that is not JSON: {text[:100]!r}"
        ) from None
    return value if isinstance(value, dict) else {}
