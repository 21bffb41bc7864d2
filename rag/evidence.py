"""Ranked passages -> the few sentences that the model reads, within a budget of tokens. Pure.

Reading a prompt costs time by the token, and a small model is distracted by what does not matter, so
it gets sentences, not passages: the best by similarity and by the question's words, each with the
sentence before and after it while there is room, in the order of their documents.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rag.embed import Vectors
from rag.retrieve import Candidate
from rag.suspect import are_instructions
from rag.words import stem_set

__all__ = ["Evidence", "SourceSentence", "choose", "source_sentences", "without_orders"]

_PASSAGE, _SIMILARITY, _WORDS = 0.35, 0.35, 0.3  # what a sentence's score is made of
_TITLE_TOKENS = 12


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """A sentence of a retrieved passage; `start..end` are offsets in the document.

    `score` says how well it fits the question; `rank` is its passage's place, from 0.
    """

    document: str
    title: str
    date: str | None
    page: int | None
    start: int
    end: int
    text: str
    context: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the model reads of one document: chosen sentences in the document's order."""

    document: str
    title: str
    date: str | None
    sentences: tuple[SourceSentence, ...]

    @property
    def text(self) -> str:
        """The sentences, with an ellipsis where something between them was left out."""
        parts: list[str] = []
        for at, sentence in enumerate(self.sentences):
            if at:
                near = sentence.start - self.sentences[at - 1].end <= 3
                parts.append("\n" if near and "\n" in self._between(at) else " " if near else " … ")
            parts.append(sentence.text)
        return "".join(parts)

    def _between(self, at: int) -> str:
        # A list item or a table row stands on a line of its own.
        return "\n" if self.sentences[at].text[:2] in ("- ", "* ") else " "


def source_sentences(
    candidates: Sequence[Candidate], question: str, vector: Vectors
) -> list[SourceSentence]:
    """Every sentence of the candidates, scored against the question, in order of passage."""
    rows: list[tuple[Candidate, int, int, int, int | None, float, frozenset[str]]] = []
    for rank, candidate in enumerate(candidates):
        stored = candidate.stored
        about = stem_set(stored.chunk.context)
        similarity = stored.sentences @ vector
        for (start, end), page, cosine in zip(stored.spans, stored.pages, similarity, strict=True):
            stems = stem_set(stored.chunk.text[start:end]) | about
            rows.append((candidate, rank, start, end, page, float(cosine), stems))
    asked = stem_set(question)
    weight = _rarity(asked, [row[6] for row in rows])
    total = sum(weight.values()) or 1.0
    sentences: list[SourceSentence] = []
    for candidate, rank, start, end, page, cosine, stems in rows:
        chunk = candidate.stored.chunk
        words = sum(weight[stem] for stem in asked & stems) / total
        score = _PASSAGE * candidate.score + _SIMILARITY * max(0.0, cosine) + _WORDS * words
        sentences.append(
            SourceSentence(
                document=chunk.document,
                title=candidate.stored.title,
                date=candidate.stored.date,
                page=page,
                start=chunk.start + start,
                end=chunk.start + end,
                text=chunk.text[start:end],
                context=chunk.context,
                rank=rank,
                score=round(score, 6),
            )
        )
    return sentences


def without_orders(sentences: Sequence[SourceSentence]) -> list[SourceSentence]:
    """The sentences that tell something: orders to a model are neither read nor cited."""
    kept: list[SourceSentence] = []
    for _, passage in groupby(sentences, key=lambda one: one.rank):
        rows = list(passage)
        orders = are_instructions([one.text for one in rows])
        kept += [one for one, order in zip(rows, orders, strict=True) if not order]
    return kept


def _rarity(stems: frozenset[str], sentences: Sequence[frozenset[str]]) -> dict[str, float]:
    """Inverse document frequency of each stem among the sentences at hand."""
    seen = Counter(stem for sentence in sentences for stem in stems & sentence)
    return {stem: math.log(1 + len(sentences) / (1 + seen[stem])) for stem in stems}


def choose(
    sentences: Sequence[SourceSentence], budget: int, count: Callable[[Sequence[str]], list[int]]
) -> list[Evidence]:
    """Fill `budget` tokens with the best sentences and their neighbours, grouped by document.

    Documents come in order of their best sentence.
    """
    sizes = count([sentence.text for sentence in sentences]) if sentences else []
    order = sorted(range(len(sentences)), key=lambda at: (-sentences[at].score, at))
    taken: set[int] = set()
    documents: set[str] = set()
    spent = 0
    for best in order:
        for at in (best, best - 1, best + 1):
            if at in taken or not 0 <= at < len(sentences):
                continue
            if at != best and not _adjacent(sentences[best], sentences[at]):
                continue
            cost = sizes[at] + (_TITLE_TOKENS if sentences[at].document not in documents else 0)
            if spent + cost > budget and taken:
                continue
            taken.add(at)
            documents.add(sentences[at].document)
            spent += cost
    return _grouped([sentences[at] for at in order if at in taken])


def _adjacent(one: SourceSentence, other: SourceSentence) -> bool:
    return one.document == other.document and one.rank == other.rank


def _grouped(best_first: Sequence[SourceSentence]) -> list[Evidence]:
    by_document: dict[str, list[SourceSentence]] = {}
    for sentence in best_first:
        by_document.setdefault(sentence.document, []).append(sentence)
    return [
        Evidence(
            name, group[0].title, group[0].date, tuple(sorted(group, key=lambda one: one.start))
        )
        for name, group in by_document.items()
    ]
