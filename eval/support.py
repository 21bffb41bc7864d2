"""How well does the check of an answer sentence tell supported from unsupported?

    python -m eval.support --data DIR [--json] [--no-similarity]

`DIR/clapnq` holds the questions. Annotators' answers stand in for a model's: they are supported by
their own passage (as far as annotators are right) and not by another, and errors planted in them by
rule are known. Constants in `rag.verify` and `rag.attribute` were chosen on the half that
`eval.split` does not hold out; the other half is the measurement. Nothing is written to disk.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.metrics.citations import by_character
from eval.metrics.spans import Located
from eval.plant import plant
from eval.records import Question, Suite
from eval.split import is_held_out
from eval.stats import Estimate, mean_of_clusters, pooled_of_clusters
from eval.suites import clapnq
from rag.attribute import attribute
from rag.errors import RagError
from rag.evidence import SourceSentence
from rag.records import Document
from rag.sentences import sentence_spans
from rag.verify import CHECKS, verify

__all__ = ["auc", "main"]

_FALSE_ALARMS = 0.05


def auc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """The probability that a right one scores above a wrong one; ties count half."""
    from scipy.stats import rankdata

    if not right or not wrong:
        return float("nan")
    ranks = rankdata([*right, *wrong])[: len(right)]
    return float((ranks.sum() - len(right) * (len(right) + 1) / 2) / (len(right) * len(wrong)))


@dataclass(frozen=True, slots=True)
class Scored:
    """A sentence as it was checked, under each set of checks."""

    cluster: str
    held_out: bool
    label: str  # "untouched", "random", "nearest", or kind and origin of a planted error
    answer: str  # question id: sentences of one answer belong together
    status: str
    scores: dict[str, float]


class Bench:
    """The passages, their sentences and the answers' sentences of the answerable questions."""

    def __init__(self, suite: Suite, similarity: bool) -> None:
        self.questions = [one for one in suite.questions if one.answerable and one.gold.answers]
        self.documents = {one.id: one for one in suite.documents}
        self.pages = {one.id: _page(one) for one in suite.documents}
        self.order = sorted({one.documents[0] for one in self.questions if one.documents})
        self.vectors: dict[str, Any] = {}
        from rag.embed import load_embedder
        from rag.settings import load_settings

        self._embedder = load_embedder(load_settings())
        texts = [self.documents[name].text for name in self.order]
        self.nearest = self._nearest(self._embed(texts))
        self.similarity = similarity

    def _embed(self, texts: Sequence[str]) -> list[Any]:
        return [one.passage for one in self._embedder.embed(texts)]

    def _nearest(self, vectors: Sequence[Any]) -> dict[str, str]:
        """For each passage another of its article, or the one that is most alike."""
        import numpy as np

        cosines = np.stack(vectors) @ np.stack(vectors).T
        found: dict[str, str] = {}
        for at, name in enumerate(self.order):
            title, text = self.documents[name].title, self.documents[name].text
            for to, other in enumerate(self.order):
                if self.documents[other].text == text:
                    cosines[at, to] = -1.0
                elif self.documents[other].title == title:
                    cosines[at, to] += 1.0
            found[name] = self.order[int(cosines[at].argmax())]
        return found

    def cosine(self, sentence: str, page: Sequence[SourceSentence]) -> float:
        """The highest cosine of the sentence to one of the page."""
        texts = [sentence, *(one.text for one in page)]
        missing = [text for text in dict.fromkeys(texts) if text not in self.vectors]
        self.vectors.update(zip(missing, self._embed(missing), strict=True))
        return max(float(self.vectors[sentence] @ self.vectors[text]) for text in texts[1:])


def _page(document: Document) -> list[SourceSentence]:
    return [
        SourceSentence(
            document.id, document.title, None, None, start, end, document.text[start:end],
            document.title, 0, 0.5,
        )
        for start, end in sentence_spans(document.text)
    ]  # fmt: skip


def _sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


