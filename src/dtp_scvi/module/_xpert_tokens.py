"""XPert's tokens: one a gene, and those of a drug with its dose and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor, nn

from dtp_scvi.nn import AmountToken, ContinuousValues, ValueBins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dtp_scvi.module._drugs import Drugs, DrugSizes

Value = Literal["bins", "continuous"]
VALUES: Final = ("bins", "continuous")
# µM and hours, as published: ten classes of dose; 3, 6 and 24 h.
DOSE_EDGES: Final = (0.21, 0.41, 0.71, 1.01, 1.51, 3.1, 4.1, 7.1, 12.1)
TIME_EDGES: Final = (4.5, 15.0)
_EPS = 1e-12


class GeneTokens(nn.Module):
    """Value embedding plus gene embedding, behind a CLS token.

    Parameters
    ----------
    n_genes, d_model
        Number of genes and width of a token.
    value
        ``"bins"`` or ``"continuous"``.
    n_bins, low, high
        Number of bins, first and last edge.
    gene_features
        Width of prior vectors of the genes, 0 without; their linear image is added to the
        learned embedding. (The published network uses it as a start and discards it.)
    dropout
        Of the tokens.
    """

    gene_vectors: Tensor

    def __init__(
        self,
        n_genes: int,
        d_model: int,
        *,
        value: Value = "bins",
        n_bins: int = 64,
        low: float = 0.0,
        high: float = 15.002,
        gene_features: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.value: ValueBins | ContinuousValues = (
            ValueBins(n_bins, d_model, low, high) if value == "bins" else ContinuousValues(d_model)
        )
        self.identity = nn.Parameter(torch.randn(n_genes, d_model))
        self.cls = nn.Parameter(torch.randn(1, 1, d_model))
        self.register_buffer("gene_vectors", torch.zeros(n_genes, gene_features))
        self.prior = nn.Linear(gene_features, d_model) if gene_features else None
        self.norm = nn.LayerNorm(d_model, eps=_EPS)
        self.dropout = nn.Dropout(dropout)

    @torch.no_grad()
    def set_range(self, low: float, high: float) -> None:
        """Set the first and last edge of the bins, where there are bins.

        Parameters
        ----------
        low, high
            On the scale of the input.
        """
        if isinstance(self.value, ValueBins):
            edges = self.value.edges
            edges.copy_(torch.linspace(low, high, len(edges)))

    def forward(self, values: Tensor, standardised: Tensor) -> Tensor:
        """Return CLS and gene tokens, (n_rows, n_genes + 1, d_model).

        Parameters
        ----------
        values
            Control profile on the scale of the input, (n_rows, n_genes); read by bins.
        standardised
            The same in training deviations from the training mean; read by the perceptron.
        """
        gene = (
            self.identity if self.prior is None else self.identity + self.prior(self.gene_vectors)
        )
        seen = values if isinstance(self.value, ValueBins) else standardised
        tokens = self.dropout(self.norm(self.value(seen) + gene))
        return torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], dim=1)


class DrugTokens(nn.Module):
    """Dose, time, knowledge graph, molecule and atoms, each one token.

    Parameters
    ----------
    drugs
        Shape of the drug table.
    d_model
        Width of a token.
    dose_edges, time_edges
        Edges of the learned intervals; ``None`` leaves the token out.
    positions
        ``"slot"`` learns one vector a token, as published; ``"kind"`` one for dose, time, graph,
        molecule and all atoms, whose order in a SMILES means nothing.
    shared_projection
        Molecule and atoms have the same width and pass through one linear layer.
    dropout
        Of the tokens.
    """

    slots: Tensor

    def __init__(
        self,
        drugs: DrugSizes,
        d_model: int,
        *,
        dose_edges: Sequence[float] | None = DOSE_EDGES,
        time_edges: Sequence[float] | None = TIME_EDGES,
        positions: Literal["slot", "kind"] = "kind",
        shared_projection: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.n_tokens = drugs.n_tokens
        self.dose = None if dose_edges is None else AmountToken(d_model, dose_edges)
        self.time = None if time_edges is None else AmountToken(d_model, time_edges)
        # Published graph vectors have the width of a token and are taken as they are.
        self.graph: nn.Module | None = None
        if drugs.graph_features:
            as_is = drugs.graph_features == d_model
            self.graph = nn.Identity() if as_is else nn.Linear(drugs.graph_features, d_model)
        self.no_graph = nn.Parameter(torch.zeros(d_model)) if drugs.graph_features else None
        self.atom = nn.Linear(drugs.token_features, d_model) if drugs.n_tokens else None
        self.molecule = (
            nn.Linear(drugs.vector_features, d_model) if drugs.vector_features else None
        )
        self.shared_projection = shared_projection
        if shared_projection:
            self.molecule = None
        names = self.names()
        kinds = list(dict.fromkeys(name.split(" ")[0] for name in names))
        slots = [kinds.index(name.split(" ")[0]) for name in names]
        if positions == "slot":
            slots = list(range(len(names)))
        self.register_buffer("slots", torch.tensor(slots, dtype=torch.long), persistent=False)
        self.position = nn.Embedding(max(slots, default=0) + 1, d_model)
        self.norm = nn.LayerNorm(d_model, eps=_EPS)
        self.dropout = nn.Dropout(dropout)

    def names(self) -> list[str]:
        """Return what each token is: ``dose``, ``time``, ``graph``, ``molecule``, ``atom 0``, ..."""
        parts = {
            "dose": self.dose,
            "time": self.time,
            "graph": self.graph,
            "molecule": self.atom if self.shared_projection else self.molecule,
        }
        names = [name for name, part in parts.items() if part is not None]
        return names + [f"atom {index}" for index in range(self.n_tokens)]

    def forward(self, drugs: Drugs, dose: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return drug tokens, (n_rows, n_tokens, d_model), and which of them are real.

        Parameters
        ----------
        drugs
            The drugs of the batch.
        dose
            µM, (n_rows,).
        time
            Hours, (n_rows,).
        """
        single: list[Tensor] = []
        if self.dose is not None:
            single.append(self.dose(dose))
        if self.time is not None:
            single.append(self.time(time))
        if self.graph is not None and self.no_graph is not None:
            known = self.graph(drugs.graph)
            single.append(torch.where(drugs.in_graph[:, None], known, self.no_graph))
        molecule = self.atom if self.shared_projection else self.molecule
        if molecule is not None:
            single.append(molecule(drugs.vector))
        tokens = torch.stack(single, dim=1) if single else dose.new_zeros(len(dose), 0, self.width)
        mask = drugs.mask.new_ones(len(dose), len(single))
        if self.atom is not None:
            tokens = torch.cat([tokens, self.atom(drugs.tokens)], dim=1)
            mask = torch.cat([mask, drugs.mask], dim=1)
        tokens = tokens + self.position(self.slots[: tokens.shape[1]])
        return self.dropout(self.norm(tokens)), mask

    @property
    def width(self) -> int:
        """Width of a token."""
        return self.position.embedding_dim
