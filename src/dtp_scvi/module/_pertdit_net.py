"""The denoising Transformer of PertDiT, with four ways to look at control and drug."""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import Tensor, nn

from dtp_scvi.nn import AdaptiveNorm, GatedMLP, MaskedAttention

Backbone = Literal["cross", "cat", "catonly", "ada"]
BACKBONES: Final = ("cross", "cat", "catonly", "ada")


class _Step(nn.Module):
    """x + attention(LayerNorm(x), LayerNorm(context))."""

    def __init__(self, d_model: int, n_heads: int, *, on_itself: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.norm_context = None if on_itself else nn.LayerNorm(d_model)
        self.attention = MaskedAttention(d_model, n_heads)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        maps: list[Tensor] | None = None,
    ) -> Tensor:
        if self.norm_context is not None and context is not None:
            context = self.norm_context(context)
        if maps is None:
            return x + self.attention(self.norm(x), context, mask)
        out, weight = self.attention.explicit(self.norm(x), context, mask)
        maps.append(weight)
        return x + out


class CrossBlock(nn.Module):
    """Genes look at the control (``cross``) or at one another (``cat``), then at the drug.

    Parameters
    ----------
    d_model, n_heads, d_hidden
        Width of a token, number of heads, hidden width of the perceptron.
    backbone
        ``"cross"``, ``"cat"`` or ``"catonly"``, which looks at the drug alone.
    """

    def __init__(self, d_model: int, n_heads: int, d_hidden: int, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.first = (
            None if backbone == "catonly" else _Step(d_model, n_heads, on_itself=backbone == "cat")
        )
        self.drug = _Step(d_model, n_heads)
        self.norm = nn.LayerNorm(d_model)
        self.hidden = GatedMLP(d_model, d_hidden)

    def forward(
        self,
        x: Tensor,
        control: Tensor | None,
        drug: Tensor,
        mask: Tensor,
        maps: dict[str, list[Tensor]] | None = None,
    ) -> Tensor:
        """Map gene tokens (n_rows, n_genes, d_model) to the same shape.

        Parameters
        ----------
        x
            Tokens of the noisy profile.
        control
            Tokens of the control, for ``"cross"``.
        drug, mask
            Tokens of the condition and which of them are real.
        maps
            Lists by name, ``"gene"`` and ``"drug"``, to which attention weights are appended.
        """
        if self.first is not None:
            x = self.first(x, control, None, None if maps is None else maps["gene"])
        x = self.drug(x, drug, mask, None if maps is None else maps["drug"])
        return x + self.hidden(self.norm(x))


class AdaptiveBlock(nn.Module):
    """Genes look at one another; the condition shifts, scales and gates (AdaLN).

    Parameters
    ----------
    d_model, n_heads, d_hidden
        Width of a token, number of heads, hidden width of the perceptron.
    start_closed
        Begin as the identity.
    """

    def __init__(self, d_model: int, n_heads: int, d_hidden: int, *, start_closed: bool) -> None:
        super().__init__()
        self.modulation = AdaptiveNorm(d_model, start_closed=start_closed)
        self.attention = MaskedAttention(d_model, n_heads)
        self.hidden = GatedMLP(d_model, d_hidden)

    def forward(
        self, x: Tensor, condition: Tensor, maps: dict[str, list[Tensor]] | None = None
    ) -> Tensor:
        """Map gene tokens (n_rows, n_genes, d_model) to the same shape.

        Parameters
        ----------
        x
            Tokens of noisy profile and control.
        condition
            Drug and diffusion step, (n_rows, d_model).
        maps
            Lists by name, to whose ``"gene"`` attention weights are appended.
        """
        shift, scale, gate, shift_hidden, scale_hidden, gate_hidden = self.modulation(condition)
        h = self.modulation.normed(0, x, shift, scale)
        if maps is None:
            out = self.attention(h)
        else:
            out, weight = self.attention.explicit(h)
            maps["gene"].append(weight)
        x = x + gate * out
        h = self.modulation.normed(1, x, shift_hidden, scale_hidden)
        return x + gate_hidden * self.hidden(h)


class PertDiTNet(nn.Module):
    """Noisy profile, control and condition in; one number a gene out.

    Hu, Chen and Gu, PertDiT, PMC12806128.

    Parameters
    ----------
    n_genes
        Number of genes.
    backbone
        One of ``BACKBONES``.
    d_model, n_heads, n_layers, d_hidden
        Width of a token, heads and layers, hidden width of the perceptrons.
    start_at_zero
        Start the output, and the gates of ``"ada"``, at zero.
    """

    def __init__(
        self,
        n_genes: int,
        backbone: Backbone,
        *,
        d_model: int,
        n_heads: int,
        n_layers: int,
        d_hidden: int,
        start_at_zero: bool,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        joint = backbone != "cross"
        self.value = nn.Linear(2 if joint else 1, d_model)
        self.control = None if joint else nn.Linear(1, d_model)
        self.position = nn.Parameter(torch.randn(n_genes, d_model))
        size = (d_model, n_heads, d_hidden)
        self.blocks = nn.ModuleList(
            AdaptiveBlock(*size, start_closed=start_at_zero)
            if backbone == "ada"
            else CrossBlock(*size, backbone)
            for _ in range(n_layers)
        )
        self.out = nn.Linear(d_model, 1)
        self.start_at_zero = start_at_zero

    def start(self) -> None:
        """Set to zero what starts there."""
        for block in self.blocks:
            if isinstance(block, AdaptiveBlock):
                block.modulation.close()
        if self.start_at_zero:
            nn.init.zeros_(self.out.weight)

    def forward(
        self,
        noisy: Tensor,
        control: Tensor,
        step: Tensor,
        drug: Tensor,
        mask: Tensor,
        maps: dict[str, list[Tensor]] | None = None,
    ) -> Tensor:
        """Return one number a gene, (n_rows, n_genes).

        Parameters
        ----------
        noisy, control
            Standardised profiles, (n_rows, n_genes).
        step
            Embedded diffusion step, (n_rows, d_model); it is added to every stream.
        drug, mask
            Tokens of the condition, (n_rows, n_tokens, d_model), and which of them are real.
        maps
            Lists by name, ``"gene"`` and ``"drug"``, to which attention weights are appended.
        """
        step = step[:, None]
        context = None
        if self.control is None:
            x = self.value(torch.stack([noisy, control], dim=-1))
        else:
            x = self.value(noisy[..., None])
            context = self.control(control[..., None]) + self.position + step
        x = x + self.position + step
        # Padding is out of the mean too.
        seen = mask.to(drug.dtype)[..., None]
        pooled = (drug * seen).sum(dim=1) / seen.sum(dim=1).clamp_min(1) + step[:, 0]
        drug = drug + step
        for block in self.blocks:
            if isinstance(block, AdaptiveBlock):
                x = block(x, pooled, maps)
            else:
                x = block(x, context, drug, mask, maps)
        return self.out(x).squeeze(-1)
