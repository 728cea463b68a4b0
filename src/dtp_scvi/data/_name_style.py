"""Say what kind of names a list of genes holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATTERNS = {
    "ensembl_mouse": re.compile(r"^ENSMUSG\d{11}(\.\d+)?$"),
    "ensembl": re.compile(r"^ENS[A-Z]*G\d{11}(\.\d+)?(_PAR_Y)?$"),
    "transcript": re.compile(r"^(ENS[A-Z]*T\d{11}|[NX][MR]_\d+)(\.\d+)?$"),
    "integer": re.compile(r"^\d+(\.0)?$"),
    "mouse": re.compile(r"^(?=.*[a-z])[A-Z][a-z0-9]+[A-Za-z0-9-]*$"),
    "symbol": re.compile(r"^[A-Za-z][A-Za-z0-9._@/-]*$"),
}
_WORDS = {
    "ensembl_mouse": "mouse Ensembl ids",
    "ensembl": "Ensembl ids",
    "transcript": "transcript ids",
    "integer": "integers (Entrez ids or row numbers)",
    "mouse": "mouse symbols",
    "symbol": "gene symbols",
    "unknown": "none of symbols, Ensembl ids and integers",
}
_LOOKED_AT: Final = 500


def name_style(names: Sequence[str]) -> str:
    """
    Return the commonest style among gene names.

    Returns
    -------
    ``"symbol"``, ``"mouse"``, ``"ensembl"``, ``"ensembl_mouse"``, ``"transcript"``, ``"integer"``
    or ``"unknown"``, whichever at least half of the names follow.
    """
    step = max(1, len(names) // _LOOKED_AT)
    looked_at = [str(name) for name in names[::step]]
    counts = dict.fromkeys(_PATTERNS, 0)
    for name in looked_at:
        style = next((s for s, pattern in _PATTERNS.items() if pattern.match(name)), None)
        if style is not None:
            counts[style] += 1
    best = max(counts, key=counts.__getitem__)
    return best if looked_at and counts[best] * 2 >= len(looked_at) else "unknown"


def describe_style(names: Sequence[str]) -> str:
    """Name the style of ``names`` in words."""
    return _WORDS[name_style(names)]


def style_hint(query: Sequence[str], targets: Sequence[str]) -> str:
    """Say what to do about query names of another style than the model's."""
    ours, theirs = name_style(query), name_style(targets)
    if ours == theirs:
        return "Check that the data are of the same organism and not a small panel."
    if ours in ("mouse", "ensembl_mouse"):
        return "Map mouse genes to their human orthologues first."
    if ours == "integer":
        return (
            'Pass gene_key="..." to name the column of var that holds symbols; integers are not '
            "matched."
        )
    if ours == "transcript":
        return "Sum transcripts to genes first."
    return (
        'Pass gene_key="..." to name the column of var that holds names of the model\'s kind, or '
        "a resolver whose table holds both."
    )
