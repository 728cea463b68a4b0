"""What a score without any claim reaches on the same drugs and patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse

from dtp_scvi._constants import COUNTS_LAYER, TARGET_SUM
from dtp_scvi._logging import progress
from dtp_scvi._validate import check_one_of, check_positive_int, problem
from dtp_scvi.data import LINEARISE, Scale, detect_scale, get_matrix, scale_kind
from dtp_scvi.stats import DrugRanks, pooled_rank_correlation
from dtp_scvi.tl._drug_covariates import number_column
from dtp_scvi.tl._drug_input import named

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray

    from dtp_scvi.stats import PooledRank
    from dtp_scvi.tl._drug_input import Patients
    from dtp_scvi.tl._drug_table import Draws

Controls = Sequence[str] | Mapping[str, Mapping[str, Any]]
Rescore = Callable[["AnnData", list[str]], "ArrayLike"]

PANELS: Final = "random_panels"
PERMUTED: Final = "permuted"
LIBRARY: Final = "library_size"
KNOWN: Final = (PANELS, PERMUTED, LIBRARY)
_OPTIONS: Final = {PANELS: {"panel_size", "n_panels", "layer", "rescore"}, LIBRARY: {"layer"}}
_COLUMNS: Final = ["control", "kind", "n", "observed", "value", "low", "high", "rank", "p"]


def check_controls(controls: Controls, adata: AnnData) -> dict[str, dict[str, Any]]:
    """Return the options of each control; an unknown control or option is an error."""
    if isinstance(controls, str):
        msg = problem("`controls` as a list", repr(controls), f"Pass [{controls!r}].")
        raise TypeError(msg)
    given = controls if isinstance(controls, Mapping) else {name: {} for name in controls}
    named(list(given), adata.obs, KNOWN)
    for name, options in given.items():
        for option in options:
            check_one_of(option, _OPTIONS.get(name, ()), f"controls[{name!r}]")
    found = {str(name): dict(options) for name, options in given.items()}
    if PANELS in found:
        found[PANELS] = {"n_panels": 200, "layer": None, "rescore": None, **found[PANELS]}
        check_positive_int(found[PANELS]["n_panels"], "n_panels")
        _check_size(found[PANELS], adata)
    return found


def run_controls(
    adata: AnnData,
    patients: Patients,
    resistance: pd.DataFrame,
    main: PooledRank,
    wanted: Mapping[str, Mapping[str, Any]],
    draws: Draws,
    *,
    verbose: bool,
) -> dict[str, pd.DataFrame]:
    """
    Pool each control over the drugs as the score is.

    Returns
    -------
    ``table``: control, kind (``"null"`` where many were drawn, else ``"single"``), n, observed
    (the score in the same patients), value (median of many), low, high (the middle 95 % of many,
    else the interval), rank of the observed value by its size among them (1: none is as far from
    0) and p; ``values``: one pooled value a row; ``drugs``: for each drug how many of the control
    are as far from 0 as the score.
    """
    rows, values, by_drug = [], [], []
    for name, options in wanted.items():
        if name in (PANELS, PERMUTED):
            null, drug_null = _null(
                name, adata, patients, resistance, options, main, draws, verbose=verbose
            )
            rows.append(_null_row(name, main.rho, null))
            if drug_null is not None:
                by_drug.append(_per_drug(name, resistance, main, drug_null))
        else:
            control = _single(name, adata, patients, options)
            rows.append(_single_row(name, patients, resistance, control, draws))
            null = np.array([rows[-1]["value"]])
        values.append(pd.DataFrame({"control": name, "value": null}))
    empty = pd.DataFrame({"drug": [], "control": [], "n": [], "observed": [], "share_as_far": []})
    return {
        "table": pd.DataFrame(rows, columns=_COLUMNS),
        "values": pd.concat(values, ignore_index=True),
        "drugs": pd.concat(by_drug, ignore_index=True) if by_drug else empty,
    }


def _check_size(options: dict[str, Any], adata: AnnData) -> None:
    if "panel_size" not in options:
        msg = problem(
            "the number of genes of the score's own panel",
            "none",
            'Pass controls={"random_panels": {"panel_size": ...}}.',
        )
        raise ValueError(msg)
    check_positive_int(options["panel_size"], "panel_size")
    if options["panel_size"] > adata.n_vars // 2:
        msg = problem(
            f"`panel_size` of at most half of the {adata.n_vars:,} genes",
            f"{options['panel_size']:,}",
            "Larger panels overlap so much that they are no draws; pass an object with all genes.",
        )
        raise ValueError(msg)


def _null(
    name: str,
    adata: AnnData,
    patients: Patients,
    resistance: pd.DataFrame,
    options: Mapping[str, Any],
    main: PooledRank,
    draws: Draws,
    *,
    verbose: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Pooled values of a control that is drawn many times, and those within each drug."""
    if name == PERMUTED:
        return main.null, None
    ranks = DrugRanks(resistance.to_numpy())
    panels = _panels(adata, patients, options, draws.seed, verbose=verbose)
    found = np.array([ranks.rho(score) for score in panels])
    weight = np.where(np.isnan(found), 0.0, ranks.n)
    return (np.nan_to_num(found) * weight).sum(axis=1) / weight.sum(axis=1), found


