"""One part of a perturbation data set, as its evaluation needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import CONTROL_KEY, CONTROL_ROLE_KEY, CONTROL_SCORING_KEY
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, near_matches, problem, shorten
from dtp_scvi.data import rows_as_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from dtp_scvi.train import PerturbationKeys

GROUPINGS: Final = ("drug", "drug_dose", "cov_drug", "cov_drug_dose", "per_sample")
OWN: Final = "own"
INDEPENDENT: Final = "independent"
SCORING: Final = "scoring"
CONTROLS: Final = (OWN, INDEPENDENT, SCORING)


@dataclass(frozen=True)
class Part:
    """
    Treated rows of one part with true profiles, controls, and what they are grouped by.

    Attributes
    ----------
    name
        Value of the split column.
    rows, names
        Positions in the AnnData, and names there.
    truth, control, scoring
        Treated profiles, input controls and scoring controls, shape (rows, genes); the last is
        NaN in rows that have none.
    centre_truth, centre_predicted
        What is taken off profiles for the centred correlation.
    drug, cell, condition
        As text; the condition is cell line, drug, dose and time.
    groups
        Code of each row by grouping.
    """

    name: str
    rows: NDArray[np.intp]
    names: NDArray[Any]
    truth: NDArray[np.float64]
    control: NDArray[np.float64]
    scoring: NDArray[np.float64]
    centre_truth: NDArray[np.float64]
    centre_predicted: NDArray[np.float64]
    drug: NDArray[Any]
    cell: NDArray[Any]
    condition: NDArray[np.intp]
    groups: dict[str, NDArray[np.intp]]

    def changes(
        self, predicted: NDArray[np.float64], control: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
        """Return true and predicted changes against this control, and the rows that have one."""
        off_truth = self.control if control == OWN else self.scoring
        off_predicted = self.scoring if control == SCORING else self.control
        rows = np.flatnonzero(np.isfinite(off_truth[:, 0]))
        return (
            self.truth[rows] - off_truth[rows],
            predicted[rows] - off_predicted[rows],
            rows,
        )


def find_parts(adata: AnnData, split_key: str, parts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the parts to evaluate: those named, or all whose name begins with ``test``."""
    check_key(adata.obs, split_key, "adata.obs", "split_key")
    treated = (adata.obs[CONTROL_ROLE_KEY] == "treated").to_numpy()
    available = sorted(set(adata.obs[split_key].astype(str).to_numpy()[treated].tolist()))
    if parts is None:
        found = tuple(name for name in available if name.startswith("test"))
        if not found:
            msg = problem(
                f'a part whose name begins with "test" in adata.obs[{split_key!r}]',
                shorten(available),
                "Run dtp.pp.split_perturbation, or name `parts`.",
            )
            raise ValueError(msg)
        return found
    for name in parts:
        if name not in available:
            msg = problem(
                f"`parts` to name parts of adata.obs[{split_key!r}] with treated rows",
                repr(name),
                near_matches(name, available),
            )
            raise ValueError(msg)
    return tuple(parts)


def check_groupings(groupby: Sequence[str] | None, keys: PerturbationKeys) -> tuple[str, ...]:
    """Return the groupings that the columns allow; naming one that they don't is an error."""
    usable = [g for g in GROUPINGS if keys.dose is not None or not g.endswith("dose")]
    if groupby is None:
        return tuple(usable)
    for name in groupby:
        if name not in GROUPINGS:
            msg = problem(
                f"`groupby` of {', '.join(GROUPINGS)}", repr(name), "Pick some of these."
            )
            raise ValueError(msg)
        if name not in usable:
            msg = problem(f"`dose_key` for the grouping {name!r}", "None", "Name the column.")
            raise ValueError(msg)
    return tuple(groupby)


def read_part(
    adata: AnnData, name: str, keys: PerturbationKeys, split_key: str, groupby: Sequence[str]
) -> Part:
    """Read the treated rows of one part; the training rows say what to centre by."""
    part = adata.obs[split_key].astype(str).to_numpy()
    treated = (adata.obs[CONTROL_ROLE_KEY] == "treated").to_numpy()
    rows = np.flatnonzero(treated & (part == name))
    train = np.flatnonzero(treated & (part == "train"))
    obs = adata.obs.iloc[rows]
    drug, cell = text_column(obs, keys.drug, "drug_key"), _cells(adata, rows, keys)
    control = np.asarray(adata.obsm[CONTROL_KEY][rows], np.float64)
    scoring = np.asarray(adata.obsm[CONTROL_SCORING_KEY][rows], np.float64)
    centres = _centres(adata, train, keys, cell, control, scoring)
    columns = {"drug": drug, "cov": cell}
    for what, key in (("dose", keys.dose), ("time", keys.time)):
        columns[what] = (
            np.zeros(len(rows)) if key is None else text_column(obs, key, f"{what}_key")
        )
    members = {
        "drug": ("drug",),
        "drug_dose": ("drug", "dose"),
        "cov_drug": ("cov", "drug"),
        "cov_drug_dose": ("cov", "drug", "dose"),
    }
    groups = {
        grouping: np.arange(len(rows))
        if grouping == "per_sample"
        else _codes([columns[name] for name in members[grouping]])
        for grouping in groupby
    }
    return Part(
        name,
        rows,
        np.asarray(obs.index.astype(str)),
        rows_as_array(adata, keys.layer, rows).astype(np.float64),
        control,
        scoring,
        *centres,
        drug,
        cell,
        _codes(list(columns.values())),
        groups,
    )


def _cells(adata: AnnData, rows: NDArray[Any], keys: PerturbationKeys) -> NDArray[Any]:
    if keys.cell is None:
        return np.full(len(rows), "all", object)
    return text_column(adata.obs.iloc[rows], keys.cell, "cell_key")


def _codes(columns: list[NDArray[Any]]) -> NDArray[np.intp]:
    return pd.factorize(pd.MultiIndex.from_arrays(columns), sort=True)[0]


def _centres(
    adata: AnnData,
    train: NDArray[Any],
    keys: PerturbationKeys,
    cell: NDArray[Any],
    control: NDArray[np.float64],
    scoring: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Return the training mean of treated rows of the cell line, and the same for predictions.

    A cell line that was not trained on gets its control plus the mean training change; the truth
    that of the scoring control, so that no noise is shared.
    """
    off_truth, off_predicted = np.full_like(control, np.nan), np.full_like(control, np.nan)
    train_cell = _cells(adata, train, keys)
    change, n = np.zeros(control.shape[1]), 0
    for name in dict.fromkeys(train_cell.tolist()):
        rows = train[train_cell == name]
        mean = rows_as_array(adata, keys.layer, rows).mean(axis=0, dtype=np.float64)
        own = np.asarray(adata.obsm[CONTROL_KEY][rows], np.float64).mean(axis=0)
        change, n = change + len(rows) * (mean - own), n + len(rows)
        off_truth[cell == name] = off_predicted[cell == name] = mean
    if n:
        unseen = np.isnan(off_truth[:, 0])
        off_truth[unseen] = scoring[unseen] + change / n
        off_predicted[unseen] = control[unseen] + change / n
    return off_truth, off_predicted
