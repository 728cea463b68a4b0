"""Simulated scores of labelled cells from donors that differ, for the benchmarks of ``stats``."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Cohort:
    """Scores, labels and donors of cells."""

    score: NDArray[np.float64]
    label: NDArray[np.bool_]
    donor: NDArray[np.intp]


def draw_cohort(
    rng: np.random.Generator,
    n_donors: int,
    n_cells: int,
    *,
    prevalence: float = 0.3,
    donor_sd: float = 0.3,
    apart: float = 3.0,
    shift: float = 0.0,
    stretch: float = 1.0,
) -> Cohort:
    """
    Draw donors that differ in size, prevalence and level of the score.

    Donors hold ``n_cells`` on average (half to one and a half of it). Within a class the score is
    normal with standard deviation 1.2 about -/+ ``apart`` / 2 plus an effect of the donor of
    standard deviation ``donor_sd``; ``stretch`` and ``shift`` then move all scores, which is the
    planted covariate shift. The prevalence of a donor is beta-distributed with 8 pseudo-cells.
    """
    donor = np.repeat(
        np.arange(n_donors), rng.integers(n_cells // 2, n_cells * 3 // 2 + 1, n_donors)
    )
    effect = rng.normal(0, donor_sd, n_donors)[donor]
    chance = rng.beta(8 * prevalence, 8 * (1 - prevalence), n_donors)[donor]
    label = rng.random(len(donor)) < chance
    score = 1.2 * rng.normal(size=len(donor)) + np.where(label, apart, -apart) / 2 + effect
    return Cohort(stretch * score + shift, label, donor)


def parser(description: str) -> argparse.ArgumentParser:
    """Return the options that both scripts share."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--json", type=Path, help="write the numbers to this file")
    options.add_argument("--cohorts", type=int, default=200)
    options.add_argument("--cells", type=int, default=200, help="mean number of cells of a donor")
    options.add_argument("--donor-sd", type=float, default=0.3)
    options.add_argument("--seed", type=int, default=0)
    return options


def read(options: argparse.ArgumentParser, given: list[str] | None) -> argparse.Namespace:
    """Read the command line; a bad output path ends it before any work."""
    found = options.parse_args(given)
    if found.json is not None and not found.json.absolute().parent.is_dir():
        options.error(f"no folder {found.json.absolute().parent} to write --json into")
    return found


def report(found: dict[str, Any], path: Path | None) -> None:
    """Print the numbers, and write them where asked."""
    for name, value in found.items():
        print(f"{name:40} {value if isinstance(value, dict | str) else f'{value:.4g}'}")
    if path is not None:
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
