"""Read paired profiles in the layout of TranSiGen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi._constants import PAIRED_CONTROL_KEY
from dtp_scvi._validate import check_file, problem, shorten
from dtp_scvi.data import check_log_values
from dtp_scvi.datasets._perturbation_obs import Layout, file_table, finish, standard_obs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KEYS: Final = ("x1", "x2", "cid", "canonical_smiles")
_LAYOUT: Final = Layout("read_transigen", {})
_SOURCE: Final = {
    name: name for name in ("drug", "smiles", "dose", "time", "cell", "plate", "is_control")
}


def read_transigen(
    path: str | Path,
    *,
    genes: Sequence[str],
    dose: float,
    time: float,
    smiles: Mapping[Any, str] | pd.Series | None = None,
) -> AnnData:
    """
    Read an HDF5 file in the layout of TranSiGen: controls ``x1``, treated ``x2``.

    Parameters
    ----------
    path
        The file, with arrays ``x1`` and ``x2`` (samples x genes), ``cid`` (cell lines),
        ``canonical_smiles`` (text, or a number of each compound) and, maybe, ``sig``.
    genes
        Names of the genes in the order of the columns, as the table of landmark genes beside the
        file lists them.
    dose, time
        Dose in µM and duration in hours of all samples; the file does not hold them.
    smiles
        SMILES by number, where the file holds numbers.

    Returns
    -------
    Annotated data with the treated profiles in ``X``, their controls in ``obsm["X_ctl"]``, and
    ``"drug"`` (the number, or the SMILES where there are none), ``"smiles"``, ``"dose"``,
    ``"time"``, ``"cell"``, ``"plate"`` (what stands before the first colon of ``sig``) and
    ``"is_control"`` (False: there are no control rows) in ``obs``; and ``uns["dtp_perturbation"]``.

    Raises
    ------
    FileNotFoundError, KeyError, ValueError
        No such file; arrays that are not there or do not match; numbers without a SMILES; counts
        or z-scores where logarithms are expected; a dose or time not above 0.

    Notes
    -----
    SMILES by number are published as a pickle. Unpickling runs code of whoever wrote the file, so
    that this function takes the mapping, not its path.

    References
    ----------
    Tong et al., Nature Communications 2024 (TranSiGen).

    Examples
    --------
    >>> import h5py, numpy as np
    >>> import dtp_scvi as dtp
    >>> with h5py.File("pairs.h5", "w") as file:
    ...     file["x1"], file["x2"] = np.full((2, 3), 7.5), np.full((2, 3), 8.25)
    ...     file["cid"] = np.array([b"A375", b"PC3"])
    ...     file["canonical_smiles"] = np.array([0, 1])
    >>> adata = dtp.datasets.read_transigen(
    ...     "pairs.h5", genes=["KIT", "MYC", "TP53"], dose=10, time=24, smiles={0: "CCO", 1: "CCN"}
    ... )
    >>> adata.obs["cell"].tolist(), float(adata.obsm["X_ctl"][0, 0])
    (['A375', 'PC3'], 7.5)
    """
    path = Path(path)
    check_file(path, "an HDF5 file with x1 and x2")
    arrays = _arrays(path)
    n, n_genes = _check_shapes(arrays)
    names = [str(name) for name in genes]
    if len(names) != n_genes or len(set(names)) != n_genes:
        msg = problem(
            f"{n_genes:,} different names in `genes`",
            f"{len(names):,} names, {len(set(names)):,} of them different",
            "Take them, in their order, from the table of landmark genes.",
        )
        raise ValueError(msg)
    for key in ("x1", "x2"):
        check_log_values(arrays[key], name=key)
    compound = pd.Series(_as_text(arrays["canonical_smiles"]))
    obs = pd.DataFrame(
        {
            "drug": compound,
            "smiles": compound if smiles is None else _look_up(compound, smiles),
            "dose": float(dose),
            "time": float(time),
            "cell": _as_text(arrays["cid"]),
            "plate": "",
            "is_control": False,
        }
    )
    if smiles is None and compound.str.fullmatch(r"\d+").all():
        _look_up(compound, {})
    if "sig" in arrays:
        obs["sig"] = _as_text(arrays["sig"])
        obs["plate"] = obs["sig"].str.split(":").str[0]
    obs.index = pd.Index([f"pair_{i:0{len(str(n))}d}" for i in range(1, n + 1)])
    adata = AnnData(
        arrays["x2"].astype(np.float32),
        obs=standard_obs(obs, _SOURCE, dose_unit="um", controls=False),
        var=pd.DataFrame(index=pd.Index(names)),
        obsm={PAIRED_CONTROL_KEY: arrays["x1"].astype(np.float32)},
    )
    return finish(adata, _LAYOUT, {}, [file_table(path, "expression")])


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with h5py.File(path, "r") as file:
            lacking = [key for key in _KEYS if key not in file]
            if lacking:
                msg = problem(
                    f"arrays {', '.join(_KEYS)} in {path.name}",
                    f"no {', '.join(lacking)} among {shorten(file, 10)}",
                    "Check that this is the processed file.",
                )
                raise KeyError(msg)
            return {key: np.asarray(file[key]) for key in (*_KEYS, "sig") if key in file}
    except OSError as error:
        msg = problem(f"{path.name} to be an HDF5 file", str(error), "Check the file.")
        raise ValueError(msg) from error


def _check_shapes(arrays: dict[str, np.ndarray]) -> tuple[int, int]:
    first = arrays["x1"].shape
    fits = len(first) == 2 and arrays["x2"].shape == first
    if not fits or any(len(values) != first[0] for values in arrays.values()):
        found = ", ".join(f"{key} {values.shape}" for key, values in arrays.items())
        msg = problem("arrays of one length, x1 and x2 of one shape", found, "Check the file.")
        raise ValueError(msg)
    return int(first[0]), int(first[1])


def _as_text(values: np.ndarray) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]


def _look_up(compound: pd.Series, smiles: Mapping[Any, str] | pd.Series) -> pd.Series:
    table = {str(number): str(value) for number, value in smiles.items()}
    found = compound.map(table)
    lacking = compound[found.isna()].unique()
    if len(lacking):
        msg = problem(
            "a SMILES for every number of a compound",
            f"none for {len(lacking):,} ({shorten(lacking)})",
            "Pass `smiles`, a mapping from number to SMILES.",
        )
        raise ValueError(msg)
    return found
