"""What each gene contributes to a teacher's logit, and which genes a student gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.data import nuisance_genes
from dtp_scvi.module import SparseBatch, TransformerModule
from dtp_scvi.nn import log_normalize
from dtp_scvi.train._batches import Rows

_PATH_STEPS = 8
_HALF_SAMPLES = 50
_LEAST_DONORS = 0.8


def gene_attributions(
    module: TransformerModule, rows: Rows, which: np.ndarray, output: int, *, batch_size: int = 256
) -> np.ndarray:
    r"""Return the mean absolute integrated gradients of each column, (n_columns,).

    The baseline is the training mean. Programs are linear in their genes, so the path integral
    is taken over the few program coordinates and spread exactly over the genes:

    .. math:: a_g = (x_g - \mu_g) \left(w_g + \sum_m \frac{s_m}{M}
              \sum_r W_{gr} \int_0^1 \frac{\partial f_m}{\partial c_r}(t c)\, dt\right)

    Parameters
    ----------
    module
        A trained teacher network, in evaluation mode.
    rows
        Training rows, columns in the order of the network.
    which
        Rows to use.
    output
        Raw output to explain.

    References
    ----------
    Sundararajan et al., Axiomatic attribution for deep networks, ICML 2017.
    """
    total = np.zeros(rows.matrix.shape[1])
    mean = module.mean.numpy()
    programs = module.members[0].tokens.programs.numpy()
    for start in range(0, len(which), batch_size):
        chosen = which[start : start + batch_size]
        batch = rows.batch(chosen)
        slope = np.tile(module.linear_weight[:, output].numpy(), (len(chosen), 1))
        for m, scale in enumerate(module.member_scale.tolist()):
            if scale == 0:
                continue
            gradient = _path_gradient(module, batch, m, output)
            # Genes of no program read the row of zeros at the end.
            padded = np.concatenate([gradient, np.zeros_like(gradient[:, :1])], axis=1)
            weight = module.members[m].tokens.weight.detach().numpy()
            share = scale / len(module.members)
            for r in range(weight.shape[1]):
                slope += share * padded[:, programs, r] * weight[:, r]
        values = _log_values(module, batch, len(chosen))
        total += np.abs((values - mean) * slope).sum(axis=0)
    return total / max(1, len(which))


def _path_gradient(
    module: TransformerModule, batch: SparseBatch, member: int, output: int
) -> np.ndarray:
    with torch.no_grad():
        coordinates = module.coordinates(batch, member)
    gradient = torch.zeros_like(coordinates)
    # Midpoints of the path integrate with an error of second order.
    for t in (np.arange(_PATH_STEPS) + 0.5) / _PATH_STEPS:
        point = (coordinates * float(t)).requires_grad_()
        raw = module.members[member].from_coordinates(point)[:, output].sum()
        gradient += torch.autograd.grad(raw, point)[0]
    return (gradient / _PATH_STEPS).numpy()


def _log_values(
    module: TransformerModule, batch: SparseBatch, n_rows: int
) -> np.ndarray:
    lengths = batch["offsets"][:: module.n_programs + 1].diff().long()
    values = log_normalize(batch["values"], lengths, batch["total"], batch["kind"])
    dense = torch.zeros(n_rows, len(module.mean))
    row = torch.repeat_interleave(torch.arange(n_rows), lengths)
    dense[row, batch["columns"].long()] = values
    return dense.numpy()


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
    pairs = [
        len(a & b) / len(a | b) for i, a in enumerate(tops) for b in tops[i + 1 :]
    ]
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
