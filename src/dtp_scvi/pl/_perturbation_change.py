"""Changes that figures of perturbation data draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._constants import (
    CONTROL_KEY,
    CONTROL_ROLE_KEY,
    CONTROL_SCORING_KEY,
    CONTROLS_KEY,
)
from dtp_scvi._labels import text_column
from dtp_scvi._validate import near_matches, problem, shorten
from dtp_scvi.data import rows_as_array

if TYPE_CHECKING:
    from anndata import AnnData


def drug_column(adata: AnnData, drug_key: str | None) -> np.ndarray:
    """Return the drug of each row, of the column that controls were paired by."""
    if CONTROLS_KEY not in adata.uns or CONTROL_KEY not in adata.obsm:
        msg = problem(
            f"controls in adata.obsm[{CONTROL_KEY!r}]", "none", "Run dtp.pp.pair_controls first."
        )
        raise KeyError(msg)
    record = adata.uns[CONTROLS_KEY]
    if not np.array_equal(np.asarray(record["genes"], str), np.asarray(adata.var_names, str)):
        msg = problem(
            "the genes that controls were paired for", "others", "Run dtp.pp.pair_controls again."
        )
        raise ValueError(msg)
    return text_column(adata.obs, drug_key or str(record["params"]["drug_key"]), "drug_key")


def rows_of(adata: AnnData, drug: np.ndarray, names: list[str] | None) -> np.ndarray:
    """Return treated rows of these drugs (all for ``None``) that have controls for scoring."""
    treated = (adata.obs[CONTROL_ROLE_KEY] == "treated").to_numpy()
    if names is not None:
        available = dict.fromkeys(drug[treated].tolist())
        for name in names:
            if name not in available:
                msg = problem("a drug of the data", repr(name), near_matches(name, available))
                raise KeyError(msg)
        treated = treated & np.isin(drug.astype(str), names)
    rows = np.flatnonzero(treated)
    rows = rows[np.isfinite(np.asarray(adata.obsm[CONTROL_SCORING_KEY])[rows, 0])]
    if not len(rows):
        msg = problem("treated rows with controls for scoring", "none", "Pair controls again.")
        raise ValueError(msg)
    return rows


def observed_change(adata: AnnData, rows: np.ndarray) -> np.ndarray:
    """Change of these rows against controls that no model has seen."""
    layer = adata.uns[CONTROLS_KEY]["params"].get("layer")
    return rows_as_array(adata, layer, rows) - np.asarray(adata.obsm[CONTROL_SCORING_KEY])[rows]


def predicted_change(adata: AnnData, rows: np.ndarray, predicted: Any) -> np.ndarray:
    """Predicted change of these rows, matched by name."""
    if not isinstance(predicted, pd.DataFrame):
        msg = problem(
            "predicted changes as a DataFrame, rows x genes",
            type(predicted).__name__,
            "Pass model.predict(adata, return_delta=True).",
        )
        raise TypeError(msg)
    names = adata.obs_names[rows]
    for need, have, what in (
        (names, predicted.index, "rows"),
        (adata.var_names, predicted.columns, "genes"),
    ):
        missing = need.difference(have)
        if len(missing):
            msg = problem(
                f"predictions for all {what}", f"none for {shorten(missing)}", "Add them."
            )
            raise ValueError(msg)
    return predicted.loc[names, adata.var_names].to_numpy(np.float64)


def gene_places(adata: AnnData, genes: list[str]) -> np.ndarray:
    """Return the columns of genes by name."""
    if not genes:
        raise ValueError(problem("genes to draw", "none", "Name some."))
    at = adata.var_names.get_indexer(pd.Index(genes))
    if (at < 0).any():
        name = genes[int(np.flatnonzero(at < 0)[0])]
        raise KeyError(
            problem("genes of the data", repr(name), near_matches(name, adata.var_names))
        )
    return at
