"""Score, drug response and covariates of an AnnData, one row a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi._constants import PATIENT_KEY
from dtp_scvi._labels import text_column
from dtp_scvi._logging import logger, warn
from dtp_scvi._validate import check_key, near_matches, problem, shorten
from dtp_scvi.tl._drug_covariates import (
    covariate_columns,
    mean_by,
    number_column,
    refuse_collinear,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

Direction = Literal["higher_is_resistant", "higher_is_sensitive"]
DIRECTIONS: Final = ("higher_is_resistant", "higher_is_sensitive")

_TIES: Final = 0.1


@dataclass(frozen=True)
class Patients:
    """
    One row a patient.

    Attributes
    ----------
    names
        Patients, sorted, so that no result depends on the order of the rows.
    score
        Score, finite.
    response
        Drug response as it was given, (patients, drugs), NaN where not measured.
    resistance
        The same, larger where more resistant.
    covariates
        Columns of numbers; a category as 0/1 columns.
    codes
        Patient of each row of the AnnData; -1 where the row has no score.
    patient_key
        Column that named the patients; empty where each row is one.
    n_rows
        Rows with a score.
    """

    names: NDArray[np.object_]
    score: NDArray[np.float64]
    response: pd.DataFrame
    resistance: pd.DataFrame
    covariates: pd.DataFrame
    codes: NDArray[np.intp]
    patient_key: str
    n_rows: int

    def average(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean per patient of a number per row; NaN where a patient has none."""
        return mean_by(values, self.codes, len(self.names))


def collect(
    adata: AnnData,
    score_key: str,
    auc_key: str,
    patient_key: str | None,
    covariates: Sequence[str],
    direction: str,
) -> Patients:
    """Read, check, and average rows of a patient."""
    score = number_column(adata.obs, score_key, "score_key")
    response = response_table(adata, auc_key)
    key, who = _patients(adata, patient_key)
    scored = ~np.isnan(score)
    if not scored.any():
        msg = problem(
            f"scores in adata.obs[{score_key!r}]", "only missing values", "Run dtp.tl.score first."
        )
        raise ValueError(msg)
    names, found = np.unique(who[scored], return_inverse=True)
    codes = np.full(len(who), -1, np.intp)
    codes[scored] = found
    n = len(names)
    _say_what_is_averaged(int(scored.sum()), n, key, asked=patient_key is not None)
    means = np.column_stack([mean_by(column, codes, n) for column in response.to_numpy().T])
    table = pd.DataFrame(means, index=names, columns=response.columns)
    x = mean_by(score, codes, n)
    _check_score(x, score_key)
    columns = covariate_columns(adata.obs, covariates, codes, names)
    refuse_collinear(x, columns, score_key)
    sign = 1.0 if direction == DIRECTIONS[0] else -1.0
    return Patients(names, x, table, sign * table, columns, codes, key, int(scored.sum()))


def response_table(adata: AnnData, auc_key: str) -> pd.DataFrame:
    """Return the drug response as a table of numbers."""
    check_key(adata.obsm, auc_key, "adata.obsm", "auc_key")
    table = adata.obsm[auc_key]
    if not isinstance(table, pd.DataFrame):
        msg = problem(
            f"adata.obsm[{auc_key!r}] to be a DataFrame with a column per drug",
            type(table).__name__,
            "Wrap it: pandas.DataFrame(values, index=adata.obs_names, columns=drugs).",
        )
        raise TypeError(msg)
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        msg = problem("one column per drug", f"{shorten(twice)} twice", "Rename or merge them.")
        raise ValueError(msg)
    for drug in table.columns:
        if not pd.api.types.is_numeric_dtype(table[drug]):
            example = table[drug].dropna().astype(str).head(3)
            msg = problem(
                f"numbers in adata.obsm[{auc_key!r}]",
                f"{table[drug].dtype} for drug {drug!r} ({shorten(example, 3)})",
                "Convert each column: pandas.to_numeric(column); missing values as NaN.",
            )
            raise TypeError(msg)
    values = table.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        drug = table.columns[int(np.argwhere(np.isinf(values))[0, 1])]
        msg = problem(
            f"finite numbers in adata.obsm[{auc_key!r}]",
            f"infinity for drug {drug!r}",
            "Write NaN where a drug was not measured.",
        )
        raise ValueError(msg)
    return pd.DataFrame(values, index=table.index, columns=table.columns.astype(str))


def _patients(adata: AnnData, patient_key: str | None) -> tuple[str, NDArray[np.object_]]:
    """Name the patient of each row, and the column that says so."""
    key = patient_key
    if key is None and PATIENT_KEY in adata.obs:
        key = PATIENT_KEY
    if key is not None:
        return key, text_column(adata.obs, key, "patient_key").astype(object)
    if not adata.obs_names.is_unique:
        twice = adata.obs_names[adata.obs_names.duplicated()].unique()
        msg = problem(
            "one row per patient, or `patient_key`",
            f"no patient column, and several rows called {shorten(twice, 3)}",
            "Name the column of adata.obs with the patients.",
        )
        raise ValueError(msg)
    logger.info("No patient column: each of %d rows counts as a patient.", adata.n_obs)
    return "", adata.obs_names.to_numpy(dtype=object)


def _say_what_is_averaged(n_rows: int, n: int, key: str, *, asked: bool) -> None:
    if n_rows == n:
        return
    text = f"{n_rows:,} rows are averaged to {n:,} patients by adata.obs[{key!r}]."
    if asked:
        logger.info(text)
    else:
        warn(f"{text} Pass patient_key={key!r} to confirm, or another column.")


def _check_score(x: NDArray[np.float64], key: str) -> None:
    kinds, counts = np.unique(x, return_counts=True)
    if len(kinds) == 1:
        msg = problem(
            f"a score that varies in adata.obs[{key!r}]",
            f"{x[0]:g} for all {len(x):,} patients",
            "Nothing can be correlated with a constant; look at the scores.",
        )
        raise ValueError(msg)
    most = int(counts.argmax())
    if counts[most] <= max(1.0, _TIES * len(x)) or len(kinds) == 2:
        return
    text = f"{counts[most]:,} of {len(x):,} patients have the value {kinds[most]:g} in {key!r}."
    saturated = x.min() >= 0 and x.max() <= 1 and min(kinds[most], 1 - kinds[most]) < 1e-6
    if saturated:
        text += " A saturated probability loses ranks: use the logit, e.g. 'dtp_logit'."
    warn(text)


def eligible(table: pd.DataFrame, min_patients: int) -> NDArray[np.bool_]:
    """Whether each drug has enough patients and varies; raise where none does."""
    n = table.notna().sum().to_numpy()
    varies = table.nunique().to_numpy() > 1
    good = (n >= min_patients) & varies
    if not good.any():
        most = int(n.argmax())
        msg = problem(
            f"a drug measured in at least {min_patients} scored patients",
            f"{n[most]:,} at most ({table.columns[most]!r})",
            "Lower `min_patients`, or check that the rows of scores and responses are the same.",
        )
        raise ValueError(msg)
    return np.asarray(good)


def named(controls: Sequence[str], obs: pd.DataFrame, known: Sequence[str]) -> None:
    """Raise ``KeyError`` for a control that is neither known nor a column of ``obs``."""
    for name in controls:
        if name not in known and name not in obs:
            msg = problem(
                f"`controls` to name {', '.join(map(repr, known))} or a column of adata.obs",
                repr(name),
                near_matches(name, [*known, *obs.columns]),
            )
            raise KeyError(msg)
