"""The coefficients in the source are those of the published table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dtp_scvi.train._baseline_scores import LSC17_WEIGHTS, lsc17_weights

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def test_lsc17_is_the_published_table():
    path = DATA / "signatures" / "LSC17_Ng2016.csv"
    if not path.exists():
        pytest.skip("shared/data/signatures/LSC17_Ng2016.csv is not here")
    table = pd.read_csv(path)
    weights, missing = lsc17_weights(table["gene"].tolist())
    assert missing == ()
    assert weights == pytest.approx(table["coefficient"].to_numpy())
    assert len(LSC17_WEIGHTS) == len(table) == 17
