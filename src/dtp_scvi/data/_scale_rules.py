"""Judge the measured evidence: which scale, how clearly, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dtp_scvi.data._scale_kinds import Scale

Verdict = tuple[Scale, bool, str]
Evidence = Mapping[str, Any]

# Rows whose sums spread less than this were scaled to a constant, up to rounding. Homogeneous
# bulk samples come near a hundredth by chance, even after the wrong inverse.
CONSTANT_CV = 1e-3
# The same after a few genes were removed.
_NEARLY_CONSTANT_CV = 0.05
_MIN_ROWS_FOR_CONSTANT = 3
# log(1 + x) of the largest bulk counts is below 25.
MAX_LOG = 25.0
# expm1(expm1(x)) of a row sum of a million needs no value above log1p(log1p(1e6)) = 2.7.
_MAX_DOUBLE_LOG = 2.7
_LATTICE = 0.9
_WHOLE = 0.999
# A matrix with fewer genes is taken for a selection, whose row sums say nothing.
_WHOLE_TRANSCRIPTOME = 5000
# Log intensities of arrays have no zeros; sequencing data do.
_MICROARRAY_FLOOR = 0.5
# Genes that were not seen all lie at the logarithm of the pseudocount.
_FLOOR_SHARE = 0.02
_CP10K, _CPM = 1e4, 1e6

_WORDS = {
    Scale.COUNTS: "counts",
    Scale.CORRECTED_COUNTS: "linear values, not whole (corrected counts, RSEM, FPKM)",
    Scale.CP10K: "counts per 10,000",
    Scale.CPM: "counts (or transcripts) per million",
    Scale.NORMALIZED: "linear values with a constant row sum",
    Scale.LOG1P_CP10K: "log1p of counts per 10,000",
    Scale.LOG1P_CPM: "log1p of counts per million",
    Scale.LOG1P_NORMALIZED: "log1p of counts or of normalised counts",
    Scale.LOG2_TPM: "log2(TPM + 1)",
    Scale.LOG2_SIZEFACTOR: "log2(x + 1) of counts or size-factor-normalised counts",
    Scale.LOG2: "log2 of normalised values without a pseudocount",
    Scale.AS_IS: "values that are used as they are",
    Scale.ZSCORE: "z-scores or residuals",
    Scale.DOUBLE_LOG: "values logged twice",
    Scale.UNKNOWN: "no scale we know",
}


def describe(scale: Scale) -> str:
    """Name a scale in words."""
    return _WORDS[scale]


def judge(e: Evidence) -> Verdict:
    """
    Pick the scale that the evidence of :func:`measure` supports.

    Returns
    -------
    The scale, whether the evidence is clear, and the finding that decided.
    """
    if e["n_not_finite"]:
        return Scale.UNKNOWN, False, f"{e['n_not_finite']:,} sampled values are NaN or infinite"
    if not e["n_stored"]:
        return Scale.UNKNOWN, False, f"all values of the {e['n_rows']:,} sampled rows are zero"
    if e["min"] < 0:
        return _negative(e)
    if e["share_integer"] == 1.0:
        return _whole(e)
    for rule in (_constant_sums, _double_log, _linear, _logs_of_counts, _near_target, _leftover):
        verdict = rule(e)
        if verdict is not None:
            return verdict
    return Scale.UNKNOWN, False, f"values up to {e['max']:,.4g} fit several scales"


def _negative(e: Evidence) -> Verdict:
    share = f"{100 * e['share_negative']:.2g}% of the values are negative"
    if e["share_negative"] > 0.05 and e["share_centred"] > 0.8:
        return Scale.ZSCORE, True, f"{share} and genes are centred near zero"
    if e["share_centred"] > 0.2 or e["share_integer"] == 1.0 or e["max"] > MAX_LOG:
        return Scale.UNKNOWN, False, share
    if e["at_floor"] > _FLOOR_SHARE:
        floor = f"{e['at_floor']:.0%} of a row's values are its smallest, as with a pseudocount"
        return Scale.UNKNOWN, False, f"{share} and {floor}"
    found = (
        f"{share}, down to {e['min']:.3g}, genes are not centred and the largest value is "
        f"{e['max']:.3g}"
    )
    # Corrected logs of x + 1 dip a little below zero; e to the largest value tells the base.
    clear = e["min"] < -1 and e["max"] > math.log(_CPM)
    return Scale.LOG2, clear, found


def _whole(e: Evidence) -> Verdict:
    if e["max"] <= 1:
        return Scale.COUNTS, False, "all values are 0 or 1"
    return Scale.COUNTS, True, f"all values are whole numbers, up to {e['max']:,.0f}"


def _constant(e: Evidence, name: str, cv: float = CONSTANT_CV) -> bool:
    return bool(e[f"{name}_cv"] < cv)


def _at(e: Evidence, name: str, target: float, tolerance: float = 0.01) -> bool:
    return bool(abs(e[f"{name}_median"] / target - 1) < tolerance) and _constant(e, name, 0.02)


# Measured sum -> how it was taken, scale at a named target, scale at any other constant.
_SUMS: tuple[tuple[str, str, dict[float, Scale], Scale], ...] = (
    ("sum", "", {_CP10K: Scale.CP10K, _CPM: Scale.CPM}, Scale.NORMALIZED),
    (
        "expm1_sum",
        " after expm1",
        {_CP10K: Scale.LOG1P_CP10K, _CPM: Scale.LOG1P_CPM},
        Scale.LOG1P_NORMALIZED,
    ),
    ("exp2_sum", " after 2^x - 1", {_CPM: Scale.LOG2_TPM}, Scale.LOG2_SIZEFACTOR),
    (
        "double_sum",
        " after expm1 twice",
        {_CP10K: Scale.DOUBLE_LOG, _CPM: Scale.DOUBLE_LOG},
        Scale.DOUBLE_LOG,
    ),
)


def _constant_sums(e: Evidence) -> Verdict | None:
    for name, after, targets, _ in _SUMS:
        for target, scale in targets.items():
            if _at(e, name, target):
                return scale, True, f"rows sum to {e[name + '_median']:,.5g}{after}"
    constant = [row for row in _SUMS if _constant(e, row[0])]
    if e["n_rows"] < _MIN_ROWS_FOR_CONSTANT or not constant:
        return None
    # Small values are nearly linear under every inverse: the flattest sum is the right one.
    name, after, _, other = min(constant, key=lambda row: e[f"{row[0]}_cv"])
    return other, True, f"rows sum to a constant {e[name + '_median']:,.5g}{after}"


def _double_log(e: Evidence) -> Verdict | None:
    if e["max"] > _MAX_DOUBLE_LOG or not e["double_lattice"] > _LATTICE:
        return None
    if e["expm1_lattice"] > _LATTICE or e["exp2_lattice"] > _LATTICE:
        return None
    return Scale.DOUBLE_LOG, True, "expm1 applied twice gives multiples of one count"


def _linear(e: Evidence) -> Verdict | None:
    if e["max"] > MAX_LOG:
        return Scale.CORRECTED_COUNTS, True, f"values reach {e['max']:,.4g} and are not whole"
    logs = max(_nan0(e["expm1_lattice"]), _nan0(e["exp2_lattice"]))
    # Values rounded to a few decimals are multiples of the last one, whatever their scale.
    if e["lattice"] > _LATTICE and logs < _LATTICE and not e["rounded"]:
        return Scale.CORRECTED_COUNTS, True, "values are multiples of one count per row"
    return None


def _nan0(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _logs_of_counts(e: Evidence) -> Verdict | None:
    natural, binary = _nan0(e["expm1_lattice"]), _nan0(e["exp2_lattice"])
    whole = {"expm1": e["expm1_integer"] > _WHOLE, "exp2": e["exp2_integer"] > _WHOLE}
    if whole["expm1"] != whole["exp2"]:
        scale = Scale.LOG1P_NORMALIZED if whole["expm1"] else Scale.LOG2_SIZEFACTOR
        return scale, True, "undoing the logarithm gives whole numbers"
    if max(natural, binary) < _LATTICE or abs(natural - binary) < 0.1:
        return None
    base, name = ("natural", "expm1") if natural > binary else ("base-2", "exp2")
    reason = f"undoing the {base} logarithm gives multiples of one count per row"
    clear = e["n_vars"] >= _WHOLE_TRANSCRIPTOME
    if name == "exp2":
        return Scale.LOG2_SIZEFACTOR, clear, reason
    near = _near_target(e)
    if near is not None and near[0] is Scale.LOG1P_CP10K:
        return near
    if e["expm1_sum_median"] <= 1.05 * _CP10K and not clear:
        return Scale.LOG1P_CP10K, False, f"{reason}, of a selection of genes"
    return Scale.LOG1P_NORMALIZED, clear, reason


def _near_target(e: Evidence) -> Verdict | None:
    """Row sums a little under a target: some genes were removed after normalisation."""
    for name, target, scale, after in (
        ("expm1_sum", _CP10K, Scale.LOG1P_CP10K, "expm1"),
        ("expm1_sum", _CPM, Scale.LOG1P_CPM, "expm1"),
        ("exp2_sum", _CPM, Scale.LOG2_TPM, "2^x - 1"),
    ):
        share = e[f"{name}_median"] / target
        if 0.85 < share < 1.01 and _constant(e, name, _NEARLY_CONSTANT_CV):
            several = e["n_rows"] >= _MIN_ROWS_FOR_CONSTANT
            return scale, several, f"rows sum to {share:.0%} of {target:,.0f} after {after}"
    return None


def _leftover(e: Evidence) -> Verdict | None:
    if e["share_zero"] == 0 and e["min"] > _MICROARRAY_FLOOR:
        reason = f"no value is below {e['min']:.3g}, as in microarray intensities"
        return Scale.UNKNOWN, False, reason
    natural, binary = e["expm1_sum_median"], e["exp2_sum_median"]
    if natural <= 1.05 * _CP10K and e["expm1_max"] <= _CP10K and e["max"] > _MAX_DOUBLE_LOG:
        return (
            Scale.LOG1P_CP10K,
            False,
            f"rows sum to {natural:,.4g} after expm1, as a selection of genes would",
        )
    if natural > 1.05 * _CPM and binary <= 1.05 * _CPM:
        return (
            Scale.LOG2_TPM,
            False,
            f"rows sum to {binary:,.4g} after 2^x - 1, and to {natural:,.4g} after expm1",
        )
    if binary > 1.05 * _CPM:
        return (
            Scale.LOG2_SIZEFACTOR,
            False,
            f"rows sum to {binary:,.4g} after 2^x - 1, more than a million",
        )
    return None
