"""Recovery of known targets: planted, absent, shuffled; numbers against their closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom, kstest

from dtp_scvi import tl

EVEN = {"weights": {"abundance": 0.0}, "surface_tier": None, "scale": "counts"}


@pytest.fixture
def ranked(samples):
    tl.rank_targets(samples, n_boot=20, n_shuffles=99, **EVEN)
    return samples


def by_test(found):
    return found["table"].set_index("test")


def test_planted_controls_are_recovered(ranked, planted):
    found = tl.target_recovery(ranked, controls=planted, top=(8, 20))
    table = by_test(found)
    assert table.loc["matched_genes", "value"] == pytest.approx(1 - 4 / 120)
    assert table.loc["matched_genes", "p"] < 0.005
    assert table.loc["shuffled_score", "p"] == pytest.approx(0.01)
    assert table.loc["top_8", "value"] == 8
    assert table.loc["top_8", "p"] == pytest.approx(hypergeom.pmf(8, 120, 8, 8))
    curve = found["curve"].set_index("rank")
    assert curve.loc[8, "found"] == 8
    assert curve.loc[120, ["found", "random"]].tolist() == [8, 8]
    assert curve["random"].is_monotonic_increasing
    assert (curve["random_low"] <= curve["random_high"]).all()


def test_controls_that_are_not_planted_are_not_recovered(ranked):
    found = tl.target_recovery(ranked, controls=list(ranked.var_names[40:48]))
    table = by_test(found)
    assert table.loc["matched_genes", "p"] > 0.05
    assert table.loc["shuffled_score", "p"] > 0.05
    low, high = table.loc["matched_genes", ["p_low", "p_high"]]
    assert low < table.loc["matched_genes", "p"] < high


def test_percentile_and_top_lists_by_hand(ranked):
    ranks = ranked.uns["dtp_targets"]["table"]["rank"]
    controls = ["GENE003", "GENE030", "GENE060", "GENE090"]
    found = tl.target_recovery(ranked, controls=controls, top=(30,), match_on=())
    table = by_test(found)
    place = 1 - (ranks[controls] - 0.5) / 120
    assert table.loc["matched_genes", "value"] == pytest.approx(place.mean())
    k = int((ranks[controls] <= 30).sum())
    expected = sum(hypergeom.pmf(j, 120, 4, 30) for j in range(k, 5))
    assert table.loc["top_30", "p"] == pytest.approx(expected)
    assert table.loc["top_30", "expected"] == pytest.approx(1.0)
    # Sets of 4 of 120 percentiles, drawn without replacement.
    se = np.sqrt((1 / 12) / 4 * (116 / 119))
    assert table.loc["matched_genes", "expected"] == pytest.approx(0.5, abs=4 * se / 44)
    width = table.loc["matched_genes", "null_high"] - table.loc["matched_genes", "null_low"]
    assert width == pytest.approx(2 * 1.96 * se, rel=0.08)


def test_matching_takes_abundance_out():
    """Controls that are ranked by their abundance alone beat random genes, not matched ones."""
    rng = np.random.default_rng(0)
    abundance = np.linspace(0, 1, 400)
    order = abundance + 0.05 * rng.normal(size=400)
    table = pd.DataFrame(
        {"rank": (-order).argsort().argsort() + 1.0, "rra_rank": 1, "abundance": abundance},
        index=pd.Index([f"GENE{i:03d}" for i in range(400)], name="gene"),
    )
    controls = list(table.index[330:400:6])
    plain = by_test(tl.target_recovery(table, controls=controls, match_on=()))
    matched = by_test(tl.target_recovery(table, controls=controls))
    gain = plain["value"] - plain["expected"], matched["value"] - matched["expected"]
    assert gain[0]["matched_genes"] > 0.35
    assert abs(gain[1]["matched_genes"]) < 0.03
    assert plain.loc["matched_genes", "p"] < 0.001
    assert "shuffled_score" not in plain.index


def null_p(make, n_shuffles, n_genes, **options):
    adata = make(30, n_genes, effect=0.0)
    rng = np.random.default_rng(7)
    p = {"matched_genes": [], "shuffled_score": []}
    for _ in range(n_shuffles):
        adata.obs["dtp_score"] = rng.permutation(adata.obs["dtp_score"].to_numpy())
        seed = int(rng.integers(2**31))
        tl.rank_targets(adata, n_boot=1, n_shuffles=99, seed=seed, **options)
        found = tl.target_recovery(
            adata, controls=list(adata.var_names[:8]), n_random=199, seed=seed, top=(10,)
        )
        for name, values in p.items():
            values.append(by_test(found).loc[name, "p"])
    return p


@pytest.mark.slow
def test_p_is_uniform_over_200_shuffled_scores(make):
    p = null_p(make, 200, 120, **EVEN)
    assert kstest(p["matched_genes"], "uniform").pvalue > 0.01
    assert kstest(p["shuffled_score"], "uniform").pvalue > 0.01
    # With evidence that no shuffle touches, only the test of the score stays uniform.
    fixed = null_p(make, 200, 120, surface_tier=None, scale="counts")
    assert kstest(fixed["shuffled_score"], "uniform").pvalue > 0.01


def test_p_is_uniform_over_some_shuffled_scores(make):
    p = null_p(make, 40, 60, **EVEN)
    assert kstest(p["matched_genes"], "uniform").pvalue > 0.01
    assert kstest(p["shuffled_score"], "uniform").pvalue > 0.01
    assert 0.3 < np.mean(p["shuffled_score"]) < 0.7


def test_what_became_of_each_control(samples, evidence, quick):
    new = {"GENE005": "FLT3", "GENE006": "IL3RA", "GENE007": "CD33", "GENE008": "CD47"}
    samples.var_names = [new.get(name, name) for name in samples.var_names]
    surface = evidence["surface"].rename(index=new)
    surface.loc["CD33", "strict"] = False
    table = tl.rank_targets(samples, surface=surface, **quick)
    names = ["FLT3", "CD123", "IL3RA", "CD33", "CD47", "CLEC12A", "NOTAGENE", "GENE009"]
    universe = [name for name in table.index if name != "CD47"]
    found = tl.target_recovery(table, controls=names, universe=universe)["controls"]
    assert found["gene"].tolist()[:3] == ["FLT3", "IL3RA", "IL3RA"]
    assert found["status"].tolist() == [
        "ranked",
        "ranked",
        "named twice",
        "removed by the filter 'surface'",
        "not in the universe",
        "not in the data",
        "not in the data (unmatched name)",
        "ranked",
    ]
    assert found["rank"].notna().tolist() == [True, True, *[False] * 5, True]


def test_too_few_controls_are_refused_with_the_fate_of_each(ranked):
    match = (
        r"at least 3 controls among 120 ranked genes; found 1 \(GENE003: ranked; CD33: not in t"
    )
    with pytest.raises(ValueError, match=match):
        tl.target_recovery(ranked, controls=["GENE003", "CD33"])


def test_other_columns_rank_too(ranked, planted):
    table = ranked.uns["dtp_targets"]["table"]
    up = by_test(tl.target_recovery(table, controls=planted, by="quantile_association"))
    plain = by_test(tl.target_recovery(table, controls=planted))
    assert up.loc["matched_genes", "value"] == plain.loc["matched_genes", "value"]
    rra = by_test(tl.target_recovery(table, controls=planted, by="rra_rank"))
    assert rra.loc["matched_genes", "value"] > 0.9


def test_order_of_the_table_and_long_lists(ranked, planted):
    table = ranked.uns["dtp_targets"]["table"]
    one = tl.target_recovery(table, controls=planted, top=(10, 500))
    other = tl.target_recovery(table.sample(frac=1, random_state=0), controls=planted[::-1])
    assert by_test(one).loc["matched_genes", "p"] == by_test(other).loc["matched_genes", "p"]
    assert by_test(one).loc["top_500", "note"] == "only 120 genes are ranked"
    assert np.isnan(by_test(one).loc["top_500", "p"])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"controls": "FLT3"}, TypeError, r"`controls` as a list.*Pass \['FLT3'\]"),
        ({"by": "ranc"}, KeyError, "Did you mean rank"),
        ({"match_on": ["abundanse"]}, KeyError, "Did you mean abundance"),
        ({"universe": ["KIT"]}, ValueError, r"`universe` among those.*GENE000.*none \(KIT\)"),
        ({"top": (0,)}, ValueError, "`top` to be a whole number"),
        ({"key": "dtp_target"}, KeyError, r"uns\['dtp_target'\].*Run dtp.tl.rank_targets first"),
    ],
)
def test_arguments_that_are_refused(options, error, match, ranked, planted):
    with pytest.raises(error, match=match):
        tl.target_recovery(ranked, **{"controls": planted, **options})
    with pytest.raises(TypeError, match="an AnnData or a table of targets; found list"):
        tl.target_recovery([1])


def test_result_survives_a_file(ranked, planted, tmp_path):
    import anndata as ad

    found = tl.target_recovery(ranked, controls=planted)
    ranked.write_h5ad(tmp_path / "a.h5ad")
    stored = ad.read_h5ad(tmp_path / "a.h5ad")
    for name in ("table", "controls", "curve"):
        pd.testing.assert_frame_equal(
            stored.uns["dtp_target_recovery"][name].reset_index(drop=True),
            found[name],
            check_dtype=False,
        )
    again = tl.target_recovery(stored, controls=planted)
    pd.testing.assert_frame_equal(again["table"], found["table"])


def test_a_ranking_that_ignores_the_score_ties_with_every_shuffle(samples, evidence, quick):
    """Percentiles of shuffles are stored in single precision; ties have to count all the same."""
    weights = {"association": 0}
    tl.rank_targets(samples, surface=evidence["surface"], weights=weights, **quick)
    for start in range(0, 60, 7):
        controls = list(samples.var_names[start : start + 7])
        table = by_test(tl.target_recovery(samples, controls=controls))
        assert table.loc["shuffled_score", "p"] == 1.0
