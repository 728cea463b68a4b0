"""What each gene contributes to a teacher's logit, and which genes a student gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.data import nuisance_genes
from dtp_scvi.module import ProgramModule, ResidualNet, SparseBatch, sparse_batch
from dtp_scvi.nn import log_normalize
from dtp_scvi.train._path_integral import path_gradient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import scipy.sparse as sp

# Largest completeness error of a row, as a share of what its attributions should sum to, and the
# raw output (log-odds, or standard deviations of a response) of which it is a share at least.
_TOLERANCE, _LEAST = 0.01, 0.25
_TINY = 1e-12
_HALF_SAMPLES = 50
_LEAST_DONORS = 0.8


def gene_attributions(
    module: ProgramModule,
    matrix: sp.csr_matrix,
    total: np.ndarray,
    kind: str,
    output: int,
    *,
    batch_size: int = 256,
) -> np.ndarray:
    r"""Return the mean absolute integrated gradients of each gene, (n_genes,).

    The baseline is the training mean. Programs are linear in their genes, so the path integral
    is taken over the few program coordinates and spread exactly over the genes:

    .. math:: a_g = (x_g - \mu_g) \left(w_g + \sum_m \frac{s_m}{M}
              \sum_{kr} W^{(m)}_{gkr} \int_0^1 \frac{\partial f_m}{\partial c_{kr}}(t c)\, dt\right)

    Parameters
    ----------
    module
        A trained teacher network, in evaluation mode.
    matrix
        Rows with the genes in the order of the network, on the scale of the input.
    total
        Sum of each row on the linear scale.
    kind
        How values are stored: ``"linear"``, ``"log1p"`` or ``"log2p1"``.
    output
        Raw output to explain.
    batch_size
        Rows per step.

    References
    ----------
    Sundararajan et al., Axiomatic attribution for deep networks, ICML 2017.
    """
    sums = torch.zeros(matrix.shape[1], dtype=torch.float64)
    for start in range(0, matrix.shape[0], batch_size):
        rows = slice(start, start + batch_size)
        batch = sparse_batch(matrix[rows], total[rows], kind)
        sums += row_attributions(module, batch, output).abs().sum(dim=0).double()
    return (sums / max(1, matrix.shape[0])).numpy()


def row_attributions(module: ProgramModule, batch: SparseBatch, output: int) -> torch.Tensor:
    """Return the signed integrated gradients of each row, (n_rows, n_genes).

    A row sums to the difference between its raw output and that of the training mean, up to one
    per cent of it, or of 0.25 where it is smaller; see :func:`path_gradient` for the limit.
    """
    live = module.live_members
    with torch.no_grad():
        weight = module.projection(live)
        _, coordinates = module.row_sums(batch, live)
        lengths = batch["offsets"].diff().long()
        values = log_normalize(batch["values"], lengths, batch["total"], batch["kind"])
        dense = torch.zeros(len(lengths), weight.shape[0])
        row = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        dense[row, batch["columns"].long()] = values
        mean = torch.zeros(weight.shape[0])
        mean[module.order] = module.mean
        deviation = dense - mean
        slope = weight[:, output][None, :]
        rest = [_one_output(module.members[m], output) for m in live]
        scales = [float(module.member_scale[m]) / len(module.members) for m in live]
        difference = deviation @ slope[0]
        for net, scale, own in zip(rest, scales, coordinates, strict=False):
            difference = difference + scale * (net(own) - net(torch.zeros_like(own[:1])))
        # Members share what a row may be off by.
        allowed = _TOLERANCE * difference.abs().clamp_min(_LEAST) / max(1, len(live))
        parts = weight[:, module.n_outputs :].chunk(max(1, len(live)), dim=1)
        for net, scale, part, own in zip(rest, scales, parts, coordinates, strict=False):
            gradient, _ = path_gradient(net, own, allowed / max(abs(scale), _TINY))
            slope = slope + scale * gradient.flatten(1) @ part.T
        return deviation * slope


def _one_output(net: ResidualNet, output: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda coordinates: net.from_coordinates(coordinates)[:, output]


@dataclass(frozen=True)
class Panel:
    """Genes of a student and how stable their choice is."""

    genes: np.ndarray
    """Positions of the chosen genes, ascending."""
    importance: np.ndarray
    """Mean absolute attribution of every gene, averaged per donor, (n_genes,)."""
    frequency: np.ndarray
    """Share of half-samples of the donors in which a gene is among the top, (n_genes,)."""
    jaccard: float
    """Mean Jaccard index of the top genes of two donors; NaN for one donor."""
    n_excluded: int


def choose_panel(
    by_donor: np.ndarray,
    detected: np.ndarray,
    genes: Sequence[str],
    n_genes: int,
    *,
    exclude: Iterable[str],
    seed: int,
) -> Panel:
    """Pick the genes that carry the teacher's logit in most donors.

    Genes are ranked by how often they are among the top ``n_genes`` over half-samples of the
    donors (stability selection on attributions; Meinshausen and Bühlmann, 2010), ties by their
    attribution averaged over donors.

    Parameters
    ----------
    by_donor
        Mean absolute attribution of each gene in each donor, (n_donors, n_genes).
    detected
        Whether a gene is detected in a donor, (n_donors, n_genes).
    genes
        Gene names.
    n_genes
        Size of the panel.
    exclude
        Kinds of :func:`dtp_scvi.data.nuisance_genes` to leave out.
    seed
        Seed of the half-samples.
    """
    kinds = nuisance_genes(genes)
    unwanted: set[str] = set()
    for kind in exclude:
        check_one_of(kind, kinds, "exclude")
        unwanted |= set(kinds[kind])
    allowed = ~np.isin(np.asarray(genes), list(unwanted))
    widespread = detected.mean(axis=0) >= _LEAST_DONORS
    importance = by_donor.mean(axis=0)
    usable = np.flatnonzero(allowed & widespread & (importance > 0))
    if len(usable) < n_genes:
        msg = problem(
            f"at least n_genes={n_genes:,} genes that may enter the panel",
            f"{len(usable):,} (detected in {_LEAST_DONORS:.0%} of the donors, not among "
            f"{', '.join(exclude) or 'no'} genes)",
            "Lower `n_genes`, or exclude fewer kinds.",
        )
        raise ValueError(msg)
    frequency, jaccard = _stability(by_donor[:, usable], n_genes, seed)
    order = np.lexsort((-importance[usable], -frequency))
    chosen = np.sort(usable[order[:n_genes]])
    everywhere = np.zeros(len(importance))
    everywhere[usable] = frequency
    return Panel(chosen, importance, everywhere, jaccard, int((~allowed).sum()))


def _stability(by_donor: np.ndarray, n_genes: int, seed: int) -> tuple[np.ndarray, float]:
    n_donors, n_usable = by_donor.shape
    if n_donors < 2:
        return np.ones(n_usable), float("nan")
    rng = np.random.default_rng(seed)
    hits = np.zeros(n_usable)
    for _ in range(_HALF_SAMPLES):
        donors = rng.choice(n_donors, -(-n_donors // 2), replace=False)
        hits[np.argsort(-by_donor[donors].mean(axis=0), kind="stable")[:n_genes]] += 1
    tops = [set(np.argsort(-row, kind="stable")[:n_genes].tolist()) for row in by_donor]
    pairs = [len(a & b) / len(a | b) for i, a in enumerate(tops) for b in tops[i + 1 :]]
    return hits / _HALF_SAMPLES, float(np.mean(pairs))


def panel_table(panel: Panel, genes: Sequence[str]) -> pd.DataFrame:
    """Return the chosen genes with importance and selection frequency, most important first."""
    table = pd.DataFrame(
        {
            "gene": np.asarray(genes)[panel.genes],
            "importance": panel.importance[panel.genes],
            "frequency": panel.frequency[panel.genes],
        }
    )
    return table.sort_values("importance", ascending=False, ignore_index=True)
