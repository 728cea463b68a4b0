"""Saving a model of scvi-tools to a directory that is safe to open, and loading it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass

from dtp_scvi._constants import REPRESENTATION_RESEARCH_USE
from dtp_scvi._docs import docs
from dtp_scvi._scvi import leave_original, setup_args, setup_method_args
from dtp_scvi._validate import problem
from dtp_scvi.model._bundle import read_meta_of, read_weights, weights_hash, write_bundle
from dtp_scvi.model._card import ModelCard, with_notes
from dtp_scvi.model._checks import check_same_genes
from dtp_scvi.model._network_card import NetworkCard, network_card
from dtp_scvi.model._plain import plain
from dtp_scvi.model._versions import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from anndata import AnnData


@docs.dedent
class SavedModel(BaseModelClass):
    """A model of scvi-tools whose files are safetensors and JSON instead of a pickle.

    What a subclass keeps beyond the common attributes it names in ``_saved`` (JSON-able ones) or
    adds in ``_own_meta`` and ``_restore_own``.

    Parameters
    ----------
    adata
        AnnData that was set up for the class.
    %(registry)s
    """

    genes_: np.ndarray
    seed_: int | None
    data_: dict[str, Any]
    evaluation_: dict[str, Any]
    notes_: dict[str, str]

    _saved: ClassVar[tuple[str, ...]] = ()
    """Attributes, JSON-able, that a subclass saves beside the common ones."""
    _research_use: ClassVar[str] = REPRESENTATION_RESEARCH_USE

    @classmethod
    def _register(
        cls,
        adata: AnnData,
        family: type[BaseModelClass],
        fields: list[Any],
        arguments: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        """Register data that were checked; ``family`` is the base of the classes set up alike."""
        leave_original(family, adata)
        manager = AnnDataManager(
            fields=fields,
            setup_method_args=setup_method_args(cls, {"adata": adata, **arguments}),
        )
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    @property
    def settings_(self) -> str:
        """Arguments that the model was made with, as JSON."""
        return json.dumps(plain(self.init_params_["non_kwargs"]), sort_keys=True)

    @property
    def id_(self) -> str:
        """First twelve digits of the checksum of the weights."""
        return weights_hash(self.module.state_dict())[:12]

    def describe(self, **notes: str) -> None:
        """Add what no data can tell to the model card, such as how the label was defined.

        Parameters
        ----------
        **notes
            Texts, any of ``dtp_scvi.model.NOTES``: ``label``, ``intended_use``, ``data_source``,
            ``population``, ``ethics``, ``licence``, ...; an empty text removes one.

        Raises
        ------
        TypeError
            When a name is unknown.

        Examples
        --------
        >>> import dtp_scvi as dtp
        >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
        >>> dtp.model.DTPTransformer.setup_anndata(cells, "state", positive="drug_tolerant")
        >>> model = dtp.model.DTPTransformer(cells, n_programs=8)
        >>> model.describe(label="simulated persister programme above its median")
        >>> model.notes_["label"]
        'simulated persister programme above its median'
        """
        self.notes_ = with_notes(self.notes_, notes)

    @property
    def card_(self) -> ModelCard | NetworkCard:
        """What the model is, was trained on, is worth and is not."""
        self._check_trained()
        return self._make_card(self._meta(), self.id_)

    @staticmethod
    def _make_card(meta: Mapping[str, Any], model_id: str) -> ModelCard | NetworkCard:
        return network_card(meta, model_id)

    def _check_trained(self) -> None:
        if not self.is_trained_:
            msg = problem(
                f"a trained {type(self).__name__}", "one that is not", "Run train() first."
            )
            raise RuntimeError(msg)

    def _own_adata(self) -> AnnData:
        if self.adata is None:
            msg = problem(
                "an AnnData",
                "none (the model was loaded without its training data)",
                "Pass adata=...",
            )
            raise ValueError(msg)
        return self.adata

    def _meta(self) -> dict[str, Any]:
        # scvi-tools draws a new id at every set-up; without it, same seed, same bytes.
        left_out = ("field_registries", "_scvi_uuid")
        registry = {key: value for key, value in self.registry_.items() if key not in left_out}
        fields = {}
        for name, field in self.registry_["field_registries"].items():
            state = {k: v for k, v in field["state_registry"].items() if k != "column_names"}
            fields[name] = {**field, "state_registry": state}
        return plain(
            {
                "class": type(self).__name__,
                "research_use": self._research_use,
                "versions": versions(),
                "init_params": self.init_params_["non_kwargs"],
                "registry": {**registry, "field_registries": fields},
                "registered_genes": self._registered_names,
                "genes": self.genes_,
                "seed": self.seed_,
                "data": self.data_,
                "evaluation": self.evaluation_,
                "notes": self.notes_,
                "attributes": {name: getattr(self, name) for name in self._saved},
                **self._own_meta(),
            }
        )

    def _own_meta(self) -> dict[str, Any]:
        """What a family of classes writes beside the common entries."""
        return {}

    @property
    def _registered_names(self) -> np.ndarray:
        fields = self.registry_["field_registries"]
        return fields[REGISTRY_KEYS.X_KEY]["state_registry"]["column_names"]

    @docs.dedent
    def save(self, dir_path: str | Path, *, overwrite: bool = False) -> None:
        """Write weights, settings and the model card into a new directory.

        Files: ``model.safetensors``, ``model.json``, ``card.md``, ``card.json``. The directory appears whole or not at all. It holds weights, gene names, settings and
        summary numbers; no cell, no donor and no pickle.

        Parameters
        ----------
        %(save_to)s

        Raises
        ------
        FileExistsError
            When the directory exists and ``overwrite`` is false.
        RuntimeError
            When the model was not trained.
        """
        self._check_trained()
        state, meta = self.module.state_dict(), self._meta()
        card = self._make_card(meta, weights_hash(state)[:12])
        texts = {"card.md": card.to_markdown(), "card.json": card.to_json()}
        write_bundle(Path(dir_path), state, meta, texts, overwrite=overwrite)

    @classmethod
    def load(cls, dir_path: str | Path, adata: AnnData | None = None) -> Self:
        """Read a model directory; nothing in it is executed.

        Parameters
        ----------
        dir_path
            Directory that :meth:`save` wrote.
        adata
            Training data, to train or distil again; it is set up as the original was. Scoring
            needs none.

        Raises
        ------
        FileNotFoundError
            When there is nothing at ``dir_path``.
        ValueError
            When it is damaged, foreign, of another class, or ``adata`` has other genes.
        """
        path = Path(dir_path)
        meta = read_meta_of(path, cls.__name__)
        state = read_weights(path, meta)
        registry = meta["registry"]
        x_state = registry["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        x_state["column_names"] = np.asarray(meta["registered_genes"], dtype=str)
        if adata is None:
            model = cls(registry=registry, **meta["init_params"])
        else:
            cls._check_same_data(adata, meta)
            cls.setup_anndata(adata, **setup_args(registry))
            model = cls(adata, **meta["init_params"])
        model._restore(meta, state)
        return model

    @classmethod
    def _check_same_data(cls, adata: AnnData, meta: Mapping[str, Any]) -> None:
        """Raise unless an AnnData can be set up as the training data were."""
        check_same_genes(adata, meta["registered_genes"])

    def _restore(self, meta: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        self.genes_ = np.asarray(meta["genes"], dtype=str)
        for name, value in meta["attributes"].items():
            setattr(self, name, value)
        self._fit_module_to(state)
        self.module.load_state_dict(state)
        self.module.eval()
        self.seed_, self.notes_ = meta["seed"], meta["notes"]
        self.data_, self.evaluation_ = meta["data"], meta["evaluation"]
        self._restore_own(meta)
        self.is_trained_ = True

    def _restore_own(self, meta: Mapping[str, Any]) -> None:
        """Read what ``_own_meta`` wrote."""

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        """Rebuild the network where its size is known only after training."""
