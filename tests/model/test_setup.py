"""Bad training data are refused in words, before anything is written."""

from __future__ import annotations

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from dtp_scvi._scvi import setup_args
from dtp_scvi.datasets import simulate_cells
from dtp_scvi.model import DTPStudent, DTPTransformer

both_classes = pytest.mark.parametrize("cls", [DTPTransformer, DTPStudent])


@pytest.fixture(scope="module")
def made():
    return simulate_cells(200, 150, n_donors=4, seed=3)


@pytest.fixture
def adata(made):
    return made.copy()


def refused(adata, match, error=ValueError, *, cls=DTPTransformer, **kwargs):
    """Check that a set-up fails as said and leaves the object as it was."""
    given = {"labels_key": "state", "positive": "drug_tolerant", **kwargs}
    before = (adata.obs.copy(), list(adata.uns), list(adata.layers), list(adata.obsm))
    with pytest.raises(error, match=match):
        cls.setup_anndata(adata, **given)
    pd.testing.assert_frame_equal(adata.obs, before[0])
    assert (list(adata.uns), list(adata.layers), list(adata.obsm)) == before[1:]
    assert "_scvi_uuid" not in adata.uns


def classes_of(adata, labels, **kwargs):
    adata.obs["label"] = labels
    DTPTransformer.setup_anndata(adata, "label", **kwargs)
    model = DTPTransformer(adata, n_programs=4)
    return model.classes_, model.positive_


def halves(adata, low, high):
    return np.where(np.arange(adata.n_obs) % 2 == 0, low, high)


@both_classes
def test_missing_labels_key_offers_near_matches(cls, adata):
    refused(
        adata, r"`labels_key`.*'stat'.*Did you mean state", KeyError, cls=cls, labels_key="stat"
    )


@pytest.mark.parametrize("key", ["donor_key", "batch_key"])
def test_missing_donor_or_batch_key(key, adata):
    refused(adata, f"`{key}`.*'donr'.*Did you mean donor", KeyError, **{key: "donr"})


def test_one_class(adata):
    adata.obs["state"] = "drug_tolerant"
    refused(adata, r"at least two classes.*only 'drug_tolerant' in 200 rows")


def test_missing_labels(adata):
    adata.obs["state"] = adata.obs["state"].astype(object).where(np.arange(200) != 7)
    refused(adata, r"1 missing of 200 \(first: row 'cell_008'\).*notna")


def test_missing_donor(adata):
    adata.obs["donor"] = adata.obs["donor"].astype(object).where(np.arange(200) > 2)
    refused(adata, r"obs\['donor'\].*3 missing of 200", donor_key="donor")


def test_positive_is_no_class(adata):
    refused(
        adata, "`positive` to be a class.*Did you mean drug_tolerant", positive="drug_tolerent"
    )


def test_positive_is_needed_for_text(adata):
    refused(adata, "`positive` to name the class.*drug_tolerant, sensitive", positive=None)


def test_positive_is_needed_for_other_integers(adata):
    adata.obs["label"] = halves(adata, 1, 2)
    refused(adata, "`positive` to name the class.*1, 2", labels_key="label", positive=None)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (False, True, (["False", "True"], "True")),
        (0, 1, (["0", "1"], "1")),
        (0.0, 1.0, (["0", "1"], "1")),
    ],
)
@pytest.mark.parametrize("categorical", [False, True])
def test_two_valued_labels_need_no_positive(adata, low, high, expected, categorical):
    labels = pd.Series(halves(adata, low, high), index=adata.obs_names)
    assert classes_of(adata, labels.astype("category") if categorical else labels) == expected


def test_float_labels_train(adata):
    adata.obs["label"] = np.where(adata.obs["state"] == "drug_tolerant", 1.0, 0.0)
    DTPTransformer.setup_anndata(adata, "label", donor_key="donor")
    model = DTPTransformer(adata, n_programs=4, d_model=16)
    model.train(max_epochs=1, verbose=False)
    assert list(model.predict_proba().columns) == ["0", "1"]
    assert model.threshold_["metrics"]["recall"] >= 0


@pytest.mark.parametrize("positive", [2, "2", 2.0])
def test_integer_labels_by_number_or_text(adata, positive):
    assert classes_of(adata, halves(adata, 2, 10), positive=positive) == (["10", "2"], "2")


def test_positive_false(adata):
    assert classes_of(adata, halves(adata, False, True), positive=False) == (
        ["False", "True"],
        "False",
    )


def test_unused_categories_are_no_classes(adata):
    labels = adata.obs["state"].astype("category").cat.add_categories(["unseen"])
    assert classes_of(adata, labels, positive="sensitive") == (
        ["drug_tolerant", "sensitive"],
        "sensitive",
    )


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.nan, "1 NaN values; the first in row"),
        (np.inf, "1 infinite values; the first in row"),
        (-3.0, "negative"),
    ],
)
@pytest.mark.parametrize("dense", [False, True])
def test_unfit_values(adata, value, match, dense):
    adata.X.data[5] = value
    if dense:
        adata.X = adata.X.toarray()
    refused(adata, match)


def lognormalised(adata):
    total = np.asarray(adata.X.sum(axis=1))
    return np.log1p(adata.X.toarray() * 1e4 / total).astype(np.float32)


def test_z_scores(adata):
    log = lognormalised(adata)
    adata.X = (log - log.mean(0)) / (log.std(0) + 1e-6)
    refused(adata, "z-scor|scaled|centred")


def test_doubly_logged(adata):
    adata.X = np.log1p(lognormalised(adata))
    refused(adata, "twice|double")


