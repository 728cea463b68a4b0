"""Log-odds against the definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dtp_scvi.module import class_scores, one_against_rest


@pytest.mark.parametrize("n_outputs", [1, 3, 5])
def test_sigmoid_of_the_log_odds_is_the_softmax(n_outputs):
    raw = torch.from_numpy(np.random.default_rng(0).normal(0, 4, (20, n_outputs)))
    expected = torch.softmax(class_scores(raw), dim=1)
    torch.testing.assert_close(torch.sigmoid(one_against_rest(raw)), expected)


def test_one_output_is_the_log_odds_of_the_second_class():
    raw = torch.tensor([[2.0], [-1.0]])
    assert one_against_rest(raw).tolist() == [[-2.0, 2.0], [1.0, -1.0]]
    assert class_scores(raw).tolist() == [[0.0, 2.0], [0.0, -1.0]]
