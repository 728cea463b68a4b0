"""The teacher: logistic regression plus a gene-program Transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch

from dtp_scvi._docs import docs
from dtp_scvi._logging import warn
from dtp_scvi._scvi import init_params
from dtp_scvi._validate import check_key, check_one_of, check_positive_int, check_range
from dtp_scvi.data import Scale, coexpression_programs, draw_rows, read_gmt, scale_kind
from dtp_scvi.model._arguments import check_architecture, class_weights
from dtp_scvi.model._checks import check_same_genes
from dtp_scvi.model._classifier import ExpressionClassifier
from dtp_scvi.model._data_summary import describe_data
from dtp_scvi.model._evidence import held_out_evidence, space_reference
from dtp_scvi.model._explain import gene_embedding, program_attention
from dtp_scvi.model._programs import match_programs
from dtp_scvi.model._student import DTPStudent
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
    ResidualPlan,
    Rows,
    SparseBatches,
    fit_linear,
    gene_attributions,
    log_rows,
    principal_axes,
    run_plan,
    token_basis,
)

if TYPE_CHECKING:
    import scipy.sparse as sp
    from anndata import AnnData


_N_AXES = 100
_IMPORTANCE_CELLS = 1000

Programs = Mapping[str, Sequence[str]] | str | Path


@docs.dedent
class DTPTransformer(ExpressionClassifier):
    r"""Teacher: regularised logistic regression plus a gene-program Transformer residual.

    The linear part is a logistic regression on the leading principal axes of log-normalised
    expression, fitted first and kept. The Transformer adds a residual to its logit. It reads one
    token a gene program, starts at zero, is trained on top of *out-of-fold* linear logits and kept
    only as far as it lowers the log-loss of held-out donors. The teacher thus nests the linear
    part.

    Parameters
    ----------
    %(adata)s
    %(registry)s
    programs
        ``{name: genes}`` or the path of a GMT file; by default, co-expression modules of the
        training donors.
    n_programs
        Number of co-expression modules, where ``programs`` is not given.
    %(program_network)s
    d_hidden
        Hidden width of a block; ``2 * d_model`` by default.
    %(program_dropout)s
    n_members
        Number of residual networks. Each holds out another fold of the training donors; their
        residuals are averaged. At most 5.

    Attributes
    ----------
    history_table_
        One row an epoch: ``epoch``, ``member``, ``train_loss``, ``validation_loss``.
    protocol_
        What training held out, and how much of each residual was kept.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.DTPTransformer.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> teacher = dtp.model.DTPTransformer(cells, n_programs=8)
    >>> teacher.train(max_epochs=2, verbose=False)
    >>> teacher.predict_proba().shape
    (300, 2)
    """

    _saved: ClassVar[tuple[str, ...]] = ("program_names_", "protocol_", "history_rows_")

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        programs: Programs | None = None,
        n_programs: int = 24,
        n_components: int = 1,
        d_model: int = 64,
        n_blocks: int = 2,
        n_heads: int = 4,
        d_hidden: int | None = None,
        dropout: float = 0.1,
        gene_dropout: tuple[float, float] = (0.2, 0.5),
        n_members: int = 1,
    ) -> None:
        super().__init__(adata, registry)
        check_architecture(n_programs, n_components, d_model, n_blocks, n_heads, n_members)
        check_range(dropout, "dropout", 0, 0.95)
        low, high = gene_dropout
        check_range(low, "gene_dropout[0]", 0, high)
        check_range(high, "gene_dropout[1]", low, 0.95)
        gene_dropout = (float(low), float(high))
        if programs is not None:
            programs = read_gmt(programs) if isinstance(programs, str | Path) else dict(programs)
            programs = {name: list(genes) for name, genes in programs.items()}
            self._members_of: dict[str, np.ndarray] | None = match_programs(programs, self.genes_)
            self.program_names_ = list(self._members_of)
        else:
            self._members_of = None
            self.program_names_ = [f"module_{k + 1}" for k in range(n_programs)]
        self._architecture: dict[str, Any] = {
            "n_programs": len(self.program_names_),
            "n_components": n_components,
            "d_model": d_model,
            "n_blocks": n_blocks,
            "n_heads": n_heads,
            "d_hidden": d_hidden or 2 * d_model,
            "dropout": dropout,
            "gene_dropout": gene_dropout,
            "n_members": n_members,
        }
        self.module = self._new_module(len(self.genes_))
        self.protocol_: dict[str, Any] = {}
        self.init_params_ = init_params(self, locals())

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
        check_calibration(calibration, given, self._architecture["n_members"])
        rule_kwargs = rule_arguments(threshold_kwargs, given, self._architecture["n_members"])
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
        self.train_rows_, self.seed_ = given.which, seed
        self.history_rows_ = []
        for member in range(self._architecture["n_members"]):
            train, held_out = inner.folds[member % len(inner.folds)]
            batches = SparseBatches(
                data,
                train,
                held_out,
                batch_size=batch_size,
                thin=downsample if given.scale is Scale.COUNTS else 0.0,
                seed=seed + member,
            )
            plan = ResidualPlan(
                self.module,
                member,
                token_lr=token_lr,
                lr=lr,
                weight_decay=weight_decay,
                n_steps=max_epochs * batches.n_batches,
                patience=patience,
            )
            table = run_plan(
                self,
                plan,
                batches,
                max_epochs=max_epochs,
                seed=seed + member,
                accelerator=accelerator,
                devices=devices,
                description=f"member {member + 1}/{self._architecture['n_members']}",
                verbose=verbose,
            )
            self.module.member_scale[member] = plan.best_scale
            self.history_rows_ += table.assign(member=member).to_dict("records")
        self._finish(data, given, linear, threshold_rule, rule_kwargs, calibration)
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
        rule: str,
        rule_kwargs: dict[str, Any],
        calibration: str,
    ) -> None:
        """Calibrate and choose the threshold on held-out rows; record what they rest on."""
        self.module.to("cpu").eval()
        inner, donors = given.inner, given.donors
        rows, raw = self._held_out(data, inner)
        positive = self.classes_.index(self.positive_)
        logits = one_against_rest(torch.from_numpy(raw).double())[:, positive].numpy()
        labels = data.labels[rows] == positive
        groups = donors[rows] if donors is not None and inner.unit == "donor" else None
        if groups is not None and len(set(groups)) < 2:
            groups = None
        if "negatives" in rule_kwargs:
            rule_kwargs["negatives"] = rule_kwargs["negatives"][rows]
        rule_kwargs = {"rule": rule, **rule_kwargs}
        self._take(
            held_out_evidence(
                logits, labels, groups, rule_kwargs, kind=calibration, seed=self.seed_
            )
        )
        self.space_reference_ = space_reference(
            self.module, given.matrix, given.total, given.scale, given.codes, donors
        )
        # What an earlier fit was worth does not carry over.
        self.data_, self.evaluation_ = describe_data(self, given), {}
        self.protocol_ = {
            "held_out": inner.unit,
            "n_folds": len(inner.folds),
            "n_rows": len(given.which),
            "n_donors": None if donors is None else len(set(donors)),
            "threshold_rows": len(rows),
            "linear_C": linear.C,
            "member_scale": [float(scale) for scale in self.module.member_scale],
        }

    @property
    def _positive_output(self) -> int:
        return 0 if len(self.classes_) == 2 else self.classes_.index(self.positive_)

    @docs.dedent
    def get_program_attention(
        self,
        adata: AnnData | None = None,
        *,
        groupby: str | None = None,
        member: int = 0,
    ) -> pd.DataFrame:
        """Return how much the read-out token attends to each program.

        Attention is averaged over heads and blocks. It is a weak view of what the score rests on:
        it covers the residual only and says nothing of sign.

        Parameters
        ----------
        %(adata)s
        groupby
            Column of ``adata.obs``; average over its groups.
        member
            Which residual network.

        Returns
        -------
        One row a cell, or a group, and one column a program; values 0 to 1, rows sum to at most 1.
        """
        adata = self._own_adata() if adata is None else adata
        if groupby is not None:
            check_key(adata.obs, groupby, "adata.obs", "groupby")
        if float(self.module.member_scale[member]) == 0:
            warn(
                f"The residual of member {member} did not help on held-out donors and is not "
                "part of the score; its attention describes nothing that the model uses."
            )
        query = self.prepare(None if adata is self.adata else adata)
        weights = program_attention(self.module, query, member)
        table = pd.DataFrame(weights, index=adata.obs_names, columns=self.program_names_)
        if groupby is None:
            return table
        return table.groupby(adata.obs[groupby].astype(str).to_numpy()).mean()

    def get_gene_embedding(self, *, member: int = 0) -> pd.DataFrame:
        """Return where a unit of each gene moves its program's token, (n_genes, d_model).

        Parameters
        ----------
        member
            Which residual network.

        Returns
        -------
        One row a gene; zero for genes of no program, summed over programs where there are several.
        """
        self._check_trained()
        return pd.DataFrame(gene_embedding(self.module, member), index=self.genes_)

    @docs.dedent
    def distill(
        self,
        n_genes: int = 1000,
        *,
        adata: AnnData | None = None,
        verbose: bool = True,
        **train_kwargs: Any,
    ) -> DTPStudent:
        """Train a student on a panel of genes to give this teacher's scores.

        Parameters
        ----------
        n_genes
            Size of the panel.
        %(adata)s
        %(verbose)s
        **train_kwargs
            Arguments of :meth:`DTPStudent.train`.

        Returns
        -------
        A trained :class:`DTPStudent`.
        """
        self._check_trained()
        own = adata is None or adata is self.adata
        adata = self._own_adata() if adata is None else adata
        check_same_genes(adata, self.genes_.tolist())
        if own and "indices" not in train_kwargs:
            train_kwargs["indices"] = self._rows_to_imitate(adata)
        DTPStudent.setup_anndata(adata, **_setup_of(self))
        student = DTPStudent(adata, n_genes=n_genes)
        train_kwargs.setdefault("seed", self.seed_ or 0)
        student.train(teacher=self, verbose=verbose, **train_kwargs)
        return student

    def _rows_to_imitate(self, adata: AnnData) -> np.ndarray | None:
        """Return the rows that this teacher was trained on; a saved model does not know them."""
        if self.train_rows_ is None and self.protocol_["n_rows"] != adata.n_obs:
            warn(
                f"This teacher was loaded from a file and was trained on "
                f"{self.protocol_['n_rows']:,} rows, not on all {adata.n_obs:,}: the student is "
                "fitted to all of them. Pass `indices` to keep rows out."
            )
        return self.train_rows_


def _setup_of(model: ExpressionClassifier) -> dict[str, Any]:
    return dict(model.registry_["setup_args"])
