"""Models of treated profiles beside every baseline, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import EVALUATION_KEY, SIMULATION_KEY, SPLIT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, check_positive_int
from dtp_scvi.data import check_object
from dtp_scvi.tl._perturbation_ablation import ABLATIONS
from dtp_scvi.tl._perturbation_deg import marker_genes, marker_row
from dtp_scvi.tl._perturbation_metrics import FAMILIES, Resampling, ceiling_rows, metric_rows
from dtp_scvi.tl._perturbation_part import (
    CONTROLS,
    INDEPENDENT,
    OWN,
    check_groupings,
    find_parts,
    read_part,
)
from dtp_scvi.tl._perturbation_predictions import (
    Predictor,
    fitted_baselines,
    named_models,
    predicted_profiles,
    with_ablations,
)
from dtp_scvi.tl._perturbation_rival import NO_MARGIN, Margin, margins
from dtp_scvi.train import perturbation_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from dtp_scvi.tl._perturbation_metrics import Row
    from dtp_scvi.tl._perturbation_part import Part
    from dtp_scvi.train import PerturbationKeys

_COLUMNS = ("metric", "grouping", "control", "value", "low", "high", "n_groups", "n_constant")
_CEILING = "replicate_ceiling"


@docs.dedent
def evaluate_perturbation(
    models: Any,
    adata: AnnData,
    *,
    split_key: str = SPLIT_KEY,
    parts: Sequence[str] | None = None,
    groupby: Sequence[str] | None = None,
    controls: Sequence[str] = (OWN, INDEPENDENT),
    metrics: Sequence[str] | None = None,
    baselines: Literal["all"] | Sequence[str] | None = "all",
    ablations: Sequence[str] = ABLATIONS,
    values: Literal["post", "delta"] = "post",
    drug_key: str | None = None,
    cell_key: str | None = None,
    dose_key: str | None = None,
    time_key: str | None = None,
    smiles_key: str | None = None,
    bootstrap: Literal["drug", "cell"] = "drug",
    n_boot: int = 500,
    seed: int = 0,
    key_added: str = EVALUATION_KEY,
) -> pd.DataFrame:
    """
    Evaluate perturbation models against independent controls, beside all baselines.

    Parameters
    ----------
    models
        A fitted model with ``predict(adata, return_delta=True)``, which returns changes against
        ``obsm["dtp_control"]``; predictions; or a mapping of names to these. Predictions name their rows: a DataFrame of rows x genes, an AnnData, a mapping
        of row names to profiles, or a key of ``adata.layers`` or ``adata.obsm``. An empty mapping
        evaluates the baselines alone.
    adata
        Data with the controls of :func:`dtp_scvi.pp.pair_controls` and a split, in memory or backed.
    split_key
        Column of ``adata.obs`` with parts ``train``, ``valid`` and those to evaluate.
    parts
        Parts to evaluate; ``None`` takes all whose name begins with ``test``.
    groupby
        Rows are averaged within ``drug``, ``drug_dose``, ``cov_drug`` (cell line and drug),
        ``cov_drug_dose``, or not (``per_sample``). ``None``: all that the columns allow.
    controls
        What changes are taken against. ``own``: truth and prediction against the input control,
        whose noise they share. ``independent``: truth against the scoring control, prediction against
        the input control. ``scoring``: both against the scoring control, whose noise is shared.
    metrics
        Families: ``r2``, ``pearson_delta``, ``pearson_centred``, ``spearman_delta``, ``error``,
        ``gene_r2``, ``precision``, ``retrieval``, ``mmd``, ``deg``; ``None`` takes all.
    baselines
        Names of :class:`dtp_scvi.model.PerturbationBaseline`; ``"all"`` takes those that the data
        allow, ``None`` none.
    ablations
        Predict again with drugs ``zeroed`` or ``shuffled``, for models that predict: the column of
        drugs is set to the control label, or each drug's name is replaced by another's of the part.
        A model with a method ``ablate_drugs(adata, how, seed)`` makes these rows itself. Nothing is
        trained again.
    values
        Whether predictions that are no model are profiles or changes.
    drug_key, cell_key
        Columns of ``adata.obs``; ``None`` takes those of the pairing.
    dose_key, time_key, smiles_key
        Columns with doses (µM), times (hours) and SMILES; ``None``: not used.
    bootstrap
        What is resampled for intervals: drugs or cell lines.
    n_boot
        Number of resamples.
    %(seed)s
    key_added
        Key of ``adata.uns``.

    Returns
    -------
    One row a part, model, metric, grouping and control, with ``kind`` (``model``, ``ablation``,
    ``baseline``, ``ceiling``), ``value``, ``low`` and ``high`` (95 %), ``n_groups`` and
    ``n_constant``, constant predictions, whose correlation counts as 0. Rows of models and ablations
    have ``difference``, their value minus that of ``best_baseline``, the baseline that is best by
    this very metric, with ``difference_low`` and ``difference_high`` by paired resampling (NaN where a
    metric is no mean over groups); of errors and ranks, below 0 is better. Models are ordered by
    ``pearson_delta`` of single rows against independent controls, the best one first.
    ``adata.uns["dtp_evaluation"]`` gets ``"table"``, ``"notes"`` (baselines left out) and
    ``"params"``.

    Raises
    ------
    TypeError, KeyError, ValueError
        No paired controls, no such column or part, predictions without row names, for other rows,
        or not finite; an unknown option.

    Notes
    -----
    ``retrieval`` ranks are 0 at best and 0.5 by chance: ``discrimination_l1`` as in the Virtual Cell
    Challenge, ``centroid_rank`` (Systema), ``retrieval_rank`` (PerturBench), each among the drugs of
    a cell line. ``pearson_centred`` takes the mean treated training profile of the cell line off
    truth and prediction. ``deg_across_cells`` needs three cell lines with replicates. Where a
    condition has replicates, ``replicate_ceiling`` says what noise leaves possible.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> drug = ["DMSO"] * 4 + list("abcd") * 3
    >>> part = ["control"] * 4 + ["train", "train", "valid", "test"] * 3
    >>> obs = pd.DataFrame({"drug": drug, "split": part}, index=[f"well {i}" for i in range(16)])
    >>> wells = ad.AnnData(np.random.default_rng(0).normal(8, 1, (16, 30)).astype("f4"), obs)
    >>> dtp.pp.pair_controls(wells, drug_key="drug", control_label="DMSO")
    >>> table = dtp.tl.evaluate_perturbation({}, wells, metrics=["r2"], groupby=["per_sample"])
    >>> sorted(table["model"])[:3]
    ['additive', 'cell_control_mean', 'cell_mean_delta']
    """
    check_object(adata)
    check_one_of(values, ("post", "delta"), "values")
    check_one_of(bootstrap, ("drug", "cell"), "bootstrap")
    check_positive_int(n_boot, "n_boot")
    families = FAMILIES if metrics is None else tuple(metrics)
    for given, allowed, argument in (
        (families, FAMILIES, "metrics"),
        (controls, CONTROLS, "controls"),
        (ablations, ABLATIONS, "ablations"),
    ):
        for name in given:
            check_one_of(name, allowed, argument)
    keys = perturbation_keys(adata, drug=drug_key, cell=cell_key, dose=dose_key, time=time_key)
    columns = {"drug_key": drug_key, "cell_key": cell_key, "dose_key": dose_key}
    fitted, notes = fitted_baselines(
        baselines, adata, split_key, seed=seed, time_key=time_key, **columns
    )
    predictors = [*with_ablations(named_models(models), ablations), *fitted]
    how = Resampling(bootstrap, n_boot, seed)
    options = {"values": values, "smiles_key": smiles_key, "seed": seed}
    groupings = check_groupings(groupby, keys)
    tables = []
    for name in find_parts(adata, split_key, parts):
        part = read_part(adata, name, keys, split_key, groupings)
        tables.append(_part_table(part, adata, keys, predictors, controls, families, how, options))
    table = pd.concat(tables, ignore_index=True)
    params = {
        "split_key": split_key,
        "controls": list(controls),
        "bootstrap": bootstrap,
        "n_boot": n_boot,
        "seed": seed,
        "simulated": SIMULATION_KEY in adata.uns,
        "version": __version__,
        **{k: v for k, v in vars(keys).items() if v is not None},
    }
    stored = table.set_axis(table.index.astype(str), axis=0)
    adata.uns[key_added] = {"table": stored, "notes": notes, "params": params}
    return table


def _part_table(
    part: Part,
    adata: AnnData,
    keys: PerturbationKeys,
    predictors: Sequence[Predictor],
    controls: Sequence[str],
    families: Sequence[str],
    how: Resampling,
    options: dict[str, Any],
) -> pd.DataFrame:
    genes = marker_genes(adata, part, keys) if "deg" in families else {}
    found: list[tuple[str, str, list[Row]]] = []
    for one in predictors:
        predicted = predicted_profiles(one, adata, part, keys, **options)
        measured = [*metric_rows(part, predicted, controls, families, how)]
        if genes:
            measured.append(marker_row(part, predicted, genes, how))
        found.append((one.name, one.kind, measured))
    if "pearson_delta" in families:
        found.append((_CEILING, "ceiling", [*ceiling_rows(part, how)]))
    baselines = [(name, measured) for name, kind, measured in found if kind == "baseline"]
    rows = []
    for name, kind, measured in found:
        compared = kind in ("model", "ablation")
        beside = margins(measured, baselines, how) if compared else [NO_MARGIN] * len(measured)
        rows += [
            (part.name, name, kind, *row[: len(_COLUMNS)], *margin)
            for row, margin in zip(measured, beside, strict=True)
        ]
    return _best_first(
        pd.DataFrame(rows, columns=["part", "model", "kind", *_COLUMNS, *Margin._fields])
    )


def _best_first(table: pd.DataFrame) -> pd.DataFrame:
    main = table[
        (table["metric"] == "pearson_delta")
        & (table["grouping"] == "per_sample")
        & (table["kind"] != "ceiling")
    ]
    for control in (INDEPENDENT, *CONTROLS):
        here = main[main["control"] == control].set_index("model")["value"]
        if len(here):
            # What noise allows stands at the end, and so does what was not measured.
            place = (-here).rank(method="first").reindex(table["model"]).fillna(len(here) + 1)
            return table.iloc[place.to_numpy().argsort(kind="stable")].reset_index(drop=True)
    return table
