"""Check and read the column that says which part of a split each row belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._constants import SPLIT_KEY, TEST, TRAIN, VALID
from dtp_scvi._validate import check_key, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


def check_parts(
    groups: Sequence[object] | pd.Series,
    parts: Sequence[object] | pd.Series,
    *,
    of: Sequence[str] = (TRAIN, VALID, TEST),
    what: str = "groups",
) -> None:
    """
    Raise unless every part has rows and no group lies in two of them.

    Parameters
    ----------
    groups
        Drug, cell line or whatever was held out, one per row.
    parts
        Part of each row; rows of other parts than ``of`` are passed over.
    of
        Parts that must be disjoint.
    what
        What groups are called in the message, e.g. ``"drugs"``.

    Raises
    ------
    ValueError
        A part without rows, or groups in several parts, which are listed.

    Examples
    --------
    >>> from dtp_scvi.data import check_parts
    >>> check_parts(["a", "a", "b", "c"], ["train", "train", "valid", "test"], what="drugs")
    """
    part = pd.Series(np.asarray(parts, dtype=object))
    group = pd.Series(np.asarray(groups, dtype=object)).astype(str)
    empty = [name for name in of if not (part == name).any()]
    if empty:
        msg = problem(
            f"rows in each of {', '.join(of)}",
            f"none in {', '.join(empty)}",
            "Carve the missing part out of the training rows by whole groups, as by "
            "dtp.pp.split_perturbation.",
        )
        raise ValueError(msg)
    chosen = part.isin(of)
    spread = part[chosen].groupby(group[chosen]).nunique()
    shared = spread.index[spread > 1]
    if len(shared):
        msg = problem(
            f"{what} in one part each",
            f"{len(shared):,} of {len(spread):,} in several ({shorten(shared)})",
            "Split by whole groups, as by dtp.pp.split_perturbation.",
        )
        raise ValueError(msg)


def split_rows(adata: AnnData, key: str = SPLIT_KEY) -> dict[str, np.ndarray]:
    """
    Return the positions of the rows of each part.

    Parameters
    ----------
    adata
        Annotated data with the column that :func:`dtp_scvi.pp.split_perturbation` wrote, or one
        of your own.
    key
        Column of ``adata.obs``.

    Returns
    -------
    Positions, ascending, by part; ``"train"``, ``"valid"`` and ``"test"`` are always there.

    Raises
    ------
    KeyError, ValueError
        No such column; no rows to train on, to validate or to test on.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> from dtp_scvi.data import split_rows
    >>> adata = dtp.datasets.simulate_perturbation(2, n_drugs=5, n_genes=20)
    >>> dtp.pp.split_perturbation(adata, "drug")
    >>> {part: len(rows) for part, rows in split_rows(adata).items()}
    {'train': 36, 'valid': 12, 'test': 12, 'control': 48}
    """
    check_key(adata.obs, key, "adata.obs", "key")
    part = adata.obs[key].astype(object)
    check_parts(np.arange(len(part)), part)
    names = [TRAIN, VALID, TEST, *part.dropna().unique()]
    return {str(name): np.flatnonzero(part == name) for name in dict.fromkeys(names)}
