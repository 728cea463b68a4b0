"""Labels exchanged between what may be exchanged: donors, or rows of a donor, within studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from dtp_scvi._scvi import manager_of, setup_args
from dtp_scvi._validate import check_one_of, problem, shorten

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model import Registration

DONOR: Final = "donor"
WITHIN_DONOR: Final = "within_donor"
ROW: Final = "row"
BY: Final = (DONOR, WITHIN_DONOR, ROW)


def resolve_by(by: str | None, reg: Registration) -> str:
    """Return what is exchanged; unsaid, whole donors where each has one class."""
    if by is not None:
        check_one_of(by, BY, "by")
    several = reg.donors is not None and len(set(reg.donors)) > 1
    if by in (DONOR, WITHIN_DONOR) and not several:
        msg = problem(
            f"two donors or more for by={by!r}", "no two", "Name a donor_key, or pass by='row'."
        )
        raise ValueError(msg)
    if not several:
        return ROW
    mixed = _mixed(reg.labels, reg.donors)
    if by is None:
        return WITHIN_DONOR if len(mixed) else DONOR
    if by == DONOR and len(mixed):
        msg = problem(
            "donors of one class each for by='donor'",
            f"{len(mixed):,} with several ({shorten(mixed)})",
            "Pass by='within_donor', which exchanges the labels of a donor's rows.",
        )
        raise ValueError(msg)
    if by == WITHIN_DONOR and not len(mixed):
        msg = problem(
            "donors with rows of several classes for by='within_donor'",
            "none: no label would move",
            "Pass by='donor', which exchanges the labels of whole donors.",
        )
        raise ValueError(msg)
    return str(by)


def exchange_units(
    reg: Registration, hashes: np.ndarray, studies: np.ndarray | None, by: str
) -> tuple[np.ndarray, np.ndarray]:
    """
    Number the units whose labels are exchanged, and the strata within which that happens.

    Rows with the same values and the same label are one unit: a copy has the label of its
    original, which is what makes copies on both sides of a split a leak.

    Parameters
    ----------
    reg
        Labels and donors.
    hashes
        Fingerprint of each row; 0 is never the same row.
    studies
        Study of each row, or ``None``.
    by
        One of ``BY``.

    Returns
    -------
    Unit and stratum of each row.
    """
    n = len(reg.labels)
    own = np.arange(n) if by != DONOR else pd.factorize(reg.donors)[0]
    copies = pd.factorize(hashes)[0]
    per_copy = pd.Series(reg.labels).groupby(copies).transform("nunique").to_numpy()
    copies = np.where((hashes != 0) & (per_copy == 1), copies, np.arange(n) + n)
    edges = sp.csr_matrix((np.ones(n), (own, n + copies)), shape=(3 * n, 3 * n))
    unit = pd.factorize(connected_components(edges, directed=False)[1][own])[0]
    stratum = np.zeros(n, np.intp)
    for part in (studies, reg.donors if by == WITHIN_DONOR else None):
        if part is not None:
            stratum = pd.factorize(stratum * n + pd.factorize(part)[0])[0]
    return unit, stratum


def permute_labels(
    labels: np.ndarray, unit: np.ndarray, stratum: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Exchange the labels of units of one stratum; a unit is in the stratum of its first row."""
    _, first = np.unique(unit, return_index=True)
    mine, place = labels[first], stratum[first]
    for code in np.unique(place):
        here = np.flatnonzero(place == code)
        mine[here] = mine[rng.permutation(here)]
    return mine[unit]


def relabelled(model_cls: Any, adata: AnnData, reg: Registration, labels: np.ndarray) -> AnnData:
    """Return a copy with other labels that is set up as the original was."""
    arguments = setup_args(manager_of(model_cls, adata).registry)
    copy = adata.copy()
    copy.obs[reg.labels_key] = labels
    model_cls.setup_anndata(copy, **{**arguments, "positive": reg.positive})
    return copy


def _mixed(labels: np.ndarray, donors: np.ndarray | None) -> list[str]:
    classes = pd.Series(labels).groupby(donors).nunique()
    return [str(name) for name in classes.index[classes > 1]]
