"""Divide the control wells of each plate into those for input and those for scoring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import rows_as_array

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Layout:
    """Name, part, plate and cell line of each row."""

    names: NDArray[Any]
    is_control: NDArray[np.bool_]
    plate: NDArray[Any]
    cell: NDArray[Any]

    def groups(self) -> tuple[NDArray[np.intp], list[tuple[str, str]]]:
        """Number the pairs of cell line and plate, in sorted order."""
        pairs = pd.MultiIndex.from_arrays([self.cell.astype(str), self.plate.astype(str)])
        codes, levels = pd.factorize(pairs, sort=True)
        return codes, [(str(cell), str(plate)) for cell, plate in levels]


@dataclass(frozen=True)
class Pairing:
    """What is written: profiles, the part of each row, and the numbers of wells."""

    control: NDArray[np.float32]
    scoring: NDArray[np.float32]
    role: NDArray[Any]
    is_control: NDArray[np.bool_]
    plates: pd.DataFrame


def from_plates(
    adata: AnnData,
    layout: Layout,
    layer: str | None,
    *,
    how: str,
    scoring_share: float,
    fallback: Any,
    no_scoring: Any,
    seed: int | None,
) -> Pairing:
    """Draw the wells of each plate apart and average them."""
    codes, levels = layout.groups()
    rng = np.random.default_rng(seed)
    wells = _wells_by_group(layout, codes, len(levels))
    treated = np.bincount(codes[~layout.is_control], minlength=len(levels))
    sides = _divide(wells, scoring_share, rng)
    if fallback == "cell":
        _fall_back(wells, sides, levels, scoring_share, rng)
    _check_sides(sides, treated, levels, fallback=fallback, no_scoring=no_scoring)
    role = np.where(layout.is_control, "unused", "treated").astype(object)
    for inputs, scoring in sides:
        role[inputs], role[scoring] = "input", "scoring"
    at = np.flatnonzero(layout.is_control)
    values = rows_as_array(adata, layer, at)
    row_of = np.full(adata.n_obs, -1)
    row_of[at] = np.arange(len(at))
    control = np.full((adata.n_obs, adata.n_vars), np.nan, np.float32)
    scoring = control.copy()
    for code, side in enumerate(sides):
        rows = np.flatnonzero(codes == code)
        control[rows] = _input(values, row_of[side[0]], rows, layout.names, how, rng)
        if len(side[1]):
            scoring[rows] = _mean(values[row_of[side[1]]])
    return Pairing(
        control, scoring, role, layout.is_control, _table(levels, treated, wells, sides)
    )


def _wells_by_group(layout: Layout, codes: NDArray[Any], n: int) -> list[NDArray[Any]]:
    at = np.flatnonzero(layout.is_control)
    # In the order of their names, so that a draw does not depend on the order of rows.
    at = at[np.argsort(layout.names[at], kind="stable")]
    return [at[codes[at] == code] for code in range(n)]


_Sides = list[tuple["NDArray[Any]", "NDArray[Any]"]]


def _divide(wells: list[NDArray[Any]], share: float, rng: np.random.Generator) -> _Sides:
    return [_halves(group, share, rng) for group in wells]


def _halves(
    group: NDArray[Any], share: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    n = len(group)
    drawn = group[rng.permutation(n)]
    k = int(np.clip(round(share * n), 1, n - 1)) if n > 1 else 0
    return drawn[k:], drawn[:k]


def _fall_back(
    wells: list[NDArray[Any]],
    sides: _Sides,
    levels: list[tuple[str, str]],
    share: float,
    rng: np.random.Generator,
) -> None:
    """Give plates with fewer than two wells all wells of their cell line, still in two sides."""
    for cell in dict.fromkeys(cell for cell, _ in levels):
        members = [i for i, level in enumerate(levels) if level[0] == cell]
        short = [i for i in members if len(wells[i]) < 2]
        if not short:
            continue
        full = [sides[i] for i in members if i not in short]
        # Single wells of short plates are drawn apart as if they were a plate.
        spare = _halves(np.concatenate([wells[i] for i in short]), share, rng)
        pooled = tuple(np.concatenate([side[k] for side in (*full, spare)]) for k in (0, 1))
        for i in short:
            sides[i] = (pooled[0], pooled[1])


def _check_sides(
    sides: _Sides,
    treated: NDArray[Any],
    levels: list[tuple[str, str]],
    *,
    fallback: Any,
    no_scoring: Any,
) -> None:
    needed = [i for i in range(len(levels)) if treated[i]]
    none = [_call(levels[i]) for i in needed if not len(sides[i][0])]
    if none:
        todo = 'Add control wells, drop these plates, or pass fallback="cell".'
        if fallback == "cell":
            todo = "Their cell lines have none either: add control wells or drop these rows."
        msg = problem("control wells on every plate", f"none on {shorten(none)}", todo)
        raise ValueError(msg)
    one = [_call(levels[i]) for i in needed if not len(sides[i][1])]
    if one and no_scoring == "error":
        todo = (
            'Pass fallback="cell" to use other plates of the cell line, or no_scoring="nan" to go '
            "without independent controls there."
        )
        msg = problem(
            "at least two control wells on every plate, one of them for scoring alone",
            f"one on {shorten(one)}",
            todo,
        )
        raise ValueError(msg)


def _call(level: tuple[str, str]) -> str:
    cell, plate = level
    return repr(plate) if cell == "all" else f"{plate!r} ({cell})"


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.mean(axis=0, dtype=np.float64).astype(np.float32)


def _input(
    values: NDArray[np.float32],
    wells: NDArray[Any],
    rows: NDArray[Any],
    names: NDArray[Any],
    how: str,
    rng: np.random.Generator,
) -> Any:
    if not len(wells):
        return np.nan
    if how == "plate_mean":
        return _mean(values[wells])
    drawn = np.empty(len(rows), np.intp)
    drawn[np.argsort(names[rows], kind="stable")] = rng.integers(len(wells), size=len(rows))
    return values[wells[drawn]]


def _table(
    levels: list[tuple[str, str]], treated: NDArray[Any], wells: list[NDArray[Any]], sides: _Sides
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell": [cell for cell, _ in levels],
            "plate": [plate for _, plate in levels],
            "n_treated": treated,
            "n_control": [len(group) for group in wells],
            "n_input": [len(side[0]) for side in sides],
            "n_scoring": [len(side[1]) for side in sides],
        },
        index=[str(i) for i in range(len(levels))],
    )
