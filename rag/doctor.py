"""What is installed, what the machine can do, which models are ready, and what is wrong."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from pathlib import Path
from typing import Any

from rag import __version__, convert
from rag.address import shown
from rag.backend import backend
from rag.errors import RagError
from rag.hardware import cpu_features, pick_runtime, thread_count
from rag.settings import Settings
from rag.weights import PACKAGED, package_files, sha256_of

__all__ = ["endpoint_findings", "examine", "prepare", "print_findings"]

_PACKAGES = (
    *("torch", "transformers", "sentence-transformers", "faiss-cpu", "openvino", "openvino-genai"),
    *("tokenizers", "gradio", "pypdfium2", "python-docx", "python-pptx", "openpyxl", "sentencex"),
)
_LEAST_FREE_GB = 5


def prepare(settings: Settings) -> None:
    """Check the weights and convert them, if that has not been done.

    Raises:
        ModelError: weights are missing or damaged.
    """
    from rag.embed import load_embedder

    load_embedder(settings)
    local = settings.endpoint_failover if settings.endpoint else settings.model
    if local:
        runtime = pick_runtime(settings.runtime)
        convert.causal_lm_folder(local, runtime, settings.cache, settings.allow_network)


def examine(settings: Settings) -> dict[str, Any]:
    """Everything worth knowing when something does not work. `problems` is empty where all is well."""
    problems: list[str] = []
    models = {name: _model(name, problems, settings) for name in PACKAGED}
    free = shutil.disk_usage(_existing(settings.cache)).free / 1e9
    if free < _LEAST_FREE_GB:
        problems.append(
            f"only {free:.1f} GB are free at {settings.cache}: converting a model takes 5"
        )
    runtime = pick_runtime(settings.runtime)
    if runtime == "transformers" and settings.runtime == "auto":
        problems.append(
            "OpenVINO is not installed: answers take two to four times as long; "
            "pip install 'footnote[openvino]'"
        )
    return {
        "footnote": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": {
            "features": sorted(cpu_features()),
            "threads": thread_count(settings.threads),
            "runtime": runtime,
        },
        "packages": {name: _version(name) for name in _PACKAGES},
        "models": models,
        "endpoint": endpoint_findings(settings, problems) if settings.endpoint else None,
        "cache": {"path": str(settings.cache), "mb": _size_mb(settings.cache)},
        "indexes": {"path": str(settings.indexes), "mb": _size_mb(settings.indexes)},
        "store": _store(settings, problems),
        "settings": settings.model_dump(mode="json", exclude={"endpoint_key"}),
        "problems": problems,
    }


def _store(settings: Settings, problems: list[str]) -> dict[str, Any]:
    """Where collections are kept, and how many there are; None where that can't be told."""
    try:
        kept = backend(settings)
        return {"place": kept.place, "collections": len(kept.names())}
    except RagError as error:
        problems.append(str(error))
        return {"place": shown(settings.store), "collections": None}


def _model(name: str, problems: list[str], settings: Settings) -> dict[str, Any]:
    weights = PACKAGED[name]
    ready = sorted(path.name for path in (settings.cache / "models").glob(f"{name}-*"))
    try:
        files = package_files(weights)
    except RagError as error:
        local = settings.endpoint_failover if settings.endpoint else settings.model
        # A converted model needs its packages no more; the embedder's tokenizer is read from its own.
        if name == settings.embedder or (name == local and not ready):
            problems.append(str(error))
        return {"installed": False, "ready": ready}
    digest = sha256_of(files)
    if weights.sha256 and digest != weights.sha256:
        problems.append(f"model {name}: its packages are damaged: install them again")
    return {"installed": True, "sha256": digest, "licence": weights.licence, "ready": ready}


def endpoint_findings(settings: Settings, problems: list[str]) -> dict[str, Any]:
    """What the model server says within a few seconds; `models` are the names that it offers.

    What is wrong goes into `problems`.
    """
    from rag.modelserver import model_server

    found: dict[str, Any] = {"url": settings.endpoint, "reachable": False, "models": []}
    try:
        found["models"] = names = model_server(settings).models()
    except RagError as error:
        problems.append(str(error))
        return found
    if names and settings.model not in names:
        problems.append(
            f"{settings.endpoint}: has no model '{settings.model}': set 'model' to one of "
            f"{', '.join(names[:10])}"
        )
    return found | {"reachable": True}


def print_findings(findings: dict[str, Any]) -> None:
    """The findings for people."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    processor = findings["processor"]
    console.print(
        f"footnote {findings['footnote']}, Python {findings['python']}, {findings['system']}"
    )
    features = " ".join(processor["features"]) or "unknown"
    console.print(
        f"processor: {features}; {processor['threads']} threads; runtime {processor['runtime']}"
    )
    for name, version in findings["packages"].items():
        console.print(f"  {name} {version or 'not installed'}")
    for name, model in findings["models"].items():
        ready = ", ".join(model["ready"])
        state = f"ready: {ready}; its packages are not installed" if ready else "not installed"
        if model["installed"]:
            ready = ready or "nothing converted yet"
            state = f"sha256 {model['sha256'][:16]}…, {model['licence']}, ready: {ready}"
        console.print(f"model {name}: {state}")
    if server := findings["endpoint"]:
        state = ", ".join(server["models"]) or "it names no model"
        console.print(f"endpoint {server['url']}: {state if server['reachable'] else 'see below'}")
    for name in ("cache", "indexes"):
        console.print(f"{name}: {findings[name]['path']}, {findings[name]['mb']} MB")
    store = findings["store"]
    console.print(f"collections: {store['collections']} in {store['place']}")
    for problem in findings["problems"]:
        console.print(f"wrong: {problem}")
    if not findings["problems"]:
        console.print("nothing is wrong")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _size_mb(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6)
