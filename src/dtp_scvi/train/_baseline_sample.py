"""The training rows of a comparator, resampled where that was asked for, folds included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.sparse as sp

from dtp_scvi._optional import require
from dtp_scvi._validate import check_one_of, problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.train._linear import Folds

RESAMPLERS: Final = ("over", "under", "smote", "smote_tomek")
# What imbalanced-learn takes by default; a smaller class has fewer neighbours.
_NEIGHBOURS = 5


@dataclass(frozen=True)
class Sample:
    """
    Rows to fit on, and inner folds that are tested on real rows alone.

    Attributes
    ----------
    X
        log1p CP10k; the ``n`` real training rows first, made-up rows after them.
    is_positive
        Class of each row.
    whole
        Rows of the final fit.
    folds
        ``(train, test)`` rows of the inner folds; ``test`` holds real rows, each once, and what
        was made up for ``train`` was made of the fold's own training rows.
    n
        Number of real rows.
    """

    X: sp.csr_matrix
    is_positive: NDArray[np.bool_]
    whole: NDArray[np.intp] | slice
    folds: Folds
    n: int


def check_resample(method: str | None) -> None:
    """Raise for an unknown name, or without imbalanced-learn."""
    if method is None:
        return
    check_one_of(method, RESAMPLERS, "resample")
    require("imblearn", "resampling")


def make_sample(
    X: sp.csr_matrix,
    is_positive: NDArray[np.bool_],
    folds: Folds,
    method: str | None,
    seed: int,
) -> Sample:
    """
    Balance the classes of the training rows, and of each inner fold's, on their own.

    Parameters
    ----------
    X
        log1p CP10k of the training rows.
    is_positive
        Class of each row.
    folds
        Inner folds of these rows.
    method
        One of ``RESAMPLERS``, or ``None``.
    seed
        Seed of the draws.
    """
    n = len(is_positive)
    if method is None:
        return Sample(X, is_positive, slice(None), folds, n)
    every = np.arange(n)
    made, classes, drawn, start = [X], [is_positive], [], n
    for train in (every, *(train for train, _ in folds)):
        kept, rows, labels = resample(X[train], is_positive[train], method, seed)
        drawn.append(np.concatenate([train[kept], np.arange(start, start + len(labels))]))
        made.append(rows)
        classes.append(labels)
        start += len(labels)
    inner = [(train, test) for train, (_, test) in zip(drawn[1:], folds, strict=True)]
    return Sample(sp.vstack(made, format="csr"), np.concatenate(classes), drawn[0], inner, n)


def resample(
    X: sp.csr_matrix, is_positive: NDArray[np.bool_], method: str, seed: int
) -> tuple[NDArray[np.intp], sp.csr_matrix, NDArray[np.bool_]]:
    """
    Balance two classes through imbalanced-learn.

    Parameters
    ----------
    X
        Rows x genes.
    is_positive
        Class of each row.
    method
        ``"over"`` repeats rows of the smaller class, ``"under"`` drops rows of the larger one,
        ``"smote"`` puts rows between neighbours of the smaller class (Chawla et al.,
        doi:10.1613/jair.953), ``"smote_tomek"`` then drops pairs of nearest neighbours of
        different class.
    seed
        Seed of the draws.

    Returns
    -------
    Positions of the rows of ``X`` to fit on, repeats included; rows to add; their class.

    Raises
    ------
    ValueError
        When a class has one row, which has no neighbour.
    """
    if method in ("over", "under"):
        draw: Any
        if method == "over":
            sampling = require("imblearn.over_sampling", "resampling")
            draw = sampling.RandomOverSampler(random_state=seed)
        else:
            sampling = require("imblearn.under_sampling", "resampling")
            draw = sampling.RandomUnderSampler(random_state=seed)
        draw.fit_resample(X, is_positive)
        return draw.sample_indices_.astype(np.intp), X[:0], is_positive[:0]
    rows, labels = _smote(X, is_positive, seed)
    n, kept = X.shape[0], np.arange(rows.shape[0])
    if method == "smote_tomek":
        links = require("imblearn.under_sampling", "resampling").TomekLinks(
            sampling_strategy="all"
        )
        links.fit_resample(rows, labels)
        kept = links.sample_indices_.astype(np.intp)
    new = kept[kept >= n]
    return kept[kept < n], rows[new], labels[new]


def _smote(X: sp.csr_matrix, is_positive: NDArray[np.bool_], seed: int) -> tuple[Any, Any]:
    smaller = int(min(is_positive.sum(), (~is_positive).sum()))
    if smaller < 2:
        msg = problem(
            "two training rows or more of each class for SMOTE",
            "one",
            "Ask for fewer folds, or resample='over'.",
        )
        raise ValueError(msg)
    smote = require("imblearn.over_sampling", "resampling").SMOTE(
        k_neighbors=min(_NEIGHBOURS, smaller - 1), random_state=seed
    )
    return smote.fit_resample(X, is_positive)
