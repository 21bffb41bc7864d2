"""Which systems there are, what each needs, and how to install what is not there."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import cast

from eval.bench.peers.peer import Peer
from eval.bench.peers.task import Task
from eval.versions import versions

__all__ = ["OURS", "SYSTEMS", "System"]

_INSTALL = (
    "python -m pip install -c constraints.txt -e '.[peers]' (llama.cpp is compiled: some minutes)"
)


@dataclass(frozen=True, slots=True)
class System:
    """`adapter` is "module:class"; `packages` are distributions that it needs, `also` such that it
    uses where they are; `ingests`: its indexing is timed."""

    name: str
    adapter: str
    packages: tuple[str, ...]
    ingests: bool = True
    also: tuple[str, ...] = ()

    def open(self, task: Task) -> Peer:
        """The system with its models open."""
        module, name = self.adapter.split(":")
        return cast(Peer, getattr(importlib.import_module(module), name)(task))

    def missing(self) -> str:
        """One line that says what is not installed and how to install it; empty if nothing."""
        absent = [name for name in self.packages if name not in versions(self.packages)]
        return f"{', '.join(absent)} not installed: {_INSTALL}" if absent else ""

    def versions(self) -> dict[str, str]:
        """The version of each package that is there."""
        return versions((*self.packages, *self.also))


_HERE = "eval.bench.peers"
_LLAMA = "llama-cpp-python"
_OURS = ("torch", "transformers", "faiss-cpu")
_TRANSFORMERS = ("sentence-transformers", "torch")
OURS = ("footnote", "footnote-short")
SYSTEMS = {
    system.name: system
    for system in (
        System(OURS[0], f"{_HERE}.with_footnote:Full", _OURS, also=("openvino",)),
        System(OURS[1], f"{_HERE}.with_footnote:Short", _OURS, ingests=False, also=("openvino",)),
        System("llama.cpp", f"{_HERE}.with_llama:Pasted", (_LLAMA,), ingests=False),
        System("llama.cpp-our-prompt", f"{_HERE}.with_llama:OurPrompt", (_LLAMA,), ingests=False),
        System("txtai", f"{_HERE}.with_txtai:Txtai", ("txtai", _LLAMA, "transformers", "torch")),
        System(
            "haystack",
            f"{_HERE}.with_haystack:Haystack",
            (
                *("haystack-ai", "llama-cpp-haystack", "sentence-transformers-haystack"),
                *(_LLAMA, *_TRANSFORMERS),
            ),
        ),
        System(
            "llamaindex",
            f"{_HERE}.with_llamaindex:LlamaIndex",
            (
                *("llama-index-core", "llama-index-embeddings-huggingface"),
                *("llama-index-llms-llama-cpp", _LLAMA, *_TRANSFORMERS),
            ),
        ),
    )
}
