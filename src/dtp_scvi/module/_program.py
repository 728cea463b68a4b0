"""A fitted linear part plus residuals of gene-program Transformers, whatever is predicted."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scvi.module.base import BaseModuleClass, LossOutput
from torch import Tensor, nn

from dtp_scvi.nn import ClsEncoder, ProgramTokens, SparseBagSum, log_normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.module._batch import SparseBatch, TrainingBatch

_PIECE = 128


class ResidualNet(nn.Module):
    """One gene-program Transformer, whose output starts at zero."""

    tokens: ProgramTokens
    encoder: ClsEncoder

    def __init__(
        self,
        n_columns: int,
        n_programs: int,
        n_outputs: int,
        *,
        n_components: int,
        d_model: int,
        n_heads: int,
        n_blocks: int,
        d_hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.tokens = ProgramTokens(
            torch.full((n_columns,), n_programs),
            torch.zeros(n_columns, n_components),
            torch.zeros(n_columns),
            n_programs,
            d_model,
        )
        self.encoder = ClsEncoder(d_model, n_heads, n_blocks, d_hidden, dropout)
        self.mix = nn.Sequential(
            nn.Flatten(),
            nn.Linear(n_programs * n_components, d_model),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(2 * d_model, n_outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def from_coordinates(self, coordinates: Tensor) -> Tensor:
        """Map program coordinates (n_cells, n_programs, n_components) to (n_cells, n_outputs)."""
        read_out = self.encoder(self.tokens.embed(coordinates))
        return self.head(torch.cat([read_out, self.mix(coordinates)], dim=1))

    def forward(self, sums: Tensor, observed: Tensor | None = None) -> Tensor:
        """Map bag sums (n_cells, n_programs, n_components) to (n_cells, n_outputs)."""
        return self.from_coordinates(self.tokens.coordinates(sums, observed))


class ProgramModule(BaseModuleClass):
    r"""Linear part plus the mean of the members' residuals.

    .. math:: z(x) = b + \sum_g o_g w_g (x_g - \mu_g) + \frac{1}{M} \sum_m s_m r_m(x)

    Columns are genes sorted by program, genes of no program last; a gene in several programs has
    several columns, and its linear weight on the first of them.
    """

    order: Tensor
    boundaries: Tensor
    mean: Tensor
    linear_weight: Tensor
    linear_bias: Tensor
    member_scale: Tensor
    importance: Tensor

    def __init__(
        self,
        n_genes: int,
        n_columns: int,
        n_outputs: int,
        *,
        n_programs: int,
        n_members: int,
        n_components: int = 1,
        d_model: int = 64,
        n_heads: int = 4,
        n_blocks: int = 2,
        d_hidden: int = 128,
        dropout: float = 0.1,
        gene_dropout: tuple[float, float] = (0.2, 0.5),
        keep_folds: bool = True,
    ) -> None:
        super().__init__()
        self.n_programs, self.gene_dropout = n_programs, gene_dropout
        self.n_outputs = n_outputs
        self.members: Sequence[ResidualNet] = nn.ModuleList(  # type: ignore[assignment]
            ResidualNet(
                n_columns,
                n_programs,
                self.n_outputs,
                n_components=n_components,
                d_model=d_model,
                n_heads=n_heads,
                n_blocks=n_blocks,
                d_hidden=d_hidden,
                dropout=dropout,
            )
            for _ in range(n_members)
        )
        self.register_buffer("order", torch.arange(n_columns))
        self.register_buffer("boundaries", torch.zeros(n_programs + 2, dtype=torch.long))
        self.register_buffer("mean", torch.zeros(n_columns))
        self.register_buffer("linear_weight", torch.zeros(n_columns, self.n_outputs))
        self.register_buffer("linear_bias", torch.zeros(self.n_outputs))
        self.register_buffer("member_scale", torch.zeros(n_members))
        # An ensemble keeps for each member the linear part that has not seen what it held out.
        kept = n_members if n_members > 1 and keep_folds else 0
        self.register_buffer("fold_weight", torch.zeros(n_columns, kept * self.n_outputs))
        self.register_buffer("fold_bias", torch.zeros(kept * self.n_outputs))
        self.register_buffer("importance", torch.zeros(n_genes))

    @torch.no_grad()
    def set_basis(
        self, order: np.ndarray, programs: np.ndarray, mean: np.ndarray, projection: np.ndarray
    ) -> None:
        """Place the columns and start every member's tokens at the programs' components."""
        counts = np.bincount(programs, minlength=self.n_programs + 1)
        self.order.copy_(torch.from_numpy(order))
        self.boundaries.copy_(torch.from_numpy(np.concatenate([[0], np.cumsum(counts)])))
        self.mean.copy_(torch.from_numpy(mean))
        for member in self.members:
            member.tokens.weight.copy_(torch.from_numpy(projection))
            member.tokens.programs.copy_(torch.from_numpy(programs))
            member.tokens.mean.copy_(self.mean)

    def _linear(self, *, folds: bool) -> tuple[Tensor, Tensor]:
        """Return weights and bias of the linear part, those of the folds beside them on request."""
        if not folds:
            return self.linear_weight, self.linear_bias
        weight = torch.cat([self.linear_weight, self.fold_weight], dim=1)
        return weight, torch.cat([self.linear_bias, self.fold_bias])

    def projection(self, members: list[int], *, folds: bool = False) -> Tensor:
        """Lay linear and token weights side by side, by gene: (n_genes, n_outputs + M·K·r)."""
        n_genes, n_columns = len(self.importance), len(self.order)
        linear, _ = self._linear(folds=folds)
        parts = [linear.new_zeros(n_genes, linear.shape[1]).index_add_(0, self.order, linear)]
        column = torch.arange(n_columns, device=self.mean.device)
        for m in members:
            tokens = self.members[m].tokens
            spread = tokens.weight.new_zeros(
                n_columns, self.n_programs + 1, tokens.weight.shape[1]
            )
            spread[column, tokens.programs] = tokens.weight
            flat = spread[:, : self.n_programs].flatten(1)
            parts.append(flat.new_zeros(n_genes, flat.shape[1]).index_add_(0, self.order, flat))
        return torch.cat(parts, dim=1)

    def row_sums(
        self,
        tensors: SparseBatch,
        members: list[int],
        observed: Tensor | None = None,
        *,
        folds: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Return linear outputs and each member's coordinates of rows in the order of genes.

        With ``folds`` the linear outputs of the members' own fits follow those of the whole.
        """
        values = log_normalize(
            tensors["values"], tensors["offsets"].diff().long(), tensors["total"], tensors["kind"]
        )
        sums = SparseBagSum.apply(
            self.projection(members, folds=folds), values, tensors["columns"], tensors["offsets"]
        )
        seen = None if observed is None else observed[self.order]
        centre = self.mean if seen is None else self.mean * seen
        weight, bias = self._linear(folds=folds)
        linear = bias + sums[:, : len(bias)] - centre @ weight
        parts = sums[:, len(bias) :].chunk(max(1, len(members)), dim=1)
        coordinates = [
            self.members[m].tokens.coordinates(part.unflatten(1, (self.n_programs, -1)), seen)
            for m, part in zip(members, parts, strict=False)
        ]
        return linear, coordinates

    def _get_inference_input(self, tensors: SparseBatch) -> dict[str, SparseBatch]:
        return {"tensors": tensors}

    def _get_generative_input(
        self, tensors: SparseBatch, inference_outputs: object
    ) -> dict[str, Any]:
        return {}

    def generative(self) -> dict[str, Tensor]:
        """Return nothing: these networks generate no data."""
        return {}

    @property
    def n_space(self) -> int:
        """Number of coordinates that queries are compared in."""
        return self.n_programs * self.members[0].tokens.weight.shape[1]

    @property
    def live_members(self) -> list[int]:
        """Members whose residual is part of the score."""
        return [m for m, scale in enumerate(self.member_scale.tolist()) if scale != 0]

    def inference(self, tensors: SparseBatch, observed: Tensor | None = None) -> dict[str, Tensor]:
        """Return the raw linear and residual outputs, each (n_rows, n_outputs), and the space.

        The space holds the program coordinates of the first member, (n_rows, n_programs ·
        n_components). Of an ensemble ``members`` holds what each member alone puts out with the
        linear part that has not seen the rows it held out, (n_rows, n_members, n_outputs). Rows hold the genes in the model's order, one bag a row; ``observed`` is a
        mask over genes.
        """
        live = self.live_members
        members = sorted({0, *live})
        linear, coordinates = self.row_sums(tensors, members, observed, folds=True)
        linear, folds = linear[:, : self.n_outputs], linear[:, self.n_outputs :]
        alone = folds.unflatten(1, (-1, self.n_outputs)).clone() if folds.shape[1] else None
        residual = torch.zeros_like(linear)
        for m, part in zip(members, coordinates, strict=True):
            if m not in live:
                continue
            net = self.members[m]
            # Pieces whose activations stay in the cache; larger ones take half as long again.
            raw = torch.cat([net.from_coordinates(piece) for piece in part.split(_PIECE)])
            residual = residual + self.member_scale[m] * raw
            if alone is not None:
                alone[:, m] += self.member_scale[m] * raw
        out = {
            "linear": linear,
            "residual": residual / len(self.members),
            "space": coordinates[0].flatten(1),
        }
        return out if alone is None else out | {"members": alone}

    def raw_logits(self, tensors: SparseBatch, observed: Tensor | None = None) -> Tensor:
        """Return the raw outputs of the whole model, (n_rows, n_outputs)."""
        out = self.inference(tensors, observed)
        return out["linear"] + out["residual"]

    def coordinates(
        self, tensors: SparseBatch, member: int, observed: Tensor | None = None
    ) -> Tensor:
        """Return one member's program coordinates, (n_rows, n_programs, n_components)."""
        return self.row_sums(tensors, [member], observed)[1][0]

    def member_residual(self, tensors: SparseBatch, member: int) -> Tensor:
        """Return one member's residual; in training mode a random set of genes is hidden.

        Rows hold the columns sorted by program, one bag a row and program: that is the layout in
        which the gradient of the token weights is cheap.
        """
        net = self.members[member]
        weight: Tensor = net.tokens.weight
        observed = None
        if self.training and self.gene_dropout[1] > 0:
            rate = torch.empty((), device=weight.device).uniform_(*self.gene_dropout)
            observed = (torch.rand(weight.shape[0], device=weight.device) >= rate).float()
            weight = weight * observed[:, None]
        per_row = tensors["offsets"][:: self.n_programs + 1].diff().long()
        values = log_normalize(tensors["values"], per_row, tensors["total"], tensors["kind"])
        sums = SparseBagSum.apply(weight, values, tensors["columns"], tensors["offsets"])
        sums = sums.view(len(per_row), self.n_programs + 1, -1)[:, : self.n_programs]
        return net(sums, observed)

    @abstractmethod
    def row_losses(self, raw: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted loss of each row and its weight, (n_rows,) both.

        Parameters
        ----------
        raw
            Outputs of the whole model, (n_rows, n_outputs).
        labels
            What the rows should be.
        """

    def loss(
        self,
        tensors: TrainingBatch,
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor] | None = None,
    ) -> LossOutput:
        """Return the weighted mean loss of ``offset + residual`` against the labels."""
        raw = tensors["offset"] + inference_outputs["residual"]
        losses, weights = self.row_losses(raw, tensors["labels"])
        mean = losses.sum() / weights.sum().clamp_min(1e-12)
        return LossOutput(loss=mean, n_obs_minibatch=len(raw))
