"""llama-cpp-python alone: our search finds what stands in the prompt, nothing is checked."""

from __future__ import annotations

from collections.abc import Sequence

from eval.bench.peers.peer import LlamaPeer
from eval.bench.peers.task import Task
from rag.collection import Collection
from rag.evidence import choose, source_sentences, without_orders
from rag.generate import Message
from rag.prompt import answer_messages
from rag.records import Document
from rag.settings import load_settings

__all__ = ["OurPrompt", "Pasted"]

_PASTED = 3  # passages


class Pasted(LlamaPeer):
    """The best passages and the question, as one would paste them into a chat."""

    def __init__(self, task: Task) -> None:
        from llama_cpp import Llama

        self._settings = load_settings()
        self._limit = task.max_tokens
        self._llama = Llama(task.weights, n_ctx=4096, n_threads=task.threads, verbose=False)
        self._collection = Collection.temporary([], self._settings)

    def index(self, texts: Sequence[str]) -> None:
        """As `Peer.index`, into a collection in memory."""
        documents = [Document(f"{at:06d}", text) for at, text in enumerate(texts)]
        self._collection.put(documents, "peers")

    def answer(self, question: str) -> str:
        """As `LlamaPeer.answer`."""
        made = self._llama.create_chat_completion(
            self.messages(question), max_tokens=self._limit, temperature=0
        )
        return str(made["choices"][0]["message"]["content"])

    def messages(self, question: str) -> list[Message]:
        """The prompt."""
        passages = [hit.text for hit in self._collection.search(question, _PASTED)]
        return [{"role": "user", "content": "\n\n".join([*passages, question])}]


class OurPrompt(Pasted):
    """The prompt that Footnote gives its model for a short answer."""

    def messages(self, question: str) -> list[Message]:
        """The prompt."""
        found = self._collection.retrieve(question)
        sentences = without_orders(source_sentences(found.candidates, question, found.vector))
        evidence = choose(sentences, self._settings.evidence_tokens, found.count)
        return answer_messages(question, evidence, "short")
