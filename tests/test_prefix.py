"""What is kept of a prompt's constant part: the same bits back, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rag.prefix import PrefixCache

STATE = {
    "keys": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
    "values": np.array([[-1, 2**15 - 1]], np.int16),
}
IDS = [5, 6, 7]


@pytest.fixture
def cache(tmp_path: Path) -> PrefixCache:
    made = PrefixCache(tmp_path / "prefixes", "model 1")
    made.put(IDS, True, STATE)
    return made


def only_file(folder: Path) -> Path:
    (found,) = (folder / "prefixes").iterdir()
    return found


def test_what_was_put_comes_back(cache: PrefixCache, tmp_path: Path) -> None:
    again = PrefixCache(tmp_path / "prefixes", "model 1").get(IDS, True)
    assert again is not None
    assert again.keys() == STATE.keys()
    for name, array in STATE.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


def test_another_prompt_adapter_or_model_gets_nothing(cache: PrefixCache, tmp_path: Path) -> None:
    assert cache.get([5, 6], True) is None
    assert cache.get([5, 67], True) is None
    assert cache.get(IDS, False) is None
    assert PrefixCache(tmp_path / "prefixes", "model 2").get(IDS, True) is None


@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_flipped_bit_counts_as_nothing(cache: PrefixCache, tmp_path: Path, at: int) -> None:
    file = only_file(tmp_path)
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    assert cache.get(IDS, True) is None
    cache.put(IDS, True, STATE)
    assert cache.get(IDS, True) is not None


@pytest.mark.parametrize("size", [0, 10, 100])
def test_a_file_cut_short_counts_as_nothing(cache: PrefixCache, tmp_path: Path, size: int) -> None:
    file = only_file(tmp_path)
    file.write_bytes(file.read_bytes()[:size])
    assert cache.get(IDS, True) is None


def test_the_longest_unused_go_first(cache: PrefixCache, tmp_path: Path) -> None:
    os.utime(only_file(tmp_path), (1, 1))
    for n in range(16):
        cache.put([n], True, STATE)
    assert len(list((tmp_path / "prefixes").iterdir())) == 16
    assert cache.get(IDS, True) is None
    assert cache.get([15], True) is not None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = PrefixCache(tmp_path / "file" / "prefixes", "model 1")
    cache.put(IDS, True, STATE)
    assert cache.get(IDS, True) is None