def test_counts_declared_logs_found(adata):
    adata.X = sp.csr_matrix(lognormalised(adata))
    refused(adata, r"adata.X on the scale 'counts'", scale="counts")


def test_log_normalised_input_keeps_its_scale(adata):
    adata.X = sp.csr_matrix(lognormalised(adata))
    DTPTransformer.setup_anndata(adata, "state", positive="drug_tolerant")
    assert DTPTransformer(adata, n_programs=4).scale_ == "log1p_cp10k"
    assert DTPTransformer.registration(adata).scale.value == "log1p_cp10k"


def test_missing_layer(adata):
    refused(adata, "cuonts.*counts", KeyError, layer="cuonts")


def test_repeated_genes(adata):
    names = adata.var_names.to_numpy(dtype=object).copy()
    names[4] = names[9]
    adata.var_names = names
    refused(adata, f"unique gene names.*1 names more than once .{names[9]}")


@pytest.mark.parametrize(("rows", "genes"), [(0, 150), (200, 0)])
def test_empty(adata, rows, genes):
    refused(adata[:rows, :genes].copy(), "at least one row and one gene")


def test_view(adata):
    view = adata[:100]
    with pytest.raises(ValueError, match=r"found a view.*adata.copy\(\)"):
        DTPTransformer.setup_anndata(view, "state", positive="drug_tolerant")
    assert view.is_view
    assert "_scvi_uuid" not in adata.uns


def test_backed(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    refused(backed, r"in memory.*to_memory\(\)")
    backed.file.close()


def test_mudata(adata):
    with pytest.raises(TypeError, match=r"found MuData. Pass one modality"):
        DTPTransformer.setup_anndata(mudata.MuData({"rna": adata}), "state")


def test_donors_that_determine_the_label(adata):
    adata.obs["line"] = np.where(adata.obs["state"] == "sensitive", "A", "B")
    with pytest.warns(UserWarning, match=r"Each of the 2 donors .* one class only"):
        DTPTransformer.setup_anndata(adata, "state", positive="sensitive", donor_key="line")


def test_batches_that_determine_the_label_stop_it_unless_allowed(adata):
    adata.obs["run"] = np.where(adata.obs["state"] == "sensitive", "A", "B")
    before = adata.copy()
    with pytest.raises(ValueError, match=r"2 batches in obs\['run'\].*allow_confounded=True"):
        DTPTransformer.setup_anndata(adata, "state", positive="sensitive", batch_key="run")
    assert list(adata.obs) == list(before.obs)
    with pytest.warns(UserWarning, match=r"what the model calls the class may be the batch"):
        DTPTransformer.setup_anndata(
            adata, "state", positive="sensitive", batch_key="run", allow_confounded=True
        )
    assert setup_args(DTPTransformer(adata).registry_)["allow_confounded"] is True


def test_registration_by_name(adata):
    DTPTransformer.setup_anndata(
        adata, "state", positive="sensitive", layer="counts", donor_key="donor", batch_key="batch"
    )
    found = DTPTransformer.registration(adata)
    assert (found.positive, found.layer, found.scale.value) == ("sensitive", "counts", "counts")
    np.testing.assert_array_equal(found.labels, adata.obs["state"].astype(str))
    np.testing.assert_array_equal(found.donors, adata.obs["donor"].astype(str))
    np.testing.assert_array_equal(found.batches, adata.obs["batch"].astype(str))
    np.testing.assert_array_equal(found.is_positive, adata.obs["state"] == "sensitive")
    np.testing.assert_array_equal(np.asarray(found.classes)[found.codes], found.labels)
    np.testing.assert_array_equal(adata.obs["_scvi_labels"], found.codes)


def test_an_object_that_was_not_set_up(adata):
    with pytest.raises(ValueError, match=r"set up for DTPTransformer.*Run DTPTransformer.setup"):
        DTPTransformer.registration(adata)
    DTPStudent.setup_anndata(adata, "state", positive="sensitive")
    with pytest.raises(ValueError, match=r"set up for DTPTransformer"):
        DTPTransformer.registration(adata)


def test_a_copy_has_to_be_set_up_itself_and_leaves_the_original_alone(adata):
    DTPTransformer.setup_anndata(adata, "state", positive="sensitive")
    copy = adata.copy()
    with pytest.raises(ValueError, match=r"Did you make a copy"):
        DTPTransformer.registration(copy)
    DTPTransformer.setup_anndata(copy, "state", positive="drug_tolerant")
    assert DTPTransformer.registration(copy).positive == "drug_tolerant"
    assert DTPTransformer.registration(adata).positive == "sensitive"


def test_expression_is_left_alone(adata, made):
    DTPTransformer.setup_anndata(adata, "state", positive="sensitive", layer="counts")
    assert set(adata.obs) - set(made.obs) == {"_scvi_labels"}
    assert set(adata.uns) - set(made.uns) == {"_scvi_uuid", "_scvi_manager_uuid"}
    assert (adata.X != made.X).nnz == 0
    assert (adata.layers["counts"] != made.layers["counts"]).nnz == 0


@both_classes
def test_values_as_they_are_are_refused_by_models_of_expression(adata, cls):
    match = f'expression for {cls.__name__}.*found scale="as_is".*Pass counts'
    refused(adata, match, cls=cls, scale="as_is")


def test_so_they_are_in_a_query(teacher, query):
    with pytest.raises(
        ValueError, match=r'expression for this DTPTransformer.*found scale="as_is"'
    ):
        teacher.predict_logits(query, layer="counts", scale="as_is")
