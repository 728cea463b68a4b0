"""Scores and p-values against formulas, other libraries, and permutations by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, hypergeom, norm

from dtp_scvi import tl

GENES = [f"GENE{k:03d}" for k in range(200)]
SETS = {f"S{k}": GENES[25 * k : 25 * k + 25] for k in range(4)}


def adjacency(net: dict) -> pd.DataFrame:
    return pd.DataFrame(net).reindex(GENES).fillna(0.0)


def by_set(data, net, **options):
    options = {"n_permutations": 0, "min_overlap": 2} | options
    return tl.enrichment(data, net, **options).set_index("source")


def test_ulm_is_the_t_of_a_regression_on_the_weights(statistic, weighted):
    found = by_set(statistic, weighted, method="ulm")
    for name, column in adjacency(weighted).items():
        fit = sm.OLS(statistic.to_numpy(), sm.add_constant(column.to_numpy())).fit()
        assert found.loc[name, "score"] == pytest.approx(fit.tvalues[1])
        assert found.loc[name, "p"] == pytest.approx(fit.pvalues[1])


def test_mlm_is_the_t_of_one_regression_on_all_sets(statistic, weighted):
    found = by_set(statistic, weighted, method="mlm")
    design = adjacency(weighted)
    fit = sm.OLS(statistic.to_numpy(), sm.add_constant(design.to_numpy())).fit()
    assert found.loc[design.columns, "score"].to_numpy() == pytest.approx(fit.tvalues[1:])
    assert found.loc[design.columns, "p"].to_numpy() == pytest.approx(fit.pvalues[1:])


def test_waggr_is_the_weighted_mean(statistic, weighted):
    found = by_set(statistic, weighted, method="waggr")
    design = adjacency(weighted)
    expected = statistic.to_numpy() @ design / design.abs().sum()
    assert found.loc[design.columns, "score"].to_numpy() == pytest.approx(expected.to_numpy())
    assert found["p"].isna().all()


def test_zscore_is_a_z_test_of_the_mean(statistic):
    found = by_set(statistic, SETS, method="zscore")
    for name, genes in SETS.items():
        z = (statistic[genes].mean() - statistic.mean()) * np.sqrt(25) / statistic.std()
        assert found.loc[name, "score"] == pytest.approx(z)
        assert found.loc[name, "p"] == pytest.approx(2 * norm.sf(abs(z)))


def test_ora_is_hypergeometric_in_the_top_twentieth(statistic):
    found = by_set(statistic, SETS, method="ora")
    top = set(statistic.nlargest(10).index)
    for name, genes in SETS.items():
        hits = len(top & set(genes))
        assert found.loc[name, "p"] == pytest.approx(hypergeom.sf(hits - 1, 200, 25, 10))
    assert found.index[0] == "S0"
    assert found.loc["S0", "score"] > 0


def test_gsea_is_the_end_of_the_running_sum_that_is_furthest_out(statistic):
    found = by_set(statistic, SETS, method="gsea")
    ranked = statistic.sort_values(ascending=False)
    for name, genes in SETS.items():
        inside = ranked.index.isin(genes)
        step = np.where(inside, ranked.abs() / ranked.abs()[inside].sum(), -1 / (~inside).sum())
        walk = np.cumsum(step)
        assert found.loc[name, "score"] == pytest.approx(walk[np.abs(walk).argmax()])


def test_aucell_is_full_for_the_top_genes():
    ladder = pd.Series(np.arange(200.0), GENES)
    net = {"top": GENES[-10:], "bottom": GENES[:10], "half": [*GENES[-5:], *GENES[:5]]}
    found = by_set(ladder, net, method="aucell")["score"]
    assert found["bottom"] == 0
    assert 0 < found["half"] < found["top"] <= 1


def test_viper_follows_the_shift(statistic):
    found = by_set(statistic, SETS, method="viper")["score"]
    assert found["S0"] > 2
    assert found["S1"] < -1


@pytest.mark.parametrize("method", ["ulm", "waggr", "ora"])
def test_p_of_permuted_labels_is_that_by_hand(statistic, method):
    n = 29
    found = by_set(statistic, SETS, method=method, n_permutations=n, seed=7)
    # Genes are in order here, so the same generator gives the same permutations.
    rng = np.random.default_rng(7)
    rows = rng.permuted(np.tile(statistic.to_numpy(), (n, 1)), axis=1)
    null = pd.concat(
        [by_set(pd.Series(row, GENES), SETS, method=method)["score"] for row in rows], axis=1
    )
    for name, score in found["score"].items():
        if method == "ora":
            as_far = (null.loc[name] >= score - 1e-9).sum()
        else:
            as_far = (null.loc[name].abs() >= abs(score) - 1e-9).sum()
        assert found.loc[name, "p_permutation"] == (1 + as_far) / (1 + n)
    assert found["p_donors"].isna().all()


def test_q_is_benjamini_hochbergs(statistic):
    found = by_set(statistic, SETS, n_permutations=99)
    for p, q in (("p", "q"), ("p_permutation", "q_permutation")):
        assert found[q].to_numpy() == pytest.approx(false_discovery_control(found[p]))


def test_p_of_permuted_labels_is_uniform_without_a_signal():
    rng = np.random.default_rng(0)
    p = np.concatenate(
        [by_set(pd.Series(rng.normal(size=200), GENES), SETS, n_permutations=99)["p_permutation"]
         for _ in range(50)]
    )  # fmt: skip
    assert np.mean(p <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "method", ["ulm", "mlm", "viper", "zscore", "waggr", "gsea", "aucell", "ora"]
)
def test_the_order_of_genes_and_sets_does_not_matter(statistic, method):
    rng = np.random.default_rng(0)
    net = dict(reversed(SETS.items()))
    shuffled = statistic.iloc[rng.permutation(200)]
    first = by_set(statistic, SETS, method=method, n_permutations=9)
    second = by_set(shuffled, net, method=method, n_permutations=9).loc[first.index]
    pd.testing.assert_frame_equal(first, second, check_dtype=False)


@settings(max_examples=25)
@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_ulm_ignores_unit_and_origin(scale, shift):
    values = pd.Series(np.random.default_rng(0).normal(size=200), GENES)
    first, second = by_set(values, SETS), by_set(scale * values + shift, SETS)
    assert first["score"].to_numpy() == pytest.approx(second.loc[first.index, "score"].to_numpy())


@pytest.mark.slow
def test_importing_decoupler_leaves_the_plotting_defaults():
    code = (
        "import matplotlib as mpl, dtp_scvi.tl._enrichment_methods as m;"
        "before = dict(mpl.rcParams); m.decoupler(); print(before == dict(mpl.rcParams))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_unknown_methods_are_named_with_those_close_by(statistic):
    with pytest.raises(ValueError, match=r"found 'ULMM'. Did you mean ulm.*All: ulm, mlm"):
        tl.enrichment(statistic, SETS, method="ULMM")


def test_sets_that_are_sums_of_others_cannot_be_told_apart(statistic):
    net = {**SETS, "twice": SETS["S0"]}
    with pytest.raises(ValueError, match=r"sets that one linear model can tell apart.*'ulm'"):
        tl.enrichment(statistic, net, method="mlm")
