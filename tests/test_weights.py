"""Weights from installed packages, checked, and a cache that is whole or not there."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.weights import PACKAGED, PackagedWeights, assemble, in_cache, package_files, sha256_of

PARTS = (b"first part, ", b"second part, ", b"third part" * 1000)
WHOLE = b"".join(PARTS)


def install(site: Path, name: str, files: dict[str, bytes], listed: bool = True) -> None:
    """A package as pip leaves it: files, and a dist-info folder that lists them."""
    folder = site / name.replace("-", "_")
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(parents=True)
    info.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    record = "".join(f"{folder.name}/{file},,\n" for file in files) if listed else ""
    (info / "RECORD").write_text(record)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedWeights:
    site = tmp_path / "site"
    for number, part in enumerate(PARTS, 1):
        install(site, f"fake-weights-part{number}", {"__init__.py": b"", f"part{number}.bin": part})
    monkeypatch.syspath_prepend(site)
    names = tuple(f"fake-weights-part{number}" for number in (1, 2, 3))
    return PackagedWeights(
        "fake", names, ".bin", len(WHOLE), hashlib.sha256(WHOLE).hexdigest(), "MIT"
    )


def test_parts_are_joined_in_order(weights: PackagedWeights, tmp_path: Path) -> None:
    seen: list[int] = []
    assemble(weights, tmp_path / "whole.bin", seen.append)
    assert (tmp_path / "whole.bin").read_bytes() == WHOLE
    assert seen[-1] == len(WHOLE)
    assert sha256_of(package_files(weights)) == weights.sha256


def test_a_damaged_part_is_refused_and_nothing_stays(
    weights: PackagedWeights, tmp_path: Path
) -> None:
    package_files(weights)[1].write_bytes(b"second_part, ")
    with pytest.raises(ModelError, match=r"fake: .*SHA-256.*--force-reinstall"):
        assemble(weights, tmp_path / "whole.bin")
    assert not (tmp_path / "whole.bin").exists()


def test_a_package_that_is_not_installed(weights: PackagedWeights) -> None:
    missing = PackagedWeights("fake", ("no-such-package",), ".bin", 1, "", "MIT")
    with pytest.raises(ModelError, match=r"no-such-package is not installed.*make setup"):
        package_files(missing)


def test_a_file_that_was_deleted(weights: PackagedWeights) -> None:
    package_files(weights)[2].unlink()
    with pytest.raises(ModelError, match=r"fake-weights-part3.*install it again"):
        package_files(weights)


def test_a_package_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "fake-empty", {"__init__.py": b""})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"fake-empty holds no \.bin file"):
        package_files(PackagedWeights("fake", ("fake-empty",), ".bin", 1, "", "MIT"))


def test_what_ships_is_described_in_full() -> None:
    for name, weights in PACKAGED.items():
        assert weights.name == name
        assert len(set(weights.packages)) == len(weights.packages) > 0
        assert weights.licence == "Apache-2.0"
        assert len(weights.sha256) in (0, 64)


def make_two(scratch: Path) -> None:
    (scratch / "a").write_text("one")
    (scratch / "b").write_text("two")


def test_the_cache_is_made_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def make(scratch: Path) -> None:
        calls.append(scratch)
        make_two(scratch)

    folder = in_cache(tmp_path, "model", make)
    assert folder == tmp_path / "models" / "model"
    assert (folder / "a").read_text() == "one"
    assert in_cache(tmp_path, "model", make) == folder
    assert len(calls) == 1


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated file": lambda folder: (folder / "a").write_text("o"),
    "missing file": lambda folder: (folder / "b").unlink(),
    "no list": lambda folder: (folder / "complete.json").unlink(),
    "empty list": lambda folder: (folder / "complete.json").write_text(""),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_cache_is_made_again(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    damage(in_cache(tmp_path, "model", make_two))
    folder = in_cache(tmp_path, "model", make_two)
    assert ((folder / "a").read_text(), (folder / "b").read_text()) == ("one", "two")


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def make(scratch: Path) -> None:
        (scratch / "a").write_text("half")
        raise ModelError("can't be converted")

    with pytest.raises(ModelError, match="can't be converted"):
        in_cache(tmp_path, "model", make)
    assert [file.name for file in (tmp_path / "models").iterdir()] in ([], [".model.lock"])


def test_a_cache_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(ModelError, match="FOOTNOTE_CACHE"):
        in_cache(tmp_path, "model", make_two)


def _slow(cache: Path, log: Path) -> None:
    def make(scratch: Path) -> None:
        (scratch / "a").write_text("begun")
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.5)
        make_two(scratch)

    in_cache(cache, "model", make)


def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_slow, args=(tmp_path, log)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    assert log.read_text() == "made\n"
    assert (tmp_path / "models" / "model" / "b").read_text() == "two"


def test_a_process_that_is_killed_half_way_leaves_no_half_model(tmp_path: Path) -> None:
    log = tmp_path / "log"
    victim = multiprocessing.get_context("spawn").Process(target=_slow, args=(tmp_path, log))
    victim.start()
    while not log.exists() and victim.is_alive():
        time.sleep(0.01)
    victim.kill()
    victim.join()
    assert not (tmp_path / "models" / "model").exists()
    assert list((tmp_path / "models").glob(".model-*.scratch"))
    folder = in_cache(tmp_path, "model", make_two)
    assert (folder / "a").read_text() == "one"
    assert not list((tmp_path / "models").glob(".model-*.scratch"))
