"""The coefficients in the source are those of the published table."""

from __future__ import annotations

import pytest

from dtp_scvi.train._baseline_scores import LSC17_WEIGHTS, lsc17_weights


def test_lsc17_is_the_published_table(lsc17):
    weights, missing = lsc17_weights(lsc17["gene"].tolist())
    assert missing == ()
    assert weights == pytest.approx(lsc17["coefficient"].to_numpy())
    assert len(LSC17_WEIGHTS) == len(lsc17) == 17
