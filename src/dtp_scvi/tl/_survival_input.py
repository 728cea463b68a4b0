"""From columns of ``obs`` to one checked row a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi._constants import LOGIT_SUFFIX, SCORE_SUFFIX
from dtp_scvi._labels import label_text, text_column
from dtp_scvi._logging import logger, warn
from dtp_scvi._validate import check_key, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_PATIENT: Final = "patient"
_FEWEST_PATIENTS: Final = 10
# Above this share of dropped rows the loss is said aloud.
_MUCH_DROPPED: Final = 0.2
# So many rows to each pair of time and event look like several rows of each patient.
_ROWS_PER_PAIR: Final = 10

_DEAD: Final = ("dead", "decease", "died")
_ALIVE: Final = ("alive", "living", "censor")


@dataclass(frozen=True)
class Patients:
    """One row a patient, in the order of their names."""

    frame: pd.DataFrame
    """``time``, ``event``, ``score`` and, where there is one, ``probability``."""
    covariates: pd.DataFrame
    """Columns of the named covariates as stored, complete."""
    strata: pd.DataFrame
    """Strata as text, complete."""
    missing: dict[str, int]
    """Rows that lack a value, by column."""
    n_rows: int
    n_dropped: int
    n_averaged: int
    """Patients whose rows were averaged."""
    patient_key: str
    """Column that named the patients; empty where each row is one."""

    @property
    def n_events(self) -> int:
        """Patients with an event."""
        return int(self.frame["event"].sum())


def read_patients(
    adata: AnnData,
    *,
    time_key: str,
    event_key: str,
    score_key: str,
    covariates: Sequence[str],
    strata: Sequence[str],
    patient_key: str | None,
) -> Patients:
    """Check the columns, drop incomplete rows, and bring rows together by patient."""
    obs = adata.obs
    named = {"time_key": [time_key], "event_key": [event_key], "score_key": [score_key]}
    named |= {"covariates": list(covariates), "strata": list(strata)}
    for argument, keys in named.items():
        for key in keys:
            check_key(obs, key, "adata.obs", argument)
    _check_distinct([key for keys in named.values() for key in keys])
    table = pd.DataFrame(
        {
            "time": _times(obs[time_key], time_key),
            "event": _events(obs[event_key], event_key),
            "score": _numbers(obs[score_key], score_key, "score_key"),
        },
        index=obs.index,
    )
    prefix = score_key.removesuffix(LOGIT_SUFFIX)
    own = score_key if score_key.endswith(SCORE_SUFFIX) else f"{prefix}{SCORE_SUFFIX}"
    if (own == score_key or prefix != score_key) and own in obs:
        table["probability"] = _numbers(obs[own], own, "score_key")
    others = obs[[*covariates, *strata]]
    gaps = pd.concat([table[["time", "event", "score"]], others], axis=1).isna()
    gaps.columns = [time_key, event_key, score_key, *covariates, *strata]
    complete = ~gaps.any(axis=1).to_numpy()
    missing = {str(key): int(n) for key, n in gaps.sum().items() if n}
    _report_missing(complete, missing)
    key = patient_key or (_PATIENT if _PATIENT in obs else "")
    if key:
        names = _patient_names(obs, key, complete, named=patient_key is not None)
    else:
        names = _row_names(obs, complete, table)
    kept = pd.concat([table, others], axis=1)[complete]
    grouped = _one_row_each(kept, names, list(table.columns))
    columns = [name for name in table.columns if name in grouped]
    return Patients(
        frame=grouped[columns],
        covariates=grouped[list(covariates)],
        strata=pd.DataFrame(
            {key: label_text(grouped[key]) for key in strata}, index=grouped.index
        ),
        missing=missing,
        n_rows=len(obs),
        n_dropped=int((~complete).sum()),
        n_averaged=int((pd.Series(names).value_counts() > 1).sum()),
        patient_key=key,
    )


def check_patients(patients: Patients, score_key: str, event_key: str) -> None:
    """Raise where too few patients, no event or a constant score leave nothing to estimate."""
    frame = patients.frame
    if len(frame) < _FEWEST_PATIENTS:
        gaps = ", ".join(f"{n:,} lack {key}" for key, n in patients.missing.items())
        msg = problem(
            f"at least {_FEWEST_PATIENTS} complete patients",
            f"{len(frame):,} of {patients.n_rows:,} rows" + (f" ({gaps})" if gaps else ""),
            "Add patients, or name columns with fewer gaps.",
        )
        raise ValueError(msg)
    if not frame["event"].any():
        msg = problem(
            f"events in adata.obs[{event_key!r}]",
            f"none: all {len(frame):,} complete patients are censored",
            "Without an event there is no survival to relate to; 1 stands for the event.",
        )
        raise ValueError(msg)
    if frame["score"].nunique() < 2:
        msg = problem(
            f"scores that differ in adata.obs[{score_key!r}]",
            f"{frame['score'].iloc[0]:g} in all {len(frame):,} patients",
            "A constant score tells nobody apart.",
        )
        raise ValueError(msg)


def _check_distinct(keys: list[str]) -> None:
    twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if twice:
        msg = problem(
            "a column of its own for time, event, score and each covariate and stratum",
            f"{shorten(map(repr, twice))} named twice",
            "Name each column once.",
        )
        raise ValueError(msg)


def _numbers(column: pd.Series, key: str, argument: str) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        found = shorten(map(repr, pd.unique(column.dropna())[:6]), 3)
        msg = problem(
            f"numbers in adata.obs[{key!r}] (`{argument}`)",
            f"{column.dtype} such as {found}",
            f"Convert them: adata.obs[{key!r}] = pd.to_numeric(adata.obs[{key!r}])",
        )
        raise ValueError(msg)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    n_infinite = int(np.isinf(values).sum())
    if n_infinite:
        msg = problem(
            f"finite numbers in adata.obs[{key!r}]",
            f"{n_infinite:,} infinite",
            "Set what is not known to NaN.",
        )
        raise ValueError(msg)
    return values


def _times(column: pd.Series, key: str) -> np.ndarray:
    values = _numbers(column, key, "time_key")
    negative = values[values < 0]
    if len(negative):
        rows = column.index[values < 0]
        hint = "-1 often stands for missing: " if (negative == -1).all() else ""
        msg = problem(
            f"times >= 0 in adata.obs[{key!r}]",
            f"{len(negative):,} negative, smallest {negative.min():g} (rows {shorten(rows, 3)})",
            f"Mend them, or set them to NaN where they are not known; {hint}"
            f"adata.obs[{key!r}] = adata.obs[{key!r}].where(adata.obs[{key!r}] >= 0)",
        )
        raise ValueError(msg)
    return values


def _events(column: pd.Series, key: str) -> np.ndarray:
    """Return 1.0, 0.0 or NaN; numbers 0/1 and booleans only, for words differ in what they mean."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    known = column.dropna()
    values = list(pd.unique(known))
    if all(isinstance(v, bool | np.bool_ | int | float | np.number) for v in values) and all(
        v in (0, 1) for v in values
    ):
        found = np.full(len(column), np.nan)
        found[column.notna().to_numpy()] = known.to_numpy(dtype=np.float64)
        return found
    words = sorted((v.item() if isinstance(v, np.generic) else v for v in values), key=str)
    msg = problem(
        f"events as 0/1 or booleans in adata.obs[{key!r}]",
        shorten(map(repr, words)),
        "1 (or True) has to stand for the event; what is neither becomes missing, for example: "
        f"adata.obs['event'] = adata.obs[{key!r}].map({_coding(words)})",
    )
    raise ValueError(msg)


