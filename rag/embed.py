"""Texts -> unit vectors, for whole passages and for each sentence in them, in one forward pass.

A sentence's vector is the mean of its tokens' outputs *within* its passage ("late chunking",
Günther et al. 2024, arXiv:2409.04701): it costs nothing beyond the passage and knows what "it"
refers to. Vectors are float32 and of length 1, so an inner product is a cosine.
"""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rag import convert
from rag.errors import ModelError
from rag.hardware import has_native_bf16, pick_runtime, thread_count
from rag.sentences import Span
from rag.settings import Settings

__all__ = ["Embedder", "Embedding", "TokenEncoder", "Vectors", "load_embedder"]

Vectors = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]

_MULTIPLE = 8  # of tokens a row is padded to: see `TokenEncoder`


@dataclass(frozen=True, slots=True)
class Embedding:
    """`passage`: shape (d,). `sentences`: shape (number of spans given, d)."""

    passage: Vectors
    sentences: Vectors


class Embedder(Protocol):
    """What indexing and retrieval need of an embedder."""

    name: str
    dimensions: int
    max_tokens: int

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text takes, without special tokens."""
        ...

    def embed(
        self,
        texts: Sequence[str],
        contexts: Sequence[str] = (),
        spans: Sequence[Sequence[Span]] = (),
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Embedding]:
        """Embed each text behind its context; `spans` are sentences, in offsets of the text.

        `progress` is called with the number of texts done so far.
        """
        ...


Batch = tuple[Tokens, Tokens]
"""Token ids and attention mask, each (rows, length)."""

Forward = Callable[[Sequence[Batch]], Generator[Vectors]]
"""Batches -> the token outputs of each, (rows, length, d), in their order.

