"""What a model is asked to predict, and the predicting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

import numpy as np
import torch

from dtp_scvi._threads import torch_share
from dtp_scvi._validate import check_one_of, matrix_name
from dtp_scvi.data import (
    N_READERS,
    Scale,
    align_genes,
    gene_names,
    get_matrix,
    iter_blocks,
    resolve_scale,
    scale_kind,
)
from dtp_scvi.module import SparseBatch, one_against_rest, sparse_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anndata import AnnData

    from dtp_scvi.data import Block, GeneAlignment
    from dtp_scvi.module import StudentModule, TransformerModule

Missing = Literal["mean", "zero", "error"]
MISSING = ("mean", "zero", "error")


class InputOptions(TypedDict, total=False):
    """How the expression of a query is found and read."""

    layer: str | None
    gene_key: str | None
    scale: str
    missing: Missing
    min_coverage: float


@dataclass(frozen=True)
class Query:
    """A matrix with its scale and the way its columns feed a model's genes.

    Attributes
    ----------
    matrix
        Cells x genes, in memory or on disk.
    scale
        Scale of the values.
    alignment
        Which column feeds which gene of the model.
    missing
        What stands in for a gene that the matrix lacks.
    name
        What to call the matrix in messages; ``None`` where its values were checked before.
    adaptation
        How these rows are mapped onto the training rows; empty where they are read as they are.
    samples
        Which sample of the adaptation each row is of; ``None`` where all rows are mapped alike.
    """

    matrix: Any
    scale: Scale
    alignment: GeneAlignment
    missing: Missing
    name: str | None
    adaptation: Mapping[str, Any] = field(default_factory=dict)
    samples: np.ndarray | None = None

    @property
    def kind(self) -> str:
        """How values are stored: "linear", "log1p", "log2p1" or "as_is"."""
        return scale_kind(self.scale)

    @property
    def observed(self) -> torch.Tensor | None:
        """Mask over the model's genes, where one of them stands at its training mean."""
        seen = self.alignment.observed
        if self.missing == "zero" or seen.all():
            return None
        return torch.from_numpy(seen.astype(np.float32))

    def blocks(self, **kwargs: Any) -> Iterator[Any]:
        """
        Yield row blocks cut to the model's genes, values checked.

        Parameters
        ----------
        **kwargs
            Arguments of :func:`dtp_scvi.data.iter_blocks`.
        """
        return iter_blocks(
            self.matrix, self.alignment, scale=self.scale, check=self.name, **kwargs
        )


def match_genes(
    adata: AnnData, genes: np.ndarray, gene_key: str | None, missing: str, min_coverage: float
) -> GeneAlignment:
    """Match the genes of a query by name, through aliases; raise where too few are found."""
    check_one_of(missing, MISSING, "missing")
    alignment = align_genes(gene_names(adata, gene_key), genes)
    alignment.check(1.0 if missing == "error" else min_coverage)
    return alignment


def expression_query(
    adata: AnnData,
    genes: np.ndarray,
    *,
    layer: str | None,
    gene_key: str | None,
    scale: str,
    missing: Missing,
    min_coverage: float,
    known: bool = False,
) -> Query:
    """Find the values of a model's genes; where ``known``, scale and values were checked before."""
    matrix = get_matrix(adata, layer)
    name = matrix_name(layer)
    alignment = match_genes(adata, genes, gene_key, missing, min_coverage)
    found = Scale(scale) if known else resolve_scale(matrix, scale, name=name, values=True)
    return Query(matrix, found, alignment, missing, name=None if known else name)


class Predicted(NamedTuple):
    """
    What a model puts out for the rows of one block.

    Attributes
    ----------
    rows
        Where they lie in the query.
    logits
        Log-odds of each class against the others, (n_rows, n_classes).
    space
        Program coordinates, (n_rows, n_space).
    members
        Log-odds by each member of an ensemble, (n_rows, n_members, n_classes); else ``None``.
    """

    rows: slice
    logits: np.ndarray
    space: np.ndarray
    members: np.ndarray | None


def stream_logits(
    module: StudentModule | TransformerModule,
    query: Query,
    *,
    indices: np.ndarray | None = None,
    batch_size: int | None = None,
) -> Iterator[Predicted]:
    """Yield what the module puts out, block by block, in constant memory."""
    module.eval()
    device, observed = module.device, query.observed
    if observed is not None:
        observed = observed.to(device)

    def predict(block: Block) -> list[Predicted]:
        # Inference mode belongs to a thread, and blocks are predicted where they are read.
        with torch.inference_mode():
            n_rows, out = block.matrix.shape[0], []
            step = batch_size or n_rows
            for start in range(0, n_rows, step):
                part = slice(start, min(start + step, n_rows))
                rows = block.matrix if step >= n_rows else block.matrix[part]
                batch = sparse_batch(rows, block.total[part], query.kind)
                found = module.inference(to_device(batch, device), observed)
                raw = found["linear"] + found["residual"]
                logits = one_against_rest(raw.double()).cpu().numpy()
                first = block.rows.start + start
                here = slice(first, first + len(logits))
                members = _odds_of_members(found.get("members"))
                out.append(Predicted(here, logits, found["space"].cpu().numpy(), members))
        return out

    for parts in query.blocks(indices=indices, then=predict, start=torch_share(N_READERS)):
        yield from parts


def _odds_of_members(raw: torch.Tensor | None) -> np.ndarray | None:
    if raw is None:
        return None
    odds = one_against_rest(raw.flatten(0, 1).double())
    return odds.unflatten(0, raw.shape[:2]).cpu().numpy()


def to_device(batch: SparseBatch, device: torch.device) -> SparseBatch:
    """Move the tensors of a batch."""
    if device.type == "cpu":
        return batch
    return SparseBatch(
        values=batch["values"].to(device),
        columns=batch["columns"].to(device),
        offsets=batch["offsets"].to(device),
        total=batch["total"].to(device),
        kind=batch["kind"],
    )
