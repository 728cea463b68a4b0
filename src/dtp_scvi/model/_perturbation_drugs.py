"""From a table of drugs to the tensors that a network looks up."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData

from dtp_scvi._constants import CONTROLS_KEY, DRUG_KEY, DRUGS_KEY, SMILES_KEY
from dtp_scvi._validate import check_key, check_one_of, problem, shorten
from dtp_scvi.data import DrugTable, get_drug_table
from dtp_scvi.module import DrugSizes
from dtp_scvi.pp import encode_drugs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

Fingerprint = Literal["bits", "counts"]
FINGERPRINTS: Final = (None, "bits", "counts")
# What decides how a structure is encoded, as pp.encode_drugs records it.
_ENCODING: Final = ("fingerprint", "n_bits", "salts")


@dataclass(frozen=True, kw_only=True)
class DrugFeatures:
    """Which parts of a table of drugs a network is given.

    Attributes
    ----------
    atoms
        Features of atoms, as tokens.
    fingerprint
        ``"bits"``, or ``"counts"`` as log1p; ``None`` without.
    graph
        Name of precomputed vectors, some drugs may lack one.
    text
        Name of an embedded text, as tokens.
    """

    atoms: bool = False
    fingerprint: Fingerprint | None = None
    graph: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        check_one_of(self.fingerprint, FINGERPRINTS, "fingerprint")
        if not any(asdict(self).values()):
            msg = problem(
                "atoms, a fingerprint, graph vectors or a text of each drug",
                "none of them",
                "Without them no drug can be told from another.",
            )
            raise ValueError(msg)

    def tensors(self, table: DrugTable) -> dict[str, Tensor]:
        """Return ``tokens``, ``mask``, ``vector``, ``graph`` and ``in_graph`` of each drug."""
        n = len(table.names)
        parts: dict[str, np.ndarray] = {
            "tokens": np.zeros((n, 0, 0)),
            "mask": np.zeros((n, 0), bool),
            "vector": np.zeros((n, 0)),
            "graph": np.zeros((n, 0)),
            "in_graph": np.zeros(n, bool),
        }
        if self.atoms:
            parts["tokens"] = _needed(table.atoms, "atoms")
            parts["mask"] = _needed(table.atom_mask, "atoms")
        if self.fingerprint is not None:
            bits = _needed(getattr(table, self.fingerprint), self.fingerprint)
            parts["vector"] = np.log1p(bits) if self.fingerprint == "counts" else bits
        if self.graph is not None:
            check_key(table.embeddings, self.graph, "the embeddings of drugs", "graph_key")
            parts["graph"] = table.embeddings[self.graph]
            parts["in_graph"] = table.known[self.graph]
        if self.text is not None:
            check_key(table.text, self.text, "the texts of drugs", "text_key")
            parts |= _text(table.text[self.text])
        return {
            name: torch.from_numpy(
                np.ascontiguousarray(array, bool if array.dtype == bool else "f4")
            )
            for name, array in parts.items()
        }


def _needed(array: np.ndarray | None, what: str) -> np.ndarray:
    if array is None:
        msg = problem(f"{what} of each drug", "none", "Run dtp.pp.encode_drugs with SMILES.")
        raise ValueError(msg)
    return np.asarray(array)


def _text(entry: Mapping[str, Any]) -> dict[str, np.ndarray]:
    values = np.asarray(entry["values"])
    if values.ndim == 3:
        return {"tokens": values, "mask": np.asarray(entry["mask"], bool)}
    # A mean over tokens is one token.
    return {"tokens": values[:, None], "mask": np.ones((len(values), 1), bool)}


def sizes_of(parts: Mapping[str, Tensor]) -> DrugSizes:
    """Return the shape of a drug table from its tensors."""
    n_drugs, n_tokens, width = parts["tokens"].shape
    return DrugSizes(n_drugs, n_tokens, width, parts["vector"].shape[1], parts["graph"].shape[1])


def encoding_of(adata: AnnData) -> dict[str, Any]:
    """Return how the structures in ``adata.uns`` were encoded; empty where there are none."""
    params = adata.uns[DRUGS_KEY].get("params", {})
    return {name: params[name] for name in _ENCODING if name in params}


def new_drugs(
    adata: AnnData,
    names: Sequence[str],
    *,
    drug: np.ndarray,
    smiles_key: str | None,
    encoding: Mapping[str, Any],
    features: DrugFeatures,
    sizes: DrugSizes,
) -> DrugTable:
    """
    Return a table of drugs that the model has not met, encoded as those it has.

    The label of controls is no drug: rows under it have no structure, whatever their SMILES.

    Parameters
    ----------
    adata
        Query.
    names
        The drugs.
    drug
        Drug of each row of the query.
    smiles_key
        Column of its ``obs`` with SMILES.
    encoding
        What :func:`encoding_of` returned for the training data.
    features
        What the model is given of a drug; a text can't be made here, but that of no drug is none.
    sizes
        Shape of its table.

    Raises
    ------
    ValueError
        When there is neither such a table nor such a column, or a SMILES can't be read.
    """
    if DRUGS_KEY in adata.uns and encoding_of(adata) == dict(encoding):
        table = get_drug_table(adata)
        if set(names) <= set(table.names):
            return table
    label = _control_label(adata)
    if features.text is not None and set(names) == {label}:
        return _no_drug(str(label), features, sizes)
    if features.text is not None:
        msg = problem(
            f"an embedded text of every drug in adata.uns[{DRUGS_KEY!r}]",
            f"none of {len(names):,} drugs ({shorten(names)})",
            "Run dtp.pp.encode_drugs and dtp.pp.embed_drug_text as in training.",
        )
        raise ValueError(msg)
    if smiles_key is None or smiles_key not in adata.obs or "fingerprint" not in encoding:
        msg = problem(
            "the structure of every drug",
            f"{len(names):,} that the model was not trained on ({shorten(names)}), without SMILES",
            f"Add a column {smiles_key or SMILES_KEY!r} to adata.obs, or run dtp.pp.encode_drugs "
            "with the options of training.",
        )
        raise ValueError(msg)
    chosen = np.isin(drug, list(names))
    obs = pd.DataFrame(
        {DRUG_KEY: drug[chosen], SMILES_KEY: adata.obs[smiles_key].astype(object)[chosen]}
    ).drop_duplicates()
    obs.index = pd.Index([str(i) for i in range(len(obs))])
    table = _encoded(obs, label, features, encoding, sizes)
    if features.graph is None:
        return table
    n = len(table.names)
    unknown = {features.graph: np.zeros((n, sizes.graph_features), np.float32)}
    return replace(table, embeddings=unknown, known={features.graph: np.zeros(n, bool)})


def _no_drug(label: str, features: DrugFeatures, sizes: DrugSizes) -> DrugTable:
    """The label of controls where drugs are texts: no token, and nothing of a structure."""
    empty = np.zeros((1, sizes.vector_features), np.uint8)
    tokens = {
        "values": np.zeros((1, 1, sizes.token_features), np.float32),
        "mask": np.zeros((1, 1), bool),
    }
    graph = {} if features.graph is None else {features.graph: np.zeros((1, sizes.graph_features))}
    return DrugTable(
        table=pd.DataFrame({"smiles": [""], "status": ["missing"]}, index=[label]),
        bits=empty,
        counts=empty,
        atoms=None,
        atom_mask=None,
        atom_features=(),
        embeddings=graph,
        known={name: np.zeros(1, bool) for name in graph},
        text={str(features.text): tokens},
    )


def _control_label(adata: AnnData) -> str | None:
    label = adata.uns.get(CONTROLS_KEY, {}).get("params", {}).get("control_label")
    return None if label is None else str(label)


def _encoded(
    obs: pd.DataFrame,
    label: str | None,
    features: DrugFeatures,
    encoding: Mapping[str, Any],
    sizes: DrugSizes,
) -> DrugTable:
    """Encode drugs by their SMILES; only the label of controls may go without."""
    empty = (obs[DRUG_KEY] == label).to_numpy()
    obs.loc[empty, SMILES_KEY] = ""
    # A column, as data without genes are refused.
    alone = AnnData(np.zeros((len(obs), 1), np.float32), obs)
    options: dict[str, Any] = {name: encoding[name] for name in _ENCODING}
    # A fingerprint needs no atoms, so a model without them sets no limit.
    options["max_atoms"] = sizes.n_tokens if features.atoms else None
    options |= {"smiles_key": SMILES_KEY, "drug_key": DRUG_KEY, "control": ""}
    if empty.any() and not empty.all():
        encode_drugs(alone[~empty].copy(), **options)
    encode_drugs(alone, invalid="missing" if empty.any() else "error", **options)
    return get_drug_table(alone)


def fitted_width(parts: dict[str, Tensor], sizes: DrugSizes) -> dict[str, Tensor]:
    """Bring tokens to the model's number, and raise where a feature has another width."""
    found = sizes_of(parts)
    widths = ("token_features", "vector_features", "graph_features")
    other = [name for name in widths if getattr(found, name) != getattr(sizes, name)]
    if other:
        msg = problem(
            "drug features of the model's widths "
            f"({', '.join(f'{name} {getattr(sizes, name):,}' for name in other)})",
            ", ".join(f"{getattr(found, name):,}" for name in other),
            "Encode the drugs as those of training were.",
        )
        raise ValueError(msg)
    tokens, mask = parts["tokens"], parts["mask"]
    if bool(mask[:, sizes.n_tokens :].any()):
        n = int(mask[:, sizes.n_tokens :].any(dim=1).sum())
        msg = problem(
            f"at most {sizes.n_tokens:,} tokens a drug, as in training",
            f"more in {n:,} drugs",
            f"Encode with max_atoms={sizes.n_tokens}, or set up training with room for more.",
        )
        raise ValueError(msg)
    room = max(0, sizes.n_tokens - tokens.shape[1])
    tokens = torch.nn.functional.pad(tokens[:, : sizes.n_tokens], (0, 0, 0, room))
    mask = torch.nn.functional.pad(mask[:, : sizes.n_tokens], (0, room))
    return parts | {"tokens": tokens, "mask": mask}
