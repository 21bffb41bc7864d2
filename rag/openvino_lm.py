"""A CausalLM on OpenVINO: 8-bit weights, any x86 or Arm processor, no torch at run time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag import adapter
from rag.errors import ModelError
from rag.generate import Logits, generator_name
from rag.hardware import thread_count
from rag.prefix import State, fingerprint
from rag.quantize import GROUP
from rag.settings import Settings

__all__ = ["OpenVinoLM"]


class OpenVinoLM:
    """Opens a folder with `model.xml` (or `openvino_model.xml`): a stateful decoder in OpenVINO's IR.

    The state holds keys and values, shape (1, heads, tokens, size); to forget tokens is to cut it.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        import openvino

        file = next(
            (f for n in ("model", "openvino_model") if (f := folder / f"{n}.xml").is_file()), None
        )
        if file is None:
            raise ModelError(f"{folder}: holds no OpenVINO model: set runtime to transformers")
        properties = {
            "INFERENCE_NUM_THREADS": thread_count(settings.threads),
            "PERFORMANCE_HINT": "LATENCY",
            # Where the processor multiplies 8-bit numbers (VNNI, AMX), what a token's weights are
            # multiplied by is rounded to 8 bits too, as many numbers to a scale as the weights have.
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": str(GROUP),
            # The default stores keys and values in 8 bits: cutting the state would round them again.
            "KV_CACHE_PRECISION": "f32",
        }
        self.adapted = False
        chosen = adapter.find(settings.adapter, settings.model)
        loaded = adapter.load(chosen) if chosen else None
        try:
            core = openvino.Core()
            model = core.read_model(file)
            if loaded:
                adapter.attach_openvino(model, loaded)
            compiled = core.compile_model(model, "CPU", properties)
        except RuntimeError as error:
            raise ModelError(f"{file}: OpenVINO can't open it: {error}") from error
        self.name = generator_name(settings)
        files = [file, file.with_suffix(".bin")]
        adapted_by = loaded and loaded.name
        self.fingerprint = fingerprint(files, adapted_by, properties, openvino.__version__)
        self.length = 0
        self._has_gate = loaded is not None
        self._request = compiled.create_infer_request()

    def forward(self, ids: Sequence[int]) -> Logits:
        count = len(ids)
        inputs = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, self.length + count), np.int64),
            "position_ids": np.arange(self.length, self.length + count, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        if self._has_gate:
            inputs["adapter"] = np.array(float(self.adapted), np.float32)
        logits: Logits = self._request.infer(inputs)["logits"][0]
        self.length += count
        return logits.copy()

    def truncate(self, length: int) -> None:
        import openvino

        if length >= self.length:
            return
        if length == 0:
            self._request.reset_state()
        else:
            for state in self._request.query_state():
                kept = np.ascontiguousarray(state.state.data[:, :, :length, :])
                state.state = openvino.Tensor(kept)
        self.length = length

    def state(self) -> State:
        return {state.name: state.state.data.copy() for state in self._request.query_state()}

    def restore(self, state: State, length: int) -> None:
        import openvino

        for one in self._request.query_state():
            one.state = openvino.Tensor(np.ascontiguousarray(state[one.name]))
        self.length = length
