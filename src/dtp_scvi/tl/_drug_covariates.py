"""Numbers and covariates of patients, averaged over their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from dtp_scvi._labels import label_text
from dtp_scvi._validate import check_key, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Above it the part of the score that is left is mostly rounding and ties.
_COLLINEAR: Final = 0.99


def mean_by(values: NDArray[np.float64], codes: NDArray[np.intp], n: int) -> NDArray[np.float64]:
    """Mean over the rows of each of ``n`` patients, over what is not missing."""
    kept = (codes >= 0) & ~np.isnan(values)
    count = np.bincount(codes[kept], minlength=n)
    total = np.bincount(codes[kept], values[kept], minlength=n)
    return np.divide(total, count, out=np.full(n, np.nan), where=count > 0)


def number_column(obs: pd.DataFrame, key: str, argument: str) -> NDArray[np.float64]:
    """Return a column of ``obs`` as float64; missing values stay, anything else is an error."""
    check_key(obs, key, "adata.obs", argument)
    column = obs[key]
    if not pd.api.types.is_numeric_dtype(column):
        msg = problem(
            f"numbers in adata.obs[{key!r}]",
            f"{column.dtype} ({shorten(column.dropna().unique(), 3)})",
            "Convert it with pandas.to_numeric, or name another column.",
        )
        raise TypeError(msg)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        row = obs.index[int(np.flatnonzero(np.isinf(values))[0])]
        msg = problem(
            f"finite numbers in adata.obs[{key!r}]", f"infinity in row {row!r}", "Mend that row."
        )
        raise ValueError(msg)
    return values


def covariate_columns(
    obs: pd.DataFrame,
    covariates: Sequence[str],
    codes: NDArray[np.intp],
    names: NDArray[np.object_],
) -> pd.DataFrame:
    """Numbers averaged per patient; categories as 0/1 columns, the first left out."""
    if isinstance(covariates, str):
        msg = problem("`covariates` as a list", repr(covariates), f"Pass [{covariates!r}].")
        raise TypeError(msg)
    found: dict[str, NDArray[np.float64]] = {}
    for name in covariates:
        check_key(obs, name, "adata.obs", "covariates")
        column = obs[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = number_column(obs, name, "covariates")
            found[name] = mean_by(values, codes, len(names))
            continue
        present = column.notna().to_numpy()
        text = label_text(column)
        levels = sorted(set(text[present & (codes >= 0)].tolist()))
        for level in levels[1:]:
            is_level = np.where(present, (text == level).astype(np.float64), np.nan)
            mean = mean_by(is_level, codes, len(names))
            _refuse_mixed(mean, names, name)
            found[f"{name}: {level}"] = mean
    table = pd.DataFrame(found, index=names)
    for name in table.columns:
        if table[name].nunique() < 2:
            msg = problem(
                f"covariate {name!r} to vary over patients", "one value", "Leave it out."
            )
            raise ValueError(msg)
    return table


def _refuse_mixed(mean: NDArray[np.float64], names: NDArray[np.object_], key: str) -> None:
    mixed = np.flatnonzero((mean > 0) & (mean < 1))
    if len(mixed):
        msg = problem(
            f"one value of covariate {key!r} for each patient",
            f"several for {shorten(names[mixed], 3)}",
            "Keep one sample of each patient, or correct the column.",
        )
        raise ValueError(msg)


def refuse_collinear(x: NDArray[np.float64], columns: pd.DataFrame, score_key: str) -> None:
    """Raise where covariates leave nothing of the ranks of the score."""
    kept = columns.notna().all(axis=1).to_numpy()
    if columns.shape[1] == 0 or kept.sum() < columns.shape[1] + 3:
        return
    ranks = rankdata(x[kept])
    others = rankdata(columns.to_numpy()[kept], axis=0)
    design = np.column_stack([np.ones(len(ranks)), others])
    fitted = design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    if np.ptp(ranks) == 0 or np.ptp(fitted) < 1e-9:
        return
    together = float(np.corrcoef(ranks, fitted)[0, 1])
    if together >= _COLLINEAR:
        single = np.nan_to_num([np.corrcoef(ranks, column)[0, 1] for column in others.T])
        worst = int(np.abs(single).argmax())
        msg = problem(
            "covariates that leave something of the score",
            f"rank correlation {single[worst]:.3f} of {columns.columns[worst]!r} with "
            f"{score_key!r} (all covariates together: {together:.3f})",
            "Leave that covariate out: given it, there is no score left to correlate.",
        )
        raise ValueError(msg)
