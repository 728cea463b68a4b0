"""Training of the heads of a drug sensitivity model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch

from dtp_scvi._docs import docs
from dtp_scvi._scvi import setup_args
from dtp_scvi._validate import check_one_of
from dtp_scvi.model._arguments import class_weights, recipe_of
from dtp_scvi.model._drug_sensitivity_encoder import architecture_of
from dtp_scvi.model._drug_sensitivity_fit import (
    fit_head,
    latent_of,
    mean_attributions,
    member_odds,
    n_axes,
    posterior_sampler,
    set_reference,
    set_space,
)
from dtp_scvi.model._drug_sensitivity_source import (
    given_source,
    pretrained_source,
    read_aligned,
)
from dtp_scvi.model._evidence import space_reference
from dtp_scvi.model._training_data import (
    TrainingData,
    check_calibration,
    read_training_data,
    rule_arguments,
)
from dtp_scvi.module import Adaptation, DrugSensitivityModule
from dtp_scvi.nn import seeded
from dtp_scvi.stats import CALIBRATORS
from dtp_scvi.train import augment_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dtp_scvi.model._classifier import ExpressionClassifier as _Classifier
    from dtp_scvi.model._drug_sensitivity_source import AlignedRows, Autoencoder, Source
else:
    # scvi-tools keeps set-ups by class: a base between would hide them from `leave_original`.
    _Classifier = object

SCHEDULES: Final = ("one_cycle", "cosine")
_RECIPES: Final[dict[str, dict[str, Any]]] = {
    "one_cycle": {"max_epochs": 60, "batch_size": 32, "lr": 1e-2, "weight_decay": 1e-2},
    "cosine": {"max_epochs": 150, "batch_size": 64, "lr": 2e-5, "weight_decay": 3e-3},
}


class SensitivityTraining(_Classifier):
    """Mixin of :class:`DrugSensitivity`: training, calibration, threshold."""

    module: DrugSensitivityModule
    n_members: int
    n_unfrozen_epochs: int
    augment: Literal["vae", "smote"] | None
    reference: str
    schedule: str
    obsm_key_: str | None
    embedding_: dict[str, Any]
    architecture_: dict[str, Any]
    adaptation_: dict[str, Any]
    history_rows_: list[dict[str, float]]
    protocol_: dict[str, Any]
    _sizes: dict[str, Any]
    _decoder: list[int]
    _vae: Autoencoder | None

    def _new_module(
        self, seed: int = 0, n_members: int = 1, n_space: int = 0
    ) -> DrugSensitivityModule:
        with seeded(seed):
            return DrugSensitivityModule(
                len(self.genes_), n_members=n_members, n_space=n_space, **self.architecture_
            )

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        n_members = len({name.split(".")[1] for name in state if name.startswith("heads.")})
        self.module = self._new_module(0, n_members, state["space_weight"].shape[1])
        self.module.adaptation = Adaptation.from_state(state, "adaptation.")

    @docs.dedent
    def train(
        self,
        max_epochs: int | None = None,
        *,
        vae: Autoencoder | None = None,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        patience: int = 15,
        keep: Literal["best", "last"] | None = None,
        class_weight: Literal["balanced"] | Mapping[str, float] | None = "balanced",
        min_coverage: float = 0.5,
        pretrain_kwargs: Mapping[str, Any] | None = None,
        threshold_rule: str = "youden",
        threshold_kwargs: Mapping[str, Any] | None = None,
        calibration: str = "platt",
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = True,
    ) -> None:
        """Fit the heads, then calibration and threshold on what they have not seen.

        Each head holds out another fifth of the rows (of the donors, where these are known); it
        watches for the best epoch and carries calibration and threshold. Made-up rows and class
        weights are of the other rows. Moments, which no label enters, are of all rows.

        Parameters
        ----------
        max_epochs
            Most epochs; 60, or 150 with the schedule ``"cosine"``.
        vae
            Pretrained autoencoder. Without one, and without :meth:`from_vae`, it is pretrained
            here, on the rows to train on. In a cross-validation one that is passed
            may have seen the rows of a test fold, though not their labels.
        %(train_indices)s
        batch_size
            Rows per step; 32, or 64 with ``"cosine"``.
        lr
            Learning rate at its peak; 1e-2, or 2e-5 with ``"cosine"``.
        weight_decay
            Weight decay of AdamW; 1e-2, or 3e-3 with ``"cosine"``.
        %(patience)s
        keep
            Weights to keep: of the ``"best"`` held-out loss, or of the ``"last"`` epoch, which is the
            default with ``"cosine"`` and with ``n_unfrozen_epochs``.
        class_weight
            ``"balanced"`` on the fitted rows, made-up ones included, a weight a class, or ``None``.
        min_coverage
            Least share of the autoencoder's genes that the rows must have, 0 to 1.
        pretrain_kwargs
            Arguments of :meth:`ResVAE.train <dtp_scvi.model.ResVAE.train>`, where it is pretrained.
        %(threshold_choice)s
        %(run_options)s

        Raises
        ------
        ValueError
            When a class is missing among the rows, too few genes are shared with the autoencoder,
            or an embedding has another width.
        """
        check_one_of(calibration, CALIBRATORS, "calibration")
        keep = keep or ("last" if self.schedule == "cosine" or self.n_unfrozen_epochs else "best")
        check_one_of(keep, ("best", "last"), "keep")
        recipe = recipe_of(
            _RECIPES[self.schedule],
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
        )
        given = read_training_data(self, indices, seed)
        n_members = self.n_members if len(given.inner.folds) >= self.n_members else 1
        check_calibration(calibration, given, n_members)
        rule = {"rule": threshold_rule, **rule_arguments(threshold_kwargs, given, n_members)}
        where = {"accelerator": accelerator, "devices": devices, "verbose": verbose}
        source = self._source(vae, given, dict(pretrain_kwargs or {}), seed, where)
        rows = self._read(given, source.genes, min_coverage)
        self._start(source, n_members, len(given.which), seed)
        x = set_reference(self.module, rows, source, self.reference)
        logits = np.full((len(x), len(self.classes_)), np.nan)
        sample = posterior_sampler(source.module) if self.augment == "vae" else None
        self.history_rows_ = []
        for member, (fit_rows, held_out) in enumerate(given.inner.folds[:n_members]):
            made, labels = augment_classes(
                x[fit_rows].numpy(),
                given.codes[fit_rows],
                self.augment,
                seed + member,
                sample=sample,
            )
            table = fit_head(
                self,
                member,
                class_weights(class_weight, self.classes_, labels),
                (torch.from_numpy(made), torch.from_numpy(labels)),
                (x[held_out], torch.from_numpy(given.codes[held_out])),
                schedule=self.schedule,
                n_unfrozen=self.n_unfrozen_epochs,
                keep_last=keep == "last",
                patience=patience,
                seed=seed + member,
                **recipe,
                **where,
            )
            self.history_rows_ += table.assign(member=member).to_dict("records")
            latent = latent_of(self.module, x[held_out])
            logits[held_out] = member_odds(self.module, member, latent)
        self._finish(rows, x, given, logits, rule, calibration, seed)
        self.protocol_ |= {
            "keep": keep,
            "n_members": n_members,
            "encoder": "given" if source.given else "pretrained on the training rows",
            "reference": self.reference,
            "augment": self.augment,
            **recipe,
        }
        self.is_trained_ = True

    def _source(
        self,
        vae: Autoencoder | None,
        given: TrainingData,
        pretrain_kwargs: dict[str, Any],
        seed: int,
        devices: dict[str, Any],
    ) -> Source:
        """Take the autoencoder that was given, or pretrain one on the rows that are fitted."""
        adata, vae = self._own_adata(), vae or self._vae
        if vae is not None:
            self.obsm_key_, self.embedding_ = vae.obsm_key_, vae.embedding_
            return given_source(vae, str(given.scale), adata.n_vars)
        genes = np.asarray(adata.var_names, dtype=str)
        options = {"seed": seed, **devices, **pretrain_kwargs}
        sizes = {**self._sizes, "decoder": self._decoder}
        return pretrained_source(self._read(given, genes, 0.0), genes, sizes, options)

    def _read(self, given: TrainingData, genes: np.ndarray, floor: float) -> AlignedRows:
        layer = setup_args(self.registry_)["layer"]
        return read_aligned(self._own_adata(), layer, given.scale, given.which, genes, floor)

    def _start(self, source: Source, n_members: int, n_rows: int, seed: int) -> None:
        """Make the network on an encoder."""
        self.genes_, self.architecture_ = source.genes, architecture_of(source.module)
        n_space = n_axes(n_rows, source.module.n_latent)
        self.module, self.adaptation_ = self._new_module(seed, n_members, n_space), {}
        self.module.copy_encoder(source.module)

    def _finish(
        self,
        rows: AlignedRows,
        x: torch.Tensor,
        given: TrainingData,
        logits: np.ndarray,
        rule: dict[str, Any],
        calibration: str,
        seed: int,
    ) -> None:
        """Judge the heads on the held-out rows; keep what the training rows look like to them.

        ``logits`` holds what a row was given by the head that has not seen it, else NaN.
        """
        positive = self.classes_.index(self.positive_)
        held_out = np.flatnonzero(np.isfinite(logits[:, positive]))
        self._judge(given, held_out, logits[held_out, positive], rule, calibration, seed)
        set_space(self.module, latent_of(self.module, x))
        self.space_reference_ = space_reference(
            self.module, rows.matrix, rows.total, rows.scale, given.codes, given.donors
        )
        importance = mean_attributions(self.module, x, positive, seed)
        self.module.importance.copy_(torch.from_numpy(importance))
        self.protocol_ = given.protocol(len(held_out))
