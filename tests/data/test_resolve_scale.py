from __future__ import annotations

import numpy as np
import pytest

from dtp_scvi.data import LINEARISE, Scale, linearise, resolve_scale, scale_kind


@pytest.fixture(scope="module")
def matrices():
    rng = np.random.default_rng(0)
    mean = rng.lognormal(0, 1.8, 6000)
    counts = rng.poisson(rng.uniform(3e3, 9e3, (60, 1)) * mean / mean.sum()).astype(float)
    cp10k = counts / counts.sum(1, keepdims=True) * 1e4
    log = np.log1p(cp10k)
    return {
        "counts": counts,
        "corrected_counts": counts * 0.97,
        "cp10k": cp10k,
        "log1p_cp10k": log,
        "log1p_cpm": np.log1p(cp10k * 100),
        "log2_tpm": np.log2(1 + cp10k * 100),
        "log2": np.log2(mean / mean.sum() * 1e6 * rng.lognormal(0, 0.7, counts.shape)),
        "log2_sizefactor": np.log2(1 + counts / rng.lognormal(0, 0.2, (60, 1))),
        "zscore": (log - log.mean(0)) / (log.std(0) + 1e-9),
        "double_log": np.log1p(log),
        "selection": log[:, ::4],
        "cut": log[:, np.arange(6000) % 10 > 2][:, :5500],
    }


@pytest.mark.parametrize(
    "name",
    ["counts", "cp10k", "log1p_cp10k", "log1p_cpm", "log2_tpm", "log2_sizefactor", "log2"],
)
def test_auto_takes_a_clear_scale_and_so_does_its_name(matrices, name):
    assert resolve_scale(matrices[name]) is Scale(name)
    assert resolve_scale(matrices[name], name) is Scale(name)


@pytest.mark.parametrize(
    ("held", "declared"),
    [
        ("counts", "corrected_counts"),
        ("counts", "normalized"),
        ("log1p_cp10k", "log1p_normalized"),
        ("log2_tpm", "log2_sizefactor"),
        ("selection", "log1p_cp10k"),
        ("cut", "log1p_cp10k"),
        ("selection", "log2"),
    ],
)
def test_declared_scales_that_the_evidence_allows(matrices, held, declared):
    assert resolve_scale(matrices[held], declared) is Scale(declared)


@pytest.mark.parametrize(
    ("held", "declared", "message"),
    [
        ("log1p_cp10k", "counts", r"found log1p of counts per 10,000.*\n.*layers\[\"counts\"\]"),
        ("corrected_counts", "counts", "found linear values, not whole.*\n.*corrected_counts"),
        (
            "counts",
            "log1p_cp10k",
            "found counts: all values are whole numbers.*\nscale = 'counts'",
        ),
        ("log1p_cpm", "log1p_cp10k", "found log1p of counts per million"),
        ("log2_tpm", "log1p_cpm", r"found log2\(TPM \+ 1\)"),
        ("log2_sizefactor", "log1p_cp10k", "found log2"),
        ("cp10k", "cpm", "found counts per 10,000"),
        ("log2", "log2_tpm", r"found log2 .* without a pseudocount: .*down to.*\nscale = 'log2'"),
        ("counts", "log2", "found counts: all values are whole numbers"),
        ("zscore", "log2", "found z-scores or residuals"),
        ("zscore", "log1p_cp10k", "found z-scores or residuals.*negative.*\nadata.X = log_values"),
        ("double_log", "log1p_cp10k", "found values logged twice.*\nadata.X = log_values"),
        ("selection", "counts", "not whole numbers"),
        ("selection", "log2_sizefactor", None),
    ],
)
def test_contradictions(matrices, held, declared, message):
    if message is None:  # a selection of genes can't tell the base of its logarithm
        assert resolve_scale(matrices[held], declared) is Scale(declared)
        return
    with pytest.raises(
        ValueError, match=f"(?s)Expected adata.X on the scale '{declared}'.*{message}"
    ):
        resolve_scale(matrices[held], declared)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ("zscore", "found z-scores or residuals, .* Pass another matrix"),
        ("double_log", "found values logged twice"),
        ("selection", "Name the scale if you know it, for example:\nscale = 'log1p_cp10k'"),
    ],
)
def test_auto_refuses_what_is_unclear(matrices, held, message):
    with pytest.raises(ValueError, match=f"(?s)the evidence makes clear.*{message}"):
        resolve_scale(matrices[held])


@pytest.mark.parametrize(
    ("values", "declared", "message"),
    [
        (np.array([[0.0, np.nan]]), "counts", "1 NaN values; the first in row 0, column 1"),
        (np.array([[0.1, -0.2], [4.0, 5.0]]), "log1p_cp10k", "25% of the values are negative"),
        (np.array([[0.1, -0.2], [40.0, 5.0]]), "log2", "reach 40, too large for a logarithm"),
        (np.random.default_rng(0).uniform(0, 11, (6, 9)), "log1p_cp10k", "more than 10,000"),
    ],
)
def test_impossible_values_contradict_any_declaration(values, declared, message):
    with pytest.raises(ValueError, match=message):
        resolve_scale(values, declared)


def test_zeros_fit_every_declared_scale():
    assert resolve_scale(np.zeros((3, 3)), "log2_tpm") is Scale.LOG2_TPM


@pytest.mark.parametrize("declared", ["log", "zscore", "unknown"])
def test_names_that_are_no_usable_scale(declared):
    with pytest.raises(
        ValueError, match=f"`scale` to be one of 'auto', 'counts', .*; found '{declared}'"
    ):
        resolve_scale(np.ones((2, 2)), declared)


def test_the_matrix_is_called_by_its_name(matrices):
    with pytest.raises(ValueError, match=r'Expected adata.layers\["raw"\] on the scale'):
        resolve_scale(matrices["log1p_cp10k"], "counts", name='adata.layers["raw"]')


@pytest.mark.parametrize("scale", LINEARISE)
def test_linearise_undoes_the_transform(scale):
    x = np.array([0.0, 1e-9, 0.5, 3.0, 1e4])
    forward = {
        "linear": lambda v: v,
        "log1p": np.log1p,
        "log2p1": lambda v: np.log1p(v) / np.log(2),
    }
    if scale is Scale.LOG2:
        x, forward = x[1:], {"linear": np.log2}
    assert linearise(forward[scale_kind(scale)](x), scale) == pytest.approx(x, rel=1e-12)


def test_linearise_keeps_single_precision():
    assert linearise(np.ones(2, np.float32), "log2_tpm").dtype == np.float32


@pytest.mark.parametrize("scale", [Scale.ZSCORE, "double_log", "nonsense"])
def test_no_way_back(scale):
    with pytest.raises(ValueError, match="`scale` to be one of 'counts'"):
        scale_kind(scale)
