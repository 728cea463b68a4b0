"""The panel of a transfer check."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl
from dtp_scvi.pl._style import BLUE, ORANGE, VERMILLION


def words(ax):
    return [text.get_text() for text in ax.texts]


def points(ax):
    return {
        int(line.get_ydata()[0]): line
        for line in ax.lines
        if len(line.get_ydata()) == 1 and line.get_marker() in ("o", "s", "D")
    }


def test_each_measurement_is_placed_and_coloured_by_what_it_says(checked):
    ax = pl.transfer(checked)
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert len(rows) == 7
    drawn = points(ax)
    for name, value, color in (
        ("Importance on missing genes", 0.05, BLUE),
        ("Rows alike (1 − spread)", 0.96, VERMILLION),
        ("Shift of score quantiles", 0.4, ORANGE),
        ("Probabilities above 0.95", 0.3, BLUE),
    ):
        line = drawn[rows.index(name)]
        assert line.get_xdata()[0] == value
        assert line.get_color() == color
        assert f"{value:.2f}" in words(ax)
    shapes = {line.get_color(): line.get_marker() for line in drawn.values()}
    assert len(set(shapes.values())) == 3


def test_limits_shade_the_row_from_0_to_1(checked):
    ax = pl.transfer(checked)
    spans = {}
    for bar in ax.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        spans.setdefault(row, []).append(
            (round(bar.get_x(), 6), round(bar.get_width(), 6), to_hex(bar.get_facecolor()))
        )
    assert spans[0] == [
        (0, 0.1, BLUE.lower()),
        (0.1, 0.2, ORANGE.lower()),
        (0.3, 0.7, VERMILLION.lower()),
    ]
    # No shift alone makes it rank only: that limit lies beyond 1.
    assert [color for _, _, color in spans[4]] == [BLUE.lower(), ORANGE.lower()]
    assert [start for start, _, _ in spans[5]] == pytest.approx([0, 0.7])


def test_what_is_usual_in_training_is_marked(checked):
    ax = pl.transfer(checked)
    marks = [path.vertices[0, 0] for c in ax.collections for path in c.get_paths()]
    assert marks == [0.2]


def test_what_was_not_measured_is_said(checked):
    assert words(pl.transfer(checked)).count("not measured") == 2


def test_verdict_and_first_reason_stand_in_the_title(checked):
    title = pl.transfer(checked).get_title("left")
    assert title == "Verdict: rank only\nBulk samples are so alike."
    found = checked["transfer"] | {"verdict": "calls", "override": "calls"}
    title = pl.transfer(found).get_title("left")
    assert title.startswith("Verdict: calls (override; found rank only)\nBulk")
    clean = found | {"found": "calls", "reasons": np.array([], dtype=object)}
    assert pl.transfer(clean).get_title("left").endswith("Nothing measured speaks against it.")


def test_simulated_data_are_named_below_the_verdict(checked):
    adata = ad.AnnData(np.zeros((2, 1)), uns={"dtp": checked | {"simulated": True}})
    ax = pl.transfer(adata)
    assert ax.get_title("right") == "simulated data"
    assert ax.get_title("left").endswith("\n")


def test_values_beyond_the_axis_keep_their_number(checked):
    checked["transfer"]["measures"]["alike"] |= {"value": -0.4, "verdict": "calls"}
    ax = pl.transfer(checked)
    assert points(ax)[2].get_xdata()[0] == 0
    assert "−0.40" in words(ax)


def test_no_transfer_check(scored, checked):
    with pytest.raises(
        KeyError, match=r"the result to hold 'transfer'.*Run dtp.tl.transfer_check"
    ):
        pl.transfer(scored)
    with pytest.raises(KeyError, match=r"uns\['other'\].*dtp.tl.transfer_check"):
        pl.transfer(scored, key="other")
    del checked["transfer"]["measures"]
    with pytest.raises(KeyError, match="the result to hold 'measures'"):
        pl.transfer(checked)
