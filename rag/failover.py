"""A Generator over two: a model server, and the local model for as long as that fails.

A circuit keeps a server that has failed several times from being asked by every question: it is left
alone for a while, then one answer tries it. An answer is written by one model from its beginning to
its end: `Writer` is what the assistant asks for the whole of one, and a server that fails in the midst
of it makes the assistant begin anew. The local model is opened when it is first needed.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from rag.endpoint import EndpointGenerator
from rag.errors import ModelBusy, ModelError, ModelUnavailable
from rag.generate import Generation, Generator, Message
from rag.settings import Settings

__all__ = ["Chooser", "Circuit", "Elsewhere", "Failover", "Writer", "load_server"]

_log = logging.getLogger(__name__)


class Elsewhere(ModelUnavailable):
    """The server failed in the midst of an answer, which the local model can write all over again."""


@runtime_checkable
class Chooser(Protocol):
    """A generator over several, one of which writes a whole answer."""

    def chosen(self, local: bool = False) -> AbstractContextManager[Generator]:
        """The one that is to be asked now, the caller's as long as the block runs."""
        ...


class Circuit:
    """Whether to ask a server: not for `pause_s` after `failures` in a row, and then once, to see."""

    def __init__(
        self, failures: int, pause_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._allowed, self._pause_s, self._now = failures, pause_s, now
        self._failed = 0
        self._until = 0.0
        self._trying = False
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether it has failed too often."""
        return self._failed >= self._allowed

    def admits(self) -> bool:
        """Whether one more may ask now. Tell how that went, by one of the three below."""
        with self._lock:
            if not self.is_open:
                return True
            if self._trying or self._now() < self._until:
                return False
            self._trying = True
            return True

    def succeeded(self) -> None:
        """The server has given what was asked."""
        with self._lock:
            self._failed, self._trying = 0, False

    def failed(self) -> None:
        """It has not, and not for a reason that lies with us."""
        with self._lock:
            self._failed, self._trying = self._failed + 1, False
            self._until = self._now() + self._pause_s

    def untold(self) -> None:
        """Nothing is known: the reader left before the end, for one."""
        with self._lock:
            self._trying = False


class Failover:
    """`server`, or else what `open_local` gives, which writes one answer at a time.

    `wait_s`: how long an answer may wait for the local model.
    """

    concurrent = True
    """Several threads may use it at once."""

    def __init__(
        self,
        server: Generator,
        open_local: Callable[[], Generator],
        circuit: Circuit,
        wait_s: float,
    ) -> None:
        self.name = server.name
        self._server = server
        self._open_local = open_local
        self._local: Generator | None = None
        self._circuit = circuit
        self._wait_s = wait_s
        self._turn = threading.Lock()

    def stream(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        into: Generation,
        *,
        adapted: bool = False,
        again: bool = False,
        withhold: str = "",
    ) -> Iterator[str]:
        """See `Generator`. One reply by one of the two; an answer is several: see `Writer`."""
        wishes = {"adapted": adapted, "again": again, "withhold": withhold}
        try:
            with self.chosen() as one:
                yield from one.stream(messages, max_tokens, into, **wishes)  # type: ignore[arg-type]
        except Elsewhere:
            if into.text:
                raise
            with self.chosen(local=True) as one:
                yield from one.stream(messages, max_tokens, into, **wishes)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def chosen(self, local: bool = False) -> Iterator[Generator]:
        """The one of the two that is to be asked now; it is the caller's as long as the block runs.

        Raises:
            ModelBusy: the local model writes other answers.
            ModelError: it can't be opened.
        """
        if not local and self._circuit.admits():
            watched = _Watched(self._server, self._circuit)
            try:
                yield watched
            finally:
                if not watched.asked:
                    self._circuit.untold()
            return
        if not self._turn.acquire(timeout=self._wait_s):
            raise ModelBusy(
                f"the model server fails, and the local model had other answers to write for "
                f"{self._wait_s:g} s: ask again later"
            )
        try:
            yield self._opened()
        finally:
            self._turn.release()

    def _opened(self) -> Generator:
        if self._local is None:
            try:
                self._local = self._open_local()
            except ModelError as error:
                raise ModelError(
                    f"the model server fails, and so does 'endpoint_failover': {error}"
                ) from None
        return self._local


class _Watched:
    """The server; the circuit is told how it does."""

    def __init__(self, server: Generator, circuit: Circuit) -> None:
        self.name = server.name
        self.asked = False
        self._server = server
        self._circuit = circuit

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **wishes: object
    ) -> Iterator[str]:
        self.asked = True
        told = self._circuit.untold
        try:
            yield from self._server.stream(messages, max_tokens, into, **wishes)  # type: ignore[arg-type]
            told = self._circuit.succeeded
        except ModelUnavailable as error:
            told = self._circuit.failed
            _log.warning("footnote: %s; the local model answers", error)
            raise Elsewhere(str(error)) from None
        finally:
            told()


class Writer:
    """The Generator of one answer: chosen when it is first asked, the same to the end of the `with`.

    `name` is empty before that. `local`: of two, not the server.
    """

    def __init__(self, load: Callable[[], Generator], local: bool = False) -> None:
        self.name = ""
        self._load = load
        self._local = local
        self._chosen: Generator | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def stream(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        into: Generation,
        *,
        adapted: bool = False,
        again: bool = False,
        withhold: str = "",
    ) -> Iterator[str]:
        """See `Generator`.

        Raises:
            Elsewhere: all that was written for this answer is void: write it with another, `local` one.
        """
        if self._chosen is None:
            loaded = self._load()
            if isinstance(loaded, Chooser):
                loaded = self._stack.enter_context(loaded.chosen(self._local))
            self._chosen, self.name = loaded, loaded.name
        yield from self._chosen.stream(
            messages, max_tokens, into, adapted=adapted, again=again, withhold=withhold
        )


def load_server(settings: Settings, open_local: Callable[[Settings], Generator]) -> Generator:
    """The generator that `settings` name where they name an `endpoint`.

    Raises:
        SettingsError: one of those settings is not what it should be.
    """
    server = EndpointGenerator(settings)
    if not settings.endpoint_failover:
        return server
    local = settings.model_copy(update={"endpoint": "", "model": settings.endpoint_failover})
    circuit = Circuit(settings.endpoint_failures, settings.endpoint_pause_s)
    return Failover(server, lambda: open_local(local), circuit, settings.endpoint_queue_s)
