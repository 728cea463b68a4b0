"""Over-representation of sets in a list, with the background that is named."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, hypergeom

from dtp_scvi import tl

GENES = [f"GENE{k:03d}" for k in range(200)]
SETS = {f"S{k}": GENES[25 * k : 25 * k + 25] for k in range(4)}


@settings(max_examples=25)
@given(st.sets(st.sampled_from(GENES), min_size=1), st.permutations(GENES))
def test_p_is_hypergeometric_in_the_background(genes, background):
    table = tl.over_representation(sorted(genes), SETS, background=background).set_index("source")
    for name, members in SETS.items():
        hits = len(genes & set(members))
        assert table.loc[name, "n_hits"] == hits
        assert table.loc[name, "p"] == pytest.approx(hypergeom.sf(hits - 1, 200, 25, len(genes)))
        assert table.loc[name, "expected"] == pytest.approx(25 * len(genes) / 200)
    assert table["q"].to_numpy() == pytest.approx(false_discovery_control(table["p"]))


def test_sets_and_list_are_counted_inside_the_background():
    model = SimpleNamespace(genes_=np.array([*GENES[:100], "GPR56"]))
    with pytest.warns(
        UserWarning, match="1 of 4 genes of the list are not in the background.*150"
    ):
        table = tl.over_representation(
            ["GENE000", "GENE001", "ADGRG1", "GENE150"],
            {"A": [*GENES[:10], *GENES[100:140], "ADGRG1"], "one": ["GENE002"]},
            background=model,
        ).set_index("source")
    row = table.loc["A"]
    assert (row["n_hits"], row["n_list"], row["n_found"], row["n_in_set"]) == (3, 3, 11, 51)
    assert row["n_background"] == 101
    assert row["hits"] == "ADGRG1, GENE000, GENE001"
    assert row["p"] == pytest.approx(hypergeom.sf(2, 101, 11, 3))
    assert not table.loc["one", "tested"]
    assert np.isnan(table.loc["one", ["p", "q", "log_odds"]].astype(float)).all()


def test_a_narrower_background_is_less_surprised():
    table = {
        n: tl.over_representation(GENES[:10], SETS, background=GENES[:n]).set_index("source")
        for n in (30, 200)
    }
    assert table[30].loc["S0", "p"] > 100 * table[200].loc["S0", "p"]


def test_the_largest_ratio_is_that_of_a_list_that_holds_the_set():
    sets = {"in": GENES[:20], "out": GENES[140:160], "large": GENES[:130]}
    table = tl.over_representation(GENES[:112], sets, background=GENES[:160]).set_index("source")
    assert table.loc["in", "ratio"] == pytest.approx(160 / 112)
    assert table["max_ratio"].to_dict() == pytest.approx(
        {"in": 160 / 112, "out": 160 / 112, "large": 160 / 130}
    )
    assert (table["ratio"] <= table["max_ratio"] + 1e-12).all()
    assert table.loc["out", "ratio"] == 0


def test_large_sets_are_listed_and_not_tested():
    sets = {"small": GENES[:20], "large": GENES[:130]}
    table = tl.over_representation(GENES[:12], sets, background=GENES, max_size=80)
    table = table.set_index("source")
    assert table["tested"].to_dict() == {"small": True, "large": False}
    assert table.loc["large", "reason"] == "130 genes found, more than 80"
    assert np.isnan(table.loc["large", "p"])
    assert table.loc["small", "q"] == table.loc["small", "p"]
    with pytest.raises(ValueError, match="at most 10 genes in the background; found sets of 20"):
        tl.over_representation(GENES[:12], sets, background=GENES, max_size=10)
    with pytest.raises(ValueError, match=r"`max_size` of `min_overlap` \(5\) or more; found 3"):
        tl.over_representation(GENES, sets, background=GENES, max_size=3, min_overlap=5)


def test_bad_lists_are_named():
    with pytest.raises(TypeError, match="`genes` as a list; found 'KIT'"):
        tl.over_representation("KIT", SETS, background=GENES)
    with pytest.raises(ValueError, match=r"genes of the list \(KIT\) in the background"):
        tl.over_representation(["KIT"], SETS, background=GENES)
    with pytest.raises(ValueError, match="a `background` of genes; found none"):
        tl.over_representation(GENES[:4], SETS, background=pd.Index([]))
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'background'"):
        tl.over_representation(GENES[:4], SETS)
