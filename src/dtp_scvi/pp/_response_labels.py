"""Turn words for the best response into a label of responders."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import RECIST_SUFFIX, RESPONSE_KEY, RESPONSE_LABELS_KEY
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_key, problem, shorten
from dtp_scvi.data import check_object
from dtp_scvi.pp._recist import MISSING, PARTS, TERMS, known_spellings, recist_term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


def response_labels(
    adata: AnnData,
    key: str,
    *,
    positive: Sequence[str] | str = ("CR", "PR"),
    negative: Sequence[str] | str = ("SD", "PD"),
    key_added: str = RESPONSE_KEY,
) -> pd.DataFrame:
    """
    Label responders from words for the best response (RECIST), as tables spell them.

    Parameters
    ----------
    adata
        Samples or cells in rows; only ``obs`` and ``uns`` are read and written.
    key
        Column of ``adata.obs`` with the words: ``"CR"``, ``"Partial Response"``, ``"PRCR"``,
        ``"stable disease"``, ``"iCPD"`` and the like, in any case.
    positive
        Terms that count as response.
    negative
        Terms that count as none. A term in neither (``"MR"`` or ``"iUPD"``, by default) gets no label.
    key_added
        Column that is written, and the prefix of the column of terms.

    Returns
    -------
    A table of the words that occur: ``word``, ``term`` (``"CR"``, ``"PR"``, ``"SD"``, ``"PD"``,
    ``"MR"``, ``"iUPD"``, ``"non-CR/non-PD"``, ``"CR/PR"``, ``"SD/PD"``, ``"NE"``, ``"unknown"`` or
    ``"missing"``), ``label`` (1, 0 or NaN) and ``n``. Written are ``adata.obs[key_added]``
    (float64: 1 response, 0 none, NaN not known), ``adata.obs[key_added + "_recist"]`` (the term,
    categorical; missing values stay missing, while ``"NE"`` and ``"unknown"`` are terms of their
    own) and ``adata.uns["dtp_response"]`` with the table and the parameters.

    Raises
    ------
    TypeError, KeyError, ValueError
        Not an AnnData, or a view; no such column; words that are no known term, all of them
        listed with near matches; a class that is empty, unknown, or shares a term with the other.

    Notes
    -----
    Rows without a label can't be trained on; drop them by
    ``adata[adata.obs["response"].notna()].copy()``. ``"CR/PR"`` gets a label where both of its
    terms are in one class. A warning says when only one class, or none, was found.

    Examples
    --------
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> import dtp_scvi as dtp
    >>> obs = pd.DataFrame({"bor": ["CR", "Progressive disease", "NE", None]}, index=list("abcd"))
    >>> adata = ad.AnnData(np.ones((4, 1)), obs=obs)
    >>> table = dtp.pp.response_labels(adata, "bor")
    >>> adata.obs["response"].tolist(), adata.obs["response_recist"].tolist()
    ([1.0, 0.0, nan, nan], ['CR', 'PD', 'NE', nan])
    """
    check_object(adata)
    check_key(adata.obs, key, "adata.obs", "key")
    label_of = _labels(_class_terms(positive, "positive"), _class_terms(negative, "negative"))
    words = adata.obs[key].astype(object)
    term_of = _terms(words, key)
    terms = words.map(lambda word: recist_term(word))
    label = terms.map(lambda term: label_of.get(term, np.nan)).astype(np.float64)
    adata.obs[key_added] = label.to_numpy()
    kept = terms.where(terms != MISSING, other=np.nan)
    adata.obs[key_added + RECIST_SUFFIX] = pd.Categorical(
        kept, categories=[term for term in dict.fromkeys(term_of.values()) if term != MISSING]
    )
    table = _table(words, term_of, label_of)
    params: dict[str, Any] = {
        "key": key,
        "positive": np.array([t for t in TERMS if label_of.get(t) == 1], dtype=object),
        "negative": np.array([t for t in TERMS if label_of.get(t) == 0], dtype=object),
        "key_added": key_added,
        "version": __version__,
    }
    adata.uns[RESPONSE_LABELS_KEY] = {"table": table, "params": params}
    _warn_of_one_class(label, key)
    return table.copy()


def _class_terms(words: Sequence[str] | str, argument: str) -> list[str]:
    given = [words] if isinstance(words, str) else list(words)
    if not given:
        msg = problem(f"at least one term in `{argument}`", "none", 'Name one, for example "PD".')
        raise ValueError(msg)
    found = [recist_term(word) for word in given]
    wrong = [word for word, term in zip(given, found, strict=True) if term not in TERMS]
    if wrong:
        msg = problem(
            f"response terms in `{argument}`", shorten(wrong), f"Known: {', '.join(TERMS)}."
        )
        raise ValueError(msg)
    return [part for term in found if term for part in PARTS.get(term, (term,))]


def _labels(positive: list[str], negative: list[str]) -> dict[str, float]:
    both = sorted(set(positive) & set(negative))
    if both:
        msg = problem(
            "`positive` and `negative` without a common term", shorten(both), "Keep it in one."
        )
        raise ValueError(msg)
    label_of = dict.fromkeys(positive, 1.0) | dict.fromkeys(negative, 0.0)
    for term, parts in PARTS.items():
        labels = {label_of.get(part) for part in parts}
        if len(labels) == 1 and None not in labels:
            label_of[term] = label_of[parts[0]]
    return label_of


def _terms(words: pd.Series, key: str) -> dict[str, str]:
    """Return word -> term for each that occurs; raise for all that are unknown at once."""
    spelled = words.dropna().astype(str)
    counts = spelled.value_counts()
    term_of = {str(word): recist_term(word) for word in sorted(counts.index)}
    strange = [word for word, term in term_of.items() if term is None]
    if strange:
        listed = [f"{word!r} ({counts[word]:,} rows{_near(word)})" for word in strange]
        msg = problem(
            f"known words for a response in adata.obs[{key!r}]",
            shorten(listed, 20),
            "Rename them; a column that is a label already needs no translation.",
        )
        raise ValueError(msg)
    if words.isna().any():
        term_of[""] = MISSING
    return {word: term for word, term in term_of.items() if term is not None}


def _near(word: str) -> str:
    options = {option.lower(): option for option in known_spellings()}
    close = difflib.get_close_matches(word.lower(), options, n=2, cutoff=0.6)
    return f"; like {' or '.join(repr(options[option]) for option in close)}" if close else ""


def _table(words: pd.Series, term_of: dict[str, str], label_of: dict[str, float]) -> pd.DataFrame:
    counts = words.astype(object).where(words.notna(), other="").astype(str).value_counts()
    table = pd.DataFrame(
        {
            "word": list(term_of),
            "term": list(term_of.values()),
            "label": [label_of.get(term, np.nan) for term in term_of.values()],
            "n": [int(counts[word]) for word in term_of],
        }
    )
    table.index = table.index.astype(str)
    return table


def _warn_of_one_class(label: pd.Series, key: str) -> None:
    n_positive, n_negative = int((label == 1).sum()), int((label == 0).sum())
    if not n_positive or not n_negative:
        warn(
            f"adata.obs[{key!r}] gives {n_positive:,} responders and {n_negative:,} others: "
            "nothing can be learned from one class."
        )
