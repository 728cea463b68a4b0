"""Expression on a log scale, row block by row block, and its correlation with a score by donor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import rankdata

from dtp_scvi._constants import FEWEST_DONORS, PSEUDOBULK_KEY, TARGET_SUM
from dtp_scvi._labels import label_text, text_column
from dtp_scvi._validate import matrix_name, problem
from dtp_scvi.data import Scale, get_matrix, iter_blocks, resolve_scale
from dtp_scvi.pp import pseudobulk
from dtp_scvi.tl._drug_covariates import mean_by, number_column
from dtp_scvi.tl._enrichment_null import batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

    from dtp_scvi.data import GeneAlignment

# Ranks of all genes are held at once: 5,000 samples of 20,000 genes are 0.8 GB.
_MOST_SAMPLES: Final = 5_000
_RAW: Final = frozenset({Scale.COUNTS, Scale.CORRECTED_COUNTS})
_LOGS: Final = frozenset(
    {Scale.LOG1P_CP10K, Scale.LOG1P_CPM, Scale.LOG1P_NORMALIZED}
    | {Scale.LOG2_TPM, Scale.LOG2_SIZEFACTOR, Scale.LOG2}
)


class LogExpression:
    """
    An expression matrix whose rows are read on a log scale.

    Counts become log1p of 10,000 x / total, with the total over all genes; other linear values,
    normalised before, log1p(x); logarithms are taken as they are, for a second normalisation over
    what may be a panel would change them.
    """

    def __init__(self, adata: AnnData, layer: str | None, scale: str) -> None:
        self._matrix = get_matrix(adata, layer)
        self._name = matrix_name(layer)
        self.scale = Scale(resolve_scale(self._matrix, scale, name=self._name))

    @property
    def values(self) -> str:
        """What the rows hold, in words."""
        if self.scale in _RAW:
            return "log1p(10,000 x / total)"
        return f"as given ({self.scale})" if self.scale in _LOGS else "log1p(x)"

    def blocks(
        self, alignment: GeneAlignment | None = None
    ) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Yield row positions and log values, float64 CSR; columns as :func:`iter_blocks`."""
        for block in iter_blocks(self._matrix, alignment, scale=self.scale, check=self._name):
            yield block.rows, self._log(block.matrix, block.total)

    def _log(self, matrix: sp.csr_matrix, total: NDArray[np.float64]) -> sp.csr_matrix:
        values = matrix.data.astype(np.float64)
        if self.scale in _RAW:
            each = np.repeat(np.maximum(total, 1e-12), np.diff(matrix.indptr))
            values = np.log1p(TARGET_SUM * values / each)
        elif self.scale == Scale.LOG2:
            values = np.log2(values)
        elif self.scale not in _LOGS:
            values = np.log1p(values)
        return sp.csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape)


@dataclass(frozen=True, eq=False)
class ScoreAssociation:
    """
    Spearman's correlation of genes with a score over donors.

    Attributes
    ----------
    rho
        One correlation a gene, shape (genes,); NaN where a gene does not vary.
    n
        Donors, or rows where each is a donor.
    values
        What was correlated, in words.
    """

    rho: NDArray[np.float64]
    n: int
    values: str
    _score: NDArray[np.float64]
    _genes: NDArray[np.float64]

    def permuted(self, n: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
        """Yield the correlations after giving the scores to other donors, in batches."""
        for size in batches(n, self._genes.shape[1]):
            yield rng.permuted(np.tile(self._score, (size, 1)), axis=1) @ self._genes


def associate(
    adata: AnnData,
    score_key: str,
    *,
    donor_key: str | None,
    layer: str | None,
    scale: str,
    min_cells: int,
) -> ScoreAssociation:
    """Correlate every gene with a score over donors; see :func:`dtp_scvi.tl.enrichment`."""
    score = number_column(adata.obs, score_key, "score_key")
    scored = np.flatnonzero(~np.isnan(score))
    if donor_key is None:
        _check_samples(len(scored))
        expression = LogExpression(adata, layer, scale)
        rows = sp.vstack([block for _, block in expression.blocks()], format="csr")
        values = expression.values
        table, score = rows[scored].toarray(), score[scored]
    else:
        # Cells without a score say nothing about how expression goes with it.
        kept = adata[scored] if len(scored) < adata.n_obs else adata
        table, score, values = _by_donor(kept, score[scored], donor_key, layer, scale, min_cells)
    unit = "scored rows" if donor_key is None else f"donors with {min_cells:,} scored cells"
    if len(score) < FEWEST_DONORS:
        todo = (
            "With fewer, no rank correlation reaches p < 0.05; add donors, or pass "
            "`statistic` to test attributions instead."
        )
        msg = problem(f"at least {FEWEST_DONORS} {unit}", f"{len(score)}", todo)
        raise ValueError(msg)
    if np.ptp(score) == 0:
        msg = problem(f"a score that varies over {unit}", "one value", "Name another `score_key`.")
        raise ValueError(msg)
    ranked_score, ranked = _unit_ranks(score[:, None])[:, 0], _unit_ranks(table)
    rho = np.where(np.ptp(table, axis=0) > 0, ranked_score @ ranked, np.nan)
    return ScoreAssociation(rho, len(score), values, ranked_score, ranked)


def _check_samples(n: int) -> None:
    if n > _MOST_SAMPLES:
        todo = "Cells of a donor are no independent samples: name the donors as `donor_key`."
        msg = problem(f"at most {_MOST_SAMPLES:,} samples without `donor_key`", f"{n:,}", todo)
        raise ValueError(msg)


def _by_donor(
    adata: AnnData,
    score: NDArray[np.float64],
    donor_key: str,
    layer: str | None,
    scale: str,
    min_cells: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Log expression and mean score of each donor, and what the expression is."""
    donor = text_column(adata.obs, donor_key, "donor_key")
    bulk = pseudobulk(adata, donor_key, layer=layer, scale=scale, min_cells=min_cells)
    found = Scale(bulk.uns[PSEUDOBULK_KEY]["scale"])
    raw = found in _RAW
    # What was normalised before is averaged; a total over a panel would undo that.
    size = bulk.obs["total"] / TARGET_SUM if raw else bulk.obs["n_cells"]
    sums = bulk.X.toarray().astype(np.float64)
    names = pd.Index(label_text(bulk.obs[donor_key]))
    codes = names.get_indexer(donor)
    table = np.log1p(sums / np.maximum(size.to_numpy(dtype=np.float64), 1e-12)[:, None])
    words = "log1p(10,000 x / total) of donor sums" if raw else "log1p of donor means"
    return table, mean_by(score, codes, len(names)), words


def _unit_ranks(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of each column, centred and of length one, so that products are correlations."""
    ranks = rankdata(table, axis=0)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    return ranks / np.where(length > 0, length, 1.0)
