"""ComBat of combatlearn, fitted on one table and applied to another."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._logging import warn
from dtp_scvi._optional import require
from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from dtp_scvi.pp._combat_design import Design


def fit_library(
    values: np.ndarray,
    design: Design,
    *,
    parametric: bool,
    mean_only: bool,
    reference: str | None = None,
) -> Any:
    """
    Fit and return the library's estimator.

    Parameters
    ----------
    values
        Rows x genes, none of them constant within a batch.
    design
        Batch and covariates of each row.
    reference
        Batch that stays as it is and that the others are moved to.
    """
    _check_rank(design)
    library = require("combatlearn", "harmonise")
    estimator = library.ComBat(
        **_series(design),
        # Without covariates this is the ComBat of Johnson et al.; their method takes none.
        method="fortin",
        parametric=parametric,
        mean_only=mean_only,
        reference_batch=reference,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(pd.DataFrame(values))
    for said in dict.fromkeys(str(warning.message) for warning in caught):
        warn(f"combatlearn: {said}")
    return estimator


def apply_library(estimator: Any, values: np.ndarray, design: Design) -> np.ndarray:
    """Return corrected rows; nothing is fitted."""
    estimator.set_params(**_series(design))
    return np.asarray(estimator.transform(pd.DataFrame(values)), np.float64)


def _series(design: Design) -> dict[str, Any]:
    # Fresh numbers for names: rows of an AnnData may share theirs.
    return {
        "batch": pd.Series(design.batch),
        "discrete_covariates": design.discrete,
        "continuous_covariates": design.continuous,
    }


def _check_rank(design: Design) -> None:
    parts = [pd.get_dummies(pd.Series(design.batch)).astype(float)]
    if design.discrete is not None:
        parts.append(pd.get_dummies(design.discrete, drop_first=True).astype(float))
    if design.continuous is not None:
        parts.append(design.continuous)
    full = pd.concat(parts, axis=1).to_numpy(np.float64)
    if np.linalg.matrix_rank(full) < full.shape[1]:
        msg = problem(
            "covariates and label that batches do not determine",
            f"{full.shape[1]} columns of rank {np.linalg.matrix_rank(full)}",
            "Leave out what follows from the batch: the two can't be told apart.",
        )
        raise ValueError(msg)
