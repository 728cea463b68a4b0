"""Figures of targets: what is drawn where, missing evidence apart from low evidence."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from dtp_scvi import pl, tl


def test_cells_are_quantiles_in_the_order_of_ranks(target_table):
    ax = pl.targets(target_table.sample(frac=1, random_state=1), n_top=10)
    assert [t.get_text() for t in ax.get_yticklabels()] == [f"GENE{i}" for i in range(10)]
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        *("Association", "Abundance", "Dependency", "Antibody")
    ]
    drawn = np.ma.filled(ax.images[0].get_array(), np.nan)
    np.testing.assert_allclose(drawn, target_table.iloc[:10, :4])
    assert ax.images[0].get_clim() == (0, 1)
    assert ax.get_xlabel() == "Evidence; 10 of 28 candidates"
    assert ax.get_title("right") == "simulated data"


def test_missing_evidence_is_white_and_hatched(target_table):
    ax = pl.targets(target_table, n_top=10)
    places = [(round(p.get_x() + 0.5), round(p.get_y() + 0.5)) for p in ax.patches]
    assert places == [(2, row) for row in range(3, 9)]
    assert {p.get_hatch() for p in ax.patches} == {"////"}
    assert {p.get_facecolor() for p in ax.patches} == {to_rgba("white")}
    lowest = ax.images[0].get_cmap()(0.0)
    assert np.abs(np.subtract(lowest, to_rgba("white"))).max() > 0.5


def test_ranks_stand_beside_their_genes(target_table):
    ax = pl.targets(target_table, n_top=10)
    (panel,) = ax.child_axes
    robust, ranks = panel.lines
    np.testing.assert_allclose(ranks.get_xdata(), np.arange(1, 11))
    np.testing.assert_allclose(ranks.get_ydata(), np.arange(10))
    np.testing.assert_allclose(robust.get_xdata(), target_table["rra_rank"].iloc[:10])
    ends = np.array([segment[:, 0] for segment in panel.collections[0].get_segments()])
    np.testing.assert_allclose(ends, target_table[["rank_low", "rank_high"]].iloc[:10])
    assert panel.get_ylim() == ax.get_ylim()
    assert "95 %" in panel.get_xlabel()
    plain = target_table.drop(columns=["rank_low", "rank_high"])
    (panel,) = pl.targets(plain).child_axes
    assert "95 %" not in panel.get_xlabel()
    assert len(panel.collections) == 0


def test_panel_lies_inside_the_axes_that_were_given(target_table):
    ax = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")[1][0]
    pl.targets(target_table, ax=ax)
    ax.figure.canvas.draw()
    inner, outer = ax.child_axes[0].get_window_extent(), ax.get_window_extent()
    assert inner.x1 <= outer.x1 + 1
    last = ax.transData.transform((3.5, 0))[0]
    assert inner.x0 > last


def test_curve_steps_at_the_controls_and_names_them(recovered):
    ax = pl.target_recovery(recovered)
    random, found = ax.lines
    np.testing.assert_allclose(found.get_ydata(), recovered["curve"]["found"])
    np.testing.assert_allclose(random.get_ydata(), recovered["curve"]["random"])
    words = [t.get_text() for t in ax.texts]
    assert words[:4] == ["GENE1", "GENE2", "GENE9", "GENE20"]
    p = recovered["table"].set_index("test").loc["matched_genes", "p"]
    note = ["4 of 5 ranked", "band: 95 % of matched random sets"]
    assert words[-1].split("\n") == [f"matched genes: p = {p:.2g}", *note]
    assert ax.get_title("right") == "simulated data"


def test_both_are_read_from_a_file(target_table, recovered, tmp_path):
    stored = {"table": target_table, "params": {"simulated": False}}
    adata = ad.AnnData(np.zeros((2, 1), dtype=np.float32))
    adata.uns = {"dtp_targets": stored, "dtp_target_recovery": recovered}
    target_table["removed_by"] = target_table["removed_by"].astype(str)
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata = ad.read_h5ad(tmp_path / "a.h5ad")
    assert pl.targets(adata).get_title("right") == ""
    assert len(pl.target_recovery(adata).lines) == 2


def test_what_can_not_be_drawn(target_table):
    with pytest.raises(ValueError, match="a ranked gene with evidence; found none"):
        pl.targets(target_table[target_table["rank"].isna()])
    with pytest.raises(KeyError, match=r"none called rank.*what dtp.tl.rank_targets returned"):
        pl.targets(target_table.drop(columns="rank"))
    with pytest.raises(KeyError, match=r"Run dtp.tl.target_recovery first"):
        pl.target_recovery(ad.AnnData(np.zeros((2, 1), dtype=np.float32)))
    with pytest.raises(ValueError, match="`n_top` to be a whole number"):
        pl.targets(target_table, n_top=0)


def test_ranked_samples_are_drawn_as_they_are():
    from dtp_scvi import datasets

    bulk = datasets.simulate_cohort(40, n_genes=200, n_drugs=4)
    options = {"surface_tier": None, "n_boot": 20, "n_shuffles": 20}
    tl.rank_targets(bulk, score_key="true_persister_fraction", **options)
    assert pl.targets(bulk, n_top=5).get_title("right") == "simulated data"
