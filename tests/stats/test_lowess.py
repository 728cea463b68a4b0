"""The line of statsmodels, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.nonparametric.smoothers_lowess import lowess as reference

from dtp_scvi import stats


def test_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    x = rng.random(80)
    y = np.sin(6 * x) + 0.1 * rng.normal(size=80)
    line = stats.lowess(x, y, share=0.3)
    wanted = reference(y, x, frac=0.3, delta=0.0)
    np.testing.assert_allclose(
        np.interp(wanted[:, 0], line["x"], line["y"]), wanted[:, 1], atol=0.02
    )
    assert (np.diff(line["x"]) > 0).all()


def test_too_little_to_smooth_gives_no_line():
    assert len(stats.lowess(range(5), range(5))) == 0
    assert len(stats.lowess([0, 1] * 10, range(20))) == 0
    # Mostly zeros, as expression is: the line ends where there is none to draw.
    x = np.r_[np.zeros(50), 1, 2, 3]
    assert np.isfinite(stats.lowess(x, x).to_numpy()).all()


def test_refuses():
    with pytest.raises(ValueError, match="`share`"):
        stats.lowess(range(20), range(20), share=0.0)
    with pytest.raises(ValueError, match="`y` to hold 20 values"):
        stats.lowess(range(20), range(19))
