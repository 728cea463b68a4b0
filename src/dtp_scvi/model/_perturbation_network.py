"""What a model of drug effects keeps, and how its network is made for the data."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch

from dtp_scvi._constants import PERTURBATION_RESEARCH_USE
from dtp_scvi._labels import text_column
from dtp_scvi._scvi import setup_args
from dtp_scvi.data import get_drug_table
from dtp_scvi.model._perturbation_card import perturbation_card
from dtp_scvi.model._perturbation_data import read_treated, registered_names, treated_rows
from dtp_scvi.model._perturbation_drugs import DrugFeatures, encoding_of, sizes_of
from dtp_scvi.model._saved import SavedModel
from dtp_scvi.nn import seeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

    from dtp_scvi.model._network_card import NetworkCard
    from dtp_scvi.module import DrugSizes, PerturbationModule
    from dtp_scvi.train import TreatedRows


@dataclass(frozen=True)
class NetworkShape:
    """What the data say about the size of a network."""

    n_genes: int
    n_cells: int
    drugs: DrugSizes
    gene_features: int = 0


class PerturbationNetwork(SavedModel):
    """Base of :class:`PerturbationModel`: its state, and the network of its data."""

    module: PerturbationModule
    _saved: ClassVar[tuple[str, ...]] = (
        "drugs_",
        "cells_",
        "encoding_",
        "history_rows_",
        "protocol_",
    )
    _research_use: ClassVar[str] = PERTURBATION_RESEARCH_USE
    _lr: ClassVar[float] = 1e-3

    def __init__(
        self, adata: AnnData | None, registry: dict[str, Any] | None, features: DrugFeatures
    ) -> None:
        super().__init__(adata, registry)
        self._features = features
        self.genes_ = registered_names(self.registry_)
        self.drugs_: list[str] = []
        self.cells_: list[str] = []
        self.encoding_: dict[str, Any] = {}
        self.data_: dict[str, Any] = {}
        self.evaluation_: dict[str, Any] = {}
        self.notes_: dict[str, str] = {}
        self.history_rows_: list[dict[str, float]] = []
        self.protocol_: dict[str, Any] = {}
        self.seed_: int | None = None
        self.reinitialised_: pd.DataFrame | None = None
        self._started = False

    def _build(self) -> None:
        """Make the network for the registered data; a model that is loaded gets its later."""
        if self.adata is None:
            return
        table = get_drug_table(self.adata)
        self.drugs_ = [str(name) for name in table.names]
        self.encoding_ = encoding_of(self.adata)
        cell_key = setup_args(self.registry_)["cell_key"]
        if cell_key is not None:
            cells = text_column(self.adata.obs, cell_key, "cell_key")
            self.cells_ = sorted(set(cells[treated_rows(self.adata)].tolist()))
        self.module = self._fresh(0)

    def _fresh(self, seed: int) -> PerturbationModule:
        """Return an untrained network drawn from ``seed``, with the drugs of the data."""
        adata = self._own_adata()
        parts = self._features.tensors(get_drug_table(adata))
        shape = NetworkShape(
            len(self.genes_), len(self.cells_), sizes_of(parts), self._gene_vectors(adata).shape[1]
        )
        with seeded(seed):
            module = self._new_module(shape)
        module.drugs.fill(**parts)
        self._place_gene_vectors(module, adata)
        return module.eval()

    @abstractmethod
    def _new_module(self, shape: NetworkShape) -> PerturbationModule:
        """Return an untrained network."""

    def _gene_vectors(self, adata: AnnData) -> np.ndarray:
        """Return prior vectors of the genes, (n_genes, width); width 0 without."""
        return np.zeros((adata.n_vars, 0), np.float32)

    def _place_gene_vectors(self, module: PerturbationModule, adata: AnnData) -> None:
        """Give the network its prior vectors of genes, where it takes any."""

    def _start_from(self, module: PerturbationModule, data: TreatedRows, rows: np.ndarray) -> None:
        """Set what a fresh network takes from its training rows."""
        module.set_statistics(**data.moments(rows))

    def _watching(self) -> dict[str, Any]:
        """Return how changes are predicted in the rows that pick the epoch."""
        return {}

    @staticmethod
    def _make_card(meta: Mapping[str, Any], model_id: str) -> NetworkCard:
        return perturbation_card(meta, model_id)

    @property
    def history_table_(self) -> pd.DataFrame:
        """One row an epoch: losses, and in ``validation_loss`` the squared error of the change."""
        return pd.DataFrame(self.history_rows_)

    def _rows(
        self, adata: AnnData, drugs: Sequence[str], *, values: bool, seed: int
    ) -> TreatedRows:
        return read_treated(
            adata,
            setup_args(self.registry_),
            drugs=drugs,
            cells=self.cells_,
            genes=self.genes_,
            values=values,
            seed=seed,
        )

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        parts = {name: state[f"drugs.{name}"] for name in ("tokens", "vector", "graph")}
        vectors = state.get("genes.gene_vectors")
        shape = NetworkShape(
            len(self.genes_),
            len(self.cells_),
            sizes_of(parts),
            0 if vectors is None else vectors.shape[1],
        )
        with torch.random.fork_rng(devices=[]):
            self.module = self._new_module(shape)
