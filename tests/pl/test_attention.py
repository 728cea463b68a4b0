"""Attention on a structure and by gene: what is drawn where, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl


def test_each_atom_has_its_weight_on_its_place(looked_at):
    ax = pl.atom_attention(looked_at, "drug a")
    (discs,) = ax.collections
    np.testing.assert_allclose(discs.get_array(), [0.1, 2.0, 0.4, 0.0])
    assert discs.get_clim() == (0, 2.0)
    # A chain: each atom is one bond from the next and further from all others.
    places = discs.get_offsets()
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.testing.assert_allclose(np.diag(apart, 1), apart[0, 1], rtol=0.1)
    assert (np.diag(apart, 2) > 1.4 * apart[0, 1]).all()
    assert ax.get_title("right") == "simulated data"


def test_the_oxygen_is_drawn_where_its_disc_is(looked_at):
    ax = pl.atom_attention(looked_at, "drug a")
    x, y = ax.collections[0].get_offsets()[2]
    ink = np.asarray(ax.images[0].get_array())[..., 3]
    half = 35
    # Bonds end before a letter, and carbons have none: in the middle of a bond's end there is ink.
    around = ink[int(y) - half : int(y) + half, int(x) - half : int(x) + half]
    assert (around > 0).mean() > 0.05
    assert (ink > 0).mean() < 0.2


def test_an_atom_that_was_not_read_has_no_disc(looked_at):
    ax = pl.atom_attention(looked_at, "drug b", limit=2.0)
    assert len(ax.collections[0].get_array()) == 2
    assert ax.collections[0].get_clim() == (0, 2.0)
    assert ax.get_xlabel() == "drug b (2 of 5 atoms were read)"


def test_genes_stand_by_mean_with_their_spread(looked_at):
    ax = pl.gene_attention(looked_at, n_genes=5)
    table = looked_at["genes"]["table"].sort_values("mean", ascending=False)
    assert [text.get_text() for text in ax.get_yticklabels()] == table.index[:5].tolist()
    outer, inner = ([path.vertices[:, 0] for path in c.get_paths()] for c in ax.collections)
    np.testing.assert_allclose(outer, table[["q10", "q90"]][:5])
    np.testing.assert_allclose(inner, table[["q25", "q75"]][:5])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), table["mean"][:5])
    assert ax.lines[1].get_xdata()[0] == pytest.approx(table["mean"].mean())
    assert ax.get_xlabel() == "Attention to the gene (10 × patient)"


def test_groups_stand_by_p_and_what_is_not_found_is_hollow(looked_at):
    ax = pl.gene_attention(looked_at, by="difference", n_genes=20)
    table = looked_at["genes"]["table"]
    assert [text.get_text() for text in ax.get_yticklabels()] == table.index[:20].tolist()
    first, second = ax.collections[1:]
    np.testing.assert_allclose(first.get_offsets()[:, 0], table["mean_first"][:20])
    np.testing.assert_allclose(second.get_offsets()[:, 0], table["mean_second"][:20])
    hollow = [to_hex(face) == "#ffffff" for face in first.get_facecolor()]
    assert hollow == (table["q"][:20] > 0.05).tolist()
    assert 0 < sum(hollow) < 20
    n_found = int((table["q"][:20] <= 0.05).sum())
    assert ax.get_xlabel().endswith(f"({n_found} of these: q ≤ 0.05)")
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["response (n = 5)", "none (n = 5)"]


def test_bad_input(looked_at):
    with pytest.raises(KeyError, match=r"`drug` to name a drug.*Did you mean drug a"):
        pl.atom_attention(looked_at, "drug_a")
    with pytest.raises(ValueError, match=r"attention above 0.*found limit 0"):
        pl.atom_attention(looked_at, "drug a", limit=0.0)
    looked_at["atoms"]["table"].loc["drug b"] = np.nan
    with pytest.raises(ValueError, match="0 atoms of 'drug b'"):
        pl.atom_attention(looked_at, "drug b")
    with pytest.raises(ValueError, match="`by` to be one of"):
        pl.gene_attention(looked_at, by="p")
    del looked_at["genes"]["params"]["groups"]
    with pytest.raises(KeyError, match=r'two groups.*of="genes", groupby=\.\.\.\)'):
        pl.gene_attention(looked_at, by="difference")
    with pytest.raises(KeyError, match=r"the result to hold .*genes.*Run dtp.tl.attention"):
        pl.gene_attention({"atoms": looked_at["atoms"]})
