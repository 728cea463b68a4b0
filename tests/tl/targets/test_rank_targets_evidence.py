"""Filters, missing evidence, names, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dtp_scvi import tl


@pytest.fixture
def rank(samples, quick):
    """Return a function that ranks the samples with some tables."""

    def run(adata=samples, **options):
        return tl.rank_targets(adata, **{"surface_tier": None, **quick, **options})

    return run


def test_filters_are_counted_and_take_what_they_know_nothing_of(rank, evidence):
    surface = evidence["surface"].iloc[:110].copy()
    surface.iloc[:30, surface.columns.get_loc("strict")] = False
    options = {"surface": surface, "surface_tier": "strict", "normal": evidence["normal"]}
    table = rank(max_normal=40.0, min_abundance=2.0, **options)
    about = pd.DataFrame(table.attrs["dtp_targets"]["filters"]).set_index("filter")
    assert about.index.tolist() == ["surface", "detected", "abundance", "normal"]
    assert about.loc["surface", ["removed", "unknown", "left"]].tolist() == [40, 10, 80]
    assert about["removed"].sum() + about["left"].iloc[-1] == len(table) == 120
    left = table[table["removed_by"] == ""]
    assert left["rank"].notna().all()
    assert (left["normal_max"] <= 40).all()
    assert (left["abundance"] >= 2).all()
    gone = table[table["removed_by"] != ""]
    assert gone["rank"].isna().all()
    assert table.index.tolist()[: len(left)] == left.index.tolist()
    counts = gone["removed_by"].value_counts().reindex(about.index, fill_value=0)
    assert counts.tolist() == about["removed"].tolist()
    loose = rank(**options | {"surface_tier": "loose"})
    assert (loose["removed_by"] == "").sum() == 110


def test_no_evidence_is_neither_good_nor_bad(rank, evidence):
    dependency = evidence["dependency"].iloc[::2]
    table = rank(dependency=dependency)
    known = table["quantile_dependency"].notna()
    assert known.sum() == 60
    about = pd.DataFrame(table.attrs["dtp_targets"]["components"]).set_index("component")
    assert about.loc["dependency", "n_missing"] == 60
    # On the scale on which scores are added, both halves are alike in this component.
    n = len(table)
    part = 3 * np.log(table["score"]) - np.log(table["quantile_association"])
    part -= np.log(table["quantile_abundance"])
    assert part[~known].std() < 1e-9
    assert part[~known].mean() == pytest.approx(part[known].mean())
    strict = rank(dependency=dependency, missing="exclude")
    assert (strict["removed_by"] == "missing").sum() == n - 60
    assert set(strict.index[:60]) == set(dependency.index)


def test_common_essential_genes_have_no_selective_dependency(rank, evidence):
    dependency = evidence["dependency"].copy()
    dependency.iloc[:5, 1] = True
    table = rank(dependency=dependency)
    assert table.loc[dependency.index[:5], "quantile_dependency"].isna().all()
    assert table.loc[dependency.index[:5], "dependency"].notna().all()
    assert table.attrs["dtp_targets"]["params"]["dependency_selective"]


def test_a_summary_of_one_disease_is_called_not_selective(rank, evidence):
    summary = evidence["dependency"].rename(columns={"difference": "effect_mean"})
    params = rank(dependency=summary[["effect_mean"]]).attrs["dtp_targets"]["params"]
    assert params["dependency_column"] == "effect_mean"
    assert not params["dependency_selective"]


def test_the_worst_of_several_tables_counts(rank, evidence):
    one = evidence["normal"]
    two = (one * 0.5).assign(liver=1000.0).iloc[:60]
    table = rank(normal={"HPA": one, "GTEx": two})
    first = table.loc[two.index]
    assert (first["normal_max"] == 1000).all()
    assert (first["normal_max_tissue"] == "liver").all()
    rest = table.drop(two.index)
    np.testing.assert_allclose(rest["normal_max"], rest["normal_max_HPA"])
    assert rest["normal_max_GTEx"].isna().all()
    about = table.attrs["dtp_targets"]["params"]
    assert about["critical_tissues"] == {"HPA": ["liver", "lung"], "GTEx": ["liver", "lung"]}
    assert "kidney" in about["critical_tissues_absent"]


def test_cells_and_chosen_tissues(rank, evidence):
    cells = evidence["normal"].set_axis(["HSC", "B cell", "T cell"], axis=1)
    table = rank(normal=evidence["normal"], critical_tissues=["testis"], normal_cells=cells)
    assert (table["normal_max_tissue"] == "testis").all()
    assert set(table["normal_cells_max_type"]) == {"HSC", "B cell", "T cell"}
    assert "quantile_cells" in table


def test_names_of_all_kinds(samples, quick):
    new = {
        "GENE010": "KIAA0125",
        "GENE011": "C19ORF38",
        "GENE012": "KIT",
        "GENE013": "CD117",
        "GENE014": "ENSG00000205336.13",
        "GENE015": "2-Sep",
    }
    samples.var_names = [new.get(name, name) for name in samples.var_names]
    with pytest.warns(UserWarning, match=r"1 gene names look like dates.*2-Sep\. Take the table"):
        table = tl.rank_targets(samples, surface_tier=None, **quick)
    status = table["hgnc_status"]
    assert status["FAM30A"] == "previous"
    assert status["C19orf38"] == "case"
    assert status["KIT"] == "exact"
    assert status["ADGRG1"] == "ensembl"
    assert status["GENE001"] == "unmatched"
    names = table.attrs["dtp_targets"]["names"]
    assert "GENE001" in names["unmatched"]
    assert names["superseded"] == ["CD117"]
    assert names["damaged"] == ["2-Sep"]
    assert table.loc["FAM30A", "name"] == "KIAA0125"


def test_rows_of_one_gene_are_summed(samples, quick):
    samples.var_names = ["KIT", "KIT", *samples.var_names[2:]]
    table = tl.rank_targets(samples, surface_tier=None, **quick)
    counts = samples.X.astype(float)
    log = np.log1p(1e4 * counts[:, :2].sum(axis=1) / counts.sum(axis=1))
    assert table.loc["KIT", "abundance"] == pytest.approx(log.mean(), rel=1e-5)
    assert table.attrs["dtp_targets"]["names"]["merged"] == ["KIT"]


def test_a_table_with_older_names_still_meets_the_genes(samples, evidence, quick):
    samples.var_names = ["ADGRG1", *samples.var_names[1:]]
    normal = evidence["normal"].rename(index={"GENE000": "GPR56"})
    table = tl.rank_targets(samples, normal=normal, surface_tier=None, **quick)
    assert table.loc["ADGRG1", "normal_max"] == normal.loc["GPR56", ["liver", "lung"]].max()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"weights": {"asociation": 1}}, KeyError, r"'asociation'.*Did you mean association"),
        ({"weights": {"surface": 2}}, ValueError, r"evidence for the component 'surface'.*none"),
        ({"weights": {"abundance": -1}}, ValueError, r"a weight of 'abundance' of 0 or more"),
        ({"weights": {"association": 0, "abundance": 0}}, ValueError, "a weight above 0"),
        ({"surface_tier": "strikt"}, ValueError, "`surface_tier` to be one of 'strict', 'loose'"),
        (
            {"surface_tier": "strict"},
            ValueError,
            "`surface` for surface_tier='strict'; found None",
        ),
        ({"missing": "drop"}, ValueError, "`missing` to be one of"),
        ({"max_normal": 5.0}, ValueError, "a table `normal` for `max_normal`"),
        ({"min_abundance": 99.0}, ValueError, r"none of 120 \(detected removed 0; abundance"),
        ({"score_key": "dtp_scor"}, KeyError, "Did you mean dtp_score"),
        ({"donor_key": "donor"}, KeyError, "`donor_key` to name a key of adata.obs"),
        ({"min_cells": 3}, ValueError, r"at least 5 rows with 3 scored rows or more; found 0 of"),
        ({"n_boot": 0}, ValueError, "`n_boot` to be a whole number >= 1"),
    ],
)
def test_arguments_that_are_refused(rank, options, error, match):
    with pytest.raises(error, match=match):
        rank(**options)


def test_tissues_that_are_not_there(rank, evidence):
    with pytest.raises(KeyError, match=r"'livr'.*Did you mean liver"):
        rank(normal=evidence["normal"], critical_tissues=["livr"])
    with pytest.raises(KeyError, match=r"one of the critical tissues.*found testis.*Name the tis"):
        rank(normal=evidence["normal"][["testis"]])


def test_tables_that_share_no_gene(rank, evidence):
    normal = evidence["normal"].set_axis([f"ENSG{i:011d}" for i in range(120)])
    with pytest.raises(ValueError, match=r"`normal`.*\(GENE000, GENE001.*none \(ENSG00000000000"):
        rank(normal=normal)
    hpa = evidence["hpa"].iloc[:2].set_axis(["2-Sep", "1-Mar"])
    with pytest.raises(ValueError, match=r"spreadsheet turned symbols into 2-Sep, 1-Mar"):
        rank(hpa=hpa)


@pytest.mark.parametrize(
    ("name", "change", "error", "match"),
    [
        ("normal", lambda t: t - 1000, ValueError, "levels of 0 or more in `normal`"),
        ("normal", lambda t: pd.concat([t, t.iloc[:1]]), ValueError, "several of GENE000"),
        ("normal", lambda t: t.to_numpy(), TypeError, "`normal` as tables"),
        ("normal", lambda _: {}, ValueError, "at least one table in `normal`"),
        ("dependency", lambda t: t[["is_common_essential"]], ValueError, "one of difference, eff"),
        ("surface", lambda t: t.drop(columns="strict"), KeyError, "`surface` to name a key"),
        ("hpa", lambda t: t.replace("Enhanced", "Great"), ValueError, "to be one of.*found Great"),
        ("surface", lambda _: [1, 2], TypeError, "`surface` as a DataFrame indexed by gene"),
    ],
)
def test_tables_that_are_refused(name, change, error, match, rank, evidence):
    with pytest.raises(error, match=match):
        rank(**{name: change(evidence[name])})


def test_too_few_donors_constant_scores_and_cells_without_donors(samples, rank):
    with pytest.raises(ValueError, match=r"at least 5 rows.*found 4 of 4.*no rank correlation"):
        rank(samples[:4].copy())
    samples.obs["donor"] = np.repeat(["a", "b", "c", "d"], 10)
    with pytest.raises(ValueError, match=r"at least 5 donors of adata.obs\['donor'\].*4 of 4"):
        rank(donor_key="donor")
    samples.obs["flat"] = 1.0
    with pytest.raises(ValueError, match="a score that varies over rows; found one value"):
        rank(score_key="flat")
    samples.obs_names = ["p0"] * 40
    with pytest.raises(ValueError, match=r"`donor_key`, or rows with names of their own"):
        rank()
