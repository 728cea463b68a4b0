"""Whether a drug's marker genes are predicted to differ between cell lines as they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import stats
from dtp_scvi._constants import CONTROL_ROLE_KEY
from dtp_scvi._labels import text_column
from dtp_scvi.data import rows_as_array
from dtp_scvi.tl._perturbation_metrics import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.tl._perturbation_metrics import Resampling
    from dtp_scvi.tl._perturbation_part import Part
    from dtp_scvi.train import PerturbationKeys

N_EACH: Final = 25
_MAX_DRUGS = 100
_FEWEST_CELLS = 3
_FEWEST_ROWS = 2


def marker_genes(
    adata: AnnData, part: Part, keys: PerturbationKeys, n_each: int = N_EACH
) -> dict[str, NDArray[np.intp]]:
    """
    Return up to 25 raised and 25 lowered genes of each drug, in at least three cell lines.

    scanpy's default test (t) of the drug against the scoring controls within each cell line; genes
    are ordered by the mean score over cell lines. At most the 100 drugs with most rows.
    """
    if len(set(part.cell.tolist())) < _FEWEST_CELLS:
        return {}
    cells, at = _scoring_wells(adata, keys)
    values = rows_as_array(adata, keys.layer, at)
    sizes = pd.Series(part.drug).value_counts(sort=True)
    found: dict[str, NDArray[np.intp]] = {}
    for drug in sizes.index[:_MAX_DRUGS]:
        scores = []
        for cell in dict.fromkeys(part.cell.tolist()):
            treated = part.truth[(part.drug == drug) & (part.cell == cell)]
            control = values[cells == cell]
            if min(len(treated), len(control)) >= _FEWEST_ROWS:
                scores.append(_scores(treated.astype(np.float32), control))
        if len(scores) >= _FEWEST_CELLS:
            found[str(drug)] = _ends(np.mean(scores, axis=0), n_each)
    return found


def marker_row(
    part: Part, predicted: NDArray[np.float64], genes: dict[str, NDArray[np.intp]], how: Resampling
) -> Row:
    """Correlation over cell lines of each marker's mean change, averaged by drug."""
    y, p, rows = part.changes(predicted, "independent")
    drug, cell = part.drug[rows], part.cell[rows]
    values, names, n_constant = [], [], 0
    for name, at in genes.items():
        mine = drug == name
        truth, lines, _ = stats.group_profiles(y[mine][:, at], cell[mine].astype(str))
        if len(lines) < _FEWEST_CELLS:
            continue
        guess = stats.group_profiles(p[mine][:, at], cell[mine].astype(str))[0]
        by_gene, constant = stats.profile_correlation(truth.T, guess.T)
        values.append(float(np.nanmean(by_gene)))
        names.append(name)
        n_constant += int(constant.sum())
    units, found = np.asarray(names) if how.unit == "drug" else None, np.asarray(values)
    n = len(values)
    mean = how.mean(found, units)
    return Row("deg_across_cells", "drug", "independent", *mean, n, n_constant, found, units)


def _scoring_wells(adata: AnnData, keys: PerturbationKeys) -> tuple[NDArray[Any], NDArray[Any]]:
    role = adata.obs[CONTROL_ROLE_KEY].astype(str).to_numpy()
    at = np.flatnonzero(np.isin(role, ("scoring", "both")))
    if keys.cell is None:
        return np.full(len(at), "all", object), at
    return text_column(adata.obs.iloc[at], keys.cell, "cell_key"), at


def _scores(treated: NDArray[np.float32], control: NDArray[np.float32]) -> NDArray[np.float64]:
    import scanpy as sc

    names = [f"{i}" for i in range(treated.shape[1])]
    obs = pd.DataFrame(
        {"group": pd.Categorical(["drug"] * len(treated) + ["control"] * len(control))},
        index=[f"{i}" for i in range(len(treated) + len(control))],
    )
    pair = AnnData(np.vstack([treated, control]), obs, pd.DataFrame(index=names))
    # Its fold changes, which are not used, take logarithms of what may lie below zero.
    with np.errstate(all="ignore"):
        sc.tl.rank_genes_groups(pair, "group", groups=["drug"], reference="control")
    ranked = pair.uns["rank_genes_groups"]
    order = ranked["names"]["drug"].astype(np.intp)
    scores = np.zeros(len(names))
    scores[order] = np.nan_to_num(ranked["scores"]["drug"])
    return scores


def _ends(scores: NDArray[np.float64], n_each: int) -> NDArray[np.intp]:
    order = np.argsort(-scores, kind="stable")
    up, down = order[:n_each], order[::-1][:n_each]
    return np.concatenate([up[scores[up] > 0], down[scores[down] < 0]])
