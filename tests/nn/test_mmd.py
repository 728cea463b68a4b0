"""The discrepancy is that of a double loop over rows, zero for equal sets, and has a slope."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dtp_scvi.nn import mmd2


def sets(n=7, m=9, d=3, move=0.0):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + move


def naive(x, y, widths, *, unbiased):
    joint = np.concatenate([x, y])
    apart = [np.linalg.norm(a - b) for i, a in enumerate(joint) for b in joint[:i]]
    # torch takes the lower of the two middle values.
    median = np.sort(apart)[(len(apart) - 1) // 2]

    def kernel(a, b):
        return np.mean([np.exp(-np.sum((a - b) ** 2) / (2 * (w * median) ** 2)) for w in widths])

    def own(rows):
        pairs = [
            kernel(a, b)
            for i, a in enumerate(rows)
            for j, b in enumerate(rows)
            if not (unbiased and i == j)
        ]
        return np.mean(pairs)

    return own(x) + own(y) - 2 * np.mean([kernel(a, b) for a in x for b in y])


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("widths", [(1.0,), (0.25, 1.0, 4.0)])
def test_double_loop(widths, unbiased):
    x, y = sets(move=0.4)
    found = mmd2(torch.tensor(x), torch.tensor(y), bandwidths=widths, unbiased=unbiased)
    assert found.item() == pytest.approx(naive(x, y, widths, unbiased=unbiased), abs=1e-12)


def test_equal_sets_have_none_and_distant_sets_have_more():
    x, y = (torch.tensor(part, dtype=torch.float32) for part in sets(60, 60))
    assert mmd2(x, x).item() == pytest.approx(0, abs=1e-6)
    assert mmd2(x, x, bandwidths=(1.0,)).item() == pytest.approx(0, abs=1e-6)
    assert mmd2(x + 1e4, x + 1e4).item() == pytest.approx(0, abs=1e-6)
    near, far = mmd2(x, y + 0.5).item(), mmd2(x, y + 3).item()
    assert mmd2(x, y).item() < near < far


def test_unbiased_is_zero_on_average():
    rng = np.random.default_rng(1)
    found = [
        mmd2(*torch.tensor(rng.normal(size=(2, 20, 3))), unbiased=True).item() for _ in range(200)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / 200**0.5
    assert min(found) < 0


def test_gradient_is_that_of_differences():
    x, y = (torch.tensor(part, requires_grad=True) for part in sets(move=0.5))
    for through in (True, False):
        (slope,) = torch.autograd.grad(mmd2(x, y, through_median=through), y)
        assert slope.abs().max() > 1e-4
    full = torch.autograd.grad(mmd2(x, y, through_median=True), y)[0][2, 1].item()
    step = torch.zeros_like(y)
    step[2, 1] = 1e-6
    moved = [mmd2(x, y + sign * step).item() for sign in (1, -1)]
    assert full == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-5)
    # Equal rows have no distance, and still a finite slope.
    (slope,) = torch.autograd.grad(mmd2(x, x.detach(), through_median=True), x)
    assert torch.isfinite(slope).all()


def test_too_few_rows():
    x, y = (torch.tensor(part) for part in sets())
    with pytest.raises(ValueError, match="at least 2 rows in each set; found 1 and 9"):
        mmd2(x[:1], y, unbiased=True)
    with pytest.raises(ValueError, match="at least 1 rows in each set; found 7 and 0"):
        mmd2(x, y[:0])
