from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import dtp_scvi as dtp
from dtp_scvi.pp import scale_by


@pytest.fixture
def ici():
    made = dtp.datasets.simulate_ici((24, 30), n_genes=25)
    dtp.pp.close_composition(made)
    made.obs["train"] = np.arange(54) % 2 == 0
    return made


def test_training_rows_have_mean_zero_and_deviation_one_in_each_study(ici):
    x, train = ici.X.copy(), ici.obs["train"].to_numpy()
    scale_by(ici, "study", reference="train")
    for study in ("study_1", "study_2"):
        here = (ici.obs["study"] == study).to_numpy()
        fitted = StandardScaler().fit(x[here & train])
        n = (here & train).sum()
        expected = fitted.transform(x[here]) * np.sqrt((n - 1) / n)
        np.testing.assert_allclose(ici.X[here], expected, atol=1e-9)
    assert not ici.uns["dtp_scale_by"]["transductive"]


def test_test_rows_do_not_move_training_rows(ici):
    other, train = ici.copy(), ici.obs["train"].to_numpy()
    other.X[~train] += 5
    for adata in (ici, other):
        scale_by(adata, "study", reference=train)
    assert np.array_equal(ici.X[train], other.X[train])


def test_all_rows_is_transductive_and_says_so(ici):
    with pytest.warns(UserWarning, match="Scaling of study_1, study_2 is transductive"):
        out = scale_by(ici, "study", reference="all", copy=True)
    assert out.uns["dtp_scale_by"]["transductive"]
    assert "dtp_scale_by" not in ici.uns
    assert np.abs(out.X[(out.obs["study"] == "study_1").to_numpy()].mean(axis=0)).max() < 1e-9


def test_a_study_without_training_rows(ici, tmp_path):
    mask = (ici.obs["study"] == "study_1").to_numpy()
    with pytest.raises(ValueError, match=r"scale study 'study_2' by; found 0.*unseen=\"own\""):
        scale_by(ici, "study", reference=mask)
    with pytest.warns(UserWarning, match="Scaling of study_2 is transductive"):
        scale_by(ici, "study", reference=mask, unseen="own", layer_added="z")
    ici.write_h5ad(tmp_path / "x.h5ad")
    table = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_scale_by"]["studies"]
    assert table["transductive"].tolist() == [False, True]
    assert table["n_reference"].tolist() == [24, 30]


def test_constant_genes_are_centred_only(ici):
    ici.X[:, 3] = 0.1
    scale_by(ici, "study", reference="train")
    assert np.abs(ici.X[:, 3]).max() < 1e-12
    assert ici.uns["dtp_scale_by"]["studies"]["n_constant_genes"].min() >= 1


def test_few_rows_are_warned_of(ici):
    mask = np.isin(np.arange(54), [0, 1, 2, *range(24, 54)])
    with pytest.warns(UserWarning, match=r"Fewer than 10 rows to scale by in study_1 \(3\)"):
        scale_by(ici, "study", reference=mask)


@pytest.mark.parametrize(
    ("reference", "error", "match"),
    [
        (np.ones(3, bool), ValueError, "54 booleans; found bool of shape"),
        (np.ones(54), ValueError, "found float64 of shape"),
        ("response", ValueError, "found float64"),
        ("trian", KeyError, "Did you mean train"),
        (np.arange(54) == 0, ValueError, "at least 2 rows to scale study 'study_1' by; found 1"),
    ],
)
def test_bad_references_are_refused(ici, reference, error, match):
    with pytest.raises(error, match=match):
        scale_by(ici, "study", reference=reference)


def test_other_bad_input_is_refused(ici):
    with pytest.raises(KeyError, match="`study_key` to name a key"):
        scale_by(ici, "studie", reference="train")
    with pytest.raises(ValueError, match="`unseen` to be one of"):
        scale_by(ici, "study", reference="train", unseen="drop")
    ici.X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        scale_by(ici, "study", reference="train")
