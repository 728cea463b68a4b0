"""The comparators of perturbation models, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dtp_scvi._constants import (
    ADDITIVE,
    BILINEAR,
    CELL_CONTROL_MEAN,
    CELL_MEAN_DELTA,
    COPY_CONTROL,
    DRUG_FREE_MLP,
    DRUG_MEAN_DELTA,
    MEAN_DELTA,
    PERTURBATION_RIDGE,
    TANIMOTO_KNN,
)
from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.train._perturbation_knn import fit_tanimoto_knn
from dtp_scvi.train._perturbation_linear import fit_additive, fit_bilinear, fit_ridge
from dtp_scvi.train._perturbation_means import (
    Predict,
    fit_cell_control_mean,
    fit_cell_mean_delta,
    fit_copy_control,
    fit_drug_mean_delta,
    fit_mean_delta,
)
from dtp_scvi.train._perturbation_mlp import fit_drug_free_mlp

if TYPE_CHECKING:
    from dtp_scvi.train._perturbation_rows import PerturbationRows

PERTURBATION_BASELINES: Final = (
    COPY_CONTROL,
    CELL_CONTROL_MEAN,
    MEAN_DELTA,
    CELL_MEAN_DELTA,
    DRUG_MEAN_DELTA,
    ADDITIVE,
    PERTURBATION_RIDGE,
    TANIMOTO_KNN,
    DRUG_FREE_MLP,
    BILINEAR,
)
# Without fingerprints these have nothing that tells one unseen drug from another.
NEED_STRUCTURES: Final = (PERTURBATION_RIDGE, TANIMOTO_KNN, BILINEAR)


def fit_perturbation_baseline(
    name: str,
    train: PerturbationRows,
    valid: PerturbationRows,
    everyone: PerturbationRows,
    *,
    seed: int,
) -> tuple[Predict, dict[str, Any]]:
    """
    Fit one comparator and return how it predicts a change, and what was chosen.

    Parameters
    ----------
    name
        One of ``PERTURBATION_BASELINES``.
    train, valid
        Treated rows to fit on, and those that choose hyperparameters; the latter may be empty.
    everyone
        All treated rows without their change: the controls of cell lines that are not trained on.
    seed
        Seed of components and of the network.

    Raises
    ------
    ValueError
        An unknown name, or no fingerprints where the baseline needs them.
    """
    check_one_of(name, PERTURBATION_BASELINES, "name")
    if name in NEED_STRUCTURES and train.bits is None:
        msg = problem(
            f"fingerprints of drugs for {name!r}", "none", "Run dtp.pp.encode_drugs(adata) first."
        )
        raise ValueError(msg)
    plain: dict[str, Any] = {
        COPY_CONTROL: fit_copy_control,
        CELL_CONTROL_MEAN: lambda: fit_cell_control_mean(everyone),
        MEAN_DELTA: lambda: fit_mean_delta(train),
        CELL_MEAN_DELTA: lambda: fit_cell_mean_delta(train),
        DRUG_MEAN_DELTA: lambda: fit_drug_mean_delta(train),
    }
    if name in plain:
        return plain[name](), {}
    chosen: dict[str, Any] = {
        ADDITIVE: lambda: fit_additive(train, valid),
        PERTURBATION_RIDGE: lambda: fit_ridge(train, valid, seed),
        TANIMOTO_KNN: lambda: fit_tanimoto_knn(train, valid),
        DRUG_FREE_MLP: lambda: fit_drug_free_mlp(train, valid, seed),
        BILINEAR: lambda: fit_bilinear(train, seed),
    }
    return chosen[name]()
