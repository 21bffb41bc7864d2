"""LlamaIndex: a vector index and its query engine.

Its defaults are chunks of 1024 tokens, two of which stand in the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.bench.peers.peer import LlamaPeer
from eval.bench.peers.task import Task

__all__ = ["LlamaIndex"]


class LlamaIndex(LlamaPeer):
    """As in the documentation of its package for llama.cpp (llama-index-llms-llama-cpp)."""

    def __init__(self, task: Task) -> None:
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding
        from llama_index.llms.llama_cpp import LlamaCPP

        self._embedder = HuggingFaceEmbedding(model_name=task.embedder)
        self._writer = LlamaCPP(
            model_path=task.weights,
            temperature=0,
            max_new_tokens=task.max_tokens,
            model_kwargs={"n_threads": task.threads},
            messages_to_prompt=_chat,
            completion_to_prompt=_completion,
            verbose=False,
        )
        self._engine: Any = None

    def index(self, texts: Sequence[str]) -> None:
        """As `Peer.index`."""
        from llama_index.core import Document, VectorStoreIndex

        documents = [Document(text=text) for text in texts]
        index = VectorStoreIndex.from_documents(documents, embed_model=self._embedder)
        self._engine = index.as_query_engine(llm=self._writer)

    def answer(self, question: str) -> str:
        """As `LlamaPeer.answer`."""
        return str(self._engine.query(question))


def _completion(prompt: str) -> str:
    """A prompt as a conversation in ChatML, which is what the weights were trained on."""
    return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


def _chat(messages: Sequence[Any]) -> str:
    turns = [f"<|im_start|>{one.role.value}\n{one.content}<|im_end|>\n" for one in messages]
    return "".join(turns) + "<|im_start|>assistant\n"
