"""Messages -> text, streamed: the Generator protocol, and greedy decoding on a local model.

Decoding is the same on every runtime, because it is done here over a `CausalLM` that only computes
logits: greedy, with prompt lookup (Saxena 2023: propose what followed the last words in the prompt,
keep what the model would have said itself), which suits answers that copy from their evidence. The
prompt's constant first part is computed once and kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rag import adapter, convert
from rag.errors import ModelError
from rag.hardware import has_native_bf16, pick_runtime
from rag.prefix import PrefixCache, State
from rag.settings import Settings

__all__ = [
    "CausalLM",
    "Generation",
    "Generator",
    "LocalGenerator",
    "Message",
    "generator_name",
    "load_generator",
]

Message = dict[str, str]
"""{"role": "system" | "user" | "assistant", "content": text}"""

Logits = npt.NDArray[np.float32]


@dataclass(slots=True)
class Generation:
    """What a generator did, filled in while it streams.

    `logprobs` holds the natural logarithm of each generated token's probability (end token included);
    empty where the generator can't tell. `withheld` is the probability that the reply would have
    been the one that was to be withheld; None where the generator can't tell.
    """

    text: str = ""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    first_token_s: float | None = None
    logprobs: list[float] = field(default_factory=list)
    withheld: float | None = None


class Generator(Protocol):
    """What the assistant needs of a model that writes."""

    name: str

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
        """Yield the reply piece by piece, and keep the record `into`.

        Closing the iterator stops the model. `adapted`: with the adapter, where there is one.
        `again`: these messages begin like the last ones, and what both share need not be read
        again, whichever way it was read. `withhold`: a reply not to be given; how probable it was
        goes into the record, and the best other one is given. A generator may ignore all three.

        Raises:
            ModelError: the model can't be reached or opened.
        """
        ...


class CausalLM(Protocol):
    """A model that has read some tokens and can read more."""

    name: str
    length: int
    adapted: bool
    """Whether the adapter is on for what is read next; without one, of no effect."""
    fingerprint: str
    """All that the numbers it computes depend on, besides tokens and `adapted`."""

    def forward(self, ids: Sequence[int]) -> Logits:
        """Read `ids`; logits after each of at least the last min(len(ids), 16), shape (n, vocab)."""
        ...

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        ...

    def state(self) -> State:
        """What it knows of all that it has read."""
        ...

    def restore(self, state: State, length: int) -> None:
        """Know that, and nothing else, as if it had read those `length` tokens."""
        ...


class ChatTokenizer:
    """`tokenizer.json` and a chat template, without the libraries that usually wrap them."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config_file = folder / "tokenizer_config.json"
        config = json.loads(config_file.read_text("utf-8")) if config_file.is_file() else {}
        template_file = folder / "chat_template.jinja"
        template = template_file.read_text("utf-8") if template_file.is_file() else None
        template = template or config.get("chat_template")
        if not isinstance(template, str):
            raise ModelError(
                f"{folder}: the model has no chat template: use an instruction-tuned model"
            )
        self._template = _compile(template)
        self._names = {
            name: value["content"] if isinstance(value, dict) else value
            for name in ("bos_token", "eos_token")
            if (value := config.get(name))
        }
        ends = {"<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>", self._names.get("eos_token")}
        found = (self._tokenizer.token_to_id(end) for end in ends if end)
        self.end_ids = frozenset(one for one in found if one is not None)
        turn_ends = (
            self._tokenizer.token_to_id(end) for end in ("<|im_end|>", "<|eot_id|>", "</s>")
        )
        self.end_of_turn = next(one for one in turn_ends if one is not None)
        self._control = [
            token.content for token in self._tokenizer.get_added_tokens_decoder().values()
        ]

    def neutralise(self, text: str) -> str:
        """Break up the model's control tokens in text that is data: they become plain characters."""
        for token in self._control:
            if token in text:
                text = text.replace(token, token[0] + " " + token[1:])
        return text

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The chat template over `messages`, opened for the assistant's turn, as token ids."""
        clean = [{**one, "content": self.neutralise(one["content"])} for one in messages]
        text = self._template.render(
            messages=clean, add_generation_prompt=True, tools=None, **self._names
        )
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, control tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def _compile(template: str) -> Any:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise ModelError(f"the model's chat template refuses these messages: {message}")

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    return environment.from_string(template)


