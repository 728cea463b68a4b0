"""Ridge logistic regression on all genes, its penalty chosen on inner folds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from dtp_scvi.train._baseline_fitted import FittedBaseline

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from dtp_scvi.train._baseline_sample import Sample

# Half decades of scikit-learn's C, from heavy to light shrinkage of unscaled log1p values.
C_GRID: Final = tuple(10.0 ** (k / 2) for k in range(-10, 3))
# After so many penalties in a row without gain the path, which has one valley, is left.
_PATIENCE = 2
_MAX_ITER = 2000
# Up to this size the eigenvectors of the row-by-row Gram matrix are found in about a second.
_MAX_GRAM_ROWS = 1500
_GENES_PER_ROW = 4
_MAX_DENSE_BYTES = 2**28

Coefficients = Callable[[np.ndarray], "NDArray[np.float64]"]


def fit_logistic_regression(sample: Sample, name: str) -> FittedBaseline:
    """
    Fit L2 logistic regression; C is the one of ``C_GRID`` with the least inner log-loss.

    The solver works on centred rows, and, where there are far fewer rows than genes, on their
    coordinates in the basis of the singular vectors. Neither changes the solution: the intercept
    carries no penalty, an orthogonal map keeps the norm of the weights, and a ridge solution lies
    in the span of the rows (Hastie & Tibshirani, Biostatistics 5:329, 2004).

    Parameters
    ----------
    sample
        Training rows and inner folds.
    name
        Name of the baseline.
    """
    mean = np.asarray(sample.X.mean(axis=0, dtype=np.float64)).ravel()
    rows, coefficients, centred = _solver_rows(sample.X, mean)
    C, losses, out_of_fold = _search(rows, sample)
    model = LogisticRegression(C=C, max_iter=_MAX_ITER)
    model.fit(rows[sample.whole], sample.is_positive[sample.whole])
    weight = coefficients(model.coef_.ravel().astype(np.float64))
    bias = float(model.intercept_[0]) - (float(mean @ weight) if centred else 0.0)
    return FittedBaseline(
        name,
        lambda new: np.asarray(new @ weight, dtype=np.float64).ravel() + bias,
        out_of_fold,
        {"C": C, "inner_log_loss": losses[C]},
    )


def _solver_rows(X: sp.csr_matrix, mean: NDArray[np.float64]) -> tuple[Any, Coefficients, bool]:
    """Rows as the solver takes them, the way back to genes, and whether they are centred."""
    n_rows, n_genes = X.shape
    if _GENES_PER_ROW * n_rows <= n_genes and n_rows <= _MAX_GRAM_ROWS:
        return *_rotated(X, mean), True
    # lbfgs needs several times as many steps without the mean taken off; beyond this size the
    # dense copy would cost more than it saves.
    if 4 * n_rows * n_genes <= _MAX_DENSE_BYTES:
        return X.toarray() - mean.astype(X.dtype), lambda w: w, True
    return X, lambda w: w, False


def _rotated(
    X: sp.csr_matrix, mean: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Coefficients]:
    """Coordinates of the centred rows in the basis of their right singular vectors."""
    gram = (X @ X.T).toarray().astype(np.float64)
    of_row = gram.mean(axis=0)
    gram += of_row.mean() - of_row[:, None] - of_row[None, :]
    values, vectors = np.linalg.eigh(gram)
    kept = values > values[-1] * len(values) * np.finfo(np.float32).eps
    singular, left = np.sqrt(values[kept]), vectors[:, kept]

    def coefficients(w: np.ndarray) -> NDArray[np.float64]:
        share = left @ (w / singular)
        return np.asarray(X.T @ share).ravel() - mean * share.sum()

    return left * singular, coefficients


def _search(rows: Any, sample: Sample) -> tuple[float, dict[float, float], NDArray[np.float64]]:
    """Walk from heavy to light shrinkage, each solution the start of the next one."""
    labels, is_positive = sample.is_positive, sample.is_positive[: sample.n]
    parts = [(rows[train], labels[train], rows[test], test) for train, test in sample.folds]
    models = [LogisticRegression(max_iter=_MAX_ITER, warm_start=True) for _ in parts]
    losses: dict[float, float] = {}
    best, best_out = math.inf, np.zeros(0)
    chosen, worse = C_GRID[0], 0
    for C in C_GRID:
        out = np.zeros(sample.n)
        for model, (train_rows, classes, test_rows, test) in zip(models, parts, strict=True):
            model.set_params(C=C).fit(train_rows, classes)
            out[test] = model.decision_function(test_rows)
        losses[C] = float(np.logaddexp(0.0, np.where(is_positive, -out, out)).mean())
        worse = 0 if losses[C] < best else worse + 1
        if losses[C] < best:
            best, chosen, best_out = losses[C], C, out
        if worse == _PATIENCE:
            break
    return chosen, losses, best_out
