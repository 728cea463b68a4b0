"""Centre and scale each gene within each study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dtp_scvi import __version__
from dtp_scvi._constants import SCALE_BY_KEY
from dtp_scvi._docs import docs
from dtp_scvi._labels import text_column
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_key, check_one_of, matrix_name, problem, shorten
from dtp_scvi.data import check_matrix
from dtp_scvi.pp._rewrite import finish, read_dense, writable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_FEWEST = 2
_FEW = 10


@docs.dedent
def scale_by(
    adata: AnnData,
    study_key: str,
    *,
    reference: Sequence[bool] | np.ndarray | str,
    unseen: Literal["error", "own"] = "error",
    layer: str | None = None,
    layer_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """
    Standardise each gene within each study, by the training rows or by all of them.

    With ``reference="all"`` this is **transductive**: the mean and deviation of a study come from
    the rows that are to be predicted, too. Then a prediction needs a whole cohort and changes with
    it, and a cohort of responders only is centred on itself. This is recorded, and warned of.

    Parameters
    ----------
    adata
        Samples in rows, in memory; logarithms or log-ratios.
    study_key
        Column of ``adata.obs`` with the study of each row.
    reference
        Rows that mean and deviation are taken from: one boolean a row, the name of a boolean
        column of ``adata.obs``, or ``"all"``.
    unseen
        A study without reference rows is an error, or, with ``"own"``, scaled by all of its own
        rows, which is transductive for that study. No label is used either way.
    %(layer)s
    layer_added
        Layer to write to; ``None`` writes ``adata.X``.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written are dense float64 values and
    ``adata.uns["dtp_scale_by"]``: ``"studies"`` (``study``, ``n_rows``, ``n_reference``,
    ``n_constant_genes``, ``transductive``), ``"transductive"`` and ``"params"``.

    Raises
    ------
    TypeError, KeyError, ValueError
        Not an AnnData, a view, or a backed file; no such column or layer; NaN or infinite values;
        a missing study; a ``reference`` of another length or not boolean; fewer than two rows to
        scale a study by.

    Notes
    -----
    Deviations divide by n - 1. A gene that is constant in the reference rows of a study is only
    centred there. Differences in response rate between studies are taken out as well, where they
    show in expression: two studies with unlike rates are made alike on average.

    Examples
    --------
    >>> import dtp_scvi as dtp
    >>> ici = dtp.datasets.simulate_ici((20, 30), n_genes=40)
    >>> dtp.pp.close_composition(ici)
    >>> ici.obs["train"] = [i % 2 == 0 for i in range(50)]
    >>> dtp.pp.scale_by(ici, "study", reference="train")
    >>> ici.uns["dtp_scale_by"]["transductive"]
    False
    """
    check_one_of(unseen, ("error", "own"), "unseen")
    out = writable(adata, copy=copy)
    studies = text_column(out.obs, study_key, "study_key")
    everyone = isinstance(reference, str) and reference == "all"
    use = _reference_rows(out, reference)
    values = read_dense(out, layer)
    check_matrix(values, name=matrix_name(layer), negative=True)
    rows: list[dict[str, Any]] = []
    for study in sorted(set(studies)):
        at = np.flatnonzero(studies == study)
        from_rows = at[use[at]]
        own = len(from_rows) == 0 and unseen == "own"
        from_rows = at if own else from_rows
        _check_rows(study, from_rows, unseen)
        mean, deviation = values[from_rows].mean(axis=0), values[from_rows].std(axis=0, ddof=1)
        # Sums of equal numbers are off by rounding, which must not be blown up to one.
        constant = np.ptp(values[from_rows], axis=0) == 0
        values[at] = (values[at] - mean) / np.where(constant, 1.0, deviation)
        rows.append(
            {
                "study": study,
                "n_rows": len(at),
                "n_reference": len(from_rows),
                "n_constant_genes": int(constant.sum()),
                "transductive": own or everyone,
            }
        )
    table = pd.DataFrame(rows, index=[str(i) for i in range(len(rows))])
    _tell(table)
    params: dict[str, Any] = {"study_key": study_key, "unseen": unseen, "version": __version__}
    params["reference"] = reference if isinstance(reference, str) else "mask"
    if layer is not None:
        params["layer"] = layer
    transductive = bool(table["transductive"].any())
    record = {"studies": table, "transductive": transductive, "params": params}
    return finish(out, values, layer_added, SCALE_BY_KEY, record, copy=copy)


def _reference_rows(adata: AnnData, reference: Sequence[bool] | np.ndarray | str) -> np.ndarray:
    if isinstance(reference, str) and reference == "all":
        return np.ones(adata.n_obs, bool)
    if isinstance(reference, str):
        check_key(adata.obs, reference, "adata.obs", "reference")
    mask = np.asarray(adata.obs[reference] if isinstance(reference, str) else reference)
    if mask.dtype != bool or mask.shape != (adata.n_obs,):
        msg = problem(
            f'`reference` to be "all", a boolean column, or {adata.n_obs:,} booleans',
            f"{mask.dtype} of shape {mask.shape}",
            "Mark the training rows with True.",
        )
        raise ValueError(msg)
    return mask


def _check_rows(study: str, from_rows: np.ndarray, unseen: str) -> None:
    if len(from_rows) >= _FEWEST:
        return
    todo = "Add training rows of it, or leave the study out."
    if not len(from_rows) and unseen == "error":
        todo = 'Pass unseen="own" to scale it by its own rows, which is transductive.'
    msg = problem(
        f"at least {_FEWEST} rows to scale study {study!r} by", f"{len(from_rows)}", todo
    )
    raise ValueError(msg)


def _tell(table: pd.DataFrame) -> None:
    own = table.loc[table["transductive"], "study"]
    if len(own):
        warn(
            f"Scaling of {shorten(own)} is transductive: it uses the rows that are to be predicted, "
            "so a prediction needs the whole cohort and changes with it."
        )
    few = table.loc[table["n_reference"] < _FEW]
    if len(few):
        listed = [f"{s} ({n})" for s, n in zip(few["study"], few["n_reference"], strict=True)]
        warn(f"Fewer than {_FEW} rows to scale by in {shorten(listed)}: expect noise.")