def _panels(
    adata: AnnData,
    patients: Patients,
    options: Mapping[str, Any],
    seed: int | None,
    *,
    verbose: bool,
) -> list[NDArray[np.float64]]:
    """Score each patient by random genes: mean z-score, or what ``rescore`` makes of them."""
    rng = np.random.default_rng(seed)
    rescore: Rescore | None = options["rescore"]
    usable = np.arange(adata.n_vars)
    if rescore is None:
        z = _standardised(adata, patients, options["layer"])
        usable = np.flatnonzero(z.any(axis=0))
    size, scores = int(options["panel_size"]), []
    if size > len(usable):
        msg = problem(f"{size:,} genes that vary", f"{len(usable):,}", "Lower `panel_size`.")
        raise ValueError(msg)
    with progress(options["n_panels"], "Random panels", verbose=verbose, unit="panels") as bar:
        for _ in range(options["n_panels"]):
            genes = rng.choice(usable, size, replace=False)
            if rescore is None:
                scores.append(z[:, genes].mean(axis=1))
            else:
                scores.append(_rescored(adata, patients, rescore, genes))
            bar.update()
    return scores


def _rescored(
    adata: AnnData, patients: Patients, rescore: Rescore, genes: NDArray[np.intp]
) -> NDArray[np.float64]:
    found = np.asarray(rescore(adata, [str(g) for g in adata.var_names[genes]]), dtype=np.float64)
    if found.shape != (adata.n_obs,):
        msg = problem(
            f"`rescore` to return {adata.n_obs:,} numbers, one per row",
            f"shape {found.shape}",
            "Return one score per row of adata.",
        )
        raise ValueError(msg)
    score = patients.average(found)
    if np.isnan(score).any():
        msg = problem("`rescore` to score every patient", "missing scores", "Return numbers.")
        raise ValueError(msg)
    return score


def _standardised(adata: AnnData, patients: Patients, layer: str | None) -> NDArray[np.float64]:
    """Z-scores over patients of log expression, (patients, genes); 0 for a constant gene."""
    matrix = get_matrix(adata, layer)
    matrix = matrix if sparse.issparse(matrix) else np.asarray(matrix, dtype=np.float64)
    scale = detect_scale(matrix).scale
    if scale in LINEARISE and scale_kind(scale) == "linear":
        total = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)
        by_row = sparse.diags_array(TARGET_SUM / total)
        matrix = (by_row @ sparse.csr_array(matrix)).log1p()
    kept = np.flatnonzero(patients.codes >= 0)
    codes = patients.codes[kept]
    share = 1 / np.bincount(codes)[codes]
    average = sparse.csr_array((share, (codes, kept)), shape=(len(patients.names), adata.n_obs))
    found = average @ matrix
    means = np.asarray(found.toarray() if sparse.issparse(found) else found, dtype=np.float64)
    spread = means.std(axis=0)
    # Rounding leaves a constant gene a spread that is not quite 0.
    constant = spread <= 1e-9 * np.maximum(np.abs(means).max(axis=0), 1.0)
    z = (means - means.mean(axis=0)) / np.where(constant, 1.0, spread)
    z[:, constant] = 0.0
    return z


def _single(
    name: str, adata: AnnData, patients: Patients, options: Mapping[str, Any]
) -> NDArray[np.float64]:
    """One number per patient: a column of ``obs`` or the library size."""
    if name != LIBRARY or name in adata.obs:
        return patients.average(number_column(adata.obs, name, "controls"))
    layer = options.get("layer", COUNTS_LAYER if COUNTS_LAYER in adata.layers else None)
    matrix = get_matrix(adata, layer)
    found = detect_scale(matrix if sparse.issparse(matrix) else np.asarray(matrix)).scale
    if found not in (Scale.COUNTS, Scale.CORRECTED_COUNTS):
        msg = problem(
            "counts, for the library size",
            f"{found} in {'adata.X' if layer is None else f'layer {layer!r}'}",
            'Pass controls={"library_size": {"layer": "counts"}}, or a column of adata.obs.',
        )
        raise ValueError(msg)
    return patients.average(np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel())


def _null_row(name: str, observed: float, null: NDArray[np.float64]) -> dict[str, Any]:
    low, middle, high = np.quantile(null, [0.025, 0.5, 0.975])
    as_far = int(np.count_nonzero(np.abs(null) >= abs(observed) - 1e-12))
    return {
        "control": name,
        "kind": "null",
        "n": len(null),
        "observed": observed,
        "value": float(middle),
        "low": float(low),
        "high": float(high),
        "rank": 1 + as_far,
        "p": (1 + as_far) / (1 + len(null)),
    }


def _single_row(
    name: str,
    patients: Patients,
    resistance: pd.DataFrame,
    control: NDArray[np.float64],
    draws: Draws,
) -> dict[str, Any]:
    kept = ~np.isnan(control)
    values = resistance.to_numpy()[kept]
    enough = np.count_nonzero(~np.isnan(values), axis=0) >= 4
    if not enough.any() or len(np.unique(control[kept])) < 2:
        msg = problem(
            f"control {name!r} to vary over patients with drug response",
            f"{int(kept.sum())} values",
            "Leave it out of `controls`.",
        )
        raise ValueError(msg)
    found = pooled_rank_correlation(
        control[kept], values[:, enough], n_permutations=draws.n_boot, **draws.arguments()
    )
    observed = DrugRanks(values[:, enough]).pooled(patients.score[kept])
    return {
        "control": name,
        "kind": "single",
        "n": 1,
        "observed": observed,
        "value": found.rho,
        "low": found.low,
        "high": found.high,
        "rank": 1 + int(abs(found.rho) >= abs(observed)),
        # Of the control itself: one value is no distribution to place the score in.
        "p": found.p,
    }


def _per_drug(
    name: str, resistance: pd.DataFrame, main: PooledRank, null: NDArray[np.float64]
) -> pd.DataFrame:
    far = np.abs(null) >= np.abs(main.drug_rho) - 1e-12
    return pd.DataFrame(
        {
            "drug": resistance.columns.astype(str),
            "control": name,
            "n": len(null),
            "observed": main.drug_rho,
            "share_as_far": far.mean(axis=0),
        }
    )
