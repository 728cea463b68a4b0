"""Whose row is it? Study and patient of the rows of the published 160-gene tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from dtp_scvi._constants import PATIENT_KEY, RESPONSE_KEY
from dtp_scvi._validate import near_matches, problem, shorten

if TYPE_CHECKING:
    from dtp_scvi.datasets._tables import Table

# No study column was released. The rows lie in blocks, told by their order and by the numbers of
# responders and others that each study published.
BLOCKS: Final = (
    ("GSE78220", 28, 15),
    ("GSE91061", 51, 9),
    ("GSE165278", 7, 0),
    ("Liu2019", 121, 49),
)
INFERRED: Final = "inferred from the order of rows"
MATCHED: Final = "matched to a sample of the study"
_NEEDED: Final = ("amu_label", "block", "sample", "recist", "label_from_recist")
_PATIENT: Final = re.compile(r"^(Pt\d+)", re.IGNORECASE)
# Genes of one tissue rank alike in every study; columns under wrong names do not.
LOW_CORRELATION: Final = 0.5


class Copies(NamedTuple):
    """First row with the same values, for each row, and how many rows are no first one."""

    first: np.ndarray
    n: int


def find_copies(values: np.ndarray) -> Copies:
    """Look for rows that are equal in float32, which is what models see."""
    _, first, group = np.unique(
        values.astype(np.float32), axis=0, return_index=True, return_inverse=True
    )
    return Copies(first[group.ravel()], len(values) - len(first))


def infer_studies(label: np.ndarray) -> np.ndarray | None:
    """Return the study of each row where the table is the released one, else ``None``."""
    names = np.repeat([name for name, _, _ in BLOCKS], [n for _, n, _ in BLOCKS])
    if len(label) != len(names):
        return None
    found = [int(label[names == name].sum()) for name, _, _ in BLOCKS]
    return names if found == [n for _, _, n in BLOCKS] else None


def row_table(label: np.ndarray, copies: Copies, annotation: Table | None) -> pd.DataFrame:
    """
    Return ``obs``: label, study, patient, and what they rest on.

    Copies of a row share a patient, so that grouped folds keep them together.
    """
    width = len(str(len(label) - 1))
    names = [f"row_{i:0{width}d}" for i in range(len(label))]
    obs = pd.DataFrame({RESPONSE_KEY: label.astype(np.float64)}, index=pd.Index(names))
    obs["response_as_released"] = label
    patient = np.array([names[i] for i in copies.first], dtype=object)
    study = infer_studies(label)
    if annotation is not None:
        mended = _annotated(annotation, label, study)
        known = mended["sample"].notna().to_numpy()
        obs.loc[known, RESPONSE_KEY] = mended["label"].to_numpy()[known]
        obs["recist"] = pd.Categorical(mended["recist"])
        obs["sample"] = mended["sample"].to_numpy(object)
        basis = np.where(known, MATCHED, INFERRED)
        patient[known] = [
            f"{a}:{_patient(b)}"
            for a, b in zip(mended["block"][known], mended["sample"][known], strict=True)
        ]
    else:
        basis = np.full(len(label), INFERRED)
    if study is not None:
        obs["study"] = pd.Categorical(study)
        obs["study_basis"] = pd.Categorical(basis)
    obs[PATIENT_KEY] = pd.Categorical(patient)
    return obs


def _patient(sample: object) -> str:
    found = _PATIENT.match(str(sample))
    return found[1] if found else str(sample)


def _annotated(table: Table, label: np.ndarray, study: np.ndarray | None) -> pd.DataFrame:
    """Check that an annotation is of these rows, and return it in their order."""
    frame = table.frame
    missing = [name for name in _NEEDED if name not in frame]
    if missing:
        msg = problem(
            f"columns {shorten(_NEEDED, 10)} in {table.name}",
            f"no {shorten(missing)}",
            near_matches(missing[0], frame.columns),
        )
        raise KeyError(msg)
    same = len(frame) == len(label) and study is not None
    if not same or not np.array_equal(frame["amu_label"].to_numpy(), label):
        msg = problem(
            f"{table.name} to annotate the {len(label):,} rows of the table, label by label",
            f"{len(frame):,} rows"
            if len(frame) != len(label)
            else "other labels or another order",
            "Leave `annotation` out, or pass the one of the released table.",
        )
        raise ValueError(msg)
    starts = np.flatnonzero((frame["block"] != frame["block"].shift()).to_numpy())
    if not np.array_equal(starts, np.cumsum([0, *(n for _, n, _ in BLOCKS[:-1])])):
        msg = problem(
            f"blocks of {', '.join(str(n) for _, n, _ in BLOCKS)} rows in {table.name}",
            f"blocks that start at rows {shorten(starts, 10)}",
            "Check the order of its rows.",
        )
        raise ValueError(msg)
    found = frame[["block", "sample", "recist"]].reset_index(drop=True)
    return found.assign(label=frame["label_from_recist"].to_numpy(np.float64))


def study_table(obs: pd.DataFrame, closed: np.ndarray) -> pd.DataFrame:
    """Count rows and responders by study; correlate its mean profile with the others'."""
    logs = np.log1p(1e6 * closed)
    names = [name for name, _, _ in BLOCKS]
    means = np.array([logs[(obs["study"] == name).to_numpy()].mean(axis=0) for name in names])
    alike = np.corrcoef(means)
    label = obs[RESPONSE_KEY].groupby(obs["study"], observed=True)
    return pd.DataFrame(
        {
            "study": names,
            "n": label.size().reindex(names).to_numpy(),
            "n_response": (label.sum().reindex(names)).to_numpy().astype(np.int64),
            "n_unknown": (label.size() - label.count()).reindex(names).to_numpy(),
            # The median: one bad study must not pull down its partners.
            "profile_correlation": [
                float(np.median(np.delete(row, i))) for i, row in enumerate(alike)
            ],
        },
        index=[str(i) for i in range(len(names))],
    )