class LocalGenerator:
    """A Generator over a CausalLM: greedy, deterministic, cancellable.

    What the model knows after a system message is kept in `prefixes`, where given; a prompt without
    one may begin with a document's text, which is nobody's to keep.
    """

    def __init__(
        self,
        model: CausalLM,
        tokenizer: ChatTokenizer,
        lookup_tokens: int,
        prefixes: PrefixCache | None = None,
    ) -> None:
        self.name = model.name
        self._prefixes = prefixes
        self.tokenizer = tokenizer
        self._model = model
        self._lookup_tokens = min(lookup_tokens, convert.LOGITS_KEPT - 1)
        self._prefix: list[int] = []
        self._prompt: list[int] = []

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
        started = time.perf_counter()
        ids = self.tokenizer.prompt_ids(messages)
        into.prompt_tokens = len(ids)
        if adapted != self._model.adapted and not again:
            self._forget()
        self._model.adapted = adapted
        logits = self._read_prompt(ids, messages, again)[-1:]
        if withhold:
            logits = self._withhold(logits, withhold, into)
        pending = ""
        written: list[int] = []
        for token, logprob in self._decode(ids, logits, max_tokens):
            into.logprobs.append(logprob)
            if into.first_token_s is None:
                into.first_token_s = time.perf_counter() - started
            if token in self.tokenizer.end_ids:
                break
            written.append(token)
            into.generated_tokens += 1
            text = self.tokenizer.decode(written)
            if text.endswith("\ufffd"):  # half of a character: the rest is in the next token
                continue
            pending, into.text = text[len(into.text) :], text
            if pending:
                yield pending

    def _withhold(self, logits: Logits, reply: str, into: Generation) -> Logits:
        """Note how probable the reply's first token is, and make it impossible."""
        first = self.tokenizer.encode(reply)[0]
        into.withheld = float(np.exp(_log_softmax(logits[-1], first)))
        logits = logits.copy()
        logits[-1, first] = -np.inf
        return logits

    def _forget(self) -> None:
        self._model.truncate(0)
        self._prefix, self._prompt = [], []

    def _read_prompt(self, ids: list[int], messages: Sequence[Message], again: bool) -> Logits:
        """Logits of the whole prompt, without reading once more what is known of it.

        That is the constant part (the system message) or, with `again`, all that the last prompt
        has in common with this one. A prompt that is asked for in the same way is always read in
        the same pieces, cached or not, so that the same question gives the same bits.
        """
        if again and self._prompt and self._model.length >= len(self._prompt):
            size = _common(self._prompt, ids)
        else:
            constant = self.tokenizer.prompt_ids([*messages[:1], {"role": "user", "content": ""}])
            size = _common(constant, ids)
            prefix = ids[:size]
            if self._prefix != prefix or self._model.length < size:
                self._forget()
                self._read_prefix(prefix, keep=messages[0]["role"] == "system")
                self._prefix = prefix
        self._model.truncate(size)
        self._prompt = ids
        return self._model.forward(ids[size:])

    def _read_prefix(self, prefix: list[int], keep: bool) -> None:
        """Know the constant part: by heart, or else by reading it."""
        if not prefix:
            return
        prefixes, adapted = self._prefixes if keep else None, self._model.adapted
        known = prefixes.get(prefix, adapted) if prefixes else None
        if known is not None:
            self._model.restore(known, len(prefix))
            return
        self._model.forward(prefix)
        if prefixes:
            prefixes.put(prefix, adapted, self._model.state())

    def _decode(
        self, prompt: list[int], logits: Logits, max_tokens: int
    ) -> Iterator[tuple[int, float]]:
        seen = list(prompt)
        made = 0
        while True:
            # `logits` holds one row for each token that is now certain to be next in turn.
            token = int(np.argmax(logits[-1]))
            yield token, _log_softmax(logits[-1], token)
            made += 1
            seen.append(token)
            if made >= max_tokens:
                return
            draft = _look_up(seen, min(self._lookup_tokens, max_tokens - made))
            length = self._model.length
            rows = self._model.forward([token, *draft])[-(len(draft) + 1) :]
            agreed = 0
            while agreed < len(draft) and int(np.argmax(rows[agreed])) == draft[agreed]:
                yield draft[agreed], _log_softmax(rows[agreed], draft[agreed])
                agreed += 1
                made += 1
            seen += draft[:agreed]
            self._model.truncate(length + 1 + agreed)
            if made >= max_tokens:
                return
            logits = rows[agreed : agreed + 1]


def _common(known: Sequence[int], ids: Sequence[int]) -> int:
    """How many tokens both begin with; the last of `ids` always has to be read."""
    size = 0
    while size < min(len(known), len(ids) - 1) and known[size] == ids[size]:
        size += 1
    return size


def _look_up(seen: list[int], limit: int) -> list[int]:
    """What followed the last three (or two) tokens where they last stood before."""
    for size in (3, 2):
        tail = seen[-size:]
        for at in range(len(seen) - size - 1, -1, -1):
            if seen[at : at + size] == tail:
                return seen[at + size : at + size + limit]
    return []


def _log_softmax(row: Logits, token: int) -> float:
    top = float(row.max())
    return float(row[token]) - top - float(np.log(np.exp(row - top, dtype=np.float64).sum()))


def generator_name(settings: Settings) -> str:
    """How answers name the model, its adapter and what runs it, known without opening it."""
    if settings.endpoint:
        return f"{settings.model} ({settings.endpoint})"
    file = adapter.find(settings.adapter, settings.model)
    name = f"{settings.model} + {file.stem}" if file else settings.model
    if pick_runtime(settings.runtime) == "openvino":
        return f"{name} (OpenVINO)"
    return f"{name} (transformers {'bf16' if has_native_bf16() else 'float32'})"


def load_generator(
    settings: Settings, note: Callable[[str], None] = lambda message: None
) -> Generator:
    """The generator that `settings` name. `note` is told of what takes long.

    Raises:
        ModelError: there is no such model, or it can't be opened.
    """
    if settings.endpoint:
        from rag.failover import load_server

        return load_server(settings, lambda local: load_generator(local, note))
    runtime = pick_runtime(settings.runtime)
    folder = convert.causal_lm_folder(
        settings.model, runtime, settings.cache, settings.allow_network
    )
    note(f"opening {settings.model} with {runtime}")
    if runtime == "openvino":
        from rag.openvino_lm import OpenVinoLM

        model: CausalLM = OpenVinoLM(folder, settings)
    else:
        from rag.transformers_lm import TransformersLM

        model = TransformersLM(folder, settings)
    prefixes = PrefixCache(settings.cache / "prefixes", model.fingerprint)
    return LocalGenerator(model, ChatTokenizer(folder), settings.lookup_tokens, prefixes)
