"""Predict several continuous responses of a sample with a gene-program Transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import numpy as np
import pandas as pd

from dtp_scvi._docs import docs
from dtp_scvi._validate import check_one_of, check_positive_int
from dtp_scvi.data import check_object
from dtp_scvi.model._arguments import check_architecture, check_dropout
from dtp_scvi.model._residuals import Schedule
from dtp_scvi.model._response_base import DIRECTIONS, Direction
from dtp_scvi.model._response_data import read_training
from dtp_scvi.model._response_distill import ResponseDistillation
from dtp_scvi.model._response_input import ALIGN, CLOSED, Align
from dtp_scvi.model._response_predict import standardised
from dtp_scvi.model._response_residual import NetworkFit, fit_network, network_outputs
from dtp_scvi.module import LOSSES, Loss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from anndata import AnnData

    from dtp_scvi.model._query import InputOptions, Query


@docs.dedent
class ResponseTransformer(ResponseDistillation):
    """Predicts several continuous responses of a sample, such as the AUCs of many drugs.

    The counterpart of :class:`DTPTransformer` for numbers instead of classes. Inputs are
    log1p(1e4 · x / sum over the model's genes). A ridge regression a target, its penalty chosen by
    leaving one donor out, is fitted first and kept. A gene-program Transformer with one output
    a target adds a residual that starts at zero; it is trained on out-of-fold linear predictions and
    kept only as far as it lowers the loss on held-out donors by more than two standard
    errors. Responses that were not measured (NaN) are left out of the loss.

    Parameters
    ----------
    name
        What to call the model.
    target
        ``"value"`` predicts the response, ``"rank"`` its rank among the training rows divided by
        their number.
    loss
        ``"huber"`` on standardised responses, or ``"rank"``: the logistic loss of the order of
        each pair of rows (Burges et al., ICML 2005). The outputs of a residual that was trained on
        order alone have no units: see :attr:`units_`.
    n_programs
        Number of co-expression modules.
    %(program_network)s
    %(program_dropout)s
    n_members
        Number of residual networks, at most 5. Each holds out another fold of the donors.

    Attributes
    ----------
    targets_
        Names of the responses, in the order of the columns of :meth:`predict`.
    genes_
        Genes of the model, in its order.
    units_, direction_
        Units of a prediction, and what a higher one means.
    settings_
        Penalty by target, share of each member's residual that was kept, and Spearman's
        correlation by target on rows that were held out.
    data_
        Size, scale and origin of the training rows.
    history_table_
        One row an epoch: ``epoch``, ``member``, ``train_loss``, ``validation_loss``.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(50, (80, 60)).astype(np.float32)
    >>> samples = ad.AnnData(
    ...     counts,
    ...     obs=pd.DataFrame(
    ...         {"drug_a": counts[:, 0], "drug_b": -counts[:, 1]}, index=map(str, range(80))
    ...     ),
    ... )
    >>> samples.obs.iloc[:30, 1] = np.nan  # not measured
    >>> model = dtp.model.ResponseTransformer("two drugs", n_programs=4)
    >>> model = model.fit(samples, ["drug_a", "drug_b"], max_epochs=2, verbose=False)
    >>> model.predict(samples).shape
    (80, 2)
    """

    def __init__(
        self,
        name: str = "",
        *,
        target: Literal["value", "rank"] = "value",
        loss: Loss = "huber",
        n_programs: int = 16,
        n_components: int = 1,
        d_model: int = 32,
        n_blocks: int = 1,
        n_heads: int = 4,
        dropout: float = 0.1,
        gene_dropout: tuple[float, float] = (0.2, 0.5),
        n_members: int = 5,
    ) -> None:
        check_one_of(target, ("value", "rank"), "target")
        check_one_of(loss, LOSSES, "loss")
        check_architecture(n_programs, n_components, d_model, n_blocks, n_heads, n_members)
        gene_dropout = check_dropout(dropout, gene_dropout)
        super().__init__(name)
        self.target_ = target
        self._architecture: dict[str, Any] = {
            "loss": loss,
            "n_programs": n_programs,
            "n_components": n_components,
            "d_model": d_model,
            "n_blocks": n_blocks,
            "n_heads": n_heads,
            "d_hidden": 2 * d_model,
            "dropout": dropout,
            "gene_dropout": gene_dropout,
            "n_members": n_members,
        }
        self.seed_: int | None = None
        self._fit: NetworkFit | None = None

    @property
    def history_table_(self) -> pd.DataFrame:
        """Losses of every epoch of every member."""
        return self._fit_of().history

    @docs.dedent
    def fit(
        self,
        adata: AnnData,
        target_key: str | Sequence[str],
        *,
        targets: Sequence[str] | None = None,
        layer: str | None = None,
        gene_key: str | None = None,
        donor_key: str | None = None,
        scale: str = "auto",
        units: str = "",
        direction: Direction = "higher_is_resistant",
        max_epochs: int = 40,
        batch_size: int = 64,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        token_lr: float = 0.1,
        patience: int = 10,
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = True,
    ) -> Self:
        """Fit on all genes of an AnnData; rows without any response are left out.

        Parameters
        ----------
        %(adata)s
        target_key
            Column of ``adata.obs`` with a response, several such columns, or the key of a table
            of responses in ``adata.obsm``, such as ``"drug_auc"``; NaN where missing.
        targets
            Columns of the table in ``adata.obsm``; all by default.
        %(layer)s
        %(gene_key)s
        donor_key
            Column of ``adata.obs`` with the donor of each row; a donor's rows are held out
            together. Each row is its own donor without it.
        %(scale)s
        %(response_meaning)s
        max_epochs
            Most epochs of a member.
        %(member_schedule)s
        %(run_options)s

        Returns
        -------
        The model itself.

        Raises
        ------
        KeyError
            When a key or a target is missing.
        ValueError
            When gene names repeat, expression or scale are unfit, a response is no number, or a
            target has fewer than 20 rows, or one value.
        """
        check_one_of(direction, DIRECTIONS, "direction")
        check_positive_int(max_epochs, "max_epochs")
        check_positive_int(batch_size, "batch_size")
        check_object(adata)
        given = read_training(
            adata,
            target_key,
            targets=targets,
            layer=layer,
            gene_key=gene_key,
            donor_key=donor_key,
            scale=scale,
        )
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
        )
        self._fit = fit_network(
            given, self._architecture, schedule, as_rank=self.target_ == "rank", seed=seed
        )
        self._record(given, self._fit.settings, units, direction)
        self.seed_ = seed
        return self

    @docs.dedent
    def predict(
        self, adata: AnnData, *, align: Align = "none", **input_kwargs: Unpack[InputOptions]
    ) -> pd.DataFrame:
        """Return the predicted responses of each row; nothing is written.

        Parameters
        ----------
        %(adata)s
        align
            As in :meth:`ResponseModel.predict`.
        **input_kwargs
            Arguments of :meth:`prepare`: ``layer``, ``gene_key``, ``scale``, ``missing``,
            ``min_coverage``.

        Returns
        -------
        Predictions in :attr:`units_`, float64, index ``obs_names``, one column a target; NaN in
        rows in which no gene of the model has a value above zero.

        Raises
        ------
        RuntimeError
            When the model was not fitted.
        ValueError
            When the expression or its scale is unfit, too few genes are found, or
            ``align="moments"`` meets fewer than ten rows.
        """
        check_one_of(align, ALIGN, "align")
        values = self.predict_query(self.prepare(adata, **input_kwargs), align=align)
        return pd.DataFrame(values, index=adata.obs_names, columns=list(self.targets_))

    def predict_query(self, query: Query, *, align: Align = "none") -> np.ndarray:
        """Return the predictions of :meth:`predict` for what :meth:`prepare` found.

        Parameters
        ----------
        query
            What to predict.
        align
            As in :meth:`predict`.

        Returns
        -------
        (n_rows, n_targets).
        """
        fit = self._fit_of()
        reference = fit.reference
        out = np.empty((int(query.matrix.shape[0]), len(self.targets_)))
        for rows, z in standardised(reference, query, align):
            log = z[0] * reference.sd[0] + reference.mean[0]
            empty = np.isnan(log).any(axis=1)
            log[empty] = reference.mean[0]
            found = network_outputs(fit.module, log) * fit.sd + fit.mean
            found[empty] = np.nan
            out[rows] = found
        return out

    @property
    def importance_(self) -> np.ndarray:
        """Mean absolute attribution of each gene over rows and targets, (n_genes,)."""
        return self._fit_of().module.importance.cpu().numpy()

    @classmethod
    def _unfitted(cls, meta: Mapping[str, Any]) -> Self:
        made = {k: v for k, v in meta["architecture"].items() if k != "d_hidden"}
        return cls(meta["name"], target=meta["target"], **made)

    def _take_weights(self, weights: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
        self.targets_, self.seed_ = tuple(meta["targets"]), meta["seed"]
        self._fit = NetworkFit.from_state(
            weights, self._architecture, (len(self.genes_), len(self.targets_)), meta
        )

    def _units_of(self, units: str) -> str:
        if self._architecture["loss"] == "rank":
            return f"ordered as the {units or 'response'}, without units"
        return super()._units_of(units)

    def _fit_of(self) -> NetworkFit:
        return self._fitted(self._fit)

    def _state(self) -> dict[str, torch.Tensor]:
        return self._fit_of().to_state()

    def _own_meta(self) -> dict[str, Any]:
        return {
            "inputs": CLOSED,
            "target": self.target_,
            "targets": self.targets_,
            "architecture": self._architecture,
            "seed": self.seed_,
            "history": self._fit_of().history.to_dict("records"),
        }
