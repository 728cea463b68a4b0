"""Attributions averaged by donor, then over donors, and how far the donors agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

if TYPE_CHECKING:
    from dtp_scvi.model._attribute_methods import RowParts
    from dtp_scvi.model._attribute_rows import ExplainedRows

_HALVES: Final = 50


class Tally:
    """Sums over rows, so that no more than a batch of attributions is held.

    Parameters
    ----------
    rows
        What is explained: donors and groups of the rows.
    """

    def __init__(self, rows: ExplainedRows) -> None:
        n_rows, n_genes = len(rows), len(rows.observed)
        donors = np.full(n_rows, "all") if rows.donors is None else rows.donors
        groups = np.full(n_rows, "all") if rows.groups is None else rows.groups
        self.donor_names, donor = np.unique(donors, return_inverse=True)
        self.group_names, group = np.unique(groups, return_inverse=True)
        self.pairs, self.pair = np.unique(
            np.stack([donor, group], axis=1), axis=0, return_inverse=True
        )
        self.pair = self.pair.ravel()
        self.n_rows = np.bincount(self.pair, minlength=len(self.pairs))
        # Each donor counts once, whatever its number of rows.
        self.weight = 1 / np.bincount(donor)[donor] / len(self.donor_names)
        self.signed = np.zeros((len(self.pairs), n_genes))
        self.absolute = np.zeros((len(self.pairs), n_genes))
        names = ("linear", "residual", "linear_abs", "residual_abs", "x", "xx", "a", "aa", "xa")
        self.mean = {name: np.zeros(n_genes) for name in names}

    def add(
        self, here: slice, parts: RowParts, inputs: np.ndarray, rows: ExplainedRows
    ) -> np.ndarray:
        """Take in a batch and return its attributions by gene, (n_rows, n_genes)."""
        linear, residual = rows.by_gene(parts.linear), rows.by_gene(parts.residual)
        total, x = linear + residual, rows.expression(inputs)
        np.add.at(self.signed, self.pair[here], total)
        np.add.at(self.absolute, self.pair[here], np.abs(total))
        weight = self.weight[here]
        terms = {
            "linear": linear,
            "residual": residual,
            "linear_abs": np.abs(linear),
            "residual_abs": np.abs(residual),
            "x": x,
            "xx": x**2,
            "a": total,
            "aa": total**2,
            "xa": x * total,
        }
        for name, term in terms.items():
            self.mean[name] += weight @ term
        return total

    def by_donor(self, sums: np.ndarray) -> np.ndarray:
        """Mean over the rows of each donor, (n_donors, n_genes)."""
        n_donors = len(self.donor_names)
        out, n = np.zeros((n_donors, sums.shape[1])), np.zeros(n_donors)
        np.add.at(out, self.pairs[:, 0], sums)
        np.add.at(n, self.pairs[:, 0], self.n_rows)
        return out / n[:, None]

    def direction(self) -> np.ndarray:
        """Correlation over rows of a gene's value with its attribution, -1 to 1, (n_genes,)."""
        m = self.mean
        spread = np.sqrt(
            np.maximum(m["xx"] - m["x"] ** 2, 0) * np.maximum(m["aa"] - m["a"] ** 2, 0)
        )
        # Below the digits of the sums there is no spread to speak of.
        noise = 1e-12 * np.sqrt(m["xx"] * m["aa"])
        out = np.full(len(spread), np.nan)
        np.divide(m["xa"] - m["x"] * m["a"], spread, out=out, where=spread > noise)
        return np.clip(out, -1, 1)


