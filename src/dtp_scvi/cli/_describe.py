"""Word what was found in an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi._constants import SIMULATION_KEY
from dtp_scvi._validate import shorten
from dtp_scvi.cli._screen import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

    from dtp_scvi.data import GeneAlignment
    from dtp_scvi.model import Registration

Finding = tuple[str, str]


def shape_title(name: str, adata: AnnData, layer: str | None) -> str:
    """Say file, shape and matrix in a line."""
    matrix = "X" if layer is None else f"layer {layer!r}"
    where = ", read from disk in blocks" if adata.isbacked else ""
    rows, genes = counted(adata.n_obs, "row"), counted(adata.n_vars, "gene")
    return f"{name}: {rows} × {genes}, {matrix}{where}"


def matrix_findings(adata: AnnData, layer: str | None) -> list[Finding]:
    """Say the scale of a matrix, and whether the data are simulated."""
    from dtp_scvi import pp

    rows = [("scale", pp.check_scale(adata, layer=layer).sentence())]
    if SIMULATION_KEY in adata.uns:
        rows.insert(0, ("note", "these data are SIMULATED"))
    return rows


def label_findings(registration: Registration) -> list[Finding]:
    """Say classes, donors and batches with their numbers of rows."""
    names, numbers = np.unique(registration.labels, return_counts=True)
    classes = ", ".join(
        f"{name} {number:,}{' (positive)' if name == registration.positive else ''}"
        for name, number in zip(names, numbers, strict=True)
    )
    return [
        ("used as", str(registration.scale)),
        ("classes", f"{registration.labels_key}: {classes}"),
        ("donors", _groups(registration.donor_key, registration.donors, "donor")),
        ("batches", _groups(registration.batch_key, registration.batches, "batch")),
    ]


def _groups(key: str | None, values: NDArray[Any] | None, noun: str) -> str:
    if key is None or values is None:
        return "none named"
    names, numbers = np.unique(values, return_counts=True)
    spread = f"{numbers.min():,}–{numbers.max():,} rows each" if len(names) > 1 else shorten(names)
    return f"{key}: {counted(len(names), noun)}, {spread}"


def gene_findings(alignment: GeneAlignment) -> list[Finding]:
    """Say how the genes of a model meet those of an input."""
    found = int(alignment.observed.sum())
    text = f"{found:,} of {alignment.n_targets:,} model genes found ({alignment.coverage:.1%})"
    rows = [("coverage", text)]
    listed: dict[str, Mapping[str, Any] | tuple[str, ...]] = {
        "renamed": {f"{old} → {new}": 0 for old, new in alignment.renamed.items()},
        "repeated": alignment.duplicated,
        "ambiguous": alignment.ambiguous,
        "damaged": alignment.damaged,
        "missing": alignment.missing,
    }
    rows += [
        (name, f"{len(items):,}: {shorten(items)}") for name, items in listed.items() if items
    ]
    return rows


def threshold_text(threshold: Mapping[str, Any]) -> str:
    """Say a threshold with its rule and its interval."""
    if "value" not in threshold:
        return "none"
    target = f" {threshold['target']:g}" if threshold.get("target") is not None else ""
    text = f"{threshold['value']:.3f} on the probability, rule {threshold['rule']}{target}"
    low, high = threshold.get("low"), threshold.get("high")
    return text if low is None or high is None else f"{text}, 95 % interval {low:.3f}–{high:.3f}"


def fidelity_text(summary: Mapping[str, Any]) -> str:
    """Say how well a student follows its teacher."""
    parts = []
    for name, word in (("spearman", "Spearman"), ("agreement", "agreement"), ("kappa", "kappa")):
        text = f"{word} {summary[name]:.3f}"
        low, high = summary.get(f"{name}_low"), summary.get(f"{name}_high")
        known = low is not None and high is not None
        parts.append(f"{text} [{low:.3f}, {high:.3f}]" if known else text)
    return f"{', '.join(parts)} with the teacher on {summary['n']:,} rows"
