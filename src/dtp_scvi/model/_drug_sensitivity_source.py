"""The autoencoder that heads are put on, and training rows in its genes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch
from scipy import sparse as sp

from dtp_scvi._validate import problem
from dtp_scvi.data import Scale, align_genes, get_matrix, iter_blocks, scale_kind
from dtp_scvi.model._vae_fit import FitOptions, fit_vae
from dtp_scvi.module import (
    DrugSensitivityModule,
    ResVAEModule,
    dense_inputs,
    sparse_batch,
)
from dtp_scvi.nn import seeded
from dtp_scvi.stats import Moments
from dtp_scvi.train import DenseRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from anndata import AnnData

    from dtp_scvi.model._query import Query

_STEP: Final = 256
# One row in so many watches the pretraining.
_WATCHED: Final = 10
_PRETRAIN: Final[dict[str, Any]] = {"batch_size": 64, "keep": "best", "patience": 10}


class Autoencoder(Protocol):
    """What is needed of a trained :class:`~dtp_scvi.model.ResVAE`."""

    genes_: np.ndarray
    scale_: str
    obsm_key_: str | None
    embedding_: dict[str, Any]
    module: ResVAEModule

    @property
    def adata(self) -> AnnData | None:
        """Its training data, ``None`` where it was loaded without."""

    def prepare(self) -> Query:
        """Find the training rows."""


@dataclass(frozen=True)
class Source:
    """An autoencoder whose encoder a head is put on."""

    module: ResVAEModule
    genes: np.ndarray
    given: bool
    moments: Callable[[], Moments] | None
    """Of the rows it was trained on; ``None`` where these are the rows of the head."""


@dataclass(frozen=True)
class AlignedRows:
    """Training rows in the genes of an encoder."""

    matrix: sp.csr_matrix
    """On the scale of the input, (n_rows, n_genes)."""
    total: np.ndarray
    scale: Scale
    known: np.ndarray
    """Which genes of the encoder the rows have."""

    def values(self, module: DrugSensitivityModule) -> torch.Tensor:
        """Return the inputs of the encoder, (n_rows, n_genes), float32."""
        parts = []
        with torch.no_grad():
            for rows in parts_of(len(self.total)):
                batch = sparse_batch(self.matrix[rows], self.total[rows], scale_kind(self.scale))
                parts.append(module.inputs(batch))
        return torch.cat(parts)


def parts_of(n_rows: int, step: int = _STEP) -> Iterator[slice]:
    """Yield slices of at most ``step`` rows."""
    for start in range(0, n_rows, step):
        yield slice(start, start + step)


def read_aligned(
    adata: AnnData,
    layer: str | None,
    scale: Scale,
    which: np.ndarray,
    genes: np.ndarray,
    floor: float,
) -> AlignedRows:
    """Read rows cut to an encoder's genes, by name."""
    alignment = align_genes(adata.var_names.astype(str), genes)
    alignment.check(floor, of="autoencoder")
    matrix = get_matrix(adata, layer)
    blocks = list(iter_blocks(matrix, alignment, scale=scale, indices=which))
    rows = sp.vstack([block.matrix for block in blocks], format="csr")
    total = np.concatenate([block.total for block in blocks])
    return AlignedRows(rows, total, scale, alignment.observed)


def given_source(vae: Autoencoder, scale: str, n_vars: int) -> Source:
    """Take an autoencoder; raise where it was trained on another kind of values."""
    embedded = (scale == Scale.AS_IS, str(vae.scale_) == Scale.AS_IS)
    if embedded[0] != embedded[1]:
        msg = problem(
            f"rows of the kind that the autoencoder was trained on (scale={str(vae.scale_)!r})",
            f"scale={scale!r}",
            "Expression and values that are used as they are do not mix.",
        )
        raise ValueError(msg)
    if vae.obsm_key_ is not None and n_vars != len(vae.genes_):
        msg = problem(
            f"embeddings of width {len(vae.genes_):,}, as the autoencoder was trained on",
            f"width {n_vars:,}",
            "Extract them with the same checkpoint and options.",
        )
        raise ValueError(msg)
    genes = np.asarray(vae.genes_, dtype=str)
    return Source(vae.module, genes, given=True, moments=lambda: _pool_moments(vae))


def _pool_moments(vae: Autoencoder) -> Moments:
    if vae.adata is None:
        msg = problem(
            "an autoencoder with its training data, whose moments are asked for",
            "one that was loaded without",
            'Load it with adata=..., or use reference="train".',
        )
        raise ValueError(msg)
    return Moments.from_blocks(dense_blocks(vae.prepare(), len(vae.genes_)))


def dense_blocks(
    query: Query, n_inputs: int, rows: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield rows of a query as they are normalised, (n_rows, n_inputs)."""
    for block in query.blocks(indices=rows):
        batch = sparse_batch(block.matrix, block.total, query.kind)
        yield dense_inputs(batch, n_inputs).numpy()


def pretrained_source(
    rows: AlignedRows,
    genes: np.ndarray,
    sizes: Mapping[str, Any],
    options: dict[str, Any],
) -> Source:
    """Pretrain an autoencoder on the training rows; a tenth of them watches."""

    def make(seed: int) -> ResVAEModule:
        with seeded(seed):
            return ResVAEModule(len(genes), **sizes)

    order = np.random.default_rng(options["seed"]).permutation(len(rows.total))
    n_watched = max(2, len(order) // _WATCHED)
    how = FitOptions.from_preset(None, _PRETRAIN | options, len(order) - n_watched)
    values = DenseRows(rows.values(DrugSensitivityModule(len(genes), **_shape(sizes))).numpy())
    module, _, _ = fit_vae(make, values, order[n_watched:], order[:n_watched], how)
    return Source(module, genes, given=False, moments=None)


def _shape(sizes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sizes.items() if name != "decoder"}
