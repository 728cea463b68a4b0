"""AMU: attention over a gene panel, for response to checkpoint inhibitors."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

import numpy as np
import torch

from dtp_scvi._docs import docs
from dtp_scvi._scvi import init_params
from dtp_scvi._validate import check_one_of, check_positive_int, check_range
from dtp_scvi.data import scale_kind
from dtp_scvi.model._amu_embedding import GeneEmbeddings
from dtp_scvi.model._amu_fit import held_out_logits, mean_attributions, set_inputs
from dtp_scvi.model._arguments import check_heads, class_weights, recipe_of
from dtp_scvi.model._classifier import ExpressionClassifier
from dtp_scvi.model._evidence import space_reference
from dtp_scvi.model._training_data import (
    TrainingData,
    check_calibration,
    read_training_data,
    rule_arguments,
)
from dtp_scvi.module import NETWORKS, AMUModule, Network
from dtp_scvi.nn import seeded
from dtp_scvi.stats import CALIBRATORS
from dtp_scvi.train import PanelPlan, Rows, SparseBatches, run_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

SCHEDULES: Final = ("one_cycle", "two_step")
_RECIPES: Final[dict[str, dict[str, Any]]] = {
    "one_cycle": {"max_epochs": 30, "batch_size": 16, "lr": 1e-3, "weight_decay": 1e-2},
    "two_step": {"max_epochs": 100, "batch_size": 32, "lr": 1e-4, "weight_decay": 1e-4},
}


@docs.dedent
class AMU(GeneEmbeddings, ExpressionClassifier):
    """Attention over the genes of a panel: every gene is a token, every gene has one weight.

    The panel is closed to a whole, log1p per million is standardised on the training rows,
    and multiplied into a learned vector a gene; Transformer blocks mix the tokens, a convolution
    over their channels and a linear layer read them out. Set up the AnnData with the panel's
    genes alone (``adata[:, panel]``); patients go into ``donor_key``, studies into ``batch_key``.

    :meth:`paper` gives the published architecture. The default differs where that one is hard to
    train: normalisation before attention, two blocks, and a gene's token that does not vanish
    where its value is average (``value_bias``).

    Parameters
    ----------
    %(adata)s
    %(registry)s
    network
        ``"attention"``, or ``"cnn"``, the convolutional network that AMU was published beside, which
        takes no other argument but ``schedule``.
    d_model
        Width of a token.
    n_heads
        Number of attention heads; divides ``d_model``.
    n_blocks
        Number of Transformer blocks.
    d_hidden
        Hidden width of a block.
    n_channels
        Channels of the convolution, over whose maximum a gene is read.
    dropout
        Dropout rate in the blocks, 0 to 1.
    attention_dropout
        Dropout rate of the attention weights, 0 to 1. On a CPU its random numbers take most of the
        time of a step.
    head_dropout
        Dropout rate before the convolution's normalisation and before the last layer, 0 to 1.
    norm_first
        Normalise before attention rather than after it.
    value_bias
        Add to each token an embedding of the gene that does not depend on its value.
    schedule
        ``"one_cycle"``: AdamW, warm-up included; ``"two_step"``: Adam with an L2 penalty and two
        steps, as published.

    Attributes
    ----------
    history_table_
        One row an epoch: ``epoch``, ``train_loss``, ``validation_loss``.
    PAPER
        Arguments of the published architecture.

    References
    ----------
    Yin et al., AMU: using mRNA embedding and self-attention to predict response to immune checkpoint
    inhibitors, and the code released with it.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(300, 200, n_donors=4)
    >>> dtp.model.AMU.setup_anndata(
    ...     cells, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    ... )
    >>> model = dtp.model.AMU(cells, n_blocks=1)
    >>> model.train(max_epochs=2, verbose=False)
    >>> model.get_gene_embedding().shape
    (200, 20)
    """

    PAPER: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "d_model": 20,
            "n_heads": 10,
            "n_blocks": 8,
            "d_hidden": 200,
            "n_channels": 5,
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "head_dropout": 0.5,
            "norm_first": False,
            "value_bias": False,
            "schedule": "two_step",
        }
    )
    _saved: ClassVar[tuple[str, ...]] = ("history_rows_", "protocol_")

    def __init__(
        self,
        adata: AnnData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        network: Network = "attention",
        d_model: int = 20,
        n_heads: int = 4,
        n_blocks: int = 2,
        d_hidden: int = 80,
        n_channels: int = 5,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        head_dropout: float = 0.2,
        norm_first: bool = True,
        value_bias: bool = True,
        schedule: Literal["one_cycle", "two_step"] = "one_cycle",
    ) -> None:
        super().__init__(adata, registry)
        check_one_of(network, NETWORKS, "network")
        check_one_of(schedule, SCHEDULES, "schedule")
        sizes = {"d_model": d_model, "n_heads": n_heads, "n_blocks": n_blocks}
        sizes |= {"d_hidden": d_hidden, "n_channels": n_channels}
        for name, value in sizes.items():
            check_positive_int(value, name)
        rates = {"dropout": dropout, "attention_dropout": attention_dropout}
        rates["head_dropout"] = head_dropout
        for name, rate in rates.items():
            check_range(rate, name, 0, 0.95)
        check_heads(d_model, n_heads)
        self.network, self.schedule = network, schedule
        self._architecture: dict[str, Any] = {
            **sizes,
            **rates,
            "norm_first": norm_first,
            "value_bias": value_bias,
        }
        self.module = self._new_module()
        self.protocol_: dict[str, Any] = {}
        self.init_params_ = init_params(self, locals())

    @classmethod
    @docs.dedent
    def paper(cls, adata: AnnData, *, network: Network = "attention") -> Self:
        """Make the published architecture: 83,462 parameters on 160 genes without batch norm.

        Parameters
        ----------
        %(adata)s
        network
            ``"attention"``, or ``"cnn"``, which has 737.
        """
        return cls(adata, network=network, **cls.PAPER)

    def _new_module(self, seed: int = 0, n_space: int = 0) -> AMUModule:
        with seeded(seed):
            n_genes, n_classes = len(self.genes_), len(self.classes_)
            extra = self._architecture if self.network == "attention" else {}
            return AMUModule(n_genes, n_classes, network=self.network, n_space=n_space, **extra)

    def _fit_module_to(self, state: dict[str, torch.Tensor]) -> None:
        self.module = self._new_module(n_space=state["space_weight"].shape[1])

    @docs.dedent
    def train(
        self,
        max_epochs: int | None = None,
        *,
        indices: np.ndarray | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        weight_decay: float | None = None,
        patience: int = 10,
        keep: Literal["best", "last"] = "best",
        class_weight: Literal["balanced"] | Mapping[str, float] | None = "balanced",
        threshold_rule: str = "youden",
        threshold_kwargs: Mapping[str, Any] | None = None,
        calibration: str = "platt",
        seed: int = 0,
        accelerator: str = "auto",
        devices: Any = "auto",
        verbose: bool = True,
    ) -> None:
        """Fit the network, then calibration and threshold on a fifth that it has not seen.

        A fifth of the patients is held out; it watches for the best epoch and carries calibration
        and threshold. Means and deviations of the inputs come from the other rows.

        Parameters
        ----------
        max_epochs
            Most epochs; 30, or 100 with the schedule ``"two_step"``.
        %(train_indices)s
        batch_size
            Rows per step; 16, or 32 with ``"two_step"``.
        lr
            Learning rate at its peak; 1e-3, or 1e-4 with ``"two_step"``.
        weight_decay
            Weight decay of AdamW, 1e-2; L2 penalty of Adam, 1e-4, with ``"two_step"``.
        %(patience)s
        keep
            Weights to keep: of the best held-out loss, or of the last epoch.
        class_weight
            ``"balanced"``, a weight a class, or ``None`` to weigh rows equally.
        %(threshold_choice)s
        %(run_options)s

        Raises
        ------
        ValueError
            When a class is missing among the rows, or a class weight is unknown.
        """
        check_one_of(calibration, CALIBRATORS, "calibration")
        check_one_of(keep, ("best", "last"), "keep")
        recipe = recipe_of(
            _RECIPES[self.schedule],
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
        )
        given = read_training_data(self, indices, seed)
        check_calibration(calibration, given, 1)
        rule = {"rule": threshold_rule, **rule_arguments(threshold_kwargs, given, 1)}
        fit_rows, held_out = given.inner.folds[0]
        weight = class_weights(class_weight, self.classes_, given.codes)
        data = Rows(
            given.matrix,
            given.total,
            given.codes,
            np.zeros((len(given.codes), len(self.classes_)), np.float32),
            scale_kind(given.scale),
        )
        self.module = set_inputs(self._new_module, data, fit_rows, weight, seed)
        batches = SparseBatches(
            data, fit_rows, held_out, batch_size=recipe["batch_size"], thin=0.0, seed=seed
        )
        plan = PanelPlan(
            self.module,
            schedule=self.schedule,
            max_epochs=recipe["max_epochs"],
            keep_last=keep == "last",
            lr=recipe["lr"],
            weight_decay=recipe["weight_decay"],
            n_steps=recipe["max_epochs"] * batches.n_batches,
            patience=recipe["max_epochs"] if keep == "last" else patience,
        )
        table = run_plan(
            self,
            plan,
            batches,
            max_epochs=recipe["max_epochs"],
            seed=seed,
            accelerator=accelerator,
            devices=devices,
            description=type(self).__name__,
            verbose=verbose,
        )
        self.module.to("cpu").eval()
        self.history_rows_ = table.assign(member=0).to_dict("records")
        self._finish(data, given, held_out, rule, calibration, seed)
        self.protocol_ |= {"keep": keep, "epochs": len(table), **recipe}
        self.is_trained_ = True

    def _finish(
        self,
        data: Rows,
        given: TrainingData,
        held_out: np.ndarray,
        rule: dict[str, Any],
        calibration: str,
        seed: int,
    ) -> None:
        """Judge the network on the held-out rows; keep what its training rows look like to it."""
        positive = self.classes_.index(self.positive_)
        odds = held_out_logits(self.module, data, held_out)[:, positive]
        self._judge(given, held_out, odds, rule, calibration, seed)
        self.space_reference_ = space_reference(
            self.module, given.matrix, given.total, given.scale, given.codes, given.donors
        )
        importance = mean_attributions(self.module, data, positive)
        self.module.importance.copy_(torch.from_numpy(importance))
        self.protocol_ = given.protocol(len(held_out))
