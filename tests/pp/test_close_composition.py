from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import gmean

import dtp_scvi as dtp
from dtp_scvi.pp import close_composition


def make(values, **obs):
    values = np.asarray(values, float)
    names = [f"r{i}" for i in range(len(values))]
    genes = [f"g{i}" for i in range(values.shape[1])]
    frame = pd.DataFrame(obs, index=names)
    return ad.AnnData(values.copy(), obs=frame, var=pd.DataFrame(index=genes))


@pytest.fixture
def panel():
    rng = np.random.default_rng(1)
    return make(rng.gamma(0.5, 100, (30, 12)) * (rng.random((30, 12)) > 0.1))


# Hypothesis finds rows that nearly sum to one number, of which the function warns.
may_warn = pytest.mark.filterwarnings("ignore:.*Rows were closed:UserWarning")
POSITIVE = arrays(float, (4, 5), elements=st.floats(1e-3, 1e4))


@may_warn
@given(POSITIVE)
def test_rows_sum_to_one(values):
    adata = make(values)
    close_composition(adata, method="ratio", strict=False)
    assert np.abs(adata.X.sum(axis=1) - 1).max() < 1e-9
    assert (adata.X >= 0).all()


@may_warn
@given(POSITIVE, arrays(float, 4, elements=st.floats(0.01, 100)), st.permutations(range(5)))
def test_scaling_a_row_changes_nothing_and_order_of_genes_neither(values, factor, order):
    first, second = make(values), make((values * factor[:, None])[:, order])
    for adata in (first, second):
        close_composition(adata, method="clr")
    np.testing.assert_allclose(first.X[:, order], second.X, atol=1e-9)


def test_row_order_does_not_matter(panel):
    turned = panel[::-1].copy()
    for adata in (panel, turned):
        close_composition(adata)
    assert np.array_equal(panel.X[::-1], turned.X)


def test_log1p_of_shares_of_a_million(panel):
    x = panel.X.copy()
    close_composition(panel)
    np.testing.assert_allclose(
        panel.X, np.log1p(1e6 * x / x.sum(axis=1, keepdims=True)), rtol=1e-12
    )


def test_clr_is_log_over_the_geometric_mean(panel):
    x = panel.X.copy() + 1
    panel.X = x
    close_composition(panel, method="clr")
    np.testing.assert_allclose(
        panel.X, np.log(x / gmean(x, axis=1)[:, None]), rtol=1e-9, atol=1e-12
    )
    assert np.abs(panel.X.sum(axis=1)).max() < 1e-9


def test_zeros_are_replaced_multiplicatively(panel):
    # scikit-bio's multi_replace, by hand: delta for zeros, the rest times 1 - zeros * delta.
    x = panel.X / panel.X.sum(axis=1, keepdims=True)
    zero, delta = x == 0, 1 / 12**2
    replaced = x * (1 - zero.sum(axis=1, keepdims=True) * delta)
    replaced[zero] = delta
    close_composition(panel, method="clr")
    assert zero.any()
    np.testing.assert_allclose(
        panel.X, np.log(replaced / gmean(replaced, axis=1)[:, None]), atol=1e-9
    )
    assert panel.uns["dtp_composition"]["params"]["pseudocount"] == pytest.approx(delta)


@pytest.mark.parametrize("method", ["log1p", "clr", "ratio"])
def test_sparse_equals_dense(panel, method):
    sparse = panel.copy()
    sparse.X = sp.csc_matrix(panel.X)
    for adata in (panel, sparse):
        close_composition(adata, method=method)
    assert sp.issparse(sparse.X) == (method != "clr")
    found = sparse.X.toarray() if sp.issparse(sparse.X) else sparse.X
    np.testing.assert_allclose(found, panel.X, atol=1e-12)


def test_layers_are_read_and_written_and_x_stays(panel):
    panel.layers["tpm"] = panel.X * 3
    before = panel.X.copy()
    assert close_composition(panel, layer="tpm", layer_added="closed") is None
    assert np.array_equal(panel.X, before)
    params = panel.uns["dtp_composition"]["params"]
    assert (params["layer"], params["layer_added"]) == ("tpm", "closed")


def test_copy_leaves_the_given_object_alone(panel):
    before = panel.X.copy()
    out = close_composition(panel[:5], copy=True)
    assert out.n_obs == 5
    assert "dtp_composition" in out.uns
    assert np.array_equal(panel.X, before)
    assert "dtp_composition" not in panel.uns


