"""Collections of any size, made up: vectors in clusters, texts whose words follow Zipf's law.

Vectors have the falling spectrum that sentence embeddings have, and half of their variance between
clusters. Nothing is embedded: chunks go straight into the store, through its own interface. The same
size and seed give the same collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rag.backend import Passages
from rag.embed import Embedding, Vectors
from rag.records import Chunk, Document
from rag.sentences import Span

__all__ = ["DIMENSIONS", "Generated", "GivenEmbedder", "fill_store"]

DIMENSIONS = 384
PASSAGES = 20  # of a document
_WORDS, _VOCABULARY = 80, 50_000  # of a passage, of the language
_STOPPED = 30  # the most frequent words of a language are asked for by nobody
_CLUSTER = 100  # passages
_PUBLISHED = 20_000  # passages at a time


@dataclass(frozen=True, slots=True)
class Generated:
    """Passages with their vectors, shape (n, d), float32, and one long text for each document."""

    ids: list[str]
    texts: list[list[str]]
    vectors: Vectors


class Generator:
    """Draws passages of a collection of `size`."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self._dice = np.random.default_rng(seed)
        weights = 1 / (np.arange(_VOCABULARY) + _STOPPED)
        self._cumulative = np.cumsum(weights) / weights.sum()
        self._language = np.array([f"w{np.base_repr(n, 36).lower()}x" for n in range(_VOCABULARY)])
        self._spectrum = (np.arange(1, DIMENSIONS + 1) ** -0.5).astype(np.float32)
        self._turn = np.linalg.qr(self._normal(DIMENSIONS, scaled=False))[0]
        self._centres = self._normal(max(1, size // _CLUSTER))

    def _normal(self, rows: int, scaled: bool = True) -> Vectors:
        drawn = self._dice.standard_normal((rows, DIMENSIONS), np.float32)
        return drawn * self._spectrum if scaled else drawn

    def passages(self, count: int) -> tuple[list[str], Vectors]:
        """Texts and unit vectors."""
        words = np.searchsorted(self._cumulative, self._dice.random((count, _WORDS)))
        halves = _WORDS // 2
        texts = [
            f"{' '.join(row[:halves])}. {' '.join(row[halves:])}." for row in self._language[words]
        ]
        chosen = self._centres[self._dice.integers(len(self._centres), size=count)]
        return texts, _unit((chosen + self._normal(count)) @ self._turn)

    def questions(self, texts: Sequence[str], vectors: Vectors) -> tuple[list[str], Vectors]:
        """A question about each passage: five of its words, and a vector at a cosine of about .9."""
        asked = [" ".join(self._dice.choice(text.split(), 5, replace=False)) for text in texts]
        noise = self._dice.standard_normal(vectors.shape, np.float32) * 0.5 / DIMENSIONS**0.5
        return [one.replace(".", "") for one in asked], _unit(vectors + noise)


def _unit(vectors: Vectors) -> Vectors:
    scaled: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def fill_store(
    store: Passages, size: int, progress: Callable[[int], None], asked: int = 300
) -> tuple[list[str], Vectors]:
    """Put `size` generated passages into an empty store; returns questions and their vectors."""
    generator = Generator(size)
    questions: list[str] = []
    near: list[Vectors] = []
    done = 0
    while done < size:
        count = min(_PUBLISHED, size - done)
        texts, vectors = generator.passages(count)
        with store.transaction():
            ids = [
                _stage(store, f"d{done + at:08d}.txt", texts[at : at + PASSAGES], vectors[at:])
                for at in range(0, count, PASSAGES)
            ]
        store.publish(ids)
        wanted = -(-asked * count // size)
        some, theirs = generator.questions(texts[:wanted], vectors[:wanted])
        questions += some
        near.append(theirs)
        done += count
        progress(count)
    store.set_meta("embedder", GivenEmbedder.name)
    return questions[:asked], np.concatenate(near)[:asked]


def _stage(store: Passages, name: str, texts: Sequence[str], vectors: Vectors) -> str:
    document = Document(name, "\n\n".join(texts))
    chunks, spans, embeddings, start = [], [], [], 0
    for text, vector in zip(texts, vectors, strict=False):
        chunks.append(Chunk(name, start, start + len(text), text, "", None))
        end = text.index(".") + 1
        spans.append([(0, end), (end + 1, len(text))])
        embeddings.append(Embedding(vector, np.stack([vector, vector])))
        start += len(text) + 2
    store.stage(document, chunks, spans, embeddings, source=name, path="", digest=name, stamp="")
    return name


class GivenEmbedder:
    """An embedder that looks vectors up, so that what is timed is retrieval alone."""

    name = "given"
    dimensions = DIMENSIONS
    max_tokens = 256

    def __init__(self, questions: Sequence[str], vectors: Vectors) -> None:
        self._known = dict(zip(questions, vectors, strict=True))

    def count(self, texts: Sequence[str]) -> list[int]:
        """Words."""
        return [len(text.split()) for text in texts]

    def embed(
        self,
        texts: Sequence[str],
        contexts: Sequence[str] = (),
        spans: Sequence[Sequence[Span]] = (),
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Embedding]:
        """The vector given for each text; one and the same for any other."""
        return list(self._embedded(texts, spans))

    def _embedded(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> Iterator[Embedding]:
        for at, text in enumerate(texts):
            vector = self._known.get(text)
            if vector is None:
                drawn = np.random.default_rng(0).standard_normal((1, DIMENSIONS))
                vector = _unit(drawn.astype(np.float32))[0]
            sentences = np.tile(vector, (len(spans[at]) if len(spans) else 0, 1))
            yield Embedding(vector, sentences.reshape(-1, DIMENSIONS))
