"""Fit the coefficients of `rag/confidence.json` on runs that refused nothing.

    footnote eval run squad --data DIR --set refuse_below=0 --set search_gate=0 --out runs/fit
    python -m eval.fit runs/fit [RUN…]

Two logistic regressions with an L2 penalty. `answer` predicts from every signal that an answer is
right (token F1 of at least .5 with a gold answer; any answer to an unanswerable question is wrong).
`search` predicts from retrieval alone that a question belongs to the collection; a question far below
is refused before the model writes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics import text as scores
from eval.run import read_samples

__all__ = ["fit", "rows_of"]

_PENALTY = 1.0
_TARGET = Path(__file__).resolve().parent.parent / "rag" / "confidence.json"


def rows_of(run: Path) -> tuple[list[dict[str, float]], list[bool]]:
    """The signals of each sample of a run, and whether its answer was right."""
    signals: list[dict[str, float]] = []
    right: list[bool] = []
    for sample in read_samples(run):
        answer = sample.answer
        if answer is None or not answer.get("signals"):
            continue
        golds = sample.question.gold.answers
        shown = " ".join(sentence["text"] for sentence in answer["sentences"])
        signals.append(answer["signals"])
        right.append(bool(golds) and max(scores.token_f1(shown, gold) for gold in golds) >= 0.5)
    return signals, right


def fit(signals: list[dict[str, float]], right: list[bool]) -> dict[str, Any]:
    """Intercept and weights by name, of a logistic regression over unscaled signals."""
    from sklearn.linear_model import LogisticRegression

    names = sorted(signals[0])
    matrix = np.array([[row[name] for name in names] for row in signals])
    model = LogisticRegression(C=1 / _PENALTY, max_iter=1000).fit(matrix, right)
    weights = dict(zip(names, (round(float(w), 4) for w in model.coef_[0]), strict=True))
    return {"intercept": round(float(model.intercept_[0]), 4), "weights": weights}


def main(runs: list[str]) -> None:
    """Fit `answer` on the runs and write it beside what the file holds already."""
    signals: list[dict[str, float]] = []
    right: list[bool] = []
    for run in runs:
        more, labels = rows_of(Path(run))
        signals += more
        right += labels
    held = json.loads(_TARGET.read_text("utf-8"))
    held["answer"] = fit(signals, right) | {
        "fitted_on": sorted(Path(run).name for run in runs),
        "n": len(right),
        "right": sum(right),
    }
    _TARGET.write_text(json.dumps(held, indent=1) + "\n", "utf-8")
    print(f"fitted on {len(right)} answers, {sum(right)} of them right: {_TARGET}")


if __name__ == "__main__":
    main(sys.argv[1:])
