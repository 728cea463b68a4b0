"""The ranking: planted truth, evidence column by column, invariants, and its formula by hand."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, spearmanr

from dtp_scvi import tl


def test_planted_genes_come_first(samples, planted, evidence, quick):
    table = tl.rank_targets(samples, **evidence, **quick)
    assert (table.loc[planted, "association"] > 0.6).all()
    others = table.drop(planted)
    assert table.loc[planted, "rank"].median() < 0.5 * others["rank"].median()
    assert (
        table.loc[planted, "rank_without_association"] > table.loc[planted, "rank"]
    ).mean() > 0.7
    alone = dict.fromkeys(("abundance", "contrast", "dependency", "surface", "antibody"), 0)
    only = tl.rank_targets(samples, weights=alone, **evidence, **quick)
    assert set(only.index[:8]) == set(planted)
    assert list(only["rank"][:8]) == list(range(1, 9))


def test_score_is_the_geometric_mean_of_quantiles_by_hand(samples, evidence, quick):
    weights = {"association": 2.0, "surface": 0.5}
    table = tl.rank_targets(samples, weights=weights, **evidence, **quick)
    counts = samples.X.astype(np.float64)
    log = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    log = pd.DataFrame(log, columns=samples.var_names)[list(table.index)]
    rho = [spearmanr(log[gene], samples.obs["dtp_score"])[0] for gene in table.index]
    np.testing.assert_allclose(table["association"], rho, atol=1e-10)
    np.testing.assert_allclose(table["abundance"], log.mean(), rtol=1e-5)
    highest = evidence["normal"].loc[table.index, ["liver", "lung"]].max(axis=1)
    ratio = np.log2(1 + 100 * np.expm1(log.mean())) - np.log2(1 + highest)
    np.testing.assert_allclose(table["log2_ratio_max"], ratio, rtol=1e-5)
    columns = {
        "association": (rho, 2.0),
        "abundance": (log.mean(), 1.0),
        "contrast": (ratio, 1.0),
        "dependency": (-evidence["dependency"].loc[table.index, "difference"], 1.0),
        "surface": (evidence["surface"].loc[table.index, "n_sources"], 0.5),
        "antibody": (table["HPA_antibody_reliability"] == "Enhanced", 1.0),
    }
    total = sum(
        w * np.log((rankdata(np.round(v, 9)) - 0.5) / len(table)) for v, w in columns.values()
    )
    np.testing.assert_allclose(table["score"], np.exp(total / 6.5), rtol=1e-6)
    assert (table["rank"].diff().dropna() >= 0).all()


@pytest.mark.parametrize("what", ["genes", "rows", "tables"])
def test_order_of_genes_rows_and_tables_does_not_matter(what, samples, evidence, quick):
    first = tl.rank_targets(samples, **evidence, **quick)
    rng = np.random.default_rng(1)
    other = samples
    if what == "genes":
        other = samples[:, rng.permutation(samples.n_vars)].copy()
    elif what == "rows":
        other = samples[rng.permutation(samples.n_obs)].copy()
    else:
        evidence = {name: frame.sample(frac=1, random_state=0) for name, frame in evidence.items()}
    pd.testing.assert_frame_equal(tl.rank_targets(other, **evidence, **quick), first)


def test_nothing_depends_on_the_name_of_a_gene(samples, evidence, quick):
    table = tl.rank_targets(samples, **evidence, **quick)
    names = dict(zip(samples.var_names, samples.var_names, strict=True))
    names |= {"GENE050": "FLT3", "GENE051": "CD33", "GENE052": "MYC"}
    samples.var_names = [names[name] for name in samples.var_names]
    evidence = {key: frame.rename(index=names) for key, frame in evidence.items()}
    renamed = tl.rank_targets(samples, **evidence, **quick)
    numbers = ["rank", "score", "rra_rank", "rank_low", "rank_high", "max_rank_shift"]
    expected = table.rename(index=names)[numbers].loc[renamed.index]
    pd.testing.assert_frame_equal(renamed[numbers], expected)


def test_leaving_a_component_out_is_a_weight_of_zero(samples, evidence, quick):
    table = tl.rank_targets(samples, **evidence, **quick)
    about = table.attrs["dtp_targets"]["leave_one_out"]
    assert [row["component"] for row in about] == [
        *("association", "abundance", "contrast", "dependency", "surface", "antibody")
    ]
    shifts = []
    for row in about:
        weights = {row["component"]: 0.0}
        other = tl.rank_targets(samples, weights=weights, **evidence, **quick).loc[table.index]
        without = table[f"rank_without_{row['component']}"]
        np.testing.assert_array_equal(without, other["rank"])
        shifts.append((without - table["rank"]).abs())
        assert row["max_shift"] == shifts[-1].max()
        assert shifts[-1][row["gene"]] == row["max_shift"]
        assert row["spearman"] == pytest.approx(spearmanr(without, table["rank"])[0])
    np.testing.assert_array_equal(table["max_rank_shift"], np.max(shifts, axis=0))


def test_intervals_hold_the_association_and_shrink_with_donors(make, quick):
    widths = []
    for n in (15, 150):
        options = quick | {"n_boot": 200}
        table = tl.rank_targets(make(n), surface_tier=None, **options)
        inside = table["association"].between(table["association_low"], table["association_high"])
        assert inside.mean() > 0.95
        assert (table["rank_low"] <= table["rank_median"]).all()
        assert (table["rank_median"] <= table["rank_high"]).all()
        widths.append((table["association_high"] - table["association_low"]).median())
    assert widths[1] == pytest.approx(widths[0] / np.sqrt(10), rel=0.25)


def test_rows_of_a_donor_are_summed_and_scores_averaged(samples, quick):
    rng = np.random.default_rng(0)
    share = rng.uniform(0.2, 0.8, size=(samples.n_obs, 1))
    first = rng.binomial(samples.X.astype(int), np.broadcast_to(share, samples.shape))
    halves = np.vstack([first, samples.X - first]).astype(np.float32)
    obs = pd.concat([samples.obs, samples.obs], ignore_index=True)
    obs.index = obs.index.astype(str)
    obs["who"] = np.tile(samples.obs_names, 2)
    obs["dtp_score"] += np.repeat([0.3, -0.3], samples.n_obs)
    cells = ad.AnnData(halves, obs=obs, var=samples.var)
    whole = tl.rank_targets(samples, surface_tier=None, **quick)
    summed = tl.rank_targets(cells, donor_key="who", surface_tier=None, **quick)
    same = ["rank", "association", "abundance", "rank_low"]
    pd.testing.assert_frame_equal(summed[same], whole[same], rtol=1e-5)
    assert summed.attrs["dtp_targets"]["params"]["n_donors"] == samples.n_obs


@pytest.mark.parametrize("storage", ["csr", "log2", "log1p"])
def test_scale_and_storage(storage, samples, quick):
    from scipy.sparse import csr_matrix

    reference = tl.rank_targets(samples, surface_tier=None, **quick)
    if storage == "csr":
        other = samples.copy()
        other.X = csr_matrix(other.X)
        table = tl.rank_targets(other, surface_tier=None, **quick)
        pd.testing.assert_frame_equal(table, reference)
        return
    linear = 1e4 * (samples.X + 0.5) / (samples.X + 0.5).sum(axis=1, keepdims=True)
    log = np.log2(linear) if storage == "log2" else np.log1p(linear)
    other = ad.AnnData(log.astype(np.float32), obs=samples.obs, var=samples.var)
    scale = "log2" if storage == "log2" else "log1p_cp10k"
    table = tl.rank_targets(other, surface_tier=None, **quick | {"scale": scale})
    np.testing.assert_allclose(table.sort_index()["abundance"], log.mean(axis=0), rtol=1e-4)
    moved = (table["association"] - reference.loc[table.index, "association"]).abs()
    assert moved.median() < 0.05


def test_result_is_written_and_survives_a_file(samples, evidence, quick, tmp_path):
    evidence["surface"] = evidence["surface"].iloc[:100]
    table = tl.rank_targets(samples, **evidence, **quick)
    samples.write_h5ad(tmp_path / "a.h5ad")
    stored = ad.read_h5ad(tmp_path / "a.h5ad").uns["dtp_targets"]
    pd.testing.assert_series_equal(stored["table"]["rank"], table["rank"])
    assert stored["table"]["surface_strict"].isna().sum() == 20
    assert stored["resampled"].shape == (100, 20)
    assert float(stored["shuffled"].to_numpy().mean()) == pytest.approx(0.5)
    assert stored["params"]["n_candidates"] == 100


def test_a_table_of_associations_is_ranked_without_resamples(evidence):
    genes = evidence["normal"].index
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"association": rng.normal(size=len(genes))}, index=genes)
    table = tl.rank_targets(frame, surface_tier=None)
    assert table["association"].is_monotonic_decreasing
    assert "rank_low" not in table
    frame["abundance"] = 5.0
    table = tl.rank_targets(frame, **evidence)
    highest = table[["normal_max"]].to_numpy().ravel()
    np.testing.assert_allclose(table["log2_ratio_max"], 5 - np.log2(1 + highest))


def test_seed_decides(samples, quick):
    run = {"surface_tier": None, **quick}
    one = tl.rank_targets(samples, seed=1, **run)
    pd.testing.assert_frame_equal(tl.rank_targets(samples, seed=1, **run), one)
    other = tl.rank_targets(samples, seed=2, **run)
    assert (one["rank"] == other["rank"]).all()
    assert (one["association_low"] != other["association_low"]).any()
