"""Correlate a score with measured drug response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import (
    COHORT_KEY,
    DRUG_AUC_KEY,
    DRUG_RESPONSE_KEY,
    KEY_ADDED,
    RESEARCH_USE,
    SCORE_SUFFIX,
    SIMULATION_KEY,
)
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, check_positive_int, check_range, problem
from dtp_scvi.stats import within_drug_rank
from dtp_scvi.tl._drug_controls import check_controls, run_controls
from dtp_scvi.tl._drug_covariates import number_column
from dtp_scvi.tl._drug_guards import as_table, check_provenance, speak
from dtp_scvi.tl._drug_input import (
    DIRECTIONS,
    Direction,
    collect,
    eligible,
    response_table,
)
from dtp_scvi.tl._drug_pooled import pool
from dtp_scvi.tl._drug_table import Draws, drug_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from dtp_scvi.tl._drug_controls import Controls
    from dtp_scvi.tl._drug_input import Patients

# Below it Student's t and tertiles mean nothing.
_LEAST_PATIENTS = 15


@docs.dedent
def drug_response(
    adata: AnnData,
    *,
    score_key: str = KEY_ADDED + SCORE_SUFFIX,
    auc_key: str = DRUG_AUC_KEY,
    patient_key: str | None = None,
    covariates: Sequence[str] = (),
    direction: Direction = "higher_is_resistant",
    min_patients: int = 50,
    controls: Controls = (),
    auc_range: tuple[float, float] | None = None,
    guards: Literal["raise", "warn"] = "raise",
    n_boot: int = 1000,
    n_permutations: int = 1000,
    seed: int | None = 0,
    key_added: str = DRUG_RESPONSE_KEY,
    verbose: bool = False,
) -> pd.DataFrame:
    """Correlate a score with ex-vivo drug response, drug by drug and over all drugs.

    All numbers rest on ranks, except those of the mixed model. A positive one says: the higher
    the score, the more resistant. Before anything is computed, guards ask whether the response
    looks measured and the score independent of it.

    Over all drugs, a patient counts once: pairs of patient and drug are not independent, and the
    correlation over pairs is given only to be seen beside the others, marked as not valid.

    Parameters
    ----------
    %(adata)s
    score_key
        Numeric column of ``adata.obs``. Ranks decide, so ``dtp_score``, ``dtp_logit`` and
        ``dtp_rank`` give one answer until probabilities saturate: take ``dtp_logit`` then.
    auc_key
        Table in ``adata.obsm``, rows x drugs, NaN where not measured.
    patient_key
        Column of ``adata.obs`` with the patient of each row; rows of a patient are averaged.
        By default ``adata.obs["patient"]`` where it is there, otherwise each row is a patient.
    covariates
        Columns of ``adata.obs`` to hold fixed, numbers or categories.
    direction
        What a high value in the table means: ``"higher_is_resistant"`` (area under the viability
        curve) or ``"higher_is_sensitive"`` (drug sensitivity score).
    min_patients
        Drugs with fewer scored patients are listed, not tested; at least 15.
    controls
        Names of negative controls, or a mapping of names to options: ``"random_panels"``
        (mean z-score of random genes; options ``panel_size``, to be given, ``n_panels``,
        ``layer``, and ``rescore``, a function of ``adata`` and a list of genes that returns a
        number per row), ``"permuted"`` (patients change places), ``"library_size"`` (option
        ``layer``), and columns of ``adata.obs``, such as a blast percentage.
    auc_range
        Least and largest value of the source's scale, e.g. ``(0, 300)``; by default what a reader
        wrote to ``adata.uns["dtp_cohort"]`` (``auc_low``, ``auc_high``), otherwise unknown.
    guards
        ``"raise"``, or ``"warn"`` to go on where a guard finds an error; it is recorded.
    n_boot
        Resamples of patients behind each interval.
    n_permutations
        Permutations of patients behind the p over all drugs.
    %(seed)s
    key_added
        Key of ``adata.uns`` under which the result is written.
    %(verbose)s

    Returns
    -------
    One drug a row, tested ones first, by falling ``rho``:

    ``drug``, ``n``, ``n_missing``, ``tested``, ``reason``
        Patients with score and response; scored ones without response; why a drug was not tested.
    ``rho``, ``low``, ``high``, ``p``, ``q``
        Spearman's correlation, 95 % BCa interval over patients, p, and Benjamini-Hochberg's
        false discovery rate over all drugs tested.
    ``partial_n``, ``partial_rho``, ``partial_low``, ``partial_high``, ``partial_p``, ``partial_q``
        The same given ``covariates``, in patients who have all of them; NaN without any.
    ``auroc``, ``auroc_low``, ``auroc_high``
        Of the score for the most resistant against the least resistant third.
    ``rho_other_drugs``
        Correlation of the score with the patient's mean rank over the *other* drugs tested.
    ``specific_n``, ``specific_rho``, ``specific_low``, ``specific_high``, ``specific_p``, ``specific_q``
        What remains of ``rho`` given that mean: an effect on this drug, not on drugs in general.

    Written to ``adata.uns["dtp_drug_response"]``: this table as ``"table"``; ``"pooled"``, one
    estimator a row (``within_drug``, the mean of the drugs' correlations; ``mean_rank``, with the
    patient's mean rank; ``meta_analysis``; ``mixed_model``; ``naive_pairs``, not valid) with
    value, low, high, p, counts, unit, valid and note; ``"meta_analysis"`` and ``"mixed_model"``
    with all of their numbers; ``"controls"`` with ``table``, ``values`` and ``drugs``, empty
    without ``controls``; ``"guards"``; ``"patients"`` (score and mean rank) and ``"response"``, averaged per
    patient; ``"params"``.

    Raises
    ------
    ValueError
        When a guard finds an error, the score is constant, a covariate determines the score, no
        drug has enough patients, or an argument is out of range.
    TypeError
        When scores or responses are not numbers.
    KeyError
        When a key is missing.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(1000, 200)
    >>> bulk = dtp.datasets.simulate_cohort(120, cells=cells, n_drugs=4)
    >>> table = dtp.tl.drug_response(
    ...     bulk, score_key="true_persister_fraction", n_boot=100, n_permutations=100
    ... )
    >>> bool(table["rho"].iloc[0] > 0.3)
    True
    >>> pooled = bulk.uns["dtp_drug_response"]["pooled"]
    >>> pooled["estimator"].iloc[0], pooled["valid"].iloc[-1].item()
    ('within_drug', False)
    """
    _check_arguments(direction, min_patients, guards, n_boot, n_permutations, auc_range)
    _check_direction(adata, direction)
    wanted = check_controls(controls, adata)
    patients = collect(adata, score_key, auc_key, patient_key, covariates, direction)
    tested = eligible(patients.resistance, min_patients)
    span = _range_of(adata, auc_range)
    simulated = SIMULATION_KEY in adata.uns
    findings = check_provenance(
        number_column(adata.obs, score_key, "score_key"),
        response_table(adata, auc_key),
        adata.obs_names,
        span,
        simulated=simulated,
    )
    speak(findings, raises=guards == "raise")
    draws = Draws(n_boot, seed)
    table = drug_table(patients, tested, min_patients, draws, verbose=verbose)
    resistance = patients.resistance.loc[:, tested]
    pooled, details, main = pool(patients, resistance, draws, n_permutations)
    found: dict[str, pd.DataFrame] = {}
    if wanted:
        found = run_controls(adata, patients, resistance, main, wanted, draws, verbose=verbose)
    adata.uns[key_added] = {
        "table": table,
        "pooled": pooled,
        **details,
        "controls": found,
        "guards": as_table(findings),
        **_per_patient(patients, resistance),
        "params": {
            "score_key": score_key,
            "auc_key": auc_key,
            "patient_key": patients.patient_key,
            "covariates": np.array(list(covariates), dtype=object),
            "direction": direction,
            "min_patients": min_patients,
            "auc_range": np.array([] if span is None else span, dtype=np.float64),
            "guards": guards,
            "n_boot": n_boot,
            "n_permutations": n_permutations,
            "seed": -1 if seed is None else seed,
            "n_rows": patients.n_rows,
            "n_unscored": adata.n_obs - patients.n_rows,
            "n_patients": len(patients.names),
            "simulated": simulated,
            "version": __version__,
            "research_use": RESEARCH_USE,
        },
    }
    return table.copy()


def _check_arguments(
    direction: str,
    min_patients: int,
    guards: str,
    n_boot: int,
    n_permutations: int,
    auc_range: tuple[float, float] | None,
) -> None:
    check_one_of(direction, DIRECTIONS, "direction")
    check_one_of(guards, ("raise", "warn"), "guards")
    check_positive_int(min_patients, "min_patients")
    check_range(min_patients, "min_patients", low=_LEAST_PATIENTS)
    check_positive_int(n_boot, "n_boot")
    check_positive_int(n_permutations, "n_permutations")
    if auc_range is not None and not (len(auc_range) == 2 and auc_range[0] < auc_range[1]):
        msg = problem("`auc_range` as (least, largest)", repr(auc_range), "Swap or mend them.")
        raise ValueError(msg)


def _range_of(adata: AnnData, auc_range: tuple[float, float] | None) -> tuple[float, float] | None:
    """The source's scale as given, or as a reader wrote it down."""
    if auc_range is not None:
        return float(auc_range[0]), float(auc_range[1])
    known = adata.uns.get(COHORT_KEY, {})
    if "auc_low" not in known or "auc_high" not in known:
        return None
    return float(known["auc_low"]), float(known["auc_high"])


def _check_direction(adata: AnnData, direction: str) -> None:
    """Raise where a reader wrote down the other direction."""
    known = str(adata.uns.get(COHORT_KEY, {}).get("direction", direction))
    if known in DIRECTIONS and known != direction:
        msg = problem(
            f"`direction` as in adata.uns[{COHORT_KEY!r}], {known!r}",
            repr(direction),
            "Pass that one, or correct the record of the cohort.",
        )
        raise ValueError(msg)


def _per_patient(patients: Patients, resistance: pd.DataFrame) -> dict[str, Any]:
    """What the figures draw."""
    names = patients.names.astype(str)
    table = pd.DataFrame(
        {
            "score": patients.score,
            "mean_rank": within_drug_rank(resistance.to_numpy()),
            "n_drugs": np.count_nonzero(resistance.notna(), axis=1),
        },
        index=names,
    )
    return {"patients": table, "response": patients.response.set_axis(names)}
