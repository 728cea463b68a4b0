"""Baselines that are one number a row: mean expression, LSC17, means of a few genes."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from dtp_scvi._constants import CTL, IFNG
from dtp_scvi._validate import problem
from dtp_scvi.data import align_genes
from dtp_scvi.train._baseline_fitted import FittedBaseline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dtp_scvi.train._baseline_sample import Sample

# Ng et al., Nature 540:433 (2016), doi:10.1038/nature20598, under approved symbols; the paper
# calls FAM30A KIAA0125, BEX3 NGFRAP1 and ADGRG1 GPR56.
LSC17_WEIGHTS: Final = MappingProxyType(
    {
        "DNMT3B": 0.0874,
        "ZBTB46": -0.0347,
        "NYNRIN": 0.00865,
        "ARHGAP22": -0.0138,
        "LAPTM4B": 0.00582,
        "MMRN1": 0.0258,
        "DPYSL3": 0.0284,
        "FAM30A": 0.0196,
        "CDK6": -0.0704,
        "CPXM1": -0.0258,
        "SOCS2": 0.0271,
        "SMIM24": -0.0226,
        "EMP1": 0.0146,
        "BEX3": 0.0465,
        "CD34": 0.0338,
        "AKR1C3": -0.0402,
        "ADGRG1": 0.0501,
    }
)

# Each score is the mean over its genes.
MEAN_SIGNATURES: Final = MappingProxyType(
    {
        # Ayers et al., J Clin Invest 127:2930 (2017), doi:10.1172/JCI91190.
        IFNG: ("IDO1", "CXCL10", "CXCL9", "HLA-DRA", "STAT1", "IFNG"),
        # The cytotoxic T lymphocyte level of Jiang et al., Nat Med 24:1550 (2018),
        # doi:10.1038/s41591-018-0136-1.
        CTL: ("CD8A", "CD8B", "GZMA", "GZMB", "PRF1"),
    }
)
# Of the genes of such a score.
LEAST_SHARE: Final = 0.5


def lsc17_weights(
    genes: Sequence[str] | np.ndarray,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """
    Return the LSC17 weight of each gene and the signature genes that were not found.

    Genes are matched by name through old symbols, aliases and Ensembl ids. Where several genes
    stand for one of the signature, they share its weight.

    Parameters
    ----------
    genes
        Gene names.
    """
    return _weights(genes, LSC17_WEIGHTS)


def mean_weights(
    name: str, genes: Sequence[str] | np.ndarray
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """
    Return weights whose sum is the mean over the found genes of a signature, and the missing genes.

    Parameters
    ----------
    name
        One of ``MEAN_SIGNATURES``.
    genes
        Gene names.
    """
    weights, missing = _weights(genes, dict.fromkeys(MEAN_SIGNATURES[name], 1.0))
    return weights / max(1, len(MEAN_SIGNATURES[name]) - len(missing)), missing


def too_few(name: str, missing: Sequence[str]) -> str | None:
    """Say what is missing where less than half of a mean's genes are there, else ``None``."""
    n_genes = len(MEAN_SIGNATURES[name])
    n_found = n_genes - len(missing)
    if n_found >= LEAST_SHARE * n_genes:
        return None
    return f"{n_found} of its {n_genes} genes; missing: {', '.join(missing)}"


def _weights(
    genes: Sequence[str] | np.ndarray, published: Mapping[str, float]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    alignment = align_genes(genes, published)
    coefficient = np.array(list(published.values()))
    weights = np.zeros(alignment.n_query)
    shared = coefficient / np.maximum(alignment.multiplicity, 1)
    weights[alignment.source] = shared[alignment.target]
    return weights, alignment.missing


def fit_mean_expression(sample: Sample, name: str) -> FittedBaseline:
    """
    Fit a logistic curve to the mean of log1p CP10k over all genes.

    Whether more expression speaks for or against the positive class is learned here.

    Parameters
    ----------
    sample
        Training rows and inner folds.
    name
        Name of the baseline.
    """
    n_genes = sample.X.shape[1]
    return _fit_score(sample, np.full(n_genes, 1.0 / n_genes), name, {})


def fit_lsc17(
    sample: Sample,
    name: str,
    genes: Sequence[str] | np.ndarray,
) -> FittedBaseline:
    """
    Fit a logistic curve to the LSC17 score: published weights times log1p CP10k.

    Parameters
    ----------
    sample
        Training rows and inner folds.
    name
        Name of the baseline.
    genes
        Name of each column.

    Raises
    ------
    ValueError
        When none of the 17 genes is there.
    """
    weights, missing = lsc17_weights(genes)
    n_found = len(LSC17_WEIGHTS) - len(missing)
    if not n_found:
        msg = problem(
            "at least one of the 17 genes of LSC17", "none", "Leave the baseline 'lsc17' out."
        )
        raise ValueError(msg)
    details = {"n_found": n_found, "missing": ", ".join(missing)}
    return _fit_score(sample, weights, name, details)


def fit_mean_signature(
    sample: Sample,
    name: str,
    genes: Sequence[str] | np.ndarray,
) -> FittedBaseline:
    """
    Fit a logistic curve to the mean of log1p CP10k over the genes of a signature.

    Genes that are missing are left out of the mean. Whether more of it speaks for or against the
    positive class is learned here.

    Parameters
    ----------
    sample
        Training rows and inner folds.
    name
        One of ``MEAN_SIGNATURES``.
    genes
        Name of each column.

    Raises
    ------
    ValueError
        When less than half of its genes are there, with those that are missing.
    """
    weights, missing = mean_weights(name, genes)
    lack = too_few(name, missing)
    if lack:
        msg = problem(
            f"at least {LEAST_SHARE:.0%} of the genes of {name!r}",
            lack,
            f"Leave the baseline {name!r} out.",
        )
        raise ValueError(msg)
    details = {
        "n_found": len(MEAN_SIGNATURES[name]) - len(missing),
        "missing": ", ".join(missing),
    }
    return _fit_score(sample, weights, name, details)


def _fit_score(
    sample: Sample,
    weights: NDArray[np.float64],
    name: str,
    details: dict[str, object],
) -> FittedBaseline:
    score = np.asarray(sample.X @ weights, dtype=np.float64).ravel()
    is_positive, out_of_fold = sample.is_positive, np.zeros(sample.n)
    for train, test in sample.folds:
        slope, bias = _curve(score[train], is_positive[train])
        out_of_fold[test] = slope * score[test] + bias
    slope, bias = _curve(score[sample.whole], is_positive[sample.whole])
    return FittedBaseline(
        name,
        lambda new: slope * np.asarray(new @ weights, dtype=np.float64).ravel() + bias,
        out_of_fold,
        {**details, "slope": slope},
    )


def _curve(score: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of a logistic curve in one variable."""
    mean, sd = float(score.mean()), float(score.std()) or 1.0
    # The default penalty on a standardised variable is next to none, but keeps a perfect split
    # from sending the slope to infinity.
    model = LogisticRegression().fit(((score - mean) / sd)[:, None], is_positive)
    slope = float(model.coef_[0, 0]) / sd
    return slope, float(model.intercept_[0]) - slope * mean
