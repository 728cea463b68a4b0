"""Cox per gene: lifelines itself, planted genes, and what is not tested."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from dtp_scvi import tl

lifelines = pytest.importorskip("lifelines")
G = 8


def cohort(n=120, seed=0, effect=0.8):
    """Log expression; the first gene shortens survival, the study shortens it and shifts genes."""
    rng = np.random.default_rng(seed)
    study = rng.integers(0, 2, n)
    values = rng.normal(5, 1, (n, G)).clip(0.1)
    values[:, 1] += 2 * study
    time = rng.exponential(500 / np.exp(effect * (values[:, 0] - 5) + 1.5 * study))
    lost = rng.uniform(100, 2000, n)
    obs = pd.DataFrame(
        {
            "time": np.minimum(time, lost).round(1) + 1,
            "event": time <= lost,
            "study": np.where(study == 0, "A", "B"),
        },
        index=[f"p{i:03d}" for i in range(n)],
    )
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=[f"GENE{i}" for i in range(G)]))


def run(adata, **arguments):
    return tl.gene_survival(adata, **{"scale": "log1p_normalized"} | arguments)


def test_is_lifelines_stratified_fit_per_sd():
    adata = cohort()
    table = run(adata, strata="study").set_index("gene")
    for i in (0, 1, 5):
        x = adata.X[:, i]
        frame = adata.obs.assign(x=(x - x.mean()) / x.std(ddof=1))
        fit = lifelines.CoxPHFitter().fit(frame, "time", "event", strata=["study"])
        row = table.loc[f"GENE{i}"]
        assert row["hazard_ratio"] == pytest.approx(fit.hazard_ratios_["x"], rel=1e-5)
        assert row["p"] == pytest.approx(fit.summary.loc["x", "p"], rel=1e-4)
        ends = np.exp(fit.confidence_intervals_.loc["x"].to_numpy())
        assert row[["low", "high"]].to_numpy(float) == pytest.approx(ends, rel=1e-5)
        assert row["sd"] == pytest.approx(x.std(ddof=1))
    assert table["q"].to_numpy() == pytest.approx(false_discovery_control(table["p"]))
    assert (table["n"] == 120).all()


def test_planted_gene_is_first_and_that_of_the_study_only_without_strata():
    adata = cohort(200)
    within = run(adata, strata=["study"]).set_index("gene")
    assert within.index[0] == "GENE0"
    assert within.loc["GENE0", "low"] > 1.3
    assert within.loc["GENE1", "q"] > 0.05
    assert run(adata).set_index("gene").loc["GENE1", "q"] < 0.05


def test_order_and_copies_of_patients_do_not_matter():
    adata = cohort()
    expected = run(adata, strata="study")
    rng = np.random.default_rng(0)
    mixed = adata[rng.permutation(120)][:, rng.permutation(G)].copy()
    pd.testing.assert_frame_equal(run(mixed, strata="study"), expected)
    twice = ad.concat([adata, adata], index_unique="-", keys=["a", "b"])
    twice.obs["who"] = np.tile(adata.obs_names, 2)
    found = run(twice, strata="study", patient_key="who")
    pd.testing.assert_frame_equal(found, expected)


def test_a_gene_without_spread_is_listed_and_not_counted():
    adata = cohort()
    adata.X[:, 3] = 2.0
    table = run(adata).set_index("gene")
    row = table.loc["GENE3"]
    assert (row["tested"], row["reason"]) == (False, "the same value in all patients")
    assert np.isnan(row["p"])
    tested = table[table["tested"]]
    assert tested["q"].to_numpy() == pytest.approx(false_discovery_control(tested["p"]))
    assert table.attrs["dtp_gene_survival"]["params"]["n_tested"] == G - 1


def test_a_ratio_that_changes_is_warned_of():
    rng = np.random.default_rng(1)
    adata = cohort(300)
    high = adata.X[:, 0] > 5
    adata.obs["time"] = np.where(high, rng.uniform(1, 30, 300), rng.uniform(1, 400, 300))
    adata.obs["event"] = True
    late = high & (rng.random(300) < 0.4)
    adata.obs.loc[late, "time"] = rng.uniform(390, 800, late.sum())
    with pytest.warns(UserWarning, match=r"1 genes with q < 0.05 changes over time \(GENE0\)"):
        run(adata)


def test_some_genes():
    table = run(cohort(), genes=["GENE4", "GENE0"])
    assert set(table["gene"]) == {"GENE4", "GENE0"}
    with pytest.raises(KeyError, match="`genes` to name genes of adata; found 'GENE9'"):
        run(cohort(), genes=["GENE9"])
    with pytest.raises(TypeError, match="`genes` as a list; found 'GENE1'"):
        run(cohort(), genes="GENE1")


def test_errors():
    adata = cohort()
    with pytest.raises(KeyError, match="`strata` to name a key"):
        run(adata, strata="cohort")
    with pytest.raises(ValueError, match="500 events that can be compared; found"):
        run(adata, min_events=500)
    alone = adata[:20].copy()
    alone.obs["own"] = alone.obs_names.astype(str)
    with pytest.raises(ValueError, match="events that can be compared; found 0 of"):
        run(alone, strata="own")
    with pytest.raises(ValueError, match="at least 10 complete patients"):
        run(adata[:5].copy())
    adata.X[:] = 1.0
    with pytest.raises(ValueError, match="a gene that can be tested; found the same value"):
        run(adata)
