"""Figures of responders: who is where, and what is said beside."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl
from dtp_scvi.pl._style import BLUE, VERMILLION


def picture(ax):
    return np.asarray(ax.images[0].get_array())


def test_samples_stand_by_response_then_study(patients):
    adata, genes = patients
    ax = pl.response_heatmap(adata, genes, study_key="study")
    values = np.asarray(adata[:, genes].X)
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    response = adata.obs["response"].fillna(2).to_numpy()
    study = adata.obs["study"].to_numpy()
    order = np.lexsort([z.mean(axis=1), study, response])
    np.testing.assert_allclose(picture(ax), z[order].T)
    widths = [
        (to_hex(box.get_facecolor()).upper(), box.get_width())
        for box in ax.patches
        if box.get_y() == 0
    ]
    counts = [int((response == i).sum()) for i in range(3)]
    assert widths == list(zip((BLUE, VERMILLION, "#E4E4E4"), counts, strict=True))


def test_order_of_rows_and_storage_do_not_matter(patients):
    adata, genes = patients
    before = picture(pl.response_heatmap(adata, genes))
    order = np.random.default_rng(0).permutation(adata.n_obs)
    np.testing.assert_allclose(picture(pl.response_heatmap(adata[order], genes)), before)
    adata.layers["times"] = adata.X * 7
    np.testing.assert_allclose(picture(pl.response_heatmap(adata, genes, layer="times")), before)


def test_bad_heatmaps(patients):
    adata, genes = patients
    with pytest.raises(KeyError, match="`genes` to name genes of adata; found 'NONE'"):
        pl.response_heatmap(adata, [*genes, "NONE"])
    with pytest.raises(KeyError, match="`groupby` to name a key"):
        pl.response_heatmap(adata, genes, groupby="recis")
    with pytest.raises(KeyError, match="`study_key` to name a key"):
        pl.response_heatmap(adata, genes, study_key="cohort")
    with pytest.raises(ValueError, match="genes to draw; found none"):
        pl.response_heatmap(adata, [])
    with pytest.raises(ValueError, match=r"at most 4 levels.*41 in adata.obs\['patient'\]"):
        pl.response_heatmap(adata, genes, groupby="patient")
    adata.X[0, :] = np.nan
    with pytest.raises(ValueError, match="finite values"):
        pl.response_heatmap(adata, genes)


def test_levels_of_chance_are_named(protocols):
    ax = pl.leak_demonstration(protocols, study_chance=0.647)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == [
        "Honest",
        "Leaky",
        "Leaky, permuted labels",
        "Chance, 0.50",
        "Study alone, 0.65",
    ]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["AMU", "Random forest"]
    honest = next(line for line in ax.lines if line.get_label() == "Honest")
    assert honest.get_xdata().tolist() == [0.55, 0.59]
    plain = pl.leak_demonstration(protocols).get_legend().get_texts()
    assert "Study" not in " ".join(text.get_text() for text in plain)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: [1], TypeError, "a DataFrame"),
        (lambda t: t.drop(columns="low"), KeyError, "none called low"),
        (lambda t: t.iloc[:0], ValueError, "an AUROC in every row; found no row"),
        (lambda t: t.assign(auroc=np.nan), ValueError, "found 6 missing"),
        (lambda t: t.assign(high=1.2), ValueError, "AUROC from 0 to 1; found 1.2"),
        (lambda t: pd.concat([t, t]), ValueError, "several of AMU under honest"),
        (
            lambda t: pd.concat([t.assign(protocol=t["protocol"] + s) for s in "abc"]),
            ValueError,
            "at most 6 protocols; found 9",
        ),
    ],
)
def test_bad_tables(change, error, message, protocols):
    with pytest.raises(error, match=message):
        pl.leak_demonstration(change(protocols))


def test_bad_chance(protocols):
    with pytest.raises(ValueError, match="study_chance"):
        pl.leak_demonstration(protocols, study_chance=1.5)
