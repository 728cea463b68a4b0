from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtp_scvi.data import check_parts, split_rows

PARTS = ["train", "valid", "test"]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(PARTS)), min_size=3, max_size=30))
def test_passes_exactly_when_disjoint_and_complete(rows):
    groups, parts = zip(*rows, strict=True)
    members = {part: {g for g, p in rows if p == part} for part in PARTS}
    fine = all(members.values()) and sum(map(len, members.values())) == len(set(groups))
    if fine:
        check_parts(groups, parts)
    else:
        with pytest.raises(ValueError, match=r"in one part each|rows in each of"):
            check_parts(groups, parts)


def test_groups_in_two_parts_are_listed():
    with pytest.raises(ValueError, match=r"drugs in one part each; found 1 of 3 .*\(b\)"):
        check_parts(["a", "b", "b", "c"], ["train", "valid", "test", "test"], what="drugs")


def test_a_missing_validation_part_is_refused():
    with pytest.raises(ValueError, match=r"none in valid.*Carve"):
        check_parts(["a", "b"], ["train", "test"])


def test_rows_by_part():
    obs = pd.DataFrame({"split": ["test", "train", None, "valid", "control"]}, index=list("abcde"))
    adata = ad.AnnData(np.ones((5, 1)), obs=obs)
    found = {name: rows.tolist() for name, rows in split_rows(adata).items()}
    assert found == {"train": [1], "valid": [3], "test": [0], "control": [4]}
    with pytest.raises(KeyError, match="Did you mean split"):
        split_rows(adata, "splt")
