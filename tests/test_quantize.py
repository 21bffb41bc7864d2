"""4-bit weights in groups of 32 become 8-bit ones in groups of 128, and products stay the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag.quantize import GROUP, in_8_bits, to_8_bits

RNG = np.random.default_rng(0)
ROWS, WIDTH, PACKED = 8, 2 * GROUP, 32


@given(arrays(np.float32, (2, 2 * GROUP), elements=st.floats(-100, 100, width=16)))
def test_no_weight_moves_further_than_half_a_step(weights: np.ndarray) -> None:
    values, scales = in_8_bits(weights)
    back = (values * scales.astype(np.float32)).reshape(weights.shape)
    # Half a step, and what rounding the scale to 11 bits moves the largest by.
    largest = np.abs(weights).reshape(2, 2, GROUP).max(axis=2).repeat(GROUP, axis=1)
    assert (np.abs(back - weights) <= largest * (1 / 254 + 2**-10) + 1e-4).all()


def test_by_hand() -> None:
    weights = np.zeros((1, 4), np.float32)
    weights[0] = [127.0, -63.6, 0.4, 0.0]  # one group: the width is no multiple of 128
    values, scales = in_8_bits(weights)
    assert values.tolist() == [[[127, -64, 0, 0]]]
    assert scales.tolist() == [[[1.0]]]


def test_a_group_of_zeros_has_no_scale() -> None:
    values, scales = in_8_bits(np.zeros((1, GROUP), np.float32))
    assert not values.any()
    assert not scales.any()


def packed_model() -> tuple[Any, np.ndarray]:
    """y = Wx with W as a GGUF's reader packs it, beside a product that is not packed."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as ops

    values = RNG.integers(0, 16, (ROWS, WIDTH // PACKED, PACKED), np.uint8)
    offsets = RNG.integers(6, 10, (ROWS, WIDTH // PACKED, 1), np.uint8)
    scales = RNG.uniform(0.01, 0.1, (ROWS, WIDTH // PACKED, 1)).astype(np.float16)

    def four_bits(numbers: np.ndarray) -> Any:
        flat = numbers.reshape(-1, 2)
        data = (flat[:, 0] | flat[:, 1] << 4).astype(np.uint8)
        tensor = openvino.Tensor(data, openvino.Shape(list(numbers.shape)), openvino.Type.u4)
        return ops.constant(tensor, shared_memory=False)

    def half(node: Any) -> Any:
        return ops.convert(node, np.float16)

    scaled = ops.multiply(
        ops.subtract(half(four_bits(values)), half(four_bits(offsets))), ops.constant(scales)
    )
    shape = ops.constant(np.array([ROWS, WIDTH], np.int64))
    whole = ops.convert(ops.reshape(scaled, shape, False), np.float32)
    given_ = ops.parameter([1, WIDTH], np.float32, name="x")
    first = ops.matmul(given_, whole, False, True)
    plain = ops.matmul(first, ops.constant(np.eye(ROWS, dtype=np.float32)), False, True)
    weights = (values.astype(np.float32) - offsets) * scales.astype(np.float32)
    return openvino.Model([ops.result(plain)], [given_]), weights.reshape(ROWS, WIDTH)


def test_a_packed_product_gives_what_it_gave() -> None:
    model, weights = packed_model()
    import openvino

    assert to_8_bits(model) == 1
    kinds = [
        node.get_element_type().get_type_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Constant"
    ]
    assert "u4" not in kinds
    assert "i8" in kinds
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    x = RNG.standard_normal((1, WIDTH)).astype(np.float32)
    found = compiled({"x": x})[0]
    np.testing.assert_allclose(found, x @ weights.T, atol=0.05 * np.abs(x @ weights.T).max())
    assert to_8_bits(model) == 0  # there is nothing left to change
