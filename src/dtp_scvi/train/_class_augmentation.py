"""Made-up training rows for classes of unequal size, and links between classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dtp_scvi._optional import require
from dtp_scvi._validate import check_positive_int, problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

AUGMENTATIONS: Final = ("vae", "smote")
_NEIGHBOURS = 5
# Of scATD: classes this near to each other are made equal and no more.
_NEAR = 0.3
_MAJOR, _LEAST, _MOST = 1.5, 1.2, 4.0


def augmentation_multipliers(n_major: int, n_minor: int) -> tuple[float, float]:
    """
    Return how many times its rows each of two classes should have after augmentation.

    Parameters
    ----------
    n_major, n_minor
        Rows of the larger and of the smaller class.

    Returns
    -------
    Multiplier of the larger and of the smaller class, both at least 1; 1 and 1 where the classes are equal.

    Raises
    ------
    ValueError
        When a class is empty, or the first is the smaller one.

    References
    ----------
    Zhou et al., scATD, doi:10.1093/bib/bbaf268, and the rule in the code released with it.

    Examples
    --------
    >>> from dtp_scvi.train import augmentation_multipliers
    >>> augmentation_multipliers(1160, 120)
    (1.0, 4.0)
    """
    check_positive_int(n_major, "n_major")
    check_positive_int(n_minor, "n_minor")
    if n_minor > n_major:
        msg = problem("n_major >= n_minor", f"{n_major:,} and {n_minor:,}", "Swap them.")
        raise ValueError(msg)
    if n_major - n_minor < _NEAR * n_major:
        return 1.0, n_major / n_minor
    minor = float(np.clip(_MAJOR * n_major / n_minor, _LEAST, _MOST))
    if minor * n_minor < 0.5 * _MAJOR * n_major:
        return 1.0, float(np.clip(n_major / n_minor, _LEAST, _MOST))
    return _MAJOR, minor


def augment_classes(
    rows: NDArray[np.float32],
    codes: NDArray[np.int64],
    method: str | None,
    seed: int,
    *,
    sample: Callable[[NDArray[np.float32], int], NDArray[np.float32]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """
    Add made-up rows to two classes, then drop those of the larger class in Tomek links.

    Parameters
    ----------
    rows
        Training rows alone, (n_rows, n_features).
    codes
        Class of each row, 0 or 1.
    method
        ``"vae"`` draws rows of a class with replacement and takes what ``sample`` makes of them, as
        often as :func:`augmentation_multipliers` says; ``"smote"`` puts rows between neighbours of
        the smaller class (Chawla et al., doi:10.1613/jair.953); ``None`` changes nothing.
    seed
        Seed of all draws.
    sample
        For ``"vae"``: rows and a seed to rows, a draw from the posterior of each, decoded.

    Returns
    -------
    Rows and their classes.

    Raises
    ------
    ImportError
        When imbalanced-learn is missing.
    ValueError
        When a class is absent, or has one row for ``"smote"``.
    """
    if method is None:
        return rows, codes
    links = require("imblearn.under_sampling", "resampling").TomekLinks()
    if method == "smote":
        fewest = int(np.bincount(codes, minlength=2).min())
        if fewest < 2:
            msg = problem(
                "two training rows or more of each class for SMOTE", f"{fewest}", "Use None."
            )
            raise ValueError(msg)
        smote = require("imblearn.over_sampling", "resampling").SMOTE(
            k_neighbors=min(_NEIGHBOURS, fewest - 1), random_state=seed
        )
        made, labels = smote.fit_resample(rows, codes)
    else:
        made, labels = _decoded(rows, codes, seed, sample)
    kept, labels = links.fit_resample(made, labels)
    return np.asarray(kept, np.float32), np.asarray(labels, np.int64)


def _decoded(
    rows: NDArray[np.float32],
    codes: NDArray[np.int64],
    seed: int,
    sample: Callable[[NDArray[np.float32], int], NDArray[np.float32]] | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if sample is None:
        msg = problem("a sampler for method='vae'", "none", "Pass `sample`.")
        raise ValueError(msg)
    counts = np.bincount(codes, minlength=2)
    major = int(counts.argmax())
    times = dict(
        zip(
            (major, 1 - major),
            augmentation_multipliers(int(counts[major]), int(counts[1 - major])),
            strict=True,
        )
    )
    rng = np.random.default_rng(seed)
    parts, labels = [rows], [codes]
    for code, multiplier in sorted(times.items()):
        n_new = int((multiplier - 1) * counts[code])
        drawn = rng.choice(np.flatnonzero(codes == code), n_new, replace=True)
        if n_new:
            parts.append(sample(rows[drawn], int(rng.integers(2**31))))
            labels.append(np.full(n_new, code))
    return np.concatenate(parts), np.concatenate(labels)
