"""Tell the scale of an expression matrix from evidence, and refuse what contradicts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dtp_scvi._validate import check_one_of, problem
from dtp_scvi.data._check_matrix import check_matrix
from dtp_scvi.data._sample import sample_rows
from dtp_scvi.data._scale_evidence import measure
from dtp_scvi.data._scale_kinds import LINEARISE, SIGNED, Scale, scale_kind
from dtp_scvi.data._scale_rules import CONSTANT_CV, MAX_LOG, describe, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNTS_LINES = (
    'adata.layers["counts"] = counts  # the whole numbers before normalisation\n'
    '...setup_anndata(adata, ..., layer="counts")  # or layer="counts" when scoring'
)
_REFUSED_LINES = (
    "adata.X = log_values  # log1p(10,000 x / total), neither scaled nor logged again\n"
    '...setup_anndata(adata, ..., scale="log1p_cp10k")'
)

# What detection may find, with confidence, without contradicting what was declared. Removing
# genes breaks the constant sum of a normalised row, hence the looser entries.
_COMPATIBLE: dict[Scale, frozenset[Scale]] = {
    Scale.COUNTS: frozenset({Scale.COUNTS}),
    Scale.CORRECTED_COUNTS: frozenset(
        {Scale.CORRECTED_COUNTS, Scale.COUNTS, Scale.CP10K, Scale.CPM, Scale.NORMALIZED}
    ),
    Scale.CP10K: frozenset({Scale.CP10K, Scale.CORRECTED_COUNTS}),
    Scale.CPM: frozenset({Scale.CPM, Scale.CORRECTED_COUNTS}),
    Scale.NORMALIZED: frozenset(
        {Scale.NORMALIZED, Scale.CP10K, Scale.CPM, Scale.CORRECTED_COUNTS, Scale.COUNTS}
    ),
    Scale.LOG1P_CP10K: frozenset({Scale.LOG1P_CP10K}),
    Scale.LOG1P_CPM: frozenset({Scale.LOG1P_CPM}),
    Scale.LOG1P_NORMALIZED: frozenset(
        {Scale.LOG1P_NORMALIZED, Scale.LOG1P_CP10K, Scale.LOG1P_CPM}
    ),
    Scale.LOG2_TPM: frozenset({Scale.LOG2_TPM, Scale.LOG2_SIZEFACTOR}),
    Scale.LOG2_SIZEFACTOR: frozenset({Scale.LOG2_SIZEFACTOR, Scale.LOG2_TPM}),
    Scale.LOG2: frozenset({Scale.LOG2}),
}


@dataclass(frozen=True, slots=True)
class ScaleReport:
    """
    The verdict of :func:`detect_scale` and what it rests on.

    Attributes
    ----------
    scale
        The scale that fits best.
    confident
        Whether the evidence is clear enough to act on.
    evidence
        Measurements on the sampled rows, by name; plain numbers.
    reason
        The finding that decided, in words.
    """

    scale: Scale
    confident: bool
    evidence: Mapping[str, Any]
    reason: str

    def sentence(self) -> str:
        """Say the verdict and its reason in one sentence."""
        sure = "" if self.confident or self.scale is Scale.UNKNOWN else ", though not clearly"
        return f"Values look like {describe(self.scale)}{sure} ({self.reason})."


def detect_scale(matrix: Any, *, seed: int | None = 0, n_rows: int = 256) -> ScaleReport:
    """
    Tell the scale of an expression matrix from a fixed, seeded sample of its rows.

    Parameters
    ----------
    matrix
        Cells x genes: numpy, scipy sparse, an HDF5, zarr or dask array, or the sparse data set of
        a backed AnnData.
    seed
        Seed of the choice of rows.
    n_rows
        Number of rows to look at.

    Returns
    -------
    The scale with its evidence. ``confident`` is false where several scales would fit.

    Raises
    ------
    ValueError
        When the matrix has no rows or no columns.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import detect_scale
    >>> counts = np.random.default_rng(0).poisson(1.0, size=(50, 200))
    >>> report = detect_scale(counts)
    >>> str(report.scale), report.confident
    ('counts', True)
    """
    if min(matrix.shape) == 0:
        msg = problem(
            "a matrix with cells and genes",
            f"shape {tuple(matrix.shape)}",
            "Check how the object was filtered.",
        )
        raise ValueError(msg)
    evidence = measure(sample_rows(matrix, n_rows, seed))
    scale, confident, reason = judge(evidence)
    return ScaleReport(scale, confident, evidence, reason)


def resolve_scale(
    matrix: Any,
    declared: Scale | str = "auto",
    *,
    seed: int | None = 0,
    name: str = "adata.X",
    values: bool = False,
) -> Scale:
    """
    Settle the scale of a matrix: the declared one unless the evidence contradicts it.

    Parameters
    ----------
    matrix
        Cells x genes in any storage.
    declared
        A scale by name, or ``"auto"`` to take the detected one where the evidence is clear.
    seed
        Seed of the choice of rows that are looked at.
    name
        What to call the matrix in messages, e.g. ``'adata.layers["counts"]'``.
    values
        Whether the scale ``"as_is"`` may be declared, for values that are no expression. It is
        taken on trust: there is nothing to test it by.

    Returns
    -------
    A scale that :func:`linearise` can undo, or ``"as_is"``.

    Raises
    ------
    ValueError
        When ``"auto"`` finds no clear scale or one that is refused (z-scores, a double
        logarithm), when the evidence contradicts the declared scale, or when a value that was
        looked at is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from dtp_scvi.data import resolve_scale
    >>> counts = np.random.default_rng(0).poisson(1.0, size=(50, 200))
    >>> str(resolve_scale(counts))
    'counts'
    """
    usable = [*LINEARISE, Scale.AS_IS] if values else LINEARISE
    check_one_of(str(declared), ["auto", *map(str, usable)], "scale")
    report = detect_scale(matrix, seed=seed)
    if report.evidence["n_not_finite"]:
        check_matrix(matrix, name=name, negative=str(declared) in SIGNED)
    if str(declared) == Scale.AS_IS:
        return Scale.AS_IS
    if str(declared) == "auto":
        return _settle_alone(report, name)
    declared = Scale(declared)
    reason = _contradiction(report, declared)
    if reason is not None:
        msg = problem(
            f"{name} on the scale {str(declared)!r} ({describe(declared)})",
            f"{describe(report.scale)}: {reason}",
            _todo(report, declared),
        )
        raise ValueError(msg)
    return declared


def _settle_alone(report: ScaleReport, name: str) -> Scale:
    if report.scale in LINEARISE and report.confident:
        return report.scale
    if report.scale in LINEARISE:
        todo = (
            "Name the scale if you know it, for example:\n"
            f"scale = {str(report.scale)!r}\n...setup_anndata(adata, ..., scale=scale)"
        )
    else:
        todo = f"Pass another matrix, for example:\n{_COUNTS_LINES}"
    found = f"{describe(report.scale)}, {report.reason}"
    msg = problem(f"{name} on a scale that the evidence makes clear", found, todo)
    raise ValueError(msg)


def _contradiction(report: ScaleReport, declared: Scale) -> str | None:
    evidence = report.evidence
    if report.confident:
        fits = report.scale in _COMPATIBLE[declared] or _fewer_genes(report, declared)
        return _out_of_range(evidence, declared) if fits else report.reason
    if evidence["n_not_finite"]:
        return report.reason
    if not evidence["n_stored"]:
        return None
    if declared is Scale.LOG2:
        return _not_a_log(evidence)
    if evidence["min"] < 0:
        return f"{evidence['share_negative']:.0%} of the values are negative"
    if declared is Scale.COUNTS and evidence["share_integer"] < 1:
        return f"{1 - evidence['share_integer']:.0%} of the nonzero values are not whole numbers"
    return _out_of_range(evidence, declared)


def _not_a_log(evidence: Mapping[str, Any]) -> str | None:
    if evidence["max"] > MAX_LOG:
        return f"values reach {evidence['max']:,.4g}, too large for a logarithm"
    return None


def _fewer_genes(report: ScaleReport, declared: Scale) -> bool:
    """Whether rows may fall short of the declared sum because genes were removed."""
    may_be_cut = declared in (Scale.LOG1P_CP10K, Scale.LOG1P_CPM)
    varies = report.evidence.get("expm1_sum_cv", 0.0) > CONSTANT_CV
    return may_be_cut and report.scale is Scale.LOG1P_NORMALIZED and varies


def _out_of_range(evidence: Mapping[str, Any], declared: Scale) -> str | None:
    """A single value, or a row, above what the declared sum allows."""
    limit = {Scale.LOG1P_CP10K: 1e4, Scale.LOG1P_CPM: 1e6, Scale.LOG2_TPM: 1e6}.get(declared)
    prefix = "exp2" if scale_kind(declared) == "log2p1" else "expm1"
    if scale_kind(declared) == "linear":
        return None
    largest = evidence[f"{prefix}_sum_median"]
    if not largest < float("inf"):
        return f"the largest value is {evidence['max']:,.4g}, too large for a logarithm"
    if limit is not None and largest > 1.05 * limit:
        return f"rows sum to {largest:,.4g} without the logarithm, more than {limit:,.0f}"
    return None


def _todo(report: ScaleReport, declared: Scale) -> str:
    if report.scale not in LINEARISE:
        return f"Pass values that can be undone, for example:\n{_REFUSED_LINES}"
    if declared is Scale.COUNTS and report.scale is not Scale.CORRECTED_COUNTS:
        return f"Pass the counts, for example:\n{_COUNTS_LINES}"
    return (
        "Declare the scale that was found, if that is what the values are:\n"
        f"scale = {str(report.scale)!r}\n...setup_anndata(adata, ..., scale=scale)"
    )
