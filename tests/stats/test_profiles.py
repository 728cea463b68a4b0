"""Profile metrics against scipy and scikit-learn, and what they may not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import r2_score

from dtp_scvi import stats


def tables(seed, n=12, n_genes=40):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, n_genes))
    return truth, 0.5 * truth + rng.normal(size=(n, n_genes))


def test_row_metrics_agree_with_other_libraries():
    truth, predicted = tables(0)
    np.testing.assert_allclose(
        stats.profile_r2(truth, predicted),
        r2_score(truth.T, predicted.T, multioutput="raw_values"),
    )
    for ranks, oracle in ((False, pearsonr), (True, spearmanr)):
        found, constant = stats.profile_correlation(truth, predicted, ranks=ranks)
        expected = [oracle(y, p).statistic for y, p in zip(truth, predicted, strict=True)]
        np.testing.assert_allclose(found, expected)
        assert not constant.any()


def test_group_means_are_those_of_pandas():
    import pandas as pd

    truth, _ = tables(1)
    groups = np.array(list("abc") * 4)
    means, names, n = stats.group_profiles(truth, groups)
    expected = pd.DataFrame(truth).groupby(groups).mean()
    np.testing.assert_allclose(means, expected)
    assert names.tolist() == expected.index.tolist()
    assert n.tolist() == [4, 4, 4]


def test_group_means_refuse_rows_without_a_group():
    with pytest.raises(ValueError, match="1 of them missing"):
        stats.group_profiles([[1.0], [2.0]], ["a", None])


def test_constant_predictions_count_as_zero_and_are_marked():
    truth, _ = tables(2, n=3)
    predicted = np.vstack([np.zeros(40), np.full(40, 3.0) + 1e-7 * truth[1], truth[2]])
    for ranks in (False, True):
        found, constant = stats.profile_correlation(truth, predicted, ranks=ranks)
        assert found.round(6).tolist() == [0.0, 0.0, 1.0]
        assert constant.tolist() == [True, True, False]


def test_constant_truth_has_no_value():
    truth, predicted = np.ones((1, 5)), np.arange(5.0)[None]
    found, constant = stats.profile_correlation(truth, predicted)
    assert np.isnan(found).all()
    assert not constant.any()
    assert np.isnan(stats.profile_r2(truth, predicted)).all()


@given(seed=st.integers(0, 1000), data=st.data())
def test_order_of_genes_and_rows_does_not_matter(seed, data):
    truth, predicted = tables(seed, n=6, n_genes=15)
    genes = data.draw(st.permutations(range(15)))
    rows = data.draw(st.permutations(range(6)))
    metrics = {
        "r2": stats.profile_r2,
        "pearson": lambda y, p: stats.profile_correlation(y, p)[0],
        "spearman": lambda y, p: stats.profile_correlation(y, p, ranks=True)[0],
        "up": lambda y, p: stats.precision_at_k(y, p, 3, n_top=5)[0],
        "down": lambda y, p: stats.precision_at_k(y, p, 3, n_top=5)[1],
        "rank": stats.retrieval_rank,
        "cosine": lambda y, p: stats.retrieval_rank(y, p, metric="cosine", among="predicted"),
    }
    for name, metric in metrics.items():
        expected = metric(truth, predicted)[rows]
        found = metric(truth[rows][:, genes], predicted[rows][:, genes])
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=name)


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3), shift=st.floats(-5, 5))
def test_correlation_ignores_scale_and_shift_of_the_prediction(seed, scale, shift):
    truth, predicted = tables(seed, n=4, n_genes=20)
    for ranks in (False, True):
        np.testing.assert_allclose(
            stats.profile_correlation(truth, scale * predicted + shift, ranks=ranks)[0],
            stats.profile_correlation(truth, predicted, ranks=ranks)[0],
            atol=1e-8,
        )


def test_precision_is_the_overlap_of_sets():
    truth, predicted = tables(3, n_genes=60)
    up, down = stats.precision_at_k(truth, predicted, 10, n_top=20)
    for i, (y, p) in enumerate(zip(truth, predicted, strict=True)):
        raised = set(np.argsort(-y)[:20]) & set(np.argsort(-p)[:10])
        lowered = set(np.argsort(y)[:20]) & set(np.argsort(p)[:10])
        assert (up[i], down[i]) == (len(raised) / 10, len(lowered) / 10)


def test_precision_of_a_constant_prediction_is_chance():
    truth, _ = tables(4, n_genes=978)
    for values in stats.precision_at_k(truth, np.zeros_like(truth), 50):
        np.testing.assert_allclose(values, 100 / 978)


def test_precision_of_partly_tied_predictions_is_the_mean_over_orders():
    truth = np.array([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
    predicted = np.array([[9.0, 1.0, 1.0, 1.0, 0.0, 0.0]])
    # The first is in; one of three tied genes is drawn, one of which is among the top two.
    up, _ = stats.precision_at_k(truth, predicted, 2, n_top=2)
    np.testing.assert_allclose(up, (1 + 1 / 3) / 2)


@pytest.mark.parametrize(("k", "n_top"), [(0, 2), (41, 2), (3, 0), (3, 41)])
def test_precision_refuses_numbers_beyond_the_genes(k, n_top):
    with pytest.raises(ValueError, match="from 1 to the 40 genes"):
        stats.precision_at_k(*tables(0), k, n_top=n_top)


def test_bad_profiles():
    truth, predicted = tables(0)
    with pytest.raises(ValueError, match="of one shape"):
        stats.profile_r2(truth, predicted[:3])
    predicted[0, 0] = np.inf
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        stats.profile_correlation(truth, predicted)
