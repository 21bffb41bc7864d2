"""The events of one chat completion -> its text, and how it ended. Pure; believes no field's type.

Understands the deltas of a stream and the one message of a server that does not stream. Thoughts are
not shown: neither those that come in a field of their own nor those in a leading `<think>`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Completion"]

_OPEN, _CLOSE = "<think>", "</think>"
# What a reply may finish with that is not its end; `abort` is vLLM's, when it is stopped.
_BROKEN_OFF = ("abort", "error", "cancelled")
_FILTERED = "content_filter"


class Completion:
    """A reply as it grows.

    `ended`: the server has said that it is whole. `broken`: what it named as the reason for which it is
    not. `filtered`: its filter cut it. `error`: an HTTP status (500 where it named none) and a message.
    `known`: whether any event was one of a chat completion; None before the first. `thoughts`: the
    model has thought. `logprobs` as in `rag.generate.Generation`, without the end token's.
    """

    def __init__(self) -> None:
        self.ended = self.filtered = self.thoughts = False
        self.broken = ""
        self.error: tuple[int, str] | None = None
        self.known: bool | None = None
        self.logprobs: list[float] = []
        self.prompt_tokens = self.generated_tokens = 0
        self._raw = ""

    def hear(self, event: dict[str, Any] | None) -> bool:
        """Take in one event of `rag.sse.events`; whether the model has gone on writing."""
        if event is None:
            self.ended = True
            return False
        error = event.get("error") or (event if event.get("object") == "error" else None)
        if error:
            self.error = _status_and_message(error)
            return False
        choices = event.get("choices")
        self.known = bool(self.known) or choices is not None
        choice = _dict(choices[0]) if isinstance(choices, list) and choices else {}
        grown = self._add(_dict(choice.get("delta") or choice.get("message")))
        self.logprobs += _logprobs(choice)
        self._finish(choice)
        usage = _dict(event.get("usage"))
        self.prompt_tokens = _number(usage.get("prompt_tokens")) or self.prompt_tokens
        self.generated_tokens += grown
        # Without a usage, the events are counted: mostly one a token.
        self.generated_tokens = _number(usage.get("completion_tokens")) or self.generated_tokens
        return grown

    def text(self, ended: bool = False) -> str:
        """What may be shown of it now; it only grows. `ended`: nothing follows."""
        text, opening = self._raw, self._raw.lstrip()
        if opening.startswith(_OPEN):
            self.thoughts = True
            text = opening.partition(_CLOSE)[2].lstrip()
        elif not ended and _OPEN.startswith(opening):
            return ""  # it may become that
        if not ended and "\ud800" <= text[-1:] <= "\udbff":
            text = text[:-1]  # half of a character: JSON may split one between two events
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    def _add(self, delta: dict[str, Any]) -> bool:
        content = delta.get("content")
        content = content if isinstance(content, str) else ""
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        self.thoughts = self.thoughts or bool(thought)
        self._raw += content
        return bool(content or thought)

    def _finish(self, choice: dict[str, Any]) -> None:
        reason = choice.get("finish_reason")
        if reason in _BROKEN_OFF:
            self.broken = reason
        elif reason == _FILTERED:
            self.filtered = True
        elif isinstance(reason, str) or "message" in choice:  # a body in JSON is whole
            self.ended = True


def _status_and_message(error: Any) -> tuple[int, str]:
    if not isinstance(error, dict):
        return 500, str(error)
    return _number(error.get("code")) or 500, str(error.get("message") or error)


def _logprobs(choice: dict[str, Any]) -> list[float]:
    rows = _dict(choice.get("logprobs")).get("content")
    values = [_dict(row).get("logprob") for row in rows] if isinstance(rows, list) else []
    return [min(0.0, float(one)) for one in values if isinstance(one, int | float)]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int:
    """A count or a status; 0 where it is none."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and 0 < value < 10**9 else 0
