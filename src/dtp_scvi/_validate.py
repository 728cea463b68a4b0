"""The one place that words an error: what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def problem(expected: str, found: str, todo: str) -> str:
    """Word an error in the three parts that every message of this package has."""
    return f"Expected {expected}; found {found}. {todo}"


def shorten(names: Iterable[object], limit: int = 5) -> str:
    """Join a few names for a message and count the rest."""
    words = [str(name) for name in names]
    shown = ", ".join(words[:limit])
    return f"{shown} and {len(words) - limit:,} more" if len(words) > limit else shown or "none"


def near_matches(name: str, available: Iterable[object]) -> str:
    """Say which available names resemble ``name``, or list some of them."""
    options = [str(option) for option in available]
    close = difflib.get_close_matches(name, options, n=3, cutoff=0.6)
    return f"Did you mean {shorten(close)}?" if close else f"Available: {shorten(options, 10)}."


def check_key(table: Mapping[Any, Any] | Any, key: str, where: str, argument: str) -> None:
    """Raise ``KeyError`` unless ``key`` is a column of ``table``; ``where`` is e.g. ``adata.obs``."""
    if key not in table:
        msg = problem(
            f"`{argument}` to name a key of {where}", repr(key), near_matches(key, table)
        )
        raise KeyError(msg)


def check_one_of(value: object, options: Iterable[object], argument: str) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``options``."""
    options = list(options)
    if value not in options:
        listed = ", ".join(repr(option) for option in options)
        msg = problem(f"`{argument}` to be one of {listed}", repr(value), "Pick one of these.")
        raise ValueError(msg)


def check_range(
    value: float,
    argument: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    inclusive: bool = True,
) -> None:
    """Raise ``ValueError`` unless ``value`` is finite and lies between ``low`` and ``high``."""
    inside = low <= value <= high if inclusive else low < value < high
    if not (math.isfinite(value) and inside):
        left, right = ("[", "]") if inclusive else ("(", ")")
        msg = problem(
            f"`{argument}` in {left}{low:g}, {high:g}{right}", repr(value), f"Change `{argument}`."
        )
        raise ValueError(msg)


def check_positive_int(value: int, argument: str) -> None:
    """Raise ``ValueError`` unless ``value`` is a whole number above zero."""
    if isinstance(value, bool) or int(value) != value or value < 1:
        msg = problem(
            f"`{argument}` to be a whole number >= 1", repr(value), f"Change `{argument}`."
        )
        raise ValueError(msg)


def check_file(path: Path, what: str = "a file") -> None:
    """Raise unless there is a file at ``path``; ``what`` says what it should be."""
    if path.is_dir():
        msg = problem(f"{what} at {path}", "a folder", "Name a file.")
        raise IsADirectoryError(msg)
    if not path.exists():
        beside = _visible(path.parent) if path.parent.is_dir() else []
        todo = near_matches(path.name, beside) if beside else "There is no such folder."
        msg = problem(f"{what} at {path}", "no such file", todo)
        raise FileNotFoundError(msg)


def _visible(folder: Path) -> list[str]:
    names = sorted(item.name for item in folder.iterdir())
    return [name for name in names if not name.startswith(".")]


def matrix_name(layer: str | None) -> str:
    """Name the matrix that ``layer`` stands for, for a message."""
    return "adata.X" if layer is None else f"adata.layers[{layer!r}]"
