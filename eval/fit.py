"""Fit the coefficients of `rag/confidence.json`: two logistic regressions with an L2 penalty.

    python -m eval.fit search --data DIR

`search` predicts from retrieval alone that a question belongs to the collection; one far below is
refused before the model writes. Fitted on SQuAD questions over their own articles against CLAPNQ
questions over the same and over `seeds/`: `DIR` holds `squad2` and `clapnq`.

    footnote eval run squad --data DIR --set refuse_below=0 --set search_gate=0 --out runs/fit
    python -m eval.fit answer runs/fit [RUN…]

`answer` predicts from every signal that an answer is right (token F1 of at least .5 with a gold
answer; any answer to an unanswerable question is wrong). Fit it on runs that refused nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from eval.footnote import RagEngine
from eval.metrics import text as scores
from eval.run import read_samples
from eval.suites import Options, load, subset
from rag.collection import Collection
from rag.decide import search_signals
from rag.errors import InputError
from rag.evidence import source_sentences
from rag.settings import load_settings

__all__ = ["Labelled", "app", "fit", "labelled", "search_rows"]

_STRENGTH = {"search": 10.0, "answer": 0.3}  # the inverse of the penalty
# The signals that help in cross-validation; the log has what each of the others buys.
_USED = {"search": (), "answer": ("answerable", "asked_in_cited", "names_in_cited")}
# How large a signal's weight may easily become: words in common tell right answers from wrong ones on
# every set, but not an adversarial question from its neighbour.
_TRUST = {"asked_in_cited": 0.35, "names_in_cited": 0.35}
_LONG, _MOST, _PHRASE = 15, 0.5, 6  # words, a share, words
_TARGET = Path(__file__).resolve().parent.parent / "rag" / "confidence.json"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
Out = Annotated[Path, typer.Option(help="The file to write; what else it holds stays.")]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One answer's signals by name, whether it was right, and the question's cluster."""

    signals: dict[str, float]
    right: bool
    cluster: str


def labelled(run: Path) -> list[Labelled]:
    """The answers of a run that have signals and can be judged by a gold answer or by refusal."""
    found = []
    for sample in read_samples(run):
        question, answer = sample.question, sample.answer
        if answer is None or not answer.get("signals") or question.answerable is None:
            continue
        golds = question.gold.answers
        if question.answerable and not golds:
            continue
        shown = " ".join(sentence["text"] for sentence in answer["sentences"])
        right = any(_is_right(shown, gold) for gold in golds)
        found.append(Labelled(answer["signals"], right, question.cluster or question.id))
    if not found:
        raise InputError(f"{run} holds no answer with signals; run a suite with gold answers")
    return found


def _is_right(shown: str, gold: str) -> bool:
    """F1 of at least .5; a sentence that holds a short gold answer; or a phrase most of which stands
    in a long one."""
    ours, theirs = scores.answer_tokens(shown), scores.answer_tokens(gold)
    if not ours or scores.token_f1(shown, gold) >= 0.5:
        return bool(ours)
    if len(theirs) >= _LONG:
        return sum(word in theirs for word in ours) / len(ours) >= _MOST
    return len(ours) > _PHRASE and scores.contains(shown, [gold])


def search_rows(questions: Iterable[str], collection: Collection) -> list[dict[str, float]]:
    """The signals of retrieval for each question."""
    rows = []
    for question in questions:
        found = collection.retrieve(question)
        sentences = source_sentences(found.candidates, question, found.vector)
        rows.append(search_signals(question, found.candidates, sentences))
    return rows


def fit(
    signals: Sequence[dict[str, float]],
    right: Sequence[bool],
    strength: float = 1.0,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Intercept and weights by name, of a logistic regression.

    The penalty is on weights of standardised signals; the weights returned are for signals as they
    are. `only`: the signals to use (all of them without it); those that never vary are left out.
    """
    from sklearn.linear_model import LogisticRegression

    if len(set(right)) < 2:
        raise InputError("every label is the same: nothing can be fitted; take other runs")
    names = sorted(only or {name for row in signals for name in row})
    matrix = np.array([[row.get(name, 0.0) for name in names] for row in signals])
    mean, spread = matrix.mean(axis=0), matrix.std(axis=0)
    varies = spread > 1e-9
    if not varies.any():
        raise InputError(f"none of {', '.join(names)} varies: take runs of this version, or more")
    trust = np.array([_TRUST.get(name, 1.0) for name in names])[varies] / spread[varies]
    scaled = (matrix[:, varies] - mean[varies]) * trust
    model = LogisticRegression(C=strength, max_iter=1000).fit(scaled, right)
    raw = model.coef_[0] * trust
    kept = [name for name, does in zip(names, varies, strict=True) if does]
    weights = dict(zip(kept, (round(float(w), 4) for w in raw), strict=True))
    intercept = float(model.intercept_[0]) - float(raw @ mean[varies])
    return {"intercept": round(intercept, 4), "weights": weights}


@app.command()
def search(
    data: Annotated[Path, typer.Option(help="The folder with squad2 and clapnq.")],
    on: Annotated[int, typer.Option(help="Questions over their own articles.")] = 300,
    off: Annotated[int, typer.Option(help="Questions over articles that are not theirs.")] = 300,
    off_seeds: Annotated[int, typer.Option(help="How many of those, over seeds/ too.")] = 150,
    seed: Annotated[int, typer.Option(help="Which questions.")] = 0,
    out: Out = _TARGET,
) -> None:
    """Fit `search` from retrieval alone; loads no generator."""
    squad = load("squad", Options(data / "squad2"))
    own = [q.question for q in subset(squad.questions, on, seed)]
    strangers = load("clapnq", Options(data / "clapnq")).questions
    other = [q.question for q in subset(strangers, off, seed)]
    signals: list[dict[str, float]] = []
    pools = ((squad, own + other), (load("seeds", Options()), other[:off_seeds]))
    for suite, questions in pools:
        engine = RagEngine(suite, load_settings())
        try:
            signals += search_rows(questions, engine.collection)
        finally:
            engine.close()
    belongs = [True] * len(own) + [False] * (len(signals) - len(own))
    about = (
        f"{len(own)} SQuAD2 dev questions over their own articles against {len(other)} CLAPNQ dev "
        f"questions over the same and {len(other[:off_seeds])} over seeds/"
    )
    _write(out, "search", signals, belongs, about)


@app.command()
def answer(runs: Annotated[list[Path], typer.Argument(help="Runs.")], out: Out = _TARGET) -> None:
    """Fit `answer` on runs that refused nothing."""
    rows = [row for run in runs for row in labelled(run)]
    about = ", ".join(sorted(run.name for run in runs))
    _write(out, "answer", [row.signals for row in rows], [row.right for row in rows], about)


def _write(
    out: Path, name: str, signals: Sequence[dict[str, float]], right: Sequence[bool], about: str
) -> None:
    held = json.loads((out if out.exists() else _TARGET).read_text("utf-8"))
    counts = {"fitted_on": about, "n": len(right), "positive": sum(right)}
    held[name] = fit(signals, right, _STRENGTH[name], _USED[name]) | counts
    out.write_text(json.dumps(held, indent=1) + "\n", "utf-8")
    typer.echo(f"{name}: fitted on {len(right)}, {sum(right)} of them positive: {out}")


if __name__ == "__main__":
    app()
