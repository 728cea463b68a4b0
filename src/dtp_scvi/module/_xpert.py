"""Two branches of gene tokens, with and without the drug; what separates them is its effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import torch
from scvi.module.base import LossOutput
from torch import Tensor, nn
from torch.nn import functional as F

from dtp_scvi.module._perturbation import PerturbationModule
from dtp_scvi.module._xpert_layers import CrossLayer, SelfLayer
from dtp_scvi.module._xpert_tokens import DrugTokens, GeneTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.module._drugs import DrugSizes
    from dtp_scvi.module._perturbation import PerturbationBatch

Layer = Literal["cross", "self"]
# Under the root of the correlation, as published.
_LEAST = 1e-6


@dataclass(frozen=True)
class XPertWeights:
    """Weights of the terms of XPert's loss, each of them a mean.

    Attributes
    ----------
    post
        Squared error of the profile after treatment.
    cell
        Cross-entropy of the cell line, summed over both branches.
    delta
        Squared error of the change.
    correlation
        1 - Pearson's correlation of the change over genes.
    control
        Squared error of the control as the untreated branch gives it back.
    """

    post: float = 0.2
    cell: float = 0.003
    delta: float = 0.2
    correlation: float = 1.0
    control: float = 0.2


DEFAULT_WEIGHTS: Final = XPertWeights()


class XPertModule(PerturbationModule):
    """XPert, Nature Machine Intelligence 2026, doi 10.1038/s42256-025-01165-w.

    Treated and untreated branch start from the same gene tokens and CLS; the treated one also
    looks at the drug. Three heads read the profile after treatment from the one, the control from
    the other, and the change from their difference. Padding of a drug is never looked at.

    Parameters
    ----------
    n_genes
        Number of genes.
    drugs
        Shape of the drug table.
    n_cells
        Number of cell lines that the CLS tokens are told apart by; 0 for none.
    d_model, n_heads
        Width of a token and number of attention heads.
    treated
        Layers of the treated branch, ``"cross"`` or ``"self"``.
    untreated
        Number of self-attention layers of the other branch.
    weights
        Weights of the loss.
    start_at_mean
        Start the heads at zero: after :meth:`set_statistics` the network begins at the mean
        change of the training rows.
    dropout
        Of attention weights, branches and hidden layers.
    d_head
        Hidden width of the heads.
    **tokens
        Arguments of the gene tokens (``value``, ``n_bins``, ``low``, ``high``,
        ``gene_features``) and drug tokens (``dose_edges``, ``time_edges``, ``positions``,
        ``shared_projection``).
    """

    def __init__(
        self,
        n_genes: int,
        drugs: DrugSizes,
        *,
        n_cells: int = 0,
        d_model: int = 64,
        n_heads: int = 4,
        treated: Sequence[Layer] = ("cross", "self", "cross"),
        untreated: int = 2,
        weights: XPertWeights = DEFAULT_WEIGHTS,
        start_at_mean: bool = True,
        dropout: float = 0.1,
        d_head: int = 64,
        **tokens: Any,
    ) -> None:
        super().__init__(n_genes, drugs)
        self.weights = weights
        of_genes = ("value", "n_bins", "low", "high", "gene_features")
        given = {name: tokens.pop(name) for name in of_genes if name in tokens}
        self.genes = GeneTokens(n_genes, d_model, dropout=dropout, **given)
        self.drug_tokens = DrugTokens(drugs, d_model, dropout=dropout, **tokens)
        size = (d_model, n_heads, dropout)
        self.treated = nn.ModuleList(
            CrossLayer(*size) if kind == "cross" else SelfLayer(*size) for kind in treated
        )
        self.untreated = nn.ModuleList(SelfLayer(*size) for _ in range(untreated))
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(d_model, d_head),
                    nn.ReLU(),
                    nn.Dropout(dropout),
                    nn.Linear(d_head, 1),
                )
                for name in ("post", "control", "delta")
            }
        )
        self.cell_head = nn.Linear(d_model, n_cells) if n_cells else None
        self._start(start_at_mean=start_at_mean)

    def _start(self, *, start_at_mean: bool) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)
        if start_at_mean:
            for head in self.heads.values():
                nn.init.zeros_(cast("nn.Linear", cast("nn.Sequential", head)[-1]).weight)

    def inference(
        self, tensors: PerturbationBatch, maps: dict[str, list[Tensor]] | None = None
    ) -> dict[str, Tensor]:
        """Return the tokens of both branches, CLS first, each (n_rows, n_genes + 1, d_model).

        Parameters
        ----------
        tensors
            The batch.
        maps
            Lists by name, ``"drug"`` and ``"gene"``, to which attention weights are appended.
        """
        control = tensors["control"]
        x = self.genes(control, (control - self.x_mean) / self.x_sd)
        drug, mask = self.drug_tokens(
            self.drugs.lookup(tensors["drug"]), tensors["dose"], tensors["time"]
        )
        treated = untreated = x
        for layer in self.treated:
            if isinstance(layer, CrossLayer):
                seen = None if maps is None else maps["drug"]
                treated, drug = layer(treated, drug, mask, seen)
            else:
                treated = layer(treated)
        for layer in self.untreated:
            untreated = layer(untreated, None, None if maps is None else maps["gene"])
        return {"treated": treated, "untreated": untreated}

    def generative(
        self, tensors: PerturbationBatch, inference_outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return ``post``, ``control`` and ``delta``, (n_rows, n_genes), on the scale of the input."""
        treated, untreated = inference_outputs["treated"], inference_outputs["untreated"]
        tokens = {"post": treated, "control": untreated, "delta": treated - untreated}
        out = {name: self.heads[name](x[:, 1:]).squeeze(-1) for name, x in tokens.items()}
        return {
            "post": self.x_mean + self.x_sd * out["post"],
            "control": self.x_mean + self.x_sd * out["control"],
            "delta": self.delta_mean + self.delta_sd * out["delta"],
        }

    def loss(
        self,
        tensors: PerturbationBatch,
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor],
    ) -> LossOutput:
        """Return the weighted sum of the terms; squared errors count in training deviations."""
        delta = tensors["x"] - tensors["control"]
        out = generative_outputs
        terms = {
            "post": ((out["post"] - tensors["x"]) / self.x_sd).square().mean(),
            "cell": self._cell_loss(tensors["cell"], inference_outputs),
            "delta": ((out["delta"] - delta) / self.delta_sd).square().mean(),
            "correlation": 1 - correlation(out["delta"], delta).mean(),
            "control": ((out["control"] - tensors["control"]) / self.x_sd).square().mean(),
        }
        loss = sum(
            (getattr(self.weights, name) * term for name, term in terms.items()),
            start=delta.new_zeros(()),
        )
        metrics = {name: term.detach() for name, term in terms.items()}
        return LossOutput(loss=loss, extra_metrics=metrics, n_obs_minibatch=len(delta))

    def _cell_loss(self, cells: Tensor, tokens: dict[str, Tensor]) -> Tensor:
        """Cross-entropy over rows whose cell line is known, (); 0 without any."""
        total = tokens["treated"].new_zeros(())
        if self.cell_head is None:
            return total
        for x in tokens.values():
            scores = self.cell_head(x[:, 0])
            total = total + F.cross_entropy(scores, cells, ignore_index=-1, reduction="sum")
        return total / (cells >= 0).sum().clamp_min(1)

    def batch_loss(
        self, tensors: PerturbationBatch, generator: torch.Generator | None = None
    ) -> LossOutput:
        """Return the loss of a batch; there is no noise to draw but torch's own dropout."""
        tokens = self.inference(tensors)
        return self.loss(tensors, tokens, self.generative(tensors, tokens))

    def predict_delta(self, tensors: PerturbationBatch, **sampling: Any) -> tuple[Tensor, Tensor]:
        """Return the predicted change and zeros, both (n_rows, n_genes): nothing is sampled."""
        delta = self.generative(tensors, self.inference(tensors))["delta"]
        return delta, torch.zeros_like(delta)

    def cls(self, tensors: PerturbationBatch) -> dict[str, Tensor]:
        """Return the CLS token of either branch, ``treated`` and ``untreated``, (n_rows, d_model)."""
        return {name: x[:, 0] for name, x in self.inference(tensors).items()}

    def attention_maps(self, tensors: PerturbationBatch) -> dict[str, Tensor]:
        """Return where genes look, averaged over heads and queries.

        Returns
        -------
        ``drug``: attention of the genes to each token of the drug by cross layer, (n_rows,
        n_layers, n_tokens of :meth:`DrugTokens.names`), summing to 1 over tokens. ``gene``:
        attention of all tokens to each gene by layer of the untreated branch, (n_rows, n_layers,
        n_genes), which leaves out the share of the CLS token.
        """
        maps: dict[str, list[Tensor]] = {"drug": [], "gene": []}
        self.inference(tensors, maps)
        drug = torch.stack([m[:, :, 1:].mean(dim=(1, 2)) for m in maps["drug"]], dim=1)
        gene = torch.stack([m.mean(dim=(1, 2))[:, 1:] for m in maps["gene"]], dim=1)
        n_tokens = len(self.drug_tokens.names())
        return {"drug": F.pad(drug, (0, n_tokens - drug.shape[-1])), "gene": gene}


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Return Pearson's correlation of each row over genes, (n_rows,)."""
    one = one - one.mean(dim=1, keepdim=True)
    other = other - other.mean(dim=1, keepdim=True)
    square = one.square().sum(dim=1) * other.square().sum(dim=1)
    return (one * other).sum(dim=1) / (square + _LEAST).sqrt()
