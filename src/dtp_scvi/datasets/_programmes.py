"""Gene programmes of the simulation: roles, weights and gene loadings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from dtp_scvi.datasets._genes import FEMALE_GENES, LSC17_SIGNS, MALE_GENES, MARKERS

# Weights of the linear part of the hidden score. Stemness and monocytic state lead, since both
# go with resistance in AML; the rest keeps the linear part from being a cell-type call.
LINEAR_WEIGHTS: Final[dict[str, float]] = {
    "stemness": 0.5,
    "monocytic": 0.3,
    "cell_cycle": -0.4,
    "background_01": 0.4,
    "background_02": -0.4,
    "background_03": 0.4,
    "background_04": -0.4,
    "background_05": 0.4,
    "background_06": -0.4,
}
# Pairs whose product enters the hidden score, and the weight of the product.
INTERACTIONS: Final[tuple[tuple[str, str, float], ...]] = (
    ("tolerance_1", "tolerance_2", 1.0),
    ("tolerance_3", "tolerance_4", 0.7),
)
# Size of the loadings of the interacting programmes. They differ so that principal components
# separate the programmes; equal sizes would leave their rotation to chance.
_TOLERANCE: Final[dict[str, float]] = {
    "tolerance_1": 1.1,
    "tolerance_2": 0.95,
    "tolerance_3": 0.8,
    "tolerance_4": 0.7,
}
_LINEAR_SIZE: Final = 0.65
_OTHER_SIZE: Final = 0.5
_SIZES: Final = dict.fromkeys(LINEAR_WEIGHTS, _LINEAR_SIZE) | _TOLERANCE
# With this spread about one entry in seven is above zero at 13,000 genes and 5,000 counts a cell.
_LOG_BASE_SD: Final = 1.9
MIN_PROGRAMMES: Final = len({*MARKERS, *LINEAR_WEIGHTS})
# The markers of a cell type stand out from the rest of its programme.
_MARKER_FACTOR: Final = dict.fromkeys(("progenitor", "monocytic", "lymphoid", "erythroid"), 2.0)
_TECHNICAL: Final[dict[str, float]] = {"ribosomal": 2.0, "mitochondrial": 2.5}


@dataclass(frozen=True)
class Programmes:
    """Names, roles and loadings of the programmes.

    Attributes
    ----------
    table
        One row a programme: ``role``, ``linear_weight``, ``scale``, ``n_genes``.
    loadings
        Change of the log expression per unit of activity, genes x programmes, float32.
    log_base
        Log expression of each gene at zero activity, float32.
    """

    table: pd.DataFrame
    loadings: np.ndarray
    log_base: np.ndarray


def programme_names(n_programmes: int) -> list[str]:
    """Return the named programmes, then numbered background programmes."""
    names = list(MARKERS)
    return names + [f"background_{i:02d}" for i in range(1, n_programmes - len(names) + 1)]


def _table(names: list[str]) -> pd.DataFrame:
    roles = [
        "interaction" if name in _TOLERANCE else "linear" if name in LINEAR_WEIGHTS else "none"
        for name in names
    ]
    return pd.DataFrame(
        {
            "role": roles,
            "linear_weight": [LINEAR_WEIGHTS.get(name, 0.0) for name in names],
            "scale": [_SIZES.get(name, _OTHER_SIZE) for name in names],
        },
        index=pd.Index(names, name="programme"),
    )


def make_programmes(genes: list[str], n_programmes: int, rng: np.random.Generator) -> Programmes:
    """Assign genes to programmes and draw loadings and base expression.

    Every programme has at least 30 genes and about 1.5 % of all genes, half as many again where
    it takes part in an interaction. Genes without a marker role are dealt out in a random order
    that starts anew when it is used up, so programmes overlap only where genes are few.
    """
    names = programme_names(n_programmes)
    position = {gene: i for i, gene in enumerate(genes)}
    reserved = {gene for group in MARKERS.values() for gene in group}
    reserved |= {*FEMALE_GENES, *MALE_GENES}
    free = np.array([i for i, gene in enumerate(genes) if gene not in reserved])
    size = min(max(30, round(0.015 * len(genes))), len(free))
    sizes = np.array([min(int(1.5 * size), len(free)) if n in _TOLERANCE else size for n in names])
    table = _table(names)
    loadings = np.zeros((len(genes), len(names)), dtype=np.float32)
    log_base = rng.normal(0.0, _LOG_BASE_SD, len(genes))
    order = rng.permutation(free)
    # Interaction programmes draw first: in a small simulation they are the ones kept apart.
    for name in sorted(names, key=lambda name: (name not in _TOLERANCE, names.index(name))):
        k = names.index(name)
        markers = [position[gene] for gene in MARKERS.get(name, ())]
        n_other = max(int(sizes[k]) - len(markers), 0)
        if len(order) < n_other:
            order = np.concatenate([order, rng.permutation(free)])
        members = np.unique(np.concatenate([np.array(markers, dtype=int), order[:n_other]]))
        order = order[n_other:]
        size_of_effect = table["scale"].iloc[k] * rng.lognormal(0.0, 0.3, len(members))
        loadings[members, k] += size_of_effect * _signs(genes, members, rng)
        loadings[markers, k] *= _MARKER_FACTOR.get(name, 1.0)
        log_base[members] += 0.4
        log_base[markers] += _TECHNICAL.get(name, 0.8)
    table["n_genes"] = (loadings != 0).sum(axis=0)
    return Programmes(table, loadings, log_base.astype(np.float32))


def _signs(genes: list[str], members: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the sign of each loading: mostly up, as published for the LSC17 genes."""
    signs = np.where(rng.random(len(members)) < 0.85, 1.0, -1.0)
    curated = {gene: 1 for group in MARKERS.values() for gene in group} | LSC17_SIGNS
    for i, member in enumerate(members):
        signs[i] = curated.get(genes[member], signs[i])
    return signs
