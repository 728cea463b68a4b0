"""Relate each gene to survival, within studies, counting how many were tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from dtp_scvi._constants import GENE_SURVIVAL_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._optional import require
from dtp_scvi._validate import check_positive_int, near_matches, problem, shorten
from dtp_scvi.data import gene_names
from dtp_scvi.tl._enrichment_expression import LogExpression
from dtp_scvi.tl._enrichment_null import false_discovery
from dtp_scvi.tl._survival_cox import EXTRA, SCORE, fit_cox, per_sd, proportional_test
from dtp_scvi.tl._survival_input import check_patients, read_patients

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROW: Final = "row of the table"
_NUMBERS: Final = ["hazard_ratio", "low", "high", "p", "p_proportional"]
_COLUMNS: Final = ["gene", *_NUMBERS, "q", "sd", "n", "n_events", "tested", "reason"]


@docs.dedent
def gene_survival(
    adata: AnnData,
    *,
    time_key: str = "time",
    event_key: str = "event",
    strata: str | Sequence[str] = (),
    genes: Sequence[str] | None = None,
    patient_key: str | None = None,
    layer: str | None = None,
    gene_key: str | None = None,
    scale: str = "auto",
    min_events: int = 10,
) -> pd.DataFrame:
    """Fit a Cox model for each gene, stratified by study, with the false discovery rate.

    Each gene stands alone in its model, per standard deviation of its log expression over the
    patients. An association is no effect, and genes of one programme are found together.

    Needs lifelines: ``pip install 'dtp-scvi[survival]'``.

    Parameters
    ----------
    %(adata)s
    time_key
        Column of ``obs`` with the time to event or loss, at least 0, in any unit.
    event_key
        Column of ``obs``: 1 or true where the event was seen.
    strata
        Column, or columns, of ``obs`` whose combinations have a baseline hazard of their own, such
        as the study: patients are compared with those of their stratum only.
    genes
        Names to test; by default all. All that were tried count in ``q``, so that a list chosen by
        these data does not belong here.
    patient_key
        As in :func:`dtp_scvi.tl.survival`: expression is averaged by patient where it is named.
    %(layer)s
    %(gene_key)s
    %(scale)s
    min_events
        Fewest events of patients that can be compared, at least 1.

    Returns
    -------
    One row a gene, by rising p: ``gene``; ``hazard_ratio`` a standard deviation, with ``low`` and
    ``high`` (95 %%, Wald) and ``p``; ``p_proportional``, Schoenfeld residuals against the rank of
    the event time; ``q``, Benjamini-Hochberg over the genes tested; ``sd`` of the log expression;
    ``n``, ``n_events``; ``tested`` and ``reason`` where it was not. Above 1, **more** of the gene
    goes with earlier events. ``attrs["dtp_gene_survival"]`` says what was done (``params``).

    Raises
    ------
    ImportError
        When lifelines is missing.
    KeyError
        When a column or a gene is missing.
    ValueError
        When times, events or expression are unfit, or there are too few patients or events.

    Warns
    -----
    UserWarning
        When q < 0.05 for genes whose hazards are not proportional (p < 0.05), and for rows left
        out.

    Notes
    -----
    Counts become log1p of 10,000 x / total, other linear values log1p(x), and logarithms are taken
    as they are. A table of *negative* logarithms (as one published panel is) turns every hazard
    ratio around: :func:`dtp_scvi.datasets.read_amu` undoes that.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> bulk = dtp.datasets.simulate_cohort(100)
    >>> table = dtp.tl.gene_survival(bulk, genes=bulk.var_names[:5])
    >>> table.shape, bool((table["q"] >= table["p"]).all())
    ((5, 12), True)
    """
    require("lifelines", EXTRA)
    check_positive_int(min_events, "min_events")
    strata = [strata] if isinstance(strata, str) else list(strata)
    names, values = _expression(adata, genes, layer, gene_key, scale)
    labels = [f"{_ROW} {i}" for i in range(len(names))]
    obs = pd.concat([adata.obs, pd.DataFrame(values, adata.obs.index, labels)], axis=1)
    obs[_ROW] = np.arange(float(len(obs)))
    patients = read_patients(
        AnnData(obs=obs),
        time_key=time_key,
        event_key=event_key,
        score_key=_ROW,
        covariates=labels,
        strata=strata,
        patient_key=patient_key,
    )
    check_patients(patients, _ROW, event_key)
    base = patients.frame[["time", "event"]]
    n_events = _comparable_events(base, patients.strata)
    if n_events < min_events:
        found = f"{n_events:,} of {patients.n_events:,} events"
        todo = "Add patients, drop `strata`, or lower `min_events`."
        msg = problem(f"{min_events:,} events that can be compared", found, todo)
        raise ValueError(msg)
    rows = [
        {"gene": name, "sd": float(column.std(ddof=1)), **_fit(base, column, patients.strata)}
        for name, (_, column) in zip(names, patients.covariates.items(), strict=True)
    ]
    table = pd.DataFrame(rows).assign(n=len(base), n_events=n_events)
    table["tested"] = table["reason"] == ""
    if not table["tested"].any():
        msg = problem(
            "a gene that can be tested", str(table["reason"].iloc[0]), "Check the values."
        )
        raise ValueError(msg)
    table["q"] = false_discovery(table["p"].to_numpy(dtype=np.float64))
    _warn_changing(table)
    table = table[_COLUMNS].sort_values(["p", "gene"], kind="stable").reset_index(drop=True)
    params = {"time_key": time_key, "event_key": event_key, "strata": strata}
    table.attrs[GENE_SURVIVAL_KEY] = {"params": {**params, "n_tested": int(table["tested"].sum())}}
    return table


def _expression(
    adata: AnnData,
    genes: Sequence[str] | None,
    layer: str | None,
    gene_key: str | None,
    scale: str,
) -> tuple[list[str], np.ndarray]:
    """Log expression of the genes asked for, (n_obs, n_genes)."""
    expression = LogExpression(adata, layer, scale)
    names = gene_names(adata, gene_key).tolist()
    matrix = sp.vstack([block for _, block in expression.blocks()], format="csc")
    if genes is None:
        return names, matrix.toarray()
    if isinstance(genes, str):
        msg = problem("`genes` as a list", repr(genes), f"Pass [{genes!r}].")
        raise TypeError(msg)
    place = {name: i for i, name in enumerate(names)}
    for name in genes:
        if name not in place:
            msg = problem("`genes` to name genes of adata", repr(name), near_matches(name, names))
            raise KeyError(msg)
    return list(genes), matrix[:, [place[name] for name in genes]].toarray()


def _comparable_events(base: pd.DataFrame, strata: pd.DataFrame) -> int:
    """Events with somebody else of their stratum at risk."""
    keys = strata.agg("|".join, axis=1) if strata.shape[1] else pd.Series("", index=base.index)
    at_risk = base["time"].groupby(keys).rank(method="max", ascending=False)
    return int(((base["event"] == 1) & (at_risk > 1)).sum())


def _fit(base: pd.DataFrame, values: pd.Series, strata: pd.DataFrame) -> dict[str, Any]:
    """Fit one gene, or say why not."""
    nothing: dict[str, Any] = dict.fromkeys(_NUMBERS, np.nan)
    if np.ptp(values.to_numpy()) <= 1e-9 * max(1.0, float(values.abs().max())):
        return {**nothing, "reason": "the same value in all patients"}
    table = base.assign(**{SCORE: per_sd(values)})
    try:
        fitter, doubt = fit_cox(table, strata)
    except ValueError as error:
        return {**nothing, "reason": str(error)}
    if doubt:
        return {**nothing, "reason": f"lifelines doubts the fit: {doubt}"}
    ends = np.exp(fitter.confidence_intervals_.loc[SCORE].to_numpy())
    return {
        "hazard_ratio": float(np.exp(fitter.params_[SCORE])),
        "low": float(ends[0]),
        "high": float(ends[1]),
        "p": float(fitter.summary.loc[SCORE, "p"]),
        "p_proportional": proportional_test(fitter, table, strata)[1],
        "reason": "",
    }


def _warn_changing(table: pd.DataFrame) -> None:
    odd = table.loc[(table["q"] < 0.05) & (table["p_proportional"] < 0.05), "gene"]
    if len(odd):
        warn(
            f"The hazard ratio of {len(odd):,} genes with q < 0.05 changes over time "
            f"({shorten(odd)}): it is a mean over the follow-up."
        )
