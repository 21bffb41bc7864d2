"""txtai: an embeddings database with content, and its RAG pipeline over a GGUF file.

Texts are indexed whole and three of them are the context, which are txtai's defaults.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.bench.peers.peer import LlamaPeer
from eval.bench.peers.task import Task

__all__ = ["Txtai"]

# Of the length and form that its documentation shows: the question, then the context.
_TEMPLATE = """
Use this context to answer the question.

Question: {question}

Context:
{context}
"""


class Txtai(LlamaPeer):
    """As in https://neuml.github.io/txtai/pipeline/text/rag."""

    def __init__(self, task: Task) -> None:
        from txtai import RAG, Embeddings

        self._limit = task.max_tokens
        self._embeddings = Embeddings(path=task.embedder, content=True)
        self._rag = RAG(
            self._embeddings,
            task.weights,
            template=_TEMPLATE,
            output="flatten",
            n_threads=task.threads,
        )

    def index(self, texts: Sequence[str]) -> None:
        """As `Peer.index`."""
        self._embeddings.index(texts)

    def answer(self, question: str) -> str:
        """As `LlamaPeer.answer`."""
        return str(self._rag(question, maxlength=self._limit, temperature=0))
