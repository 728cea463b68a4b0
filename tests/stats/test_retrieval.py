"""Perturbation discrimination against cell-eval and against counting by hand."""

from __future__ import annotations

import importlib.util
import sys
import types

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import stats


def profiles(n=9, n_genes=30, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, n_genes))
    return truth, truth + noise * rng.normal(size=(n, n_genes))


@pytest.mark.parametrize(("metric", "power"), [("l1", 1), ("l2", 2)])
def test_rank_is_the_share_of_other_truths_that_are_nearer(metric, power):
    truth, predicted = profiles(noise=3.0)
    found = stats.retrieval_rank(truth, predicted, metric=metric)
    for i, p in enumerate(predicted):
        distance = (np.abs(truth - p) ** power).sum(axis=1)
        assert found[i] == np.sum(distance < distance[i]) / (len(truth) - 1)


def test_rank_among_predictions_by_cosine():
    truth, predicted = profiles(noise=3.0)
    found = stats.retrieval_rank(truth, predicted, metric="cosine", among="predicted")
    for i, y in enumerate(truth):
        similar = predicted @ y / np.linalg.norm(predicted, axis=1)
        assert found[i] == np.sum(similar > similar[i]) / (len(truth) - 1)


def test_perfect_collapsed_and_random_predictions():
    truth, _ = profiles(n=40)
    assert stats.retrieval_rank(truth, truth).tolist() == [0.0] * 40
    for metric in ("l1", "l2", "cosine"):
        for among in ("truth", "predicted"):
            same = np.tile(truth.mean(axis=0), (40, 1))
            rank = stats.retrieval_rank(truth, same, metric=metric, among=among)
            assert rank.mean() == pytest.approx(0.5)
    random = np.random.default_rng(1).normal(size=truth.shape)
    assert stats.retrieval_rank(truth, random).mean() == pytest.approx(0.5, abs=0.1)
    assert (
        stats.retrieval_rank(truth, np.zeros_like(truth), metric="cosine").tolist() == [0.5] * 40
    )


def test_agrees_with_cell_eval(monkeypatch):
    """Its discrimination score by L1 is 1 - rank / n; ours divides by n - 1."""
    spec = importlib.util.find_spec("cell_eval")
    if spec is None:
        pytest.skip("cell-eval is not installed")
    # The package itself loads its differential expression; the two files below do without.
    for name, place in (("cell_eval", ""), ("cell_eval.metrics", "/metrics")):
        bare = types.ModuleType(name)
        bare.__path__ = [spec.submodule_search_locations[0] + place]
        monkeypatch.setitem(sys.modules, name, bare)
    before = set(sys.modules)
    metric = pytest.importorskip("cell_eval.metrics._anndata").discrimination_score
    pair_of = importlib.import_module("cell_eval._types._anndata").PerturbationAnndataPair
    truth, predicted = profiles(noise=3.0)
    n = len(truth)
    names = [f"d{i}" for i in range(n)]
    obs = pd.DataFrame({"drug": ["ctl", *names]}, index=["c", *names])
    zero = np.zeros((1, truth.shape[1]))
    real, pred = (ad.AnnData(np.vstack([zero, x]), obs.copy()) for x in (truth, predicted))
    scores = metric(pair_of(real=real, pred=pred, pert_col="drug", control_pert="ctl"))
    for name in set(sys.modules) - before:
        if name.startswith("cell_eval"):
            monkeypatch.delitem(sys.modules, name)
    expected = np.array([scores[name] for name in names])
    found = stats.retrieval_rank(truth, predicted, metric="l1")
    np.testing.assert_allclose(1 - found * (n - 1) / n, expected)
    assert len(set(expected)) > 2


def test_bad_input():
    truth, predicted = profiles()
    with pytest.raises(ValueError, match="at least two perturbations"):
        stats.retrieval_rank(truth[:1], predicted[:1])
    with pytest.raises(ValueError, match="`metric` to be one of"):
        stats.retrieval_rank(truth, predicted, metric="dot")
    with pytest.raises(ValueError, match="`among` to be one of"):
        stats.retrieval_rank(truth, predicted, among="both")
