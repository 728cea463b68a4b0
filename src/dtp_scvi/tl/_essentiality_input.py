"""Bring genes, effects, lines and lists together before essentiality is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi._constants import REPORT_KEY, SIMULATION_KEY
from dtp_scvi._logging import warn
from dtp_scvi._validate import near_matches, problem, shorten
from dtp_scvi.data import SymbolResolver
from dtp_scvi.datasets import (
    read_depmap_effect,
    read_depmap_models,
    read_depmap_summary,
    read_gene_list,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    Table: TypeAlias = pd.DataFrame | str | Path


@dataclass(frozen=True)
class Lines:
    """Effects of the lines that count, by group, and how many do not."""

    inside: pd.DataFrame
    others: pd.DataFrame
    lineage: pd.Series
    unknown: int
    same_lineage: int
    by_disease: bool


def resolve_genes(genes: Iterable[str] | pd.DataFrame, available: pd.Index) -> dict[str, Any]:
    """Return the set's genes that are there, and what became of the others."""
    if isinstance(genes, str):
        genes = [genes]
    names = list(map(str, genes.index if isinstance(genes, pd.DataFrame) else genes))
    table = SymbolResolver.bundled().resolve(names)
    damaged = table.loc[table["how"] == "spreadsheet", "name"].tolist()
    if damaged:
        warn(
            f"{len(damaged):,} of `genes` look like dates or numbers that a spreadsheet made of "
            f"symbols: {shorten(damaged)}. Take the set from its source."
        )
    symbols = table["symbol"].where(table["symbol"].notna(), None)
    known = [symbol for symbol in dict.fromkeys(symbols) if symbol is not None]
    there = [symbol for symbol in known if symbol in available]
    if not there:
        msg = problem(
            "`genes` to be among the genes of `gene_effect`",
            f"none of {len(names):,} ({shorten(names, 3)}) among {len(available):,} "
            f"({shorten(available, 3)})",
            "Check that both are human gene symbols.",
        )
        raise ValueError(msg)
    return {
        "there": there,
        "missing": [symbol for symbol in known if symbol not in available],
        "unmatched": table.loc[table["symbol"].isna(), "name"].tolist(),
        "damaged": damaged,
    }


def as_effect(source: Table | AnnData) -> tuple[pd.DataFrame, pd.DataFrame | None, bool]:
    """Return models x genes or a summary by gene, the models if known, and if it is simulated."""
    if isinstance(source, AnnData):
        simulated = SIMULATION_KEY in source.uns
        return read_depmap_effect(source.to_df()), source.obs.rename_axis("model"), simulated
    if isinstance(source, pd.DataFrame):
        kind = str(source.attrs.get(REPORT_KEY, {}).get("kind", ""))
        if kind in ("depmap_effect", "depmap_summary"):
            return source, None, False
        if kind == "depmap_dependency":
            msg = problem(
                "`gene_effect` to hold gene effects",
                "probabilities of dependency",
                "Pass CRISPRGeneEffect.csv here, and this table as `dependency`.",
            )
            raise ValueError(msg)
        if {"effect_mean", "effect_median", "mean_effect", "median_effect"} & set(source.columns):
            return read_depmap_summary(source), None, False
    return as_effect(read_depmap_effect(source))


def is_summary(effect: pd.DataFrame) -> bool:
    """Whether the table has a row a gene instead of a row a line."""
    return str(effect.attrs[REPORT_KEY]["kind"]) == "depmap_summary"


def group_lines(effect: pd.DataFrame, models: Table | None, disease: str, min_lines: int) -> Lines:
    """Split lines into those of the disease and those of other lineages."""
    if models is None:
        msg = problem(
            "`models`, the disease and lineage of each line (DepMap's Model.csv)",
            "none",
            "Pass it, or a table that summarises one disease (read_depmap_summary).",
        )
        raise ValueError(msg)
    if isinstance(models, pd.DataFrame) and "disease" in models and models.index.name == "model":
        named = models
    else:
        named = read_depmap_models(models)
    known = named.reindex(effect.index)
    listed = known["disease"].fillna("").astype(str).to_numpy()
    if not (listed != "").any():
        msg = problem(
            "`gene_effect` and `models` to share models",
            f"{shorten(effect.index, 3)} on one side, {shorten(named.index, 3)} on the other",
            "Check that both files are of one release.",
        )
        raise ValueError(msg)
    inside = listed == disease
    if inside.sum() < max(min_lines, 2):
        counts = pd.Series(listed[listed != ""]).value_counts()
        shown = [f"{name} ({n})" for name, n in counts.items()]
        hint = near_matches(disease, counts.index) if not inside.any() else "Lower `min_lines`."
        msg = problem(
            f"at least {max(min_lines, 2)} lines whose disease is exactly {disease!r}",
            f"{int(inside.sum())} among {shorten(shown, 6)}",
            hint,
        )
        raise ValueError(msg)
    by_disease = "lineage" not in known
    groups = known["disease" if by_disease else "lineage"].fillna("").astype(str).to_numpy()
    own = set(groups[inside]) - {""}
    same = ~inside & np.isin(groups, list(own))
    others = ~inside & ~same & (groups != "")
    return Lines(
        effect[inside],
        effect[others],
        pd.Series(groups[others], index=effect.index[others]),
        int(((listed == "") | (groups == "")).sum()),
        int(same.sum()),
        by_disease,
    )


def common_genes(source: Any, available: pd.Index) -> set[str] | None:
    """Return the listed common essential genes that are there; ``None`` without a list."""
    if source is None:
        return None
    if isinstance(source, pd.DataFrame):
        names: Iterable[object] = source.index
    elif isinstance(source, str) or hasattr(source, "read_text"):
        names = read_gene_list(source).index
    else:
        names = source
    found = SymbolResolver.bundled().resolve(map(str, names))["symbol"].dropna()
    both = set(found) & set(available)
    if not both:
        msg = problem(
            "`common_essential` to name genes of `gene_effect`",
            f"none of {shorten(found, 4)}",
            "Pass gene symbols, or the path of a list.",
        )
        raise ValueError(msg)
    return both


def mean_expression(source: Any, inside: pd.Index, genes: pd.Index) -> pd.Series | None:
    """Mean expression by gene: given as such, or of the lines of the disease."""
    if source is None:
        return None
    if isinstance(source, pd.Series):
        names = SymbolResolver.bundled().resolve(map(str, source.index))["symbol"]
        values = pd.Series(source.to_numpy(np.float64), index=names).dropna()
        values = values[values.index.notna()].groupby(level=0).mean()
    else:
        table = source
        if not (isinstance(source, pd.DataFrame) and REPORT_KEY in source.attrs):
            table = read_depmap_effect(source)
        lines = table.index.intersection(inside)
        if not len(lines):
            msg = problem(
                "`expression` to hold lines of the disease",
                f"{shorten(table.index, 3)}",
                "Pass lines x genes, or a Series of means by gene.",
            )
            raise ValueError(msg)
        values = table.loc[lines].mean().astype(np.float64)
    values = values.reindex(genes)
    if values.notna().sum() == 0:
        msg = problem(
            "`expression` to name genes of `gene_effect`",
            shorten(getattr(source, "index", []), 3),
            "Name its genes by symbol.",
        )
        raise ValueError(msg)
    return values
