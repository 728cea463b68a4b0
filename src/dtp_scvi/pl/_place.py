"""Put legends and labels where no line is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from dtp_scvi.pl._style import SMALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

# In the order they are tried, each with where its legend begins across and up.
_CORNERS: Final = {
    "lower right": (1, 0),
    "lower left": (0, 0),
    "upper right": (1, 1),
    "upper left": (0, 1),
}


def legend(
    ax: Axes,
    handles: Sequence[Line2D],
    *,
    grow: bool,
    title: str | None = None,
    around: Sequence[Line2D] = (),
) -> None:
    """Draw a small legend in the corner with the least of the lines ``around`` it.

    With ``grow`` and no corner free, the legend goes beside the axes and the figure is widened.
    Axes of a caller keep their room: there the legend covers what little it must.
    """
    look: dict[str, Any] = {
        "title": title,
        "fontsize": SMALL - 1,
        "title_fontsize": SMALL - 1,
        "handlelength": 2.2,
        "labelspacing": 0.25,
        "borderaxespad": 0.2,
        "borderpad": 0.2,
        "framealpha": 0.85,
        "edgecolor": "none",
        "alignment": "left",
    }
    box = ax.legend(handles=list(handles), **look)
    extent = box.get_window_extent().transformed(ax.transAxes.inverted())
    corner, covered = _corner(ax, around or handles, extent.width + 0.02, extent.height + 0.02)
    beside = grow and covered > 0
    look |= {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)} if beside else {"loc": corner}
    ax.legend(handles=list(handles), **look)
    if beside:
        figure = cast("Figure", ax.figure)
        figure.set_figwidth(figure.get_figwidth() + box.get_window_extent().width / figure.dpi)


def _corner(ax: Axes, lines: Sequence[Line2D], width: float, height: float) -> tuple[str, int]:
    """Corner whose box of this size (share of the axes) covers least, and points it covers."""
    points = np.concatenate([_along(ax, line) for line in lines])
    covered = {}
    for name, (x, y) in _CORNERS.items():
        across = points[:, 0] > 1 - width if x else points[:, 0] < width
        up = points[:, 1] > 1 - height if y else points[:, 1] < height
        covered[name] = int(np.count_nonzero(across & up))
    best = min(covered, key=covered.__getitem__)
    return best, covered[best]


def _along(ax: Axes, line: Line2D, n: int = 400) -> NDArray[np.float64]:
    """Points evenly along a line, as shares of the axes."""
    data = np.asarray(line.get_xydata(), dtype=np.float64)
    data = data[np.isfinite(data).all(axis=1)]
    if len(data) == 0:
        return np.empty((0, 2))
    shares = ax.transAxes.inverted().transform(ax.transData.transform(data))
    steps = np.hypot(*np.diff(shares, axis=0).T)
    path = np.append(0.0, np.cumsum(steps))
    wanted = np.linspace(0, path[-1], n)
    return np.column_stack([np.interp(wanted, path, shares[:, axis]) for axis in (0, 1)])


def label_lines(ax: Axes, lines: Sequence[Line2D], *, avoid: tuple[float, float]) -> None:
    """Write each line's label on it, far from other lines, labels and the span ``avoid`` of x."""
    low, high = np.array(ax.get_xlim()), np.array(ax.get_ylim())
    grid = np.linspace(0.13, 0.87, 75)
    heights = {line: _height(line, low, high, grid) for line in lines}
    crowd = [(x - low[0]) / (low[1] - low[0]) for x in avoid]
    inside = (grid > crowd[0] - 0.08) & (grid < crowd[1] + 0.08)
    placed: list[tuple[float, float]] = []
    for line in lines:
        own = heights[line]
        gaps = [_gap(own, other) for key, other in heights.items() if key is not line]
        room = np.min([np.full(len(grid), 0.3), *gaps], axis=0)
        room = np.where(inside, room - 0.04, room)
        for x, y in placed:
            # A label is about a quarter of the axes wide and a twelfth high.
            near = np.hypot((grid - x) / 0.25, (own - y) / 0.12)
            room = np.where(near < 1, room - (1 - near), room)
        room = np.where(np.isnan(own) | (own < 0.06) | (own > 0.94), -np.inf, room)
        best = int(np.argmax(room))
        placed.append((grid[best], own[best]))
        ax.text(
            low[0] + grid[best] * (low[1] - low[0]),
            high[0] + own[best] * (high[1] - high[0]),
            str(line.get_label()),
            color=line.get_color(),
            fontsize=SMALL,
            ha="center",
            va="center",
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
        )


def _gap(own: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from each point of a line to another line over the width of a label."""
    reach = 8
    padded = np.pad(other, reach, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    gaps: NDArray[np.float64] = np.abs(np.nan_to_num(windows, nan=np.inf) - own[:, None]).min(
        axis=1
    )
    return gaps


def _height(
    line: Line2D, x: NDArray[np.float64], y: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Height of a line at the grid points, both as a share of the axes."""
    data = np.asarray(line.get_xydata(), dtype=np.float64)
    data = data[np.isfinite(data).all(axis=1)]
    if len(data) == 0:
        return np.full(len(grid), np.nan)
    across = (data[:, 0] - x[0]) / (x[1] - x[0])
    up = (data[:, 1] - y[0]) / (y[1] - y[0])
    return np.interp(grid, across, up, left=np.nan, right=np.nan)
