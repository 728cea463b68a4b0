"""Embed texts about drugs by a language model that lies on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from dtp_scvi._constants import CONTROL_LABEL, DRUG_KEY, DRUGS_KEY
from dtp_scvi._validate import check_key, check_one_of, check_positive_int, problem, shorten
from dtp_scvi.data import check_object, get_drug_table, positive_numbers
from dtp_scvi.pp._embed_drug_text_cache import TextCache
from dtp_scvi.pp._embed_drug_text_model import TextModel, checkpoint_hash
from dtp_scvi.pp._encode_drugs_rows import drug_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

# The wording of PertDiT.
DOSAGE: Final = "The dosage is {value} micromoles."


def embed_drug_text(
    adata: AnnData,
    checkpoint: str | Path,
    *,
    texts: Mapping[str, str] | pd.Series | None = None,
    prompt: str = "{smiles}",
    dose_key: str | None = None,
    drug_key: str = DRUG_KEY,
    control: str | Sequence[str] = CONTROL_LABEL,
    pooling: Literal["tokens", "mean"] = "tokens",
    max_length: int = 512,
    cache: str | Path | None = None,
    batch_size: int = 8,
    drugs_key: str = DRUGS_KEY,
    key_added: str = "text",
) -> None:
    """
    Embed a text about each drug, and a sentence about each dose, by a local language model.

    Nothing is downloaded: the checkpoint is a folder. Needs transformers (extra ``text``).

    Parameters
    ----------
    adata
        Treated and control samples in rows, with the table of :func:`dtp_scvi.pp.encode_drugs`.
    checkpoint
        Folder with ``config.json``, weights and tokenizer of an encoder such as BERT.
    texts
        Text, for instance a caption, of each drug by name. ``None`` builds it from ``prompt``.
    prompt
        Template with ``{smiles}`` and ``{drug}``.
    dose_key
        Column with the dose in µM: each distinct dose is embedded as "The dosage is {value}
        micromoles.", apart from the drug, so that a model can append its tokens.
    drug_key, control
        Column of drugs and name of the vehicle; they tell which doses are treated.
    pooling
        ``"tokens"`` keeps the last hidden state of each token, special ones included; ``"mean"``
        their mean.
    max_length
        Most tokens of a text; longer ones are an error, as their end would be lost.
    cache
        Folder that keeps the embedding of each text, named by a hash of checkpoint, length and
        text. A file is there whole or not at all.
    batch_size
        Texts per step; it changes speed and memory only.
    drugs_key
        Key of ``adata.uns`` with the table of drugs.
    key_added
        Name of the embedding.

    Returns
    -------
    ``None``. Written is ``adata.uns[drugs_key]["text"][key_added]`` with ``"values"`` (float32,
    drugs x tokens x dimensions, zero where padded, or drugs x dimensions), ``"mask"`` (drugs x
    tokens) or ``"n_tokens"``; ``"texts"``; with doses ``"doses"``, ``"dose_values"``,
    ``"dose_mask"`` or ``"dose_n_tokens"`` in the same manner; and ``"params"`` with the hash of
    the checkpoint. The mean over a drug's and a dose's tokens together is the mean of the two,
    weighted by ``n_tokens``.

    Raises
    ------
    TypeError, KeyError, FileNotFoundError, ValueError, ImportError
        Not an AnnData; no table of drugs; no such folder; drugs without a text or, for the
        prompt, without SMILES; texts that are too long; damaged files in the cache; no
        transformers.

    References
    ----------
    Hu, Chen and Gu 2025 (PertDiT; PMC12806128).

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> adata = dtp.datasets.simulate_perturbation(2, n_drugs=3, n_genes=20)
    >>> dtp.pp.encode_drugs(adata, smiles_key="smiles")
    >>> dtp.pp.embed_drug_text(adata, "biolinkbert", dose_key="dose")  # doctest: +SKIP
    """
    check_object(adata)
    check_one_of(pooling, ("tokens", "mean"), "pooling")
    check_positive_int(max_length, "max_length")
    check_positive_int(batch_size, "batch_size")
    folder = _folder(checkpoint)
    drugs = get_drug_table(adata, drugs_key).table
    words = _from_prompt(drugs, prompt) if texts is None else _given(drugs.index, texts)
    doses = _doses(adata, dose_key, drug_key, control)
    spoken = [DOSAGE.format(value=f"{dose:g}") for dose in doses]
    digest = checkpoint_hash(folder)
    store = TextCache(cache, f"{digest}|{max_length}")
    wanted = list(dict.fromkeys([*words, *spoken]))
    known = {text: tokens for text in wanted if (tokens := store.get(text)) is not None}
    lacking = [text for text in wanted if text not in known]
    if lacking:
        model = TextModel(folder, max_length)
        for start in range(0, len(lacking), batch_size):
            batch = lacking[start : start + batch_size]
            for text, tokens in zip(batch, model.embed(batch), strict=True):
                store.put(text, tokens)
                known[text] = tokens
    entry: dict[str, Any] = {
        **_stack([known[text] for text in words], pooling, ""),
        "texts": np.array(words, dtype=object),
        "params": {
            "checkpoint": folder.name,
            "checkpoint_sha256": digest,
            "pooling": pooling,
            "max_length": max_length,
        },
    }
    if spoken:
        entry |= {"doses": doses, **_stack([known[text] for text in spoken], pooling, "dose_")}
    stored = dict(adata.uns[drugs_key])
    stored["text"] = {**stored.get("text", {}), key_added: entry}
    adata.uns[drugs_key] = stored


def _folder(checkpoint: str | Path) -> Path:
    folder = Path(checkpoint)
    if not (folder / "config.json").is_file():
        msg = problem(
            "a folder with config.json, weights and a tokenizer",
            f"none at {folder}",
            "Nothing is downloaded here: save the model once by `save_pretrained` and pass that "
            "folder.",
        )
        raise FileNotFoundError(msg)
    return folder


def _from_prompt(drugs: pd.DataFrame, prompt: str) -> list[str]:
    bare = drugs.index[drugs["smiles"] == ""]
    if len(bare) and "{smiles}" in prompt:
        msg = problem(
            "SMILES for each drug, to fill the prompt",
            f"none for {shorten(bare)}",
            "Pass `texts`, or a prompt without {smiles}.",
        )
        raise ValueError(msg)
    try:
        return [
            prompt.format(smiles=smiles, drug=name)
            for name, smiles in zip(drugs.index, drugs["smiles"], strict=True)
        ]
    except (KeyError, IndexError) as error:
        msg = problem(
            "only {smiles} and {drug} in `prompt`", repr(prompt), "Double other curly braces."
        )
        raise ValueError(msg) from error


def _given(names: pd.Index, texts: Mapping[str, str] | pd.Series) -> list[str]:
    table = {str(name): text for name, text in texts.items()}
    lacking = [n for n in names if not str(table.get(n, "") or "").strip() or table[n] != table[n]]
    if lacking:
        msg = problem(
            "a text for each drug",
            f"none for {len(lacking):,} ({shorten(lacking)})",
            "Complete `texts`.",
        )
        raise ValueError(msg)
    return [str(table[name]) for name in names]


def _doses(
    adata: AnnData, dose_key: str | None, drug_key: str, control: str | Sequence[str]
) -> np.ndarray:
    if dose_key is None:
        return np.zeros(0)
    check_key(adata.obs, dose_key, "adata.obs", "dose_key")
    rows, _ = drug_rows(adata, drug_key, None, control)
    treated = (rows != "").to_numpy()
    return np.unique(positive_numbers(adata.obs[dose_key], ~treated, name=dose_key)[treated])


def _stack(found: list[np.ndarray], pooling: str, prefix: str) -> dict[str, np.ndarray]:
    sizes = np.array([len(tokens) for tokens in found])
    if pooling == "mean":
        means = np.stack([tokens.mean(axis=0) for tokens in found])
        return {f"{prefix}values": means, f"{prefix}n_tokens": sizes}
    values = np.zeros((len(found), sizes.max(), found[0].shape[1]), np.float32)
    for row, tokens in enumerate(found):
        values[row, : len(tokens)] = tokens
    mask = np.arange(sizes.max()) < sizes[:, None]
    return {f"{prefix}values": values, f"{prefix}mask": mask}