def test_label_in_the_row_sum_is_told_and_gone():
    ici = dtp.datasets.simulate_ici((40, 60), n_genes=30, leak_row_sums=True)
    n = int(ici.obs["response"].sum())
    with pytest.warns(
        UserWarning, match=rf"{n} of 100 rows do not sum to 1.*AUROC 0\.000 for '1'"
    ):
        close_composition(ici, labels_key="response")
    record = ici.uns["dtp_composition"]
    assert (record["n_not_closed"], record["constant"], record["expected_sum"]) == (n, True, 1.0)
    assert record["largest_deviation"] == pytest.approx(1 / 1001, rel=0.5)
    assert record["row_sum_auroc"].to_numpy().tolist() == [["1", 0.0]]
    table = dtp.pp.audit(ici, "response")
    assert set(table.loc[table["check"] == "row_statistic", "verdict"]) <= {"ok"}


def test_counts_close_without_a_warning(panel):
    panel.X = np.rint(panel.X) + 1
    close_composition(panel)
    assert not panel.uns["dtp_composition"]["constant"]
    assert "as counts and panels do" in panel.uns["dtp_composition"]["sentence"]


def test_closed_rows_say_so(panel):
    panel.X = 100 * panel.X / panel.X.sum(axis=1, keepdims=True)
    close_composition(panel, strict=True)
    record = panel.uns["dtp_composition"]
    assert (record["n_not_closed"], record["sentence"]) == (0, "All 30 rows sum to 100.")


def test_three_classes_and_missing_labels():
    rng = np.random.default_rng(0)
    x = rng.random((30, 8))
    x /= x.sum(axis=1, keepdims=True)
    x[:10] *= 0.999
    adata = make(x, kind=[*(["CR/PR"] * 10), *(["b"] * 10), *(["c"] * 8), None, None])
    with pytest.warns(UserWarning, match="for 'CR/PR'"):
        close_composition(adata, labels_key="kind")
    scores = adata.uns["dtp_composition"]["row_sum_auroc"].set_index("class")["auroc"]
    assert scores["CR/PR"] == 0.0
    assert scores["b"] == pytest.approx((10 + 8 / 2) / 18)


def test_record_survives_a_file(panel, tmp_path):
    panel.obs["label"] = ["CR/PR", "other"] * 15
    close_composition(panel, labels_key="label")
    panel.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_composition"]
    assert back["sentence"] == panel.uns["dtp_composition"]["sentence"]
    assert back["row_sum_auroc"]["class"].tolist() == ["other"]


def test_open_rows_are_refused_on_request(panel):
    panel.X = panel.X / panel.X.sum(axis=1, keepdims=True)
    panel.X[3] *= 0.99
    with pytest.raises(
        ValueError, match=r"every row to sum to 1; found 1 of 30 rows.*0\.01 of it"
    ):
        close_composition(panel, strict=True)
    assert "dtp_composition" not in panel.uns


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda x: x - 1, "finite, non-negative values in adata.X; found .* negative"),
        (lambda x: np.where(x == x.max(), np.nan, x), "1 NaN values"),
        (lambda x: x * (np.arange(30) != 7)[:, None], r"1 rows of zeros \(r7\)"),
    ],
)
def test_bad_values_are_refused(panel, change, match):
    panel.X = change(panel.X)
    with pytest.raises(ValueError, match=match):
        close_composition(panel)


def test_logarithms_are_refused(make_cells):
    cells = make_cells()
    cells.X = np.log1p(1e4 * cells.X / cells.X.sum(axis=1, keepdims=True))
    with pytest.raises(ValueError, match=r"linear values in adata\.X; found Values look like"):
        close_composition(cells)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"method": "alr"}, ValueError, "`method` to be one of"),
        ({"pseudocount": 0.1}, ValueError, 'only beside method="clr"'),
        ({"method": "clr", "pseudocount": 0.9}, ValueError, "over the most zeros in a row"),
        ({"scale_factor": 0}, ValueError, "`scale_factor`"),
        ({"tolerance": -1}, ValueError, "`tolerance`"),
        ({"layer": "tpm"}, KeyError, "There are no layers"),
        ({"labels_key": "response"}, KeyError, "`labels_key` to name a key of adata.obs"),
    ],
)
def test_bad_arguments_are_refused(panel, arguments, error, match):
    with pytest.raises(error, match=match):
        close_composition(panel, **arguments)


def test_views_and_other_objects_are_refused(panel):
    with pytest.raises(ValueError, match="a view"):
        close_composition(panel[:4])
    with pytest.raises(TypeError, match="an AnnData; found ndarray"):
        close_composition(panel.X)


def test_backed_files_are_refused(panel, tmp_path):
    panel.write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    with pytest.raises(ValueError, match="a backed file"):
        close_composition(backed)
    backed.file.close()
