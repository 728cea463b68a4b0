"""Rows that occur more than once, and whether they cross classes or donors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi.pp._audit_near import MIN_GENES, SIMILARITY
from dtp_scvi.pp._audit_table import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dtp_scvi.pp._audit_input import AuditInput
    from dtp_scvi.pp._audit_near import NearRows
    from dtp_scvi.pp._audit_rows import RowSummary

# A copied row in a hundred moves a metric.
SHARE_WARN = 0.01
# Difference in the share of copies between classes that is worth a sentence.
UNEVEN = 0.2


def identical_groups(rows: RowSummary) -> np.ndarray:
    """Return the group of each row that has an exact copy, -1 for the others; zeros don't count."""
    size = np.bincount(rows.digest)
    return np.where((size[rows.digest] > 1) & (rows.n_genes > 0), rows.digest, -1)


def duplicate_findings(given: AuditInput, group: np.ndarray, *, near: bool) -> Iterator[Finding]:
    """Count the rows of groups of copies: in all, per class, across classes, across donors."""
    kind = "near_identical_rows" if near else "identical_rows"
    words = f"a near-identical row (cosine ≥ {SIMILARITY:g})" if near else "an identical copy"
    held = group >= 0
    n_groups = len(set(group[held].tolist()))
    largest = int(np.bincount(group[held]).max()) if n_groups else 0
    shares = [float(held[given.labels == name].mean()) for name in given.classes]
    advice = ""
    if n_groups:
        advice = " Split so that copies stay together, or drop them."
        if max(shares) - min(shares) >= UNEVEN:
            advice += " One class has them and another hardly: to know a row is to know its class."
    yield _finding(
        kind,
        "all",
        int(held.sum()),
        given.n,
        f"have {words}: {n_groups:,} groups, the largest of {largest:,} rows." + advice,
    )
    for name in given.classes:
        here = given.labels == name
        n, of = int(held[here].sum()), int(here.sum())
        yield _finding(kind, f"class {name}", n, of, f"have {words}.", rows=f"rows of {name!r}")
    crossing = {"across classes": given.labels}
    if given.donors is not None:
        crossing["across donors"] = given.donors
    for subject, values in crossing.items():
        crosses = held & _mixed(group, values)
        what = "another class" if subject == "across classes" else "another donor"
        text = f"have {words} in {what}."
        yield _finding(kind, subject, int(crosses.sum()), given.n, text, any_is="warn")


def search_finding(given: AuditInput, near: NearRows) -> Finding:
    """Say how many rows the search for near-identical ones has compared."""
    text = f"{near.n_searched:,} different rows of {given.n:,} were compared"
    if near.n_left_out:
        text += (
            f"; {near.n_left_out:,} with fewer than {MIN_GENES} values other than zero were not"
        )
    share = near.n_searched / given.n
    return Finding("near_identical_rows", "searched", share, near.n_searched, "ok", f"{text}.")


def empty_finding(given: AuditInput, rows: RowSummary) -> Finding:
    """Count rows without any value."""
    n = int((rows.n_genes == 0).sum())
    text = f"{n:,} of {given.n:,} rows hold zeros only."
    return Finding("empty_rows", "all", n / given.n, n, "warn" if n else "ok", text)


def duplicate_table(
    given: AuditInput, names: np.ndarray, groups: dict[str, np.ndarray]
) -> pd.DataFrame:
    """List the rows of every group of copies, so that they can be dropped."""
    parts = []
    for kind, group in groups.items():
        which = np.flatnonzero(group >= 0)
        # Numbered in the order of their first rows.
        codes, _ = pd.factorize(group[which])
        parts.append(
            pd.DataFrame(
                {
                    "row": names[which],
                    "kind": kind,
                    "group": codes,
                    "class": given.labels[which],
                    "donor": "" if given.donors is None else given.donors[which],
                }
            )
        )
    table = pd.concat(parts, ignore_index=True).sort_values(["kind", "group"], kind="stable")
    table = table.reset_index(drop=True)
    table.index = table.index.astype(str)
    return table


def _mixed(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Whether a row's group holds more than one value."""
    return (pd.Series(values).groupby(group).transform("nunique") > 1).to_numpy()


def _finding(
    check: str,
    subject: str,
    n: int,
    of: int,
    text: str,
    *,
    rows: str = "rows",
    any_is: Verdict = "note",
) -> Finding:
    share = n / of
    verdict: Verdict = "ok"
    if n:
        verdict = "warn" if share >= SHARE_WARN and subject == "all" else any_is
    sentence = f"{n:,} of {of:,} {rows} ({share:.1%}) {text}"
    return Finding(check, subject, share, n, verdict, sentence)
