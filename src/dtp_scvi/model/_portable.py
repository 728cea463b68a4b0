"""Saving a model to a directory that is safe to open, and loading it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.model.base import BaseModelClass

from dtp_scvi._constants import RESEARCH_USE
from dtp_scvi._scvi import setup_args
from dtp_scvi._validate import problem
from dtp_scvi.model._bundle import read_meta, read_weights, weights_hash, write_bundle
from dtp_scvi.model._card import ModelCard, model_card, with_notes
from dtp_scvi.model._checks import check_same_classes, check_same_genes, classes_of
from dtp_scvi.model._plain import plain
from dtp_scvi.model._versions import versions
from dtp_scvi.stats import Calibration, MondrianConformal, ScoreReference, SpaceReference

if TYPE_CHECKING:
    import torch
    from anndata import AnnData


_EVIDENCE: Final[dict[str, Any]] = {
    "calibration": Calibration,
    "conformal": MondrianConformal,
    "score_reference": ScoreReference,
    "space_reference": SpaceReference,
}


def _stored(evidence: Any) -> dict[str, Any] | None:
    return None if evidence is None else evidence.to_dict()


class PortableModel(BaseModelClass):
    """A model of scvi-tools whose files are safetensors and JSON instead of a pickle."""

    genes_: np.ndarray
    threshold_: dict[str, Any]
    calibration_: Calibration | None
    conformal_: MondrianConformal | None
    score_reference_: ScoreReference | None
    space_reference_: SpaceReference | None
    seed_: int | None
    data_: dict[str, Any]
    evaluation_: dict[str, Any]
    notes_: dict[str, str]

    _saved: ClassVar[tuple[str, ...]] = ()
    """Attributes, JSON-able, that a subclass saves beside the common ones."""

    @property
    def settings_(self) -> str:
        """Arguments that the model was made with, as JSON."""
        return json.dumps(plain(self.init_params_["non_kwargs"]), sort_keys=True)

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
    def card_(self) -> ModelCard:
        """What the model is, was trained on, is worth and is not: a :class:`ModelCard`."""
        self._check_trained()
        return model_card(self._meta(), weights_hash(self.module.state_dict())[:12])

    def _check_trained(self) -> None:
        if not self.is_trained_:
            msg = problem(
                f"a trained {type(self).__name__}", "one that is not", "Run train() first."
            )
            raise RuntimeError(msg)

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
                "research_use": RESEARCH_USE,
                "versions": versions(),
                "init_params": self.init_params_["non_kwargs"],
                "registry": {**registry, "field_registries": fields},
                "registered_genes": self.get_var_names() if self.adata is not None else self._all,
                "genes": self.genes_,
                "threshold": self.threshold_,
                "calibration": _stored(self.calibration_),
                "conformal": _stored(self.conformal_),
                "score_reference": _stored(self.score_reference_),
                "space_reference": _stored(self.space_reference_),
                "seed": self.seed_,
                "data": self.data_,
                "evaluation": self.evaluation_,
                "notes": self.notes_,
                "attributes": {name: getattr(self, name) for name in self._saved},
            }
        )

    @property
    def _all(self) -> np.ndarray:
        fields = self.registry_["field_registries"]
        return fields[REGISTRY_KEYS.X_KEY]["state_registry"]["column_names"]

    def save(self, dir_path: str | Path, *, overwrite: bool = False) -> None:
        """Write weights, settings and the model card into a new directory.

        Files: ``model.safetensors``, ``model.json``, ``card.md``, ``card.json``. The directory appears whole or not at all. It holds weights, gene names, settings and
        summary numbers; no cell, no donor and no pickle.

        Parameters
        ----------
        dir_path
            Directory to write.
        overwrite
            Replace a directory that exists.

        Raises
        ------
        FileExistsError
            When the directory exists and ``overwrite`` is false.
        RuntimeError
            When the model was not trained.
        """
        self._check_trained()
        path = Path(dir_path)
        state, meta = self.module.state_dict(), self._meta()
        card = model_card(meta, weights_hash(state)[:12])
        texts = {"card.md": card.to_markdown(), "card.json": card.to_json()}
        write_bundle(path, state, meta, texts, overwrite=overwrite)

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
        meta = read_meta(path)
        if meta.get("class") != cls.__name__:
            msg = problem(
                f"a {cls.__name__} in {path}",
                f"a {meta.get('class')}",
                f"Use {meta.get('class')}.load, or dtp_scvi.model.load_model.",
            )
            raise ValueError(msg)
        state = read_weights(path, meta)
        registry = meta["registry"]
        x_state = registry["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        x_state["column_names"] = np.asarray(meta["registered_genes"], dtype=str)
        if adata is None:
            model = cls(registry=registry, **meta["init_params"])
        else:
            check_same_genes(adata, meta["registered_genes"])
            arguments = setup_args(registry)
            check_same_classes(adata, arguments, classes_of(registry))
            cls.setup_anndata(adata, **arguments)
            model = cls(adata, **meta["init_params"])
        model._restore(meta, state)
        return model

    def _restore(self, meta: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
        self.genes_ = np.asarray(meta["genes"], dtype=str)
        for name, value in meta["attributes"].items():
            setattr(self, name, value)
        self._fit_module_to(state)
        self.module.load_state_dict(state)
        self.module.eval()
        self.threshold_, self.seed_ = meta["threshold"], meta["seed"]
        self.data_, self.evaluation_ = meta["data"], meta["evaluation"]
        self.notes_ = meta["notes"]
        for name, kind in _EVIDENCE.items():
            entries = meta[name]
            setattr(self, f"{name}_", None if entries is None else kind.from_dict(entries))
        self.is_trained_ = True

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        """Rebuild the network where its size is known only after training."""
