"""Evidence on genes from tables: normal tissue, dependency, surface, antibodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd

from dtp_scvi._validate import check_key, near_matches, problem, shorten
from dtp_scvi.tl._target_genes import look_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Tables: TypeAlias = pd.DataFrame | Mapping[str, pd.DataFrame]

# Organs in which killing healthy cells would be dangerous, under their names in HPA. Our choice.
CRITICAL_TISSUES: Final = (
    "bone marrow",
    "cerebral cortex",
    "colon",
    "heart muscle",
    "kidney",
    "liver",
    "lung",
    "pancreas",
    "small intestine",
)
SOURCES: Final = ("surfy", "cspa", "uniprot", "go", "hpa")
NOT_AVAILABLE: Final = "Not available"
_HPA: Final = (
    "HPA_surface_protein",
    "HPA_antibody_reliability",
    "HPA_reliability_IH",
    "HPA_reliability_IF",
)
RELIABILITY: Final = {"Uncertain": 1.0, "Approved": 2.0, "Supported": 3.0, "Enhanced": 4.0}
# Columns of a table of dependencies, the best first: only the first one compares diseases.
_DEPENDENCY: Final = ("difference", "effect_mean", "effect_median")


def normal_evidence(
    tables: Tables, genes: pd.Index, critical: Sequence[str] | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """
    Return the highest and mean level over the critical tissues, log2(1 + x).

    With several tables each has columns of its own, and ``normal_max`` is the highest of them.
    """
    named = tables if isinstance(tables, Mapping) else {"": tables}
    if not named:
        msg = problem("at least one table in `normal`", "none", "Pass None, or a table.")
        raise ValueError(msg)
    wanted = CRITICAL_TISSUES if critical is None else tuple(map(str, critical))
    _check_tissues(named, wanted, asked=critical is not None)
    parts, used = {}, {}
    for name, table in named.items():
        tissues = [tissue for tissue in wanted if tissue in table.columns]
        used[name or "normal"] = tissues
        if tissues:
            argument = f"normal[{name!r}]" if name else "normal"
            parts[name] = levels(look_up(table[tissues], genes, argument), argument)
    out = pd.DataFrame(index=genes)
    if len(named) > 1:
        for name, part in parts.items():
            out = out.join(part.add_suffix(f"_{name}"))
    highest = pd.DataFrame({name: part["normal_max"] for name, part in parts.items()})
    means = pd.DataFrame({name: part["normal_mean"] for name, part in parts.items()})
    out["normal_max"], out["normal_mean"] = highest.max(axis=1), means.max(axis=1)
    which = highest.fillna(-np.inf).to_numpy().argmax(axis=1)
    tissue = np.stack([part["normal_max_tissue"].to_numpy() for part in parts.values()])
    out["normal_max_tissue"] = tissue[which, np.arange(len(genes))]
    absent = [tissue for tissue in wanted if not any(tissue in names for names in used.values())]
    return out, {"critical_tissues": used, "critical_tissues_absent": absent}


def _check_tissues(
    named: Mapping[str, pd.DataFrame], wanted: Sequence[str], *, asked: bool
) -> None:
    """Refuse a tissue that was asked for and is nowhere; of our own list one has to be there."""
    for table in named.values():
        if not isinstance(table, pd.DataFrame):
            msg = problem(
                "`normal` as tables of genes x tissues", type(table).__name__, "Wrap it."
            )
            raise TypeError(msg)
    there = list(dict.fromkeys(str(c) for table in named.values() for c in table.columns))
    missing = [tissue for tissue in wanted if tissue not in there]
    if asked and missing:
        msg = problem(
            "`critical_tissues` to name columns of `normal`",
            repr(missing[0]),
            near_matches(missing[0], there),
        )
        raise KeyError(msg)
    if len(missing) == len(wanted):
        msg = problem(
            f"one of the critical tissues ({shorten(wanted, 3)}) among the columns of `normal`",
            shorten(there, 6),
            "Name the tissues as `critical_tissues`.",
        )
        raise KeyError(msg)


def levels(table: pd.DataFrame, argument: str) -> pd.DataFrame:
    """Return ``normal_max``, its tissue, and ``normal_mean``; levels as given, NaN if unknown."""
    values = table.to_numpy(dtype=np.float64)
    if (values[~np.isnan(values)] < 0).any():
        msg = problem(
            f"levels of 0 or more in `{argument}` (TPM, nTPM)",
            f"{np.nanmin(values):g}",
            "Pass levels on the linear scale, not logarithms or z-scores.",
        )
        raise ValueError(msg)
    known = ~np.isnan(values).all(axis=1)
    place = np.where(np.isnan(values), -np.inf, values).argmax(axis=1)
    tissue = np.where(known, table.columns.astype(str).to_numpy(dtype=object)[place], "")
    return pd.DataFrame(
        {
            "normal_max": table.max(axis=1),
            "normal_max_tissue": tissue,
            "normal_mean": table.mean(axis=1),
        },
        index=table.index,
    )


def cell_evidence(table: pd.DataFrame, genes: pd.Index) -> pd.DataFrame:
    """Return the healthy cell type that expresses a gene most, and how much."""
    found = levels(look_up(table, genes, "normal_cells"), "normal_cells")
    return pd.DataFrame(
        {
            "normal_cells_max": found["normal_max"],
            "normal_cells_max_type": found["normal_max_tissue"],
        }
    )


def log2_ratio(level: NDArray[np.float64], normal: pd.Series[Any]) -> NDArray[np.float64]:
    """Log2 ratio to a normal level, 1 added to both, so that low levels don't decide."""
    return np.asarray(level - np.log2(1 + normal.to_numpy(dtype=np.float64)))


