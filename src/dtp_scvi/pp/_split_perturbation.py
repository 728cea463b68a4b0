"""Split drug profiles into training, validation and test by what a model must generalise to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import (
    CELL_KEY,
    CONTROL,
    CONTROL_HELD_OUT,
    CONTROL_LABEL,
    DOSE_KEY,
    DRUG_KEY,
    DRUGS_KEY,
    SPLIT_KEY,
    SPLITS_KEY,
    TEST,
    TEST_CELL,
    TEST_DRUG,
    TIME_KEY,
    TRAIN,
    UNUSED,
    VALID,
)
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_key, check_one_of, problem
from dtp_scvi.data import check_object, check_parts
from dtp_scvi.pp._encode_drugs_rows import drug_rows
from dtp_scvi.pp._split_perturbation_deal import check_fold, check_fractions, deal, ordered
from dtp_scvi.pp._split_perturbation_groups import compounds, conditions, levels, scaffolds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

BY: Final = ("random", "drug", "cell", "both", "scaffold", "dose", "time", "prnet")
# PRnet's five folds hold 60, 20 and 20 % of the drugs.
_PRNET: Final = (0.6, 0.2, 0.2)
_PARTS: Final = (TRAIN, VALID, TEST, TEST_DRUG, TEST_CELL, CONTROL, CONTROL_HELD_OUT, UNUSED)


def split_perturbation(
    adata: AnnData,
    by: Literal["random", "drug", "cell", "both", "scaffold", "dose", "time", "prnet"] = "drug",
    *,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    fold: int = 0,
    interpolate: bool = False,
    drug_key: str = DRUG_KEY,
    cell_key: str = CELL_KEY,
    dose_key: str = DOSE_KEY,
    time_key: str = TIME_KEY,
    control: str | Sequence[str] = CONTROL_LABEL,
    drugs_key: str = DRUGS_KEY,
    seed: int | None = 0,
    key_added: str = SPLIT_KEY,
) -> None:
    """
    Split treated rows into three disjoint parts, validation held out like the test part.

    Parameters
    ----------
    adata
        Treated and control samples in rows; only ``obs`` and ``uns`` are read and written.
    by
        What the test part holds that training does not: ``"random"``, conditions (drug, line,
        dose, time) whose parts are all known, replicates kept together; ``"drug"``;
        ``"cell"``; ``"both"``, drugs and lines at once; ``"scaffold"``, whole Murcko
        scaffolds; ``"dose"`` or ``"time"``, the highest levels; ``"prnet"``, five folds of
        drugs, 60, 20 and 20 % of them.
    fractions
        Shares of the groups for training, validation and test, summing to 1.
    fold
        Which test part: those of fold 0, 1, ... are disjoint, and 1 / ``fractions[2]`` of them
        cover all groups. For ``"dose"`` and ``"time"`` without ``interpolate`` there is one.
    interpolate
        For ``"dose"`` and ``"time"``: hold out levels between the lowest and the highest.
    drug_key, cell_key, dose_key, time_key
        Columns of ``adata.obs``; looked at where the split needs them.
    control
        Name, or names, of the vehicle in the column of drugs.
    drugs_key
        Key of ``adata.uns`` with the table by :func:`dtp_scvi.pp.encode_drugs`. Where it is,
        names with one structure count as one drug; ``"scaffold"`` needs it.
    seed
        Seed of the order of groups; ``None`` draws a fresh one.
    key_added
        Column that is written.

    Returns
    -------
    ``None``. Written are ``adata.obs[key_added]``, categorical, with ``"train"``, ``"valid"``,
    ``"test"``, ``"control"`` (input of every part, never a target), ``"control_held_out"``
    (controls of lines without a training row: input at prediction only) and, by ``"both"``,
    ``"test_drug"`` and ``"test_cell"`` (only the drug, only the line is unseen) and
    ``"unused"`` (rows that would leak between training, validation and test); and
    ``adata.uns["dtp_splits"][key_added]``: ``"params"`` and ``"sizes"``, a table of parts with
    ``n_rows``, ``n_groups`` and, by ``"both"``, ``n_cells``.

    Raises
    ------
    TypeError, KeyError, ValueError
        Not an AnnData, or a view; no such column; fewer than three groups (of one line asked for
        a split by lines, the count is named); no such fold; fractions that don't sum to 1;
        doses or times that are text or not above 0; groups in two parts.

    Notes
    -----
    Doses, or times, within 10 % of the next one are one level, as nominal doses vary between
    plates. Molecules without a ring are one group of scaffolds.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> adata = dtp.datasets.simulate_perturbation(2, n_drugs=10, n_genes=20)
    >>> dtp.pp.split_perturbation(adata, "drug")
    >>> adata.uns["dtp_splits"]["split"]["sizes"]["n_groups"].to_dict()
    {'train': 6, 'valid': 2, 'test': 2}
    """
    check_object(adata)
    check_one_of(by, BY, "by")
    shares = check_fractions(fractions)
    if by == "prnet" and not np.allclose(shares, _PRNET):
        msg = problem(
            '`fractions` of 0.6, 0.2, 0.2 with by="prnet"', repr(fractions), 'Use "drug".'
        )
        raise ValueError(msg)
    by_level = by in ("dose", "time")
    if interpolate and not by_level:
        msg = problem('interpolate=True with by="dose" or "time"', repr(by), "Leave it out.")
        raise ValueError(msg)
    keys = {"cell_key": cell_key, "dose_key": dose_key, "time_key": time_key}
    if key_added in (drug_key, *keys.values()):
        msg = problem(
            "`key_added` to be a new column", repr(key_added), "It would be overwritten."
        )
        raise ValueError(msg)
    check_fold(fold, shares[2], one=by_level and not interpolate)
    rows, _ = drug_rows(adata, drug_key, None, control)
    treated = (rows != "").to_numpy()
    groups = _groups(adata, by, rows, treated, keys, drugs_key)
    rng = np.random.default_rng(seed)
    part = pd.Series(UNUSED, index=adata.obs_names, dtype=object)
    tables = []
    if by == "both":
        part[treated] = _both(groups["drugs"], groups["cells"], shares, fold, rng)
        tables = [(groups["drugs"], "drugs"), (groups["cells"], "cells")]
    else:
        (what, group), *_ = groups.items()
        if by_level:
            place = ordered(group, shares, fold, rng, what=what, interpolate=interpolate)
        else:
            place = deal(group, shares, fold, rng, what=what)
        part[treated] = group.map(place).to_numpy()
        tables = [(group, what)]
    for group, what in tables:
        check_parts(group, part[treated], what=what)
    _place_controls(adata, part, treated, cell_key)
    _remark(by, rows[treated], part[treated])
    present = [name for name in _PARTS if (part == name).any()]
    adata.obs[key_added] = pd.Categorical(part, categories=present)
    params: dict[str, Any] = {
        "by": by,
        "fractions": np.array(shares),
        "fold": fold,
        "interpolate": interpolate,
        "seed": "none" if seed is None else seed,
        "drug_key": drug_key,
        **keys,
        "version": __version__,
    }
    entry = {"params": params, "sizes": _sizes(part[treated], [group for group, _ in tables])}
    adata.uns[SPLITS_KEY] = {**adata.uns.get(SPLITS_KEY, {}), key_added: entry}


def _groups(
    adata: AnnData,
    by: str,
    rows: pd.Series,
    treated: np.ndarray,
    keys: dict[str, str],
    drugs_key: str,
) -> dict[str, pd.Series]:
    """Return what is held out together, for treated rows, by what it is called."""
    obs = adata.obs[treated]
    if by in ("drug", "prnet"):
        return {"drugs": compounds(adata, rows[treated], drugs_key)}
    if by == "scaffold":
        return {"scaffolds": scaffolds(adata, rows[treated], drugs_key)}
    if by in ("dose", "time"):
        key = keys[f"{by}_key"]
        return {f"{by}s": levels(obs, key, f"{by}_key", "µM" if by == "dose" else "h")}
    if by == "random":
        names = [name for name in keys.values() if name in obs]
        return {"conditions": conditions(obs, compounds(adata, rows[treated], drugs_key), names)}
    check_key(obs, keys["cell_key"], "adata.obs", "cell_key")
    cells = obs[keys["cell_key"]].astype(object)
    if cells.isna().any():
        msg = problem(
            f"a cell line in every treated row of {keys['cell_key']!r}",
            f"{int(cells.isna().sum()):,} without one",
            "Drop these rows.",
        )
        raise ValueError(msg)
    found = {"cells": cells.astype(str)}
    if by == "both":
        found["drugs"] = compounds(adata, rows[treated], drugs_key)
    return found


def _both(
    drugs: pd.Series,
    cells: pd.Series,
    shares: tuple[float, float, float],
    fold: int,
    rng: np.random.Generator,
) -> np.ndarray:
    drug = drugs.map(deal(drugs, shares, fold, rng, what="drugs")).to_numpy()
    cell = cells.map(deal(cells, shares, fold, rng, what="cells")).to_numpy()
    part = np.where(drug == cell, drug, UNUSED).astype(object)
    part[(drug == TEST) & (cell == TRAIN)] = TEST_DRUG
    part[(drug == TRAIN) & (cell == TEST)] = TEST_CELL
    return part


def _place_controls(adata: AnnData, part: pd.Series, treated: np.ndarray, cell_key: str) -> None:
    part[~treated] = CONTROL
    if cell_key in adata.obs:
        cell = adata.obs[cell_key].astype(str)
        seen = cell.isin(cell[(part == TRAIN).to_numpy()].unique())
        part[~treated & ~seen.to_numpy()] = CONTROL_HELD_OUT


def _remark(by: str, drugs: pd.Series, part: pd.Series) -> None:
    # A drug that was never trained on is more than another dose.
    if by not in ("dose", "time", "cell", "random"):
        return
    tested = drugs[(part == TEST).to_numpy()].unique()
    new = set(tested) - set(drugs[(part == TRAIN).to_numpy()])
    if new:
        warn(
            f"{len(new):,} of {len(tested):,} drugs of the test part have no training row: they "
            f"are unseen drugs as well, beside the split by {by!r}."
        )


def _sizes(part: pd.Series, groups: list[pd.Series]) -> pd.DataFrame:
    names = [name for name in _PARTS if (part == name).any()]
    chosen = {name: (part == name).to_numpy() for name in names}
    columns = {"n_rows": [int(chosen[name].sum()) for name in names]}
    for group, column in zip(groups, ("n_groups", "n_cells"), strict=False):
        columns[column] = [int(group[chosen[name]].nunique()) for name in names]
    return pd.DataFrame(columns, index=pd.Index(names, dtype=object))
