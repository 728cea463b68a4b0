"""Classes are filled up as published, from their own training rows, and linked pairs are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi.train import augment_classes, augmentation_multipliers


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((813, 467), (1.5, 2.6113)),
        ((728, 552), (1, 1.3188)),
        ((1160, 120), (1, 4)),
        ((1052, 228), (1.5, 4)),
        ((40, 40), (1, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_multipliers_of_the_specification(counts, expected):
    assert augmentation_multipliers(*counts) == pytest.approx(expected, abs=5e-5)


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_multipliers_keep_every_row_and_the_order_of_the_classes_near(a, b):
    major, minor = max(a, b), min(a, b)
    k_major, k_minor = augmentation_multipliers(major, minor)
    assert 1 <= k_major <= 1.5
    assert 1 <= k_minor <= 4
    assert k_minor * minor <= k_major * major * (1 + 1e-9) or k_minor == 1.2


def test_unfit_counts():
    with pytest.raises(ValueError, match="n_major >= n_minor; found 3 and 4"):
        augmentation_multipliers(3, 4)
    with pytest.raises(ValueError, match="`n_minor` to be a whole number >= 1"):
        augmentation_multipliers(3, 0)


def two_classes(n_major=60, n_minor=20, apart=8.0):
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [n_major, n_minor])
    rows = rng.normal(size=(len(codes), 4)).astype(np.float32)
    rows[:, 0] += apart * codes
    return rows, codes


def jitter(rows, seed):
    return rows + np.random.default_rng(seed).normal(0, 0.1, rows.shape).astype(np.float32)


def test_decoded_rows_follow_the_multipliers():
    rows, codes = two_classes()
    made, labels = augment_classes(rows, codes, "vae", 0, sample=jitter)
    k_major, k_minor = augmentation_multipliers(60, 20)
    expected = [60 + int((k_major - 1) * 60), 20 + int((k_minor - 1) * 20)]
    assert np.bincount(labels).tolist() == expected
    assert np.array_equal(made[:80], rows)
    # Each new row stems from a row of its own class.
    assert ((made[:, 0] > 4) == labels).all()
    again = augment_classes(rows, codes, "vae", 0, sample=jitter)[0]
    assert np.array_equal(again, made)
    assert not np.array_equal(augment_classes(rows, codes, "vae", 1, sample=jitter)[0], made)


def test_tied_classes_get_nothing():
    rows, codes = two_classes(30, 30)
    made, labels = augment_classes(rows, codes, "vae", 0, sample=jitter)
    assert np.array_equal(made, rows)
    assert np.array_equal(labels, codes)


def test_tomek_links_lose_their_row_of_the_larger_class():
    rows, codes = two_classes()
    rows[0] = rows[60] + 0.001
    made, _ = augment_classes(rows, codes, "vae", 0, sample=jitter)
    assert not (made == rows[0]).all(axis=1).any()
    assert (made == rows[60]).all(axis=1).any()


def test_smote_is_that_of_imbalanced_learn():
    from imblearn.combine import SMOTETomek
    from imblearn.under_sampling import TomekLinks

    rows, codes = two_classes(apart=1.0)
    made, labels = augment_classes(rows, codes, "smote", 3)
    expected, wanted = SMOTETomek(random_state=3, tomek=TomekLinks()).fit_resample(rows, codes)
    assert made == pytest.approx(expected)
    assert np.array_equal(labels, wanted)


def test_none_changes_nothing_and_one_row_has_no_neighbour():
    rows, codes = two_classes()
    made, labels = augment_classes(rows, codes, None, 0)
    assert made is rows
    assert labels is codes
    with pytest.raises(ValueError, match="two training rows or more of each class for SMOTE"):
        augment_classes(*two_classes(10, 1), "smote", 0)
    with pytest.raises(ValueError, match="a sampler for method='vae'; found none"):
        augment_classes(rows, codes, "vae", 0)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imblearn.under_sampling", None)
    with pytest.raises(ImportError, match="resampling"):
        augment_classes(*two_classes(), "smote", 0)
