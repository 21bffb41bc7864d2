"""A Generator on any server that speaks OpenAI's chat completions (vLLM, llama.cpp, Ollama).

Used only where `endpoint` is set; nothing else in Footnote opens a connection.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rag.errors import ModelError
from rag.generate import Generation, Message

__all__ = ["EndpointGenerator"]

_CONNECT_S, _SILENCE_S = 10.0, 120.0
_LONGEST_LINE = 1_000_000


class EndpointGenerator:
    """Streams from `endpoint` (the base URL, with `/v1` if the server has it), greedy.

    Control tokens in retrieved text are the server's to neutralise: it applies the chat template.
    """

    concurrent = True
    """Several threads may use it at once."""

    def __init__(self, endpoint: str, model: str, key: str = "") -> None:
        self.name = f"{model} ({endpoint})"
        self._url = endpoint.rstrip("/") + "/chat/completions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def stream(
        self, messages: Sequence[Message], max_tokens: int, into: Generation, **ignored: object
    ) -> Iterator[str]:
        """See `Generator`; a server has no adapter and withholds nothing.

        Raises ModelError for every way in which a server can fail.
        """
        import httpx

        started = time.perf_counter()
        body = {
            "model": self._model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        limits = httpx.Timeout(_SILENCE_S, connect=_CONNECT_S)
        try:
            with (
                httpx.Client(timeout=limits, trust_env=False) as client,
                client.stream("POST", self._url, json=body, headers=self._headers) as response,
            ):
                if response.status_code != 200:
                    detail = response.read()[:300].decode("utf-8", "replace")
                    raise ModelError(
                        f"{self._url}: answers {response.status_code} ({' '.join(detail.split())}): "
                        "check endpoint, endpoint_key and model"
                    )
                for event in _events(response.iter_bytes()):
                    piece = self._piece(event, into)
                    if piece:
                        if into.first_token_s is None:
                            into.first_token_s = time.perf_counter() - started
                        into.text += piece
                        yield piece
        except httpx.HTTPError as error:
            raise ModelError(
                f"{self._url}: {type(error).__name__} {error}: is the server running? check 'endpoint'"
            ) from None

    def _piece(self, event: dict[str, Any], into: Generation) -> str:
        if event.get("error"):
            raise ModelError(f"{self._url}: reports an error: {str(event['error'])[:300]}")
        usage = event.get("usage") or {}
        into.prompt_tokens = int(usage.get("prompt_tokens") or into.prompt_tokens)
        into.generated_tokens = int(usage.get("completion_tokens") or into.generated_tokens)
        choices = event.get("choices") or []
        delta = (choices[0].get("delta") or {}) if choices else {}
        content = delta.get("content")
        return content if isinstance(content, str) else ""


def _events(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Server-sent events, split at line feeds alone: U+2028 inside a JSON string is no line end."""
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        if len(buffer) > _LONGEST_LINE:
            raise ModelError("the model server sends a line without an end: is it a chat endpoint?")
        for line in lines:
            text = line.strip().decode("utf-8", "replace")
            if not text.startswith("data:"):
                # A server that fails before streaming may answer 200 with a bare JSON error.
                if text.startswith("{"):
                    yield _parsed(text)
                continue
            payload = text[5:].strip()
            if payload == "[DONE]":
                return
            if payload:
                yield _parsed(payload)
    if buffer.strip().startswith(b"{"):
        yield _parsed(buffer.decode("utf-8", "replace"))


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise ModelError(
            f"the model server sends something that is not JSON: {text[:100]!r}"
        ) from None
    return value if isinstance(value, dict) else {}
