"""A low-rank adapter beside a causal model's weights, switched on or off for each prompt.

LoRA (Hu et al. 2021): a linear layer y = Wx becomes y = Wx + s B(Ax), with A of shape (rank, in) and
B of shape (out, rank). The matrices stay apart from W, whatever W is stored in, so one copy of the
weights serves the plain model and the adapted one, and the product costs a few thousandths more.

A file holds float16 tensors `layers.N.PROJECTION.a` and `.b`, and `scale` in its metadata.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.errors import ModelError

__all__ = ["Adapter", "PROJECTIONS", "attach_openvino", "attach_torch", "find", "load", "save"]

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
_PER_LAYER = 7  # q, k, v, o, gate, up, down

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Adapter:
    """`matrices[layer, projection]` is the pair A (rank, in), B (out, rank)."""

    scale: float
    matrices: dict[tuple[int, str], tuple[Matrix, Matrix]]
    name: str = ""


def find(name: str, model: str) -> Path | None:
    """The file of an adapter: `auto` is the one that comes with the program for `model`, if any.

    Raises:
        ModelError: there is no such file.
    """
    if not name:
        return None
    shipped = Path(__file__).resolve().parent / "adapters" / f"{model}-reader.safetensors"
    if name == "auto":
        return shipped if shipped.is_file() else None
    path = Path(name).expanduser()
    if not path.is_file():
        raise ModelError(
            f'adapter {name}: no such file: set adapter to "auto", or to "" for the plain model'
        )
    return path


def load(path: Path) -> Adapter:
    """Read a file; its name carries the start of its SHA-256.

    Raises:
        ModelError: it is no adapter.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            scale = float((file.metadata() or {})["scale"])
            tensors = {key: file.get_tensor(key).astype(np.float32) for key in file.keys()}  # noqa: SIM118
        matrices = {}
        for key in sorted(tensors):
            _, layer, projection, half = key.split(".")
            if half == "a":
                pair = (tensors[key], tensors[key[:-1] + "b"])
                matrices[int(layer), projection] = pair
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path}: is no adapter ({error}): set adapter to another file") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return Adapter(scale, matrices, f"{path.stem}-{digest}")


def save(adapter: Adapter, path: Path) -> None:
    """Write in float16."""
    from safetensors.numpy import save_file

    tensors = {}
    for (layer, projection), (a, b) in adapter.matrices.items():
        tensors[f"layers.{layer}.{projection}.a"] = a.astype(np.float16)
        tensors[f"layers.{layer}.{projection}.b"] = b.astype(np.float16)
    save_file(tensors, path, metadata={"scale": repr(adapter.scale)})


def attach_torch(model: Any, adapter: Adapter) -> Any:
    """Put the adapter beside a transformers model's projections; the gate returned has `.on`."""
    import torch

    class Gate:
        on = True

    gate = Gate()

    class Adapted(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, base: Any, a: Matrix, b: Matrix) -> None:
            super().__init__()
            dtype = base.weight.dtype
            self.base = base
            self.a = torch.nn.Parameter(torch.tensor(a, dtype=dtype))
            self.b = torch.nn.Parameter(torch.tensor(b, dtype=dtype))

        def forward(self, x: Any) -> Any:
            y = self.base(x)
            if gate.on:
                y = y + ((x @ self.a.T) @ self.b.T) * adapter.scale
            return y

    for (layer, projection), (a, b) in adapter.matrices.items():
        try:
            attention = model.model.layers[layer].self_attn
            base = getattr(attention, projection)
            shape = (a.shape[1], b.shape[0])
            if shape != (base.in_features, base.out_features):
                raise IndexError
        except (AttributeError, IndexError):
            raise _misfit(adapter) from None
        setattr(attention, projection, Adapted(base, a, b))
    return gate


def attach_openvino(model: Any, adapter: Adapter) -> None:
    """Put the adapter into an IR made by `rag.convert`, with an input `adapter`: 1.0 on, 0.0 off."""
    from openvino import opset13 as ops

    products = _weighted_products(model)
    gate = ops.parameter([], np.float32, name="adapter")
    gate.output(0).set_names({"adapter"})
    for (layer, projection), (a, b) in adapter.matrices.items():
        at = layer * _PER_LAYER + PROJECTIONS.index(projection)
        if at >= len(products):
            raise _misfit(adapter)
        node = products[at]
        shape = node.input_value(1).get_partial_shape()
        if (shape[0].get_length(), shape[1].get_length()) != (b.shape[0], a.shape[1]):
            raise _misfit(adapter)
        users = list(node.output(0).get_target_inputs())
        low = ops.matmul(node.input_value(0), ops.constant(a), False, True)
        high = ops.matmul(low, ops.constant(b * np.float32(adapter.scale)), False, True)
        total = ops.add(node, ops.multiply(high, gate))
        for user in users:
            user.replace_source_output(total.output(0))
    model.add_parameters([gate])
    model.validate_nodes_and_infer_types()


def _weighted_products(model: Any) -> list[Any]:
    """The products with a weight matrix, in the order in which they were made: layer by layer."""
    found = [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == "MatMul"
        and node.input_value(1).get_partial_shape().is_static
        and node.input_value(1).get_node().get_type_name() != "Transpose"
        and len(node.input_value(1).get_partial_shape()) == 2
    ]
    return sorted(found, key=lambda node: int(node.get_friendly_name().rpartition("_")[2]))


def _misfit(adapter: Adapter) -> ModelError:
    return ModelError(
        f'adapter {adapter.name} was not made for this model: set adapter to "", or name another'
    )
