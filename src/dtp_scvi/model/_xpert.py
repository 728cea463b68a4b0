"""XPert: two branches, with and without the drug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

import numpy as np
import pandas as pd
import torch

from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._scvi import init_params, setup_args
from dtp_scvi._validate import check_key, check_one_of, check_positive_int, problem
from dtp_scvi.model._perturbation import NetworkShape, PerturbationModel
from dtp_scvi.model._perturbation_drugs import DrugFeatures, Fingerprint
from dtp_scvi.module import DOSE_EDGES, TIME_EDGES, VALUES, Value, XPertModule, XPertWeights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from dtp_scvi.module import PerturbationModule
    from dtp_scvi.train import TreatedRows

_OF: Final = ("atoms", "tokens", "genes")


@docs.dedent
class XPert(PerturbationModel):
    """Predicts the effect of a drug as what separates a treated from an untreated branch.

    A Transformer over genes reads the control profile twice, once beside tokens of dose, time,
    molecule and atoms. Heads give the treated profile, the control and the change; the change is
    what :meth:`predict` returns. The defaults suit a laptop; :meth:`paper` is the published size.

    Other than published: padding of a drug is never looked at; the control is reconstructed and
    cell lines are told apart under weights of their own; dose and time act through learned
    intervals and a line in log10(x + 1), so that unseen ones work; losses are means; epochs are
    picked by the squared error of the change.

    Parameters
    ----------
    %(adata)s
    %(registry)s
    d_model, n_heads
        Width of a token and number of attention heads.
    treated
        Layers of the treated branch: ``"cross"`` looks at the drug, ``"self"`` does not.
    untreated
        Number of layers of the other branch.
    value
        ``"continuous"`` takes the value of a gene, ``"bins"``, as published, gives each interval of
        expression a vector. Vectors of neighbouring intervals have nothing in common at first, and
        noise then tells control wells apart: on simulated wells held-out times are predicted worse.
    n_bins
        Number of intervals.
    value_range
        First and last edge; those of the training controls by default.
    atoms
        Give the network each atom.
    fingerprint
        ``"bits"``, ``"counts"`` (as log1p) or ``None``.
    graph_key
        Name of precomputed drug vectors (:func:`dtp_scvi.pp.add_drug_embedding`); a drug without
        one gets a learned vector.
    gene_vectors_key
        Key of ``adata.varm`` with prior vectors of genes, for example of a protein network.
    positions
        ``"kind"``, or ``"slot"`` for one vector a token of the drug, as published.
    shared_projection
        Atoms and molecule have one width and pass through one layer, as published.
    standardise
        Errors count in training deviations by gene, and the network starts at the mean change.
    weights
        Weights of the loss by name: ``post`` 0.2, ``cell`` 0.003, ``delta`` 0.2,
        ``correlation`` 1, ``control`` 0.2.
    dropout
        Of attention weights, branches and hidden layers; published 0.1. The change is read from
        the difference of two branches, which have noise each: with small data it is drowned.
    d_head
        Hidden width of the heads.

    References
    ----------
    XPert, Nature Machine Intelligence 2026, doi 10.1038/s42256-025-01165-w.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> wells = dtp.datasets.simulate_perturbation(2, n_drugs=10, n_genes=20)
    >>> dtp.model.XPert.setup_anndata(
    ...     wells,
    ...     drug_key="drug",
    ...     smiles_key="smiles",
    ...     dose_key="dose",
    ...     time_key="time",
    ...     cell_key="cell",
    ...     plate_key="plate",
    ...     control_label="DMSO",
    ... )
    >>> dtp.pp.split_perturbation(wells, "drug")
    >>> model = dtp.model.XPert(wells, d_model=16, n_heads=2, treated=("cross",), untreated=1)
    >>> model.train(max_epochs=1)
    >>> model.predict(wells[wells.obs["split"] == "test"].copy()).shape
    (24, 20)
    """

    module: XPertModule
    PAPER: ClassVar[dict[str, Any]] = {
        "d_model": 256,
        "n_heads": 8,
        "treated": ("cross", "self", "self", "cross"),
        "untreated": 4,
        "value": "bins",
        "n_bins": 128,
        "value_range": (0.0, 15.002),
        "positions": "slot",
        "standardise": False,
        "dropout": 0.1,
    }

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        d_model: int = 64,
        n_heads: int = 4,
        treated: Sequence[Literal["cross", "self"]] = ("cross", "self", "cross"),
        untreated: int = 2,
        value: Value = "continuous",
        n_bins: int = 64,
        value_range: tuple[float, float] | None = None,
        atoms: bool = True,
        fingerprint: Fingerprint | None = "bits",
        graph_key: str | None = None,
        gene_vectors_key: str | None = None,
        positions: Literal["kind", "slot"] = "kind",
        shared_projection: bool = False,
        standardise: bool = True,
        weights: dict[str, float] | None = None,
        dropout: float = 0.0,
        d_head: int = 64,
    ) -> None:
        check_one_of(value, VALUES, "value")
        check_one_of(positions, ("kind", "slot"), "positions")
        check_positive_int(n_heads, "n_heads")
        if d_model % n_heads:
            msg = problem("`d_model` to be a multiple of `n_heads`", f"{d_model}", "Change one.")
            raise ValueError(msg)
        for layer in treated:
            check_one_of(layer, ("cross", "self"), "treated")
        super().__init__(
            adata,
            registry,
            DrugFeatures(atoms=atoms, fingerprint=fingerprint, graph=graph_key),
        )
        arguments = setup_args(self.registry_)
        low, high = (0.0, 15.0) if value_range is None else value_range
        self._range_given, self._standardise = value_range is not None, standardise
        self._gene_vectors_key = gene_vectors_key
        self._architecture: dict[str, Any] = {
            "d_model": d_model,
            "n_heads": n_heads,
            "treated": tuple(treated),
            "untreated": untreated,
            "weights": XPertWeights(**(weights or {})),
            "start_at_mean": standardise,
            "dropout": dropout,
            "d_head": d_head,
            "value": value,
            "n_bins": n_bins,
            "low": low,
            "high": high,
            "dose_edges": DOSE_EDGES if arguments["dose_key"] is not None else None,
            "time_edges": TIME_EDGES if arguments["time_key"] is not None else None,
            "positions": positions,
            "shared_projection": shared_projection,
        }
        self._build()
        self.init_params_ = init_params(self, locals())

    @classmethod
    def paper(cls, adata: AnnData, **changes: Any) -> Self:
        """Return the published configuration: d 256, 8 heads, four layers a branch, 128 bins.

        With 978 genes, 240 cell lines, 120 atoms of 512 features, a molecule vector of the same
        width, 256-d graph vectors and 128-d gene vectors it has 5.60 M parameters; other features
        change what they pass through.

        Parameters
        ----------
        adata
            Data that were set up.
        **changes
            Arguments of the class that differ.
        """
        return cls(adata, **{**cls.PAPER, **changes})

    def _new_module(self, shape: NetworkShape) -> PerturbationModule:
        return XPertModule(
            shape.n_genes,
            shape.drugs,
            n_cells=shape.n_cells,
            gene_features=shape.gene_features,
            **self._architecture,
        )

    def _gene_vectors(self, adata: AnnData) -> np.ndarray:
        key = self._gene_vectors_key
        if key is None:
            return super()._gene_vectors(adata)
        check_key(adata.varm, key, "adata.varm", "gene_vectors_key")
        vectors = adata.varm[key]
        vectors = vectors.to_numpy() if isinstance(vectors, pd.DataFrame) else vectors
        return np.asarray(vectors, np.float32)

    def _place_gene_vectors(self, module: PerturbationModule, adata: AnnData) -> None:
        if isinstance(module, XPertModule):
            module.genes.gene_vectors.copy_(torch.from_numpy(self._gene_vectors(adata)))

    def _start_from(self, module: PerturbationModule, data: TreatedRows, rows: np.ndarray) -> None:
        moments = data.moments(rows)
        if isinstance(module, XPertModule) and not self._range_given:
            drawn = np.random.default_rng(0).permutation(rows)[:4096]
            control = data.batch(np.sort(drawn))["control"]
            module.genes.set_range(float(control.min()), float(control.max()))
        if self._standardise:
            module.set_statistics(**moments)

    @docs.dedent
    def get_attention(
        self,
        adata: AnnData | None = None,
        *,
        of: Literal["atoms", "tokens", "genes"] = "atoms",
        batch_size: int = 16,
    ) -> pd.DataFrame:
        """Return where the genes look. That a network looks somewhere is no proof of a cause.

        Parameters
        ----------
        %(adata)s
        of
            ``"atoms"``: for each drug the attention of all genes to each atom, averaged over rows
            and heads, scaled to 0-1 within the first and within the last cross layer, and added;
            NaN where a drug has no such atom. Atom ``i`` is that of
            :func:`dtp_scvi.pp.encode_drugs`. ``"tokens"``: for each row the attention to dose,
            time, molecule and atoms, averaged over cross layers; sums to 1. ``"genes"``: for each
            row the attention of all tokens to each gene in the untreated branch, averaged over
            layers.
        %(batch_size)s

        Returns
        -------
        Drugs, or treated rows, by atoms, tokens or genes; float32.

        Raises
        ------
        RuntimeError
            When the model was not trained.
        ValueError
            When ``of`` is unknown, or the model was given no atoms.
        """
        check_one_of(of, _OF, "of")
        adata = self._own_adata() if adata is None else adata
        what = "gene" if of == "genes" else "drug"
        maps, positions = [], []
        for rows, batch in self._batches(adata, batch_size):
            with torch.inference_mode():
                maps.append(self.module.attention_maps(batch)[what].cpu().numpy())
            positions.append(rows)
        found, rows = np.concatenate(maps), np.concatenate(positions)
        names = self.module.drug_tokens.names()
        if of == "genes":
            return pd.DataFrame(found.mean(axis=1), adata.obs_names[rows], self.genes_)
        if of == "tokens":
            return pd.DataFrame(found.mean(axis=1), adata.obs_names[rows], names)
        columns = [i for i, name in enumerate(names) if name.startswith("atom ")]
        if not columns:
            msg = problem("a model with atoms=True", "atoms=False", "There are no atoms to show.")
            raise ValueError(msg)
        drug = text_column(adata.obs, setup_args(self.registry_)["drug_key"], "drug_key")[rows]
        return _by_drug(found[:, [0, -1]][:, :, columns], drug, [names[i] for i in columns])

    @docs.dedent
    def get_cls_embedding(
        self,
        adata: AnnData | None = None,
        *,
        branch: Literal["treated", "untreated"] = "treated",
        batch_size: int = 128,
    ) -> pd.DataFrame:
        """Return the CLS token of a branch for each treated row.

        Parameters
        ----------
        %(adata)s
        branch
            ``"treated"`` or ``"untreated"``.
        %(batch_size)s

        Returns
        -------
        Treated rows x width of a token, float32.
        """
        check_one_of(branch, ("treated", "untreated"), "branch")
        adata = self._own_adata() if adata is None else adata
        parts, positions = [], []
        for rows, batch in self._batches(adata, batch_size):
            with torch.inference_mode():
                parts.append(self.module.cls(batch)[branch].cpu().numpy())
            positions.append(rows)
        return pd.DataFrame(np.concatenate(parts), adata.obs_names[np.concatenate(positions)])


def _by_drug(maps: np.ndarray, drug: np.ndarray, columns: list[str]) -> pd.DataFrame:
    """Average (n_rows, 2, n_atoms) by drug, scale each layer to 0-1 over the drug's atoms, add."""
    out = {}
    for name in sorted(set(drug.tolist())):
        mean = maps[drug == name].mean(axis=0)
        real = mean.max(axis=0) > 0
        low = mean[:, real].min(axis=1, keepdims=True) if real.any() else 0.0
        spread = mean[:, real].max(axis=1, keepdims=True) - low if real.any() else 1.0
        scaled = ((mean - low) / np.where(spread > 0, spread, 1.0)).sum(axis=0)
        out[name] = np.where(real, scaled, np.nan)
    return pd.DataFrame.from_dict(out, orient="index", columns=columns, dtype=np.float32)
