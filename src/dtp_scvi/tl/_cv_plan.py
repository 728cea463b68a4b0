"""Which rows are held out together, and what that allows to say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import (
    SharedRows,
    check_disjoint,
    get_matrix,
    group_folds,
    leave_one_group_out,
    row_hashes,
)
from dtp_scvi.tl._cv_protocol import read_studies

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model import Registration
    from dtp_scvi.tl._cv_protocol import Protocol

_PLURAL = {"batch": "batches", "study": "studies"}


@dataclass(frozen=True)
class Fold:
    """Rows to train on and rows to test, and what is held out by name."""

    held_out: str
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Plan:
    """Folds, and how honest they are."""

    folds: tuple[Fold, ...]
    protocol: str
    optimistic: bool
    inner: np.ndarray | None
    """Rows kept together when a baseline splits its training rows once more."""
    donors: np.ndarray | None
    """Rows resampled together for intervals; ``None`` where there are no two donors."""
    warnings: tuple[str, ...]
    by_cell: bool = False
    """Whether rows of one donor may be on both sides."""
    reason: str = ""
    """Why the result is optimistic."""
    studies: np.ndarray | None = None
    """Study of each row."""
    shared: SharedRows | None = None
    """What is in training and test data of a fold at once, where that was allowed."""

    @property
    def interval(self) -> str:
        """What the bootstrap draws."""
        if self.donors is None:
            return "bootstrap over cells (optimistic: no two donors are known)"
        return f"bootstrap over {len(set(self.donors)):,} donors"


def make_plan(reg: Registration, protocol: Protocol, studies: np.ndarray | None) -> Plan:
    """Split rows by donor, batch or study, or, on request or for want of donors, by cell."""
    donors = reg.donors if reg.donors is not None and len(set(reg.donors)) > 1 else None
    reason = ""
    inner: np.ndarray | None
    if protocol.batch_folds or protocol.study_folds:
        what = "batch" if protocol.batch_folds else "study"
        groups = _groups(reg, studies, what)
        folds, notes = _leave_one_out(reg, groups, donors, what)
        inner = groups if donors is None else donors
        name = f"leave-one-{what}-out ({len(folds)} {_PLURAL[what]})"
    else:
        kept = None if protocol.cell_level else donors
        reason, notes = _why_by_cell(reg, donors)
        splits = group_folds(
            reg.labels.tolist(),
            None if kept is None else kept.tolist(),
            protocol.n_folds,
            seed=protocol.seed,
        )
        folds = tuple(Fold(_names(kept, test), train, test) for train, test in splits)
        inner, name = kept, f"donor-grouped {protocol.n_folds}-fold"
        if kept is not None:
            reason = ""
        else:
            name = f"cell-level {protocol.n_folds}-fold (optimistic: {reason})"
    notes += _confounded(reg, donors)
    return Plan(
        folds,
        name,
        bool(reason),
        inner,
        donors,
        tuple(notes),
        by_cell=bool(reason),
        reason=reason,
        studies=studies,
    )


def check_plan(plan: Plan, hashes: np.ndarray, names: np.ndarray, *, allowed: bool) -> Plan:
    """Refuse copies and donors on both sides, or call the plan optimistic where that is allowed."""
    shared = check_disjoint(
        [(fold.train, fold.test) for fold in plan.folds],
        hashes=hashes,
        # Cells of one donor are on both sides of a split by cell, which says so.
        groups=None if plan.by_cell else plan.donors,
        names=names,
        allowed=allowed,
    )
    if not shared:
        return plan
    return replace(
        plan,
        protocol=f"{plan.protocol} (optimistic: {shared.text()})",
        optimistic=True,
        reason="; ".join(part for part in (plan.reason, shared.text()) if part),
        warnings=(*plan.warnings, f"The metrics are optimistic: {shared.text()}."),
        shared=shared,
    )


def checked_plan(adata: AnnData, reg: Registration, protocol: Protocol) -> tuple[Plan, np.ndarray]:
    """Folds that were checked and warned of, and the fingerprint of each row."""
    plan = make_plan(reg, protocol, read_studies(adata, protocol.study_key))
    hashes = row_hashes(get_matrix(adata, reg.layer))
    names = adata.obs_names.to_numpy(dtype=str)
    plan = check_plan(plan, hashes, names, allowed=protocol.allow_shared_rows)
    for note in plan.warnings:
        warn(note)
    return plan, hashes


def _names(donors: np.ndarray | None, test: np.ndarray) -> str:
    if donors is None:
        return f"{len(test):,} cells"
    return ", ".join(sorted(set(donors[test].tolist())))


def _why_by_cell(reg: Registration, donors: np.ndarray | None) -> tuple[str, list[str]]:
    """Why a split by cell is optimistic, and the warning where nobody asked for it."""
    if donors is not None:
        return "cells of one donor are in training and test data", []
    found = "no donor_key" if reg.donors is None else f"one donor ({reg.donors[0]})"
    note = (
        f"Cross-validation splits single cells, as there is {found}: the metrics are optimistic. "
        "They say how well cells of the same donors are told apart, not cells of a new one."
    )
    return f"{found}, so cells of the same donors are in training and test data", [note]


def _groups(reg: Registration, studies: np.ndarray | None, what: str) -> np.ndarray:
    groups = reg.batches if what == "batch" else studies
    if groups is None:
        msg = problem(
            "a `batch_key` at setup_anndata for batch_folds=True", "none", "Set it up with one."
        )
        raise ValueError(msg)
    return groups


def _leave_one_out(
    reg: Registration, groups: np.ndarray, donors: np.ndarray | None, what: str
) -> tuple[tuple[Fold, ...], list[str]]:
    plural = _PLURAL[what]
    splits = leave_one_group_out(reg.labels.tolist(), groups.tolist())
    if donors is None:
        note = (
            f"{plural.capitalize()} are held out, but no two donors are known: a donor may be in "
            "several."
        )
        return tuple(Fold(*split) for split in splits), [note]
    folds, shared = [], 0
    for name, train, test in splits:
        known = np.isin(donors[train], donors[test])
        shared += int(known.sum())
        rest = train[~known]
        lost = sorted(set(reg.labels) - set(reg.labels[rest]))
        if lost:
            msg = problem(
                f"every class in donors that are not in {what} {name!r}",
                f"none of {shorten(lost)}",
                f"Donors run through the {plural}; leave `{what}_folds` out.",
            )
            raise ValueError(msg)
        folds.append(Fold(name, rest, test))
    if not shared:
        return tuple(folds), []
    note = (
        f"Some donors are in several {plural}; their cells were left out of training while one "
        f"of their {plural} was tested."
    )
    return tuple(folds), [note]


def _confounded(reg: Registration, donors: np.ndarray | None) -> list[str]:
    """Say where knowing the donor or the batch is knowing the label."""
    notes = []
    for what, key, groups in (
        ("donor", reg.donor_key, donors),
        ("batch", reg.batch_key, reg.batches),
    ):
        n_groups = 0 if groups is None else len(set(groups))
        # A row a donor, as in bulk: nothing to be said that the donors could not help.
        if n_groups < 2 or n_groups == len(reg.is_positive):
            continue
        if (pd.Series(reg.is_positive).groupby(groups).nunique() == 1).all():
            notes.append(
                f"The {what} determines the label: each of the {n_groups:,} values of "
                f"obs[{key!r}] has only {reg.positive!r} or none of it. What tells {what} from "
                f"{what} tells the classes apart as well, so these metrics can't show that the "
                f"model reads {reg.positive!r} and not the {what}."
            )
    return notes
