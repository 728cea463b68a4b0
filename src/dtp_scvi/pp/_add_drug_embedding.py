"""Take in drug vectors that were computed elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from dtp_scvi._constants import CONTROL_LABEL, DRUG_KEY, DRUGS_KEY
from dtp_scvi._validate import check_key, check_one_of, problem, shorten
from dtp_scvi.data import check_object
from dtp_scvi.pp._encode_drugs_rows import drug_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


def add_drug_embedding(
    adata: AnnData,
    embedding: pd.DataFrame | str,
    name: str,
    *,
    drug_key: str = DRUG_KEY,
    control: str | Sequence[str] = CONTROL_LABEL,
    missing: Literal["error", "mask"] = "error",
    drugs_key: str = DRUGS_KEY,
) -> None:
    """
    Put vectors of drugs that were computed elsewhere into the table of drugs, by name.

    Vectors of a knowledge graph, Uni-Mol, KPGT and the like come as a table, one row a drug.

    Parameters
    ----------
    adata
        Treated and control samples in rows.
    embedding
        One row a drug, indexed by its name, or the key of ``adata.uns`` with such a table. Drugs
        that these data do not have are left out.
    name
        What the vectors are to be called.
    drug_key, control
        Column of drugs and name of the vehicle; looked at where there is no table of drugs yet.
        A table without structures is made then.
    missing
        ``"error"`` refuses drugs without a vector, ``"mask"`` gives them zeros and marks them.
    drugs_key
        Key of ``adata.uns`` with the table of :func:`dtp_scvi.pp.encode_drugs`.

    Returns
    -------
    ``None``. Written is ``adata.uns[drugs_key]["embeddings"][name]`` with ``"values"`` (float32,
    drugs x dimensions, in the order of the table) and ``"known"`` (False where ``"mask"`` put
    zeros).

    Raises
    ------
    TypeError, KeyError, ValueError
        Not an AnnData or a table; no such key; drugs without a vector, or listed twice; values
        that are no finite numbers; vectors that are all zero, of which no model learns.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> adata = dtp.datasets.simulate_perturbation(2, n_drugs=3, n_genes=20)
    >>> vectors = pd.DataFrame(np.eye(3), index=["drug_3", "drug_1", "drug_2"])
    >>> dtp.pp.add_drug_embedding(adata, vectors, "graph")
    >>> adata.uns["drugs"]["embeddings"]["graph"]["values"][0].tolist()
    [0.0, 1.0, 0.0]
    """
    check_object(adata)
    check_one_of(missing, ("error", "mask"), "missing")
    if not name or "/" in name:
        msg = problem("a `name` without a slash", repr(name), "An .h5ad file could not hold it.")
        raise ValueError(msg)
    table = _table(adata, embedding)
    names = _names(adata, drugs_key, drug_key, control)
    row = table.index.get_indexer(names)
    known = row >= 0
    if not known.all() and missing == "error":
        lacking = names[~known]
        msg = problem(
            f"a vector for each of {len(names):,} drugs",
            f"none for {len(lacking):,} ({shorten(lacking, 10)})",
            'Index the table by the names of drugs, or pass missing="mask".',
        )
        raise ValueError(msg)
    values = _values(table)[row] * known[:, None]
    # Frozen outputs of a ReLU may be zero throughout.
    if not values.any():
        msg = problem(
            "vectors that differ from zero", "zeros for all drugs", "Check how they were made."
        )
        raise ValueError(msg)
    stored = dict(adata.uns.get(drugs_key, {}))
    stored.setdefault("table", _bare(names))
    entry = {"values": values.astype(np.float32), "known": known}
    stored["embeddings"] = {**stored.get("embeddings", {}), name: entry}
    adata.uns[drugs_key] = stored


def _table(adata: AnnData, embedding: pd.DataFrame | str) -> pd.DataFrame:
    if isinstance(embedding, str):
        check_key(adata.uns, embedding, "adata.uns", "embedding")
        embedding = adata.uns[embedding]
    if not isinstance(embedding, pd.DataFrame):
        msg = problem(
            "a DataFrame indexed by drug", type(embedding).__name__, "Make one of the vectors."
        )
        raise TypeError(msg)
    table = embedding.set_axis(embedding.index.astype(str))
    twice = table.index[table.index.duplicated()].unique()
    if len(twice):
        msg = problem(
            "one row a drug", f"several for {shorten(twice)}", "Drop all but one of each."
        )
        raise ValueError(msg)
    return table


def _names(
    adata: AnnData, drugs_key: str, drug_key: str, control: str | Sequence[str]
) -> pd.Index:
    if drugs_key in adata.uns:
        return pd.Index(adata.uns[drugs_key]["table"].index)
    rows, _ = drug_rows(adata, drug_key, None, control)
    return pd.Index(sorted(set(rows) - {""}), dtype=object)


def _values(table: pd.DataFrame) -> np.ndarray:
    try:
        values = table.to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        msg = problem("numbers only in the vectors", str(error), "Drop columns of text.")
        raise ValueError(msg) from error
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any() or not values.shape[1]:
        msg = problem(
            "finite numbers in the vectors",
            f"missing or infinite ones for {shorten(table.index[bad])}",
            'Drop these drugs and pass missing="mask".',
        )
        raise ValueError(msg)
    return values


def _bare(names: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(
        {"smiles": "", "scaffold": "", "n_atoms": 0, "n_fragments": 0, "status": "missing"},
        index=names,
    )
