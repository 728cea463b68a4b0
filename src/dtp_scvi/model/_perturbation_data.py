"""What a perturbation model is trained on and asked about: rows, controls, treatments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scvi import REGISTRY_KEYS

from dtp_scvi._constants import (
    CONTROL_KEY,
    CONTROL_LABEL,
    CONTROL_ROLE_KEY,
    CONTROLS_KEY,
    DRUGS_KEY,
    SIMULATION_KEY,
)
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, matrix_name, problem, shorten
from dtp_scvi.data import (
    check_log_values,
    check_object,
    detect_scale,
    get_drug_table,
    get_matrix,
    positive_numbers,
    resolve_scale,
    split_rows,
)
from dtp_scvi.model._registration import check_gene_names, check_in_memory
from dtp_scvi.pp import encode_drugs, pair_controls
from dtp_scvi.train import TreatedRows, noise_seeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

_PAIRING = ("control_label", "control_key", "control_index_key")
# What stands in for a dose or time where the model has none: the networks do not read it.
_NONE = 1.0


def check_perturbation_data(adata: AnnData, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a model needs, pair controls and encode drugs where that is not done yet.

    Returns the arguments with ``layer`` and ``scale`` as they were found.
    """
    check_object(adata)
    check_in_memory(adata)
    check_gene_names(adata)
    found = dict(arguments)
    drug = text_column(adata.obs, found["drug_key"], "drug_key")
    for name in ("cell_key", "plate_key"):
        if found[name] is not None:
            text_column(adata.obs, found[name], name)
    given = any(found[name] is not None for name in _PAIRING)
    if given:
        found["layer"] = _check_scale(adata, found)
        names = (*_PAIRING, "drug_key", "plate_key", "cell_key", "layer")
        pair_controls(adata, **{name: found[name] for name in names})
    elif CONTROL_KEY not in adata.obsm or CONTROLS_KEY not in adata.uns:
        msg = problem(
            "`control_label`, `control_key` or `control_index_key`, or controls that were paired",
            "none of them",
            'Say what a control is, for example control_label="DMSO", or run dtp.pp.pair_controls.',
        )
        raise ValueError(msg)
    else:
        paired = adata.uns[CONTROLS_KEY]["params"]
        found["layer"] = found["layer"] or paired.get("layer")
        _check_scale(adata, found)
        if paired["drug_key"] != found["drug_key"]:
            msg = problem(
                f"drug_key={paired['drug_key']!r}, as controls were paired by",
                repr(found["drug_key"]),
                "Pair again, or name that column.",
            )
            raise ValueError(msg)
    found["scale"] = _scale(adata, found)
    control = ~treated_rows(adata)
    _amounts(adata, found, control)
    _encode(adata, found, drug[~control])
    return found


def _check_scale(adata: AnnData, arguments: Mapping[str, Any]) -> str | None:
    layer = arguments["layer"]
    where = matrix_name(layer)
    check_log_values(get_matrix(adata, layer), name=where)
    return layer


def _scale(adata: AnnData, arguments: Mapping[str, Any]) -> str:
    matrix = get_matrix(adata, arguments["layer"])
    if str(arguments["scale"]) == "auto":
        # Recorded only: changes are differences on whatever logarithm this is.
        return str(detect_scale(matrix).scale)
    if arguments["scale"] == "unknown":
        return "unknown"
    return str(resolve_scale(matrix, arguments["scale"]))


def _encode(adata: AnnData, arguments: Mapping[str, Any], drugs: np.ndarray) -> None:
    if DRUGS_KEY not in adata.uns:
        if arguments["smiles_key"] is None:
            msg = problem(
                "`smiles_key`, or drugs that were encoded",
                "neither",
                "Name the column with SMILES, or run dtp.pp.encode_drugs first.",
            )
            raise ValueError(msg)
        label = arguments["control_label"] or adata.uns[CONTROLS_KEY]["params"].get(
            "control_label"
        )
        encode_drugs(
            adata,
            smiles_key=arguments["smiles_key"],
            drug_key=arguments["drug_key"],
            control=label or CONTROL_LABEL,
        )
    lacking = sorted(set(drugs) - set(get_drug_table(adata).names))
    if lacking:
        msg = problem(
            f"every drug in adata.uns[{DRUGS_KEY!r}]",
            f"{len(lacking):,} that are not ({shorten(lacking)})",
            "Encode them, or drop their rows.",
        )
        raise ValueError(msg)


def _amounts(
    adata: AnnData, arguments: Mapping[str, Any], control: np.ndarray
) -> dict[str, np.ndarray]:
    found = {}
    for name, unit in (("dose", "µM"), ("time", "h")):
        key = arguments[f"{name}_key"]
        values = np.full(adata.n_obs, _NONE)
        if key is not None:
            check_key(adata.obs, key, "adata.obs", f"{name}_key")
            values = positive_numbers(adata.obs[key], control, name=key, unit=unit)
        found[name] = values.astype(np.float32)
    return found


def treated_rows(adata: AnnData) -> np.ndarray:
    """Return which rows were treated, bool, (n_obs,)."""
    check_key(adata.obs, CONTROL_ROLE_KEY, "adata.obs", "the role of controls")
    return (adata.obs[CONTROL_ROLE_KEY].astype(str) == "treated").to_numpy()


