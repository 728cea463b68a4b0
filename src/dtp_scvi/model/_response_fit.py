"""Fit the regressions of a response model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr

from dtp_scvi._constants import FEWEST_ROWS, SIMULATION_KEY
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.data import gene_names, get_matrix, iter_blocks, linearise, resolve_scale, scale_kind
from dtp_scvi.model._response_input import closed, read_inputs, standardise
from dtp_scvi.model._ridge import fit_ridge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

_PER_GENE = ("mean", "sd", "weight")


@dataclass(frozen=True)
class Fitted:
    """Everything a prediction needs: numbers by gene, and no row."""

    kinds: tuple[str, ...]
    """Kind of each regression's inputs."""
    mean: NDArray[np.float64]
    """Of the training inputs, (n_kinds, n_genes)."""
    sd: NDArray[np.float64]
    """Of the training inputs, (n_kinds, n_genes)."""
    weight: NDArray[np.float64]
    """Of the standardised inputs, (n_kinds, n_genes); the prediction sums over both axes."""
    intercept: float
    share: NDArray[np.float64]
    """Mean share of a gene in the panel's sum, (n_genes,); sums to 1."""
    profile: NDArray[np.float64]
    """Mean over training rows of their sorted closed values, ascending, (n_genes,)."""

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Arrays by name, as they are saved."""
        return {
            **{name: getattr(self, name) for name in (*_PER_GENE, "share", "profile")},
            "intercept": np.array([self.intercept]),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.float64]], kinds: tuple[str, ...], n_genes: int
    ) -> Self:
        """Check the shapes of saved arrays and take them."""
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_PER_GENE, (len(kinds), n_genes))
        shapes |= {"share": (n_genes,), "profile": (n_genes,), "intercept": (1,)}
        wrong = [
            name
            for name, shape in shapes.items()
            if name not in arrays
            or arrays[name].shape != shape
            or not np.isfinite(arrays[name]).all()
        ]
        if wrong:
            msg = problem(
                f"finite weights for {len(kinds)} x {n_genes:,} inputs",
                f"others in {shorten(wrong)}",
                "Copy the directory again.",
            )
            raise ValueError(msg)
        taken = {name: arrays[name] for name in shapes if name != "intercept"}
        return cls(kinds=kinds, intercept=float(arrays["intercept"][0]), **taken)


class TrainingRows(NamedTuple):
    """Rows with a response."""

    values: NDArray[np.float64]
    """Linear expression, (n_rows, n_genes)."""
    y: NDArray[np.float64]
    donors: NDArray[np.int64] | None
    genes: NDArray[np.str_]
    summary: dict[str, Any]


def read_training(
    adata: AnnData,
    target_key: str,
    layer: str | None,
    gene_key: str | None,
    donor_key: str | None,
    scale: str,
) -> TrainingRows:
    """Check and read the rows that have a response."""
    y = _response(adata, target_key)
    rows = np.flatnonzero(~np.isnan(y))
    y = y[rows]
    if len(rows) < FEWEST_ROWS or np.ptp(y) == 0:
        msg = problem(
            f"at least {FEWEST_ROWS} rows with different values in adata.obs[{target_key!r}]",
            f"{len(rows):,} rows with {len(np.unique(y)):,} values",
            "Name another `target_key`, or add rows.",
        )
        raise ValueError(msg)
    genes = np.asarray(gene_names(adata, gene_key), dtype=str)
    repeated = pd.Index(genes)[pd.Index(genes).duplicated()].unique()
    if len(repeated):
        msg = problem(
            "each gene once", f"{len(repeated):,} that repeat ({shorten(repeated)})", "Sum them."
        )
        raise ValueError(msg)
    name = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    matrix = get_matrix(adata, layer)
    found = resolve_scale(matrix, scale, name=name)
    blocks = list(iter_blocks(matrix, scale=found, indices=rows, check=name))
    values = np.vstack([block.matrix.toarray() for block in blocks]).astype(np.float64)
    if scale_kind(found) != "linear":
        values = linearise(values, found)
    empty = values.sum(axis=1) == 0
    if empty.any():
        msg = problem("expression in every row", f"{empty.sum():,} rows of zeros", "Drop them.")
        raise ValueError(msg)
    donors = None if donor_key is None else text_column(adata.obs, donor_key, "donor_key")[rows]
    codes = None if donors is None else np.unique(donors, return_inverse=True)[1]
    summary = {
        "n_rows": len(rows),
        "n_without_response": adata.n_obs - len(rows),
        "n_donors": None if donors is None else len(set(donors)),
        "scale": str(found),
        "layer": layer or "X",
        "target_key": target_key,
        "target_quantiles": np.quantile(y, [0.1, 0.25, 0.5, 0.75, 0.9]),
        "simulated": SIMULATION_KEY in adata.uns,
        "sha256_expression": hashlib.sha256(values.astype("<f4").tobytes()).hexdigest(),
        "sha256_response": hashlib.sha256(y.astype("<f8").tobytes()).hexdigest(),
    }
    return TrainingRows(values, y, codes, genes, summary)


def _response(adata: AnnData, target_key: str) -> NDArray[np.float64]:
    check_key(adata.obs, target_key, "adata.obs", "target_key")
    column = adata.obs[target_key]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        msg = problem(
            f"numbers in adata.obs[{target_key!r}]",
            f"values of type {column.dtype} ({shorten(column.dropna().unique(), 3)})",
            "Convert them, for example with pandas.to_numeric.",
        )
        raise ValueError(msg)
    y = column.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(y).any():
        msg = problem(
            f"finite numbers in adata.obs[{target_key!r}]",
            f"{np.isinf(y).sum():,} infinite ones",
            "Set them to NaN.",
        )
        raise ValueError(msg)
    return y


def fit_response(
    given: TrainingRows, kinds: tuple[str, ...], *, as_rank: bool
) -> tuple[Fitted, dict[str, Any]]:
    """Fit one regression for each kind of input and join them."""
    n_genes = given.values.shape[1]
    y = rankdata(given.y) / len(given.y) if as_rank else given.y
    everything = np.ones(n_genes, bool)
    share = (given.values / given.values.sum(axis=1, keepdims=True)).mean(axis=0)
    inputs = read_inputs(given.values, everything, kinds, share, None)
    mean, sd = inputs.mean(axis=1), inputs.std(axis=1)
    z = standardise(inputs, mean, sd, everything)
    fits = [fit_ridge(part, y, given.donors) for part in z]
    spread = np.array([(part @ fit.weight).std() for part, fit in zip(z, fits, strict=True)])
    # Each regression on its own deviation, the mean of them back on the mean deviation.
    joined = np.divide(spread.mean(), spread, out=np.ones_like(spread), where=spread > 0)
    joined /= len(fits)
    weight = np.stack([fit.weight * factor for fit, factor in zip(fits, joined, strict=True)])
    left_out = sum(
        factor * (fit.held_out - fit.intercept) for fit, factor in zip(fits, joined, strict=True)
    )
    profile = np.sort(closed(given.values, everything, share), axis=1).mean(axis=0)
    fitted = Fitted(kinds, mean, sd, weight, fits[0].intercept, share, profile)
    settings = {
        "penalty": dict(zip(kinds, [fit.penalty for fit in fits], strict=True)),
        "spearman_left_out": float(spearmanr(left_out, given.y).statistic),
        "left_out": "row" if given.donors is None else "donor",
    }
    return fitted, settings
