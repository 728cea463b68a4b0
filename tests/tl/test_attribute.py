from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp
from dtp_scvi.model import DTPTransformer, ResponseModel

KEY = "dtp_attribution"


@pytest.fixture(scope="module")
def cells():
    adata = dtp.datasets.simulate_cells(300, 200, n_donors=4, seed=0)
    DTPTransformer.setup_anndata(
        adata, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    return adata


@pytest.fixture(scope="module")
def student(cells):
    teacher = DTPTransformer(cells, n_programs=8, d_model=16)
    teacher.train(max_epochs=1, verbose=False)
    return teacher.distill(n_genes=60, max_epochs=2, mixtures=1, verbose=False)


@pytest.fixture
def query():
    return dtp.datasets.simulate_cells(120, 200, n_donors=3, seed=5)


def test_writes_what_it_says_and_survives_a_file(student, query, tmp_path):
    before = query.copy()
    options = {"donor_key": "donor", "groupby": "cell_type", "n_top": 10}
    table = dtp.tl.attribute(query, student, **options)
    assert set(query.varm) - set(before.varm) == {KEY}
    assert set(query.uns) - set(before.uns) == {KEY}
    pd.testing.assert_frame_equal(query.obs, before.obs)
    pd.testing.assert_frame_equal(query.var, before.var)
    query.write_h5ad(tmp_path / "q.h5ad")
    read = ad.read_h5ad(tmp_path / "q.h5ad")
    pd.testing.assert_frame_equal(read.varm[KEY], query.varm[KEY], check_index_type=False)
    stored = read.uns[KEY]
    pd.testing.assert_frame_equal(stored["table"], table, check_index_type=False)
    assert stored["completeness"]["max"] < 0.01
    assert stored["params"]["simulated"]
    assert stored["params"]["model_id"] == student.id_
    assert stored["params"]["n_donors"] == 3
    assert set(stored["groups"]["group"]) == set(query.obs["cell_type"])
    assert stored["cells"]["attribution"].shape == (120, 30)
    assert list(stored["cells"]["genes"]) == list(table.index[:30])
    assert stored["donors"]["mean_abs"].shape == (3, 30)


def test_varm_follows_the_genes_of_the_query(student, query):
    # Old symbols, another order, and the counts of a gene in two columns.
    order = np.random.default_rng(0).permutation(query.n_vars)
    mixed = query[:, order].copy()
    table = dtp.tl.attribute(mixed, student)
    varm = mixed.varm[KEY]
    assert varm.index.equals(mixed.var_names)
    assert all(varm.dtypes == np.float64)
    shared = [gene for gene in student.genes_ if gene in mixed.var_names]
    pd.testing.assert_frame_equal(
        varm.loc[shared], table.loc[shared], check_names=False, check_index_type=False
    )
    assert varm.drop(index=shared).isna().all(axis=None)
    assert table["rank"].tolist() == list(range(1, 61))


def test_cells_kept_for_figures_are_those_of_the_table(student, query):
    table = dtp.tl.attribute(query, student, max_cells=None)
    cells = query.uns[KEY]["cells"]
    found = np.abs(cells["attribution"]).mean(axis=0)
    np.testing.assert_allclose(found, table["mean_abs"].to_numpy()[:30], rtol=1e-5)
    assert list(cells["rows"]) == list(query.obs_names)


def test_one_donor_says_why_there_is_no_stability(student, query):
    dtp.tl.attribute(query, student, max_cells=20)
    found = query.uns[KEY]["stability"]
    assert np.isnan(found["donor_spearman"])
    assert "no `donor_key`" in found["reason"]


def test_response_model_without_captum(monkeypatch, tmp_path):
    samples = dtp.datasets.simulate_cohort(80, seed=0)
    model = ResponseModel("fraction").fit(samples, "true_persister_fraction")
    model.save(tmp_path / "model")
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    table = dtp.tl.attribute(samples, tmp_path / "model", key_added="r")
    assert "r_attribution" in samples.uns
    assert samples.uns["r_attribution"]["params"]["target"] == "true_persister_fraction"
    assert (table["residual_abs"] == 0).all()


def test_captum_is_asked_for_by_its_extra(monkeypatch, student, query):
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"captum.attr.*dtp-scvi\[mechanism\]"):
        dtp.tl.attribute(query, student)
    assert KEY not in query.varm


def test_what_belongs_to_response_models_is_refused(student, query):
    with pytest.raises(ValueError, match="no `target` with a classifier"):
        dtp.tl.attribute(query, student, target="a")
    with pytest.raises(ValueError, match="no `align` with a classifier"):
        dtp.tl.attribute(query, student, align="rank")
