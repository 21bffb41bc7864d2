"""The reference path over a tiny model of random weights: reading in parts, forgetting, remembering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.settings import Settings
from rag.transformers_lm import TransformersLM

pytestmark = pytest.mark.slow

IDS = [3, 14, 15, 92, 6, 53, 58]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=100,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    made = tmp_path_factory.mktemp("tiny")
    Qwen2ForCausalLM(config).save_pretrained(made)
    return made


@pytest.fixture
def model(folder: Path) -> TransformersLM:
    return TransformersLM(folder, Settings(model=str(folder), adapter="", runtime="transformers"))


def test_reading_in_parts_is_reading(model: TransformersLM) -> None:
    whole = model.forward(IDS)
    model.truncate(0)
    model.forward(IDS[:4])
    np.testing.assert_allclose(model.forward(IDS[4:]), whole[4:], atol=0.05)
    assert model.length == len(IDS)


def test_what_is_forgotten_leaves_no_trace(model: TransformersLM) -> None:
    model.forward(IDS[:4])
    after = model.forward([7])
    model.truncate(4)
    model.forward(IDS[4:])
    model.truncate(4)
    np.testing.assert_array_equal(model.forward([7]), after)


def test_another_process_knows_what_was_read(model: TransformersLM, folder: Path) -> None:
    model.forward(IDS[:4])
    state = model.state()
    after = model.forward(IDS[4:])
    other = TransformersLM(folder, Settings(model=str(folder), adapter=""))
    assert other.fingerprint == model.fingerprint
    other.forward([1, 2])
    other.restore(state, 4)
    assert other.length == 4
    np.testing.assert_array_equal(other.forward(IDS[4:]), after)
