"""Expression and score of donors: what the association and the abundance of targets rest on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.sparse as sp

from dtp_scvi._constants import FEWEST_DONORS, PATIENT_KEY, SIMULATION_KEY, TARGET_SUM
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, matrix_name, problem, shorten
from dtp_scvi.data import (
    Scale,
    check_object,
    gene_names,
    get_matrix,
    iter_blocks,
    linearise_block,
    resolve_scale,
)
from dtp_scvi.tl._drug_covariates import mean_by, number_column
from dtp_scvi.tl._target_genes import Genes, name_genes

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

# With four donors no rank correlation reaches p < 0.05: 2 of 4! orders give 0.083.
_MOST_SAMPLES: Final = 5_000
_RAW: Final = frozenset({Scale.COUNTS, Scale.CORRECTED_COUNTS})
_PER_TEN_THOUSAND: Final = _RAW | {Scale.CP10K, Scale.LOG1P_CP10K}
_LOG2: Final = frozenset({Scale.LOG2_TPM, Scale.LOG2_SIZEFACTOR})
_MILLION: Final = 1e6
_TABLE: Final = "log2(1 + x), as given"


@dataclass(frozen=True)
class Samples:
    """
    Donors with a score, and what their samples express.

    Attributes
    ----------
    genes
        The genes, in alphabetical order.
    values
        Log expression, donors x genes; without rows where a table of associations was given.
    score
        Mean score of each donor.
    association, abundance, detected
        Of each gene, where a table was given instead of samples; empty otherwise.
    scale
        Scale of the data, or empty.
    params
        What was read, for the record.
    """

    genes: Genes
    values: NDArray[np.float64]
    score: NDArray[np.float64]
    association: NDArray[np.float64]
    abundance: NDArray[np.float64]
    detected: NDArray[np.float64]
    scale: str
    params: dict[str, Any]

    def log2_level(self, abundance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn mean log expression into log2(1 + x), x per million where the scale tells."""
        if self.scale == "" or self.scale in _LOG2:
            return abundance
        if self.scale == Scale.LOG2:
            return np.log2(1 + np.exp2(abundance))
        per = _MILLION / TARGET_SUM if self.scale in _PER_TEN_THOUSAND else 1.0
        return np.log2(1 + per * np.expm1(abundance))


def read_samples(
    adata: AnnData,
    score_key: str,
    donor_key: str | None,
    *,
    layer: str | None,
    scale: str,
    gene_key: str | None,
    min_cells: int,
) -> Samples:
    """Sum the rows of each donor on the linear scale, and take the logarithm."""
    check_object(adata)
    score = number_column(adata.obs, score_key, "score_key")
    names, key = _donors(adata, donor_key)
    rows = np.flatnonzero(~np.isnan(score))
    donors, codes = np.unique(names[rows].astype(str), return_inverse=True)
    size = np.bincount(codes, minlength=len(donors))
    enough = size >= min_cells
    _check_donors(score[rows], codes, enough, min_cells, key)
    matrix = get_matrix(adata, layer)
    where = matrix_name(layer)
    found = resolve_scale(matrix, scale, name=where)
    genes = name_genes(list(gene_names(adata, gene_key)))
    sums, seen, totals = _sum(matrix, rows, codes, found, where, len(donors))
    table = (genes.merge.T @ sums.T).T
    if found in _RAW:
        values = np.log1p(TARGET_SUM * table / np.maximum(totals, 1e-12)[:, None])
    else:
        values = _log(table / size[:, None], found)
    # Of rows that are merged, the gene is seen where the better one is.
    shares = np.stack([_merged_max(row, genes) for row in seen / size[:, None]])
    few = donors[~enough]
    return Samples(
        genes,
        values[enough],
        mean_by(score[rows], codes, len(donors))[enough],
        np.empty(0),
        np.empty(0),
        shares[enough].mean(axis=0),
        str(found),
        {
            "score_key": score_key,
            "donor_key": key,
            "layer": layer or "X",
            "scale": str(found),
            "values": _words(found),
            "n_rows": len(rows),
            "n_unscored": adata.n_obs - len(rows),
            "n_donors": int(enough.sum()),
            "donors_left_out": [str(name) for name in few],
            "simulated": SIMULATION_KEY in adata.uns,
        },
    )