def read_treated(
    adata: AnnData,
    arguments: Mapping[str, Any],
    *,
    drugs: Sequence[str],
    cells: Sequence[str],
    genes: np.ndarray,
    values: bool,
    seed: int,
) -> TreatedRows:
    """Return all rows as a network takes them; drugs that are not in ``drugs`` have code -1.

    Parameters
    ----------
    adata
        Data with paired controls.
    arguments
        Keys, as ``setup_anndata`` takes them.
    drugs, cells
        Names in the order of the model.
    genes
        Genes of the model, all of them in ``adata``.
    values
        Whether profiles after treatment are wanted.
    seed
        Seed of the rows' noise.
    """
    position = adata.var_names.get_indexer(pd.Index(genes))
    if (position < 0).any():
        absent = genes[position < 0]
        msg = problem(
            f"all {len(genes):,} genes of the model in adata.var_names",
            f"{len(absent):,} missing ({shorten(absent)})",
            "Rename them as in training; a control profile without them can't be read.",
        )
        raise ValueError(msg)
    in_order = len(genes) == adata.n_vars and bool((position == np.arange(adata.n_vars)).all())
    drug = text_column(adata.obs, arguments["drug_key"], "drug_key")
    cell = np.full(adata.n_obs, -1, np.int64)
    if arguments["cell_key"] is not None and arguments["cell_key"] in adata.obs:
        names = text_column(adata.obs, arguments["cell_key"], "cell_key")
        cell = pd.Index(cells).get_indexer(pd.Index(names)).astype(np.int64)
    matrix: Any = get_matrix(adata, arguments["layer"]) if values else None
    return TreatedRows(
        matrix=matrix.tocsr() if hasattr(matrix, "tocsr") else matrix,
        control=_controls(adata),
        columns=None if in_order else position,
        drug=pd.Index(drugs).get_indexer(pd.Index(drug)).astype(np.int64),
        **_amounts(adata, arguments, ~treated_rows(adata)),
        cell=cell,
        noise=noise_seeds(adata.obs_names, seed),
    )


def _controls(adata: AnnData) -> np.ndarray:
    check_key(adata.obsm, CONTROL_KEY, "adata.obsm", "the paired controls")
    return np.asarray(adata.obsm[CONTROL_KEY])


def three_parts(
    adata: AnnData,
    split_key: str,
    indices: tuple[Sequence[int], Sequence[int], Sequence[int]] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return treated training and validation rows of three disjoint parts.

    Parameters
    ----------
    adata
        Data with paired controls.
    split_key
        Column with the part of each row; read where ``indices`` is ``None``.
    indices
        Rows to train, to validate and to test on.
    """
    if indices is None:
        parts = split_rows(adata, split_key)
        chosen = [parts["train"], parts["valid"]]
    else:
        if len(indices) != 3:
            msg = problem(
                "`indices` of three parts: train, validation and test",
                f"{len(indices):,}",
                "Without a validation part of its own, test rows would pick the epoch.",
            )
            raise ValueError(msg)
        chosen = [np.asarray(part, dtype=np.int64).ravel() for part in indices]
        together = np.concatenate(chosen)
        twice = len(together) - len(np.unique(together))
        if twice:
            msg = problem("parts that share no row", f"{twice:,} rows in several", "Split again.")
            raise ValueError(msg)
    treated = treated_rows(adata)
    train, valid = (np.sort(part[treated[part]]) for part in chosen[:2])
    empty = [name for name, part in (("train", train), ("valid", valid)) if not len(part)]
    if empty:
        msg = problem(
            "treated rows to train and to validate on", f"none in {shorten(empty)}", "Split again."
        )
        raise ValueError(msg)
    return train, valid


def watched_rows(valid: np.ndarray, n_most: int, drug: np.ndarray, seed: int) -> np.ndarray:
    """Draw at most ``n_most`` validation rows, drugs as evenly as they allow.

    Parameters
    ----------
    valid
        Positions.
    n_most
        How many.
    drug
        Drug code of every row of the data.
    seed
        Seed of the draw.
    """
    if len(valid) <= n_most:
        return valid
    drawn = np.random.default_rng(seed).permutation(valid)
    # The first row of every drug, then the second, ...
    turn = pd.Series(drug[drawn]).groupby(drug[drawn]).cumcount().to_numpy()
    return np.sort(drawn[np.argsort(turn, kind="stable")[:n_most]])


def describe_treated(
    adata: AnnData, arguments: Mapping[str, Any], data: TreatedRows, rows: np.ndarray
) -> dict[str, Any]:
    """Return numbers about the training rows that name none of them."""
    return {
        "n_rows": len(rows),
        "n_genes": adata.n_vars,
        "n_drugs": len(np.unique(data.drug[rows])),
        "n_cell_lines": len(np.unique(data.cell[rows][data.cell[rows] >= 0])),
        "layer": arguments["layer"],
        "scale": str(arguments["scale"]),
        "controls": adata.uns.get(CONTROLS_KEY, {}).get("params", {}).get("how", "given"),
        "simulated": SIMULATION_KEY in adata.uns,
    }


def registered_names(registry: Mapping[str, Any]) -> np.ndarray:
    """Return the genes that were set up."""
    fields = registry["field_registries"]
    return np.asarray(fields[REGISTRY_KEYS.X_KEY]["state_registry"]["column_names"], dtype=str)
