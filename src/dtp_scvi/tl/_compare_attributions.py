"""How far models, drugs or data sets agree on which genes matter."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from dtp_scvi._constants import (
    ATTRIBUTION_COMPARISON_KEY,
    ATTRIBUTION_SUFFIX,
    KEY_ADDED,
)
from dtp_scvi._docs import docs
from dtp_scvi._validate import check_key, check_one_of, check_positive_int, problem
from dtp_scvi.stats import rank_correlation

if TYPE_CHECKING:
    from anndata import AnnData

    from dtp_scvi.model import Attribution

Column = Literal["mean_abs", "mean", "linear", "residual"]
_COLUMNS: Final = ("mean_abs", "mean", "linear", "residual")
_FEWEST_GENES: Final = 10


@docs.dedent
def compare_attributions(
    results: Mapping[str, AnnData | Attribution | pd.DataFrame | Mapping[str, Any]],
    *,
    by: Column = "mean_abs",
    n_top: int = 50,
    key: str = f"{KEY_ADDED}{ATTRIBUTION_SUFFIX}",
    n_boot: int = 1000,
    seed: int | None = 0,
) -> pd.DataFrame:
    """
    Correlate the order of genes between two or more attributions.

    Parameters
    ----------
    results
        Name -> what :func:`attribute` returned or wrote: its table, the AnnData, or
        :class:`dtp_scvi.model.Attribution`.
    by
        ``"mean_abs"``: how much a gene matters; ``"mean"``: with its sign; ``"linear"`` and
        ``"residual"``: parts of ``"mean"``.
    n_top
        How many genes count as the top of a list, by size.
    key
        The entry of ``uns`` where an AnnData is given.
    n_boot
        Resamples of genes behind an interval.
    %(seed)s

    Returns
    -------
    One row a pair: ``first``, ``second``, ``n_genes`` (that both have), ``rho`` (Spearman), ``low``,
    ``high`` (95 % BCa interval over genes), ``p``, ``shared`` (of the ``n_top`` of either, how many
    are in both) and ``expected`` (how many would be if the lists were unrelated).
    ``attrs["dtp_attribution_comparison"]`` holds ``names`` and ``params``.

    Raises
    ------
    KeyError
        When nothing is stored under ``key``, or a table lacks the column.
    ValueError
        With fewer than two results, or fewer than ten genes in common.

    Notes
    -----
    Genes that go together are not independent, so interval and p say less than they seem to;
    compare with the correlation between donors of one attribution (``stability``).

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> samples = dtp.datasets.simulate_cohort(60)
    >>> model = dtp.model.ResponseModel().fit(samples, "true_persister_fraction")
    >>> halves = {"one": samples[:30].copy(), "other": samples[30:].copy()}
    >>> tables = {name: dtp.tl.attribute(half, model) for name, half in halves.items()}
    >>> table = dtp.tl.compare_attributions(tables, n_boot=50)
    >>> bool(table.loc[0, "rho"] > 0.8)
    True
    """
    check_one_of(by, _COLUMNS, "by")
    for name, number in (("n_top", n_top), ("n_boot", n_boot)):
        check_positive_int(number, name)
    values = {str(name): _values(given, by, key, str(name)) for name, given in results.items()}
    if len(values) < 2:
        msg = problem("at least two results to compare", f"{len(values)}", "Pass several by name.")
        raise ValueError(msg)
    lines = [
        {"first": a, "second": b, **_pair(values[a], values[b], (a, b), n_top, n_boot, seed)}
        for a, b in combinations(values, 2)
    ]
    table = pd.DataFrame(lines)
    table.attrs[ATTRIBUTION_COMPARISON_KEY] = {
        "names": list(values),
        "params": {
            "by": by,
            "n_top": n_top,
            "n_boot": n_boot,
            "seed": -1 if seed is None else seed,
        },
    }
    return table


def _values(given: Any, by: str, key: str, name: str) -> pd.Series:
    """Return the numbers of one result by gene, without genes that its rows lacked."""
    table = given
    if hasattr(given, "uns"):
        check_key(given.uns, key, f"the uns of {name!r}", "key")
        table = given.uns[key]["table"]
    elif isinstance(given, Mapping):
        check_key(given, "table", f"the result {name!r}", "results")
        table = given["table"]
    elif not isinstance(given, pd.DataFrame):
        table = getattr(given, "table", None)
    if not isinstance(table, pd.DataFrame):
        msg = problem(
            f"what dtp.tl.attribute returned for {name!r}", type(given).__name__, "Pass its table."
        )
        raise TypeError(msg)
    check_key(table, by, f"the table of {name!r}", "by")
    return table[by].dropna()


def _pair(
    first: pd.Series,
    second: pd.Series,
    names: tuple[str, str],
    n_top: int,
    n_boot: int,
    seed: int | None,
) -> dict[str, Any]:
    genes = first.index.intersection(second.index)
    if len(genes) < _FEWEST_GENES:
        msg = problem(
            f"at least {_FEWEST_GENES} genes that {names[0]!r} and {names[1]!r} share",
            f"{len(genes)}",
            "Compare attributions of the same genes, under the same names.",
        )
        raise ValueError(msg)
    a, b = first[genes], second[genes]
    found = rank_correlation(a, b, n_boot=n_boot, seed=seed)
    top = min(n_top, len(genes))
    lists = [set(part.abs().nlargest(top).index) for part in (a, b)]
    return {
        "n_genes": len(genes),
        "rho": found.rho,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "shared": len(lists[0] & lists[1]),
        "expected": float(np.square(top) / len(genes)),
    }
