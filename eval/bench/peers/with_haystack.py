"""Haystack: an indexing and a question pipeline over its document store in memory.

Documents are split by its splitter's defaults, and its retriever's default is ten of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.bench.peers.peer import LlamaPeer
from eval.bench.peers.task import Task

__all__ = ["Haystack"]

# Of the length and form that its first tutorial on retrieval shows: every document, the question.
_TEMPLATE = """
Use these documents to answer the question.

{% for document in documents %}
{{ document.content }}
{% endfor %}

Question: {{question}}
Answer:
"""


class Haystack(LlamaPeer):
    """As in https://haystack.deepset.ai/tutorials/27_first_rag_pipeline."""

    def __init__(self, task: Task) -> None:
        from haystack import Pipeline
        from haystack.components.builders import ChatPromptBuilder
        from haystack.components.preprocessors import DocumentSplitter
        from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
        from haystack.components.writers import DocumentWriter
        from haystack.dataclasses import ChatMessage
        from haystack.document_stores.in_memory import InMemoryDocumentStore
        from haystack_integrations.components.embedders.sentence_transformers import (
            SentenceTransformersDocumentEmbedder,
            SentenceTransformersTextEmbedder,
        )
        from haystack_integrations.components.generators.llama_cpp import LlamaCppChatGenerator

        self._store = InMemoryDocumentStore()
        self._indexing = Pipeline()
        self._indexing.add_component("split", DocumentSplitter())
        self._indexing.add_component(
            "embed", SentenceTransformersDocumentEmbedder(model=task.embedder, progress_bar=False)
        )
        self._indexing.add_component("write", DocumentWriter(self._store))
        self._indexing.connect("split", "embed")
        self._indexing.connect("embed", "write")

        self._asking = Pipeline()
        self._asking.add_component(
            "embed", SentenceTransformersTextEmbedder(model=task.embedder, progress_bar=False)
        )
        self._asking.add_component("retrieve", InMemoryEmbeddingRetriever(self._store))
        template = [ChatMessage.from_user(_TEMPLATE)]
        self._asking.add_component(
            "prompt", ChatPromptBuilder(template, required_variables=["documents", "question"])
        )
        writer = LlamaCppChatGenerator(
            task.weights,
            model_kwargs={"n_threads": task.threads, "verbose": False},
            generation_kwargs={"max_tokens": task.max_tokens, "temperature": 0},
        )
        self._asking.add_component("write", writer)
        self._asking.connect("embed.embedding", "retrieve.query_embedding")
        self._asking.connect("retrieve", "prompt.documents")
        self._asking.connect("prompt.prompt", "write.messages")
        self._indexing.warm_up()
        self._asking.warm_up()

    def index(self, texts: Sequence[str]) -> None:
        """As `Peer.index`."""
        from haystack import Document

        self._store.delete_all_documents()
        self._indexing.run({"split": {"documents": [Document(content=text) for text in texts]}})

    def answer(self, question: str) -> str:
        """As `LlamaPeer.answer`."""
        done = self._asking.run({"embed": {"text": question}, "prompt": {"question": question}})
        return str(done["write"]["replies"][0].text)
