"""Name the genes of an L1000 file and tell the measured ones from the inferred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem

if TYPE_CHECKING:
    from dtp_scvi.datasets._gctx import Gctx

_GENE_IDS: Final = ("pr_gene_id", "gene_id")
_SYMBOLS: Final = ("pr_gene_symbol", "gene_symbol")
_N_LANDMARKS: Final = 978


def choose_genes_of(
    file: Gctx, gene_info: pd.DataFrame | None, *, landmarks_only: bool
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return ``var`` and the columns of the matrix to read."""
    every = np.arange(len(file.genes))
    frame = file.rows if gene_info is None else gene_info
    key = next((name for name in _GENE_IDS if name in frame), None)
    info = frame if gene_info is None or key is None else frame.set_index(frame[key].astype(str))
    info = info.reindex(file.genes)
    landmark = _landmarks(info)
    if landmarks_only and landmark is None and len(every) > _N_LANDMARKS:
        msg = problem(
            "a table that tells landmark genes",
            f"{len(every):,} genes and none",
            "Pass `gene_info`, or landmarks_only=False.",
        )
        raise ValueError(msg)
    chosen = every if landmark is None or not landmarks_only else every[landmark]
    symbol = next((name for name in _SYMBOLS if name in info), None)
    ids = file.genes[chosen]
    names = ids if symbol is None else pd.Index(info[symbol].iloc[chosen].astype(str))
    # Symbols that several probes share, or that are missing, say nothing.
    weak = names.duplicated(keep=False) | names.isin(["nan", "-666", ""])
    var = info.iloc[chosen].drop(columns=["gene_id"], errors="ignore")
    var.insert(0, "gene_id", ids.to_numpy())
    var.index = pd.Index(np.where(weak, ids, names), name=None)
    return var, chosen


def _landmarks(info: pd.DataFrame) -> np.ndarray | None:
    if "pr_is_lm" in info:
        return info["pr_is_lm"].astype(str).isin(["1", "1.0", "True"]).to_numpy()
    if "feature_space" in info:
        return (info["feature_space"] == "landmark").to_numpy()
    return None
