"""The comparator that knows which study a row is from, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from dtp_scvi.train._baseline_fitted import FittedBaseline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.train._baseline_sample import Sample


def study_rows(studies: np.ndarray) -> sp.csr_matrix:
    """
    One column per study, in the order of their names, with a one where a row is from it.

    Parameters
    ----------
    studies
        Study of each row.
    """
    names, codes = np.unique(studies.astype(str), return_inverse=True)
    n = len(codes)
    return sp.csr_matrix((np.ones(n), (np.arange(n), codes)), shape=(n, len(names)))


def fit_study_only(sample: Sample, name: str) -> FittedBaseline:
    """
    Score a row by the share of positives among the training rows of its study.

    The log-odds are ``log((positives + 1/2) / (negatives + 1/2))``, finite where a study holds
    one class. A study without a training row takes the log-odds of all training rows.

    Parameters
    ----------
    sample
        Training rows as :func:`study_rows` makes them, and inner folds.
    name
        Name of the baseline.
    """
    X, labels = sample.X, sample.is_positive
    out_of_fold = np.zeros(sample.n)
    for train, test in sample.folds:
        out_of_fold[test] = X[test] @ _log_odds(X[train], labels[train])
    weights = _log_odds(X[sample.whole], labels[sample.whole])
    n_rows = np.asarray(X[sample.whole].sum(axis=0)).ravel()
    return FittedBaseline(
        name,
        lambda new: np.asarray(new @ weights, dtype=np.float64).ravel(),
        out_of_fold,
        {"n_unseen_studies": int((n_rows == 0).sum())},
    )


def _log_odds(X: sp.csr_matrix, labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    positive, negative = X.T @ labels.astype(float), X.T @ (~labels).astype(float)
    known = positive + negative > 0
    positive = np.where(known, positive, labels.sum())
    negative = np.where(known, negative, (~labels).sum())
    return np.log(positive + 0.5) - np.log(negative + 0.5)
