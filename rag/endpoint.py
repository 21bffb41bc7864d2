"""A Generator on any server that speaks OpenAI's chat completions (vLLM, llama.cpp, Ollama …).

Used only where `endpoint` is set; nothing else in Footnote opens a connection. A reply is whole, or an
error: one that breaks off is asked for again, and goes on only where the new one begins with all that
was given already, as greedy decoding makes it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from rag.completion import Completion
from rag.errors import ModelError, ModelUnavailable, SettingsError
from rag.generate import Generation, Message
from rag.modelserver import Reply, model_server
from rag.retry import Backoff, Clock, Passing
from rag.settings import Settings
from rag.sse import events

__all__ = ["EndpointGenerator"]


class EndpointGenerator:
    """Streams from `endpoint`, greedy. Safe to use from several threads.

    Control tokens in retrieved text are the server's to neutralise: it applies the chat template.

    Raises:
        SettingsError: a setting that begins with `endpoint` is not what it should be.
    """

    concurrent = True
    """Several threads may use it at once."""

    def __init__(self, settings: Settings) -> None:
        self.name = f"{settings.model} ({settings.endpoint})"
        self._settings = settings
        self._server = model_server(settings)
        try:
            self._extra = json.loads(json.dumps(settings.endpoint_extra, allow_nan=False))
        except (TypeError, ValueError):
            raise SettingsError("endpoint_extra: holds what JSON can't") from None
        # Not every server knows these; one that refuses them is not sent them again.
        self._wishes: dict[str, Any] = {"stream_options": {"include_usage": True}, "logprobs": True}

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
        """See `Generator`; a server has no adapter. It gives the reply that is to be withheld like any
        other, but `into` says so.

        Raises:
            ModelBusy: too many requests are under way.
            ModelUnavailable: the server is away, overloaded, silent, or broke off.
            ModelError: it refuses the request, or what it sends is no reply.
        """
        with self._server.place():
            clock = Clock(self._settings)
            backoff = Backoff(self._settings, clock.ends)
            while True:
                try:
                    yield from self._attempt(list(messages), max_tokens, into, clock)
                    break
                except Passing as failure:
                    backoff.wait(failure)
                except ModelError as error:
                    if not self._wishes_less(str(error)):
                        raise type(error)(self._server.without_key(str(error))) from None
        if withhold and into.text.strip(" .\n").casefold() == withhold.casefold():
            into.withheld = math.exp(sum(into.logprobs))

    def _attempt(
        self, messages: list[Message], max_tokens: int, into: Generation, clock: Clock
    ) -> Iterator[str]:
        """One request; yields what `into.text` does not hold yet."""
        clock.ask()
        completion, url = Completion(), self._server.url
        try:
            with self._asked(messages, max_tokens, clock) as reply:
                for event in events(_chunks(reply, clock, completion)):
                    if completion.hear(event):
                        clock.heard()
                    if completion.ended:
                        clock.over()
                    self._check(completion)
                    yield from self._new(completion.text(), into, clock)
        except TimeoutError:
            raise ModelUnavailable(f"{url}: {clock.passed()}") from None
        if not completion.ended:
            if completion.known is False:
                raise ModelError(f"{url}: sends no chat completions: check 'endpoint'")
            raise Passing(f"{url}: the reply broke off")
        text = completion.text(ended=True)
        yield from self._new(text, into, clock)
        if len(text) < len(into.text):
            raise self._diverged()
        if completion.thoughts and not text.strip():
            raise ModelError(
                f"{url}: the model only thought, and wrote nothing in {max_tokens} tokens: take one "
                "that does not think, or switch it off with 'endpoint_extra'"
            )
        into.logprobs = completion.logprobs
        into.prompt_tokens = completion.prompt_tokens
        into.generated_tokens = completion.generated_tokens

    def _check(self, completion: Completion) -> None:
        """Raise what a reply says of itself, if it went wrong."""
        url = self._server.url
        if completion.error:
            code, message = completion.error
            raise self._server.failure(code, self._server.told(message))
        if completion.broken:
            raise Passing(f"{url}: the reply broke off ({completion.broken})")
        if completion.filtered:
            raise ModelError(f"{url}: the server's filter cut the reply")

    def _wishes_less(self, refusal: str) -> bool:
        """Whether there is something that was refused by name and can be left out."""
        refused = [name for name in self._wishes if name in refusal]
        self._wishes = {key: one for key, one in self._wishes.items() if key not in refused}
        return bool(refused)

    def _asked(
        self, messages: list[Message], max_tokens: int, clock: Clock
    ) -> AbstractContextManager[Reply]:
        body = {
            "model": self._settings.model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
        }
        return self._server.ask(
            "/chat/completions", body | self._wishes | self._extra, clock.left()
        )

    def _new(self, text: str, into: Generation, clock: Clock) -> Iterator[str]:
        """What `text` has more than was given; it has to begin with that."""
        given = into.text
        if not (text.startswith(given) or given.startswith(text)):
            raise self._diverged()
        if len(text) > len(given):
            if into.first_token_s is None:
                into.first_token_s = time.monotonic() - clock.began
            into.text = text
            yield text[len(given) :]

    def _diverged(self) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self._server.url}: broke off in mid-reply, and began another one when asked again"
        )


def _chunks(reply: Reply, clock: Clock, completion: Completion) -> Iterator[bytes]:
    """The reply's bytes. All of them are read, so that the connection can be used again; those that
    come after its end may as well be missing."""
    while True:
        try:
            chunk = reply.read(clock.left())
        except (TimeoutError, Passing):
            if completion.ended:
                return
            raise
        if not chunk:
            return
        yield chunk
