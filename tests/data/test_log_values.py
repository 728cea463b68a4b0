from __future__ import annotations

import numpy as np
import pytest

from dtp_scvi.data import check_log_values

RNG = np.random.default_rng(0)
LOGS = RNG.normal(8, 2, (60, 120)).clip(2, 15)


def test_logarithms_pass():
    check_log_values(LOGS)
    check_log_values(LOGS - 6)  # log2 ratios without a pseudocount go below zero


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (RNG.poisson(2.0, (60, 120)).astype(float), "logarithms in adata.X; found counts"),
        (np.exp2(LOGS), r"values up to 2\.34e\+04\. Normalise"),
        (LOGS - LOGS.mean(axis=0), r"z-scores.*level-3"),
        (np.where(LOGS > 14, np.nan, LOGS), "NaN values"),
    ],
)
def test_others_are_refused(values, match):
    with pytest.raises(ValueError, match=match):
        check_log_values(values)
