"""A simulated dependency screen with genes planted as selective."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.special import expit

from dtp_scvi import __version__
from dtp_scvi._constants import SIMULATION_KEY
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.datasets._genes import choose_genes
from dtp_scvi.datasets._truth import fixed_seed

DISEASE: Final = "Acute Myeloid Leukemia"
_LINEAGE: Final = "Myeloid"
# Sizes of lineages are as unequal as in collections of lines.
_OTHERS: Final = (
    ("Lung", "Non-Small Cell Lung Cancer", 12),
    ("Bowel", "Colorectal Adenocarcinoma", 7),
    ("Skin", "Melanoma", 7),
    ("CNS/Brain", "Diffuse Glioma", 6),
    ("Breast", "Invasive Breast Carcinoma", 6),
    ("Lymphoid", "B-Cell Acute Lymphoblastic Leukemia", 6),
    ("Pancreas", "Pancreatic Adenocarcinoma", 5),
    ("Ovary/Fallopian Tube", "Ovarian Epithelial Tumor", 5),
    ("Kidney", "Renal Cell Carcinoma", 3),
    ("Bone", "Ewing Sarcoma", 3),
)
_SAME_LINEAGE: Final = ("Myeloproliferative Neoplasms", 3)


def simulate_dependencies(
    n_genes: int = 400,
    *,
    n_disease: int = 24,
    n_selective: int = 20,
    n_common: int = 60,
    effect: float = -0.6,
    lineage_sd: float = 0.08,
    seed: int | None = 0,
) -> AnnData:
    """
    Simulate a CRISPR screen of cell lines in which some genes matter to one disease only.

    Effects of a gene are a level of its own, a shift of the line's lineage, and noise; common
    essential genes lie near -1, selective ones are shifted by ``effect`` in the disease. Levels
    go with expression: genes that are not expressed have none.

    Parameters
    ----------
    n_genes
        Number of genes.
    n_disease
        Number of lines of ``"Acute Myeloid Leukemia"``; there are 60 lines of ten other lineages
        and 3 of another disease of the same lineage beside them.
    n_selective
        Number of genes that matter to that disease only.
    n_common
        Number of genes that all lines depend on.
    effect
        Mean shift of selective genes in the disease; negative is a dependency.
    lineage_sd
        Standard deviation of a gene's shifts between lineages, at least 0.
    seed
        Seed of the simulation; ``None`` draws one and records it.

    Returns
    -------
    Lines x genes, float32: ``X`` the gene effect, ``layers["dependency"]`` the probability of
    dependency, ``layers["expression"]`` log1p(TPM); ``obs`` with ``disease`` and ``lineage``;
    ``var`` with ``true_role`` (``"selective"``, ``"common"`` or ``"other"``) and
    ``true_difference``; ``uns["dtp_simulation"]``. Pass it to
    :func:`dtp_scvi.tl.essentiality` as it is.

    Raises
    ------
    ValueError
        When a number is out of range, or the roles need more genes than there are.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> screen = dtp.datasets.simulate_dependencies(100, n_selective=5, n_common=10)
    >>> screen.shape, screen.var["true_role"].value_counts().to_dict()
    ((87, 100), {'other': 85, 'common': 10, 'selective': 5})
    """
    _check(n_genes, n_disease, n_selective, n_common)
    check_range(lineage_sd, "lineage_sd", 0.0)
    check_range(effect, "effect", -5.0, 5.0)
    used = fixed_seed(seed)
    rng = np.random.default_rng(used)
    obs = _lines(n_disease)
    role = np.repeat(
        ["selective", "common", "other"], [n_selective, n_common, n_genes - n_selective - n_common]
    )
    role = rng.permutation(role)
    shift = np.where(role == "selective", effect * rng.uniform(0.7, 1.3, n_genes), 0.0)
    expressed = np.where(
        role == "other", rng.gamma(1.2, 1.5, n_genes), rng.gamma(6.0, 0.7, n_genes)
    )
    level = np.where(role == "common", rng.normal(-1.0, 0.15, n_genes), -0.04 * expressed)
    codes, lineages = pd.factorize(obs["lineage"])
    drift = rng.normal(0, lineage_sd, (len(lineages), n_genes))
    # The disease's own lineage does not drift, so that the planted difference is the true one.
    drift[lineages.get_loc(_LINEAGE)] = 0.0
    is_disease = (obs["disease"] == DISEASE).to_numpy()
    noise = rng.normal(0, rng.uniform(0.12, 0.25, n_genes), (len(obs), n_genes))
    values = level + drift[codes] + np.outer(is_disease, shift) + noise
    expression = np.maximum(expressed + rng.normal(0, 0.3, (len(obs), n_genes)), 0)
    symbols = choose_genes(n_genes)
    var = pd.DataFrame({"true_role": role, "true_difference": shift}, index=pd.Index(symbols))
    return AnnData(
        values.astype(np.float32),
        obs=obs,
        var=var,
        layers={
            "dependency": expit(-8 * (values + 0.5)).astype(np.float32),
            "expression": expression.astype(np.float32),
        },
        uns={
            SIMULATION_KEY: {
                "simulated": True,
                "generator": "dtp_scvi.datasets.simulate_dependencies",
                "version": __version__,
                "seed": used,
            }
        },
    )


def _check(n_genes: int, n_disease: int, n_selective: int, n_common: int) -> None:
    for value, name in ((n_genes, "n_genes"), (n_disease, "n_disease")):
        check_positive_int(value, name)
    for number, name in ((n_selective, "n_selective"), (n_common, "n_common")):
        check_range(number, name, 0)
    if n_selective + n_common > n_genes:
        msg = problem(
            "`n_genes` of at least `n_selective` + `n_common`", f"{n_genes:,}", "Raise `n_genes`."
        )
        raise ValueError(msg)


def _lines(n_disease: int) -> pd.DataFrame:
    rows = [(_LINEAGE, DISEASE)] * n_disease
    rows += [(_LINEAGE, _SAME_LINEAGE[0])] * _SAME_LINEAGE[1]
    rows += [(lineage, disease) for lineage, disease, n in _OTHERS for _ in range(n)]
    names = [f"ACH-{900001 + i}" for i in range(len(rows))]
    return pd.DataFrame(rows, columns=["lineage", "disease"], index=pd.Index(names, name="model"))
