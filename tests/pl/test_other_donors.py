"""Figures of what holds on other donors: threshold, benefit, conformal sets."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pl, stats


def words(ax):
    return [text.get_text() for text in ax.texts]


# --- threshold transfer -----------------------------------------------------------------------


@pytest.fixture
def pairs():
    numbers = ["sensitivity", "specificity", "balanced_accuracy", "mcc"]
    rows = [
        ("a", "a", 0.3, 0.9, 0.8),
        ("a", "b", 0.3, 0.5, -0.1),
        ("a", "c", 0.3, np.nan, np.nan),
        ("b", "a", 0.7, 0.45, 0.1),
        ("b", "b", 0.7, 0.8, 0.6),
        ("b", "c", 0.7, np.nan, np.nan),
        *(("c", name, np.nan, np.nan, np.nan) for name in "abc"),
    ]
    columns = ["chosen_on", "applied_to", "threshold", "balanced_accuracy", "mcc"]
    return pd.DataFrame(rows, columns=columns).assign(n=9, **dict.fromkeys(numbers[:2], np.nan))


@pytest.mark.parametrize(("metric", "chance"), [("balanced_accuracy", 0.5), ("mcc", 0.0)])
def test_rows_are_chosen_on_and_columns_applied_to(pairs, metric, chance):
    ax = pl.threshold_transfer(pairs.sample(frac=1, random_state=0), metric=metric)
    shown = np.ma.filled(ax.images[0].get_array().astype(float), np.nan)
    expected = pairs[metric].to_numpy().reshape(3, 3)
    np.testing.assert_array_equal(shown, expected)
    assert ax.images[0].get_clim() == (chance, 1)
    assert ax.images[0].colorbar.extend == "min"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == ["a (0.30)", "b (0.70)", "c (one class)"]
    written = [f"{v:.2f}".replace("-", "−") for v in expected.ravel() if not np.isnan(v)]
    assert sorted(words(ax)) == sorted([*written, *["–"] * 5])


def test_thresholds_on_their_own_rows_are_framed(pairs):
    ax = pl.threshold_transfer(pairs)
    frames = [patch for patch in ax.patches if not patch.get_fill()]
    assert [(round(f.get_x() + 0.46, 6), round(f.get_y() + 0.46, 6)) for f in frames] == [
        (i, i) for i in range(3)
    ]


def test_of_a_cross_validation_it_is_computed_by_donor(result):
    ax = pl.threshold_transfer(result, model="lsc17", rule="mcc", metric="mcc")
    table = stats.threshold_transfer(
        result["label"], result["probabilities"]["lsc17"], result["group"], rule="mcc"
    )
    shown = np.asarray(ax.images[0].get_array())
    assert shown.ravel() == pytest.approx(table["mcc"].to_numpy())
    assert ax.get_title("right") == "simulated data"


def test_cohorts_may_be_a_column(result):
    n = len(result["label"])
    obs = pd.DataFrame({"study": np.where(np.arange(n) % 3 == 0, "s1", "s2")})
    adata = ad.AnnData(np.zeros((n, 1)), obs=obs.set_axis(obs.index.astype(str)))
    adata.uns["dtp_cv"] = result
    ax = pl.threshold_transfer(adata, cohort_key="study")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["s1", "s2"]
    with pytest.raises(KeyError, match=r"`cohort_key` to name a key of adata.obs; found 'site'"):
        pl.threshold_transfer(adata, cohort_key="site")


def test_many_cohorts_are_drawn_without_words(pairs):
    def grid(n):
        names = [f"cohort{i:03}" for i in range(n)]
        index = pd.MultiIndex.from_product([names, names], names=["chosen_on", "applied_to"])
        return index.to_frame(index=False).assign(threshold=0.5, mcc=0.3)

    some, many = (pl.threshold_transfer(grid(n), metric="mcc") for n in (21, 50))
    assert words(some) == words(many) == []
    assert len(some.get_xticklabels()) == 21
    assert len(many.get_xticklabels()) == 0
    assert many.get_xlabel() == "Applied to, 50 cohorts"


def test_what_is_no_threshold_transfer(pairs, result):
    with pytest.raises(ValueError, match="`metric` to be one of 'balanced_accuracy', 'mcc'"):
        pl.threshold_transfer(pairs, metric="f1")
    with pytest.raises(KeyError, match="a table with columns chosen_on, applied_to"):
        pl.threshold_transfer(pairs.drop(columns="threshold"))
    for given in (pairs, result):
        with pytest.raises(ValueError, match="an AnnData where `cohort_key` is given; found"):
            pl.threshold_transfer(given, cohort_key="study")
    result["group"] = np.full(len(result["label"]), "", dtype=object)
    with pytest.raises(ValueError, match="at least 2 cohorts"):
        pl.threshold_transfer(result)


# --- decision curve ---------------------------------------------------------------------------


def test_net_benefit_of_models_all_and_none(result):
    ax = pl.decision_curve(result)
    table = result["decision_curve"]
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) >= {"Teacher", "LSC17", "Treat all", "Treat none"}
    assert len(lines) == 8
    floor = ax.get_ylim()[0]
    for name, label in (("teacher", "Teacher"), ("lsc17", "LSC17"), ("all", "Treat all")):
        expected = table.loc[table["strategy"] == name, "net_benefit"].to_numpy()
        drawn = lines[label].get_ydata()
        seen = expected >= floor
        np.testing.assert_array_equal(drawn[seen], expected[seen])
    assert set(lines["Treat none"].get_ydata()) == {0}
    assert floor < 0
    looks = {(line.get_color(), str(line.get_linestyle())) for line in ax.lines}
    assert len(looks) == 8


def test_only_the_main_model_has_a_band(result):
    ax = pl.decision_curve(result)
    rows = result["decision_curve"].query("strategy == 'teacher'")
    (band,) = ax.collections
    height = band.get_paths()[0].vertices[:, 1]
    assert height.min() == rows["low"].min()
    assert height.max() == rows["high"].max()
    assert not pl.decision_curve(result, models=["lsc17"]).collections


# --- coverage ---------------------------------------------------------------------------------


def test_coverage_stands_at_its_level_with_its_interval(result):
    ax = pl.coverage(result)
    rows = result["coverage"].query("level == 0.8").set_index("class")
    dots = {line.get_marker(): line for line in ax.lines if line.get_marker() != "None"}
    assert dots["o"].get_ydata()[0] == rows.loc[1, "coverage"]
    assert dots["s"].get_ydata()[0] == rows.loc[0, "coverage"]
    ends = [line.get_ydata().tolist() for line in ax.lines if len(line.get_ydata()) == 2]
    assert ends == [rows.loc[side, ["low", "high"]].tolist() for side in (1, 0)]
    (promised,) = ax.collections
    assert set(promised.get_paths()[0].vertices[:, 1]) == {0.8}
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["bad", "not bad", "promised"]


def test_set_sizes_stand_above(result):
    (strip,) = pl.coverage(result).child_axes
    rows = result["coverage"].query("level == 0.8").set_index("class")
    sizes = [rows.loc[side, "set_size"] for side in (1, 0)]
    assert [bar.get_height() for bar in strip.patches] == sizes
    assert words(strip) == [f"{size:.2f}" for size in sizes]


def test_a_level_without_numbers_says_why(result):
    ax = pl.coverage(result)
    said = [" ".join(text.split()) for text in words(ax)]
    assert said == [f"needs {needed} donors of each class to fit on, 5 left" for needed in (9, 19)]
    ticks = [text.get_text() for text in ax.get_xticklabels()]
    assert ticks == ["0.8", "0.9", "0.95"]


def test_no_level_with_numbers_draws_no_scale(result):
    table = result["coverage"].assign(coverage=np.nan, reason="donors unknown")
    ax = pl.coverage(result | {"coverage": table})
    assert [" ".join(text.split()) for text in words(ax)] == ["donors unknown"] * 3
    assert ax.get_legend() is None
    assert not ax.child_axes
    assert len(ax.get_yticks()) == 0


def test_all_that_is_covered_little_is_inside_the_axes(result):
    table = result["coverage"].assign(low=0.1)
    assert pl.coverage(result | {"coverage": table}).get_ylim()[0] < 0.1
