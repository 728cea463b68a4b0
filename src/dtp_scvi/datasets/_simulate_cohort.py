"""A simulated bulk cohort mixed from simulated cells."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import COUNTS_LAYER, SIMULATION_KEY
from dtp_scvi._validate import check_one_of, check_positive_int, check_range, problem
from dtp_scvi.datasets._bulk import draw_bulk_counts, log2_tpm, mean_profiles, mix
from dtp_scvi.datasets._patients import draw_clinical, draw_drug_auc, draw_mixtures, drug_table
from dtp_scvi.datasets._simulate_cells import simulate_cells
from dtp_scvi.datasets._truth import fixed_seed

_N_CELLS = 3000
_N_GENES = 2000
_MIN_PATIENTS = 10


def simulate_cohort(
    n_patients: int = 200,
    *,
    cells: AnnData | None = None,
    n_genes: int | None = None,
    n_drugs: int = 12,
    drug_effect: float = 1.0,
    confounder_effect: float = 1.0,
    hazard_ratio: float = 1.8,
    censoring: float = 0.4,
    missing: float = 0.35,
    clinical_missing: float = 0.08,
    library_size: float = 1e7,
    patient_sd: float = 0.25,
    scale: Literal["counts", "log2_tpm"] = "counts",
    seed: int | None = 0,
) -> AnnData:
    """Simulate bulk samples whose drug response and survival follow a hidden cell fraction.

    Each sample is a mixture of the mean profiles of simulated cells by cell type and state:
    blasts (stem-like, progenitor, monocytic; a part of each drug tolerant) and other cells. The
    share of drug-tolerant cells drives drug response and survival. Blast percentage and
    monocytic state go with that share and act on the drugs as well, so they confound it.

    Parameters
    ----------
    n_patients
        Number of patients, one sample each, at least 10.
    cells
        Result of :func:`~dtp_scvi.datasets.simulate_cells` to mix; it isn't changed. By default
        3,000 new cells of its default biology are simulated with ``seed``.
    n_genes
        Number of genes where ``cells`` is not given; by default 2,000.
    n_drugs
        Number of drugs: of every four, two are affected by the persister fraction, one only by
        the confounders, and one by neither.
    drug_effect
        Mean effect of one standard deviation of the logit persister fraction on an affected
        drug, in units of the noise of the drug's response; at least 0.
    confounder_effect
        Factor on the effects of blast percentage and monocytic state; at least 0.
    hazard_ratio
        Hazard ratio of one standard deviation of the logit persister fraction; above 0.
    censoring
        Share of patients alive at last follow-up, from 0 to 0.95.
    missing
        Mean share of missing drug measurements, from 0 to 0.95; it varies over drugs.
    clinical_missing
        Share of missing values in each clinical column, from 0 to 0.95.
    library_size
        Typical total count of a sample.
    patient_sd
        Standard deviation of the log factor of a gene in a patient; at least 0.
    scale
        ``"counts"``, or ``"log2_tpm"`` for log2(TPM + 1). Genes have no length here, so TPM are
        counts per million.
    seed
        Seed. The same arguments and seed give the same object. ``None`` draws a seed, which is
        recorded.

    Returns
    -------
    Annotated data, ``n_patients`` x genes, with

    ``X``
        Counts or log2(TPM + 1), dense float32; counts also in ``layers["counts"]``.
    ``obs``
        ``"patient"``; ``"blast_percentage"`` (0-100), ``"monocytic_score"``, ``"age"`` (years),
        ``"sex"``, ``"time"`` (days) and ``"event"`` (1 died, 0 censored), with missing
        values; ``"true_persister_fraction"`` (of all cells of the sample), ``"true_blast_fraction"``
        and ``"true_monocytic_share"`` (of blasts), from 0 to 1.
    ``var``
        As in ``cells``.
    ``obsm["drug_auc"]``
        Table of patients x drugs: area under the viability curve, 0-300, **higher is more
        resistant**, missing where not measured.
    ``uns["dtp_simulation"]``
        ``"simulated"`` (true), ``"generator"``, ``"version"``, ``"seed"``, ``"parameters"``,
        ``"drug_effects"`` (a drug a row: ``"role"``, ``"persister_effect"``, ``"blast_effect"``,
        ``"monocytic_effect"``, ``"baseline"``), ``"cells_seed"`` and
        ``"cells_biology_seed"``.

    Raises
    ------
    ValueError
        If an argument is out of its range, if both ``cells`` and ``n_genes`` are given, or if
        ``cells`` are not simulated, or hold fewer than 5 cells of a type and state to mix.

    Notes
    -----
    A mean over cells keeps the linear part of the planted label and averages out most of the
    interactions, so scores separate bulk samples less well than cells.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(1000, 300)
    >>> bulk = dtp.datasets.simulate_cohort(50, cells=cells, n_drugs=4)
    >>> bulk.shape
    (50, 300)
    >>> bulk.obsm["drug_auc"].shape
    (50, 4)
    """
    parameters = {k: v for k, v in locals().items() if k not in {"seed", "cells"}}
    _check(parameters, has_cells=cells is not None)
    seed = fixed_seed(seed)
    rng = np.random.default_rng(seed)
    if cells is None:
        cells = simulate_cells(_N_CELLS, n_genes or _N_GENES, seed=seed)
    profiles = mean_profiles(cells)
    mixtures = draw_mixtures(n_patients, rng)
    drugs = drug_table(n_drugs, drug_effect, confounder_effect, rng)
    auc = draw_drug_auc(mixtures, drugs, missing, rng)
    obs = draw_clinical(
        mixtures,
        hazard_ratio=hazard_ratio,
        censoring=censoring,
        missing=clinical_missing,
        rng=rng,
    )
    width = len(str(n_patients))
    obs.index = pd.Index([f"patient_{i:0{width}d}" for i in range(1, n_patients + 1)])
    obs.insert(0, "patient", obs.index.to_numpy())
    obs["true_persister_fraction"] = mixtures.persister_fraction
    obs["true_blast_fraction"] = mixtures.blast_shares.sum(axis=1)
    obs["true_monocytic_share"] = mixtures.monocytic_share
    counts = draw_bulk_counts(mix(profiles, mixtures), library_size, patient_sd, rng)
    truth = cells.uns[SIMULATION_KEY]
    record = {
        "simulated": True,
        "generator": "dtp_scvi.datasets.simulate_cohort",
        "version": __version__,
        "seed": seed,
        "parameters": {k: v for k, v in parameters.items() if v is not None},
        "drug_effects": drugs,
        "cells_seed": int(truth["seed"]),
        "cells_biology_seed": int(truth["parameters"]["biology_seed"]),
    }
    return AnnData(
        counts if scale == "counts" else log2_tpm(counts),
        obs=obs,
        var=cells.var.copy(),
        obsm={"drug_auc": pd.DataFrame(auc, index=obs.index, columns=list(drugs.index))},
        layers={COUNTS_LAYER: counts.copy()} if scale == "counts" else None,
        uns={SIMULATION_KEY: record},
    )


def _check(parameters: dict[str, Any], *, has_cells: bool) -> None:
    """Raise ``ValueError`` unless all arguments are in range."""
    check_positive_int(parameters["n_patients"], "n_patients")
    check_positive_int(parameters["n_drugs"], "n_drugs")
    check_range(parameters["n_patients"], "n_patients", low=_MIN_PATIENTS)
    for name in ("drug_effect", "confounder_effect", "patient_sd"):
        check_range(parameters[name], name, low=0.0)
    for name in ("hazard_ratio", "library_size"):
        check_range(parameters[name], name, low=0.0, inclusive=False)
    for name in ("censoring", "missing", "clinical_missing"):
        check_range(parameters[name], name, 0.0, 0.95)
    check_one_of(parameters["scale"], ("counts", "log2_tpm"), "scale")
    if has_cells and parameters["n_genes"] is not None:
        msg = problem(
            "either `cells` or `n_genes`", "both", "Leave out `n_genes`; the cells have genes."
        )
        raise ValueError(msg)