def gene_table(tally: Tally, genes: np.ndarray, observed: np.ndarray, n_top: int) -> pd.DataFrame:
    """Return one row a gene, largest mean absolute attribution first; NaN where not observed."""
    signed, absolute = tally.by_donor(tally.signed), tally.by_donor(tally.absolute)
    n_donors = len(signed)
    table = pd.DataFrame(
        {
            "mean": signed.mean(axis=0),
            "mean_abs": absolute.mean(axis=0),
            "linear": tally.mean["linear"],
            "residual": tally.mean["residual"],
            "linear_abs": tally.mean["linear_abs"],
            "residual_abs": tally.mean["residual_abs"],
            "sd": signed.std(axis=0, ddof=1) if n_donors > 1 else np.nan,
            "direction": tally.direction(),
            "frequency": top_frequency(absolute, observed, n_top),
        },
        index=pd.Index(genes.astype(object), name="gene"),
        dtype=np.float64,
    )
    table["rank"] = _ranks(table["mean_abs"].to_numpy(), observed)
    table[~observed] = np.nan
    return table.sort_values("rank", kind="stable")


def group_table(tally: Tally, genes: np.ndarray, observed: np.ndarray) -> pd.DataFrame:
    """Return one row a group and gene: donors averaged within the group."""
    parts = []
    for position, name in enumerate(tally.group_names):
        here = tally.pairs[:, 1] == position
        n = tally.n_rows[here]
        absolute = (tally.absolute[here] / n[:, None]).mean(axis=0)
        table = pd.DataFrame(
            {
                "group": str(name),
                "gene": genes.astype(object),
                "mean": (tally.signed[here] / n[:, None]).mean(axis=0),
                "mean_abs": absolute,
                "rank": _ranks(absolute, observed),
                "n_rows": int(n.sum()),
                "n_donors": int(here.sum()),
            }
        )
        parts.append(table[observed].sort_values("rank", kind="stable"))
    return pd.concat(parts, ignore_index=True)


def _ranks(size: np.ndarray, observed: np.ndarray) -> np.ndarray:
    return rankdata(-np.where(observed, size, -np.inf), method="min").astype(np.float64)


def top_frequency(absolute: np.ndarray, observed: np.ndarray, n_top: int) -> np.ndarray:
    """Share of donors in which a gene is among the ``n_top`` largest, (n_genes,)."""
    size = np.where(observed, absolute, -1.0)
    top = np.argsort(-size, axis=1, kind="stable")[:, :n_top]
    # A gene without any attribution is at no top.
    found = np.take_along_axis(size, top, axis=1) > 0
    return np.bincount(top[found], minlength=size.shape[1]) / len(size)


def rank_stability(absolute: np.ndarray, observed: np.ndarray, seed: int | None) -> dict[str, Any]:
    """Say how far donors agree on the order of the genes.

    Parameters
    ----------
    absolute
        Mean absolute attribution by donor, (n_donors, n_genes).
    observed
        Genes to compare.
    seed
        Seed of the splits.

    Returns
    -------
    ``n_donors``; ``donor_spearman``, mean Spearman correlation of two donors; ``split_half``, the
    same of the means of two random halves of the donors, over 50 splits; ``reason`` where they
    are NaN.
    """
    n_donors = len(absolute)
    if n_donors < 2:
        return {
            "n_donors": n_donors,
            "donor_spearman": np.nan,
            "split_half": np.nan,
            "reason": "one donor, or no `donor_key`: nothing to compare between donors",
        }
    size = absolute[:, observed]
    between = _spearman(size)
    rng = np.random.default_rng(seed)
    halves = []
    for _ in range(_HALVES):
        order = rng.permutation(n_donors)
        first, second = order[: n_donors // 2], order[n_donors // 2 :]
        halves.append(_spearman(np.stack([size[first].mean(axis=0), size[second].mean(axis=0)])))
    found: dict[str, Any] = {
        "n_donors": n_donors,
        "donor_spearman": between,
        "split_half": float(np.mean(halves)),
    }
    if np.isnan(between):
        found["reason"] = "genes do not differ in a donor: their order is undefined"
    return found


def _spearman(rows: np.ndarray) -> float:
    """Mean correlation of ranks over pairs of rows."""
    ranks = rankdata(rows, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1)
    if not norm.all():
        return float("nan")
    unit = centred / norm[:, None]
    # The sum over pairs follows from the length of the sum of all unit vectors.
    n = len(unit)
    return float((np.square(unit.sum(axis=0)).sum() - n) / (n * (n - 1)))
