from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl

RED, DARK = "#d55e00", "#333333"


def points(ax):
    """Height, place, edge and face of each method's point."""
    drawn = [line for line in ax.lines if line.get_marker() == "o"]
    return [
        (line.get_ydata()[0], line.get_xdata()[0], to_hex(line.get_color()), line)
        for line in drawn
    ]


@pytest.mark.parametrize("metric", ["auroc", "auprc"])
def test_methods_by_value_with_a_line_for_a_constant(carried_over, metric):
    ax = pl.drug_transfer(carried_over, metric=metric)
    table = carried_over.uns["dtp_drug_transfer"]["metrics"]
    rows = table[(table["metric"] == metric) & (table["model"] != "prevalence")]
    np.testing.assert_allclose(
        [place for _, place, _, _ in points(ax)], np.sort(rows["value"])[::-1]
    )
    assert ax.get_yticklabels()[0].get_text() == "Truth"
    constant = ax.lines[0].get_xdata()[0]
    assert constant == {"auroc": 0.5, "auprc": 0.5}[metric]
    assert "40 of 80 cells resistant" in ax.get_xlabel()
    assert ax.get_title("right") == "simulated data"
    plt.close("all")


def test_colour_says_whose_and_face_says_adapted(carried_over):
    ax = pl.drug_transfer(carried_over, models=["truth", "ridge_none", "ridge_adain"])
    names = [text.get_text() for text in ax.get_yticklabels()]
    found = {
        name: (color, to_hex(line.get_markerfacecolor()))
        for name, (_, _, color, line) in zip(names, points(ax), strict=True)
    }
    assert found == {
        "Truth": (RED, "#ffffff"),
        "Ridge": (DARK, "#ffffff"),
        "Ridge, AdaIN": (DARK, DARK),
    }


def test_scores_without_a_threshold_have_no_mcc(carried_over):
    ax = pl.drug_transfer(carried_over, metric="mcc")
    assert "Truth" not in [text.get_text() for text in ax.get_yticklabels()]


def test_refuses(carried_over):
    with pytest.raises(ValueError, match="`metric`"):
        pl.drug_transfer(carried_over, metric="accuracy")
    with pytest.raises(KeyError, match="Did you mean"):
        pl.drug_transfer(carried_over, models=["ridge_non"])
    with pytest.raises(KeyError, match=r"Run dtp\.tl\.compare_transfer first"):
        pl.drug_transfer(carried_over[:, :2].copy(), key="other")
