"""Texts -> unit vectors, for whole passages and for each sentence in them, in one forward pass.

A sentence's vector is the mean of its tokens' outputs *within* its passage ("late chunking",
Günther et al. 2024, arXiv:2409.04701): it costs nothing beyond the passage and knows what "it"
refers to. Vectors are float32 and of length 1, so an inner product is a cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rag import convert
from rag.errors import ModelError
from rag.hardware import has_native_bf16, pick_runtime, thread_count
from rag.sentences import Span
from rag.settings import Settings

__all__ = ["Embedder", "Embedding", "TokenEncoder", "Vectors", "load_embedder"]

Vectors = npt.NDArray[np.float32]
_BATCH_TOKENS = 2048


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


Forward = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], Vectors]
"""(token ids, attention mask), each (batch, length) -> token outputs (batch, length, d)."""


class TokenEncoder:
    """An Embedder from a `tokenizer.json` and a forward pass, with mean pooling."""

    def __init__(
        self, name: str, tokenizer_file: Path, forward: Forward, dimensions: int, max_tokens: int
    ) -> None:
        from tokenizers import Tokenizer

        self.name = name
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self._forward = forward
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def count(self, texts: Sequence[str]) -> list[int]:
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
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
        lengths = np.array([min(len(one.ids), self.max_tokens) for one in encoded])
        # Longest first, so that a batch pads little and memory peaks at once rather than at the end.
        order = np.argsort(-lengths, kind="stable")
        results: list[Embedding | None] = [None] * len(texts)
        at = 0
        while at < len(order):
            longest = int(lengths[order[at]])
            rows = order[at : at + max(1, _BATCH_TOKENS // longest)]
            at += len(rows)
            ids = np.zeros((len(rows), longest), np.int64)
            mask = np.zeros_like(ids)
            for row, item in enumerate(rows):
                found = encoded[item].ids
                kept = found if len(found) <= longest else [*found[: longest - 1], found[-1]]
                ids[row, : len(kept)] = kept
                mask[row, : len(kept)] = 1
            outputs = self._forward(ids, mask)
            for row, item in enumerate(rows):
                size = int(mask[row].sum())
                wanted = spans[item] if len(spans) else ()
                shift = len(heads[item])
                places = [(start + shift, end + shift) for start, end in wanted]
                offsets = np.array(encoded[item].offsets[:size]).reshape(-1, 2)
                results[item] = _pool(outputs[row, :size], offsets, places)
            progress(at)
        return [one for one in results if one is not None]


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
    properties = {"INFERENCE_NUM_THREADS": thread_count(settings.threads)}
    compiled = core.compile_model(made / "model.xml", "CPU", properties)
    request = compiled.create_infer_request()

    def forward(ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        outputs: Vectors = request.infer(inputs)[0]
        return outputs

    return TokenEncoder(name, made / "tokenizer.json", forward, 384, 256)


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

    def forward(ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        tokens, seen = torch.from_numpy(ids), torch.from_numpy(mask)
        extra = {"token_type_ids": torch.zeros_like(tokens)} if takes_types else {}
        with torch.inference_mode():
            outputs = backbone(input_ids=tokens, attention_mask=seen, **extra).last_hidden_state
        array: Vectors = outputs.float().numpy()
        return array

    tokenizer_file = Path(source) / "tokenizer.json"
    if not tokenizer_file.is_file():
        raise ModelError(f"embedder {name}: has no tokenizer.json: save it with a fast tokenizer")
    dimensions = int(model.get_embedding_dimension() or 0)
    return TokenEncoder(name, tokenizer_file, forward, dimensions, int(model.max_seq_length or 256))
