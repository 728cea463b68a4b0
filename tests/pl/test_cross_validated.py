from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dtp_scvi import pl


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize(("name", "metric"), [("roc", "auroc"), ("pr", "auprc")])
def test_one_curve_per_model_and_a_line_for_chance(name, metric, result):
    ax = getattr(pl, name)(result)
    assert len(ax.lines) == 7
    table = result["metrics"]
    best = table[table["metric"] == metric].sort_values("value", ascending=False)
    numbers = [float(text.split()[-1]) for text in labels_of(ax)[:6]]
    np.testing.assert_allclose(numbers, best["value"], atol=6e-4)
    assert ax.get_xlim() == ax.get_ylim() == (-0.02, 1.02)


def test_curves_are_the_stored_points(result):
    ax = pl.roc(result, models=["lsc17", "teacher"])
    stored = result["roc"][result["roc"]["model"] == "teacher"]
    teacher = next(line for line in ax.lines if line.get_label().startswith("Teacher"))
    np.testing.assert_array_equal(teacher.get_xydata(), stored[["fpr", "tpr"]].to_numpy())
    assert len(ax.lines) == 3


def test_main_model_is_the_strongest_line(result):
    ax = pl.pr(result)
    teacher, *others = sorted(ax.lines, key=lambda line: -line.get_linewidth())
    assert teacher.get_label().startswith("Teacher")
    assert teacher.get_zorder() > max(line.get_zorder() for line in others)
    looks = {(line.get_color(), str(line.get_linestyle())) for line in ax.lines}
    assert len(looks) == len(ax.lines)


def test_pr_marks_the_share_of_positives(result):
    result["params"]["prevalence"] = 0.25
    ax = pl.pr(result)
    chance = next(line for line in ax.lines if line.get_label() == "Share of positives 0.250")
    assert set(chance.get_ydata()) == {0.25}


def test_legend_of_an_own_figure_covers_no_curve():
    # Curves in every corner: the legend has to go beside the axes.
    square = [(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)]
    x, y = np.array(square).T
    crossed = {
        "roc": pd.DataFrame({"model": "teacher", "fpr": x, "tpr": y}),
        "metrics": pd.DataFrame({"model": ["teacher"], "metric": ["auroc"], "value": [0.5]}),
        "params": {"model": "teacher"},
    }
    ax = pl.roc(crossed)
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 > ax.get_window_extent().x1
    assert ax.figure.get_figwidth() > 3.4
    given = pl.roc(crossed, ax=plt.subplots()[1])
    given.figure.canvas.draw()
    assert given.get_legend().get_window_extent().x0 < given.get_window_extent().x1


def test_calibration_draws_bins_band_and_counts(result):
    ax = pl.calibration(result)
    table = result["reliability"]
    bins = table[table["model"] == "teacher"]
    curve = next(line for line in ax.lines if line.get_label() == "Teacher")
    np.testing.assert_allclose(curve.get_xydata(), bins[["mean_predicted", "observed"]])
    assert len(ax.collections) == 1
    (strip,) = ax.child_axes
    assert [bar.get_height() for bar in strip.patches] == bins["n"].tolist()


def test_calibration_of_a_baseline_quotes_its_own_error(result):
    ax = pl.calibration(result, model="lsc17")
    table = result["metrics"].set_index(["model", "metric"])["value"]
    (text,) = [t.get_text() for t in ax.texts]
    assert text.startswith("LSC17")
    assert f"ECE {table['lsc17', 'ece']:.3f}" in text


@pytest.mark.parametrize(("shift", "side"), [(0.2, "right"), (-0.2, "left")])
def test_calibration_writes_where_the_curve_is_not(result, shift, side):
    table = result["reliability"].copy()
    table["observed"] = (table["mean_predicted"] + shift).clip(0, 1)
    ax = pl.calibration(result | {"reliability": table})
    assert ax.texts[0].get_ha() == side


def test_calibration_survives_bins_without_a_band(result):
    table = result["reliability"].copy()
    table.loc[table.index[0], ["low", "high"]] = np.nan
    ax = pl.calibration(result | {"reliability": table})
    ax.figure.canvas.draw()
    assert ax.has_data()


def test_benchmark_orders_models_and_writes_paired_differences(result):
    ax = pl.benchmark(result, metric="brier")
    table = result["metrics"]
    best = table[table["metric"] == "brier"].sort_values("value")["model"].tolist()
    shown = [label.get_text().lower().replace(" ", "_") for label in ax.get_yticklabels()]
    assert shown == best
    assert ax.get_xlabel() == "Brier score (lower is better)"
    rows = result["differences"].query("metric == 'brier' and baseline == 'lsc17'").iloc[0]
    expected = f"{rows['value']:+.3f} [{rows['low']:+.3f}, {rows['high']:+.3f}]".replace("-", "−")
    assert expected in [text.get_text() for text in ax.texts]


def test_benchmark_prints_in_bold_only_what_is_clear_of_0(result):
    table = result["differences"].query("metric == 'auroc'").copy()
    table[["value", "low", "high"]] = [0.1, 0.05, 0.15]
    table.loc[table["baseline"] == "lsc17", "low"] = -0.01
    ax = pl.benchmark(result | {"differences": table})
    bold = [t.get_text() for t in ax.texts if t.get_fontweight() == "bold"]
    assert len(bold) == 4
    assert "+0.100 [+0.050, +0.150]" in bold


@pytest.mark.parametrize(("metric", "chance"), [("auroc", 0.5), ("mcc", 0.0), ("auprc", None)])
def test_benchmark_draws_chance(result, metric, chance):
    ax = pl.benchmark(result, metric=metric, differences=False)
    expected = result["params"]["prevalence"] if chance is None else chance
    assert any(set(line.get_xdata()) == {expected} for line in ax.lines)
    assert [t.get_text().strip() for t in ax.texts] == ["chance"]


def test_benchmark_refuses_an_unknown_metric(result):
    with pytest.raises(ValueError, match="`metric` to be one of 'auroc'"):
        pl.benchmark(result, metric="accuracy")


def test_sweep_draws_each_metric_and_the_threshold(result):
    ax = pl.threshold_sweep(result, metrics=("recall", "precision"))
    lines = {line.get_label(): line for line in ax.lines}
    stored = result["threshold_sweep"][["threshold", "recall"]].to_numpy()
    np.testing.assert_array_equal(lines["Recall"].get_xydata(), stored)
    value = result["threshold"]["value"]
    assert any(set(line.get_xdata()) == {value} for line in ax.lines)
    words = [text.get_text() for text in ax.texts]
    assert {"Recall", "Precision"} < set(words)
    assert any(f"threshold {value:.2f} (youden)" in word for word in words)
    assert len(ax.patches) == 1  # the interval


def test_sweep_without_an_interval_draws_no_band(result):
    ax = pl.threshold_sweep(result | {"threshold": {"value": 0.7, "rule": "fixed"}})
    assert len(ax.patches) == 0


def test_sweep_shows_negative_values(result):
    table = result["threshold_sweep"].assign(mcc=-0.4)
    ax = pl.threshold_sweep(result | {"threshold_sweep": table})
    assert ax.get_ylim()[0] < -0.4


def test_sweep_refuses_bad_metrics(result):
    with pytest.raises(KeyError, match=r"found 'recal'.*Did you mean recall"):
        pl.threshold_sweep(result, metrics=["recal"])
    with pytest.raises(ValueError, match="1 to 6 `metrics`; found 0"):
        pl.threshold_sweep(result, metrics=[])
