"""What models that a user brings say of the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten
from dtp_scvi.model import ExpressionClassifier
from dtp_scvi.tl._compare_transfer_linear import Scored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import ArrayLike


def given_scores(
    models: Mapping[str, Any],
    cells: AnnData,
    positive: str,
    taken: set[str],
    options: dict[str, Any],
) -> dict[str, Scored]:
    """Scores of the models that stand beside the comparators."""
    clash = sorted(taken & {str(name) for name in models})
    if clash:
        todo = "Give them other names."
        raise ValueError(problem("names of their own in `models`", shorten(clash), todo))
    return {
        str(name): _by_model(model, str(name), cells, positive, options)
        if isinstance(model, ExpressionClassifier)
        else _by_table(model, str(name), cells, positive)
        if isinstance(model, pd.DataFrame)
        else _by_score(model, str(name), cells.n_obs)
        for name, model in models.items()
    }


def _by_model(
    model: ExpressionClassifier,
    name: str,
    cells: AnnData,
    positive: str,
    options: dict[str, Any],
) -> Scored:
    if model.positive_ != positive:
        msg = problem(
            f"the model {name!r} to have the positive class {positive!r}",
            repr(model.positive_),
            "Name the classes alike, or train it with this positive class.",
        )
        raise ValueError(msg)
    score = model.predict_logits(cells, **options)[positive].to_numpy(np.float64)
    probability = model.calibrated(score)
    adapted = getattr(model, "adaptation_", None)
    return Scored(score, probability, float(model.threshold_["value"]), bool(adapted))


def _by_table(table: pd.DataFrame, name: str, cells: AnnData, positive: str) -> Scored:
    """Read what ``predict`` returned; its calls stand, whatever they rest on."""
    missing = [column for column in ("logit", "call") if column not in table]
    if missing or not table.index.equals(cells.obs_names):
        msg = problem(
            f"columns logit and call, one row a cell in their order, for {name!r} in `models`",
            f"no {shorten(missing)}" if missing else "other rows",
            "Pass what predict(cells) returned.",
        )
        raise ValueError(msg)
    called = (table["call"].astype(str) == positive).to_numpy(np.float64)
    score = table["logit"].to_numpy(np.float64)
    return Scored(score, called, 0.5, bool(table.attrs.get("adaptation")))


def _by_score(values: ArrayLike, name: str, n_cells: int) -> Scored:
    score = np.asarray(values, np.float64)
    if score.shape != (n_cells,) or not np.isfinite(score).all():
        msg = problem(
            f"one finite score a cell for {name!r} in `models`, shape ({n_cells},)",
            f"shape {score.shape}" if score.shape != (n_cells,) else "NaN or infinite values",
            "Pass a fitted model, or scores in the order of the cells.",
        )
        raise ValueError(msg)
    return Scored(score, np.zeros(n_cells), float("nan"), transductive=False)