An output may be overwritten once the next one is asked for.
"""


class TokenEncoder:
    """An Embedder from a `tokenizer.json` and a forward pass, with mean pooling.

    Texts of like length share a batch of about `batch_tokens`. Rows are padded to a multiple of
    eight, so that sums over them split at the same places whatever else is in the batch: then a
    text has the same vector, to the bit, alone and among others where it is computed in float32.
    """

    def __init__(
        self,
        name: str,
        tokenizer_file: Path,
        forward: Forward,
        dimensions: int,
        max_tokens: int,
        batch_tokens: int = 2048,
    ) -> None:
        from tokenizers import Tokenizer

        self.name = name
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self._forward = forward
        self._batch_tokens = batch_tokens
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def count(self, texts: Sequence[str]) -> list[int]:
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(one.ids) for one in encoded]

    def embed(
        self,
        texts: Sequence[str],
        contexts: Sequence[str] = (),
        spans: Sequence[Sequence[Span]] = (),
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Embedding]:
        heads = [f"{context}\n" if context else "" for context in contexts] or [""] * len(texts)
        encoded = self._tokenizer.encode_batch(
            [head + text for head, text in zip(heads, texts, strict=True)]
        )
        groups = self._groups(np.array([len(one.ids) for one in encoded], np.int64))
        batches = [self._padded([encoded[item].ids for item in group]) for group in groups]
        results: list[Embedding | None] = [None] * len(texts)
        done = 0
        outputs = self._forward(batches) if batches else _nothing()
        with contextlib.closing(outputs):
            for group, (_, mask), output in zip(groups, batches, outputs, strict=True):
                for row, item in enumerate(group):
                    size = int(mask[row].sum())
                    wanted = spans[item] if len(spans) else ()
                    shift = len(heads[item])
                    places = [(start + shift, end + shift) for start, end in wanted]
                    offsets = np.array(encoded[item].offsets[:size]).reshape(-1, 2)
                    results[item] = _pool(output[row, :size], offsets, places)
                done += len(group)
                progress(done)
        return [one for one in results if one is not None]

    def _groups(self, lengths: Tokens) -> list[Tokens]:
        """Which texts share a batch. Longest first: little padding, and memory peaks at once."""
        order = np.argsort(-lengths, kind="stable")
        groups = []
        while len(order):
            longest = max(1, min(int(lengths[order[0]]), self.max_tokens))
            rows = max(1, self._batch_tokens // longest)
            groups.append(order[:rows])
            order = order[rows:]
        return groups

    def _padded(self, rows: Sequence[Sequence[int]]) -> Batch:
        """Ids and mask of texts, those too long cut before their last token."""
        longest = -(-max(len(row) for row in rows) // _MULTIPLE) * _MULTIPLE
        ids = np.zeros((len(rows), min(longest, self.max_tokens)), np.int64)
        mask = np.zeros_like(ids)
        for at, row in enumerate(rows):
            kept = row if len(row) <= self.max_tokens else [*row[: self.max_tokens - 1], row[-1]]
            ids[at, : len(kept)] = kept
            mask[at, : len(kept)] = 1
        return ids, mask


def _nothing() -> Generator[Vectors]:
    yield from ()


def _pool(outputs: Vectors, offsets: npt.NDArray[np.int64], spans: Sequence[Span]) -> Embedding:
    whole = _unit(outputs.mean(axis=0))
    sentences = np.tile(whole, (len(spans), 1))
    real = offsets[:, 1] > offsets[:, 0]
    for at, (start, end) in enumerate(spans):
        inside = real & (offsets[:, 0] >= start) & (offsets[:, 1] <= end)
        if inside.any():
            sentences[at] = _unit(outputs[inside].mean(axis=0))
    return Embedding(whole, sentences.astype(np.float32))


def _unit(vector: Vectors) -> Vectors:
    return (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)


def load_embedder(settings: Settings) -> Embedder:
    """The embedder that `settings` name, on the runtime that suits this processor.

    Raises:
        ModelError: it is not there or can't be opened.
    """
    name = settings.embedder
    folder = convert.packaged_encoder(name) if name == "minilm" else Path(name).expanduser()
    if pick_runtime(settings.runtime) == "openvino" and name == "minilm":
        return _openvino_encoder(name, folder, settings)
    if not folder.is_dir() and not settings.allow_network:
        raise ModelError(
            f"embedder {name}: no such folder: set 'embedder' to a sentence-transformers folder, or "
            "allow_network = true to fetch it from a hub"
        )
    return _torch_encoder(name, str(folder) if folder.is_dir() else name, settings)


def _openvino_encoder(name: str, folder: Path, settings: Settings) -> Embedder:
    import openvino

    made = convert.encoder_folder(folder, name, settings.cache)
    core = openvino.Core()
    threads = thread_count(settings.threads)

    @functools.cache
    def compiled(streams: int) -> Any:
        properties = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams}
        return core.compile_model(made / "model.xml", "CPU", properties)

    compiled(1)  # opened now: a question should not wait for it

    def forward(batches: Sequence[Batch]) -> Generator[Vectors]:
        # A batch alone, as a question is, gets every thread. Of many each gets one thread: threads
        # that share a product wait for each other.
        streams = threads if len(batches) > 1 else 1
        return _several_at_once(compiled(streams), batches, 2 * streams)

    return TokenEncoder(name, made / "tokenizer.json", forward, 384, 256, batch_tokens=1024)


def _several_at_once(compiled: Any, batches: Sequence[Batch], most: int) -> Generator[Vectors]:
    """The outputs of an OpenVINO model in order, while up to `most` further ones are under way."""
    busy: deque[Any] = deque()
    try:
        for ids, mask in batches:
            if len(busy) < most:
                request = compiled.create_infer_request()
            else:
                request = busy.popleft()
                request.wait()
                yield request.get_output_tensor(0).data
            types = np.zeros_like(ids)
            request.start_async({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
            busy.append(request)
        while busy:
            request = busy.popleft()
            request.wait()
            yield request.get_output_tensor(0).data
    finally:
        for request in busy:  # one that is freed while it runs takes the process with it
            with contextlib.suppress(RuntimeError):
                request.wait()


def _torch_encoder(name: str, source: str, settings: Settings) -> Embedder:
    if not settings.allow_network:
        convert.offline()
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(thread_count(settings.threads))
    try:
        model = SentenceTransformer(
            source, device="cpu", local_files_only=not settings.allow_network
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"embedder {name}: can't be opened: {error}") from error
    model.eval()
    if has_native_bf16():
        model.bfloat16()
    backbone = model[0].auto_model
    takes_types = "token_type_ids" in model.tokenizer.model_input_names

    def forward(batches: Sequence[Batch]) -> Generator[Vectors]:
        for ids, mask in batches:
            tokens, seen = torch.from_numpy(ids), torch.from_numpy(mask)
            extra = {"token_type_ids": torch.zeros_like(tokens)} if takes_types else {}
            with torch.inference_mode():
                outputs = backbone(input_ids=tokens, attention_mask=seen, **extra)
            yield outputs.last_hidden_state.float().numpy()

    tokenizer_file = Path(source) / "tokenizer.json"
    if not tokenizer_file.is_file():
        raise ModelError(f"embedder {name}: has no tokenizer.json: save it with a fast tokenizer")
    dimensions = int(model.get_embedding_dimension() or 0)
    return TokenEncoder(name, tokenizer_file, forward, dimensions, int(model.max_seq_length or 256))
