"""Figures of drug response: what is drawn, in which order, and what is said beside it."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl
from dtp_scvi.pl._style import BLUE, GREY, VERMILLION


def words(ax):
    return [text.get_text() for text in ax.texts]


def points(ax):
    return [line for line in ax.lines if line.get_marker() == "o"]


def test_forest_shows_tested_drugs_by_correlation_and_the_pooled_one(tested):
    ax = pl.drug_response(tested)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["drug a", "drug c", "drug b", "All drugs"]
    found = points(ax)
    assert [line.get_xdata()[0] for line in found] == [0.6, 0.05, -0.35]
    assert [line.get_color() for line in found] == [VERMILLION, GREY, BLUE]
    assert [line.get_markerfacecolor() == "white" for line in found] == [False, True, False]
    (diamond,) = ax.patches
    assert diamond.get_xy()[:, 0].min() == -0.05
    assert diamond.get_xy()[:, 0].max() == 0.25
    text = words(ax)
    assert "0.60 [0.40, 0.70]" in text
    assert "−0.35 [−0.55, −0.10]" in text
    assert "0.10 [−0.05, 0.25]" in text
    assert {"60", "50", "< 0.001", "0.04", "p 0.2"} <= set(text)


def test_forest_draws_the_drugs_asked_for_and_the_strongest_of_many(tested):
    ax = pl.drug_response(tested, drugs=["DRUG C", "drug a"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["drug a", "drug c", "All drugs"]
    ax = pl.drug_response(tested, max_drugs=2)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["drug a", "drug b", "All drugs"]
    assert "2 of 3 drugs" in ax.get_xlabel()
    found = points(pl.drug_response(tested, fdr=0.01))
    assert [line.get_markerfacecolor() == "white" for line in found] == [False, True, True]


def test_scatter_has_a_point_a_patient_and_medians_of_fifths(tested):
    ax = pl.drug_scatter(tested, "Drug B")
    cloud, middle = ax.lines
    kept = tested["response"]["drug b"].notna().to_numpy()
    score = tested["patients"]["score"].to_numpy()[kept]
    assert sorted(cloud.get_xdata()) == sorted(score)
    assert len(middle.get_xdata()) == 5
    assert middle.get_xdata()[0] == pytest.approx(np.median(np.sort(score)[:10]))
    assert ax.get_title("left") == "ρ = −0.35 [−0.55, −0.10], n = 50, q = 0.04"
    assert ax.get_ylabel() == "drug b (high: resistant)"


def test_waterfall_is_in_order_of_resistance_and_coloured_by_score(tested):
    ax = pl.drug_waterfall(tested, "drug a")
    heights = np.array([bar.get_height() for bar in ax.patches])
    assert len(heights) == 60
    assert (np.diff(heights) <= 0).all()
    assert np.median(heights) == pytest.approx(0, abs=1e-9)
    colors = [to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
    assert colors.count(VERMILLION) == colors.count(BLUE) == 30
    score, response = tested["patients"]["score"], tested["response"]["drug a"]
    best = score.iloc[response.argmax()] > score.median()
    assert (colors[0] == VERMILLION) == best
    tested["params"]["direction"] = "higher_is_sensitive"
    turned = [bar.get_height() for bar in pl.drug_waterfall(tested, "drug a").patches]
    assert (np.diff(turned) >= 0).all()
    assert "(high: sensitive)" in pl.drug_scatter(tested, "drug a").get_ylabel()


def test_an_untested_drug_is_drawn_with_the_reason(tested):
    ax = pl.drug_scatter(tested, "rare")
    assert ax.get_title("left") == "not tested: 5 patients, fewer than 50"
    assert len(ax.lines[0].get_xdata()) == 5


def test_controls_show_null_and_score(tested):
    ax = pl.null_controls(tested)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["Random panels", "Blast percentage"]
    text = words(ax)
    assert "score ranks 16 of 51" in text
    assert "0.20 [0.10, 0.30]" in text
    lines = [part for part in ax.collections if to_hex(part.get_color()[0]).upper() == VERMILLION]
    assert [part.get_segments()[0][0, 0] for part in lines] == [0.1, 0.12]
    assert sum(bar.get_height() > 0 for bar in ax.patches) >= 4


@pytest.mark.parametrize(
    "name", ["drug_response", "drug_scatter", "drug_waterfall", "null_controls"]
)
def test_it_says_where_the_numbers_come_from(name, tested):
    arguments = ["drug a"] if name in ("drug_scatter", "drug_waterfall") else []
    draw = getattr(pl, name)
    assert draw(tested, *arguments).get_title("right") == ""
    tested["guards"] = pd.DataFrame({"guard": ["complete"], "level": ["warning"]})
    tested["params"]["simulated"] = True
    expected = "simulated data · provenance doubtful: see the guards"
    assert draw(tested, *arguments).get_title("right") == expected
    adata = ad.AnnData(np.zeros((2, 1), np.float32), uns={"dtp_drug_response": tested})
    assert draw(adata, *arguments).get_title("right") == expected
    plt.close("all")
    empty = ad.AnnData(np.zeros((2, 1), np.float32))
    with pytest.raises(KeyError, match=r"Run dtp.tl.drug_response first"):
        draw(empty, *arguments)


def test_bad_arguments_are_named(tested):
    with pytest.raises(KeyError, match=r"found 'drug z'.*Did you mean drug"):
        pl.drug_scatter(tested, "drug z")
    with pytest.raises(KeyError, match="found 'x'"):
        pl.drug_response(tested, drugs=["x"])
    with pytest.raises(ValueError, match="a drug that was tested; found none"):
        pl.drug_response(tested, drugs=["rare"])
    with pytest.raises(ValueError, match="`max_drugs` to be a whole number"):
        pl.drug_response(tested, max_drugs=0)
    with pytest.raises(ValueError, match=r"`fdr` in \[0, 1\]"):
        pl.drug_response(tested, fdr=2)
    with pytest.raises(ValueError, match="a result with negative controls; found none"):
        pl.null_controls({**tested, "controls": {}})
    tested["response"]["rare"] = np.nan
    with pytest.raises(ValueError, match="patients tested with 'rare'; found none"):
        pl.drug_waterfall(tested, "rare")