STEPS = {
    "coverage": (),
    "+ numbers": ("numbers",),
    "+ names": ("numbers", "names"),
    "+ negation": ("numbers", "names", "negation"),
}
_ALL, _SIMILAR = "+ negation", "+ similarity"


def check(bench: Bench, question: Question, label: str, sentence: str, passage: str) -> Scored:
    """Attribute a sentence over a passage and score it under each set of checks."""
    page = bench.pages[passage]
    support = attribute(sentence, question.question, page)
    texts = [one.text for one in support.sources]
    contexts = [one.context for one in support.sources]

    def score(checks: Iterable[str], similarity: float | None = None) -> float:
        found = verify(
            sentence, texts, question.question, contexts, similarity, checks=frozenset(checks)
        )
        return found.score

    scores = {name: score(checks) for name, checks in STEPS.items()}
    scores[_ALL] = support.score
    if bench.similarity:
        scores[_SIMILAR] = score(CHECKS, bench.cosine(sentence, page))
    held_out = is_held_out("clapnq", question)
    return Scored(question.cluster, held_out, label, question.id, support.status, scores)


def run(bench: Bench, seed: int) -> list[Scored]:
    """Every sentence on its own passage and on two others, and with each planted error."""
    rng = random.Random(seed)
    rows: list[Scored] = []
    for question in bench.questions:
        [own] = question.documents or ("",)
        others = [
            one for one in bench.order if bench.documents[one].text != bench.documents[own].text
        ]
        random_other = rng.choice(others)
        for sentence in _sentences(question.gold.answers[0]):
            for label, passage in (
                ("untouched", own),
                ("random", random_other),
                ("nearest", bench.nearest[own]),
            ):
                rows.append(check(bench, question, label, sentence, passage))
            texts = (bench.documents[own].text, bench.documents[random_other].text)
            for error in plant(sentence, *texts, rng):
                row = check(bench, question, f"{error.kind}, {error.origin}", error.text, own)
                rows.append(row)
    return rows


# --- measures -----------------------------------------------------------------------------------


def answer_scores(rows: Sequence[Scored], label: str, step: str) -> list[tuple[str, float]]:
    """(cluster, mean score of its sentences) of each answer."""
    grouped: dict[str, list[Scored]] = {}
    for row in rows:
        if row.label == label:
            grouped.setdefault(row.answer, []).append(row)
    return [
        (group[0].cluster, sum(one.scores[step] for one in group) / len(group))
        for group in grouped.values()
    ]


def auc_estimate(rows: Sequence[Scored], label: str, step: str) -> Estimate:
    """AUC of answers on their own passage against those on another."""
    right, wrong = answer_scores(rows, "untouched", step), answer_scores(rows, label, step)
    items = [(1, score) for _, score in right] + [(0, score) for _, score in wrong]
    clusters = [name for name, _ in (*right, *wrong)]

    def statistic(found: Sequence[tuple[int, float]]) -> float:
        return auc([s for good, s in found if good], [s for good, s in found if not good])

    return pooled_of_clusters(items, clusters, statistic)


def threshold(rows: Sequence[Scored], step: str) -> float:
    """The score below which at most 5% of the untouched sentences lie."""
    scores = sorted(row.scores[step] for row in rows if row.label == "untouched")
    return scores[int(_FALSE_ALARMS * len(scores))]


def share(rows: Sequence[Scored], prefix: str, test: Callable[[Scored], bool]) -> Estimate | None:
    """How many of the rows whose label begins so pass the test."""
    chosen = [row for row in rows if row.label.startswith(prefix)]
    if not chosen:
        return None
    values = [float(test(row)) for row in chosen]
    return mean_of_clusters(values, [row.cluster for row in chosen], proportion=True)


def _below(step: str, limit: float, row: Scored) -> bool:
    return row.scores[step] < limit