def _donors(adata: AnnData, donor_key: str | None) -> tuple[NDArray[Any], str]:
    key = PATIENT_KEY if donor_key is None and PATIENT_KEY in adata.obs else donor_key
    if key is not None:
        return text_column(adata.obs, key, "donor_key"), key
    if adata.n_obs > _MOST_SAMPLES:
        todo = "Cells of a donor are no independent samples: name the donors as `donor_key`."
        msg = problem(
            f"at most {_MOST_SAMPLES:,} samples without `donor_key`", f"{adata.n_obs:,}", todo
        )
        raise ValueError(msg)
    if not adata.obs_names.is_unique:
        twice = adata.obs_names[adata.obs_names.duplicated()].unique()
        msg = problem(
            "`donor_key`, or rows with names of their own",
            f"several rows called {shorten(twice, 3)}",
            "Name the column of adata.obs with the donors.",
        )
        raise ValueError(msg)
    return adata.obs_names.to_numpy(dtype=object), ""


def _check_donors(
    score: NDArray[np.float64],
    codes: NDArray[np.intp],
    enough: NDArray[np.bool_],
    min_cells: int,
    key: str,
) -> None:
    n = int(enough.sum())
    unit = f"donors of adata.obs[{key!r}]" if key else "rows"
    if n < FEWEST_DONORS:
        msg = problem(
            f"at least {FEWEST_DONORS} {unit} with {min_cells:,} scored rows or more",
            f"{n} of {len(enough)}",
            "With fewer, no rank correlation reaches p < 0.05: add donors, or pass a table of "
            "associations.",
        )
        raise ValueError(msg)
    if np.ptp(mean_by(score, codes, len(enough))[enough]) == 0:
        msg = problem(f"a score that varies over {unit}", "one value", "Name another `score_key`.")
        raise ValueError(msg)


def _sum(
    matrix: Any,
    rows: NDArray[np.intp],
    codes: NDArray[np.intp],
    scale: Scale,
    name: str,
    n_donors: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return linear sums and rows in which a gene is seen, donors x genes, and totals."""
    sums = np.zeros((n_donors, matrix.shape[1]))
    seen, totals = np.zeros_like(sums), np.zeros(n_donors)
    # Without a pseudocount, what is not stored stands for 1.
    floor = 1.0 if scale == Scale.LOG2 else 0.0
    for block in iter_blocks(matrix, None, scale=scale, indices=rows, check=name):
        here, inverse = np.unique(codes[block.rows], return_inverse=True)
        part = block.matrix.astype(np.float64)
        part.data = linearise_block(part.data, scale)
        which = sp.csr_matrix(
            (np.ones(len(inverse)), (inverse, np.arange(len(inverse)))),
            shape=(len(here), len(inverse)),
        )
        sums[here] += (which @ part).toarray()
        part.data = (part.data > floor).astype(np.float64)
        seen[here] += (which @ part).toarray()
        totals[here] += which @ block.total
    return sums, seen, totals


def _log(mean: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    if scale == Scale.LOG2:
        return np.log2(np.maximum(mean, 1e-12))
    return np.log2(1 + mean) if scale in _LOG2 else np.log1p(mean)


def _words(scale: Scale) -> str:
    if scale in _RAW:
        return "log1p(10,000 x / total), rows of a donor summed"
    if scale == Scale.LOG2:
        return "log2(x), rows of a donor averaged"
    return f"{'log2(1 + x)' if scale in _LOG2 else 'log1p(x)'}, rows of a donor averaged"


def _merged_max(row: NDArray[np.float64], genes: Genes) -> NDArray[np.float64]:
    return np.asarray(genes.merge.multiply(row[:, None]).max(axis=0).toarray()).ravel()


def read_table(table: pd.DataFrame) -> Samples:
    """Take a table with ``association``, and ``abundance`` and ``share_detected`` where known."""
    check_key(table, "association", "the table of associations", "association")
    genes = name_genes([str(name) for name in table.index])
    if genes.report["merged"]:
        msg = problem(
            "one row per gene in the table of associations",
            f"several of {shorten(genes.report['merged'], 3)}",
            "Keep one row of each.",
        )
        raise ValueError(msg)
    columns = []
    for name in ("association", "abundance", "share_detected"):
        column = number_column(table, name, name) if name in table else np.full(len(table), np.nan)
        picked = genes.merge.argmax(axis=0)
        columns.append(column[np.asarray(picked).ravel()])
    association, abundance, detected = columns
    if np.isnan(association).all():
        msg = problem("a number in the column 'association'", "none", "Fill it.")
        raise ValueError(msg)
    return Samples(
        genes,
        np.empty((0, len(genes.table))),
        np.empty(0),
        association,
        abundance,
        detected,
        "",
        {"score_key": "", "donor_key": "", "values": _TABLE, "n_donors": 0, "simulated": False},
    )
