"""Refit a model in each fold, explain the rows it has not seen, and compare the folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dtp_scvi.stats import auroc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anndata import AnnData

    from dtp_scvi.model import Attribution, Registration
    from dtp_scvi.tl._cv_plan import Fold, Plan


@dataclass(frozen=True)
class Explained:
    """What the models of all folds say of the rows that each has not seen."""

    size: np.ndarray
    """Mean absolute contribution, averaged by donor, (n_folds, n_genes)."""
    weight: np.ndarray
    """Donors (rows, where no donors are known) behind each fold, (n_folds,)."""
    logits: np.ndarray
    """Log-odds of every row by the model that has not seen it, (n_rows,)."""
    folds: pd.DataFrame

    @property
    def ranks(self) -> np.ndarray:
        """Rank of each gene in each fold, from 1; equal genes share one, (n_folds, n_genes)."""
        return rankdata(-self.size, axis=1)

    def top(self, n_top: int) -> np.ndarray:
        """Whether a gene is among the largest of a fold; one that adds nothing is not."""
        place = np.argsort(np.argsort(-self.size, axis=1, kind="stable"), axis=1)
        return (place < n_top) & (self.size > 0)

    def agreement(self, labels: np.ndarray, n_top: int) -> dict[str, float]:
        """Return the AUROC of held-out rows, and how far the folds agree."""
        return {
            "auroc": auroc(labels, self.logits),
            "spearman": mean_spearman(self.ranks),
            "jaccard": mean_jaccard(self.top(n_top)),
        }

    def table(self, genes: np.ndarray, n_top: int) -> pd.DataFrame:
        """Return one row a gene, largest ``mean_abs`` first."""
        size = np.average(self.size, axis=0, weights=self.weight)
        table = pd.DataFrame(
            {
                "gene": genes.astype(object),
                "mean_abs": size,
                "rank": rankdata(-size, method="min").astype(np.int64),
                "rank_sd": self.ranks.std(axis=0, ddof=1),
                "frequency": self.top(n_top).mean(axis=0),
            }
        )
        # Genes of one rank stand by name, whatever their order in the data.
        return table.sort_values(["rank", "gene"], ignore_index=True)


@dataclass(frozen=True)
class Refit:
    """The model, and how its predictions are explained."""

    model_cls: Any
    model_kwargs: Mapping[str, Any]
    train_kwargs: Mapping[str, Any]
    explain_kwargs: Mapping[str, Any]

    def __call__(
        self,
        adata: AnnData,
        reg: Registration,
        plan: Plan,
        seed: int | None,
        done: Callable[[], object],
    ) -> Explained:
        """Fit and explain one fold after the other."""
        seeds = np.random.default_rng(seed).integers(2**31, size=len(plan.folds)).tolist()
        logits, rows = np.full(len(reg.labels), np.nan), []
        size, weight = [], []
        for fold, fold_seed in zip(plan.folds, seeds, strict=True):
            model = self.model_cls(adata, **self.model_kwargs)
            model.train(indices=fold.train, seed=fold_seed, **self.train_kwargs)
            logits[fold.test] = model.predict_logits(indices=fold.test)[reg.positive].to_numpy()
            found = model.attribute(
                indices=fold.test, donor_key=reg.donor_key, seed=fold_seed, **self.explain_kwargs
            )
            # A gene that the model of a fold does not read contributes nothing.
            size.append(found.table["mean_abs"].reindex(reg.genes).fillna(0.0).to_numpy())
            rows.append(_fold_row(fold, found))
            weight.append(rows[-1]["n_donors"] or rows[-1]["n_explained"])
            done()
        return Explained(np.stack(size), np.array(weight, float), logits, pd.DataFrame(rows))


def _fold_row(fold: Fold, found: Attribution) -> dict[str, Any]:
    params = found.record["params"]
    return {
        "held_out": fold.held_out,
        "n_train": len(fold.train),
        "n_test": len(fold.test),
        "n_explained": params["n_rows"],
        "n_donors": params["n_donors"],
        "completeness": found.record["completeness"]["median"],
    }


def mean_spearman(ranks: np.ndarray) -> float:
    """Mean over pairs of rows of the correlation of ranks; NaN where a row has one rank only."""
    if not ranks.std(axis=1).all():
        return float("nan")
    return float(_pairs(np.corrcoef(ranks)).mean())


def mean_jaccard(top: np.ndarray) -> float:
    """Mean over pairs of rows of shared over all members; NaN for two empty rows."""
    both = top.astype(float) @ top.T
    sizes = top.sum(axis=1)
    either = sizes[:, None] + sizes[None, :] - both
    share = np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0)
    return float(_pairs(share).mean())


def _pairs(matrix: np.ndarray) -> np.ndarray:
    return matrix[np.triu_indices(len(matrix), 1)]
