"""Training of the teacher: linear part, residuals, threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, check_positive_int, check_range
from dtp_scvi.data import Scale, coexpression_programs, draw_rows, scale_kind
from dtp_scvi.model._arguments import class_weights
from dtp_scvi.model._evidence import space_reference
from dtp_scvi.model._residuals import Schedule, fit_residuals
from dtp_scvi.model._training_data import (
    TrainingData,
    check_calibration,
    read_training_data,
    rule_arguments,
)
from dtp_scvi.module import TransformerModule, one_against_rest, sorted_columns
from dtp_scvi.nn import seeded
from dtp_scvi.stats import CALIBRATORS
from dtp_scvi.train import (
    Axes,
    InnerFolds,
    LinearFit,
    Rows,
    fit_linear,
    gene_attributions,
    log_rows,
    principal_axes,
    token_basis,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import scipy.sparse as sp

    from dtp_scvi.model._classifier import ExpressionClassifier as _Classifier
else:
    # scvi-tools keeps set-ups by class: a base between would hide them from `leave_original`.
    _Classifier = object

_N_AXES = 100
_IMPORTANCE_CELLS = 1000


class TeacherTraining(_Classifier):
    """Mixin of :class:`DTPTransformer`: training, calibration, threshold."""

    module: TransformerModule
    history_rows_: list[dict[str, float]]
    protocol_: dict[str, Any]
    _architecture: dict[str, Any]
    _members_of: dict[str, np.ndarray] | None

    def _new_module(self, n_columns: int, seed: int = 0) -> TransformerModule:
        with seeded(seed):
            return TransformerModule(
                len(self.genes_), n_columns, len(self.classes_), **self._architecture
            )

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        self.module = self._new_module(len(state["order"]))

    @docs.dedent
    def train(
        self,
        max_epochs: int = 30,
        *,
        indices: np.ndarray | None = None,
        batch_size: int = 128,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        token_lr: float = 0.1,
        patience: int = 10,
        downsample: float = 0.25,
        class_weight: Literal["balanced"] | Mapping[str, float] | None = None,
        threshold_rule: str = "youden",
        threshold_kwargs: Mapping[str, Any] | None = None,
        calibration: str = "platt",
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = True,
    ) -> None:
        """Fit the linear part, then each member's residual, then the threshold.

        Early stopping watches held-out donors (held-out cells where there is one donor) and the
        best weights are kept. Calibration and threshold rest on logits of rows that neither the
        linear part nor the residual behind them has seen; principal axes and programs know no label and
        come from all training rows.

        Parameters
        ----------
        max_epochs
            Most epochs of a member.
        %(train_indices)s
        %(member_schedule)s
        downsample
            Share of the rows of a batch that are thinned to 30-100 % of their depth; counts only.
        class_weight
            ``"balanced"``, or a weight a class. The default weighs rows equally: probabilities
            then follow the prevalence of the training data.
        %(threshold_choice)s
        %(run_options)s

        Raises
        ------
        ValueError
            When a class is missing among the rows, or a class weight is unknown.
        """
        check_positive_int(max_epochs, "max_epochs")
        check_positive_int(batch_size, "batch_size")
        check_range(downsample, "downsample", 0, 1)
        check_one_of(calibration, CALIBRATORS, "calibration")
        given = read_training_data(self, indices, seed)
        codes, inner, groups = given.codes, given.inner, given.groups
        n_members = self._architecture["n_members"]
        check_calibration(calibration, given, n_members)
        rule = {"rule": threshold_rule, **rule_arguments(threshold_kwargs, given, n_members)}
        log = log_rows(given.matrix, given.total, given.scale)
        axes = principal_axes(log, _N_AXES, groups=groups, seed=seed)
        weight = class_weights(class_weight, self.classes_, codes)
        linear = fit_linear(log, codes, axes, inner.folds, weight)
        self._place(log, axes, linear, groups, weight, seed)
        data = Rows(
            sorted_columns(given.matrix, self.module.order.numpy()),
            given.total,
            codes,
            linear.out_of_fold,
            scale_kind(given.scale),
            self.module.boundaries.numpy(),
        )
        del log
        schedule = Schedule(
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            token_lr=token_lr,
            patience=patience,
            accelerator=accelerator,
            devices=devices,
            verbose=verbose,
            thin=downsample if given.scale is Scale.COUNTS else 0.0,
        )
        self.history_rows_ = fit_residuals(self, data, inner.folds, schedule, seed).to_dict(
            "records"
        )
        self._finish(data, given, linear, rule, calibration, seed)
        sample = draw_rows(len(codes), groups, _IMPORTANCE_CELLS, np.random.default_rng(seed))
        importance = gene_attributions(
            self.module,
            given.matrix[sample],
            given.total[sample],
            data.kind,
            self._positive_output,
        )
        self.module.importance.copy_(torch.from_numpy(importance.astype(np.float32)))
        self.is_trained_ = True

    def _place(
        self,
        log: sp.csr_matrix,
        axes: Axes,
        linear: LinearFit,
        groups: Sequence[str] | None,
        weight: np.ndarray,
        seed: int,
    ) -> None:
        """Build the network anew around the linear part and the programs."""
        if self._members_of is None:
            modules = coexpression_programs(
                log, n_programs=self._architecture["n_programs"], groups=groups, seed=seed
            )
        else:
            modules = list(self._members_of.values())
        basis = token_basis(
            modules, axes, self._architecture["n_programs"], self._architecture["n_components"]
        )
        self.module = self._new_module(len(basis.order), seed)
        self.module.set_basis(
            basis.order, basis.programs, axes.mean[basis.order], basis.projection
        )
        once = linear.weight[basis.order] * basis.first[:, None]
        self.module.linear_weight.copy_(torch.from_numpy(once))
        self.module.linear_bias.copy_(torch.from_numpy(linear.bias))
        n_members = self._architecture["n_members"]
        if n_members > 1:
            which = np.arange(n_members) % len(linear.fold_bias)
            folds = linear.fold_weight[which][:, basis.order] * basis.first[:, None]
            flat = np.ascontiguousarray(folds.transpose(1, 0, 2)).reshape(len(basis.order), -1)
            self.module.fold_weight.copy_(torch.from_numpy(flat))
            self.module.fold_bias.copy_(torch.from_numpy(linear.fold_bias[which].ravel()))
        self.module.class_weight.copy_(torch.from_numpy(weight.astype(np.float32)))

    @torch.no_grad()
    def _held_out(self, data: Rows, inner: InnerFolds) -> tuple[np.ndarray, np.ndarray]:
        """Return rows that a member held out and their raw outputs."""
        rows, raws = [], []
        for member in range(min(self._architecture["n_members"], len(inner.folds))):
            held_out = inner.folds[member][1]
            for start in range(0, len(held_out), 1024):
                part = held_out[start : start + 1024]
                residual = self.module.member_residual(data.batch(part), member)
                scale = float(self.module.member_scale[member])
                raws.append(data.offset[part] + scale * residual.cpu().numpy())
                rows.append(part)
        return np.concatenate(rows), np.concatenate(raws)

    def _finish(
        self,
        data: Rows,
        given: TrainingData,
        linear: LinearFit,
        rule: dict[str, Any],
        calibration: str,
        seed: int,
    ) -> None:
        """Judge the members on the rows they held out; record what the model rests on."""
        rows, raw = self._held_out(data, given.inner)
        odds = one_against_rest(torch.from_numpy(raw).double()).numpy()
        positive = odds[:, self.classes_.index(self.positive_)]
        self._judge(given, rows, positive, rule, calibration, seed)
        self.space_reference_ = space_reference(
            self.module, given.matrix, given.total, given.scale, given.codes, given.donors
        )
        self.protocol_ = {
            "held_out": given.inner.unit,
            "n_folds": len(given.inner.folds),
            **given.protocol(len(rows)),
            "linear_C": linear.C,
            "member_scale": [float(scale) for scale in self.module.member_scale],
        }

    @property
    def _positive_output(self) -> int:
        return 0 if len(self.classes_) == 2 else self.classes_.index(self.positive_)
