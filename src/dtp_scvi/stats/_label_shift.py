"""Probabilities for a cohort in which the classes are more or less frequent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.stats._check import as_probabilities, as_vector

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class PrevalenceEstimate:
    """
    Class frequencies of an unlabelled cohort under pure label shift.

    Parameters
    ----------
    prevalence
        Frequency of the positive class, in (0, 1); one per class where several were given.
    n_iter
        Iterations of the EM; 0 for a direct solution.
    probabilities
        Corrected probabilities of the cohort's rows; ``None`` where none were given.
    condition
        Condition number of the confusion matrix, at least 1; ``None`` for the EM.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> found = stats.saerens_em([0.2, 0.2, 0.8, 0.8], 0.5)
    >>> round(found.prevalence, 6)
    0.5
    """

    prevalence: float | NDArray[np.float64]
    n_iter: int = 0
    probabilities: NDArray[np.float64] | None = None
    condition: float | None = None


def prior_correction(
    probabilities: ArrayLike,
    source_prevalence: float | ArrayLike,
    target_prevalence: float | ArrayLike,
) -> NDArray[np.float64]:
    """
    Move calibrated probabilities to another prevalence, by Bayes' rule.

    Right where the classes look alike in both cohorts and only their frequency differs. Keeps
    the order of rows.

    Parameters
    ----------
    probabilities
        Calibrated in the source: shape (rows,) for the positive class, or (rows, classes).
    source_prevalence, target_prevalence
        Frequency of the positive class in (0, 1), or one per class that add up to 1.

    Returns
    -------
    Probabilities in the target, same shape.

    Raises
    ------
    ValueError
        A prevalence outside (0, 1), or probabilities outside [0, 1].

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> stats.prior_correction([0.5, 1.0], 0.5, 0.2).round(6).tolist()
    [0.2, 1.0]
    """
    table, binary = as_table(probabilities)
    source = as_prevalence(source_prevalence, "source_prevalence", table.shape[1])
    target = as_prevalence(target_prevalence, "target_prevalence", table.shape[1])
    return _narrow(_reweighted(table, target / source), binary=binary)


def saerens_em(
    probabilities: ArrayLike,
    source_prevalence: float | ArrayLike,
    *,
    max_iter: int = 10_000,
    tol: float = 1e-9,
) -> PrevalenceEstimate:
    """
    Prevalence of an unlabelled cohort from calibrated probabilities, by EM.

    Saerens, Latinne & Decaestecker 2002 (doi:10.1162/089976602753284446). Assumes that scores
    within a class are distributed as in the source: run ``label_shift_test`` first. Calibrate
    first as well (Alexandari et al. 2020).

    Parameters
    ----------
    probabilities
        Calibrated in the source: shape (rows,) for the positive class, or (rows, classes).
    source_prevalence
        Frequency of the positive class in (0, 1) there, or one per class that add up to 1.
    max_iter
        Iterations after which it gives up.
    tol
        It ends once no frequency moves by more.

    Returns
    -------
    Prevalence, number of iterations and corrected probabilities.

    Raises
    ------
    ValueError
        A prevalence outside (0, 1), or probabilities outside [0, 1].
    RuntimeError
        No convergence, or a class that ends with less than half a row: the maximum lies on the
        edge of the simplex, so the cohort shows no such class at all.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi import stats
    >>> rng = np.random.default_rng(0)
    >>> logits = 4 * rng.normal(size=5000) + 16 * ((rng.random(5000) < 0.2) * 1.0 - 0.5)
    >>> found = stats.saerens_em(stats.sigmoid(logits), 0.5)
    >>> abs(found.prevalence - 0.2) < 0.03
    True
    """
    check_positive_int(max_iter, "max_iter")
    check_range(tol, "tol", 0.0, 1.0, inclusive=False)
    table, binary = as_table(probabilities)
    source = as_prevalence(source_prevalence, "source_prevalence", table.shape[1])
    _refuse_empty(table)
    now, fewest = source, 0.5 / len(table)
    for n_iter in range(1, max_iter + 1):
        corrected = _reweighted(table, now / source)
        before, now = now, corrected.mean(axis=0)
        if not np.isfinite(now).all() or now.min() < fewest:
            found = f"{now.min():.2g} of {len(table):,} rows in class {int(np.argmin(now))}"
            todo = (
                "The cohort shows no such class, or p(score | class) moved: use a known "
                "prevalence, or name negatives."
            )
            raise RuntimeError(problem("EM to stay inside the simplex", found, todo))
        if np.abs(now - before).max() <= tol:
            return PrevalenceEstimate(
                prevalence=float(now[1]) if binary else now,
                n_iter=n_iter,
                probabilities=_narrow(_reweighted(table, now / source), binary=binary),
            )
    moved = float(np.abs(now - before).max())
    todo = "Raise `max_iter`, or use a known prevalence: the scores hardly tell the classes apart."
    msg = problem(
        f"EM to converge in {max_iter:,} iterations", f"a last step of {moved:.2g}", todo
    )
    raise RuntimeError(msg)


def bbse(
    source_labels: ArrayLike,
    source_called: ArrayLike,
    target_called: ArrayLike,
    *,
    max_condition: float = 20.0,
    tolerance: float = 0.05,
) -> PrevalenceEstimate:
    """
    Prevalence of an unlabelled cohort from how often each class is called.

    Solves ``mean call in the target = sum over classes of prevalence * mean call in that class``
    (black-box shift estimation, Lipton et al. 2018, arXiv:1802.03916). Needs no calibration, but
    calls of rows the model was not trained on, and the assumption of ``saerens_em``.

    Parameters
    ----------
    source_labels
        Class of each source row: boolean, or whole numbers from 0.
    source_called, target_called
        Hard calls (0/1) or soft ones (probabilities) of the positive class, shape (rows,), or one
        column per class that add up to 1.
    max_condition
        Largest condition number of the confusion matrix that is taken.
    tolerance
        How far a solution may lie outside [0, 1] and still be moved to the edge, as noise does.

    Returns
    -------
    Prevalence in [0, 1] and the condition number.

    Raises
    ------
    ValueError
        Unequal lengths, a class without rows, or values outside [0, 1].
    RuntimeError
        A confusion matrix near singular, or a solution further outside the simplex.

    Examples
    --------
    >>> from dtp_scvi import stats
    >>> labels, called = [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 0, 1, 1, 1]
    >>> found = stats.bbse(labels, called, [1, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    >>> round(found.prevalence, 6)
    0.1
    """
    source, binary = as_table(source_called, "source_called")
    target, _ = as_table(target_called, "target_called")
    n_classes = source.shape[1]
    if target.shape[1] != n_classes:
        found = f"{target.shape[1]} columns"
        raise ValueError(problem(f"`target_called` of {n_classes} classes", found, "Align them."))
    _refuse_empty(target)
    classes = as_vector(source_labels, "source_labels", len(source))
    counts = np.array([np.count_nonzero(classes == index) for index in range(n_classes)])
    if counts.sum() != len(source) or counts.min() == 0:
        found = f"{counts.tolist()} rows of classes 0 to {n_classes - 1} among {len(source):,}"
        todo = "Number the classes from 0, in the order of the columns."
        raise ValueError(problem("`source_labels` with rows of each class", found, todo))
    # Column j: mean call among source rows of class j.
    confusion = np.column_stack([source[classes == j].mean(axis=0) for j in range(n_classes)])
    condition = float(np.linalg.cond(confusion))
    if not condition <= max_condition:
        todo = "The calls hardly depend on the class; use another threshold or a known prevalence."
        msg = problem(
            f"a confusion matrix of condition <= {max_condition:g}", f"{condition:.3g}", todo
        )
        raise RuntimeError(msg)
    solved = np.linalg.solve(confusion, target.mean(axis=0))
    if solved.min() < -tolerance:
        todo = "p(score | class) must have moved: run label_shift_test, and don't correct."
        msg = problem("a solution inside the simplex", f"{solved.round(3).tolist()}", todo)
        raise RuntimeError(msg)
    inside = np.clip(solved, 0, None)
    inside /= inside.sum()
    return PrevalenceEstimate(
        prevalence=float(inside[1]) if binary else inside, condition=condition
    )


def as_table(
    values: ArrayLike, argument: str = "probabilities"
) -> tuple[NDArray[np.float64], bool]:
    """Probabilities with one column per class, and whether one column was given."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        positive = as_probabilities(array, argument, len(np.atleast_1d(array)))
        return np.column_stack([1 - positive, positive]), True
    as_probabilities(array.ravel(), argument, array.size)
    off = np.abs(array.sum(axis=1) - 1).max(initial=0.0)
    if array.shape[1] < 2 or off > 1e-6:
        found = f"shape {array.shape}, sums off by up to {off:.2g}"
        todo = "Pass one column per class, or one value per row for two classes."
        raise ValueError(problem(f"rows of `{argument}` that add up to 1", found, todo))
    return array, False


def as_prevalence(value: float | ArrayLike, argument: str, n_classes: int) -> NDArray[np.float64]:
    """One frequency per class, each in (0, 1)."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0 and n_classes == 2:
        array = np.array([1 - array, array])
    inside = array.shape == (n_classes,) and np.all((array > 0) & (array < 1))
    if not inside or abs(array.sum() - 1) > 1e-6:
        expected = f"`{argument}` in (0, 1)"
        if n_classes > 2:
            expected += f", one for each of {n_classes} classes, adding up to 1"
        found = np.asarray(value).tolist()
        raise ValueError(problem(expected, f"{found}", "Pass the frequency of each class."))
    return array


def _reweighted(table: NDArray[np.float64], ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = table * ratio
    return raised / raised.sum(axis=1, keepdims=True)


def _narrow(table: NDArray[np.float64], *, binary: bool) -> NDArray[np.float64]:
    return table[:, 1] if binary else table


def _refuse_empty(table: NDArray[np.float64]) -> None:
    if len(table) == 0:
        msg = problem("rows of the target cohort", "none", "Pass at least one row.")
        raise ValueError(msg)
