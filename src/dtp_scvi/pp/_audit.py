"""Look for what would let a model read the label off something other than biology."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtp_scvi import __version__
from dtp_scvi._constants import AUDIT_KEY
from dtp_scvi._docs import docs
from dtp_scvi._logging import logger
from dtp_scvi.pp._audit_ambient import ambient_findings, ambient_table
from dtp_scvi.pp._audit_columns import column_findings, cross_tables
from dtp_scvi.pp._audit_duplicates import (
    duplicate_findings,
    duplicate_table,
    empty_finding,
    identical_groups,
    search_finding,
)
from dtp_scvi.pp._audit_input import AuditInput, read_input
from dtp_scvi.pp._audit_near import SIMILARITY, near_rows
from dtp_scvi.pp._audit_row_statistics import (
    row_statistics,
    statistic_findings,
    within_findings,
    within_levels,
)
from dtp_scvi.pp._audit_rows import summarise_rows
from dtp_scvi.pp._audit_table import Finding, as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData

_N_BOOT = 200


@docs.dedent
def audit(
    adata: AnnData,
    labels_key: str,
    *,
    donor_key: str | None = None,
    batch_keys: Sequence[str] | str = (),
    layer: str | None = None,
    positive: object | None = None,
    allow_confounded: bool = False,
    near_duplicates: bool = True,
    n_rows: int = 50_000,
    seed: int | None = 0,
    key_added: str = AUDIT_KEY,
) -> pd.DataFrame:
    """
    Look for confounding, copies and leaks that would let a model read the label off.

    Nothing is changed but ``adata.uns[key_added]``, and nothing is raised because of what is
    found: the verdict of each row says how bad it is.

    Parameters
    ----------
    adata
        Cells or bulk samples in rows, in memory or backed; any storage.
    %(labels_key)s
    donor_key
        Column of ``adata.obs`` with the donor of each row. It sets what the bootstrap draws,
        what is shuffled, and how many folds there can be.
    batch_keys
        Columns of ``adata.obs`` that ought to say nothing about the label: tissue, platform,
        batch, study.
    %(layer)s
    positive
        Class that AUROC is about. May be left out with two classes; unless they are boolean or
        0/1, the second one in alphabetical order is then taken.
    allow_confounded
        Turn the verdict ``"error"`` into ``"warn"``; recorded under ``params``.
    near_duplicates
        Also look for rows that are nearly the same.
    n_rows
        Largest number of rows that this search compares, drawn alike from all donors. Identical
        rows are looked for among all.
    %(seed)s
    key_added
        Key of ``adata.uns`` under which the result is written.

    Returns
    -------
    One row per finding: ``check``, ``subject``, ``value``, ``low`` and ``high`` (95 % bootstrap
    over donors, else rows; NaN where there is none), ``null_low`` and ``null_high`` (95 % of what
    shuffling gives), ``n``, ``verdict`` (``"ok"``, ``"note"``, ``"warn"``, ``"error"``) and
    ``sentence``. The same table lies in ``adata.uns[key_added]["table"]``, beside
    ``"cross_tables"`` (rows per column, level and class), ``"within"`` (AUROC of each row
    statistic in each level), ``"duplicates"`` (rows to drop), ``"ambient"`` and ``"params"``.

    Raises
    ------
    TypeError, KeyError, ValueError
        Not an AnnData, or a view; a column or layer that is not there; a missing label, donor or
        batch; one class; three classes or more without ``positive``; an empty matrix, or NaN or
        infinite values. Nothing is written then.

    Notes
    -----
    ``determined_by_batch``, ``determined_by_donor``
        Share of rows in levels that hold one class only, without levels of a single row. At 1 the
        column determines the label: an ``"error"`` for a batch column, a ``"warn"`` for the donor,
        since labels that belong to donors are common and folds of whole donors answer it.
    ``cramers_v``, ``auroc``
        Bias-corrected Cramér's V, and AUROC of the label from the column alone
        (:func:`dtp_scvi.stats.level_auroc`). They describe these rows; the null interval says how
        much of it chance explains when whole donors are shuffled.
    ``feasible_folds``
        Largest number of folds of whole levels in which every class can be tested.
    ``row_statistic``, ``standardised_difference``, ``within_batch_auroc``
        Row sum as stored (and without the logarithm), number of values above zero, share of
        zeros, and, where rows sum to a constant, the distance from it. AUROC of each alone
        outside 0.1 to 0.9 is a ``"warn"``, outside 0.25 to 0.75 a ``"note"``.
    ``identical_rows``, ``near_identical_rows``, ``empty_rows``
        Rows equal in float32 in every gene, and rows with a cosine of at least 0.99 after the
        mean profile is taken off (on log1p of counts per 10,000 where values are linear, else as
        stored) among rows with 50 values other than zero or more.
    ``ambient_genes``
        Whether the genes that mark one class lie evenly over the other cells of the same batch,
        at a level that follows their abundance in it. Without empty droplets this can only be a
        ``"note"``: a gene that the other cells truly express a little looks the same.

    Memory is bounded by a block of rows, a few numbers per row, and a few per gene and batch.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> cells = dtp.datasets.simulate_cells(400, 300, n_donors=4, confounding=1.0)
    >>> table = dtp.pp.audit(cells, "state", donor_key="donor", batch_keys=["tissue"])
    >>> table.loc[table["check"] == "determined_by_batch", "subject"].tolist()
    ['tissue']
    """
    given = read_input(
        adata,
        labels_key,
        donor_key=donor_key,
        batch_keys=batch_keys,
        layer=layer,
        positive=positive,
        n_rows=n_rows,
        key_added=key_added,
        seed=seed,
    )
    findings, tables = _look(
        given,
        names=adata.obs_names.to_numpy(dtype=str),
        allow_confounded=allow_confounded,
        n_near=n_rows if near_duplicates else 0,
        seed=seed,
    )
    params: dict[str, Any] = {
        "labels_key": labels_key,
        "positive": given.positive,
        "classes": np.array(given.classes, dtype=object),
        "batch_keys": np.array(list(given.batches), dtype=object),
        "scale": given.scale,
        "allow_confounded": allow_confounded,
        "near_duplicates": near_duplicates,
        "n_rows": n_rows,
        "n_obs": given.n,
        "n_vars": int(given.matrix.shape[1]),
        "similarity": SIMILARITY,
        "version": __version__,
    }
    # Older readers of h5ad do not know None.
    optional = {"donor_key": donor_key, "layer": layer, "seed": seed}
    params |= {name: value for name, value in optional.items() if value is not None}
    table = as_table(findings)
    adata.uns[key_added] = {"table": table, **tables, "params": params}
    logger.info("Audit of %r: %s", labels_key, table["verdict"].value_counts().to_dict())
    return table.copy()


def _look(
    given: AuditInput, *, names: np.ndarray, allow_confounded: bool, n_near: int, seed: int | None
) -> tuple[list[Finding], dict[str, pd.DataFrame]]:
    """Run every check; return the findings and the tables behind them."""
    findings = list(column_findings(given, allow_confounded=allow_confounded, seed=seed))
    rows = summarise_rows(given)
    numbers = row_statistics(rows, int(given.matrix.shape[1]))
    findings += statistic_findings(given, numbers, n_boot=_N_BOOT, seed=seed)
    findings += within_findings(given, numbers, n_boot=_N_BOOT, seed=seed)
    copies = {"identical": identical_groups(rows)}
    findings += duplicate_findings(given, copies["identical"], near=False)
    if n_near:
        near = near_rows(given, rows, n_rows=n_near, seed=seed)
        copies["near-identical"] = near.group
        findings += duplicate_findings(given, near.group, near=True)
        findings.append(search_finding(given, near))
    findings.append(empty_finding(given, rows))
    ambient = ambient_table(given, rows)
    findings += ambient_findings(given, rows, ambient)
    tables = {
        "cross_tables": cross_tables(given),
        "within": within_levels(given, numbers),
        "duplicates": duplicate_table(given, names, copies),
        "ambient": ambient,
    }
    return findings, tables
