from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from dtp_scvi.data import Scale, detect_scale

N_GENES = 6000


def cells(n=150, depth=5000.0, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(0, 1.8, N_GENES)
    mean /= mean.sum()
    total = rng.lognormal(np.log(depth), 0.4, n)[:, None]
    return rng.poisson(total * mean * rng.gamma(2, 0.5, (n, N_GENES))).astype(float)


def bulk(n=40, n_genes=20_000, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(0, 2.5, n_genes) * (rng.random(n_genes) > 0.3)
    total = rng.lognormal(np.log(4e7), 0.2, n)[:, None]
    return rng.poisson(total * mean / mean.sum() * rng.gamma(4, 0.25, (n, n_genes))).astype(float)


def to(x, target):
    return x / x.sum(axis=1, keepdims=True) * target


CELLS, BULK = cells(), bulk()
LOG = np.log1p(to(CELLS, 1e4))
TPM = to(BULK / np.random.default_rng(1).lognormal(7, 0.7, BULK.shape[1]), 1e6)
FACTOR = np.random.default_rng(2).lognormal(0, 0.3, (len(BULK), 1))
# Detection limits of genes that were not seen, each its own.
SEEN = np.random.default_rng(4).uniform(0.01, 1, TPM.shape)
AMBIENT = 0.05 * CELLS.sum(axis=1, keepdims=True) * CELLS.mean(axis=0) / CELLS.mean(axis=0).sum()
CORRECTED = np.maximum(CELLS - AMBIENT, 0)
VARIABLE = np.arange(0, N_GENES, 4)

CLEAR = {
    "whole numbers": (CELLS.astype(np.int32), Scale.COUNTS),
    "whole numbers as float": (CELLS.astype(np.float32), Scale.COUNTS),
    "bulk counts": (BULK, Scale.COUNTS),
    "one cell": (CELLS[:1], Scale.COUNTS),
    "ambient-corrected": (CORRECTED, Scale.CORRECTED_COUNTS),
    "RSEM": (BULK * np.random.default_rng(3).uniform(0.9, 1, BULK.shape), Scale.CORRECTED_COUNTS),
    "CP10k": (to(CELLS, 1e4), Scale.CP10K),
    "CP10k in single precision": (to(CELLS, 1e4).astype(np.float32), Scale.CP10K),
    "CPM": (to(CELLS, 1e6), Scale.CPM),
    "TPM": (TPM, Scale.CPM),
    "normalize_total to the median": (to(CELLS, np.median(CELLS.sum(1))), Scale.NORMALIZED),
    "proportions": (to(CELLS, 1.0), Scale.NORMALIZED),
    "log1p CP10k": (LOG, Scale.LOG1P_CP10K),
    "log1p CP10k, three decimals": (np.round(LOG, 3), Scale.LOG1P_CP10K),
    "log1p CP10k of corrected counts": (np.log1p(to(CORRECTED, 1e4)), Scale.LOG1P_CP10K),
    "log1p CP10k, some genes removed": (LOG[:, np.arange(N_GENES) % 15 > 0], Scale.LOG1P_CP10K),
    "log1p CP10k, one cell": (LOG[:1], Scale.LOG1P_CP10K),
    "log1p CPM": (np.log1p(to(CELLS, 1e6)), Scale.LOG1P_CPM),
    "log1p of median-normalised": (np.log1p(to(CELLS, 5021.0)), Scale.LOG1P_NORMALIZED),
    "log1p of counts": (np.log1p(CELLS), Scale.LOG1P_NORMALIZED),
    "log2 TPM": (np.log2(1 + TPM), Scale.LOG2_TPM),
    "log2 TPM, five decimals": (np.round(np.log2(1 + TPM), 5), Scale.LOG2_TPM),
    "log2 size factor": (np.log2(1 + BULK / FACTOR), Scale.LOG2_SIZEFACTOR),
    "log2 size factor, five decimals": (
        np.round(np.log2(1 + BULK / FACTOR), 5),
        Scale.LOG2_SIZEFACTOR,
    ),
    "log2 of counts": (np.log2(1 + CELLS), Scale.LOG2_SIZEFACTOR),
    "log2 RPKM": (np.log2(np.maximum(TPM, SEEN)), Scale.LOG2),
    "z-scores": ((LOG - LOG.mean(0)) / (LOG.std(0) + 1e-9), Scale.ZSCORE),
    "clipped z-scores": (
        np.clip((LOG - LOG.mean(0)) / (LOG.std(0) + 1e-9), -10, 10),
        Scale.ZSCORE,
    ),
    "log twice": (np.log1p(LOG), Scale.DOUBLE_LOG),
    "log twice, selected genes": (np.log1p(LOG)[:, VARIABLE], Scale.DOUBLE_LOG),
}
UNCLEAR = {
    "log1p CP10k, selected genes": (LOG[:, VARIABLE], Scale.LOG1P_CP10K),
    "the same after correction": (
        np.log1p(to(CORRECTED, 1e4))[:, VARIABLE],
        Scale.LOG1P_CP10K,
    ),
    "nothing but zeros": (np.zeros((4, 5)), Scale.UNKNOWN),
    "uniform noise": (np.random.default_rng(0).random((50, 80)), Scale.UNKNOWN),
    "log10 TPM": (np.log10(1 + TPM), Scale.UNKNOWN),
    "array intensities": (np.random.default_rng(0).uniform(3, 15, (50, 900)), Scale.UNKNOWN),
    "presence and absence": ((CELLS > 0).astype(float), Scale.COUNTS),
    "natural logarithms": (np.log(np.maximum(TPM / 10, SEEN)), Scale.LOG2),
    "corrected logs of x + 1": (
        np.log2(1 + TPM) - 0.5 * np.random.default_rng(5).random(TPM.shape),
        Scale.LOG2,
    ),
    "log ratios": (
        np.random.default_rng(5).normal(np.linspace(-2, 2, 900), 1, (60, 900)),
        Scale.UNKNOWN,
    ),
    "a few negative values": (np.log2(TPM[:, ::40] + 0.5), Scale.UNKNOWN),
    "not a number": (np.where(CELLS == 7, np.nan, CELLS), Scale.UNKNOWN),
}


@pytest.mark.parametrize("name", CLEAR)
def test_clear_scales(name):
    values, expected = CLEAR[name]
    report = detect_scale(values)
    assert (report.scale, report.confident) == (expected, True), report.sentence()


@pytest.mark.parametrize("name", UNCLEAR)
def test_unclear_scales(name):
    values, expected = UNCLEAR[name]
    report = detect_scale(values)
    assert (report.scale, report.confident) == (expected, False), report.sentence()


def test_sentence_says_scale_and_reason():
    sentence = detect_scale(LOG).sentence()
    assert (
        sentence == "Values look like log1p of counts per 10,000 (rows sum to 10,000 after expm1)."
    )
    assert "though not clearly" in detect_scale(LOG[:, VARIABLE]).sentence()


def test_evidence_is_right_and_plain():
    evidence = dict(detect_scale(LOG, n_rows=len(LOG)).evidence)
    assert evidence["expm1_sum_median"] == pytest.approx(1e4)
    assert evidence["expm1_sum_cv"] == pytest.approx(0, abs=1e-12)
    assert evidence["share_zero"] == pytest.approx((LOG == 0).mean())
    assert evidence["max"] == LOG.max()
    assert evidence["column_mean"] == pytest.approx(np.median(LOG.mean(0)))
    assert evidence["column_sd"] == pytest.approx(np.median(LOG.std(0)))
    json.dumps(evidence)


@pytest.mark.parametrize(
    "form", [np.asarray, sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.coo_matrix]
)
def test_storage_does_not_matter(form):
    expected = detect_scale(LOG, n_rows=60)
    found = detect_scale(form(LOG), n_rows=60)
    assert found.scale is expected.scale
    assert dict(found.evidence) == pytest.approx(dict(expected.evidence), nan_ok=True)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_files_are_read_in_part(tmp_path, form):
    path = tmp_path / "x.h5ad"
    ad.AnnData(form(LOG.astype(np.float32))).write_h5ad(path)
    backed = ad.read_h5ad(path, backed="r")
    report = detect_scale(backed.X, n_rows=40)
    assert (report.scale, report.evidence["n_rows"]) == (Scale.LOG1P_CP10K, 40)
    assert report.evidence["expm1_sum_median"] == pytest.approx(1e4, rel=1e-5)


def test_sample_is_fixed_by_the_seed():
    first, again, other = (detect_scale(CELLS, seed=s, n_rows=30).evidence for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_input_is_not_changed():
    X = sp.csr_matrix(np.array([[1.0, 2.0], [3.0, 0.0]]))
    X.data[0] = 0.0  # an explicit zero
    before = X.copy()
    detect_scale(X)
    assert X.nnz == before.nnz
    assert np.array_equal(X.data, before.data)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_empty_matrix(shape):
    with pytest.raises(ValueError, match="a matrix with cells and genes; found shape"):
        detect_scale(np.zeros(shape))
