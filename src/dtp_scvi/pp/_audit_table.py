"""The rows of an audit, and what they say about a label that a column gives away."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

Verdict = Literal["ok", "note", "warn", "error"]

COLUMNS: Final = (
    "check",
    "subject",
    "value",
    "low",
    "high",
    "null_low",
    "null_high",
    "n",
    "verdict",
    "sentence",
)
BY_BATCH: Final = "determined_by_batch"
BY_DONOR: Final = "determined_by_donor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table: what was looked at, the number, how to judge it, in words."""

    check: str
    subject: str
    value: float
    n: int
    verdict: Verdict
    sentence: str
    low: float = np.nan
    high: float = np.nan
    null_low: float = np.nan
    null_high: float = np.nan


def as_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Return the findings as a table that h5ad can hold."""
    table = pd.DataFrame([asdict(finding) for finding in findings])[list(COLUMNS)]
    # h5ad wants names of rows as text.
    table.index = table.index.astype(str)
    return table


def grade(value: float, note: float, warn: float) -> Verdict:
    """Judge a number that is worse the larger it is."""
    if value >= warn:
        return "warn"
    return "note" if value >= note else "ok"


def confounded(table: pd.DataFrame) -> list[str]:
    """
    Name the batch columns that determine the label, from the table of :func:`audit`.

    Parameters
    ----------
    table
        What :func:`audit` returned, or ``adata.uns["dtp_audit"]["table"]``.

    Returns
    -------
    Columns each of whose levels holds rows of one class only, whether or not this was allowed.
    The donor column is not among them: that a label belongs to donors is common, and folds of
    whole donors are made for it.

    Raises
    ------
    KeyError
        When the table is not one of :func:`audit`.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> counts = np.random.default_rng(0).poisson(1.0, (40, 30)).astype("float32")
    >>> obs = pd.DataFrame({"state": ["a", "b"] * 20, "run": ["1", "2"] * 20})
    >>> obs.index = [f"cell{i}" for i in range(40)]
    >>> adata = ad.AnnData(counts, obs=obs)
    >>> dtp.pp.confounded(dtp.pp.audit(adata, "state", batch_keys=["run"]))
    ['run']
    """
    missing = [name for name in ("check", "subject", "value") if name not in table]
    if missing:
        msg = problem(
            "the table of dtp.pp.audit", f"none of its columns {shorten(missing)}", "Run it first."
        )
        raise KeyError(msg)
    rows = table[(table["check"] == BY_BATCH) & (table["value"] == 1.0)]
    return [str(name) for name in rows["subject"]]
