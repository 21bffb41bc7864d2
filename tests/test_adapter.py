"""Low-rank matrices beside a model's weights: y = Wx + s B(Ax), on and off."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rag import adapter
from rag.adapter import Adapter
from rag.errors import ModelError

RNG = np.random.default_rng(0)
A = RNG.standard_normal((2, 4)).astype(np.float32)  # (rank, in)
B = RNG.standard_normal((4, 2)).astype(np.float32)  # (out, rank)
X = RNG.standard_normal((1, 3, 4)).astype(np.float32)
ONE = Adapter(0.5, {(0, "k_proj"): (A, B)}, "one")


def test_a_file_keeps_matrices_and_scale(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    adapter.save(ONE, file)
    read = adapter.load(file)
    assert (read.scale, list(read.matrices)) == (0.5, [(0, "k_proj")])
    np.testing.assert_allclose(read.matrices[0, "k_proj"][1], B, atol=2e-3)  # float16
    assert read.name.startswith("mine-")


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is no adapter"):
        adapter.load(file)


def test_find(tmp_path: Path) -> None:
    assert adapter.find("", "any") is None
    assert adapter.find("auto", "a model without one") is None
    shipped = adapter.find("auto", "qwen2.5-coder-1.5b")
    assert shipped is not None
    assert shipped.stat().st_size < 8_000_000
    with pytest.raises(ModelError, match="no such file"):
        adapter.find(str(tmp_path / "gone.safetensors"), "any")


def torch_model() -> Any:
    import torch

    torch.manual_seed(0)
    names = adapter.PROJECTIONS
    attention = torch.nn.ModuleDict({name: torch.nn.Linear(4, 4, bias=True) for name in names})
    layer = SimpleNamespace(self_attn=SimpleNamespace(**dict(attention.items())))
    return SimpleNamespace(model=SimpleNamespace(layers=[layer]))


def test_torch_adds_the_product_while_the_gate_is_on() -> None:
    import torch

    model = torch_model()
    attention = model.model.layers[0].self_attn
    before = attention.k_proj(torch.tensor(X)).detach().numpy()
    gate = adapter.attach_torch(model, ONE)
    on = attention.k_proj(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(on, before + 0.5 * (X @ A.T) @ B.T, atol=1e-5)
    gate.on = False
    np.testing.assert_array_equal(attention.k_proj(torch.tensor(X)).detach().numpy(), before)


@pytest.mark.parametrize(
    "matrices",
    [{(3, "k_proj"): (A, B)}, {(0, "k_proj"): (A[:, :3], B)}, {(0, "k_proj"): (A, B[:2])}],
    ids=["a layer too many", "another width in", "another width out"],
)
def test_another_models_adapter_is_refused(matrices: dict[tuple[int, str], Any]) -> None:
    misfit = Adapter(1.0, matrices, "other")
    with pytest.raises(ModelError, match="was not made for this model"):
        adapter.attach_torch(torch_model(), misfit)
    with pytest.raises(ModelError, match="was not made for this model"):
        adapter.attach_openvino(openvino_model()[0], misfit)


def openvino_model() -> tuple[Any, list[np.ndarray]]:
    """Seven products in a row, as one layer of a converted model has; each with its weights."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as ops

    weights = [RNG.standard_normal((4, 4)).astype(np.float32) for _ in range(7)]
    given = ops.parameter([1, -1, 4], np.float32, name="x")
    node = given
    for weight in weights:
        node = ops.tanh(ops.matmul(node, ops.constant(weight), False, True))
    return openvino.Model([ops.result(node)], [given]), weights


def chain(weights: list[np.ndarray], scale: float) -> np.ndarray:
    value = X
    for at, weight in enumerate(weights):
        more = scale * (value @ A.T) @ B.T if at == 1 else 0  # k is the second product
        value = np.tanh(value @ weight.T + more)
    return value


def test_openvino_adds_the_product_while_the_gate_is_on() -> None:
    openvino = pytest.importorskip("openvino")
    model, weights = openvino_model()
    adapter.attach_openvino(model, ONE)
    properties = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", properties).create_infer_request()

    def run(gate: float) -> np.ndarray:
        found = request.infer({0: X, "adapter": np.array(gate, np.float32)})
        return np.array(next(iter(found.values())))

    np.testing.assert_allclose(run(0.0), chain(weights, 0.0), atol=1e-5)
    np.testing.assert_allclose(run(1.0), chain(weights, 0.5), atol=1e-5)
