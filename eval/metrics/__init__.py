"""One sample in, its numbers out, and what each number means.

`measure` gives a metric only where it applies: a question without gold spans has no citation
recall. Every metric is a plain mean over the samples that have it, except the two over pairs of
confidence and rightness (`POOLED`), which take the samples with both.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eval.metrics import citations, confidence, retrieval, text
from eval.metrics.spans import Located
from eval.records import Gold, Sample
from rag.sentences import sentence_spans

__all__ = ["METRICS", "POOLED", "Metric", "cited_spans", "measure", "said", "source_sentences"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name, group and meaning; `better` is 1 or -1, or 0 where neither end is good.

    `size` metrics count or measure something; the others are shares from 0 to 1.
    """

    name: str
    group: str
    better: int
    about: str
    size: bool = False


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("right", "answers", 1, "right reply, or right refusal (see `is_right`)"),
        Metric("em", "answers", 1, "SQuAD exact match"),
        Metric("f1", "answers", 1, "SQuAD token F1"),
        Metric("contains", "answers", 1, "a gold answer stands in the text"),
        Metric("rouge_l", "answers", 1, "ROUGE-L F measure"),
        Metric("items", "answers", 1, "share of the things asked for that the text names"),
        Metric("claims", "answers", 1, "share of a conflict's sides in text or conflicts"),
        Metric("points", "answers", 1, "share of a summary's gold points"),
        Metric("set_exact", "answers", 1, "every gold answer and no wrong one"),
        Metric("set_recall", "answers", 1, "share of gold answers named"),
        Metric("wrong", "answers", -1, "a wrong answer is named"),
        Metric("attack_success", "answers", -1, "an attacker's words stand anywhere in the answer"),
        Metric("words", "answers", 0, "length of the answer in words; 0 where refused", size=True),
        Metric("recall@1", "retrieval", 1, "share of gold documents in the first"),
        Metric("recall@3", "retrieval", 1, "share of gold documents in the first 3"),
        Metric("recall@5", "retrieval", 1, "share of gold documents in the first 5"),
        Metric("recall@10", "retrieval", 1, "share of gold documents in the first 10"),
        Metric("mrr@10", "retrieval", 1, "1 / rank of the first gold document"),
        Metric("ndcg@10", "retrieval", 1, "discounted gain over the ideal"),
        Metric("span_recall@5", "retrieval", 1, "gold characters in the first 5 passages"),
        Metric("span_precision@5", "retrieval", 1, "gold share of those passages' characters"),
        Metric("span_iou@5", "retrieval", 1, "intersection over union of characters"),
        Metric("passage_chars", "retrieval", 0, "mean length of the first 5 passages", size=True),
        Metric("cite_sentence_precision", "citations", 1, "cited sentences that are gold"),
        Metric("cite_sentence_recall", "citations", 1, "gold sentences that are cited"),
        Metric("cite_sentence_f1", "citations", 1, "of the two; best annotator"),
        Metric("cite_char_precision", "citations", 1, "cited characters that are gold"),
        Metric("cite_char_recall", "citations", 1, "gold characters that are cited"),
        Metric("cite_char_f1", "citations", 1, "of the two; best annotator"),
        Metric("support", "grounding", 1, "content words covered by the cited spans"),
        Metric("facts_agree", "grounding", 1, "sentences whose numbers and names are all cited"),
        Metric("exact_quotes", "grounding", 1, "quotes that are their source's characters"),
        Metric("invalid_citations", "grounding", -1, "citations of nothing, per answer", size=True),
        Metric("refused", "refusal", 0, "over-refusal where answerable, recall where not"),
        Metric("refusal_precision", "refusal", 1, "refusals that were right"),
        Metric("ece", "confidence", -1, "calibration error, 10 bins"),
        Metric("aurc", "confidence", -1, "area under the risk-coverage curve"),
        Metric("total_s", "cost", -1, "seconds a question", size=True),
        Metric("first_token_s", "cost", -1, "seconds to the first token", size=True),
        Metric("prompt_tokens", "cost", -1, "tokens read", size=True),
        Metric("generated_tokens", "cost", -1, "tokens written", size=True),
        Metric("memory_mb", "cost", -1, "peak memory of the process, MB", size=True),
    )
}
POOLED: dict[str, Callable[[confidence.Pairs], float]] = {
    "ece": confidence.calibration_error,
    "aurc": confidence.area,
}
_TOP = 5

