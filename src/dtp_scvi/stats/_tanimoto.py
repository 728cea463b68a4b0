"""Similarity of fingerprints."""

from __future__ import annotations

from typing import Final

import numpy as np

from dtp_scvi._validate import problem

_BLOCK: Final = 2**24


def tanimoto(first: np.ndarray, second: np.ndarray | None = None) -> np.ndarray:
    """
    Tanimoto similarity of fingerprints: what two share over what either has.

    For counts it is sum(min) / (sum(a) + sum(b) - sum(min)), which is the share of common bits
    where all values are 0 or 1.

    Parameters
    ----------
    first
        Bits or counts, molecules in rows: finite and not negative.
    second
        Other molecules with as many columns; ``None`` compares ``first`` with itself.

    Returns
    -------
    Similarities in [0, 1], float64, ``(len(first), len(second))``. Two empty fingerprints have a
    similarity of 0, as in RDKit.

    Raises
    ------
    ValueError
        Other than two dimensions, different numbers of columns, negative or missing values.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.stats import tanimoto
    >>> tanimoto(np.array([[1, 1, 0], [0, 1, 1]])).round(2).tolist()
    [[1.0, 0.33], [0.33, 1.0]]
    """
    a = _checked(first, "first")
    b = a if second is None else _checked(second, "second")
    if a.shape[1] != b.shape[1]:
        msg = problem(
            "fingerprints of one length",
            f"{a.shape[1]:,} and {b.shape[1]:,} columns",
            "Encode both sets of molecules with the same number of bits.",
        )
        raise ValueError(msg)
    binary = bool(((a == 0) | (a == 1)).all() and ((b == 0) | (b == 1)).all())
    common = a @ b.T if binary else _common(a, b)
    either = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - common
    return np.divide(common, either, out=np.zeros_like(common), where=either > 0)


def _checked(values: np.ndarray, name: str) -> np.ndarray:
    out = np.asarray(values, np.float64)
    if out.ndim != 2:
        msg = problem(f"`{name}` with molecules in rows", f"shape {out.shape}", "Reshape it.")
        raise ValueError(msg)
    if out.size and not (np.isfinite(out).all() and out.min() >= 0):
        msg = problem(
            f"finite values of at least 0 in `{name}`",
            "negative, missing or infinite ones",
            "Pass bits or counts.",
        )
        raise ValueError(msg)
    return out


def _common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out = np.empty((len(a), len(b)))
    step = max(1, _BLOCK // max(1, b.size))
    for start in range(0, len(a), step):
        rows = a[start : start + step, None, :]
        out[start : start + step] = np.minimum(rows, b[None]).sum(axis=2)
    return out
