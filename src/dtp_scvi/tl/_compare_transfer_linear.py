"""Linear comparators: fitted on lines, tried on cells as they are, moved, and turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dtp_scvi._constants import LOGISTIC_REGRESSION, RIDGE
from dtp_scvi.stats import Moments, auroc, choose_threshold, coral_map, moment_map, sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from dtp_scvi.tl._compare_transfer_input import Transfer

ADAPTATIONS: Final = ("none", "adain", "coral")
# From heavy to light shrinkage of standardised genes.
_GRID: Final = {
    LOGISTIC_REGRESSION: (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    RIDGE: (1e5, 1e4, 1e3, 1e2, 1e1),
}
_FOLDS: Final = 5
_MAX_ITER: Final = 5000


@dataclass(frozen=True)
class Scored:
    """
    What a model says of the cells.

    Attributes
    ----------
    score
        Ranks the cells.
    probability
        In [0, 1], for the threshold.
    threshold
        Chosen on lines; NaN where none was.
    transductive
        Whether the cells themselves, unlabelled, had a part in it.
    """

    score: NDArray[np.float64]
    probability: NDArray[np.float64]
    threshold: float
    transductive: bool


def mapped_cells(data: Transfer) -> dict[str, NDArray[np.float64]]:
    """
    Cells as they are, with the means and deviations of the lines, and with their covariance.

    The covariance is matched after the deviations, so that the shrinkage of its estimate is the
    same for every gene.
    """
    own, wanted = (Moments.from_blocks([rows]) for rows in (data.cells, data.lines))
    gain, shift = moment_map(own, wanted)
    moved = data.cells * gain + shift
    unit = np.where(wanted.constant, 1.0, wanted.sd)
    lines, cells = ((rows - wanted.mean) / unit for rows in (data.lines, moved))
    turned = coral_map(cells, lines)(cells) * unit + wanted.mean
    return dict(zip(ADAPTATIONS, (data.cells, moved, turned), strict=True))


def linear_comparators(
    data: Transfer, rule: str, seed: int | None
) -> tuple[dict[str, Scored], dict[str, dict[str, float]]]:
    """Fit both comparators on lines and score the cells; also what was chosen on lines."""
    cells, scored, chosen = mapped_cells(data), {}, {}
    split = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    folds = list(split.split(data.lines, data.resistant))
    for name, grid in _GRID.items():
        best, out_of_fold, value = _choose(name, grid, data, folds)
        model = _fit(name, best, data.lines, data.resistant)
        probability = _probability(name, out_of_fold)
        threshold = choose_threshold(data.resistant, probability, rule=rule, n_boot=0).value
        chosen[name] = {"penalty": best, "bulk_auroc": value, "threshold": threshold}
        for how, rows in cells.items():
            score = _score(name, model, rows)
            scored[f"{name}_{how}"] = Scored(
                score, _probability(name, score), threshold, how != "none"
            )
    return scored, chosen


def _choose(
    name: str, grid: tuple[float, ...], data: Transfer, folds: list[Any]
) -> tuple[float, NDArray[np.float64], float]:
    """Return the penalty with the best mean AUROC over folds of lines, and its held-out scores."""
    best, best_out, best_value = grid[0], np.zeros(0), -np.inf
    for penalty in grid:
        out, values = np.zeros(len(data.resistant)), []
        for train, test in folds:
            model = _fit(name, penalty, data.lines[train], data.resistant[train])
            out[test] = _score(name, model, data.lines[test])
            values.append(auroc(data.resistant[test], out[test]))
        # Of equals the heavier penalty.
        if np.mean(values) > best_value + 1e-9:
            best, best_out, best_value = penalty, out, float(np.mean(values))
    return best, best_out, best_value


def _fit(
    name: str, penalty: float, rows: NDArray[np.float64], resistant: NDArray[np.bool_]
) -> Pipeline:
    """Fit one comparator, both classes with the same weight."""
    if name == LOGISTIC_REGRESSION:
        logistic = LogisticRegression(C=penalty, class_weight="balanced", max_iter=_MAX_ITER)
        return make_pipeline(StandardScaler(), logistic).fit(rows, resistant)
    weight = np.where(resistant, 0.5 / resistant.mean(), 0.5 / (1 - resistant.mean()))
    return make_pipeline(StandardScaler(), Ridge(penalty)).fit(
        rows, np.where(resistant, 1.0, -1.0), ridge__sample_weight=weight
    )


def _score(name: str, model: Pipeline, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    found = model.decision_function(rows) if name == LOGISTIC_REGRESSION else model.predict(rows)
    return np.asarray(found, np.float64)


def _probability(name: str, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds to probabilities; a ridge on -1 and 1 is cut to that range."""
    if name == LOGISTIC_REGRESSION:
        return np.asarray(sigmoid(score), np.float64)
    return np.clip((score + 1) / 2, 0.0, 1.0)