def _coding(words: list[Any]) -> dict[Any, int]:
    """Guess for a message which words mean an event and which its absence."""

    def like(parts: tuple[str, ...]) -> list[Any]:
        return [word for word in words if any(part in str(word).lower() for part in parts)]

    dead = like(_DEAD) or words[-1:]
    others = [word for word in words if word not in dead]
    alive = like(_ALIVE) or (others if len(words) == 2 else [])
    return dict.fromkeys(dead, 1) | dict.fromkeys(alive, 0)


def _report_missing(complete: np.ndarray, missing: dict[str, int]) -> None:
    n_dropped = int((~complete).sum())
    if not n_dropped:
        return
    gaps = ", ".join(f"{key} {n:,}" for key, n in missing.items())
    text = f"{n_dropped:,} of {len(complete):,} rows lack a value and are left out ({gaps})."
    if n_dropped > _MUCH_DROPPED * len(complete):
        warn(f"Survival: {text}")
    else:
        logger.info("survival: %s", text)


def _row_names(obs: pd.DataFrame, complete: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Names of the complete rows, each a patient; warn where they look like cells of a few."""
    names = obs.index.to_numpy(dtype=str)[complete]
    pairs = len(table.loc[complete, ["time", "event"]].drop_duplicates())
    if len(names) >= _ROWS_PER_PAIR * max(pairs, 2):
        warn(
            f"Survival: {len(names):,} rows share {pairs:,} pairs of time and event. If rows are "
            "cells or samples of the same patients, name the patients with `patient_key`: "
            "intervals are far too short otherwise."
        )
    if len(set(names)) < len(names):
        names = np.array([f"{i:09d}" for i in range(len(names))])
    return names


def _patient_names(
    obs: pd.DataFrame, key: str, complete: np.ndarray, *, named: bool
) -> np.ndarray:
    """Patients of the complete rows; several rows a patient only where the column was named."""
    names = text_column(obs[complete], key, "patient_key")
    counts = pd.Series(names).value_counts(sort=False)
    repeated = counts[counts > 1]
    if not named and len(repeated):
        msg = problem(
            "one row a patient",
            f"{len(repeated):,} of {len(counts):,} patients with several rows in "
            f"adata.obs[{key!r}] ({shorten(sorted(repeated.index), 3)})",
            f"Keep one row each, or pass patient_key={key!r} to average the scores of a patient.",
        )
        raise ValueError(msg)
    return names


def _one_row_each(table: pd.DataFrame, names: np.ndarray, averaged: list[str]) -> pd.DataFrame:
    """Average scores and numeric covariates by patient; what can't differ has to agree."""
    table = table.set_axis(pd.Index(names, name="patient"), axis=0)
    if table.index.is_unique:
        return table.sort_index()
    grouped = table.groupby(level=0, sort=True)
    columns: dict[str, Any] = {}
    for name in table.columns:
        column = table[name]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if name in ("time", "event") or not numeric:
            differ = column.astype(object).groupby(level=0).nunique() > 1
            if differ.any():
                who = differ.index[differ]
                first = str(who[0])
                values = shorten(map(str, pd.unique(column[[first]].astype(object))), 3)
                msg = problem(
                    f"one {name} a patient",
                    f"{len(who):,} patients with several, such as {first!r} ({values})",
                    "Mend them, or keep one row for each patient.",
                )
                raise ValueError(msg)
            columns[name] = grouped[name].first()
        else:
            columns[name] = grouped[name].mean()
    return pd.DataFrame(columns)
