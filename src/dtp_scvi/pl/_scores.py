"""Distribution of the score in groups of cells or samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import KEY_ADDED, SCORE_SUFFIX
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_key, check_positive_int, near_matches, problem
from dtp_scvi.pl._source import stored
from dtp_scvi.pl._style import BLUE, DARK, SMALL, VERMILLION, caution, dress, new_axes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_TOOL = "dtp.tl.score"
_BINS = np.linspace(0, 1, 41)


@docs.dedent
def scores(
    adata: AnnData,
    groupby: str,
    *,
    key: str = KEY_ADDED,
    order: Sequence[str] | None = None,
    max_points: int = 300,
    seed: int | None = 0,
    ax: Axes | None = None,
) -> Axes:
    r"""
    Draw the distribution of the score in each group, with the threshold.

    Parameters
    ----------
    adata
        Data that ``dtp.tl.score`` wrote to.
    groupby
        Column of ``obs`` whose values are the groups; rows without a group are left out.
    key
        The ``key_added`` of ``dtp.tl.score``.
    order
        Groups to draw, from top to bottom; default all, as categories or sorted.
    max_points
        At most so many rows of a group are drawn as points; the shape always counts all of them.
    seed
        Seed of the choice and the scatter of these points.
    %(ax)s

    Returns
    -------
    The axes: per group a histogram of the score, points, the median (white dot) and, where a
    threshold is stored, the share of rows at or above it.

    Raises
    ------
    KeyError
        No score under ``key``, no column ``groupby``, or a group of ``order`` that isn't there.
    ValueError
        No row has both a group and a score, or a score lies outside [0, 1].

    Examples
    --------
    >>> import anndata as ad
    >>> import numpy as np
    >>> import pandas as pd
    >>> import dtp_scvi as dtp
    >>> obs = pd.DataFrame({"state": ["a", "b"] * 20, "dtp_score": np.linspace(0, 1, 40)})
    >>> obs.index = obs.index.astype(str)
    >>> adata = ad.AnnData(np.zeros((40, 1)), obs=obs, uns={"dtp": {"threshold": {"value": 0.4}}})
    >>> ax = dtp.pl.scores(adata, "state")
    >>> [label.get_text().split()[0] for label in ax.get_yticklabels()]
    ['a', 'b']
    """
    check_positive_int(max_points, "max_points")
    info = stored(adata, key, _TOOL)
    column = f"{key}{SCORE_SUFFIX}"
    if column not in adata.obs:
        msg = problem(f"`adata.obs[{column!r}]`", "no such column", f"Run {_TOOL} first.")
        raise KeyError(msg)
    check_key(adata.obs, groupby, "adata.obs", "groupby")
    groups = _split(adata.obs, column, groupby, order)
    threshold = _threshold_in_force(info)
    ax = new_axes(ax, 3.4, max(1.6, 0.75 + 0.42 * len(groups)))
    rng = np.random.default_rng(seed)
    for row, values in enumerate(groups.values()):
        _draw_group(ax, row, values, max_points, rng)
    ax.set_yticks(
        range(len(groups)), labels=[f"{name}\nn = {len(v):,}" for name, v in groups.items()]
    )
    ax.set(xlim=(-0.02, 1.02), ylim=(len(groups) - 0.45, -0.75))
    if threshold is not None:
        _draw_threshold(ax, threshold, list(groups.values()))
    dress(ax, "Score", "")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    caution(ax, info, adata)
    return ax


def _split(
    obs: pd.DataFrame, column: str, groupby: str, order: Sequence[str] | None
) -> dict[str, NDArray[np.float64]]:
    """Scores of each group that has any, in the order to draw."""
    table = obs[[column, groupby]].dropna()
    if table.empty:
        msg = problem(
            f"rows with a score and a value of {groupby!r}", "none", "Pick another column."
        )
        raise ValueError(msg)
    if not table[column].between(0, 1).all():
        found = f"{table[column].min():g} to {table[column].max():g}"
        msg = problem(f"`adata.obs[{column!r}]` in [0, 1]", found, f"Run {_TOOL} again.")
        raise ValueError(msg)
    kind = table[groupby]
    present = [
        str(v)
        for v in (kind.cat.categories if hasattr(kind, "cat") else sorted(kind.unique(), key=str))
    ]
    labels = kind.astype(str).to_numpy()
    present = [name for name in present if (labels == name).any()]
    for name in order or ():
        if str(name) not in present:
            msg = problem(
                "`order` to name groups that hold rows", repr(name), near_matches(name, present)
            )
            raise KeyError(msg)
    chosen = present if order is None else [str(name) for name in order]
    return {name: table[column].to_numpy(dtype=np.float64)[labels == name] for name in chosen}


def _draw_group(
    ax: Axes, row: int, values: NDArray[np.float64], max_points: int, rng: np.random.Generator
) -> None:
    height, _ = np.histogram(values, _BINS)
    # A histogram, as a kernel density would leak over 0 and 1.
    ax.stairs(
        row - 0.6 * height / height.max(),
        _BINS,
        baseline=row,
        fill=True,
        facecolor=BLUE,
        edgecolor=BLUE,
        alpha=0.45,
        linewidth=0.5,
        zorder=2,
    )
    shown = values if len(values) <= max_points else rng.choice(values, max_points, replace=False)
    jitter = row + rng.uniform(0.06, 0.24, len(shown))
    ax.scatter(shown, jitter, s=3, color=DARK, alpha=0.35, linewidths=0, zorder=2)
    ax.plot(
        np.median(values), row, "o", color="white", markeredgecolor=BLUE, markersize=5, zorder=5
    )


def _threshold_in_force(info: Mapping[str, Any]) -> float | None:
    """Return the threshold that the calls follow; none where they are withheld or by group."""
    threshold = info.get("threshold")
    if "recalibration" in info:
        threshold = info["recalibration"].get("threshold")
    elif info.get("transfer", {}).get("verdict") == "rank_only":
        return None
    return None if threshold is None else float(threshold["value"])


def _draw_threshold(ax: Axes, value: float, groups: list[NDArray[np.float64]]) -> None:
    ax.axvline(value, color=VERMILLION, linestyle="--", linewidth=1.2, zorder=3)
    ax.text(
        value,
        -0.72,
        f" threshold {value:.2f} ",
        fontsize=SMALL,
        color=VERMILLION,
        ha="left" if value < 0.5 else "right",
        va="top",
        zorder=6,
    )
    beside: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "fontsize": SMALL}
    beside |= {"color": VERMILLION, "va": "center"}
    ax.text(1.03, -0.6, "share ≥", **beside)
    for row, values in enumerate(groups):
        ax.text(1.03, row, f"{np.mean(values >= value):.0%}", **beside)
