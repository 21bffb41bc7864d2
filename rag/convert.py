"""Weights -> what a runtime opens: bf16 safetensors for transformers, IR for OpenVINO.

Conversions run once and are slow (half a minute to two), so each shows its progress on standard
error. Tokenizers come out as `tokenizer.json` with `chat_template.jinja` beside them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import ModelError
from rag.hardware import Runtime
from rag.quantize import to_8_bits
from rag.weights import PACKAGED, PackagedWeights, assemble, in_cache, package_files

__all__ = ["causal_lm_folder", "encoder_folder", "offline", "packaged_encoder"]

_FORMS = {"openvino": "openvino-8bit", "transformers": "transformers"}
LOGITS_KEPT = 16
"""An IR made here computes logits for at most this many last positions: a prompt needs only one."""


def offline() -> None:
    """Keep the model libraries off the network and quiet, whatever the user's environment says."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[name] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    logging.getLogger("transformers").setLevel(logging.ERROR)


def causal_lm_folder(model: str, runtime: Runtime, cache: Path, allow_network: bool) -> Path:
    """The folder from which `runtime` opens `model`: a packaged name, a folder, a GGUF or a hub id.

    Raises:
        ModelError: there is no such model, or it can't be converted.
    """
    path = Path(model).expanduser()
    packaged = PACKAGED.get(model)
    if packaged is None and path.is_dir():
        if runtime == "openvino" and not (path / "openvino_model.xml").is_file():
            raise ModelError(
                f"model {model}: the folder holds no openvino_model.xml: set runtime to transformers"
            )
        return path
    if packaged is None and path.suffix != ".gguf":
        return _from_hub(model, allow_network)
    if packaged is None and not path.is_file():
        raise ModelError(f"model {model}: no such file: set 'model' to a GGUF file that exists")
    label = packaged.sha256[:8] if packaged else f"{path.stat().st_size}-{path.stat().st_mtime_ns}"
    name = f"{packaged.name if packaged else path.stem}-{_FORMS[runtime]}-{label}"

    def make(scratch: Path) -> None:
        gguf = scratch / "model.gguf"
        if packaged:
            _assemble_with_bar(packaged, gguf)
        else:
            gguf.symlink_to(path.resolve())
        try:
            _convert_gguf(gguf, scratch, runtime)
        except (ValueError, RuntimeError, OSError, ImportError) as error:
            raise ModelError(f"model {model}: can't be converted for {runtime}: {error}") from error
        gguf.unlink()

    return in_cache(cache, name, make)


def encoder_folder(folder: Path, name: str, cache: Path) -> Path:
    """The OpenVINO form of a sentence-transformers folder whose transformer is BERT-like."""

    def make(scratch: Path) -> None:
        with _step(f"converting the embedder {name} for this processor (once)"):
            _encoder_to_ir(folder, scratch)
        for file in ("tokenizer.json", "config.json"):
            shutil.copy(folder / file, scratch / file)

    return in_cache(cache, f"{name}-openvino-{_fingerprint(folder)}", make)


def packaged_encoder(name: str) -> Path:
    """The folder of a packaged sentence-transformers model."""
    return package_files(PACKAGED[name])[0].parent


def _fingerprint(folder: Path) -> str:
    stat = (
        (folder / "model.safetensors").stat() if (folder / "model.safetensors").is_file() else None
    )
    return f"{stat.st_size:x}" if stat else "0"


def _from_hub(model: str, allow_network: bool) -> Path:
    if not allow_network:
        raise ModelError(
            f"model {model}: not a packaged model ({', '.join(sorted(PACKAGED))}), a folder or a GGUF "
            "file: to fetch it from a hub, set allow_network = true"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model))
    except Exception as error:  # the hub library raises many kinds; each means the same here
        raise ModelError(f"model {model}: can't be fetched from the hub: {error}") from error


def _assemble_with_bar(weights: PackagedWeights, target: Path) -> None:
    from rich.progress import Progress

    with Progress(console=_console(), transient=True) as bars:
        task = bars.add_task(f"assembling {weights.name}", total=weights.size or None)
        assemble(weights, target, lambda done: bars.update(task, completed=done))


def _convert_gguf(gguf: Path, folder: Path, runtime: Runtime) -> None:
    offline()
    with _step(f"converting the model for {runtime} (once; one or two minutes)"):
        _save_tokenizer(gguf, folder)
        if runtime == "openvino":
            _gguf_to_ir(gguf, folder)
        else:
            _gguf_to_safetensors(gguf, folder)


def _save_tokenizer(gguf: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(folder)


def _gguf_to_safetensors(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    model: Any = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent),
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    # A GGUF stores the tied matrix twice, the output copy with more bits: keep that one, for both.
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight.shape == table.weight.shape:
        table.weight = head.weight
        model.config.tie_word_embeddings = True
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)


def _gguf_to_ir(gguf: Path, folder: Path) -> None:
    import openvino
    import openvino_genai

    openvino_genai.LLMPipeline(str(gguf), "CPU", enable_save_ov_model=True)
    core = openvino.Core()
    model = core.read_model(gguf.parent / "openvino_model.xml")
    _keep_last_logits(model)
    to_8_bits(model)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    del model
    for left in gguf.parent.glob("openvino_*"):
        left.unlink()


def _keep_last_logits(model: Any) -> None:
    """Slice the hidden states before the last product, a tenth of the work of reading a prompt."""
    import numpy as np
    from openvino import opset13 as ops

    node = model.get_results()[0].input_value(0).get_node()
    while node.get_type_name() != "MatMul":
        node = node.input_value(0).get_node()
    begin, end, one = (np.array([n], np.int64) for n in (-LOGITS_KEPT, np.iinfo(np.int64).max, 1))
    kept = ops.slice(node.input_value(0), begin, end, one, one)
    node.input(0).replace_source_output(kept.output(0))
    model.validate_nodes_and_infer_types()


def _encoder_to_ir(source: Path, folder: Path) -> None:
    offline()
    import openvino
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
    from transformers import AutoModel

    model = AutoModel.from_pretrained(str(source), dtype=torch.float32).eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    example = {name: torch.ones(2, 16, dtype=torch.long) for name in names}
    # The front end is called directly: the convenience function reports usage over the network.
    front_end = FrontEndManager().load_by_framework("pytorch")
    with torch.no_grad():
        decoder = TorchScriptPythonDecoder(model, example_input=example)
    converted = front_end.convert(front_end.load(decoder))
    for node, name in zip(converted.inputs, names, strict=False):
        node.get_tensor().set_names({name})
    openvino.save_model(converted, folder / "model.xml", compress_to_fp16=False)


def _console() -> Any:
    from rich.console import Console

    return Console(file=sys.stderr)


@contextlib.contextmanager
def _step(message: str) -> Iterator[None]:
    """Show that something slow is under way; nobody measures how far it is."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_console(), transient=False) as bars:
        bars.add_task(message, total=None)
        yield