def dependency_evidence(
    table: pd.DataFrame, genes: pd.Index
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """
    Return the effect of losing the gene, negative where the disease needs it.

    Of common essential genes the selective effect counts as not known.
    """
    found = look_up(table, genes, "dependency")
    column = next(
        (name for name in _DEPENDENCY if name in found and found[name].notna().any()), ""
    )
    if not column:
        msg = problem(
            f"one of {', '.join(_DEPENDENCY)} in `dependency`, with a value for a ranked gene",
            shorten(table.columns, 6),
            "Pass what dtp.tl.essentiality or dtp.datasets.read_depmap_summary returned.",
        )
        raise ValueError(msg)
    effect = found[column].astype(np.float64)
    common = pd.Series(pd.NA, index=genes, dtype="boolean")
    if "is_common_essential" in found:
        common = found["is_common_essential"].astype("boolean")
    out = pd.DataFrame({"dependency": effect, "is_common_essential": common})
    selective = column == "difference"
    return out, {"dependency_column": column, "dependency_selective": selective}


def surface_evidence(table: pd.DataFrame, genes: pd.Index) -> pd.DataFrame:
    """Return a column per source and tier, missing where the table lacks the gene."""
    found = look_up(table, genes, "surface")
    for name in ("n_sources", "strict", "loose"):
        check_key(found, name, "the table `surface`", "surface")
    out = pd.DataFrame(index=genes)
    for name in (*SOURCES, "loose", "strict"):
        if name in found:
            out[f"surface_{name}"] = found[name].astype("boolean")
    out["surface_sources"] = found["n_sources"].astype(np.float64)
    return out


def hpa_evidence(table: pd.DataFrame, genes: pd.Index) -> pd.DataFrame:
    """Return the flags of HPA as text; ``"Not available"`` where it doesn't know the gene."""
    found = look_up(table, genes, "hpa")
    check_key(found, _HPA[1], "the table `hpa`", "hpa")
    out = pd.DataFrame(index=genes)
    for name in _HPA:
        if name in found:
            text = found[name].astype(object)
            out[name] = text.where(text.notna() & (text != ""), NOT_AVAILABLE).astype(str)
    strange = sorted(set(out[_HPA[1]]) - set(RELIABILITY) - {NOT_AVAILABLE})
    if strange:
        msg = problem(
            f"{_HPA[1]} to be one of {', '.join(RELIABILITY)}, {NOT_AVAILABLE}",
            shorten(strange, 3),
            "Read the file with dtp.datasets.read_hpa.",
        )
        raise ValueError(msg)
    return out
