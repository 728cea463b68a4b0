"""Which rows are held out together, and what that allows to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dtp_scvi._logging import warn
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import group_folds, leave_one_group_out

if TYPE_CHECKING:
    from dtp_scvi.model import Registration


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

    @property
    def interval(self) -> str:
        """What the bootstrap draws."""
        if self.donors is None:
            return "bootstrap over cells (optimistic: no two donors are known)"
        return f"bootstrap over {len(set(self.donors)):,} donors"


def make_plan(
    reg: Registration, *, n_folds: int, batch_folds: bool, cell_level: bool, seed: int | None
) -> Plan:
    """Split rows by donor, by batch, or, on request or for want of donors, by cell."""
    if batch_folds and cell_level:
        msg = problem("`batch_folds` or `cell_level`", "both", "Hold out batches or single cells.")
        raise ValueError(msg)
    donors = reg.donors if reg.donors is not None and len(set(reg.donors)) > 1 else None
    if batch_folds:
        folds, notes = _by_batch(reg, donors)
        inner = reg.batches if donors is None else donors
        protocol, optimistic = f"leave-one-batch-out ({len(folds)} batches)", False
    else:
        kept = None if cell_level else donors
        reason, notes = _why_by_cell(reg, donors)
        splits = group_folds(
            reg.labels.tolist(), None if kept is None else kept.tolist(), n_folds, seed=seed
        )
        folds = tuple(Fold(_names(kept, test), train, test) for train, test in splits)
        inner, optimistic = kept, kept is None
        protocol = f"donor-grouped {n_folds}-fold"
        if optimistic:
            protocol = f"cell-level {n_folds}-fold (optimistic: {reason})"
    notes += _confounded(reg, donors)
    for note in notes:
        warn(note)
    return Plan(folds, protocol, optimistic, inner, donors, tuple(notes))


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


def _by_batch(reg: Registration, donors: np.ndarray | None) -> tuple[tuple[Fold, ...], list[str]]:
    if reg.batches is None:
        msg = problem(
            "a `batch_key` at setup_anndata for batch_folds=True", "none", "Set it up with one."
        )
        raise ValueError(msg)
    splits = leave_one_group_out(reg.labels.tolist(), reg.batches.tolist())
    if donors is None:
        note = "Batches are held out, but no two donors are known: a donor may be in several."
        return tuple(Fold(*split) for split in splits), [note]
    folds, shared = [], 0
    for name, train, test in splits:
        known = np.isin(donors[train], donors[test])
        shared += int(known.sum())
        rest = train[~known]
        lost = sorted(set(reg.labels) - set(reg.labels[rest]))
        if lost:
            msg = problem(
                f"every class in donors that are not in batch {name!r}",
                f"none of {shorten(lost)}",
                "Donors run through the batches; leave `batch_folds` out.",
            )
            raise ValueError(msg)
        folds.append(Fold(name, rest, test))
    if not shared:
        return tuple(folds), []
    note = (
        "Some donors are in several batches; their cells were left out of training while one of "
        "their batches was tested."
    )
    return tuple(folds), [note]


def _confounded(reg: Registration, donors: np.ndarray | None) -> list[str]:
    """Say where knowing the donor or the batch is knowing the label."""
    notes = []
    for what, key, groups in (
        ("donor", reg.donor_key, donors),
        ("batch", reg.batch_key, reg.batches),
    ):
        if groups is None or len(set(groups)) < 2:
            continue
        n_groups = len(set(groups))
        if (pd.Series(reg.is_positive).groupby(groups).nunique() == 1).all():
            notes.append(
                f"The {what} determines the label: each of the {n_groups:,} values of "
                f"obs[{key!r}] has only {reg.positive!r} or none of it. What tells {what} from "
                f"{what} tells the classes apart as well, so these metrics can't show that the "
                f"model reads {reg.positive!r} and not the {what}."
            )
    return notes
