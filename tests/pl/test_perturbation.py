"""Figures of perturbation data: what is drawn, where, and what is refused."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl, stats


def test_scatter_draws_mean_changes_against_scoring_controls(treated_wells):
    wells, change = treated_wells
    ax = pl.perturbation_scatter(wells, change, "drug 1")
    rows = (wells.obs["drug"] == "drug 1").to_numpy()
    observed = (wells.X - wells.obsm["dtp_control_scoring"])[rows].mean(axis=0)
    points = ax.lines[1].get_xydata()
    np.testing.assert_allclose(points[:, 0], observed, rtol=1e-5)
    np.testing.assert_allclose(points[:, 1], change[rows].mean(axis=0))
    r = stats.profile_correlation(observed[None], change[rows].mean(axis=0).to_numpy()[None])[0][0]
    assert ax.texts[-1].get_text() == f"drug 1\nr = {r:.2f}"
    named = {text.get_text() for text in ax.texts[:-1]}
    order = np.argsort(observed)
    assert {f"g{order[0]}", f"g{order[-1]}"} <= named
    assert named <= {f"g{i}" for i in (*order[:3], *order[-3:])}


def test_scatter_of_everything_is_a_density(treated_wells):
    wells, change = treated_wells
    ax = pl.perturbation_scatter(wells, change)
    assert ax.collections[0].get_array().sum() == 48 * 20
    assert ax.texts[0].get_text().startswith("48 rows")
    some = change[wells.obs["drug"] == "drug 2"]
    assert pl.perturbation_scatter(wells, some).texts[0].get_text().startswith("12 rows")


def test_scatter_says_that_a_prediction_is_constant(treated_wells):
    wells, change = treated_wells
    ax = pl.perturbation_scatter(wells, 0 * change, "drug 1")
    assert ax.texts[-1].get_text() == "drug 1\nr = 0.00, constant"


def test_dose_time_joins_the_means_of_each_time(treated_wells):
    wells, change = treated_wells
    keys = {"dose_key": "dose", "time_key": "time"}
    ax = pl.dose_time(wells, "drug 1", "g3", **keys, predicted=change)
    obs = wells.obs
    observed = pd.Series(
        (wells.X - wells.obsm["dtp_control_scoring"])[:, 3], index=wells.obs_names
    )
    # Of each time: points, the line of means, the predicted line; after the line at zero.
    for lines, time in ((ax.lines[1:4], 6.0), (ax.lines[4:7], 24.0)):
        rows = (obs["drug"] == "drug 1") & (obs["time"] == time)
        mean = observed[rows].groupby(obs["dose"][rows]).mean()
        assert len(lines[0].get_xdata()) == 6
        np.testing.assert_allclose(lines[1].get_ydata(), mean, rtol=1e-5)
        planted = change["g3"][rows].groupby(obs["dose"][rows]).mean()
        np.testing.assert_allclose(lines[2].get_ydata(), planted)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["6 h", "24 h", "Observed", "Predicted"]
    assert ax.get_xscale() == "log"
    assert pl.dose_time(wells, "drug 1", "g3", dose_key="dose").get_legend() is None


def test_heatmap_holds_means_in_the_order_given(treated_wells):
    wells, change = treated_wells
    ax = pl.perturbation_heatmap(
        wells, ["g7", "g2"], ["drug 3", "drug 0"], predicted=change, limit=1.5
    )
    observed = wells.X - wells.obsm["dtp_control_scoring"]
    for image, table in zip(ax.images, (observed, change.to_numpy()), strict=True):
        for j, drug in enumerate(("drug 3", "drug 0")):
            rows = (wells.obs["drug"] == drug).to_numpy()
            np.testing.assert_allclose(
                image.get_array()[:, j], table[rows].mean(axis=0)[[7, 2]], rtol=1e-4, atol=1e-6
            )
        assert image.get_clim() == (-1.5, 1.5)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["g7", "g2"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["drug 3", "drug 0"] * 2
    assert len(pl.perturbation_heatmap(wells, ["g7"], ["drug 3"]).images) == 1


def test_benchmark_orders_by_independent_controls(evaluated):
    ax = pl.perturbation_benchmark(evaluated)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == [
        "XPert",
        "Mean change",
        "XPert, drugs zeroed",
        "Mean of the cell line's controls",
    ]
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == [0.3, 0.25, 0.2, -0.01, 0.5, 0.4, 0.45, 0.55]
    assert ax.lines[1].get_xdata()[0] == 0.45
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["Replicate ceiling, 0.45", "Independent controls", "Own controls"]
    colors = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert len(set(colors)) == 6


def test_benchmark_of_ranks_puts_the_lowest_first(evaluated):
    ax = pl.perturbation_benchmark(evaluated, metric="discrimination_l1", grouping="drug")
    assert ax.get_yticklabels()[0].get_text().startswith("Mean of")
    assert ax.get_legend().get_texts()[0].get_text() == "Chance, 0.50"
    assert "(drug)" in ax.get_xlabel()


def test_benchmark_takes_the_table_or_some_models(evaluated):
    ax = pl.perturbation_benchmark(evaluated["table"], models=["XPert", "mean_delta"])
    assert len(ax.get_yticklabels()) == 2


def test_benchmark_marks_simulated_data_beside_its_legend(evaluated):
    assert pl.perturbation_benchmark(evaluated).get_title(loc="right") == ""
    ax = pl.perturbation_benchmark({**evaluated, "params": {"simulated": True}})
    assert ax.get_title(loc="right") == "simulated data"
    ax.figure.canvas.draw()
    (mark,) = ax.findobj(lambda artist: getattr(artist, "_text", "") == "simulated data")
    assert not mark.get_window_extent().overlaps(ax.get_legend().get_window_extent())


def test_bad_input(treated_wells, evaluated):
    wells, change = treated_wells
    with pytest.raises(TypeError, match="predicted changes as a DataFrame"):
        pl.perturbation_scatter(wells, change.to_numpy())
    with pytest.raises(KeyError, match="Did you mean drug 1"):
        pl.perturbation_scatter(wells, change, "drug1")
    with pytest.raises(ValueError, match="predictions for all genes; found none for g0"):
        pl.perturbation_scatter(wells, change.drop(columns="g0"), "drug 1")
    with pytest.raises(ValueError, match="predictions for all rows"):
        pl.perturbation_heatmap(wells, ["g1"], ["drug 1"], predicted=change.iloc[:9])
    with pytest.raises(KeyError, match="genes of the data"):
        pl.dose_time(wells, "drug 1", "G3", dose_key="dose")
    with pytest.raises(KeyError, match="`dose_key` to name a key"):
        pl.dose_time(wells, "drug 1", "g3", dose_key="doses")
    with pytest.raises(ValueError, match="numbers above 0"):
        pl.dose_time(wells, "drug 1", "g3", dose_key="drug")
    for genes, drugs in (([], ["drug 1"]), (["g1"], [])):
        with pytest.raises(ValueError, match="to draw; found none"):
            pl.perturbation_heatmap(wells, genes, drugs)
    with pytest.raises(ValueError, match="`limit` in"):
        pl.perturbation_heatmap(wells, ["g1"], ["drug 1"], limit=0.0)
    with pytest.raises(ValueError, match="the genes that controls were paired for"):
        pl.perturbation_scatter(wells[:, ::-1].copy(), change)
    bare = wells.copy()
    del bare.obsm["dtp_control"]
    with pytest.raises(KeyError, match=r"Run dtp\.pp\.pair_controls first"):
        pl.perturbation_scatter(bare, change)
    for change_, match in (
        ({"metric": "pearson"}, "`metric` to be one of"),
        ({"grouping": "cell"}, "`grouping` to be one of"),
        ({"part": "valid"}, "`part` to be one of"),
        ({"models": ["none"]}, "`models` to be one of"),
        ({"models": []}, "models to draw"),
    ):
        with pytest.raises(ValueError, match=match):
            pl.perturbation_benchmark(evaluated, **change_)


def test_too_many_times(treated_wells):
    wells = treated_wells[0].copy()
    wells.obs["time"] = np.arange(1, wells.n_obs + 1)
    with pytest.raises(ValueError, match="at most 6 times"):
        pl.dose_time(wells, "drug 1", "g3", dose_key="dose", time_key="time")
    assert plt.get_fignums() == []
