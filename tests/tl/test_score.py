"""Scoring writes four columns and one record, and nothing else."""

from __future__ import annotations

import gc
import weakref

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

import dtp_scvi as dtp
from dtp_scvi.data import detect_scale
from dtp_scvi.datasets import simulate_cells, simulate_cohort
from dtp_scvi.model import DTPTransformer

COLUMNS = ["dtp_logit", "dtp_score", "dtp_rank", "dtp_call"]


@pytest.fixture(scope="module")
def training_cells():
    adata = simulate_cells(400, 200, n_donors=5, seed=0)
    DTPTransformer.setup_anndata(
        adata, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    return adata


@pytest.fixture(scope="module")
def teacher(training_cells):
    model = DTPTransformer(training_cells, n_programs=6, d_model=16)
    model.train(max_epochs=2, verbose=False)
    model.module.member_scale.fill_(1.0)
    return model


@pytest.fixture(scope="module")
def student(teacher):
    return teacher.distill(n_genes=80, max_epochs=1, mixtures=1, verbose=False)


@pytest.fixture(params=["teacher", "student"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def made():
    return simulate_cells(120, 200, n_donors=3, seed=9)


@pytest.fixture
def query(made):
    """A query without any label, donor or batch column."""
    adata = made.copy()
    adata.obs = adata.obs[["true_depth"]].copy()
    return adata


def logit_of(adata, model, **kwargs):
    adata = adata.copy()
    dtp.tl.score(adata, model, **kwargs)
    return adata.obs["dtp_logit"].to_numpy()


def frozen(adata):
    """Everything an object holds, as bytes and frames."""
    return {
        "obs": adata.obs.copy(),
        "var": adata.var.copy(),
        "uns": list(adata.uns),
        "obsm": {name: np.array(value) for name, value in adata.obsm.items()},
        "layers": {name: value.toarray() for name, value in adata.layers.items()},
        "X": adata.X.toarray() if sp.issparse(adata.X) else np.array(adata.X),
    }


def assert_same(found, before):
    pd.testing.assert_frame_equal(found["obs"], before["obs"])
    pd.testing.assert_frame_equal(found["var"], before["var"])
    assert found["uns"] == before["uns"]
    np.testing.assert_array_equal(found["X"], before["X"])
    for name in ("obsm", "layers"):
        assert list(found[name]) == list(before[name])
        for key, value in before[name].items():
            np.testing.assert_array_equal(found[name][key], value)


def test_columns(model, query):
    dtp.tl.score(query, model)
    obs = query.obs
    assert list(obs)[-4:] == COLUMNS
    assert (obs[COLUMNS[:3]].dtypes == np.float64).all()
    np.testing.assert_array_equal(
        obs["dtp_logit"], model.predict_logits(query)["drug_tolerant"].to_numpy()
    )
    expected = model.calibration_.transform(obs["dtp_logit"])
    np.testing.assert_allclose(obs["dtp_score"], expected, rtol=1e-12)
    assert obs["dtp_rank"].max() <= 1
    assert obs["dtp_rank"].min() > 0
    assert obs["dtp_rank"].idxmax() == obs["dtp_logit"].idxmax()
    names = ["drug_tolerant", "not drug_tolerant", "indeterminate"]
    assert obs["dtp_call"].cat.categories.tolist() == names
    cut, score = model.threshold_, obs["dtp_score"]
    if query.uns["dtp"]["transfer"]["verdict"] == "rank_only":
        assert obs["dtp_call"].isna().all()
    else:
        called = score >= max(cut["value"], cut["high"])
        np.testing.assert_array_equal(obs["dtp_call"] == "drug_tolerant", called)


def test_ties_share_their_rank(model, query):
    twice = ad.concat([query, query], index_unique="-")
    dtp.tl.score(twice, model)
    rank = twice.obs["dtp_rank"].to_numpy()
    np.testing.assert_allclose(rank[:120], rank[120:])
    np.testing.assert_allclose(rank, rankdata(twice.obs["dtp_logit"]) / 240)
    assert rank.mean() == pytest.approx((240 + 1) / 2 / 240)


def test_nothing_else_changes(model, query):
    query.obsm["X_pca"] = np.zeros((120, 2))
    before = frozen(query)
    dtp.tl.score(query, model)
    after = frozen(query)
    after["obs"] = after["obs"].drop(columns=COLUMNS)
    assert after["uns"] == [*before["uns"], "dtp"]
    after["uns"] = before["uns"]
    assert_same(after, before)


def test_record(model, query):
    dtp.tl.score(query, model)
    record = query.uns["dtp"]
    assert record["model"] == type(model).__name__
    assert record["model_id"] == model.id_
    assert record["positive"] == "drug_tolerant"
    assert record["coverage"] == record["weighted_coverage"] == 1.0
    assert record["threshold"] == model.threshold_
    assert record["scale"] == record["training_scale"] == "counts"
    assert record["layer"] == "X"
    assert record["seed"] == 0
    assert record["simulated"] is True
    assert record["genes"]["n_found"] == len(model.genes_)
    del query.uns["dtp_simulation"]
    dtp.tl.score(query, model)
    assert query.uns["dtp"]["simulated"] is False


def test_key_added(model, query):
    dtp.tl.score(query, model, key_added="mine")
    assert [f"mine_{name[4:]}" for name in COLUMNS] == list(query.obs)[-4:]
    assert "mine" in query.uns
    assert "dtp" not in query.uns


def test_a_second_run_replaces_the_first(teacher, student, query):
    dtp.tl.score(query, teacher)
    dtp.tl.score(query, student)
    assert query.uns["dtp"]["model"] == "DTPStudent"
    assert [name for name in query.obs if name.startswith("dtp_")] == COLUMNS


def test_the_result_survives_a_file(model, query, tmp_path):
    dtp.tl.score(query, model)
    query.write_h5ad(tmp_path / "scored.h5ad")
    found = ad.read_h5ad(tmp_path / "scored.h5ad")
    pd.testing.assert_frame_equal(found.obs, query.obs, check_index_type=False)
    record = found.uns["dtp"]
    assert record["model_id"] == model.id_
    assert record["threshold"]["value"] == model.threshold_["value"]
    assert record["genes"]["n_found"] == len(model.genes_)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_directory_of_a_model(model, query, tmp_path, as_text):
    expected = logit_of(query, model)
    model.save(tmp_path / "m")
    path = str(tmp_path / "m") if as_text else tmp_path / "m"
    np.testing.assert_array_equal(logit_of(query, path), expected)
    dtp.tl.score(query, path)
    query.write_h5ad(tmp_path / "scored.h5ad")


def test_mudata(model, query):
    expected = logit_of(query, model)
    other = ad.AnnData(np.ones((120, 3), np.float32), obs=pd.DataFrame(index=query.obs_names))
    both = mudata.MuData({"rna": query, "protein": other})
    dtp.tl.score(both, model, mod="rna")
    np.testing.assert_array_equal(both["rna"].obs["dtp_logit"], expected)
    assert not list(both["protein"].obs)
    with pytest.raises(KeyError, match=r"`mod` to name a modality.*'RNA'.*Did you mean|Available"):
        dtp.tl.score(both, model, mod="RNA")
    with pytest.raises(KeyError, match="Available: rna, protein"):
        dtp.tl.score(both, model)
    with pytest.raises(ValueError, match="Leave `mod` out"):
        dtp.tl.score(query, model, mod="rna")


def test_backed(model, query, tmp_path):
    expected = logit_of(query, model)
    query.write_h5ad(tmp_path / "query.h5ad")
    backed = ad.read_h5ad(tmp_path / "query.h5ad", backed="r")
    dtp.tl.score(backed, model)
    assert backed.isbacked
    np.testing.assert_allclose(backed.obs["dtp_logit"], expected, atol=2e-5)
    backed.file.close()


@pytest.fixture
def _same_threads():
    """Put back the number of threads, which numba, called by scanpy, sets for torch too."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_same_threads")
@pytest.mark.parametrize("target_sum", [1e4, 1e6])
def test_normalised_by_scanpy(model, query, target_sum):
    expected = logit_of(query, model)
    sc.pp.normalize_total(query, target_sum=target_sum)
    np.testing.assert_allclose(logit_of(query, model), expected, atol=1e-4)
    sc.pp.log1p(query)
    np.testing.assert_allclose(logit_of(query, model), expected, atol=1e-3)


def test_bulk_in_log2_tpm(model, made):
    cohort = simulate_cohort(60, cells=made, scale="log2_tpm", seed=0)
    dtp.tl.score(cohort, model, min_coverage=0.3)
    assert cohort.uns["dtp"]["scale"].startswith("log2")
    assert np.isfinite(cohort.obs["dtp_logit"]).all()
    assert cohort.obs["dtp_rank"].between(0, 1).all()
    linear = cohort.copy()
    linear.X = np.exp2(np.asarray(cohort.X, dtype=np.float64)) - 1
    found = logit_of(linear, model, min_coverage=0.3, scale="cpm")
    np.testing.assert_allclose(found, cohort.obs["dtp_logit"], atol=1e-2)


@pytest.mark.parametrize("kind", ["dense", "csr", "backed"])
@pytest.mark.parametrize(("bad", "found"), [(np.nan, "1 NaN"), (-1.0, "1 negative")])
def test_a_bad_value_that_the_sample_of_the_scale_misses(student, kind, bad, found, tmp_path):
    cells = simulate_cells(700, 200, n_donors=3, seed=9)
    values = cells.layers["counts"].toarray()
    # The scale is read from 256 rows; of the others, take one of a later block.
    seen = np.random.default_rng(0).choice(700, 256, replace=False)
    row = int(np.setdiff1d(np.arange(600, 700), seen)[0])
    values[row, 17] = bad
    cells.X = values if kind == "dense" else sp.csr_matrix(values)
    if kind == "backed":
        cells.write_h5ad(tmp_path / "x.h5ad")
        cells = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    else:
        detect_scale(cells.X)
    match = f"in adata.X; found {found} values; the first in row {row}, column 17"
    for act in (
        lambda: dtp.tl.score(cells, student),
        lambda: dtp.tl.transfer_check(cells, student),
        lambda: student.predict_proba(cells),
    ):
        with pytest.raises(ValueError, match=match):
            act()
    assert "dtp" not in cells.uns
    assert not [name for name in cells.obs if name.startswith("dtp")]


def test_coverage_is_recorded_and_warned_of(teacher, query):
    cut = query[:, :130].copy()
    with pytest.warns(UserWarning, match=r"130 of 200 model genes found \(coverage 65%"):
        dtp.tl.score(cut, teacher)
    record = cut.uns["dtp"]
    assert record["coverage"] == pytest.approx(0.65)
    observed = np.isin(teacher.genes_, cut.var_names)
    weights = teacher.importance_
    assert record["weighted_coverage"] == pytest.approx(weights[observed].sum() / weights.sum())
    assert record["genes"]["n_missing"] == 70
    assert record["missing"] == "mean"
    enough = query[:, :170].copy()
    dtp.tl.score(enough, teacher)  # 85 % is no reason to warn, and warnings are errors here.
    assert enough.uns["dtp"]["coverage"] == pytest.approx(0.85)


def spoil(query, kind):
    if kind == "nan":
        query.X.data[3] = np.nan
    elif kind == "infinite":
        query.X.data[3] = np.inf
    elif kind == "negative":
        query.X.data[3] = -1
    elif kind == "z-scores":
        dense = query.X.toarray()
        query.X = (dense - dense.mean(0)) / (dense.std(0) + 1)
    elif kind == "foreign genes":
        query.var_names = [f"thing{i}" for i in range(query.n_vars)]
    return query


@pytest.mark.parametrize(
    ("kind", "kwargs", "error", "match"),
    [
        ("nan", {}, ValueError, "NaN"),
        ("infinite", {}, ValueError, "infinite"),
        ("negative", {}, ValueError, "negative"),
        ("z-scores", {}, ValueError, "adata.X on a scale"),
        ("foreign genes", {}, ValueError, "0 of .* model genes found"),
        ("", {"layer": "cuonts"}, KeyError, "cuonts"),
        ("", {"gene_key": "symbl"}, KeyError, "symbl"),
        ("", {"missing": "median"}, ValueError, "`missing` to be one of"),
        ("", {"min_coverage": 1.2}, ValueError, "`min_coverage`"),
        ("", {"scale": "log1p_cp10k"}, ValueError, "on the scale 'log1p_cp10k'"),
        ("", {"batch_size": 0}, ValueError, "`batch_size`"),
    ],
)
def test_an_error_writes_nothing(model, query, kind, kwargs, error, match):
    query = spoil(query, kind)
    before = frozen(query)
    with pytest.raises(error, match=match):
        dtp.tl.score(query, model, **kwargs)
    assert_same(frozen(query), before)


@pytest.mark.parametrize("shape", [(0, 200), (120, 0)])
def test_empty(teacher, query, shape):
    with pytest.raises(ValueError, match="at least one row and one gene"):
        dtp.tl.score(query[: shape[0], : shape[1]].copy(), teacher)


def test_untrained_and_missing_models(training_cells, query, tmp_path):
    with pytest.raises(RuntimeError, match=r"Run train\(\) first"):
        dtp.tl.score(query, DTPTransformer(training_cells))
    with pytest.raises(FileNotFoundError, match="nothing at"):
        dtp.tl.score(query, tmp_path / "none")


def test_a_query_is_freed(model, made):
    own = made.copy()
    dtp.tl.score(own, model)
    gone = weakref.ref(own)
    del own
    gc.collect()
    assert gone() is None


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), batch_size=st.integers(1, 150), dense=st.booleans())
def test_order_and_storage_do_not_matter(teacher, made, seed, batch_size, dense):
    rng = np.random.default_rng(seed)
    rows, genes = rng.permutation(made.n_obs), rng.permutation(made.n_vars)
    other = made[rows][:, genes].copy()
    other.X = other.X.toarray() if dense else sp.csc_matrix(other.X)
    found = logit_of(other, teacher, batch_size=batch_size)
    np.testing.assert_allclose(found, logit_of(made, teacher)[rows], atol=2e-5)
