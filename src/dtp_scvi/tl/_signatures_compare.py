"""Compare a score with signatures: rank correlations over donors, plain and given the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import (
    FEWEST_DONORS,
    KEY_ADDED,
    RESEARCH_USE,
    SCORE_SUFFIX,
    SIGNATURE_COMPARISON_KEY,
    SIGNATURES_KEY,
    SIMULATION_KEY,
)
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._validate import check_key, check_positive_int, problem
from dtp_scvi.data import check_object
from dtp_scvi.stats import RankCorrelation, partial_rank_correlation
from dtp_scvi.tl._drug_covariates import number_column
from dtp_scvi.tl._enrichment_null import false_discovery

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

_FIELDS: Final = ("rho", "low", "high", "p", "n")
# Resamples are held as one weight a row.
_MOST_ROWS: Final = 20_000


@docs.dedent
def compare_signatures(
    adata: AnnData,
    *,
    score_key: str = KEY_ADDED + SCORE_SUFFIX,
    signatures_key: str = SIGNATURES_KEY,
    donor_key: str | None = None,
    given_others: bool = False,
    n_boot: int = 1000,
    seed: int | None = 0,
    key_added: str = SIGNATURE_COMPARISON_KEY,
) -> pd.DataFrame:
    """
    Correlate a score with each signature, alone and given the others.

    The question is whether the score is a known signature under another name.

    Parameters
    ----------
    adata
        Scored cells or samples, at most 20,000 rows with a score. Sum the cells of a donor
        (:func:`dtp_scvi.pp.pseudobulk`) where there are more.
    score_key
        Numeric column of ``adata.obs``; rows without a value are left out.
    signatures_key
        Table in ``adata.obsm``, as :func:`dtp_scvi.tl.signatures` writes it.
    donor_key
        Column of ``adata.obs``: rows of a donor are resampled together. ``None`` where each row is
        a donor of its own; cells are not.
    given_others
        Correlate, beside that, what the ranks of all other signatures leave of both.
    n_boot
        Resamples of donors behind each interval.
    %(seed)s
    key_added
        Key of ``adata.uns`` under which the result is written.

    Returns
    -------
    One row a signature, by falling ``rho``: ``source``, ``n`` (rows), ``n_donors``, ``rho``
    (Spearman), ``low``, ``high`` (95 % BCa interval over donors), ``p``, ``q``
    (Benjamini-Hochberg over the signatures), and ``partial_rho``, ``partial_low``,
    ``partial_high``, ``partial_p``, ``partial_q``, NaN without ``given_others``. A signature
    that was not scored has NaN throughout. ``adata.uns[key_added]`` holds ``table`` and ``params``.

    Raises
    ------
    KeyError
        When a key is not there.
    TypeError
        When score or signatures are no numbers.
    ValueError
        With fewer than five donors, more than 20,000 rows, or too few rows for ``given_others``.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> bulk = dtp.datasets.simulate_cohort(60, cells=dtp.datasets.simulate_cells(300, 100))
    >>> sets = {"half": list(bulk.var_names[:50]), "rest": list(bulk.var_names[50:])}
    >>> _ = dtp.tl.signatures(bulk, sets)
    >>> table = dtp.tl.compare_signatures(bulk, score_key="true_persister_fraction", n_boot=50)
    >>> sorted(table["source"]), table["n_donors"].tolist()
    (['half', 'rest'], [60, 60])
    """
    check_object(adata, view=True)
    check_positive_int(n_boot, "n_boot")
    score = number_column(adata.obs, score_key, "score_key")
    table = _signature_table(adata, signatures_key)
    donor = None if donor_key is None else text_column(adata.obs, donor_key, "donor_key")
    values = table.to_numpy(dtype=np.float64)
    found = []
    for k, name in enumerate(table.columns):
        others = [j for j in range(values.shape[1]) if j != k and given_others]
        columns = np.column_stack([score, values[:, [k]]])
        row: dict[str, Any] = {"source": str(name)}
        row |= _correlate(columns, np.empty((len(score), 0)), donor, n_boot, seed)
        # A signature that nobody scored would leave no row to compare the rest in.
        others = [j for j in others if not np.isnan(values[:, j]).all()]
        if others:
            partial = _correlate(columns, values[:, others], donor, n_boot, seed)
            row |= {f"partial_{field}": partial[field] for field in _FIELDS[:4]}
        found.append(row)
    names = [*_FIELDS[:4], "q", *(f"partial_{field}" for field in (*_FIELDS[:4], "q"))]
    result = pd.DataFrame(found, columns=["source", "n", "n_donors", *names])
    for prefix in ("", "partial_"):
        p = result[f"{prefix}p"].to_numpy(dtype=np.float64)
        result[f"{prefix}q"] = false_discovery(p)
    result = result.astype(dict.fromkeys(names, np.float64))
    result = result.sort_values("rho", ascending=False, kind="stable").reset_index(drop=True)
    adata.uns[key_added] = {
        "table": result,
        "params": {
            "score_key": score_key,
            "signatures_key": signatures_key,
            "donor_key": donor_key or "",
            "given_others": given_others,
            "n_boot": n_boot,
            "seed": -1 if seed is None else seed,
            "simulated": SIMULATION_KEY in adata.uns,
            "version": __version__,
            "research_use": RESEARCH_USE,
        },
    }
    return result.copy()


def _signature_table(adata: AnnData, key: str) -> pd.DataFrame:
    check_key(adata.obsm, key, "adata.obsm (run dtp.tl.signatures first)", "signatures_key")
    found = adata.obsm[key]
    if not isinstance(found, pd.DataFrame):
        msg = problem(
            f"a table with named columns in adata.obsm[{key!r}]",
            type(found).__name__,
            "Run dtp.tl.signatures, or pass a DataFrame.",
        )
        raise TypeError(msg)
    return found


def _correlate(
    columns: NDArray[np.float64],
    others: NDArray[np.float64],
    donor: NDArray[Any] | None,
    n_boot: int,
    seed: int | None,
) -> dict[str, Any]:
    """Correlation of two columns given others, in rows that have all; NaN without any row."""
    kept = np.isfinite(columns).all(axis=1) & np.isfinite(others).all(axis=1)
    n = int(kept.sum())
    if n == 0 or np.isnan(columns[:, 1]).all():
        return {"n": n, "n_donors": 0, **dict.fromkeys(_FIELDS[:4], float("nan"))}
    groups = None if donor is None else donor[kept]
    n_donors = n if groups is None else len(np.unique(groups))
    if n_donors < FEWEST_DONORS:
        todo = "With fewer, no rank correlation reaches p < 0.05: add donors."
        msg = problem(f"at least {FEWEST_DONORS} donors with a score", f"{n_donors}", todo)
        raise ValueError(msg)
    if n > _MOST_ROWS:
        todo = "Sum the cells of each donor first: dtp.pp.pseudobulk(adata, donor_key)."
        msg = problem(f"at most {_MOST_ROWS:,} rows with a score", f"{n:,}", todo)
        raise ValueError(msg)
    found: RankCorrelation = partial_rank_correlation(
        columns[kept, 0], columns[kept, 1], others[kept], groups, n_boot=n_boot, seed=seed
    )
    return {"n_donors": n_donors, **{field: getattr(found, field) for field in _FIELDS}}
