"""Confounding that was planted is found, and what was not planted is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dtp_scvi as dtp

KEYS = {"donor_key": "donor", "batch_keys": ["run", "site"]}


def test_clean_data_have_no_warning(cells):
    table = dtp.pp.audit(cells, "state", **KEYS)
    assert set(table["verdict"]) <= {"ok", "note"}, table[table["verdict"] == "warn"]
    assert dtp.pp.confounded(table) == []


def test_label_that_is_the_batch_is_an_error_and_can_be_allowed(cells, get):
    cells.obs["run"] = np.where(cells.obs["state"] == "resistant", "a", "b")
    cells.obs.loc[cells.obs_names[::10], "run"] = "c"  # rows of one class only
    table = dtp.pp.audit(cells, "state", **KEYS)
    row = get(table, "determined_by_batch", "run")
    assert (row["verdict"], row["value"], row["n"]) == ("error", 1.0, 3)
    assert "'run' determines the label: each of its 3 levels has one class only" in row["sentence"]
    assert "allow_confounded=True" in row["sentence"]
    assert (table["verdict"] == "error").sum() == 1
    assert get(table, "cramers_v", "run")["value"] == pytest.approx(1.0, abs=0.01)
    assert get(table, "auroc", "run")["value"] == 1.0
    assert np.isnan(get(table, "within_batch_auroc", "run")["value"])
    assert dtp.pp.confounded(table) == ["run"]

    allowed = dtp.pp.audit(cells, "state", **KEYS, allow_confounded=True)
    assert get(allowed, "determined_by_batch", "run")["verdict"] == "warn"
    assert dtp.pp.confounded(allowed) == ["run"]
    assert cells.uns["dtp_audit"]["params"]["allow_confounded"]


def test_label_that_belongs_to_donors_is_a_warning(cells, get):
    cells.obs["state"] = np.where(cells.obs["donor"].isin(["d0", "d1"]), "resistant", "sensitive")
    table = dtp.pp.audit(cells, "state", **KEYS)
    row = get(table, "determined_by_donor", "donor")
    assert row["verdict"] == "warn"
    assert "Each of the 6 donors in 'donor' has rows of one class only" in row["sentence"]
    assert "error" not in set(table["verdict"])
    assert dtp.pp.confounded(table) == []
    folds = get(table, "feasible_folds", "donor")
    assert (folds["value"], folds["verdict"]) == (2, "note")


def test_half_confounded_is_measured(cells, get):
    rng = np.random.default_rng(1)
    truth = cells.obs["state"] == "resistant"
    follows = rng.random(cells.n_obs) < 0.6
    cells.obs["site"] = np.where(np.where(follows, truth, rng.random(240) < 0.5), "a", "b")
    table = dtp.pp.audit(cells, "state", **KEYS)
    v, auroc = get(table, "cramers_v", "site"), get(table, "auroc", "site")
    assert v["value"] == pytest.approx(0.6, abs=0.12)
    assert auroc["value"] == pytest.approx(0.8, abs=0.06)
    assert v["value"] > v["null_high"]
    assert auroc["value"] > auroc["null_high"]
    assert (v["verdict"], auroc["verdict"]) == ("warn", "warn")
    assert get(table, "determined_by_batch", "site")["verdict"] == "ok"


def test_part_of_the_rows_in_levels_of_one_class(cells, get):
    # The published corpus: every leukaemia row is positive, the other tissue holds both.
    cells.obs["site"] = "lung"
    cells.obs.loc[cells.obs["donor"].isin(["d0", "d1", "d2", "d3"]), "site"] = "marrow"
    cells.obs.loc[cells.obs["site"] == "marrow", "state"] = "resistant"
    table = dtp.pp.audit(cells, "state", donor_key="donor", batch_keys="site")
    row = get(table, "determined_by_batch", "site")
    assert row["value"] == pytest.approx(2 / 3)
    assert row["verdict"] == "warn"
    assert dtp.pp.confounded(table) == []


@pytest.mark.parametrize("role", ["donor_key", "batch_keys"])
def test_a_level_for_every_row_cannot_be_judged(cells, get, role):
    cells.obs["patient"] = cells.obs_names
    table = dtp.pp.audit(cells, "state", **{role: "patient"})
    check = "determined_by_donor" if role == "donor_key" else "determined_by_batch"
    row = get(table, check, "patient")
    assert np.isnan(row["value"])
    assert row["verdict"] == "note"
    assert "240 of 240 rows are alone in their level" in row["sentence"]
    assert get(table, "auroc", "patient")["value"] == 0.5
    assert dtp.pp.confounded(table) == []


def test_one_level_says_nothing(cells, get):
    cells.obs["run"] = "only"
    table = dtp.pp.audit(cells, "state", batch_keys="run")
    assert get(table, "cramers_v", "run")["value"] == 0
    assert get(table, "auroc", "run")["value"] == 0.5
    assert get(table, "determined_by_batch", "run")["verdict"] == "ok"


def test_few_donors_widen_what_chance_gives(cells, get):
    cells.obs["site"] = np.where(cells.obs["donor"].isin(["d0", "d1", "d2"]), "a", "b")
    cells.obs["state"] = np.where(cells.obs["donor"].isin(["d0", "d1", "d3"]), "x", "y")
    by_donor = dtp.pp.audit(cells, "state", donor_key="donor", batch_keys="site")
    by_row = dtp.pp.audit(cells, "state", batch_keys="site")
    wide, narrow = (get(t, "cramers_v", "site")["null_high"] for t in (by_donor, by_row))
    assert wide == pytest.approx(1.0)  # 3 of 6 donors: one deal in ten has all of them together
    assert narrow < 0.25


def test_cross_tables_are_those_of_pandas(cells):
    dtp.pp.audit(cells, "state", **KEYS)
    found = cells.uns["dtp_audit"]["cross_tables"]
    for column in ("donor", "run", "site"):
        part = found[found["column"] == column]
        wide = part.pivot_table(index="level", columns="class", values="n")
        expected = pd.crosstab(cells.obs[column], cells.obs["state"])
        assert wide.to_numpy().tolist() == expected.to_numpy().tolist()


def test_without_columns_that_is_said(cells, get):
    table = dtp.pp.audit(cells, "state")
    assert "nothing is known about confounding" in get(table, "columns", "none")["sentence"]
    assert "only single rows can be split" in get(table, "feasible_folds", "donor")["sentence"]


def test_three_classes(cells, get):
    cells.obs["state"] = [f"c{i % 3}" for i in range(240)]
    cells.obs["run"] = cells.obs["state"].replace({"c2": "c1"})
    table = dtp.pp.audit(cells, "state", batch_keys="run", positive="c0")
    assert dtp.pp.confounded(table) == ["run"]  # it gives c0 away, if not c1 from c2
    assert get(table, "auroc", "run")["value"] == 1.0
    table = dtp.pp.audit(cells, "state", batch_keys="run", positive="c1")
    assert dtp.pp.confounded(table) == []


def test_confounded_wants_an_audit():
    with pytest.raises(KeyError, match=r"the table of dtp\.pp\.audit; found none of its columns"):
        dtp.pp.confounded(pd.DataFrame({"a": [1]}))