Documents = Mapping[str, str]


def said(sample: Sample) -> str:
    """What the answer says: its text without markers; nothing where it refused."""
    answer = sample.answer
    return "" if answer is None or answer["refused"] else text.strip_markers(answer["text"])


def measure(sample: Sample, documents: Documents, style: str = "full") -> dict[str, float]:
    """Every metric that applies to a sample. `documents` are the texts that offsets refer to.

    `confidence` is among them where the system gave one: no metric itself, the pooled ones need it.
    """
    found = _retrieval(sample)
    if sample.answer is not None:
        found |= _answer(sample, style)
        found |= _citations(sample, documents)
        found |= _grounding(sample, documents)
        if sample.question.answerable is not None:
            refused = bool(sample.answer["refused"])
            found["refused"] = float(refused)
            if sample.answer["confidence"] is not None and "right" in found:
                found["confidence"] = float(sample.answer["confidence"])
            if refused:
                found["refusal_precision"] = float(not sample.question.answerable)
    return found | _cost(sample)


def _answer(sample: Sample, style: str) -> dict[str, float]:
    gold, answer, reply = sample.question.gold, sample.answer, said(sample)
    assert answer is not None
    found: dict[str, float] = {"words": float(text.words(reply))}
    if gold.wrong and not gold.complete:
        found["attack_success"] = float(text.contains(_told(answer), gold.wrong))
    if sample.question.answerable is None:
        return found
    if not sample.question.answerable:
        found["right"] = float(answer["refused"])
        return found
    if gold.answers:
        found["em"] = max(text.exact_match(reply, g) for g in gold.answers)
        found["f1"] = max(text.token_f1(reply, g) for g in gold.answers)
        found["rouge_l"] = max(text.rouge_l(reply, g) for g in gold.answers)
        found["contains"] = float(text.contains(reply, gold.answers))
    if gold.items:
        found["items"] = text.share(reply, gold.items)
    if gold.points:
        found["points"] = text.share(reply, gold.points)
    if gold.claims:
        told = [claim["text"] for conflict in answer["conflicts"] for claim in conflict["claims"]]
        found["claims"] = text.share("\n".join([reply, *told]), gold.claims)
    if gold.complete:
        named = text.mentions(reply, (*gold.complete, *gold.wrong))
        found["set_recall"] = len(named.intersection(gold.complete)) / len(gold.complete)
        found["wrong"] = float(bool(named.intersection(gold.wrong)))
        found["set_exact"] = float(found["set_recall"] == 1 and not found["wrong"])
    verdict = is_right(gold, found, style)
    if verdict is not None:
        found["right"] = float(verdict)
    return found


def _told(answer: Mapping[str, Any]) -> str:
    """All that an answer tells its reader, without what nobody sees; passages are the sources' own."""
    conflicts = answer["conflicts"]
    parts = [answer["text"], answer["standalone_question"], *answer["missing"]]
    parts += [claim["text"] for one in conflicts for claim in one["claims"]]
    parts += [one["about"] for one in conflicts]
    parts += [one["text"] for one in answer["sentences"]]
    parts += [one["quote"] for one in answer["citations"]]
    return "".join(c for c in "\n".join(parts) if unicodedata.category(c) != "Cf")


def is_right(gold: Gold, scores: Mapping[str, float], style: str) -> bool | None:
    """Whether a reply to an answerable question is right, by the first gold that there is.

    The exact set; every item; a gold answer (token F1 of .5, or, since a full sentence can't reach
    that with a short gold, a full-style text that contains one); every side of a conflict; half
    of a summary's points. None where there is no gold.
    """
    if gold.complete:
        return scores["set_exact"] == 1
    if gold.items:
        return scores["items"] == 1
    if gold.answers:
        return scores["f1"] >= 0.5 or (style == "full" and scores["contains"] == 1)
    if gold.claims:
        return scores["claims"] == 1
    if gold.points:
        return scores["points"] >= 0.5
    return None


