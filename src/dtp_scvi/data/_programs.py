"""Group genes into programs by their co-expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from dtp_scvi._validate import check_positive_int, problem
from dtp_scvi.data._draw import draw_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_CELLS = 4000
_MAX_VARIABLE = 4000
_N_COMPONENTS = 50
_MIN_DETECTED_CELLS = 5
_CLIP = 10.0
_MIN_COMPONENTS = 5
# A gene has signal when the components explain more of it than of noise by this many deviations.
_SIGNAL = 3.0


def coexpression_programs(
    X: sp.csr_matrix,
    *,
    n_programs: int = 32,
    min_genes: int = 5,
    max_genes: int | None = None,
    groups: Sequence[object] | None = None,
    max_cells: int = _MAX_CELLS,
    seed: int | None = 0,
) -> list[np.ndarray]:
    """
    Partition the informative genes into programs from their co-expression.

    Up to ``max_cells`` cells are drawn. The variable genes are standardised and reduced to at
    most 50 principal components beyond sequencing depth, those above the edge that noise
    reaches; k-means on their loadings, scaled to unit length, finds the programs. The other
    detected genes join the nearest program when the components explain more of their variance
    than they would explain of noise.

    Parameters
    ----------
    X
        log1p expression of the *training* cells, ``(n_cells, n_genes)``.
    n_programs
        Number of programs wanted; fewer are returned where the genes do not fill them.
    min_genes
        Programs with fewer genes are dissolved into the others.
    max_genes
        Largest size of a program; the genes farthest from its centre move to the next nearest
        program with room. By default there is no limit.
    groups
        Donor of each cell; when given, each donor contributes as equally as its cells allow.
    max_cells
        Number of cells to draw.
    seed
        Seed of the draw, the decomposition and the clustering.

    Returns
    -------
    Ascending column positions of each program, largest program first. Genes without signal and
    genes never detected are in none.

    Raises
    ------
    ValueError
        When there are too few cells or detected genes, or ``max_genes`` leaves no room.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from dtp_scvi.data import coexpression_programs
    >>> rng = np.random.default_rng(0)
    >>> hidden = np.repeat(rng.normal(size=(300, 4)), 20, axis=1)
    >>> counts = rng.poisson(np.exp(0.7 * hidden))
    >>> programs = coexpression_programs(sp.csr_matrix(np.log1p(counts)), n_programs=4)
    >>> sorted(p.tolist() for p in programs) == [list(range(i, i + 20)) for i in (0, 20, 40, 60)]
    True
    """
    for value, name in ((n_programs, "n_programs"), (min_genes, "min_genes")):
        check_positive_int(value, name)
    rng = np.random.default_rng(seed)
    X = sp.csr_matrix(X)
    cells = draw_rows(X.shape[0], groups, max_cells, rng)
    X = X[cells].astype(np.float32) if cells.size < X.shape[0] else X.astype(np.float32)
    detected = np.flatnonzero(X.getnnz(axis=0) >= _MIN_DETECTED_CELLS)
    if X.shape[0] < 10 or detected.size < 2 * min_genes:
        msg = problem(
            f"at least 10 cells and {2 * min_genes} genes detected in {_MIN_DETECTED_CELLS} cells",
            f"{X.shape[0]:,} cells and {detected.size:,} such genes",
            "Pass more cells, or programs from a GMT file.",
        )
        raise ValueError(msg)
    n_programs = min(n_programs, detected.size // min_genes)
    if max_genes is not None and max_genes * n_programs < detected.size:
        msg = problem(
            f"`n_programs` x `max_genes` of at least {detected.size:,} detected genes",
            f"{n_programs} x {max_genes}",
            "Raise either of them.",
        )
        raise ValueError(msg)
    loadings, kept = _loadings(sp.csc_matrix(X[:, detected]), rng)
    label = _cluster(loadings, kept, n_programs, min_genes, max_genes, rng)
    programs = [detected[label == k] for k in range(label.max() + 1)]
    return sorted((p for p in programs if p.size), key=lambda p: (-p.size, p[0]))


def _moments(X: sp.csc_matrix) -> tuple[np.ndarray, np.ndarray]:
    mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    square = np.asarray(X.multiply(X).mean(axis=0, dtype=np.float64)).ravel()
    return mean, np.sqrt(np.maximum(square - mean**2, 1e-12))


def _variable(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Pick the genes whose variance exceeds what genes of their mean have, at most 4,000."""
    rank = np.argsort(np.argsort(mean))
    n_bins = int(np.clip(mean.size // 50, 1, 20))
    bins = rank * n_bins // mean.size
    log_sd = np.log(sd)
    excess = np.empty_like(log_sd)
    for b in range(n_bins):
        here = bins == b
        centre = np.median(log_sd[here])
        spread = np.median(np.abs(log_sd[here] - centre)) + 1e-9
        excess[here] = (log_sd[here] - centre) / spread
    n_variable = min(_MAX_VARIABLE, mean.size)
    return np.sort(np.argsort(-excess, kind="stable")[:n_variable])


def _loadings(X: sp.csc_matrix, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation of every gene with the components, and which genes have signal."""
    from sklearn.utils.extmath import randomized_svd

    mean, sd = _moments(X)
    variable = _variable(mean, sd)
    dense = X[:, variable].toarray()
    dense -= mean[variable].astype(np.float32)
    dense /= sd[variable].astype(np.float32)
    np.clip(dense, -_CLIP, _CLIP, out=dense)
    # Depth decides what is detected, and would otherwise tie all genes of low expression together.
    depth = np.log1p(X.getnnz(axis=1)).astype(np.float32)
    depth = (depth - depth.mean()) / max(float(depth.std()), 1e-6)
    dense -= np.outer(depth, depth @ dense / depth.size)
    n_components = min(_N_COMPONENTS, min(dense.shape) - 1)
    scores, values, _ = randomized_svd(
        dense, n_components, n_iter=3, random_state=int(rng.integers(2**31))
    )
    # Singular values of standardised noise end at this edge (Marchenko and Pastur, 1967).
    edge = np.sqrt(dense.shape[0]) + np.sqrt(dense.shape[1])
    n_components = max(min(_MIN_COMPONENTS, n_components), int((values > edge).sum()))
    scores = scores[:, :n_components]
    # Scores are orthonormal over cells, so the product is a correlation with each component.
    product = X.T @ scores - np.outer(mean, scores.sum(axis=0))
    loadings = product / (sd * np.sqrt(X.shape[0]))[:, None]
    explained = (loadings**2).sum(axis=1)
    by_chance = n_components + _SIGNAL * np.sqrt(2 * n_components)
    signal = explained > by_chance / X.shape[0]
    return loadings, signal


def _cluster(
    loadings: np.ndarray,
    signal: np.ndarray,
    n_programs: int,
    min_genes: int,
    max_genes: int | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the program of each gene, -1 for none."""
    from sklearn.cluster import KMeans

    genes = np.flatnonzero(signal)
    label = np.full(signal.size, -1)
    n_programs = min(n_programs, genes.size // min_genes)
    if n_programs < 1:
        msg = problem(
            "genes that vary together",
            f"{genes.size:,} genes with more signal than noise",
            "Pass more cells, or programs from a GMT file.",
        )
        raise ValueError(msg)
    unit = loadings[genes] / np.linalg.norm(loadings[genes], axis=1, keepdims=True)
    fitted = KMeans(n_programs, n_init=4, random_state=int(rng.integers(2**31))).fit(unit)
    centres = fitted.cluster_centers_
    sizes = np.bincount(fitted.labels_, minlength=n_programs)
    centres = centres[(sizes >= min_genes) | (sizes == sizes.max())]
    centres = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    label[genes] = _assign(unit @ centres.T, max_genes)
    return label


def _assign(similarity: np.ndarray, max_genes: int | None) -> np.ndarray:
    """Pick the nearest program with room: each program keeps its nearest genes, the rest move on."""
    n_genes, n_programs = similarity.shape
    if max_genes is None:
        return similarity.argmax(axis=1)
    label = np.full(n_genes, -1)
    room = np.full(n_programs, max(max_genes, -(-n_genes // n_programs)))
    open_to = similarity.copy()
    while (label < 0).any():
        open_to[:, room == 0] = -np.inf
        waiting = np.flatnonzero(label < 0)
        choice = open_to[waiting].argmax(axis=1)
        for program in np.unique(choice):
            callers = waiting[choice == program]
            nearest = np.argsort(-open_to[callers, program], kind="stable")[: room[program]]
            label[callers[nearest]] = program
            room[program] -= nearest.size
    return label
