"""How long to wait for a model server, and when to try again: only what another attempt may mend.

Asking a model for text changes nothing on its server, so a request may be sent again whenever it has
failed; it should be, where the server or the network was in a bad moment.
"""

from __future__ import annotations

import contextlib
import email.utils
import random
import time

from rag.errors import ModelUnavailable
from rag.settings import Settings

__all__ = ["RETRIED", "Backoff", "Clock", "Passing", "retry_after"]

RETRIED = frozenset({408, 429, 502, 503, 504})
"""The HTTP statuses that say: not now."""

_FIRST_PAUSE_S = 0.5
_REST_S = 0.5
_PASSED = {
    "endpoint_first_token_s": "said nothing for",
    "endpoint_silence_s": "fell silent in mid-reply for",
    "endpoint_whole_s": "the reply took longer than",
}


class Passing(ModelUnavailable):
    """A failure that another attempt may mend; `after`: how many seconds the server asks for."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Clock:
    """The limits of one reply in time, over all attempts at it; times are of `time.monotonic`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.began = time.monotonic()
        self.ends = self.began + settings.endpoint_whole_s
        self.ask()

    def ask(self) -> None:
        """A request is sent."""
        self._last, self._limit = time.monotonic(), "endpoint_first_token_s"

    def heard(self) -> None:
        """A token came."""
        self._last, self._limit = time.monotonic(), "endpoint_silence_s"

    def over(self) -> None:
        """The reply is whole: what may follow is worth no waiting."""
        self.ends = min(self.ends, time.monotonic() + _REST_S)

    def left(self) -> float:
        """How many seconds the next token may take."""
        until = self._last + float(getattr(self._settings, self._limit))
        return min(until, self.ends) - time.monotonic()

    def passed(self) -> str:
        """Which limit is over, and what to do."""
        name = "endpoint_whole_s" if time.monotonic() >= self.ends else self._limit
        seconds = getattr(self._settings, name)
        return f"{_PASSED[name]} {seconds:g} s: see the server's log, or raise '{name}'"


class Backoff:
    """The pauses before further attempts: up to .5 s, 1 s, 2 s …, at random, so that those who failed
    together don't come back together; or what the server asks for. None ends later than `ends`
    (`time.monotonic`)."""

    def __init__(self, settings: Settings, ends: float) -> None:
        self._left = settings.endpoint_retries
        self._longest_s = settings.endpoint_retry_wait_s
        self._ends = ends
        self._next = _FIRST_PAUSE_S

    def wait(self, failure: Passing) -> None:
        """Sleep until the next attempt.

        Raises:
            ModelUnavailable: there is none: too many were made, or the pause would be too long.
        """
        if self._left == 0:
            raise ModelUnavailable(str(failure))
        pause = failure.after
        if pause is None:
            pause = random.uniform(0, min(self._next, self._longest_s))
        elif pause > self._longest_s:
            raise ModelUnavailable(f"{failure}; it asks to be left alone for {pause:.0f} s")
        if time.monotonic() + pause > self._ends:
            raise ModelUnavailable(str(failure))
        self._left -= 1
        self._next *= 2
        time.sleep(pause)


def retry_after(header: str) -> float | None:
    """The seconds that a Retry-After header names, as a number or as a date; None where it does not."""
    with contextlib.suppress(ValueError, OverflowError):
        if header.strip().isdecimal():
            return float(header)
        when = email.utils.parsedate_to_datetime(header)
        return max(0.0, when.timestamp() - time.time())
    return None
