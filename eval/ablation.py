"""What each signal is worth: refit the confidence with every signal left out, and alone.

    python -m eval.ablation RUN… [--json]

Takes runs that refused nothing (`--set refuse_below=0 --set search_gate=0`). Probabilities are
cross-validated over folds that keep clusters of questions together, so none is predicted by a model
that saw its document. Prints the area under the ROC curve, the area under the risk-coverage curve
and the calibration error over ten bins of equal mass.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from eval.fit import Labelled, labelled
from eval.metrics.confidence import area, equal_mass_error
from rag.errors import InputError, RagError

__all__ = ["Row", "ablate", "main", "predicted"]

_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A set of signals and what a logistic regression over them is worth."""

    signals: str
    auc: float
    aurc: float
    ece: float


def predicted(rows: Sequence[Labelled], names: Sequence[str]) -> list[float]:
    """Each answer's probability of being right, by a model fitted on the other folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    matrix = np.array([[row.signals.get(name, 0.0) for name in names] for row in rows])
    right = np.array([row.right for row in rows])
    groups = np.array([row.cluster for row in rows])
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=1000)
    found = cross_val_predict(model, matrix, right, groups=groups, cv=folds, method="predict_proba")
    return [float(p) for p in found[:, 1]]


def ablate(rows: Sequence[Labelled]) -> list[Row]:
    """All signals; all but each; each alone. InputError where there are too few answers."""
    positive = sum(row.right for row in rows)
    if min(positive, len(rows) - positive, len({row.cluster for row in rows})) < _FOLDS:
        raise InputError(
            f"{positive} right answers of {len(rows)}: too few of one kind; take more runs"
        )
    names = sorted({name for row in rows for name in row.signals})
    table = [_row("all", rows, names)]
    if len(names) > 1:
        for name in names:
            table.append(_row(f"without {name}", rows, [n for n in names if n != name]))
    return table + [_row(f"{name} alone", rows, [name]) for name in names]


def _row(label: str, rows: Sequence[Labelled], names: Sequence[str]) -> Row:
    from sklearn.metrics import roc_auc_score

    sure = predicted(rows, names)
    right = [float(row.right) for row in rows]
    pairs = list(zip(sure, right, strict=True))
    auc = float(roc_auc_score(right, sure))
    return Row(label, round(auc, 4), round(area(pairs), 4), round(equal_mass_error(pairs), 4))


def main(
    runs: Annotated[list[Path], typer.Argument(help="Runs that refused nothing.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the table as Markdown."""
    try:
        rows = [row for run in runs for row in labelled(run)]
        table = ablate(rows)
    except RagError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(row) for row in table], indent=1))
        return
    typer.echo(f"{len(rows)} answers, {sum(row.right for row in rows)} right; {_FOLDS} folds\n")
    typer.echo("| signals | AUC | AURC | ECE |\n| --- | --: | --: | --: |")
    for row in table:
        typer.echo(f"| {row.signals} | {row.auc:.3f} | {row.aurc:.3f} | {row.ece:.3f} |")


if __name__ == "__main__":
    typer.run(main)
