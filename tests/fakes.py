"""Stand-ins for the two models: small, exact and scripted. Everything else in the tests is real."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rag.embed import Embedding, Vectors
from rag.generate import Generation, Message
from rag.sentences import Span
from rag.words import content_stems, words

DIMENSIONS = 64
TRUSTING: dict[str, Any] = {"refuse_below": 0.0, "search_gate": 0.0, "rival_closeness": 1.01}
"""Settings with which nothing is refused for its probability, and no other source is asked."""


@cache
def _direction(stem: str) -> Vectors:
    """A fixed random direction for a stem: different stems are nearly at right angles."""
    seed = int.from_bytes(hashlib.sha256(stem.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)


def bag_vector(text: str) -> Vectors:
    """The sum of the directions of a text's content stems, of length 1; shape (64,), float32."""
    stems = content_stems(text) or words(text) or [""]
    total = np.sum([_direction(stem) for stem in stems], axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


class HashEmbedder:
    """An `rag.embed.Embedder` without a model. `calls` holds every list of texts it was given."""

    name = "hash"
    dimensions = DIMENSIONS

    def __init__(self, max_tokens: int = 256) -> None:
        self.max_tokens = max_tokens
        self.calls: list[list[str]] = []

    def count(self, texts: Sequence[str]) -> list[int]:
        return [count_tokens(text) for text in texts]

    def embed(
        self,
        texts: Sequence[str],
        contexts: Sequence[str] = (),
        spans: Sequence[Sequence[Span]] = (),
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Embedding]:
        self.calls.append(list(texts))
        found = []
        for at, text in enumerate(texts):
            context = contexts[at] if len(contexts) else ""
            places = spans[at] if len(spans) else ()
            sentences = [bag_vector(text[start:end]) for start, end in places]
            shaped = np.array(sentences, np.float32).reshape(len(places), DIMENSIONS)
            found.append(Embedding(bag_vector(f"{context} {text}"), shaped))
            progress(at + 1)
        return found

    @property
    def embedded(self) -> int:
        """How many texts were embedded so far."""
        return sum(len(call) for call in self.calls)


def count_tokens(text: str) -> int:
    """Words in pieces of four characters at most, and every other visible character by itself."""
    return len(re.findall(r"\w{1,4}|[^\w\s]", text))


class ScriptedGenerator:
    """An `rag.generate.Generator` that says what it is told to, one reply after the other.

    A reply that is an exception is raised. A pair is what it says to a question's short form and, asked
    `again`, to the next one; a plain reply serves for both. `again`, where set, holds what it says to
    further forms in turn. `unanswerable` is the probability that it
    gives for the reply that is to be withheld. `messages` and `limits` record what was asked;
    `stopped` counts the replies that were closed before their end.
    """

    name = "scripted"

    def __init__(
        self,
        *replies: str | tuple[str, str] | Exception,
        logprob: float = -0.05,
        unanswerable: float = 0.02,
    ) -> None:
        self.replies = list(replies)
        self.unanswerable = unanswerable
        self.again: list[str] = []
        self._next = ""
        self.messages: list[list[Message]] = []
        self.limits: list[int] = []
        self.stopped = 0
        self._logprob = logprob

    def _reply(self, again: bool) -> str | tuple[str, str] | Exception:
        if again and self.again:
            return self.again.pop(0)
        return self._next if again else self.replies.pop(0)

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
        self.messages.append(list(messages))
        self.limits.append(max_tokens)
        reply: Any = self._reply(again)
        if isinstance(reply, Exception):
            raise reply
        reply, self._next = reply if isinstance(reply, tuple) else (reply, reply)
        if withhold:
            into.withheld = self.unanswerable
        into.prompt_tokens = sum(count_tokens(one["content"]) for one in messages)
        into.first_token_s = 0.001
        try:
            for piece in re.findall(r"\s*\S+", reply)[:max_tokens]:
                into.text += piece
                into.generated_tokens += 1
                into.logprobs.append(self._logprob)
                yield piece
        except GeneratorExit:
            self.stopped += 1
            raise


CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROL = {"<|im_start|>": 256, "<|im_end|>": 257, "</s>": 258}


def save_byte_tokenizer(folder: Path) -> Path:
    """The files of a chat tokenizer whose tokens are the 256 bytes and `CONTROL`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: n for n, letter in enumerate(letters)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(name, special=True) for name in CONTROL])
    inner.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder
