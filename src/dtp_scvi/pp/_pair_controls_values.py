"""Values of control pairing: the scale they must be on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from dtp_scvi._constants import LOG_LAYER, TARGET_SUM
from dtp_scvi._validate import matrix_name, problem
from dtp_scvi.data import (
    LINEARISE,
    Scale,
    check_log_values,
    check_matrix,
    detect_scale,
    get_matrix,
    scale_kind,
)
from dtp_scvi.pp._rewrite import read_dense_or_sparse

if TYPE_CHECKING:
    from anndata import AnnData


def refuse_scale(adata: AnnData, layer: str | None) -> None:
    """Raise where values are clearly linear, logged twice, or not finite."""
    todo = "Pass log=True to take log1p(10,000 x / total), or name the layer with logarithms."
    check_log_values(get_matrix(adata, layer), name=matrix_name(layer), todo=todo)


def log_layer(adata: AnnData, layer: str | None) -> str:
    """Write log1p CP10k of counts to a layer and return its name."""
    if adata.isbacked:
        msg = problem("values in memory", "a backed file", "Run adata = adata.to_memory() first.")
        raise ValueError(msg)
    values = read_dense_or_sparse(adata, layer)
    check_matrix(values, name=matrix_name(layer), negative=True)
    report = detect_scale(values)
    if not (_is_linear(report.scale) and report.confident):
        msg = problem(
            f"counts in {matrix_name(layer)}, as log=True takes their logarithm",
            report.sentence().rstrip("."),
            "Leave out log=True: differences of values logged twice mean nothing.",
        )
        raise ValueError(msg)
    total = np.asarray(values.sum(axis=1), np.float64).ravel()
    if not total.all():
        row = adata.obs_names[int(np.flatnonzero(total == 0)[0])]
        msg = problem("counts in every row", f"none in row {row!r}", "Drop empty rows.")
        raise ValueError(msg)
    factor = TARGET_SUM / total
    logs = sp.diags_array(factor) @ values if sp.issparse(values) else values * factor[:, None]
    logs = sp.csr_matrix(logs).log1p() if sp.issparse(logs) else np.log1p(logs)
    adata.layers[LOG_LAYER] = logs.astype(np.float32)
    return LOG_LAYER


def _is_linear(scale: Scale) -> bool:
    # Rows of log2 without a pseudocount are called linear because iter_blocks undoes the logarithm.
    return scale in LINEARISE and scale_kind(scale) == "linear" and scale is not Scale.LOG2
