"""Layers of XPert: attention without output projection, normalised on the branch."""

from __future__ import annotations

from torch import Tensor, nn

from dtp_scvi.nn import MaskedAttention

_EPS = 1e-12


def mix(
    attention: MaskedAttention,
    x: Tensor,
    context: Tensor | None,
    mask: Tensor | None,
    maps: list[Tensor] | None,
) -> Tensor:
    """Attend; where ``maps`` is a list, spell the weights out and append them."""
    if maps is None:
        return attention(x, context, mask)
    out, weight = attention.explicit(x, context, mask)
    maps.append(weight)
    return out


class Branch(nn.Module):
    """x + Dropout(LayerNorm(branch)).

    Parameters
    ----------
    d_model
        Width of a token.
    dropout
        Dropout of the normalised branch.
    """

    def __init__(self, d_model: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model, eps=_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """Add the branch to the tokens, both (n_rows, n_tokens, d_model)."""
        return x + self.dropout(self.norm(branch))


class _Hidden(nn.Module):
    def __init__(self, d_model: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(d_model, 2 * d_model),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * d_model, d_model),
        )
        self.add = Branch(d_model, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.add(x, self.net(x))


class SelfLayer(nn.Module):
    """Tokens attend to one another.

    Parameters
    ----------
    d_model
        Width of a token.
    n_heads
        Number of heads.
    dropout
        Of attention weights, branches and hidden layer.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = MaskedAttention(d_model, n_heads, project=False, dropout=dropout)
        self.add = Branch(d_model, dropout)
        self.hidden = _Hidden(d_model, dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, maps: list[Tensor] | None = None
    ) -> Tensor:
        """Map tokens (n_rows, n_tokens, d_model) to the same shape.

        Parameters
        ----------
        x
            Tokens.
        mask
            True for real tokens, (n_rows, n_tokens).
        maps
            Where to append the attention weights.
        """
        x = self.add(x, mix(self.attention, x, None, mask, maps))
        return self.hidden(x)


class CrossLayer(nn.Module):
    """Drug tokens are updated, genes attend to genes, then to the drug.

    Parameters
    ----------
    d_model
        Width of a token.
    n_heads
        Number of heads.
    dropout
        Of attention weights, branches and hidden layer.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.drug = SelfLayer(d_model, n_heads, dropout)
        self.attention = MaskedAttention(d_model, n_heads, project=False, dropout=dropout)
        self.cross = MaskedAttention(d_model, n_heads, project=False, dropout=dropout)
        # One normalisation stands in two places, as published.
        self.add = Branch(d_model, dropout)
        self.hidden = _Hidden(d_model, dropout)

    def forward(
        self, x: Tensor, drug: Tensor, mask: Tensor, maps: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the updated genes and the updated drug.

        Parameters
        ----------
        x
            Gene tokens, (n_rows, n_genes + 1, d_model).
        drug
            Drug tokens, (n_rows, n_tokens, d_model).
        mask
            True for real drug tokens, (n_rows, n_tokens).
        maps
            Where to append how genes look at the drug.
        """
        drug = self.drug(drug, mask)
        x = self.add(x, self.attention(x))
        x = self.add(x, mix(self.cross, x, drug, mask, maps))
        return self.hidden(x), drug
