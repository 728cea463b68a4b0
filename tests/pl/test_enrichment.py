"""Dots and forests show the numbers of the tables they are given."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl
from dtp_scvi.pl._style import BLUE, ORANGE, SKY


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def dots(ax):
    return ax.collections[0]


def test_dots_are_scores_areas_and_rates(enriched):
    ax = pl.enrichment(enriched)
    assert names(ax) == ["UP (40/40)", "FLAT (15/30)", "DOWN (5/20)"]
    assert dots(ax).get_offsets()[:, 0].tolist() == [6.0, 0.5, -3.0]
    assert [to_hex(color) for color in dots(ax).get_facecolors()] == [
        BLUE.lower(),
        "#ffffff",
        SKY.lower(),
    ]
    areas = dots(ax).get_sizes()
    # Linear in the share that was found.
    assert (areas[0] - areas[1]) == pytest.approx(2 * (areas[1] - areas[2]))
    assert ax.get_legend().get_title().get_text() == "gene labels permuted"


def test_the_strictest_test_is_drawn_unless_another_is_named(enriched):
    enriched["q_donors"] = [0.5, 0.5, 0.001, np.nan]
    ax = pl.enrichment(enriched)
    assert ax.get_legend().get_title().get_text() == "donors permuted"
    assert to_hex(dots(ax).get_facecolors()[2]) == BLUE.lower()
    assert pl.enrichment(enriched, test="q").get_legend().get_title().get_text() == (
        "genes independent"
    )


def test_sets_of_lowest_rate_are_drawn(enriched):
    ax = pl.enrichment(enriched, max_sets=2)
    assert names(ax) == ["UP (40/40)", "DOWN (5/20)"]
    assert "2 of 3 sets" in ax.get_xlabel()
    assert names(pl.enrichment(enriched, sets=["SET_FLAT"])) == ["SET FLAT (15/30)"]


def test_enrichment_names_what_is_missing(enriched):
    two = enriched.copy()
    two["contrast"] = ["a", "a", "b", "b"]
    with pytest.raises(ValueError, match="`contrast` to name what to draw; found None, with a, b"):
        pl.enrichment(two)
    assert names(pl.enrichment(two, contrast="b")) == ["SET DOWN (5/20)"]
    with pytest.raises(KeyError, match="`contrast` to be one of the result; found 'c'"):
        pl.enrichment(two, contrast="c")
    with pytest.raises(KeyError, match="`sets` to name sets that were tested; found 'SET_SMALL'"):
        pl.enrichment(enriched, sets=["SET_SMALL"])
    with pytest.raises(KeyError, match="`test` to be one of q_permutation, q; found 'q_donors'"):
        pl.enrichment(enriched, test="q_donors")
    with pytest.raises(ValueError, match="a p-value of the sets; found none"):
        pl.enrichment(enriched.assign(q=np.nan, q_permutation=np.nan))
    with pytest.raises(KeyError, match=r"a table with columns contrast.*what dtp\.tl\.enrichment"):
        pl.enrichment(enriched.drop(columns="score"))
    with pytest.raises(KeyError, match=r"uns\['dtp_enrichment'\].*Run dtp\.tl\.enrichment first"):
        pl.enrichment(ad.AnnData(np.zeros((2, 1), np.float32)))


def test_forest_is_the_table(compared):
    ax = pl.signatures(compared)
    assert names(ax) == ["lsc17", "plsc 6"]
    points = [line for line in ax.lines if line.get_marker() in "oD"]
    assert [line.get_xdata()[0] for line in points] == [0.5, 0.2, -0.1, -0.05]
    assert [to_hex(line.get_markerfacecolor()) for line in points] == [
        BLUE.lower(),
        *["#ffffff"] * 3,
    ]
    assert to_hex(points[1].get_color()) == ORANGE.lower()
    written = [text.get_text() for text in ax.texts]
    assert written[:3] == ["0.50 [0.30, 0.70]", "40", "0.001"]
    assert len(ax.get_legend().get_texts()) == 2


def test_forest_without_partial_has_no_legend(compared):
    columns = [name for name in compared if name.startswith("partial")]
    ax = pl.signatures(compared.assign(**dict.fromkeys(columns, np.nan)), max_signatures=1)
    assert ax.get_legend() is None
    assert names(ax) == ["lsc17"]
    assert "1 of 2" in ax.get_xlabel()


def test_forest_names_what_is_missing(compared):
    with pytest.raises(ValueError, match="a signature with a correlation; found none"):
        pl.signatures(compared.assign(rho=np.nan))
    with pytest.raises(KeyError, match=r"Run dtp\.tl\.compare_signatures first"):
        pl.signatures(ad.AnnData(np.zeros((2, 1), np.float32)))


def test_simulated_data_are_called_so(enriched, compared):
    for draw, table in ((pl.enrichment, enriched), (pl.signatures, compared)):
        result = {"table": table, "params": {"simulated": True, "method": "ulm"}}
        assert draw(result).get_title("right") == "simulated data"
