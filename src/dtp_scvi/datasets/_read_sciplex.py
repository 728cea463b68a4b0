"""Read single cells in the layouts of sci-Plex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from dtp_scvi._constants import (
    CELL_KEY,
    DOSE_KEY,
    DRUG_KEY,
    IS_CONTROL_KEY,
    PLATE_KEY,
    SMILES_KEY,
    TIME_KEY,
)
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import check_matrix, detect_scale
from dtp_scvi.datasets._perturbation_obs import (
    Layout,
    find_columns,
    finish,
    open_h5ad,
    standard_obs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anndata import AnnData

_UNIT: Final = "dose_unit"
_LAYOUT: Final = Layout(
    "read_sciplex",
    {
        DRUG_KEY: ("product_name", "perturbation", "condition", "drug"),
        SMILES_KEY: ("SMILES", "smiles", "canonical_smiles"),
        DOSE_KEY: ("dose", "dose_value"),
        TIME_KEY: ("time_point", "time"),
        CELL_KEY: ("cell_line", "cell_type", "cell"),
        PLATE_KEY: ("culture_plate", "plate", "replicate"),
        IS_CONTROL_KEY: ("vehicle", "control"),
    },
)


def read_sciplex(
    path: str | Path | AnnData,
    *,
    dose_unit: str | None = None,
    smiles: Mapping[str, str] | pd.Series | None = None,
    columns: Mapping[str, str] | None = None,
) -> AnnData:
    """
    Read an ``.h5ad`` file of single cells under drugs in a layout like that of sci-Plex.

    Parameters
    ----------
    path
        The file, or what was read from it.
    dose_unit
        Unit of the doses: ``"nM"``, ``"uM"``, ``"mM"``. ``None`` takes the column ``dose_unit``
        where there is one, and nM, as sci-Plex has it, otherwise.
    smiles
        SMILES of each drug by name, where the file holds none.
    columns
        Source of standard columns where it differs, e.g. ``{"plate": "replicate"}``.

    Returns
    -------
    Annotated data as they were, values untouched, with the standard columns ``"drug"``,
    ``"smiles"``, ``"dose"`` (µM, 0 for controls), ``"time"`` (h, NaN where not known), ``"cell"``,
    ``"plate"`` and ``"is_control"`` before those of the file, and ``uns["dtp_perturbation"]``,
    which also says the ``"scale"`` that ``X`` seems to have: the models want logarithms.

    Raises
    ------
    FileNotFoundError, KeyError, ValueError
        No such file; columns that are not there; several units; text or values not above 0 as
        doses; no control cells; missing or infinite values.

    References
    ----------
    Srivatsan et al., Science 2020 (sci-Plex).

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> obs = pd.DataFrame(
    ...     {
    ...         "product_name": ["Vehicle", "Dacinostat"],
    ...         "dose": [0.0, 1e4],
    ...         "cell_type": ["A549", "A549"],
    ...     },
    ...     index=["a", "b"],
    ... )
    >>> counts = ad.AnnData(np.array([[0.0, 3.0], [1.0, 2.0]]), obs=obs)
    >>> smiles = {"Dacinostat": "O=C(NO)/C=C/c1ccc(cc1)CN(CCO)CCc1c[nH]c2ccccc12"}
    >>> dtp.datasets.read_sciplex(counts, smiles=smiles).obs["dose"].tolist()
    [0.0, 10.0]
    """
    adata, tables = open_h5ad(path)
    check_matrix(adata.X, negative=True)
    source = find_columns(adata.obs, _LAYOUT, columns)
    unit = _unit(adata.obs) if dose_unit is None else dose_unit
    adata.obs = standard_obs(adata.obs, source, dose_unit=unit)
    if smiles is not None:
        _add_smiles(adata, smiles)
    record: dict[str, Any] = {"scale": str(detect_scale(adata.X).scale), "dose_unit": unit}
    return finish(adata, _LAYOUT, source, tables, **record)


def _unit(obs: pd.DataFrame) -> str:
    if _UNIT not in obs:
        return "nM"
    units = obs[_UNIT].dropna().astype(str).unique()
    if len(units) != 1:
        msg = problem(f"one unit in {_UNIT!r}", shorten(units), "Bring all doses to one unit.")
        raise ValueError(msg)
    return str(units[0])


def _add_smiles(adata: AnnData, smiles: Mapping[str, str] | pd.Series) -> None:
    table = {str(name): str(value) for name, value in smiles.items()}
    found = adata.obs[DRUG_KEY].astype(str).map(table)
    had = adata.obs[SMILES_KEY].astype(str)
    adata.obs[SMILES_KEY] = pd.Categorical(found.fillna(had))
