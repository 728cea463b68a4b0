"""Close every row to a sum of one before its logarithm is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from dtp_scvi import __version__
from dtp_scvi._constants import COMPOSITION_KEY, FEWEST_ROWS
from dtp_scvi._docs import docs
from dtp_scvi._labels import label_classes, label_text
from dtp_scvi._logging import warn
from dtp_scvi._validate import check_key, check_one_of, check_range, matrix_name, problem, shorten
from dtp_scvi.data import LINEARISE, check_matrix, detect_scale, scale_kind
from dtp_scvi.pp._audit_row_statistics import GAP_NOTE
from dtp_scvi.pp._rewrite import finish, read_dense_or_sparse, writable
from dtp_scvi.stats._composition import Closure, centred_log_ratio, closure, replace_zeros

if TYPE_CHECKING:
    from anndata import AnnData

METHODS = ("log1p", "clr", "ratio")


@docs.dedent
def close_composition(
    adata: AnnData,
    *,
    layer: str | None = None,
    method: Literal["log1p", "clr", "ratio"] = "log1p",
    scale_factor: float = 1e6,
    pseudocount: float | None = None,
    tolerance: float = 1e-6,
    strict: bool = False,
    labels_key: str | None = None,
    layer_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """
    Divide every row by its sum, then take log1p or the centred log-ratio.

    A panel of genes is a composition: what a row sums to is a matter of how it was made, and in
    one published table it was made with the label in it. After this no model can see the sum.

    Parameters
    ----------
    adata
        Bulk samples (or cells) in rows and **only the genes of the panel** in columns, in memory;
        linear values of any total: counts, TPM, FPKM, shares.
    %(layer)s
    method
        ``"log1p"`` for log(1 + ``scale_factor`` * share), ``"clr"`` for the centred log-ratio,
        ``"ratio"`` for the shares themselves.
    scale_factor
        What a row sums to before log1p; used by that method only.
    pseudocount
        Share that stands in for a zero under ``"clr"``; other values of the row shrink by as much
        in all, which keeps their ratios. ``None`` takes 1 / n_genes squared.
    tolerance
        Largest relative deviation of a row sum that counts as closed.
    strict
        Refuse rows that do not close to one number within the tolerance.
    labels_key
        Column of ``adata.obs`` that the row sums, as found, are compared with; it changes nothing
        in the values. Rows without a label are left out of that comparison.
    layer_added
        Layer to write to; ``None`` writes ``adata.X``.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written are float64 values and
    ``adata.uns["dtp_composition"]``: ``"params"``, ``"expected_sum"``, ``"constant"`` (whether
    half of the rows sum to the same, to a thousandth), ``"n_not_closed"``,
    ``"largest_deviation"`` (relative), ``"share_zero"``, a ``"sentence"`` and, with a label,
    ``"row_sum_auroc"``: class and AUROC of the row sum, as found.

    Raises
    ------
    TypeError, KeyError, ValueError
        Not an AnnData, a view, or a backed file; no such layer, column or method; NaN, infinite
        or negative values; rows of zeros; logarithms; with ``strict``, rows that do not close.

    Notes
    -----
    Rows that were meant to sum to a constant and do not are warned of, and so is a row sum that
    separates the classes (AUROC outside 0.25 to 0.75). Counts, and panels cut out of a larger
    matrix, sum to anything and are no cause for a warning by themselves.

    Examples
    --------
    >>> import anndata as ad, numpy as np
    >>> import dtp_scvi as dtp
    >>> panel = ad.AnnData(np.array([[2.0, 6.0], [30.0, 10.0]]))
    >>> dtp.pp.close_composition(panel, method="ratio")
    >>> panel.X.tolist()
    [[0.25, 0.75], [0.75, 0.25]]
    """
    check_one_of(method, METHODS, "method")
    check_range(scale_factor, "scale_factor", 0.0, inclusive=False)
    check_range(tolerance, "tolerance", 0.0, 0.1)
    _check_pseudocount(pseudocount, method)
    out = writable(adata, copy=copy)
    where = matrix_name(layer)
    values = read_dense_or_sparse(out, layer)
    check_matrix(values, name=where)
    found = closure(_totals(values, out.obs_names, where), tolerance)
    _check_linear(values, found, where)
    scores = {} if labels_key is None else _label_scores(out.obs, labels_key, found)
    sentence = _sentence(found, scores, labels_key)
    _judge(found, scores, sentence, strict=strict)
    shares, delta = _divide(values, found.total), pseudocount or 1.0 / out.n_vars**2
    written = _transform(shares, method, scale_factor, delta)
    record: dict[str, Any] = {
        "params": {
            "method": method,
            "scale_factor": float(scale_factor),
            "tolerance": tolerance,
            "strict": strict,
            "version": __version__,
            **({"pseudocount": delta} if method == "clr" else {}),
            **{k: v for k, v in {"layer": layer, "labels_key": labels_key}.items() if v},
        },
        "expected_sum": found.expected,
        "constant": found.constant,
        "n_not_closed": found.n_open,
        "largest_deviation": found.largest,
        "share_zero": 1 - _n_stored(values) / (out.n_obs * out.n_vars),
        "sentence": sentence,
    }
    if scores:
        record["row_sum_auroc"] = _score_table(scores)
    return finish(out, written, layer_added, COMPOSITION_KEY, record, copy=copy)


def _check_pseudocount(pseudocount: float | None, method: str) -> None:
    if pseudocount is None:
        return
    if method != "clr":
        msg = problem(
            '`pseudocount` only beside method="clr"',
            f"{pseudocount!r} with method={method!r}",
            "Leave it out: zeros stay zeros.",
        )
        raise ValueError(msg)
    check_range(pseudocount, "pseudocount", 0.0, 1.0, inclusive=False)


def _totals(values: Any, names: pd.Index, where: str) -> np.ndarray:
    total = np.asarray(values.sum(axis=1), np.float64).ravel()
    empty = names[total == 0]
    if len(empty):
        msg = problem(
            f"at least one value above 0 in every row of {where}",
            f"{len(empty):,} rows of zeros ({shorten(empty)})",
            "Drop them: a row of zeros has no shares.",
        )
        raise ValueError(msg)
    return total


def _check_linear(values: Any, found: Closure, where: str) -> None:
    # Sums of logarithms are no constant; and a handful of values looks like anything.
    if found.constant or min(values.shape) < FEWEST_ROWS:
        return
    report = detect_scale(values)
    logs = report.scale in LINEARISE and scale_kind(report.scale) != "linear"
    if logs and report.confident:
        msg = problem(
            f"linear values in {where}",
            report.sentence().rstrip("."),
            "Undo the logarithm, or name the layer with counts or TPM.",
        )
        raise ValueError(msg)


def _label_scores(obs: pd.DataFrame, labels_key: str, found: Closure) -> dict[str, float]:
    """Return the AUROC of the row sum for each class against the others; one of two classes."""
    check_key(obs, labels_key, "adata.obs", "labels_key")
    known = obs[labels_key].notna().to_numpy()
    labels = label_text(obs.loc[known, labels_key])
    classes = label_classes(labels, labels_key)
    part = Closure(found.total[known], found.expected, found.deviation[known], found.constant)
    # The second of two classes is what pp.audit takes, too.
    asked = classes[1:] if len(classes) == 2 else classes
    return {name: part.auroc(labels == name) for name in asked}


def _score_table(scores: dict[str, float]) -> pd.DataFrame:
    # A class may be named "CR/PR", which h5ad takes for two levels of keys.
    return pd.DataFrame(
        {"class": list(scores), "auroc": list(scores.values())},
        index=[str(i) for i in range(len(scores))],
    )


def _sentence(found: Closure, scores: dict[str, float], labels_key: str | None) -> str:
    n = len(found.total)
    if not found.n_open:
        return f"All {n:,} rows sum to {found.expected:g}."
    text = (
        f"{found.n_open:,} of {n:,} rows do not sum to {found.expected:g}; the largest deviation "
        f"is {found.largest:.2g} of it."
    )
    if not found.constant:
        text = (
            f"Rows sum to {found.total.min():g} to {found.total.max():g}, not to a constant, as "
            "counts and panels do."
        )
    if scores:
        name, value = max(scores.items(), key=lambda item: abs(item[1] - 0.5))
        verb = "separates" if abs(value - 0.5) >= GAP_NOTE else "does not separate"
        text += f" The row sum {verb} {labels_key!r}: AUROC {value:.3f} for {name!r}."
    return text


def _judge(found: Closure, scores: dict[str, float], sentence: str, *, strict: bool) -> None:
    if strict and found.n_open:
        msg = problem(
            f"every row to sum to {found.expected:g}",
            sentence.rstrip("."),
            "Find out where the sums come from, or pass strict=False to close the rows.",
        )
        raise ValueError(msg)
    leaks = any(abs(value - 0.5) >= GAP_NOTE for value in scores.values())
    if found.n_open and (found.constant or leaks):
        warn(f"{sentence} Rows were closed, so that models can't see their sums.")


def _divide(values: Any, total: np.ndarray) -> Any:
    if sp.issparse(values):
        return sp.csr_matrix(sp.diags(1 / total) @ values)
    return values / total[:, None]


def _transform(shares: Any, method: str, scale_factor: float, delta: float) -> Any:
    if method == "ratio":
        return shares
    if method == "log1p":
        return (
            (shares * scale_factor).log1p()
            if sp.issparse(shares)
            else np.log1p(shares * scale_factor)
        )
    dense = shares.toarray() if sp.issparse(shares) else shares
    most = int((dense == 0).sum(axis=1).max())
    if most * delta >= 1:
        msg = problem(
            f"`pseudocount` below 1 over the most zeros in a row ({most:,})",
            f"{delta:g}",
            "Lower it.",
        )
        raise ValueError(msg)
    return centred_log_ratio(replace_zeros(dense, delta))


def _n_stored(values: Any) -> int:
    return int(values.count_nonzero()) if sp.issparse(values) else int(np.count_nonzero(values))
