from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from dtp_scvi import pl, stats

RED, BLUE = "#d55e00", "#0072b2"


def test_dependence_draws_rows_and_their_line(explained):
    ax = pl.attribution_dependence(explained, "G3")
    cells = explained["cells"]
    np.testing.assert_allclose(
        np.asarray(ax.collections[0].get_offsets()),
        np.column_stack([cells["expression"][:, 3], cells["attribution"][:, 3]]),
    )
    line = stats.lowess(cells["expression"][:, 3], cells["attribution"][:, 3])
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), line.to_numpy())
    # More of G3 lowers the prediction.
    assert line["y"].iloc[-1] < line["y"].iloc[0]
    assert ax.get_xlabel().startswith("G3")
    assert ax.get_ylabel() == "Contribution (log-odds)"
    assert pl.attribution_dependence(explained).get_xlabel().startswith("G0")


def test_dependence_of_a_constant_gene_has_no_line(explained):
    explained["cells"]["expression"][:, 0] = 0.0
    assert len(pl.attribution_dependence(explained).lines) == 1
    with pytest.raises(KeyError, match="one of the 12 first genes"):
        pl.attribution_dependence(explained, "TP53")


def test_groups_are_blocks_of_signed_genes(explained):
    ax = pl.attribution_groups(explained, n_genes=4)
    widths = [bar.get_width() for bar in ax.patches]
    size = np.linspace(1.2, 0.1, 12)
    first = [size[0], size[2], -size[3], -size[1]]
    np.testing.assert_allclose(widths, [*first, *(-np.array(first))[::-1]])
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches[:4]] == [RED, RED, BLUE, BLUE]
    assert [text.get_text() for text in ax.get_yticklabels()[:4]] == ["G0", "G2", "G3", "G1"]
    assert [text.get_text() for text in ax.texts] == ["p1", "p2"]


def test_groups_in_the_order_asked_for(explained):
    ax = pl.attribution_groups(explained, ["p2", "p1"], n_genes=2)
    assert [text.get_text() for text in ax.texts] == ["p2", "p1"]
    with pytest.raises(KeyError, match="`groups` to name groups"):
        pl.attribution_groups(explained, "p3")
    del explained["groups"]
    with pytest.raises(KeyError, match=r"groupby=\.\.\."):
        pl.attribution_groups(explained)


def test_agreement_is_symmetric_and_written_out(agreeing):
    ax = pl.attribution_agreement(agreeing)
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(shown, [[1, 0.8, 0.25], [0.8, 1, -0.3], [0.25, -0.3, 1]])
    words = [text.get_text() for text in ax.texts if text.get_text()]
    assert len(words) == 6
    assert "−0.30\n[−0.50, −0.10]" in words
    with pytest.raises(KeyError, match="none called rho"):
        pl.attribution_agreement(agreeing.drop(columns="rho"))
