"""The volcano: who is drawn how, labels that don't collide, what it says beside."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from dtp_scvi import pl
from dtp_scvi.pl._style import BLUE, GREY, ORANGE, VERMILLION


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 120
    difference = rng.normal(0, 0.1, n)
    difference[:14] = rng.normal(-0.7, 0.08, 14)
    p = np.where(np.arange(n) < 14, 10 ** rng.uniform(-12, -10, n), rng.uniform(0.05, 1, n))
    p[20], difference[20] = 1e-5, 0.4
    frame = pd.DataFrame(
        {
            "difference": difference,
            "p": p,
            "q": np.minimum(1, p * 8),
            "is_common_essential": False,
        },
        index=[f"GENE{i}" for i in range(n)],
    )
    frame.iloc[30:40, 3] = True
    frame.iloc[0, 3] = True
    frame.loc["UNTESTED"] = [np.nan, np.nan, np.nan, False]
    params = {"disease": "Acute Myeloid Leukemia", "simulated": True}
    frame.attrs["dtp_essentiality"] = {"set": {"n": 14, "p": 0.002}, "params": params}
    return frame


def drawn(ax):
    return {line.get_label().split(" (")[0]: line for line in ax.lines if line.get_marker() != ""}


def test_each_gene_is_drawn_once_in_its_group(table):
    ax = pl.essentiality(table, fdr=0.05)
    groups = {k: v for k, v in drawn(ax).items() if v.get_linestyle() == "None"}
    assert {name: len(line.get_xdata()) for name, line in groups.items()} == {
        "not significant": 95,
        "common essential": 10,
        "common essential, significant": 1,
        "less needed": 1,
        "selective": 13,
    }
    colors = [groups[name].get_color() for name in groups]
    assert colors == [GREY, GREY, ORANGE, BLUE, VERMILLION]
    assert groups["common essential"].get_marker() == "s"
    assert (groups["selective"].get_xdata() < 0).all()
    height = -np.log10(table["p"]["GENE20"])
    assert groups["less needed"].get_ydata()[0] == pytest.approx(height)


def test_labels_are_the_most_significant_selective_genes_and_do_not_overlap(table):
    ax = pl.essentiality(table, n_labels=8)
    texts = [text for text in ax.texts if text.get_text().startswith("GENE")]
    top = table.iloc[1:14].sort_values("p").index[:8]
    assert {text.get_text() for text in texts} <= set(top)
    assert len(texts) >= 6
    ax.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in texts]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
        assert not box.overlaps(ax.get_legend().get_window_extent())


def test_it_says_where_the_numbers_come_from(table):
    fig, ax = plt.subplots()
    assert pl.essentiality(table, ax=ax) is ax
    assert ax.get_title("left") == "set of 14: p = 0.002, matched"
    assert ax.get_title("right") == "simulated data"
    assert ax.get_xlabel() == "Gene effect: Acute Myeloid Leukemia − other lineages"
    plain = pd.DataFrame(table.to_dict(), index=table.index)
    ax = pl.essentiality(plain)
    assert ax.get_title("left") == ax.get_title("right") == ""
    plt.close(fig)


def test_source_is_not_changed(table):
    before = table.copy()
    pl.essentiality(table)
    pd.testing.assert_frame_equal(table, before)


def test_chosen_genes_and_bad_arguments(table):
    ax = pl.essentiality(table, genes=["GENE20"])
    assert [text.get_text() for text in ax.texts] == ["GENE20"]
    assert pl.essentiality(table, n_labels=0).texts[:] == []
    with pytest.raises(KeyError, match="Did you mean GENE"):
        pl.essentiality(table, genes=["GENE20x"])
    with pytest.raises(KeyError, match="'UNTESTED'"):
        pl.essentiality(table, genes=["UNTESTED"])
    with pytest.raises(ValueError, match="a summary of one disease has no other lineages"):
        pl.essentiality(table.assign(difference=np.nan))
    with pytest.raises(KeyError, match="a table with columns difference"):
        pl.essentiality(table.drop(columns="p"))
    with pytest.raises(ValueError, match=r"`fdr` in \[0, 1\]"):
        pl.essentiality(table, fdr=-1)
