"""Predictions of models, of tables that are matched by row name, and of baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi._constants import DRUGS_KEY
from dtp_scvi._validate import check_one_of, near_matches, problem, shorten
from dtp_scvi.data import rows_as_array
from dtp_scvi.model import PerturbationBaseline
from dtp_scvi.tl._perturbation_ablation import ablated
from dtp_scvi.train import NEED_STRUCTURES, PERTURBATION_BASELINES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.tl._perturbation_part import Part
    from dtp_scvi.train import PerturbationKeys


@dataclass(frozen=True)
class Predictor:
    """Something that has predictions for the rows of a part."""

    name: str
    kind: str
    source: Any
    ablation: str | None = None


def named_models(models: Any) -> list[Predictor]:
    """Return the caller's models and predictions by name."""
    if not isinstance(models, Mapping):
        name = type(models).__name__ if hasattr(models, "predict") else "predictions"
        models = {name: models}
    return [Predictor(str(name), "model", source) for name, source in models.items()]


def with_ablations(predictors: Sequence[Predictor], how: Sequence[str]) -> list[Predictor]:
    """Put behind each model that predicts the same one with changed drugs."""
    out = []
    for one in predictors:
        out.append(one)
        if hasattr(one.source, "predict"):
            out += [Predictor(f"{one.name}, drugs {h}", "ablation", one.source, h) for h in how]
    return out


def fitted_baselines(
    baselines: str | Sequence[str] | None, adata: AnnData, split_key: str, **options: Any
) -> tuple[list[Predictor], dict[str, str]]:
    """Fit the baselines asked for; with ``"all"`` those that the data allow, and why not others."""
    if baselines is None:
        return [], {}
    if isinstance(baselines, str):
        check_one_of(baselines, ("all",), "baselines")
    names = PERTURBATION_BASELINES if isinstance(baselines, str) else tuple(baselines)
    notes: dict[str, str] = {}
    if isinstance(baselines, str) and adata.uns.get(DRUGS_KEY, {}).get("bits") is None:
        notes = dict.fromkeys(NEED_STRUCTURES, "left out: no fingerprints; run pp.encode_drugs")
    fitted = [
        Predictor(
            name, "baseline", PerturbationBaseline(name, **options).fit(adata, split_key=split_key)
        )
        for name in names
        if name not in notes
    ]
    return fitted, notes


def predicted_profiles(
    one: Predictor,
    adata: AnnData,
    part: Part,
    keys: PerturbationKeys,
    *,
    values: str,
    smiles_key: str | None,
    seed: int | None,
) -> NDArray[np.float64]:
    """Return treated profiles for the rows of a part, whatever the source gives."""
    source = one.source
    if hasattr(source, "predict"):
        rows = adata[part.rows]
        rows = rows.to_memory() if adata.isbacked else rows.copy()
        if one.ablation is not None:
            rows = ablated(source, rows, one.ablation, keys, smiles_key=smiles_key, seed=seed)
        change = _of_model(source.predict(rows, return_delta=True), rows, one.name)
        return part.control + change
    if isinstance(source, str):
        found = _of_key(adata, source, part)
    elif isinstance(source, AnnData):
        found = _of_frame(source.to_df(), adata, part, one.name)
    elif isinstance(source, pd.DataFrame):
        found = _of_frame(source, adata, part, one.name)
    elif isinstance(source, Mapping):
        frame = pd.DataFrame.from_dict(dict(source), orient="index", columns=adata.var_names)
        found = _of_frame(frame, adata, part, one.name)
    else:
        msg = problem(
            f"predictions of {one.name!r} that name their rows",
            type(source).__name__,
            "Pass a DataFrame indexed by row names, a key of adata.layers, or a fitted model; an "
            "array says nothing of its order.",
        )
        raise TypeError(msg)
    return _finite(part.control + found if values == "delta" else found, one.name)


def _of_model(change: Any, rows: AnnData, name: str) -> NDArray[np.float64]:
    if isinstance(change, pd.DataFrame):
        change = _match(change, rows.obs_names, rows.var_names, name)
    array = np.asarray(change, np.float64)
    if array.shape != rows.shape:
        msg = problem(
            f"{name!r} to predict {rows.shape}",
            f"{array.shape}",
            "One row a row, one column a gene.",
        )
        raise ValueError(msg)
    return _finite(array, name)


def _of_key(adata: AnnData, key: str, part: Part) -> NDArray[np.float64]:
    if key in adata.obsm and np.shape(adata.obsm[key]) == adata.shape:
        return np.asarray(adata.obsm[key][part.rows], np.float64)
    return rows_as_array(adata, key, part.rows).astype(np.float64)


def _of_frame(frame: pd.DataFrame, adata: AnnData, part: Part, name: str) -> NDArray[np.float64]:
    found = _match(frame, adata.obs_names[part.rows], adata.var_names, name)
    return found.to_numpy(np.float64)


def _match(frame: pd.DataFrame, rows: pd.Index, genes: pd.Index, name: str) -> pd.DataFrame:
    for have, need, what in ((frame.index, rows, "rows"), (frame.columns, genes, "genes")):
        if not have.is_unique:
            msg = problem(f"{what} of {name!r} once each", "repeated names", "Drop the copies.")
            raise ValueError(msg)
        missing = need.difference(have)
        if len(missing):
            msg = problem(
                f"predictions of {name!r} for all {len(need):,} {what}",
                f"none for {len(missing):,}: {shorten(missing)}",
                near_matches(str(missing[0]), have[:1000]),
            )
            raise ValueError(msg)
    return frame.loc[rows, genes]


def _finite(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        msg = problem(f"finite predictions of {name!r}", f"{bad:,} NaN or infinite", "Mend them.")
        raise ValueError(msg)
    return values
