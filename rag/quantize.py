"""The weights of an OpenVINO decoder in 8 bits: quicker to unpack than the 4 bits of a GGUF.

On a processor without 4-bit instructions a product by few rows costs what it costs to unpack its
weights. A GGUF has a scale and an offset for every 32 (or 16) weights; here 128 share a scale and
none has an offset, so that a token takes .7 of the time and opening the model half, for a third more
memory. Each weight moves by at most 1/254 of the largest in its group. docs/log.md has the measures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GROUP", "in_8_bits", "to_8_bits"]

GROUP = 128
"""Weights that share a scale; a row whose length is no multiple of it has one scale."""

_ROWS = 8192  # unpacked at a time
_PACKED = ("Convert", "Reshape", "Multiply", "Subtract")  # from a product down to its constants


def in_8_bits(
    weights: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """Symmetric 8-bit values of a matrix (out, in), shape (out, groups, in a group), and their
    scales, shape (out, groups, 1): value times scale is the weight, nearly."""
    rows, width = weights.shape
    groups = weights.reshape(rows, -1, GROUP if width % GROUP == 0 else width)
    scales = (np.abs(groups).max(axis=2, keepdims=True) / 127).astype(np.float16)
    divisors = np.where(scales == 0, 1, scales).astype(np.float32)
    values = np.clip(np.rint(groups / divisors), -127, 127).astype(np.int8)
    return values, scales


def to_8_bits(model: Any) -> int:
    """Give every product of `model` whose weights are packed as a GGUF's 8-bit ones; how many."""
    from openvino import opset13 as ops

    changed = 0
    for node in model.get_ordered_ops():
        packed = _packed(node) if node.get_type_name() == "MatMul" else None
        if packed is None:
            continue
        blocks = [in_8_bits(weights) for weights in _unpacked(*packed)]
        values, scales = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        scaled = ops.multiply(ops.convert(ops.constant(values), np.float16), ops.constant(scales))
        shape = ops.constant(np.array([len(values), -1], np.int64))
        whole = ops.convert(ops.reshape(scaled, shape, False), np.float32)
        node.input(1).replace_source_output(whole.output(0))
        changed += 1
    model.validate_nodes_and_infer_types()
    return changed


def _packed(product: Any) -> tuple[Any, Any, Any] | None:
    """The constants that a product's weights are made of: (values - offsets) * scales."""
    node, seen = product.input_value(1).get_node(), {}
    for kind in _PACKED:
        if node.get_type_name() != kind:
            return None
        seen[kind], node = node, node.input_value(0).get_node()
    offsets, scales = (seen[kind].input_value(1).get_node() for kind in ("Subtract", "Multiply"))
    return _behind_conversion(node), _behind_conversion(offsets), _behind_conversion(scales)


def _behind_conversion(node: Any) -> Any:
    return node.input_value(0).get_node() if node.get_type_name() == "Convert" else node


def _unpacked(values: Any, offsets: Any, scales: Any) -> Iterator[npt.NDArray[np.float32]]:
    """The weights, some rows at a time: all of a vocabulary's would take gigabytes."""
    rows = values.get_output_partial_shape(0).get_shape()[0]
    for start in range(0, rows, _ROWS):
        q, zero, scale = (_numbers(one, start, start + _ROWS) for one in (values, offsets, scales))
        yield ((q - zero) * scale).reshape(len(q), -1)


def _numbers(constant: Any, start: int, end: int) -> npt.NDArray[np.float32]:
    """Rows of a constant; two 4-bit values are in a byte, the low one first."""
    rows, *rest = constant.get_output_partial_shape(0).get_shape()
    data = np.asarray(constant.data).reshape(rows, -1)[start:end]
    if data.shape[1] * 2 == int(np.prod(rest)):
        data = np.stack([data & 15, data >> 4], axis=2)
    return data.reshape(-1, *rest).astype(np.float32)
