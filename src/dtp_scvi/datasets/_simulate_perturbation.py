"""Simulated drug profiles in the manner of L1000, with a planted truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import (
    CELL_KEY,
    CONTROL_LABEL,
    DOSE_KEY,
    DRUG_KEY,
    IS_CONTROL_KEY,
    PLATE_KEY,
    SIMULATION_KEY,
    SMILES_KEY,
    TIME_KEY,
)
from dtp_scvi._validate import check_positive_int, check_range, problem
from dtp_scvi.datasets._genes import choose_genes
from dtp_scvi.datasets._simulate_perturbation_drugs import MOST_DRUGS, Library, draw_library
from dtp_scvi.datasets._truth import fixed_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

LOWEST: Final = 2.0
HIGHEST: Final = 15.0
_VEHICLE: Final = "CS(C)=O"
_N_PROGRAMMES: Final = 8
_N_STATES: Final = 4
_HILL: Final = 1.5
# Fast and slow programmes reach 63 % of their effect after these hours.
_TAU: Final = (2.0, 24.0)
_MODULATION: Final = 0.4
_CELL_SD: Final = 1.0


def simulate_perturbation(
    n_cells: int = 4,
    *,
    n_drugs: int = 60,
    n_genes: int = 100,
    doses: Sequence[float] = (0.1, 1.0, 10.0),
    times: Sequence[float] = (6.0, 24.0),
    n_replicates: int = 1,
    n_plates: int = 2,
    n_controls: int = 6,
    effect: float = 1.0,
    plate_sd: float = 0.3,
    noise_sd: float = 0.5,
    structure: bool = True,
    shuffle_smiles: bool = False,
    seed: int | None = 0,
) -> AnnData:
    """
    Simulate log2 profiles under drugs whose effect follows from their structure.

    Drugs are small molecules, a scaffold with two substituents. What a drug does to each of eight
    gene programmes is a sum over these fragments; the dose acts by a Hill curve whose midpoint
    is such a sum, too; each programme saturates in time at a rate of its own; and a cell line
    scales programmes by what its untreated profile shows. Every drug is tried in every line, at
    every dose and time.

    Parameters
    ----------
    n_cells
        Number of cell lines.
    n_drugs
        Number of drugs, up to 1,260.
    n_genes
        Number of genes.
    doses
        Doses in µM, above 0.
    times
        Durations in hours, above 0.
    n_replicates
        Wells of each drug, dose, line and time; replicates lie on different plates where there
        are as many.
    n_plates
        Plates of each line and time.
    n_controls
        DMSO wells on each plate.
    effect
        Standard deviation of a gene's change over drugs, at full dose and time, in log2.
    plate_sd
        Standard deviation of a gene's shift between plates, shared by all wells of a plate.
    noise_sd
        Standard deviation of a single well.
    structure
        False draws the effect of each drug independently of its structure.
    shuffle_smiles
        Give every drug the SMILES of another one; effects stay.
    seed
        Seed of the simulation; ``None`` draws one and records it.

    Returns
    -------
    Annotated data, wells x genes, float32, with

    ``X``
        Simulated log2 intensities, cut at 2 and 15.
    ``layers["truth"]``
        The change by the drug without any noise, before the cut; 0 for controls.
    ``obs``
        ``"drug"`` (``"DMSO"`` for controls), ``"smiles"``, ``"dose"`` (µM, 0 for controls),
        ``"time"`` (h), ``"cell"``, ``"plate"``, ``"is_control"``.
    ``varm["true_loadings"]``
        Change of each gene by each programme.
    ``uns["dtp_simulation"]``
        ``"simulated"``, ``"generator"``, ``"version"``, ``"seed"``, ``"parameters"``,
        ``"drugs"`` (SMILES as shown, fragments as they act, EC50), ``"effects"`` (drugs x
        programmes), ``"modulation"`` (cell lines x programmes), ``"tau"`` (hours).

    Raises
    ------
    ValueError
        When a number is out of range.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> adata = dtp.datasets.simulate_perturbation(2, n_drugs=5, n_genes=20)
    >>> adata.shape, int(adata.obs["is_control"].sum())
    ((108, 20), 48)
    >>> bool((adata.layers["truth"][adata.obs["is_control"]] == 0).all())
    True
    """
    sizes = {
        "n_cells": n_cells,
        "n_drugs": n_drugs,
        "n_genes": n_genes,
        "n_replicates": n_replicates,
        "n_plates": n_plates,
        "n_controls": n_controls,
    }
    spreads = {"effect": effect, "plate_sd": plate_sd, "noise_sd": noise_sd}
    _check(sizes, spreads)
    dose, time = _levels(doses, "doses"), _levels(times, "times")
    used = fixed_seed(seed)
    rng = np.random.default_rng(used)
    library = draw_library(
        n_drugs,
        _N_PROGRAMMES,
        float(np.log10(dose).mean()),
        structure=structure,
        shuffle=shuffle_smiles,
        rng=rng,
    )
    state = rng.standard_normal((n_cells, _N_STATES))
    mixing = rng.standard_normal((_N_STATES, _N_PROGRAMMES)) / np.sqrt(_N_STATES)
    modulation = 1 + _MODULATION * state @ mixing
    loadings = effect * rng.standard_normal((_N_PROGRAMMES, n_genes)) / np.sqrt(_N_PROGRAMMES)
    tau = np.geomspace(*_TAU, _N_PROGRAMMES)
    wells = _wells(n_cells, n_drugs, dose, time, n_replicates, n_plates, n_controls)
    truth = _truth(wells, library, modulation, loadings, tau)
    markers = rng.standard_normal((_N_STATES, n_genes)) / np.sqrt(_N_STATES)
    basal = rng.uniform(5.5, 11.0, n_genes) + _CELL_SD * state @ markers
    shift = rng.normal(0, plate_sd, (wells["plate"].max() + 1, n_genes))
    noise = rng.normal(0, noise_sd, truth.shape)
    values = basal[wells["cell"]] + shift[wells["plate"]] + truth + noise
    record: dict[str, Any] = {
        "simulated": True,
        "generator": "dtp_scvi.datasets.simulate_perturbation",
        "version": __version__,
        "seed": used,
        "parameters": {
            **sizes,
            **spreads,
            "doses": dose,
            "times": time,
            "structure": structure,
            "shuffle_smiles": shuffle_smiles,
        },
        "drugs": library.table,
        "effects": library.effects,
        "modulation": modulation,
        "tau": tau,
    }
    return AnnData(
        np.clip(values, LOWEST, HIGHEST).astype(np.float32),
        obs=_obs(wells, library, n_cells),
        var=pd.DataFrame(index=pd.Index(choose_genes(n_genes))),
        varm={"true_loadings": loadings.T.copy()},
        layers={"truth": truth.astype(np.float32)},
        uns={SIMULATION_KEY: record},
    )


def _check(sizes: dict[str, int], spreads: dict[str, float]) -> None:
    for name, size in sizes.items():
        check_positive_int(size, name)
    check_range(sizes["n_drugs"], "n_drugs", 2, MOST_DRUGS)
    for name, value in spreads.items():
        check_range(value, name, 0.0, 10.0)


def _levels(values: Sequence[float], name: str) -> np.ndarray:
    levels = np.atleast_1d(np.asarray(values, np.float64))
    if not levels.size or len(np.unique(levels)) < levels.size:
        msg = problem(f"different values in `{name}`", repr(values), "List each value once.")
        raise ValueError(msg)
    for level in levels:
        check_range(float(level), name, 0.0, inclusive=False)
    return np.sort(levels)


def _wells(
    n_cells: int,
    n_drugs: int,
    dose: np.ndarray,
    time: np.ndarray,
    n_replicates: int,
    n_plates: int,
    n_controls: int,
) -> dict[str, np.ndarray]:
    """Lay out all wells; the drug of a control is -1."""
    cell, hours, drug, level, replicate = (
        grid.ravel()
        for grid in np.meshgrid(
            *(np.arange(n) for n in (n_cells, len(time), n_drugs, len(dose), n_replicates)),
            indexing="ij",
        )
    )
    # Neighbouring drugs, and replicates of one, lie on different plates.
    plate = (cell * len(time) + hours) * n_plates + (drug + replicate) % n_plates
    every = np.repeat(np.arange(n_cells * len(time) * n_plates), n_controls)
    block = every // n_plates
    return {
        "cell": np.concatenate([block // len(time), cell]),
        "time": time[np.concatenate([block % len(time), hours])],
        "drug": np.concatenate([np.full(len(every), -1), drug]),
        "dose": np.concatenate([np.zeros(len(every)), dose[level]]),
        "plate": np.concatenate([every, plate]),
    }


def _truth(
    wells: dict[str, np.ndarray],
    library: Library,
    modulation: np.ndarray,
    loadings: np.ndarray,
    tau: np.ndarray,
) -> np.ndarray:
    drug, dose = wells["drug"], wells["dose"]
    # A dose of 0 has no logarithm; controls get no effect below.
    ratio = np.log10(np.where(dose > 0, dose, 1.0)) - library.log_ec50[drug]
    hill = np.where(drug >= 0, 1 / (1 + 10 ** (-_HILL * ratio)), 0.0)
    reached = 1 - np.exp(-wells["time"][:, None] / tau)
    programmes = library.effects[drug] * modulation[wells["cell"]] * reached
    return np.asarray(hill[:, None] * (programmes @ loadings))


def _obs(wells: dict[str, np.ndarray], library: Library, n_cells: int) -> pd.DataFrame:
    is_control = wells["drug"] < 0
    n_plates = int(wells["plate"].max()) + 1
    cells = [f"cell_{i:0{len(str(n_cells))}d}" for i in range(1, n_cells + 1)]
    plates = [f"plate_{i:0{len(str(n_plates))}d}" for i in range(1, n_plates + 1)]
    names = [*library.table.index, CONTROL_LABEL]
    smiles = np.array([*library.table["smiles"], _VEHICLE], dtype=object)
    width = len(str(len(is_control)))
    return pd.DataFrame(
        {
            DRUG_KEY: pd.Categorical.from_codes(
                np.where(is_control, len(names) - 1, wells["drug"]), names
            ),
            # The last entry, which -1 points to, is the vehicle.
            SMILES_KEY: pd.Categorical(smiles[wells["drug"]]),
            DOSE_KEY: wells["dose"],
            TIME_KEY: wells["time"],
            CELL_KEY: pd.Categorical.from_codes(wells["cell"], cells),
            PLATE_KEY: pd.Categorical.from_codes(wells["plate"], plates),
            IS_CONTROL_KEY: is_control,
        },
        index=pd.Index([f"well_{i:0{width}d}" for i in range(1, len(is_control) + 1)]),
    )
