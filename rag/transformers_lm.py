"""A CausalLM on transformers and torch: the reference path, for every model that transformers opens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag import adapter, convert
from rag.errors import ModelError
from rag.generate import Logits, generator_name
from rag.hardware import has_native_bf16, thread_count
from rag.prefix import State, fingerprint
from rag.settings import Settings

__all__ = ["TransformersLM"]


class TransformersLM:
    """Opens a folder as `save_pretrained` writes it. bf16 where the processor has it, else float32."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        if not settings.allow_network:
            convert.offline()
        import torch
        from transformers import AutoModelForCausalLM, DynamicCache
        from transformers import __version__ as version

        threads = thread_count(settings.threads)
        torch.set_num_threads(threads)
        dtype = torch.bfloat16 if has_native_bf16() else torch.float32
        try:
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, local_files_only=True, use_safetensors=True
            ).eval()
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder}: transformers can't open it: {error}") from error
        chosen = adapter.find(settings.adapter, settings.model)
        loaded = adapter.load(chosen) if chosen else None
        self._gate = adapter.attach_torch(self._model, loaded) if loaded else None
        files = [*sorted(folder.glob("*.safetensors")), folder / "config.json"]
        adapted_by = loaded and loaded.name
        self.fingerprint = fingerprint(
            files, adapted_by, str(dtype), threads, torch.__version__, version
        )
        self.adapted = False
        self.name = generator_name(settings)
        self.length = 0
        self._new_cache = DynamicCache
        self._cache: Any = DynamicCache()

    def forward(self, ids: Sequence[int]) -> Logits:
        import torch

        if self._gate:
            self._gate.on = self.adapted
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([list(ids)]),
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=min(len(ids), convert.LOGITS_KEPT),
            )
        self._cache = output.past_key_values
        self.length += len(ids)
        logits: Logits = output.logits[0].float().numpy()
        return logits

    def truncate(self, length: int) -> None:
        if length >= self.length:
            return
        if length == 0:
            self._cache = self._new_cache()
        else:
            self._cache.crop(length - self.length)  # how many to forget, as a negative number
        self.length = length

    def state(self) -> State:
        import torch

        # NumPy has no bfloat16: the bits travel as integers.
        halves = {2: torch.int16, 4: torch.int32}
        return {
            f"{at}.{half}": tensor.contiguous().view(halves[tensor.element_size()]).numpy()
            for at, layer in enumerate(self._cache.layers)
            for half, tensor in (("keys", layer.keys), ("values", layer.values))
        }

    def restore(self, state: State, length: int) -> None:
        import torch

        self._cache = self._new_cache()
        dtype = self._model.dtype
        for at in range(len(state) // 2):
            keys, values = (
                torch.from_numpy(state[f"{at}.{half}"].copy()).view(dtype)
                for half in ("keys", "values")
            )
            self._cache.update(keys, values, at)
        self.length = length