def citations(bench: Bench, held_out: bool) -> dict[str, Estimate]:
    """Characters cited for the reference answers, in whole sentences, against the annotators'."""
    triples: list[tuple[float, float, float]] = []
    clusters: list[str] = []
    spans: list[float] = []
    for question in bench.questions:
        if is_held_out("clapnq", question) != held_out or not question.gold.evidence:
            continue
        [own] = question.documents or ("",)
        cited: set[Located] = set()
        for sentence in _sentences(question.gold.answers[0]):
            found = attribute(sentence, question.question, bench.pages[own]).sources
            cited |= {(one.document, one.start, one.end) for one in found}
            spans.append(len(found))
        gold = [
            [(e.document, e.start or 0, e.end or 0) for e in spans]
            for spans in question.gold.evidence
        ]
        triples.append(by_character(sorted(cited), gold))
        clusters.append(question.cluster)
    names = ("precision", "recall", "F1")
    return {
        name: mean_of_clusters([triple[at] for triple in triples], clusters)
        for at, name in enumerate(names)
    } | {"spans a sentence": mean_of_clusters(spans, [str(n) for n in range(len(spans))])}


def report(bench: Bench, rows: Sequence[Scored]) -> list[tuple[str, str, str, Estimate]]:
    """(half, group, measure, estimate) for both halves, the held-out one first."""
    table: list[tuple[str, str, str, Estimate]] = []
    kinds = sorted({row.label for row in rows} - {"untouched", "random", "nearest"})
    steps = [*STEPS, *([_SIMILAR] if bench.similarity else [])]
    for half, held_out in (("held out", True), ("tuned on", False)):
        part = [row for row in rows if row.held_out == held_out]

        def add(group: str, measure: str, found: Estimate | None, half: str = half) -> None:
            if found is not None:
                table.append((half, group, measure, found))

        for label in ("random", "nearest"):
            add("support AUC", f"against the {label} passage", auc_estimate(part, label, _ALL))
        clean = ("untouched", "false alarm: not “supported”")
        add("status", clean[1], share(part, clean[0], lambda r: r.status != "supported"))
        add("status", "false alarm: “unsupported”",
            share(part, clean[0], lambda r: r.status == "unsupported"))  # fmt: skip
        for kind in (*dict.fromkeys(k.split(",")[0] for k in kinds), *kinds):
            add("status: error not “supported”", kind,
                share(part, kind, lambda r: r.status != "supported"))  # fmt: skip
        limit = threshold(part, _ALL)
        for kind in (*dict.fromkeys(k.split(",")[0] for k in kinds), *kinds):
            add("score: error flagged at 5% FA", kind,
                share(part, kind, functools.partial(_below, _ALL, limit)))  # fmt: skip
        for name, value in citations(bench, held_out).items():
            add("citations", name, value)
        for step in steps:
            add(f"ablation: {step}", "AUC, random", auc_estimate(part, "random", step))
            add(f"ablation: {step}", "AUC, nearest", auc_estimate(part, "nearest", step))
            limit = threshold(part, step)
            flagged = functools.partial(_below, step, limit)
            for kind in dict.fromkeys(k.split(",")[0] for k in kinds):
                add(f"ablation: {step}", f"{kind} flagged", share(part, kind, flagged))
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m eval.support", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds clapnq/")
    parser.add_argument("--seed", type=int, default=0, help="which errors are planted")
    parser.add_argument("--no-similarity", action="store_true", help="leave the cosine out: faster")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        suite = clapnq.load(options.data / "clapnq")
        bench = Bench(suite, not options.no_similarity)
        table = report(bench, run(bench, options.seed))
    except RagError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        keys = ("half", "group", "measure")
        rows = [dict(zip(keys, row[:3], strict=True)) | asdict(row[3]) for row in table]
        print(json.dumps(rows, indent=1))
        return 0
    for half, group, measure, found in table:
        print(
            f"{half:9} {group:34} {measure:30} {found.value:.3f} "
            f"[{found.low:.3f}, {found.high:.3f}] n={found.n}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
