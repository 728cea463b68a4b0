"""Embed rank-value tokens with a Geneformer checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import RANK_TOKENS_KEY
from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.model._bundle import weights_hash
from dtp_scvi.module import load_geneformer
from dtp_scvi.tl._embed_device import Run, pick_device, run_network

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

    from dtp_scvi.module import GeneformerEncoder


def embed_tokens(
    adata: AnnData,
    checkpoint: Path,
    tokens_key: str,
    batch_size: int,
    accelerator: str,
    bar: Any,
) -> Run:
    """Return the mean of the second-to-last hidden layer over the tokens of each row."""
    check_key(adata.obsm, tokens_key, "adata.obsm (see dtp.pp.rank_tokens)", "tokens_key")
    record = _record(adata, tokens_key)
    tokens = np.asarray(adata.obsm[tokens_key])
    lengths = (tokens != record["pad"]).sum(axis=1)
    _check_rows(adata, lengths)
    device = pick_device(accelerator)
    network = load_geneformer(checkpoint)
    _check_fit(network, record, tokens, lengths)
    out = np.empty((adata.n_obs, network.dim), np.float32)

    def arrays(rows: np.ndarray) -> tuple[np.ndarray, ...]:
        width = int(lengths[rows].max())
        padding = np.arange(width) >= lengths[rows][:, None]
        return tokens[rows, :width].astype(np.int64), padding

    digest = weights_hash(network.state_dict())[:16]
    run_network(network.to(device), arrays, lengths, batch_size, out, bar)
    options = {
        "weights": digest,
        "vocabulary": str(record["vocabulary"]),
        "n_tokens": int(tokens.shape[1]),
        "hidden_layer": "second_to_last",
        "pool": "mean",
    }
    return Run(out, options, {"n_truncated": int(record["n_truncated"])})


def _record(adata: AnnData, tokens_key: str) -> dict[str, Any]:
    record = adata.uns.get(RANK_TOKENS_KEY, {})
    params = record.get("params", {})
    if params.get("key_added") != tokens_key:
        msg = problem(
            f"tokens in adata.obsm[{tokens_key!r}] that dtp.pp.rank_tokens made",
            "no record of them in adata.uns",
            "Run dtp.pp.rank_tokens on this object.",
        )
        raise ValueError(msg)
    if params["own_vocabulary"]:
        msg = problem(
            "tokens of the checkpoint's vocabulary",
            "genes numbered in the order of the medians",
            "Run dtp.pp.rank_tokens with vocabulary=..., the file that belongs to the checkpoint.",
        )
        raise ValueError(msg)
    return dict(record)


def _check_rows(adata: AnnData, lengths: np.ndarray) -> None:
    empty = lengths == 0
    if empty.any():
        msg = problem(
            "a token in every row",
            f"none in {int(empty.sum()):,} rows: {shorten(adata.obs_names[empty])}",
            "Leave these rows out first.",
        )
        raise ValueError(msg)


def _check_fit(
    network: GeneformerEncoder, record: dict[str, Any], tokens: np.ndarray, lengths: np.ndarray
) -> None:
    largest, longest = int(tokens.max()), int(lengths.max())
    if largest >= network.n_words or int(record["pad"]) != network.pad:
        msg = problem(
            f"tokens below {network.n_words:,} and padding {network.pad}, as in the checkpoint",
            f"tokens up to {largest:,} and padding {record['pad']}",
            "Pass dtp.pp.rank_tokens the vocabulary that belongs to this checkpoint.",
        )
        raise ValueError(msg)
    if longest > network.n_positions:
        msg = problem(
            f"at most {network.n_positions:,} tokens a row, as in the checkpoint",
            f"{longest:,}",
            f"Run dtp.pp.rank_tokens with n_tokens={network.n_positions}.",
        )
        raise ValueError(msg)
