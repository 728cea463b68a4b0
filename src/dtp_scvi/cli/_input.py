"""Read an input file, or say in one line why it can't be read."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dtp_scvi._validate import check_file, near_matches, problem, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anndata import AnnData

# Repeated names are handled, and reported, where genes are matched; the columns that two
# modalities share are no concern of a score.
_SAID_LATER: Final = (
    "Variable names are not unique",
    "Observation names are not unique",
    "Cannot join columns",
)


def read_cells(path: Path) -> AnnData:
    """Read an ``.h5ad`` file into memory."""
    check_hdf5(path, "an AnnData file (.h5ad)")
    import anndata

    with _unreadable(path, "an AnnData file (.h5ad)"):
        return anndata.read_h5ad(path)


def open_cells(path: Path) -> AnnData:
    """Open an ``.h5ad`` file read-only; the matrix stays on disk."""
    inside = check_hdf5(path, "an AnnData file (.h5ad)")
    if "X" not in inside:
        return read_cells(path)  # backed, anndata stumbles over a file without X
    import anndata

    with _unreadable(path, "an AnnData file (.h5ad)"):
        return anndata.read_h5ad(path, backed="r")


def read_modalities(path: Path) -> Any:
    """Read an ``.h5mu`` file into memory."""
    check_hdf5(path, "a MuData file (.h5mu)")
    import mudata

    with _unreadable(path, "a MuData file (.h5mu)"):
        return mudata.read_h5mu(path)


def check_modality(mdata: Any, mod: str | None) -> str:
    """Return ``mod`` if it is a modality of ``mdata``; one that stands alone needs no name."""
    names = list(mdata.mod)
    if mod is None and len(names) == 1:
        return str(names[0])
    if mod is None or mod not in names:
        msg = problem("`mod` to name a modality", repr(mod), near_matches(str(mod), names))
        raise KeyError(msg)
    return mod


def check_no_modality(path: Path, mod: str | None) -> None:
    """Raise if a modality is named for a file that has none."""
    if mod is not None:
        msg = problem("`mod` with a .h5mu file only", path.name, "Leave out `mod`.")
        raise ValueError(msg)


def check_hdf5(path: Path, what: str) -> list[str]:
    """Raise unless ``path`` is an HDF5 file with ``obs`` and ``var``; return what it holds."""
    check_file(path, what)
    import h5py

    if not h5py.is_hdf5(path):
        size = path.stat().st_size
        found = f"{size:,} bytes that are not HDF5" if size else "an empty file"
        msg = problem(f"{path.name} to be {what}", found, "Check that the file is complete.")
        raise ValueError(msg)
    with _unreadable(path, what), h5py.File(path, "r") as file:
        inside = list(file)
    if not {"obs", "var"} <= set(inside):
        msg = problem(f"`obs` and `var` in {path.name}", shorten(inside, 10), f"Pass {what}.")
        raise ValueError(msg)
    return inside


@contextmanager
def _unreadable(path: Path, what: str) -> Iterator[None]:
    """Name the file in whatever a reader raises, and hide what tl.score says better."""
    try:
        with warnings.catch_warnings():
            for message in _SAID_LATER:
                warnings.filterwarnings("ignore", message=message)
            yield
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).split("\n")[0]
        msg = problem(f"{path.name} to be {what}", first, "Check that the file is complete.")
        raise ValueError(msg) from error
