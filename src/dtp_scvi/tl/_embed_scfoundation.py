"""Embed counts with a scFoundation checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dtp_scvi._constants import GENE_LIST_KEY, TARGET_SUM
from dtp_scvi._validate import problem, shorten
from dtp_scvi.data import (
    Scale,
    align_genes,
    gene_names,
    get_matrix,
    iter_blocks,
    linearise_block,
    resolve_scale,
)
from dtp_scvi.data._embedding import BULK
from dtp_scvi.data._gene_files import names_digest, read_gene_names
from dtp_scvi.model._bundle import weights_hash
from dtp_scvi.module import load_scfoundation
from dtp_scvi.tl._embed_device import Run, pick_device, run_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import scipy.sparse as sp
    from anndata import AnnData

    from dtp_scvi.data import GeneAlignment

_COUNTS: Final = (Scale.COUNTS, Scale.CORRECTED_COUNTS)
_FLOOR: Final = 0.5


def embed_expression(
    adata: AnnData,
    checkpoint: Path,
    genes: Iterable[str] | str | Path | None,
    *,
    gene_key: str | None,
    layer: str | None,
    resolution: str,
    pool: str,
    variant: str,
    batch_size: int,
    accelerator: str,
    bar: Any,
) -> Run:
    """Return the cell embedding of the encoder for each row."""
    alignment, digest = _genes(adata, genes, gene_key)
    device = pick_device(accelerator)
    network = load_scfoundation(checkpoint, variant)
    n_genes = alignment.n_targets if alignment else adata.n_vars
    if n_genes != network.n_genes:
        msg = problem(
            f"the {network.n_genes:,} genes of the checkpoint",
            f"a list of {n_genes:,}",
            "Pass the list that belongs to it as `genes`.",
        )
        raise ValueError(msg)
    matrix, where = get_matrix(adata, layer), f"adata.layers[{layer!r}]" if layer else "adata.X"
    scale = _scale(matrix, where, resolution)
    blocks = _Blocks(matrix, alignment, scale, where)
    totals = _totals(blocks, adata)
    target = float(np.median(totals)) if resolution == BULK else TARGET_SUM
    out = np.empty((adata.n_obs, network.dim * (4 if pool == "all" else 1)), np.float32)
    weights = weights_hash(network.state_dict())[:16]
    network.to(device)
    for rows, values in blocks:
        cells = _Cells(values, totals[rows], target, resolution, network.n_genes)
        run_network(network, cells, cells.lengths, batch_size, out[rows], bar, pool=pool)
    options = {"weights": weights, "genes": digest, "resolution": resolution, "pool": pool}
    return Run(out, options, {"variant": variant, "target_sum": target, "scale": str(scale)})


class _Blocks:
    """Rows of linear values of the listed genes, block by block, as often as wanted."""

    def __init__(
        self, matrix: Any, alignment: GeneAlignment | None, scale: Scale, where: str
    ) -> None:
        self.of = (matrix, alignment, scale, where)

    def __iter__(self) -> Iterator[tuple[slice, sp.csr_matrix]]:
        matrix, alignment, scale, where = self.of
        for block in iter_blocks(matrix, alignment, scale=scale, check=where):
            values = block.matrix.astype(np.float64)
            values.data = linearise_block(values.data, scale)
            values.eliminate_zeros()
            values.sort_indices()
            yield block.rows, values


class _Cells:
    """Tokens of some rows: S and T first, then the genes above zero, padded."""

    def __init__(
        self,
        values: sp.csr_matrix,
        totals: np.ndarray,
        target: float,
        resolution: str,
        n_genes: int,
    ) -> None:
        self.indptr, self.genes, self.n_genes = values.indptr, values.indices, n_genes
        self.lengths = np.diff(values.indptr)
        row = np.repeat(np.arange(len(totals)), self.lengths)
        self.values = np.log1p(values.data / totals[row] * target).astype(np.float32)
        self.depth = _depth_tokens(self.values, row, totals, resolution).astype(np.float32)

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return values, positions and padding of these rows."""
        width = int(self.lengths[rows].max()) + 2
        values = np.zeros((len(rows), width), np.float32)
        positions = np.zeros((len(rows), width), np.int64)
        values[:, :2], positions[:, :2] = self.depth[rows], (self.n_genes + 1, self.n_genes)
        for k, row in enumerate(rows):
            part = slice(self.indptr[row], self.indptr[row + 1])
            inside = slice(2, 2 + self.lengths[row])
            values[k, inside], positions[k, inside] = self.values[part], self.genes[part]
        return values, positions, np.arange(width) >= self.lengths[rows][:, None] + 2


def _depth_tokens(
    values: np.ndarray, row: np.ndarray, totals: np.ndarray, resolution: str
) -> np.ndarray:
    """Return S and T of each row, shape ``(n_rows, 2)``."""
    if resolution == BULK:
        sums = np.bincount(row, values.astype(np.float64), minlength=len(totals))
        return np.repeat(np.log10(sums)[:, None], 2, axis=1)
    source, number = np.log10(totals), float(resolution[1:])
    aimed = {
        "t": np.full_like(source, number),
        "a": source + number,
        "f": np.log10(totals * number) if number else source - np.inf,
    }[resolution[0]]
    tokens = np.stack([source, aimed], axis=1)
    if not (np.isfinite(tokens).all() and (tokens > 0).all()):
        msg = problem(
            "depth tokens S and T above zero in every row",
            f"{tokens.min():g} at least, with resolution {resolution!r}",
            "Leave out rows with hardly a count, or aim at another resolution.",
        )
        raise ValueError(msg)
    return tokens


def _genes(adata: AnnData, genes: Any, gene_key: str | None) -> tuple[GeneAlignment | None, str]:
    """Return which column feeds which gene, and a digest of the list."""
    if genes is not None:
        names = read_gene_names(genes)
        alignment = align_genes(gene_names(adata, gene_key), names)
        alignment.check(_FLOOR)
        return alignment, names_digest(names)
    digest = names_digest(adata.var_names)
    if adata.uns.get(GENE_LIST_KEY, {}).get("digest") != digest:
        msg = problem(
            "genes on the list of the checkpoint, in its order",
            "an object that dtp.pp.to_gene_list has not made, or whose genes were changed since",
            "Pass the list as `genes`.",
        )
        raise ValueError(msg)
    return None, digest


def _scale(matrix: Any, where: str, resolution: str) -> Scale:
    scale = resolve_scale(matrix, name=where)
    if resolution != BULK and scale not in _COUNTS:
        msg = problem(
            f"counts in {where}, as S is the logarithm of their sum",
            f"values on the scale {str(scale)!r}",
            'Pass layer="counts", or resolution="bulk" for bulk samples.',
        )
        raise ValueError(msg)
    return scale


def _totals(blocks: _Blocks, adata: AnnData) -> np.ndarray:
    totals = np.concatenate([np.asarray(v.sum(axis=1)).ravel() for _, v in blocks])
    # The logarithm of a single count is zero, which stands for a gene that is not expressed.
    low = totals <= 1
    if low.any():
        msg = problem(
            "more than one count of listed genes in every row",
            f"{int(low.sum()):,} rows without: {shorten(adata.obs_names[low])}",
            "Leave these rows out first.",
        )
        raise ValueError(msg)
    return totals
