from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtp_scvi import stats


def make_rows(n_donors, n=600, seed=0, shift=0.5):
    rng = np.random.default_rng(seed)
    labels, donors = rng.random(n) < 0.5, np.arange(n) % n_donors
    logit = 2 * labels - 1 + rng.normal(size=n) + shift * rng.normal(size=n_donors)[donors]
    return labels, stats.sigmoid(logit), donors


def test_equals_leaving_out_one_donor_after_the_other():
    labels, p, donors = make_rows(12)
    table = stats.conformal_coverage(labels, p, donors, levels=(0.8, 0.9), n_boot=10)
    for level, rows in table.groupby("level"):
        shares = {0: [], 1: []}
        sizes = {0: [], 1: []}
        for donor in range(12):
            rest, out = donors != donor, donors == donor
            sets = stats.MondrianConformal.fit(
                p[rest], labels[rest], groups=donors[rest], level=level
            ).predict(p[out])
            for side in (0, 1):
                own = labels[out] == side
                shares[side].append(sets[own, side].mean())
                sizes[side].append(sets[own].sum(axis=1).mean())
        for row in rows.itertuples():
            side = getattr(row, "_2")  # noqa: B009 - pandas renames the column "class"
            assert row.coverage == pytest.approx(np.mean(shares[side]), abs=1e-12)
            assert row.set_size == pytest.approx(np.mean(sizes[side]), abs=1e-12)
            assert row.low <= row.coverage <= row.high
            assert (row.n_groups, row.reason) == (12, "")


def test_the_promise_is_kept_for_exchangeable_donors():
    tables = [stats.conformal_coverage(*make_rows(24, seed=seed), n_boot=5) for seed in range(20)]
    mean = pd.concat(tables).groupby(["level", "class"])["coverage"].mean()
    for (level, _), value in mean.items():
        assert value == pytest.approx(level, abs=0.02)


def test_a_level_for_which_donors_do_not_suffice_has_a_reason_and_no_number():
    labels, p, donors = make_rows(10)
    table = stats.conformal_coverage(labels, p, donors, n_boot=10)
    refused = table[table["reason"] != ""]
    assert refused["level"].tolist() == [0.95, 0.95]
    assert set(refused["reason"]) == {"needs 19 donors of each class to fit on, 9 left"}
    assert refused[["coverage", "low", "high", "set_size"]].isna().all(axis=None)
    assert refused["n"].tolist() == [(~labels).sum(), labels.sum()]
    # One donor more would be the fewest for which the fit itself does not refuse.
    with pytest.raises(ValueError, match="at least 19 donors"):
        stats.MondrianConformal.fit(p, labels, groups=donors, level=0.95)


def test_donors_of_one_class_are_counted_in_their_class():
    labels, p, donors = make_rows(40, n=1200)
    labels = donors < 20
    table = stats.conformal_coverage(labels, p, donors, n_boot=10)
    assert table["n_groups"].tolist() == [20] * 6
    # Twenty parts of one donor of each class: nineteen are left.
    assert (table["reason"] == "").all()


@pytest.mark.parametrize(("groups", "reason"), [(None, "donors unknown"), ([1] * 4, "one donor")])
def test_without_donors_there_is_nothing_to_promise(groups, reason):
    table = stats.conformal_coverage([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8], groups, levels=[0.5])
    assert table["reason"].tolist() == [reason] * 2
    assert table["coverage"].isna().all()
    assert table["n"].tolist() == [2, 2]


def test_a_class_of_one_donor_is_refused_at_every_level():
    labels, p, donors = make_rows(6)
    labels &= donors < 2
    table = stats.conformal_coverage(labels, p, donors, levels=[0.4], n_boot=10)
    assert table["reason"].tolist() == ["", ""]
    labels &= donors == 0
    table = stats.conformal_coverage(labels, p, donors, levels=[0.4], n_boot=10)
    assert table["reason"].tolist() == ["needs 1 donors of each class to fit on, 0 left"] * 2


def test_same_seed_same_numbers_in_any_row_order():
    labels, p, donors = make_rows(30)
    first, again, other = (
        stats.conformal_coverage(labels, p, donors, n_folds=4, seed=seed, levels=[0.8])
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["coverage"].equals(other["coverage"])
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = stats.conformal_coverage(
        labels[order], p[order], donors[order], n_folds=4, seed=1, levels=[0.8]
    )
    pd.testing.assert_frame_equal(first, shuffled, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": [0, 0]}, "both classes"),
        ({"probabilities": [0.5, 1.5]}, r"`probabilities` in \[0, 1\]"),
        ({"groups": ["a"]}, "`groups` to hold 2 values"),
        ({"levels": []}, "at least one of `levels`; found none"),
        ({"levels": [1.0]}, r"`levels` in \(0, 1\); found 1.0"),
        ({"n_folds": 0}, "`n_folds` to be a whole number"),
    ],
)
def test_bad_input_is_an_error(change, match):
    good = {"labels": [0, 1], "probabilities": [0.2, 0.8], "groups": ["a", "b"]}
    with pytest.raises(ValueError, match=match):
        stats.conformal_coverage(**(good | change))
