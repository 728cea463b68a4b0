"""From programme activities to counts: mean profile, ambient RNA, depth, noise, dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import sparse

from dtp_scvi._logging import progress
from dtp_scvi.datasets._genes import FEMALE_GENES, MALE_GENES

if TYPE_CHECKING:
    from dtp_scvi.datasets._latent import Design
    from dtp_scvi.datasets._programmes import Programmes

# Rows made at a time. Each block has its own random stream, so this number is part of the
# definition of the simulation: changing it changes the counts.
BLOCK_ROWS: Final = 256
_SILENT: Final = -12.0


@dataclass(frozen=True)
class CountModel:
    """Everything but the random numbers that a block of counts is made from."""

    loadings: np.ndarray
    donor_log_mean: np.ndarray
    donor_ambient: np.ndarray
    depth: np.ndarray
    ambient: np.ndarray
    dropout: float
    dispersion: float


def donor_log_means(
    genes: list[str],
    programmes: Programmes,
    design: Design,
    batch_effect: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the log expression of each donor at zero activity, donors x genes, float32.

    Tissues, platforms and donors each scale every gene by a log-normal factor; donors by a
    third as much. Genes of the absent sex are silent.
    """
    n_genes = len(genes)
    tissue = rng.normal(0.0, batch_effect, (design.donor_tissue.max() + 1, n_genes))
    platform = rng.normal(0.0, batch_effect, (design.donor_platform.max() + 1, n_genes))
    donor = rng.normal(0.0, batch_effect / 3, (len(design.donor_tissue), n_genes))
    mean = programmes.log_base + tissue[design.donor_tissue] + donor
    mean += platform[design.donor_platform]
    for symbols, silent in (
        (FEMALE_GENES, ~design.donor_is_female),
        (MALE_GENES, design.donor_is_female),
    ):
        columns = np.array([genes.index(symbol) for symbol in symbols])
        mean[np.ix_(np.flatnonzero(silent), columns)] = _SILENT
    return mean.astype(np.float32)


def _profiles(log_mean: np.ndarray) -> np.ndarray:
    """Return expression profiles that sum to one in each row; overwrites its argument."""
    log_mean -= log_mean.max(axis=1, keepdims=True)
    np.exp(log_mean, out=log_mean)
    log_mean /= log_mean.sum(axis=1, keepdims=True)
    return log_mean


def ambient_profiles(
    log_mean: np.ndarray, loadings: np.ndarray, activities: np.ndarray, donor: np.ndarray
) -> np.ndarray:
    """Return the mean profile of up to 200 cells of each donor, donors x genes, float32."""
    ambient = np.empty_like(log_mean)
    for code in range(len(log_mean)):
        cells = np.flatnonzero(donor == code)[:200]
        ambient[code] = _profiles(log_mean[code] + activities[cells] @ loadings.T).mean(axis=0)
    return ambient


def draw_count_model(
    genes: list[str],
    programmes: Programmes,
    design: Design,
    activities: np.ndarray,
    rng: np.random.Generator,
    *,
    depth: float,
    depth_sd: float,
    batch_effect: float,
    ambient: float,
    dropout: float,
    dispersion: float,
) -> CountModel:
    """Draw batch effects, depths and ambient fractions."""
    n_cells, n_donors = len(design.donor), len(design.donor_tissue)
    log_mean = donor_log_means(genes, programmes, design, batch_effect, rng)
    of_platform = rng.normal(0.0, depth_sd / 2, design.donor_platform.max() + 1)
    of_donor = rng.normal(0.0, depth_sd / 2, n_donors) + of_platform[design.donor_platform]
    log_depth = np.log(depth) + of_donor[design.donor] + rng.normal(0.0, depth_sd, n_cells)
    return CountModel(
        loadings=programmes.loadings,
        donor_log_mean=log_mean,
        donor_ambient=ambient_profiles(log_mean, programmes.loadings, activities, design.donor),
        depth=np.exp(log_depth).astype(np.float32),
        # Beta(4, 4) has mean 1/2, so cells range from none to twice the mean.
        ambient=(2 * ambient * rng.beta(4.0, 4.0, n_cells)).astype(np.float32),
        dropout=dropout,
        dispersion=dispersion,
    )


def _block(
    model: CountModel,
    rows: slice,
    activities: np.ndarray,
    donor: np.ndarray,
    seed: np.random.SeedSequence,
) -> sparse.csr_matrix:
    """Draw the counts of one block of cells."""
    rng = np.random.default_rng(seed)
    codes = donor[rows]
    mean = _profiles(model.donor_log_mean[codes] + activities[rows] @ model.loadings.T)
    share = model.ambient[rows, None]
    mean *= 1 - share
    mean += share * model.donor_ambient[codes]
    mean *= model.depth[rows, None]
    rate = mean
    if model.dispersion > 0:
        shape = 1 / model.dispersion
        rate = mean * rng.standard_gamma(shape, mean.shape, dtype=np.float32) / np.float32(shape)
    counts = sparse.csr_matrix(rng.poisson(rate).astype(np.float32))
    if model.dropout > 0:
        # Low expected counts are lost more often, so dropout falls with depth and expression.
        expected = mean[np.repeat(np.arange(len(codes)), np.diff(counts.indptr)), counts.indices]
        lost = rng.random(counts.nnz) < model.dropout / (1 + expected)
        counts.data[lost] = 0
        counts.eliminate_zeros()
    return counts


def draw_counts(
    model: CountModel,
    activities: np.ndarray,
    donor: np.ndarray,
    seed: np.random.SeedSequence,
    *,
    verbose: bool,
) -> sparse.csr_matrix:
    """Draw the counts of all cells, cells x genes, CSR float32, block by block."""
    n_cells = len(donor)
    starts = range(0, n_cells, BLOCK_ROWS)
    blocks = []
    with progress(n_cells, "Simulating", verbose=verbose) as bar:
        for start, child in zip(starts, seed.spawn(len(starts)), strict=True):
            rows = slice(start, min(start + BLOCK_ROWS, n_cells))
            blocks.append(_block(model, rows, activities, donor, child))
            bar.update(rows.stop - rows.start)
    return sparse.vstack(blocks, format="csr")
