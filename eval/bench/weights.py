"""How much a converted model multiplies and reads: from the files that a runtime opens."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from eval.bench.figures import Weights

__all__ = ["weights_of"]

_BITS = {
    **{"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I8": 8, "U8": 8},  # safetensors
    **{"f32": 32, "f16": 16, "bf16": 16, "i8": 8, "u8": 8, "i4": 4, "u4": 4, "nf4": 4},  # OpenVINO
}
_FEWEST = 10_000  # values of a matrix: biases, norms and constants of the graph have less

Matrix = tuple[tuple[int, ...], int]
"""Shape, and bits of a value."""


def weights_of(folder: Path) -> Weights | None:
    """The weights of an IR or of safetensors files; None where there is neither.

    The matrices with most rows are the vocabulary's: the largest of them is the head, another one
    is a table that rows are looked up in.
    """
    irs = [*folder.glob("model.xml"), *folder.glob("openvino_model.xml")]
    tensors = sorted(folder.glob("*.safetensors"))
    if irs:
        matrices = list(_of_ir(irs[0]))
        size = irs[0].with_suffix(".bin").stat().st_size
    elif tensors:
        matrices = [one for file in tensors for one in _of_safetensors(file)]
        size = sum(file.stat().st_size for file in tensors)
    else:
        return None
    most = max(shape[0] for shape, _ in matrices)
    words = sorted(math.prod(shape) * bits // 8 for shape, bits in matrices if shape[0] == most)
    counts = [math.prod(shape) for shape, _ in matrices if shape[0] == most]
    layers = sum(math.prod(shape) for shape, _ in matrices if shape[0] != most)
    return Weights(layers, max(counts), size - sum(words[:-1]))


def _of_ir(file: Path) -> Iterator[Matrix]:
    """Quantised matrices have the shape (rows, groups, group); scales and zeros have groups of 1."""
    from lxml import etree

    for _, layer in etree.iterparse(str(file), tag="layer", resolve_entities=False):
        data = layer.find("data")
        if layer.get("type") == "Const" and data is not None:
            shape = tuple(int(n) for n in data.get("shape", "").split(",") if n.strip())
            bits = _BITS.get(data.get("element_type", ""))
            if bits and len(shape) > 1 and shape[-1] > 1 and math.prod(shape) >= _FEWEST:
                yield shape, bits
        layer.clear()


def _of_safetensors(file: Path) -> Iterator[Matrix]:
    """The header: eight bytes of length, then JSON."""
    with file.open("rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    for name, tensor in header.items():
        if name != "__metadata__" and len(tensor["shape"]) > 1:
            yield tuple(tensor["shape"]), _BITS[tensor["dtype"]]
