"""The linear part: logistic regression on principal axes, with out-of-fold logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    import scipy.sparse as sp

    from dtp_scvi.train._axes import Axes

# Scores are not scaled, so a C of this size spans heavy to hardly any shrinkage.
_C_GRID = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_MAX_ITER = 1000

Folds = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class LinearFit:
    """A linear classifier in gene space and what its folds say of cells they have not seen."""

    weight: np.ndarray
    """Weight of each gene on log-normalised expression, (n_genes, n_outputs)."""
    bias: np.ndarray
    """Raw output at the training mean, (n_outputs,)."""
    fold_weight: np.ndarray
    """Weights of the fits that left one fold out, (n_folds, n_genes, n_outputs)."""
    fold_bias: np.ndarray
    """Raw outputs of these at the training mean, (n_folds, n_outputs)."""
    out_of_fold: np.ndarray
    """Raw outputs of cells by models that have not seen their fold, (n_cells, n_outputs)."""
    C: float
    """Inverse strength of the penalty, picked by out-of-fold log-loss."""
    log_loss: dict[float, float]
    """Out-of-fold log-loss of each C."""


def fit_linear(
    X: sp.csr_matrix, codes: np.ndarray, axes: Axes, folds: Folds, class_weight: np.ndarray
) -> LinearFit:
    """Fit the linear part of a teacher.

    The penalty is a ridge on the scores of the leading principal axes. The out-of-fold logits of
    the chosen penalty become the offsets on which the residuals are trained, so that these learn
    what the linear part misses on unseen donors and not what it overfitted. The axes know no
    label and are shared by the folds.

    Parameters
    ----------
    X
        log1p expression, (n_cells, n_genes).
    codes
        Class of each cell, 0 … n_classes - 1.
    axes
        Principal axes of the same cells.
    folds
        Training and test rows, by donor.
    class_weight
        Weight of each class in the loss, (n_classes,).
    """
    scores = axes.scores(X).astype(np.float64)
    n_outputs = 1 if len(class_weight) == 2 else len(class_weight)
    losses: dict[float, float] = {}
    best: tuple[float, float, np.ndarray, list[np.ndarray]] = (np.inf, 0.0, np.empty(0), [])
    weight = class_weight[codes]
    models = {C: LogisticRegression(C=C, max_iter=_MAX_ITER, warm_start=True) for C in _C_GRID}
    for C, model in models.items():
        raw, fitted = np.zeros((len(codes), n_outputs)), []
        for train, test in folds:
            model.fit(scores[train], codes[train], sample_weight=weight[train])
            raw[test] = model.decision_function(scores[test]).reshape(len(test), -1)
            fitted.append(np.vstack([model.coef_.T, model.intercept_]))
        losses[C] = _log_loss(raw, codes, weight)
        if losses[C] < best[0]:
            best = (losses[C], C, raw, fitted)
    _, C, out_of_fold, fitted = best
    model = LogisticRegression(C=C, max_iter=_MAX_ITER).fit(scores, codes, sample_weight=weight)
    return LinearFit(
        (axes.loadings @ model.coef_.T).astype(np.float32),
        model.intercept_.astype(np.float32),
        np.stack([axes.loadings @ fold[:-1] for fold in fitted]).astype(np.float32),
        np.stack([fold[-1] for fold in fitted]).astype(np.float32),
        out_of_fold.astype(np.float32),
        float(C),
        losses,
    )


def _log_loss(raw: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> float:
    scores = np.hstack([np.zeros_like(raw), raw]) if raw.shape[1] == 1 else raw
    log_prob = scores - logsumexp(scores, axis=1, keepdims=True)
    return float(-np.average(log_prob[np.arange(len(codes)), codes], weights=weight))
