"""Measure what tells the scale of an expression matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp

# Beyond this the exponential of a value has no meaning as an expression level.
_MAX_EXPONENT = 60.0
# Rows that are looked at one by one, spread over the sample.
_SINGLE_ROWS = 128
_LATTICE_RATIO = (1.5, 30.5)
_LATTICE_TOLERANCE = 0.02

Evidence = dict[str, Any]


def measure(sample: sp.csr_matrix) -> Evidence:
    """
    Measure the sampled rows.

    Parameters
    ----------
    sample
        Rows as float64.

    Returns
    -------
    ``n_rows``, ``n_vars``, ``n_not_finite``, ``n_stored`` (nonzero values), ``min``, ``max``; of
    the nonzero values ``share_integer`` and ``rounded`` (all have three decimals at most); of all
    values ``share_negative`` and ``share_zero``; ``row_median`` (median over some rows of the
    median nonzero value), ``at_floor`` (the same of the share of a row's nonzero values that tie
    with its smallest one, itself not counted); median and coefficient of variation of the row sums of ``x`` (``sum_*``),
    ``expm1(x)`` (``expm1_sum_*``), ``2**x - 1`` (``exp2_sum_*``) and ``expm1(expm1(x))``
    (``double_sum_*``); ``expm1_max`` and ``exp2_max``; ``expm1_integer`` and ``exp2_integer``, the
    share of whole numbers after the inverse; ``lattice``, ``expm1_lattice``, ``exp2_lattice`` and
    ``double_lattice``, the share of values that are whole multiples of their row's smallest value
    after each inverse, which holds for counts divided by anything per row; ``column_mean`` and
    ``column_sd``, medians over columns, and ``share_centred``, the share of varying columns whose
    mean is within half a deviation of zero. ``nan`` where undefined.
    """
    sample.eliminate_zeros()
    values = sample.data
    finite = np.isfinite(values)
    n_cells = sample.shape[0] * sample.shape[1]
    evidence: Evidence = {
        "n_rows": int(sample.shape[0]),
        "n_vars": int(sample.shape[1]),
        "n_not_finite": int(values.size - finite.sum()),
        "n_stored": int(values.size),
    }
    if not values.size or not finite.all():
        return evidence
    evidence |= {
        "min": float(min(values.min(), 0.0) if values.size < n_cells else values.min()),
        "max": float(values.max()),
        "share_integer": float(np.mean(values == np.rint(values))),
        "rounded": bool((np.abs(values * 1e3 - np.rint(values * 1e3)) < 1e-3).all()),
        "share_negative": float(np.mean(values < 0) * values.size / n_cells),
        "share_zero": 1.0 - values.size / n_cells,
        "row_median": _row_median(sample),
        "at_floor": _at_floor(sample),
    }
    evidence |= _sums(sample, "sum") | {"lattice": lattice(sample)}
    for name, inverse, limit in (
        ("expm1", np.expm1, _MAX_EXPONENT),
        ("exp2", lambda x: np.expm1(x * math.log(2.0)), _MAX_EXPONENT),
        ("double", lambda x: np.expm1(np.expm1(x)), math.log(_MAX_EXPONENT)),
    ):
        possible = evidence["min"] >= 0 and evidence["max"] < limit
        evidence |= _after(sample, name, inverse) if possible else _undefined(name)
    return evidence | _columns(sample)


def _after(sample: sp.csr_matrix, name: str, inverse: Any) -> Evidence:
    linear = sp.csr_matrix((inverse(sample.data), sample.indices, sample.indptr), sample.shape)
    near = np.abs(linear.data - np.rint(linear.data)) < 1e-3 * np.maximum(1.0, linear.data)
    small = linear.data < 100
    return _sums(linear, f"{name}_sum") | {
        f"{name}_max": float(linear.data.max()),
        f"{name}_integer": float(near[small].mean()) if small.any() else math.nan,
        f"{name}_lattice": lattice(linear),
    }


def _undefined(name: str) -> Evidence:
    parts = ("sum_median", "sum_cv", "max", "integer", "lattice")
    return {f"{name}_{part}": math.nan for part in parts}


def _sums(matrix: sp.csr_matrix, name: str) -> Evidence:
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    sums = sums[np.diff(matrix.indptr) > 0]
    mean = float(sums.mean()) if sums.size else math.nan
    return {
        f"{name}_median": float(np.median(sums)) if sums.size else math.nan,
        f"{name}_cv": float(sums.std() / mean) if mean and math.isfinite(mean) else math.nan,
    }


def _row_median(sample: sp.csr_matrix) -> float:
    return float(np.median([np.median(row) for row in _single_rows(sample) if row.size]))


def _at_floor(sample: sp.csr_matrix) -> float:
    rows = [row for row in _single_rows(sample) if row.size]
    return float(np.median([np.mean(row == row.min()) - 1 / row.size for row in rows]))


def _single_rows(matrix: sp.csr_matrix) -> list[np.ndarray]:
    step = -(-matrix.shape[0] // _SINGLE_ROWS)
    starts, stops = matrix.indptr[:-1:step], matrix.indptr[1::step]
    return [matrix.data[start:stop] for start, stop in zip(starts, stops, strict=True)]


def lattice(matrix: sp.csr_matrix) -> float:
    """Return the share of values that are whole multiples of the smallest value of their row."""
    shares = []
    for values in _single_rows(matrix):
        if values.size < 2 or values.min() <= 0:
            continue
        ratio = values / values.min()
        ratio = ratio[(ratio > _LATTICE_RATIO[0]) & (ratio < _LATTICE_RATIO[1])]
        if ratio.size >= 5:
            shares.append(float(np.mean(np.abs(ratio - np.rint(ratio)) < _LATTICE_TOLERANCE)))
    return float(np.median(shares)) if shares else math.nan


def _columns(sample: sp.csr_matrix) -> Evidence:
    n_rows = sample.shape[0]
    mean = np.asarray(sample.sum(axis=0)).ravel() / n_rows
    square = np.asarray(sample.multiply(sample).sum(axis=0)).ravel() / n_rows
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    varying = spread > 0
    centred = np.abs(mean[varying]) < 0.5 * spread[varying]
    return {
        "column_mean": float(np.median(mean)),
        "column_sd": float(np.median(spread)),
        "share_centred": float(centred.mean()) if centred.size else 0.0,
    }
