from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from dtp_scvi import pl


def drawn(ax):
    return np.ma.filled(ax.images[0].get_array(), np.nan)


def test_colour_is_the_strength_of_association(audited):
    shown = drawn(pl.audit(audited))
    expected = [[0.6, 0.8], [1.0, 1.0], [0.0, 0.0], [np.nan, 0.84], [np.nan, 0.2]]
    assert shown == pytest.approx(np.array(expected), nan_ok=True)


def test_numbers_and_chance_are_written(audited):
    texts = [text.get_text() for text in pl.audit(audited).texts]
    for number in ("0.60", "0.90", "1.00", "0.30", "0.08", "chance ≤ 0.20", "chance ≤ 0.70"):
        assert number in texts
    assert texts.count("–") == 2


def test_what_determines_the_label_is_framed_and_named(audited):
    ax = pl.audit(audited)
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [round(frame.get_y() + frame.get_height() / 2, 6) for frame in frames] == [1.0]
    assert ax.get_yticklabels()[1].get_text() == "run\ndetermines label"


def test_frame_needs_a_share_of_one(audited):
    audited.loc[audited["check"] == "determined_by_batch", "value"] = 0.99
    ax = pl.audit(audited)
    assert not ax.patches
    assert ax.get_yticklabels()[1].get_text() == "run"


def contrast(first, second):
    """Contrast ratio of WCAG 2, written out again."""

    def luminance(color):
        part = [int(to_hex(color)[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in part]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("value", np.linspace(0, 1, 11))
def test_numbers_can_be_read_on_every_colour(audited, value):
    audited.loc[audited["check"] == "cramers_v", "value"] = value
    ax = pl.audit(audited)
    image = ax.images[0]
    text = next(t for t in ax.texts if t.get_text() == f"{value:.2f}" and t.get_position()[0] == 0)
    assert contrast(image.to_rgba(value), text.get_color()) >= 4.5


def test_words_do_not_leave_their_cell(audited):
    ax = pl.audit(audited)
    ax.figure.canvas.draw()
    half = ax.get_window_extent().width / 2
    assert all(text.get_window_extent().width < half for text in ax.texts)


def test_only_columns_or_only_statistics(audited):
    numbers = audited["check"] == "row_statistic"
    assert drawn(pl.audit(audited[~numbers])).shape == (3, 2)
    assert drawn(pl.audit(audited[numbers])).shape == (2, 2)


def test_scale_of_the_colours_does_not_depend_on_the_data(audited):
    audited.loc[audited["check"].isin(["cramers_v", "auroc"]), "value"] = 0.5
    assert pl.audit(audited).images[0].get_clim() == (0, 1)


def test_on_the_axes_of_a_caller(audited):
    _, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    assert pl.audit(audited, ax=axes[0]) is axes[0]


def test_what_is_no_audit(audited, scored):
    with pytest.raises(KeyError, match=r"uns\['dtp_audit'\].*Run dtp.pp.audit"):
        pl.audit(scored)
    with pytest.raises(TypeError, match="an AnnData or the stored result; found list"):
        pl.audit([1])
    with pytest.raises(KeyError, match="the result to hold 'table'"):
        pl.audit({"params": {}})
    with pytest.raises(KeyError, match="a table with columns check, subject"):
        pl.audit(pd.DataFrame({"a": [1]}))
    with pytest.raises(
        ValueError, match="an audit with a column or a row statistic; found neither"
    ):
        pl.audit(audited[audited["check"] == "determined_by_batch"])
