"""What donor, tissue, platform and other columns say about the label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._validate import shorten
from dtp_scvi.data import feasible_folds
from dtp_scvi.pp._audit_table import BY_BATCH, BY_DONOR, Finding, Verdict, grade
from dtp_scvi.stats import cramers_v, interval, level_auroc, pure_share, shuffled_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dtp_scvi.pp._audit_input import AuditInput

# Cohen (1988) calls an association of 0.5 large; an AUROC of 0.75 is the same for two halves.
V_NOTE, V_WARN = 0.2, 0.5
AUROC_NOTE, AUROC_WARN = 0.6, 0.75
PURE_NOTE, PURE_WARN = 0.2, 0.5
N_DRAWS = 200


def cross_tables(given: AuditInput) -> pd.DataFrame:
    """Return rows per column, level and class, as one long table."""
    parts = []
    for name, levels in given.columns.items():
        found = pd.crosstab(levels, given.labels)
        found = found.rename_axis(index="level", columns="class").stack().rename("n")
        parts.append(found.reset_index().assign(column=name))
    if not parts:
        return pd.DataFrame({"column": [], "level": [], "class": [], "n": np.zeros(0, int)})
    table = pd.concat(parts, ignore_index=True)[["column", "level", "class", "n"]]
    table.index = table.index.astype(str)
    return table


def column_findings(
    given: AuditInput, *, allow_confounded: bool, seed: int | None
) -> Iterator[Finding]:
    """Judge each column: does it determine the label, go with it, predict it, allow folds."""
    if not given.columns:
        yield Finding(
            "columns",
            "none",
            np.nan,
            given.n,
            "note",
            "No donor or batch column was named, so nothing is known about confounding.",
        )
    for name, levels in given.columns.items():
        yield from _one_column(given, name, levels, allow_confounded=allow_confounded, seed=seed)
    if given.donors is None:
        yield Finding(
            "feasible_folds",
            "donor",
            np.nan,
            0,
            "note",
            "No `donor_key` was named: only single rows can be split, which is optimistic.",
        )


def _one_column(
    given: AuditInput, name: str, levels: np.ndarray, *, allow_confounded: bool, seed: int | None
) -> Iterator[Finding]:
    is_donor = name == given.donor_key
    classes = pd.crosstab(levels, given.labels).to_numpy()
    both = pd.crosstab(levels, given.is_positive).to_numpy()
    share = pure_share(both)
    yield _determined(given, name, both, share, allow_confounded=allow_confounded)
    # The donors themselves have nothing above them to be dealt out to.
    groups = None if is_donor else given.clusters
    unit, draws = shuffled_tables(levels, given.labels, groups, n_draws=N_DRAWS, seed=seed)
    chance = _chance(draws, given.classes.index(given.positive))
    for check, value, words, limits in (
        ("cramers_v", cramers_v(classes), "Cramér's V", (V_NOTE, V_WARN)),
        ("auroc", level_auroc(both[:, 1], both[:, 0]), "AUROC alone", (AUROC_NOTE, AUROC_WARN)),
    ):
        low, high = chance[check]
        verdict = grade(value, *limits)
        # What determines the label has its own row, and labels that go with donors are common.
        # Few donors can be dealt out in few ways, so their chance level excuses nothing.
        by_luck = value <= high and unit == "rows"
        if verdict == "warn" and (by_luck or is_donor or share == 1.0):
            verdict = "note"
        what = "donors" if unit == "groups" else "rows"
        text = f"{words} of {name!r} is {value:.2f}; shuffled {what} give {low:.2f} to {high:.2f}."
        if check == "auroc" and value < 0.5:
            text += " Below 0.5 it says nothing about a row left out."
        if value <= high and verdict != "ok":
            text += " It may be chance, but a model can use it all the same."
        yield Finding(check, name, value, given.n, verdict, text, null_low=low, null_high=high)
    yield _folds(given, name, levels, is_donor=is_donor)


def _chance(draws: Iterator[np.ndarray], at: int) -> dict[str, tuple[float, float]]:
    found: dict[str, list[float]] = {"cramers_v": [], "auroc": []}
    for table in draws:
        positive = table[:, at]
        found["cramers_v"].append(cramers_v(table))
        found["auroc"].append(level_auroc(positive, table.sum(axis=1) - positive))
    ends = {}
    for name, values in found.items():
        low, high = interval(values)
        ends[name] = (float(low), float(high))
    return ends


def _determined(
    given: AuditInput, name: str, both: np.ndarray, share: float, *, allow_confounded: bool
) -> Finding:
    is_donor = name == given.donor_key
    check = BY_DONOR if is_donor else BY_BATCH
    n = len(both)
    if np.isnan(share):
        alone = int((both.sum(axis=1) == 1).sum())
        text = (
            f"{alone:,} of {given.n:,} rows are alone in their level of {name!r}, so whether it "
            "determines the label can't be seen."
        )
        return Finding(check, name, share, n, "note", text)
    if share == 1.0 and is_donor:
        text = (
            f"Each of the {n:,} donors in {name!r} has rows of one class only "
            f"({shorten(given.classes)}): what tells donors apart also tells the classes apart. "
            "Metrics on held-out donors rest on the number of donors, not of rows."
        )
        return Finding(check, name, share, n, "warn", text)
    if share == 1.0:
        verdict: Verdict = "warn" if allow_confounded else "error"
        end = (
            "This was allowed by allow_confounded=True."
            if allow_confounded
            else "A model can't be told from a batch detector. Add rows that break the tie, or "
            "pass allow_confounded=True, which is recorded."
        )
        text = f"{name!r} determines the label: each of its {n:,} levels has one class only. {end}"
        return Finding(check, name, share, n, verdict, text)
    verdict = grade(share, PURE_NOTE, PURE_WARN)
    if is_donor and verdict == "warn":
        verdict = "note"
    text = f"{share:.0%} of the rows lie in levels of {name!r} with one class only."
    return Finding(check, name, share, n, verdict, text)


def _folds(given: AuditInput, name: str, levels: np.ndarray, *, is_donor: bool) -> Finding:
    folds = feasible_folds(given.labels.tolist(), levels.tolist())
    verdict: Verdict = "ok" if folds > 2 else "note"
    if is_donor and folds < 2:
        verdict = "warn"
    text = f"At most {folds:,} folds of whole levels of {name!r} can hold every class."
    if folds < 2:
        text = (
            f"A class lies in one level of {name!r} only: no split by {name!r} can have every "
            "class in training and test data."
        )
    return Finding("feasible_folds", name, folds, len(set(levels)), verdict, text)
