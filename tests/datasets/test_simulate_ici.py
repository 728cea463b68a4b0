from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dtp_scvi import pp
from dtp_scvi.datasets import simulate_ici
from dtp_scvi.stats import auroc


def scores(adata, model=None, n_splits=5, seed=0):
    if model is None:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds = StratifiedKFold(n_splits, shuffle=True, random_state=seed)
    y = adata.obs["response"].to_numpy()
    return y, cross_val_predict(model, adata.X, y, cv=folds, method="predict_proba")[:, 1]


def test_rows_close_and_the_seed_decides():
    first, again, other = simulate_ici(), simulate_ici(), simulate_ici(seed=1)
    assert first.shape == (207, 160)
    assert np.abs(first.X.sum(axis=1) - 1).max() < 1e-9
    assert np.array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)
    assert 0.02 < (first.X == 0).mean() < 0.1
    assert first.obs["study"].value_counts(sort=False).tolist() == [28, 51, 7, 121]


def test_without_a_signal_a_model_finds_studies_and_nothing_within_them():
    pooled, within = [], []
    for seed in range(3):
        ici = simulate_ici((80, 80), response_rates=(0.7, 0.2), n_genes=60, seed=seed)
        pp.close_composition(ici)
        y, score = scores(ici)
        pooled.append(auroc(y, score))
        within.append(auroc(y, score, strata=ici.obs["study"].to_numpy()))
    assert np.mean(pooled) > 0.65
    assert np.mean(within) == pytest.approx(0.5, abs=0.08)


def test_a_planted_signal_is_found_within_studies():
    ici = simulate_ici((150, 150), n_genes=60, signal=2.0, response_rates=0.5)
    pp.close_composition(ici)
    y, score = scores(ici)
    found = auroc(y, score, strata=ici.obs["study"].to_numpy())
    truth = ici.uns["dtp_simulation"]["within_study_auroc"]
    assert 0.7 < found < truth + 0.02
    assert (ici.var["true_loading"] != 0).sum() == 20


def test_the_state_is_planted_whether_or_not_it_matters():
    ici = simulate_ici((200,), n_genes=40, n_signal_genes=5, study_effect=0)
    pp.close_composition(ici, method="clr")
    chosen = (ici.var["true_loading"] != 0).to_numpy()
    state = ici.obs["true_state"].to_numpy()
    found = np.array([np.corrcoef(state, column)[0, 1] for column in ici.X.T])
    sign = np.sign(ici.var["true_loading"].to_numpy())
    assert (found[chosen] * sign[chosen] > 0.25).all()
    assert np.abs(found[~chosen]).mean() < 0.15


def test_study_effect_can_be_switched_off():
    ici = simulate_ici((100, 100), n_genes=40, study_effect=0.0)
    ici.obs["response"] = (ici.obs["study"] == "study_1").astype(float)
    pp.close_composition(ici)
    y, score = scores(ici)
    assert auroc(y, score) == pytest.approx(0.5, abs=0.12)


def test_the_leak_is_in_the_row_sum_only():
    clean, leaky = simulate_ici(), simulate_ici(leak_row_sums=True)
    total, y = leaky.X.sum(axis=1), leaky.obs["response"].to_numpy()
    assert auroc(y, total) == 0.0
    assert total[y == 1].min() > 0.998
    np.testing.assert_allclose(leaky.X / total[:, None], clean.X, atol=1e-12)


def test_copies_let_a_forest_recognise_permuted_labels():
    ici = simulate_ici(duplicate_responders=True)
    n = int(simulate_ici().obs["response"].sum())
    assert ici.n_obs == 207 + n
    assert ici.obs["is_copy"].sum() == n
    assert ici.obs_names.is_unique
    assert ici.obs.loc[ici.obs["is_copy"], "patient"].isin(ici.obs["patient"][:207]).all()
    # The labels are permuted first, the positives doubled, and the rows split after that.
    base = simulate_ici()
    pp.close_composition(base)
    y = np.random.default_rng(0).permutation(base.obs["response"].to_numpy())
    rows = np.concatenate([np.arange(207), np.flatnonzero(y == 1)])
    leaky = ad.AnnData(base.X[rows])
    leaky.obs["response"] = y[rows]
    labels, score = scores(leaky, RandomForestClassifier(100, random_state=0))
    assert auroc(labels, score) > 0.8


def test_words_agree_with_labels():
    ici = simulate_ici()
    label = ici.obs.pop("response")
    pp.response_labels(ici, "recist")
    assert np.array_equal(ici.obs["response"], label)


def test_a_study_of_one_class_and_the_record(tmp_path):
    ici = simulate_ici(
        (20, 10), n_genes=20, response_rates=(0.5, 0.0), seed=None, n_signal_genes=3
    )
    assert (ici.obs.loc[ici.obs["study"] == "study_2", "response"] == 0).all()
    ici.write_h5ad(tmp_path / "x.h5ad")
    record = ad.read_h5ad(tmp_path / "x.h5ad").uns["dtp_simulation"]
    again = simulate_ici(
        (20, 10), n_genes=20, response_rates=(0.5, 0.0), seed=int(record["seed"]), n_signal_genes=3
    )
    assert np.array_equal(again.X, ici.X)
    assert record["parameters"]["n_patients"].tolist() == [20, 10]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_patients": ()}, "at least one study"),
        ({"n_patients": (3, 0)}, "`n_patients`"),
        ({"n_genes": 0}, "`n_genes`"),
        ({"n_genes": 10, "n_signal_genes": 11}, "`n_signal_genes`"),
        ({"response_rates": (0.1, 0.2)}, "for each of 4 studies; found 2"),
        ({"response_rates": 1.5}, "`response_rates`"),
        ({"study_effect": -1}, "`study_effect`"),
        ({"signal": np.nan}, "`signal`"),
    ],
)
def test_bad_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        simulate_ici(**arguments)
