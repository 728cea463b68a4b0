"""Kaplan-Meier curves with numbers at risk and the hazard ratio."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl, tl
from dtp_scvi.pl._style import BLUE, GREY, VERMILLION


def curves(ax):
    return {
        line.get_label().split()[0]: line
        for line in ax.lines
        if line.get_drawstyle() == "steps-post"
    }


def numbers_at_risk(ax):
    """Counts below the axis by row, from left to right, without the names at the left."""
    rows = {}
    for text in ax.texts:
        rows.setdefault(text.get_position()[1], []).append(text.get_text())
    return {names[0]: names[1:] for names in rows.values()}


def test_curves_are_those_stored_in_colours_and_dashes_of_their_own(survived):
    km = survived.uns["dtp_survival"]["km"]
    drawn = curves(pl.survival(survived))
    assert list(drawn) == ["high", "middle", "low"]
    for name, color in (("high", VERMILLION), ("middle", GREY), ("low", BLUE)):
        rows = km[km["group"] == name]
        assert drawn[name].get_xdata().tolist() == rows["time"].tolist()
        assert drawn[name].get_ydata().tolist() == rows["survival"].tolist()
        assert to_hex(drawn[name].get_color()).upper() == color
    assert len({line.get_linestyle() for line in drawn.values()}) == 3


def test_bands_are_the_stored_intervals(survived):
    km = survived.uns["dtp_survival"]["km"]
    bands = pl.survival(survived).collections
    assert len(bands) == 3
    for band, name in zip(bands, ("high", "middle", "low"), strict=True):
        rows = km[km["group"] == name]
        drawn = set(band.get_paths()[0].vertices[:, 1].tolist())
        assert drawn == {*rows["low"].tolist(), *rows["high"].tolist()}


def test_numbers_at_risk_are_counted_at_the_ticks(survived):
    ax = pl.survival(survived)
    obs = survived.obs
    cuts = survived.uns["dtp_survival"]["params"]["cut_values"]
    groups = {
        "high": obs["risk"] >= cuts[1],
        "middle": (obs["risk"] >= cuts[0]) & (obs["risk"] < cuts[1]),
        "low": obs["risk"] < cuts[0],
    }
    written = numbers_at_risk(ax)
    assert set(written) == {"At risk", *groups}
    for name, rows in groups.items():
        expected = [str(int((obs.loc[rows, "days"] >= tick).sum())) for tick in ax.get_xticks()]
        assert written[name] == expected


def test_the_corner_holds_hazard_ratio_and_logrank(survived):
    table = survived.uns["dtp_survival"]["table"].set_index("term")
    ratio = table.loc["hazard_ratio"]
    legend = pl.survival(survived).get_legend()
    first, second = legend.get_title().get_text().splitlines()
    numbers = f"{ratio['estimate']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})"
    assert first == f"HR per SD: {numbers}, p < 0.001"
    assert second.startswith("Log-rank p")
    names = [text.get_text() for text in legend.get_texts()]
    assert [name.split()[0] for name in names] == ["high", "middle", "low"]
    assert "−" in names[2]


def test_an_adjusted_hazard_ratio_takes_its_place_and_is_called_so(survived):
    survived.obs["age"] = np.random.default_rng(1).normal(60, 10, survived.n_obs)
    keys = {"time_key": "days", "score_key": "risk"}
    tl.survival(survived, **keys, covariates=["age"], n_boot=5, key_added="os")
    ax = pl.survival(survived, key="os")
    ratio = survived.uns["os"]["table"].set_index("term").loc["hazard_ratio_adjusted"]
    title = ax.get_legend().get_title().get_text()
    assert title.startswith(f"HR per SD, adjusted: {ratio['estimate']:.2f} (")
    assert ax.get_xlabel() == "Days"


def test_the_corner_holds_the_test_within_strata(survived):
    survived.obs["site"] = np.where(np.arange(survived.n_obs) % 2, "A", "B")
    keys = {"time_key": "days", "score_key": "risk", "n_boot": 5}
    tl.survival(survived, **keys, strata=["site"])
    table = survived.uns["dtp_survival"]["table"]
    within = table["term"] == "logrank_stratified"
    table.loc[within, "p"] = 0.1234
    line = pl.survival(survived).get_legend().get_title().get_text().splitlines()[1]
    assert line == "Stratified log-rank p = 0.123"
    # Where strata leave nothing to compare, the plain one is there, and named.
    table.loc[within, "p"] = np.nan
    table.loc[table["term"] == "logrank", "p"] = 0.25
    line = pl.survival(survived).get_legend().get_title().get_text().splitlines()[1]
    assert line == "Log-rank, unstratified p = 0.250"


def test_simulated_data_are_called_so(survived):
    assert pl.survival(survived).get_title("right") == ""
    survived.uns["dtp_survival"]["simulated"] = True
    assert pl.survival(survived).get_title("right") == "simulated data"


def test_the_same_is_drawn_after_a_file(survived, tmp_path):
    survived.write_h5ad(tmp_path / "p.h5ad")
    read = ad.read_h5ad(tmp_path / "p.h5ad")
    before, after = pl.survival(survived), pl.survival(read)
    assert numbers_at_risk(after) == numbers_at_risk(before)
    assert sorted(curves(after)) == sorted(curves(before))


def test_without_a_split_the_reason_is_the_error(survived):
    tl.survival(survived, time_key="days", score_key="risk", cut=99.0, n_boot=5)
    with pytest.raises(ValueError, match=r"groups to draw; found no split. The cut leaves fewer"):
        pl.survival(survived)


def test_names_the_function_to_run_first(survived):
    with pytest.raises(KeyError, match=r"uns\['os'\].*Run dtp.tl.survival first"):
        pl.survival(survived, key="os")
    del survived.uns["dtp_survival"]["km"]
    with pytest.raises(KeyError, match="the result to hold 'km'"):
        pl.survival(survived)