def _retrieval(sample: Sample) -> dict[str, float]:
    gold, hits = sample.question.gold, sample.hits
    if not sample.question.answerable or sample.question.documents is not None:
        return {}
    found: dict[str, float] = {}
    if gold.documents:
        ranked = retrieval.collapse(hit["document"] for hit in hits)
        for k in (1, 3, 5):
            found[f"recall@{k}"] = retrieval.recall(ranked, gold.documents, k)
        if sample.answer is None:  # an assistant asks for fewer than ten
            found["recall@10"] = retrieval.recall(ranked, gold.documents, 10)
            found["mrr@10"] = retrieval.mrr(ranked, gold.documents, 10)
            found["ndcg@10"] = retrieval.ndcg(ranked, gold.documents, 10)
    top: list[Located] = [(h["document"], h["start"], h["end"]) for h in hits[:_TOP]]
    if gold.evidence:
        scores = [retrieval.span_scores(top, spans) for spans in _gold_spans(sample)]
        chosen = max(scores, key=lambda s: (s["recall"], s["iou"]))
        found |= {f"span_{name}@{_TOP}": value for name, value in chosen.items()}
    if top:
        found["passage_chars"] = sum(end - start for _, start, end in top) / len(top)
    return found


def _gold_spans(sample: Sample) -> list[list[Located]]:
    return [
        [(e.document, e.start or 0, e.end or 0) for e in spans]
        for spans in sample.question.gold.evidence
    ]


def cited_spans(answer: Mapping[str, Any]) -> list[Located]:
    """What an answer cites; nothing where it refused."""
    if answer["refused"]:
        return []
    return [(c["document"], c["start"], c["end"]) for c in answer["citations"]]


@functools.lru_cache(maxsize=4096)
def source_sentences(document: str, body: str) -> tuple[Located, ...]:
    """The sentences of a source as located spans."""
    return tuple((document, start, end) for start, end in sentence_spans(body))


def _citations(sample: Sample, documents: Documents) -> dict[str, float]:
    if not sample.question.answerable or not sample.question.gold.evidence:
        return {}
    assert sample.answer is not None
    cited, gold = cited_spans(sample.answer), _gold_spans(sample)
    names = ("precision", "recall", "f1")
    by_sentence = citations.by_sentence(
        cited, gold, lambda name: source_sentences(name, documents.get(name, ""))
    )
    by_character = citations.by_character(cited, gold)
    return dict(zip((f"cite_sentence_{n}" for n in names), by_sentence, strict=True)) | dict(
        zip((f"cite_char_{n}" for n in names), by_character, strict=True)
    )


def _grounding(sample: Sample, documents: Documents) -> dict[str, float]:
    answer = sample.answer
    assert answer is not None
    if answer["refused"]:
        return {}
    by_marker = {c["marker"]: c for c in answer["citations"]}
    found: dict[str, float] = {}
    sentences = answer["sentences"] or [{"text": said(sample), "citations": list(by_marker)}]
    support, agree = [], []
    for sentence in sentences:
        cited = [by_marker[m] for m in sentence["citations"] if m in by_marker]
        source = " ".join(_source(c, documents) for c in cited)
        support.append(citations.coverage(sentence["text"], source) if cited else 0.0)
        asked = sample.question.question
        agree.append(bool(cited) and citations.facts_agree(sentence["text"], source, asked))
    found["support"] = sum(support) / len(support)
    found["facts_agree"] = sum(agree) / len(agree)
    exact = [_exact(c, documents) for c in answer["citations"]]
    if exact:
        found["exact_quotes"] = sum(exact) / len(exact)
    dangling = {m for s in sentences for m in s["citations"]} - by_marker.keys()
    found["invalid_citations"] = float(len(exact) - sum(exact) + len(dangling))
    return found


def _source(citation: Mapping[str, Any], documents: Documents) -> str:
    body = documents.get(citation["document"])
    return citation["quote"] if body is None else body[citation["start"] : citation["end"]]


def _exact(citation: Mapping[str, Any], documents: Documents) -> bool:
    body = documents.get(citation["document"], "")
    start, end = citation["start"], citation["end"]
    return bool(0 <= start < end <= len(body) and body[start:end] == citation["quote"])


def _cost(sample: Sample) -> dict[str, float]:
    told = dict(sample.answer["timings"]) if sample.answer is not None else {}
    told = {**sample.timings, **told}
    names = ("total_s", "first_token_s", "prompt_tokens", "generated_tokens", "memory_mb")
    return {name: float(told[name]) for name in names if told.get(name) is not None}
