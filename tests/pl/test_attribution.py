from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl

RED, BLUE = "#d55e00", "#0072b2"


def names(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_bars_are_the_first_genes_with_their_sign(explained):
    ax = pl.attribution(explained, n_genes=6)
    assert names(ax) == [f"G{i}" for i in range(6)]
    bars = ax.containers[0]
    np.testing.assert_allclose(
        [bar.get_width() for bar in bars], explained["table"]["mean_abs"][:6]
    )
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [RED, BLUE] * 3
    inner = [bar.get_width() for bar in ax.containers[1]]
    np.testing.assert_allclose(inner, explained["table"]["residual_abs"][:6])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert ax.get_xlabel() == "Mean |contribution| (log-odds)"
    assert ax.get_title("left") == "linear part: 83% of the variance"
    assert ax.get_title("right") == "simulated data"


def test_a_gene_without_direction_is_grey(explained):
    explained["table"].iloc[:2, 2] = (0.4, np.nan)
    ax = pl.attribution(explained, n_genes=4)
    faces = [to_hex(bar.get_facecolor()) for bar in ax.containers[0]]
    assert faces == ["#8a8a8a", "#8a8a8a", RED, BLUE]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "either way" in words


def test_donors_are_points_or_a_range(explained):
    ax = pl.attribution(explained, n_genes=4)
    points = [c.get_offsets()[:, 0] for c in ax.collections]
    np.testing.assert_allclose(np.array(points).T, explained["donors"]["mean_abs"][:, :4])
    many = np.tile(explained["donors"]["mean_abs"], (8, 1))
    explained["donors"]["mean_abs"] = many
    ax = pl.attribution(explained, n_genes=4)
    (lines,) = ax.collections
    ends = np.array([segment[:, 0] for segment in lines.get_segments()])
    np.testing.assert_allclose(ends.T, np.quantile(many[:, :4], (0.1, 0.9), axis=0))
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "80 % of 40 donors" in words


def test_no_residual_and_one_donor_leave_their_marks_out(explained):
    explained["table"]["residual_abs"] = 0.0
    explained["donors"]["mean_abs"] = explained["donors"]["mean_abs"][:1]
    ax = pl.attribution(explained)
    assert len(ax.containers) == 1
    assert len(ax.collections) == 0
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["more raises", "more lowers"]


def test_beeswarm_places_every_cell_at_its_contribution(explained):
    ax = pl.attribution_beeswarm(explained, n_genes=3)
    assert names(ax) == ["G0", "G1", "G2"]
    assert len(ax.collections) == 3
    for place, points in enumerate(ax.collections):
        x, y = points.get_offsets().T
        np.testing.assert_allclose(x, explained["cells"]["attribution"][:, place])
        assert np.abs(y - place).max() <= 0.42
        color = points.get_array()
        assert 0 <= color.min() <= color.max() <= 1
        # More expression is a higher colour.
        order = np.argsort(explained["cells"]["expression"][:, place])
        assert (np.diff(color[order]) >= 0).all()


def test_beeswarm_of_constant_genes(explained):
    explained["cells"]["expression"][:, 0] = 2.0
    explained["cells"]["attribution"][:] = 0.0
    ax = pl.attribution_beeswarm(explained, n_genes=2)
    assert (ax.collections[0].get_array() == 0.5).all()


@pytest.mark.parametrize("draw", [pl.attribution, pl.attribution_beeswarm])
def test_takes_axes_and_says_what_has_to_run_first(draw, explained):
    _, ax = plt.subplots()
    assert draw(explained, ax=ax) is ax
    with pytest.raises(KeyError, match=r"Run dtp\.tl\.attribute"):
        draw({"params": {}})
    with pytest.raises(ValueError, match="`n_genes`"):
        draw(explained, n_genes=0)
