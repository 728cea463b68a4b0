"""From mean profiles of cells to bulk samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import sparse

from dtp_scvi._constants import COUNTS_LAYER, SIMULATION_KEY
from dtp_scvi._validate import problem
from dtp_scvi.datasets._patients import BLAST_TYPES, NORMAL_TYPES, Mixtures
from dtp_scvi.datasets._truth import NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from anndata import AnnData

_MIN_CELLS: Final = 5
_DISPERSION: Final = 0.05


def mean_profiles(cells: AnnData) -> dict[tuple[str, str], np.ndarray]:
    """Return the mean expression profile, summing to one, of each cell type and state."""
    if SIMULATION_KEY not in cells.uns or COUNTS_LAYER not in cells.layers:
        msg = problem(
            f"`cells` made by simulate_cells, with uns[{SIMULATION_KEY!r}] and "
            f"layers[{COUNTS_LAYER!r}]",
            "an object without them",
            "Pass the result of dtp_scvi.datasets.simulate_cells.",
        )
        raise ValueError(msg)
    counts = sparse.csr_matrix(cells.layers[COUNTS_LAYER])
    total = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
    wanted = [(name, state) for name in BLAST_TYPES for state in (POSITIVE, NEGATIVE)]
    wanted += [(name, NEGATIVE) for name in NORMAL_TYPES]
    profiles = {}
    for name, state in wanted:
        rows = np.flatnonzero((cells.obs["cell_type"] == name) & (cells.obs["state"] == state))
        if len(rows) < _MIN_CELLS:
            msg = problem(
                f"at least {_MIN_CELLS} {name} cells that are {state} in `cells`",
                str(len(rows)),
                "Simulate more cells.",
            )
            raise ValueError(msg)
        weights = (1 / total[rows]) / len(rows)
        profiles[name, state] = counts[rows].T @ weights
    return profiles


def mix(profiles: dict[tuple[str, str], np.ndarray], mixtures: Mixtures) -> np.ndarray:
    """Return the expected profile of each sample, patients x genes."""
    mixed = np.zeros(())
    tolerant = mixtures.tolerant_in_blasts
    for share, name in zip(mixtures.blast_shares.T, BLAST_TYPES, strict=True):
        mixed = mixed + np.outer(share * tolerant, profiles[name, POSITIVE])
        mixed = mixed + np.outer(share * (1 - tolerant), profiles[name, NEGATIVE])
    for share, name in zip(mixtures.normal_shares.T, NORMAL_TYPES, strict=True):
        mixed = mixed + np.outer(share, profiles[name, NEGATIVE])
    return mixed


def draw_bulk_counts(
    profile: np.ndarray, library_size: float, patient_sd: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw negative binomial counts, patients x genes, float32."""
    profile = profile * rng.lognormal(0.0, patient_sd, profile.shape)
    profile /= profile.sum(axis=1, keepdims=True)
    mean = profile * library_size * rng.lognormal(0.0, 0.3, (len(profile), 1))
    rate = mean * rng.gamma(1 / _DISPERSION, _DISPERSION, mean.shape)
    return rng.poisson(rate).astype(np.float32)


def log2_tpm(counts: np.ndarray) -> np.ndarray:
    """Return log2(TPM + 1); genes have no length here, so TPM are counts per million."""
    return np.log2(1e6 * counts / counts.sum(axis=1, keepdims=True) + 1).astype(np.float32)
