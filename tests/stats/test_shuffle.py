from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtp_scvi.stats import shuffled_tables


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    donor = rng.integers(0, 8, 300)
    return pd.DataFrame(
        {"donor": donor, "tissue": donor % 3, "run": rng.integers(0, 2, 300), "y": donor % 2}
    )


def test_sums_are_kept_when_rows_are_shuffled(rows):
    unit, tables = shuffled_tables(rows["tissue"], rows["run"], n_draws=20)
    observed = pd.crosstab(rows["tissue"], rows["run"]).to_numpy()
    drawn = list(tables)
    assert unit == "rows"
    assert len(drawn) == 20
    for table in drawn:
        assert table.sum(axis=0).tolist() == observed.sum(axis=0).tolist()
        assert table.sum(axis=1).tolist() == observed.sum(axis=1).tolist()
    assert len({table.tobytes() for table in drawn}) > 10


def test_rows_shuffled_have_the_expected_table(rows):
    _, tables = shuffled_tables(rows["tissue"], rows["run"], n_draws=2000)
    observed = pd.crosstab(rows["tissue"], rows["run"]).to_numpy()
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / 300
    assert np.mean(list(tables), axis=0) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("column", "label"), [("tissue", "run"), ("run", "y"), ("tissue", "y")])
def test_whole_donors_are_dealt_out(rows, column, label):
    unit, tables = shuffled_tables(rows[column], rows[label], rows["donor"], n_draws=50)
    assert unit == "groups"
    fixed, free = (column, label) if column == "tissue" else (label, column)
    content = pd.crosstab(rows["donor"], rows[free]).to_numpy()
    of_donor = rows.groupby("donor")[fixed].first().to_numpy()
    possible = set()
    rng = np.random.default_rng(1)
    for _ in range(4000):
        dealt = rng.permutation(of_donor)
        table = np.stack([content[dealt == v].sum(axis=0) for v in np.unique(of_donor)])
        possible.add((table if fixed == column else table.T).astype(float).tobytes())
    drawn = {np.ascontiguousarray(table).tobytes() for table in tables}
    assert len(drawn & possible) > 0.9 * len(drawn)


def test_columns_that_vary_within_donors_are_shuffled_by_row(rows):
    other = np.random.default_rng(2).integers(0, 2, 300)
    assert shuffled_tables(rows["run"], other, rows["donor"], n_draws=1)[0] == "rows"


def test_one_level_gives_its_own_table():
    _, tables = shuffled_tables(["a"] * 5, [0, 0, 1, 1, 1], n_draws=3)
    assert [table.tolist() for table in tables] == [[[2.0, 3.0]]] * 3


def test_same_seed_same_tables(rows):
    def draw(seed):
        return np.array(list(shuffled_tables(rows["tissue"], rows["run"], seed=seed)[1]))

    assert np.array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))
