"""Find the gene statistics that a user means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from dtp_scvi._validate import check_key, near_matches, problem, shorten
from dtp_scvi.data import check_object, gene_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dtp_scvi.tl._enrichment_expression import ScoreAssociation


@dataclass(frozen=True, eq=False)
class GeneStatistic:
    """One number a gene, NaN where there is none."""

    contrast: str
    names: NDArray[np.object_]
    values: NDArray[np.float64]
    association: ScoreAssociation | None = None


def statistics_of(
    data: AnnData | pd.DataFrame | pd.Series[Any], statistic: str | None, gene_key: str | None
) -> list[GeneStatistic]:
    """Return the columns of a table, or of ``var`` or ``varm``, as gene statistics."""
    table = _table(data, statistic, gene_key)
    if isinstance(data, AnnData):
        names = gene_names(data, gene_key)
    elif isinstance(data, pd.DataFrame) and gene_key is not None:
        check_key(data, gene_key, "the table", "gene_key")
        names = data[gene_key].astype(str).to_numpy(dtype=object)
    else:
        names = data.index.astype(str).to_numpy(dtype=object)
    found = []
    for name, column in table.items():
        if not pd.api.types.is_numeric_dtype(column):
            numbers = table.select_dtypes("number").columns
            msg = problem(
                "one number a gene",
                f"{column.dtype} in {name!r}",
                f"Name one of the columns of numbers as `statistic`: {shorten(numbers, 10)}.",
            )
            raise TypeError(msg)
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(values).any():
            gene = names[int(np.flatnonzero(np.isinf(values))[0])]
            msg = problem(
                f"finite numbers in {name!r}", f"infinity for {gene}", "Mend or drop that gene."
            )
            raise ValueError(msg)
        found.append(GeneStatistic(str(name), names, values))
    return found


def _table(
    data: AnnData | pd.DataFrame | pd.Series[Any], statistic: str | None, gene_key: str | None
) -> pd.DataFrame:
    if isinstance(data, pd.Series):
        return data.to_frame(data.name if data.name is not None else "statistic")
    if isinstance(data, pd.DataFrame):
        if statistic is not None:
            check_key(data, statistic, "the table", "statistic")
            return data[[statistic]]
        return data.drop(columns=gene_key) if gene_key in data else data
    check_object(data, view=True)
    if statistic in data.varm:
        found = data.varm[statistic]
        if isinstance(found, pd.DataFrame):
            return found
        array = np.asarray(found)
        array = array[:, None] if array.ndim == 1 else array
        width = array.shape[1]
        names = [statistic] if width == 1 else [f"{statistic}_{k}" for k in range(width)]
        return pd.DataFrame(array, columns=names)
    if statistic in data.var:
        return data.var[[statistic]]
    available = [*data.varm, *data.var.columns]
    msg = problem(
        "`statistic` to name a key of adata.varm or a column of adata.var",
        repr(statistic),
        near_matches(str(statistic), available) if available else "Both are empty.",
    )
    raise KeyError(msg)


def check_kind(
    data: object, statistic: str | None, score_key: str | None, donor_key: str | None
) -> None:
    """Raise where it is unclear what is to be tested."""
    if isinstance(data, pd.DataFrame | pd.Series):
        if score_key is not None or donor_key is not None:
            msg = problem(
                "an AnnData where `score_key` or `donor_key` is given",
                type(data).__name__,
                "Leave them out: a table holds gene statistics already.",
            )
            raise TypeError(msg)
    elif not isinstance(data, AnnData):
        msg = problem(
            "an AnnData, or a table of gene statistics", type(data).__name__, "Pass one of these."
        )
        raise TypeError(msg)
    elif statistic is not None and score_key is not None:
        msg = problem("`statistic` or `score_key`", "both", "Test one after the other.")
        raise ValueError(msg)
    elif donor_key is not None and score_key is None:
        msg = problem(
            "`score_key` beside `donor_key`",
            "none",
            "Name the score; each row alone needs no donor.",
        )
        raise ValueError(msg)
