"""Embed cells with a foundation model from a local checkpoint."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from dtp_scvi import __version__
from dtp_scvi._constants import TOKENS_OBSM_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import progress
from dtp_scvi._validate import check_one_of, check_positive_int, problem
from dtp_scvi.data import check_object
from dtp_scvi.data._embedding import BULK, write_embedding_record
from dtp_scvi.tl._embed_geneformer import embed_tokens
from dtp_scvi.tl._embed_scfoundation import embed_expression

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from dtp_scvi.tl._embed_device import Run

GENEFORMER: Final = "geneformer"
SCFOUNDATION: Final = "scfoundation"
_RESOLUTION: Final = re.compile(r"[atf]\d+(\.\d+)?")


@docs.dedent
def embed(
    adata: AnnData,
    checkpoint: str | Path,
    *,
    model: Literal["geneformer", "scfoundation"],
    key_added: str | None = None,
    tokens_key: str = TOKENS_OBSM_KEY,
    genes: Iterable[str] | str | Path | None = None,
    gene_key: str | None = None,
    layer: str | None = None,
    resolution: str = "t4",
    pool: Literal["all", "max"] = "all",
    variant: str = "rde",
    batch_size: int = 16,
    accelerator: str = "auto",
    verbose: bool = False,
) -> None:
    """
    Embed cells with Geneformer or scFoundation, from a checkpoint on this machine.

    Nothing is downloaded, and no file that could run code is opened. How the embedding was made
    is recorded, and a model trained on it refuses one that was made otherwise.

    Parameters
    ----------
    %(adata)s
    checkpoint
        Geneformer: a folder with ``config.json`` and ``model.safetensors``, as published on
        Hugging Face. scFoundation: the file ``models.ckpt``, or a folder with ``config.json`` and
        ``model.safetensors``.
    model
        ``"geneformer"``: the mean over the tokens of a cell of the second-to-last hidden layer.
        Needs the extra ``embeddings``. ``"scfoundation"``: the cell embedding of its encoder.
    key_added
        Key of ``adata.obsm``; ``"X_geneformer"`` or ``"X_scfoundation"`` by default.
    tokens_key
        Geneformer: key of ``adata.obsm`` with the tokens, see :func:`dtp_scvi.pp.rank_tokens`.
    genes
        scFoundation: its 19,264 genes, as names or as a local text file with one a line. ``None``
        takes an object made by :func:`dtp_scvi.pp.to_gene_list`.
    %(gene_key)s
    %(layer)s
        scFoundation takes counts.
    resolution
        scFoundation: the token T, the depth that is aimed at, beside S = log10(total count of the
        cell's listed genes): ``"t4"`` for T = 4, ``"a5"`` for T = S + 5, ``"f2"`` for T = S +
        log10(2), each with any number; ``"bulk"`` for bulk samples: counts are scaled to the
        median total of this object before log(1 + x), and S = T = log10(sum of these values).
    pool
        scFoundation: ``"all"`` for the final S and T tokens and the maximum and mean over genes,
        one after another (4 x 768 in the published model); ``"max"`` for the maximum over all.
    variant
        scFoundation: which model of the file; ``"rde"`` (read-depth enhancement), ``"cell"``,
        ``"gene"``.
    %(batch_size)s
    %(accelerator)s
    %(verbose)s

    Returns
    -------
    Nothing. ``adata.obsm[key_added]``, float32, in the order of ``adata.obs_names``, and
    ``adata.uns["dtp_embeddings"][key_added]``: ``model``, ``n_dims``, ``options`` (what has to be
    the same in a query, a hash of the weights among them) and ``about``.

    Raises
    ------
    ImportError
        When the extra is not installed (Geneformer).
    FileNotFoundError
        When there is no such checkpoint.
    ValueError
        For a checkpoint of another kind or with objects in it that could run code; tokens that
        are missing or of another vocabulary; values that are no counts; rows without an expressed
        gene.

    Notes
    -----
    Tested on small random checkpoints of the same formats, against the reference implementation of
    BERT and an independent one of scFoundation's encoder. **The published weights of the two models
    were not at hand**: compare a few cells with the output of the authors' own code before you
    build on it. The format and the arithmetic of scFoundation follow its public code (Hao et al.,
    Nature Methods 2024) and those of Geneformer its paper (Theodoris et al., Nature 2023). Weights
    have licences of their own.

    Examples
    --------
    >>> import anndata as ad, numpy as np
    >>> import dtp_scvi as dtp
    >>> cells = ad.AnnData(np.ones((3, 2)))
    >>> dtp.tl.embed(cells, "no_such_file.ckpt", model="scfoundation", genes=["CD34", "KIT"])
    Traceback (most recent call last):
    ...
    FileNotFoundError: Expected a checkpoint at no_such_file.ckpt; found nothing. ...
    """
    check_object(adata)
    check_one_of(model, (GENEFORMER, SCFOUNDATION), "model")
    check_positive_int(batch_size, "batch_size")
    check_one_of(pool, ("all", "max"), "pool")
    path = Path(checkpoint).expanduser()
    if not path.exists():
        todo = "Download it first, under its own licence: nothing is fetched here."
        raise FileNotFoundError(problem(f"a checkpoint at {path}", "nothing", todo))
    _check_resolution(resolution)
    with progress(adata.n_obs, "embedding", verbose=verbose) as bar:
        if model == GENEFORMER:
            run = embed_tokens(adata, path, tokens_key, batch_size, accelerator, bar)
        else:
            run = embed_expression(
                adata,
                path,
                genes,
                gene_key=gene_key,
                layer=layer,
                resolution=resolution,
                pool=pool,
                variant=variant,
                batch_size=batch_size,
                accelerator=accelerator,
                bar=bar,
            )
    _write(adata, key_added or f"X_{model}", model, path, run)


def _check_resolution(resolution: Any) -> None:
    if resolution != BULK and not _RESOLUTION.fullmatch(str(resolution)):
        msg = problem(
            f'`resolution` to be {BULK!r}, or "t", "a" or "f" and a number',
            repr(resolution),
            'Pass "t4", "a5" or "f1", for example.',
        )
        raise ValueError(msg)


def _write(adata: AnnData, key: str, model: str, checkpoint: Path, run: Run) -> None:
    adata.obsm[key] = run.values
    write_embedding_record(
        adata,
        key,
        model=model,
        options=run.options,
        about={"checkpoint": checkpoint.name, "version": __version__, **run.about},
    )
