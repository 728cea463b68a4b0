"""Take the table of drugs out of an AnnData."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi._constants import DRUGS_KEY
from dtp_scvi._validate import problem, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData


@dataclass(frozen=True, slots=True)
class DrugTable:
    """
    What is known of each drug, one row a drug; written by :func:`dtp_scvi.pp.encode_drugs`.

    Attributes
    ----------
    table
        Indexed by drug name: ``smiles`` (canonical), ``scaffold``, ``n_atoms``, ``n_fragments``
        and ``status`` (``"ok"``, ``"missing"`` or ``"invalid"``).
    bits, counts
        Fingerprints, drugs x bits; ``None`` without structures.
    atoms, atom_mask
        Drugs x atoms x features, uint8, and True where there is an atom; atom ``i`` is the one
        that RDKit numbers ``i`` in the canonical SMILES.
    atom_features
        Names of the features.
    embeddings, known
        Precomputed vectors by name, drugs x dimensions, and whether a drug has one.
    text
        What :func:`dtp_scvi.pp.embed_drug_text` wrote, by name.
    """

    table: pd.DataFrame
    bits: np.ndarray | None
    counts: np.ndarray | None
    atoms: np.ndarray | None
    atom_mask: np.ndarray | None
    atom_features: tuple[str, ...]
    embeddings: Mapping[str, np.ndarray]
    known: Mapping[str, np.ndarray]
    text: Mapping[str, Mapping[str, Any]]

    @property
    def names(self) -> pd.Index:
        """Names of the drugs, in the order of all arrays."""
        return self.table.index

    def codes(self, drugs: Sequence[object] | pd.Series, *, other: str = "error") -> np.ndarray:
        """
        Return the row of each drug in this table, matched by name.

        Parameters
        ----------
        drugs
            Names, one per row of the data.
        other
            ``"error"`` refuses names that are not in the table, ``"none"`` gives them -1.

        Raises
        ------
        KeyError
            Names that are not in the table.
        """
        names = pd.Series(np.asarray(drugs, dtype=object)).astype(str)
        codes = self.names.get_indexer(pd.Index(names))
        lacking = pd.unique(names[codes < 0])
        if other == "error" and len(lacking):
            msg = problem(
                f"each drug among the {len(self.names):,} of the table",
                f"{len(lacking):,} others ({shorten(lacking)})",
                "Run dtp.pp.encode_drugs on data that hold them.",
            )
            raise KeyError(msg)
        return np.asarray(codes, np.int64)


def get_drug_table(adata: AnnData, key: str = DRUGS_KEY) -> DrugTable:
    """
    Return the drugs that :func:`dtp_scvi.pp.encode_drugs` wrote into ``adata.uns``.

    Parameters
    ----------
    adata
        Annotated data with such a table, in memory or backed.
    key
        Key of ``adata.uns``.

    Returns
    -------
    The table, with arrays as they are stored.

    Raises
    ------
    KeyError
        When there is none.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> from dtp_scvi.data import get_drug_table
    >>> adata = dtp.datasets.simulate_perturbation(2, n_drugs=5, n_genes=20)
    >>> dtp.pp.encode_drugs(adata, smiles_key="smiles")
    >>> drugs = get_drug_table(adata)
    >>> drugs.bits.shape, drugs.codes(["drug_2"]).tolist()
    ((5, 1024), [1])
    """
    stored = adata.uns.get(key)
    if not hasattr(stored, "get") or not isinstance(stored.get("table"), pd.DataFrame):
        msg = problem(
            f"a table of drugs in adata.uns[{key!r}]",
            "none",
            'Run dtp.pp.encode_drugs(adata, smiles_key="smiles") first.',
        )
        raise KeyError(msg)
    embedded = stored.get("embeddings", {})
    return DrugTable(
        table=stored["table"],
        **{name: stored.get(name) for name in ("bits", "counts", "atoms", "atom_mask")},
        atom_features=tuple(str(name) for name in stored.get("atom_features", ())),
        embeddings={name: entry["values"] for name, entry in embedded.items()},
        known={name: np.asarray(entry["known"], bool) for name, entry in embedded.items()},
        text=stored.get("text", {}),
    )
