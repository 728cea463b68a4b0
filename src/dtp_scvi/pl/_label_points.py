"""Write names beside points, where they cover neither each other nor points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.text import Text

from dtp_scvi.pl._style import DARK, GREY, SMALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox
    from numpy.typing import NDArray

# Directions in the order they are tried, and distances from the point, in points.
_ANGLES: Final = (0, 180, 30, 150, 330, 210, 60, 120, 300, 240, 90, 270)
_REACH: Final = (5, 10, 17, 26, 38, 54)
_ALIGN: Final = {-1: "right", 0: "center", 1: "left"}


def label_points(
    ax: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    at: NDArray[np.intp],
    names: Sequence[str],
) -> list[str]:
    """
    Label some of the points, each at the first free place around it, with a line to the point.

    Parameters
    ----------
    ax
        Axes with the points drawn and the limits set.
    x, y
        All points, in data coordinates.
    at
        Which of them get a label, the most important first.
    names
        The labels.

    Returns
    -------
    The names for which there was room.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        return []
    # The layout moves axes when it is drawn, so that places found before would be wrong.
    figure.draw_without_rendering()
    data = np.column_stack([x, y])
    points = ax.transData.transform(data)
    box = ax.get_window_extent()
    key = ax.get_legend()
    taken = [] if key is None else [key.get_window_extent()]
    unit = figure.dpi / 72
    written = []
    for index, name in zip(at, names, strict=True):
        place = _place(ax, data, points, index, name, box, taken, unit)
        if place is not None:
            taken.append(place)
            written.append(name)
    return written


def _place(
    ax: Axes,
    data: NDArray[np.float64],
    points: NDArray[np.float64],
    index: int,
    name: str,
    box: Bbox,
    taken: list[Bbox],
    unit: float,
) -> Bbox | None:
    """Write one label where it is free, or not at all; return the room it takes."""
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 1.5}
    for reach in _REACH:
        for angle in np.deg2rad(_ANGLES):
            across, up = np.cos(angle), np.sin(angle)
            side = int(np.sign(np.round(across, 3))) if abs(across) > 0.3 else 0
            text = ax.annotate(
                name,
                data[index],
                (reach * across, reach * up),
                xycoords="data",
                textcoords="offset points",
                fontsize=SMALL - 1,
                color=DARK,
                ha=_ALIGN[side],
                va="center",
                zorder=6,
                arrowprops=line if reach > _REACH[0] else None,
            )
            # The first call moves the text to its place; its line takes no room.
            text.get_window_extent()
            room = Text.get_window_extent(text).padded(0.8 * unit)
            clear = _clear(points, index, np.array([across, up]) * reach * unit, 3 * unit)
            if clear and _free(room, points, box, taken):
                return room
            text.remove()
    return None


def _free(room: Bbox, points: NDArray[np.float64], box: Bbox, taken: list[Bbox]) -> bool:
    inside = room.x0 >= box.x0 and room.x1 <= box.x1 and room.y0 >= box.y0 and room.y1 <= box.y1
    if not inside or any(room.overlaps(other) for other in taken):
        return False
    covered = (
        (points[:, 0] > room.x0)
        & (points[:, 0] < room.x1)
        & (points[:, 1] > room.y0)
        & (points[:, 1] < room.y1)
    )
    return not covered.any()


def _clear(points: NDArray[np.float64], index: int, way: NDArray[np.float64], gap: float) -> bool:
    """Whether no other point lies on the way to a label, where it would seem to be meant."""
    others = np.delete(points, index, axis=0) - points[index]
    along = np.clip(others @ way / float(way @ way), 0, 1)
    far = np.hypot(*(others - along[:, None] * way).T)
    # Points that lie on top of this one are in the way of any line.
    return not ((far < gap) & (np.hypot(*others.T) > 1)).any()
