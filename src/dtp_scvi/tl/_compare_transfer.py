"""Models of drug sensitivity beside linear comparators, on cells whose response is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import (
    PREVALENCE,
    RESISTANT,
    RESPONSE_KEY,
    SIMULATION_KEY,
    TRANSFER_COMPARISON_KEY,
)
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_one_of, check_positive_int
from dtp_scvi.stats import RULES, bootstrap_metrics, macro_f1_interval
from dtp_scvi.tl._compare_transfer_input import Side, read_transfer
from dtp_scvi.tl._compare_transfer_linear import linear_comparators
from dtp_scvi.tl._compare_transfer_models import given_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import ArrayLike

    from dtp_scvi.model import ExpressionClassifier
    from dtp_scvi.tl._compare_transfer_input import Transfer
    from dtp_scvi.tl._compare_transfer_linear import Scored

_METRICS: Final = ("auroc", "auprc", "macro_f1", "mcc")
_CALLS: Final = ("macro_f1", "mcc")
# Rules that need no further number.
_RULES: Final = tuple(rule for rule in RULES if rule in ("mcc", "f1", "youden"))


@docs.dedent
def compare_transfer(
    bulk: AnnData,
    cells: AnnData,
    *,
    drug: str | None = None,
    labels_key: str = RESPONSE_KEY,
    truth_key: str = RESPONSE_KEY,
    positive: str = RESISTANT,
    models: Mapping[str, ExpressionClassifier | pd.DataFrame | ArrayLike] | None = None,
    reference: str | None = None,
    sample_key: str | None = None,
    layer: str | None = None,
    gene_key: str | None = None,
    scale: str = "auto",
    bulk_layer: str | None = None,
    bulk_gene_key: str | None = None,
    bulk_scale: str = "auto",
    rule: str = "mcc",
    n_boot: int = 1000,
    key_added: str = TRANSFER_COMPARISON_KEY,
    seed: int | None = 0,
) -> pd.DataFrame:
    """
    Try models trained on bulk lines on cells of known response, beside comparators.

    Logistic regression and ridge are fitted on the genes that lines and cells share and applied
    to cells as they are (``_none``), with the means and deviations of the lines (``_adain``) and
    with their covariance as well (``_coral``). Penalty and threshold are chosen on lines by
    cross-validation; labels of cells are used for the table and for nothing else.

    Parameters
    ----------
    bulk
        Lines in rows, with labels.
    cells
        Cells in rows, with their true response; the result is written into it.
    drug
        Column of ``bulk.obsm[labels_key]``, as :func:`dtp_scvi.datasets.read_gdsc` makes it;
        ``None`` takes ``bulk.obs[labels_key]``. Lines without a label are left out.
    labels_key
        Where the labels of lines are.
    truth_key
        Column of ``cells.obs`` with the true response, of two classes.
    positive
        Name of the positive class in both. Check which way round a file is: many say 1 where a
        cell is sensitive.
    models
        Name -> a fitted model with this positive class, adapted or not; or what
        :meth:`dtp_scvi.model.DrugSensitivity.predict` returned, for several adaptations of one
        model; or one score a cell that rises with the positive class. Scores have no threshold, so
        no MCC and no macro-F1.
    reference
        Name of the row that is compared with each other one, paired on the same resamples.
    sample_key
        Column of ``cells.obs`` with samples or donors that intervals draw whole. ``None`` draws single
        cells, which is optimistic where those of a sample resemble one another.
    layer, gene_key, scale
        Where the expression of cells is. ``"auto"`` takes log1p of counts per 10,000 of what is
        linear, and all else as it is; models are given it as it stands.
    bulk_layer, bulk_gene_key, bulk_scale
        The same for lines.
    rule
        ``"mcc"``, ``"f1"`` or ``"youden"``: what the threshold of comparators maximises on
        held-out lines. Models come with their own.
    n_boot
        Resamples of cells.
    key_added
        Key of ``cells.uns`` and, with ``"_scores"`` behind it, of ``cells.obsm``.
    %(seed)s

    Returns
    -------
    Columns ``model``, ``metric`` (``auroc``, ``auprc``, ``macro_f1``, ``mcc``), ``value``, ``low``,
    ``high``. ``prevalence`` is the row of a constant: AUROC 0.5, AUPRC the share of positive
    cells, macro-F1 of the better constant call. Intervals are of the cells at hand: training
    lines are not drawn again. Written are

    ``cells.uns["dtp_drug_transfer"]``
        ``metrics`` (the table), ``differences`` (with ``reference``), ``chosen`` (penalty,
        AUROC on held-out lines and threshold of comparators), ``params``.
    ``cells.obsm["dtp_drug_transfer_scores"]``
        Score of every cell by every row of the table.

    Raises
    ------
    KeyError
        When a key, or the drug, is missing.
    ValueError
        When labels have one class, no gene is shared, cells are fewer than ten, a score does
        not fit, or a model has another positive class.

    Notes
    -----
    Adaptation sees the cells, unlabelled, so it is transductive: names are listed in
    ``params["transductive"]``. It also moves the mean of the cells onto that of the lines
    whatever the shares of classes: where these differ, thresholds from lines are off.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> lines, cells = dtp.datasets.simulate_drug_transfer(100, 80, n_genes=60)
    >>> table = dtp.tl.compare_transfer(lines, cells, drug="simulated drug", n_boot=50)
    >>> list(dict.fromkeys(table["model"]))[:3]
    ['logistic_regression_none', 'logistic_regression_adain', 'logistic_regression_coral']
    """
    check_one_of(rule, _RULES, "rule")
    check_positive_int(n_boot, "n_boot")
    data = read_transfer(
        Side(bulk, "lines", bulk_layer, bulk_gene_key, bulk_scale),
        Side(cells, "cells", layer, gene_key, scale),
        drug=drug,
        labels_key=labels_key,
        truth_key=truth_key,
        positive=positive,
    )
    groups = None if sample_key is None else text_column(cells.obs, sample_key, "sample_key")
    scored, chosen = linear_comparators(data, rule, seed)
    options: dict[str, Any] = {"layer": layer, "gene_key": gene_key, "scale": scale}
    given = given_scores(models or {}, cells, positive, set(scored) | {PREVALENCE}, options)
    scored = {**given, **scored}
    if reference is not None:
        check_one_of(reference, list(scored), "reference")
    table, differences = _evaluate(scored, data, groups, n_boot, seed, reference)
    params: dict[str, Any] = {
        "drug": drug or "",
        "positive": positive,
        "prevalence": float(data.truth.mean()),
        "bulk_prevalence": float(data.resistant.mean()),
        "n_cells": len(data.truth),
        "n_lines": len(data.resistant),
        "n_genes": len(data.genes),
        "n_samples": 0 if groups is None else len(np.unique(groups)),
        "bulk_scale": data.scales[0],
        "scale": data.scales[1],
        "rule": rule,
        "n_boot": n_boot,
        "models": np.array(list(given), dtype=object),
        "transductive": np.array([n for n, one in scored.items() if one.transductive], object),
        "reference": reference or "",
        "seed": -1 if seed is None else seed,
        "simulated": SIMULATION_KEY in cells.uns or SIMULATION_KEY in bulk.uns,
    }
    cells.uns[key_added] = {
        "metrics": _storable(table),
        "differences": _storable(differences),
        "chosen": chosen,
        "params": params,
    }
    cells.obsm[f"{key_added}_scores"] = pd.DataFrame(
        {name: one.score for name, one in scored.items()}, index=cells.obs_names
    )
    return table


def _evaluate(
    scored: dict[str, Scored],
    data: Transfer,
    groups: np.ndarray | None,
    n_boot: int,
    seed: int | None,
    reference: str | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of all models on the same resamples, and of a constant."""
    # One seed for both calls, so that all metrics rest on the same resamples.
    used = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    called = {name: one.probability >= one.threshold for name, one in scored.items()}
    metrics, differences = bootstrap_metrics(
        data.truth,
        {name: one.score for name, one in scored.items()},
        {name: one.probability for name, one in scored.items()},
        {name: np.nan_to_num(one.threshold) for name, one in scored.items()},
        groups,
        n_boot=n_boot,
        seed=used,
        reference=reference,
    )
    lines = [
        (name, "macro_f1", *macro_f1_interval(data.truth, calls, groups, n_boot=n_boot, seed=used))
        for name, calls in called.items()
    ]
    columns = ["model", "metric", "value", "low", "high"]
    table = pd.concat([metrics[columns], pd.DataFrame(lines, columns=columns)])
    table = table[table["metric"].isin(_METRICS)]
    uncut = [name for name, one in scored.items() if np.isnan(one.threshold)]
    no_calls = table["model"].isin(uncut) & table["metric"].isin(_CALLS)
    table.loc[no_calls, ["value", "low", "high"]] = np.nan
    share = float(data.truth.mean())
    constant = {
        "auroc": 0.5,
        "auprc": share,
        "macro_f1": max(share / (1 + share), (1 - share) / (2 - share)),
        "mcc": 0.0,
    }
    line = [(PREVALENCE, name, value, value, value) for name, value in constant.items()]
    table = pd.concat([table, pd.DataFrame(line, columns=columns)])
    order = {name: place for place, name in enumerate([*scored, PREVALENCE])}
    place = table["model"].map(order) * 10 + table["metric"].map(_METRICS.index)
    table = table.iloc[np.argsort(place.to_numpy(), kind="stable")].reset_index(drop=True)
    if len(differences):
        keep = differences["metric"].isin(_METRICS)
        keep &= ~differences["metric"].isin(_CALLS) | ~(
            differences["model"].isin(uncut) | differences["baseline"].isin(uncut)
        )
        differences = differences[keep].reset_index(drop=True)
    return table, differences


def _storable(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index(table.index.astype(str))
