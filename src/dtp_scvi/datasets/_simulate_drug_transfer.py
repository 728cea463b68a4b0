"""Simulated cell lines and cells with one planted response and a planted shift between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi import __version__
from dtp_scvi._constants import (
    COUNTS_LAYER,
    LN_IC50_KEY,
    RESISTANT,
    RESPONSE_KEY,
    SENSITIVE,
    SIMULATION_KEY,
    TARGET_SUM,
)
from dtp_scvi._validate import check_one_of, check_positive_int, check_range
from dtp_scvi.datasets._genes import choose_genes
from dtp_scvi.datasets._truth import fixed_seed
from dtp_scvi.stats import auroc

Shift = Literal["none", "affine", "nonaffine"]
DRUG: Final = "simulated drug"
SHIFTS: Final = ("none", "affine", "nonaffine")
_PROGRAMMES: Final = 6
_LEVEL: Final = (9.0, 0.8)
_LOADING: Final = 0.35
_SAMPLE_SD: Final = 0.15
# Counts a gene and cell.
_DEPTH: Final = 10.0
# Logarithms of the scales of genes in cells: some genes hardly vary.
_LOG_SCALE: Final = (-4.0, 0.2)
# How far the programme that only cells have lies along the planted response.
_OVERLAP: Final = 0.5
# Its size against that of the response programme.
_OWN_SIZE: Final = 4.0


@dataclass(frozen=True)
class _Biology:
    """What lines and cells share."""

    level: np.ndarray
    response: np.ndarray
    loadings: np.ndarray


def simulate_drug_transfer(
    n_lines: int = 300,
    n_cells: int = 400,
    *,
    n_genes: int = 200,
    n_signal_genes: int = 15,
    shift: Shift = "affine",
    strength: float = 1.0,
    effect: float = 2.5,
    prevalence: tuple[float, float] = (0.7, 0.5),
    seed: int | None = 0,
) -> tuple[AnnData, AnnData]:
    """
    Simulate bulk lines with drug response and cells whose response is to be predicted.

    Lines and cells share levels of genes, six programmes and one response programme; a resistant
    row has more of the latter. Then the cells, and only they, are shifted.

    Parameters
    ----------
    n_lines, n_cells
        Rows of each.
    n_genes
        Genes, the same in both.
    n_signal_genes
        Genes of the response programme, up or down.
    shift
        ``"none"``; ``"affine"``: every gene has a scale and an offset of its own in cells, which
        matching means and standard deviations undoes; ``"nonaffine"``: cells have a programme that
        lines lack and that overlaps with the response, a power of its own for each gene's rate, and
        counts of a finite depth, so that values drop out. No map of single genes undoes that.
    strength
        Factor on the shift, 0 to 2; for ``"nonaffine"`` counting noise stays at 0.
    effect
        Distance of the classes in standard deviations of the hidden response.
    prevalence
        Share of resistant rows among lines and among cells.
    seed
        Seed; ``None`` draws one and records it. The same seed gives the same lines for all shifts.

    Returns
    -------
    Lines and cells. Lines are as :func:`read_gdsc` returns them, with one drug,
    ``"simulated drug"``, in ``obsm["ln_ic50"]`` and ``obsm["response"]``; a tenth was not
    measured. Cells have ``obs["response"]`` (``"resistant"`` or ``"sensitive"``), ``"sample"``
    (six) and ``"true_response"``, the hidden number; ``layers["counts"]`` where the shift is not
    affine. ``X`` is dense float32 of logarithms. ``var["true_loading"]`` of both: change per
    standard deviation of the hidden response. ``uns["dtp_simulation"]``: ``"simulated"``,
    ``"generator"``, ``"version"``, ``"seed"``, ``"parameters"``, and ``"oracle_auroc"`` of the
    hidden number.

    Raises
    ------
    ValueError
        When a number is out of range or ``shift`` is none of these.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> lines, cells = dtp.datasets.simulate_drug_transfer(60, 80, shift="nonaffine")
    >>> lines.shape, cells.shape
    ((60, 200), (80, 200))
    >>> cells.uns["dtp_simulation"]["oracle_auroc"] > 0.9
    True
    """
    _check(n_lines, n_cells, n_genes, n_signal_genes, shift, strength, effect, prevalence)
    used = fixed_seed(seed)
    shared, bulk_rng, cell_rng, shift_rng = map(
        np.random.default_rng, np.random.SeedSequence(used).spawn(4)
    )
    biology = _biology(n_genes, n_signal_genes, shared)
    record: dict[str, Any] = {
        "simulated": True,
        "generator": "dtp_scvi.datasets.simulate_drug_transfer",
        "version": __version__,
        "seed": used,
        "parameters": {
            "n_lines": n_lines,
            "n_cells": n_cells,
            "n_genes": n_genes,
            "n_signal_genes": n_signal_genes,
            "shift": shift,
            "strength": strength,
            "effect": effect,
            "prevalence": np.array(prevalence),
        },
    }
    var = pd.DataFrame({"true_loading": biology.response}, index=pd.Index(choose_genes(n_genes)))
    lines = _lines(biology, n_lines, prevalence[0], effect, bulk_rng)
    cells = _cells(biology, n_cells, prevalence[1], effect, cell_rng)
    _shift(cells, biology, shift, strength, shift_rng)
    for adata in (lines, cells):
        truth = adata.obs["true_resistant"].to_numpy()
        adata.var = var.copy()
        adata.X = np.asarray(adata.X, np.float32)
        adata.uns[SIMULATION_KEY] = {
            **record,
            "oracle_auroc": auroc(truth, adata.obs["true_response"]),
        }
        del adata.obs["true_resistant"]
    return lines, cells


def _check(
    n_lines: int,
    n_cells: int,
    n_genes: int,
    n_signal_genes: int,
    shift: str,
    strength: float,
    effect: float,
    prevalence: tuple[float, float],
) -> None:
    for name, value in (("n_lines", n_lines), ("n_cells", n_cells)):
        check_positive_int(value, name)
        check_range(value, name, 20)
    check_positive_int(n_genes, "n_genes")
    check_range(n_signal_genes, "n_signal_genes", 1, n_genes)
    check_one_of(shift, SHIFTS, "shift")
    check_range(strength, "strength", 0.0, 2.0)
    check_range(effect, "effect", 0.0, 10.0)
    for share in prevalence:
        check_range(share, "prevalence", 0.05, 0.95)


def _biology(n_genes: int, n_signal: int, rng: np.random.Generator) -> _Biology:
    level = rng.normal(*_LEVEL, n_genes)
    response = np.zeros(n_genes)
    chosen = rng.choice(n_genes, n_signal, replace=False)
    response[chosen] = _LOADING * rng.choice([-1.0, 1.0], n_signal)
    member = rng.random((_PROGRAMMES, n_genes)) < 0.25
    return _Biology(level, response, member * rng.normal(0, 0.6, (_PROGRAMMES, n_genes)))


def _rows(
    biology: _Biology, n: int, share: float, effect: float, rng: np.random.Generator
) -> tuple[np.ndarray, pd.DataFrame]:
    """Draw log expression, and the hidden response with its class."""
    n_resistant = min(max(round(share * n), 1), n - 1)
    resistant = rng.permutation(np.arange(n) < n_resistant)
    hidden = effect * (resistant - 0.5) + rng.standard_normal(n)
    activity = rng.standard_normal((n, _PROGRAMMES))
    noise = 0.6 * rng.standard_normal((n, len(biology.level)))
    x = biology.level + np.outer(hidden, biology.response) + activity @ biology.loadings + noise
    return x, pd.DataFrame({"true_response": hidden, "true_resistant": resistant})


def _named(prefix: str, n: int) -> pd.Index:
    width = len(str(n))
    return pd.Index([f"{prefix}_{i:0{width}d}" for i in range(1, n + 1)])


def _lines(
    biology: _Biology, n: int, share: float, effect: float, rng: np.random.Generator
) -> AnnData:
    x, obs = _rows(biology, n, share, effect, rng)
    obs.index = _named("line", n)
    measured = rng.permutation(np.arange(n) >= n // 10)
    # A cut of a noisy IC50, as screens have it, would blur the planted classes: IC50 only follows.
    ic50 = np.where(measured, 2.0 + obs["true_response"] + 0.3 * rng.standard_normal(n), np.nan)
    word = np.where(obs["true_resistant"], RESISTANT, SENSITIVE)
    words = pd.Series(word, dtype=object).where(measured)
    label = pd.Categorical(words, categories=[RESISTANT, SENSITIVE])
    return AnnData(
        np.clip(x, 0, None),
        obs=obs,
        obsm={
            LN_IC50_KEY: pd.DataFrame({DRUG: ic50}, index=obs.index),
            RESPONSE_KEY: pd.DataFrame({DRUG: label}, index=obs.index),
        },
    )


def _cells(
    biology: _Biology, n: int, share: float, effect: float, rng: np.random.Generator
) -> AnnData:
    x, obs = _rows(biology, n, share, effect, rng)
    obs.index = _named("cell", n)
    sample = rng.permutation(np.arange(n) % 6)
    x += (_SAMPLE_SD * rng.standard_normal((6, x.shape[1])))[sample]
    obs[RESPONSE_KEY] = pd.Categorical(np.where(obs["true_resistant"], RESISTANT, SENSITIVE))
    obs["sample"] = pd.Categorical([f"sample_{i + 1}" for i in sample])
    return AnnData(x, obs=obs)


def _shift(
    cells: AnnData, biology: _Biology, shift: str, strength: float, rng: np.random.Generator
) -> None:
    x = np.asarray(cells.X)
    if shift == "nonaffine":
        counts = _counts(x, biology, strength, rng)
        cells.layers[COUNTS_LAYER] = counts.astype(np.float32)
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        cells.X = np.log1p(TARGET_SUM * counts / total)
        return
    if shift == "affine":
        scale = np.exp(strength * rng.uniform(*_LOG_SCALE, x.shape[1]))
        spread = x.std(axis=0)
        offset = biology.level + strength * rng.normal(0, 2, x.shape[1])
        # High enough that nothing has to be cut off at 0, which would not be affine.
        offset = np.maximum(offset, 5 * scale * spread)
        x = offset + scale * (x - biology.level)
    cells.X = np.clip(x, 0, None)


def _counts(
    x: np.ndarray, biology: _Biology, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """Add a programme of cells, bend each gene's rate, and count at a finite depth."""
    n_cells, n_genes = x.shape
    size = float(np.linalg.norm(biology.response))
    own = rng.standard_normal(n_genes) * (rng.random(n_genes) < 0.4)
    direction = _OVERLAP * biology.response / size + np.sqrt(1 - _OVERLAP**2) * own / max(
        float(np.linalg.norm(own)), 1e-12
    )
    x = x + _OWN_SIZE * strength * size * np.outer(rng.standard_normal(n_cells), direction)
    power = np.exp(strength * rng.uniform(-0.6, 0.4, n_genes))
    rate = np.exp(power * (x - biology.level) + 1.2 * (biology.level - biology.level.mean()))
    share = rate / rate.sum(axis=1, keepdims=True)
    depth = _DEPTH * n_genes * rng.lognormal(0, 0.4, n_cells)
    return rng.poisson(share * depth[:, None])
