"""Named negatives are cut to the rows of the training, and some have to be held out."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from dtp_scvi.data import Scale
from dtp_scvi.datasets import simulate_cells
from dtp_scvi.model import DTPTransformer
from dtp_scvi.model._training_data import TrainingData, read_training_data, rule_arguments
from dtp_scvi.train import InnerFolds

# Rows 2 to 13 of an AnnData of 20, in another order; three inner folds of four of them.
WHICH = np.array([13, 2, 12, 3, 11, 4, 10, 5, 9, 6, 8, 7])


def folds():
    parts = np.arange(12).reshape(3, 4)
    return [(np.setdiff1d(np.arange(12), part), part) for part in parts]


@pytest.fixture
def given():
    return TrainingData(
        which=WHICH,
        matrix=sp.csr_matrix((12, 1), dtype=np.float32),
        total=np.zeros(12),
        codes=np.zeros(12, dtype=np.int64),
        donors=None,
        inner=InnerFolds(folds(), "cell"),
        scale=Scale.COUNTS,
    )


def mask(*rows):
    out = np.zeros(20, dtype=bool)
    out[list(rows)] = True
    return out


@pytest.mark.parametrize("arguments", [None, {}, {"target": 0.1}, {"negatives": None}])
def test_without_negatives_the_rest_is_passed_on(given, arguments):
    expected = {name: value for name, value in (arguments or {}).items() if value is not None}
    assert rule_arguments(arguments, given, 1) == expected


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_negatives_are_cut_to_the_rows_in_their_order(given, kind):
    arguments = {"negatives": kind(mask(2, 9, 19)), "target": 0.1}
    found = rule_arguments(arguments, given, 1)
    assert found["negatives"].tolist() == np.isin(WHICH, [2, 9]).tolist()
    assert found["target"] == 0.1
    # What the user passed is left as it was.
    assert len(arguments["negatives"]) == 20


# Row 9 of the AnnData is the ninth here, and is held out by the third member only.
@pytest.mark.parametrize("n_members", [1, 2])
def test_negatives_that_no_member_holds_out(given, n_members):
    match = (
        r"`negatives` among the rows that are held out for the threshold; found all 1 of them "
        r"among the rows that are fitted\. Name negatives of more donors, or set n_members=5"
    )
    with pytest.raises(ValueError, match=match):
        rule_arguments({"negatives": mask(9)}, given, n_members)


def test_negatives_that_another_member_holds_out(given):
    # A fourth member starts over with the first fold.
    for n_members in (3, 4):
        assert rule_arguments({"negatives": mask(9)}, given, n_members)["negatives"].sum() == 1


def test_negatives_outside_the_rows(given):
    with pytest.raises(ValueError, match="found all 0 of them"):
        rule_arguments({"negatives": mask(0, 1, 19)}, given, 3)


def test_it_stops_before_anything_is_fitted(monkeypatch):
    adata = simulate_cells(200, 100, n_donors=5, seed=0)
    DTPTransformer.setup_anndata(
        adata, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    model = DTPTransformer(adata, n_programs=4, d_model=16, n_blocks=1)
    held_out = read_training_data(model, None, 0).inner.folds[0][1]
    donors = adata.obs["donor"].to_numpy().astype(str)
    fitted = ~np.isin(donors, donors[held_out])
    negatives = fitted & (adata.obs["state"] == "sensitive").to_numpy()
    assert negatives.any()

    def fail(*args, **kwargs):
        msg = "something was fitted"
        raise AssertionError(msg)

    monkeypatch.setattr("dtp_scvi.model._transformer_train.fit_linear", fail)
    with pytest.raises(ValueError, match=f"found all {negatives.sum()} of them"):
        model.train(
            max_epochs=1,
            verbose=False,
            threshold_rule="fpr",
            threshold_kwargs={"negatives": negatives, "target": 0.2},
        )
    assert not model.threshold_


def test_isotonic_is_refused_before_any_fit(monkeypatch):
    adata = simulate_cells(300, 200, n_donors=6)
    DTPTransformer.setup_anndata(
        adata, "state", positive="drug_tolerant", layer="counts", donor_key="donor"
    )
    monkeypatch.setattr(
        "dtp_scvi.model._transformer_train.fit_linear", lambda *_: pytest.fail("a fit was begun")
    )
    model = DTPTransformer(adata, n_programs=8)
    with pytest.raises(
        ValueError, match=r"1,000 labels of 5 donors for isotonic; found \d+ label"
    ):
        model.train(calibration="isotonic", verbose=False)
    assert not model.is_trained_
