"""Essentiality: planted genes, an oracle, invariants, what a summary can't tell, bad input."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats as sp
from statsmodels.stats.multitest import multipletests

from dtp_scvi import datasets, tl

FAST = {"n_boot": 100, "n_permutations": 200}


@pytest.fixture(scope="module")
def screen() -> ad.AnnData:
    return datasets.simulate_dependencies(400, n_selective=20, n_common=50, seed=1)


@pytest.fixture(scope="module")
def everything(screen) -> pd.DataFrame:
    return tl.essentiality(None, screen, **FAST)


def planted(screen, role="selective") -> list[str]:
    return list(screen.var_names[screen.var["true_role"] == role])


def files(screen):
    """The same screen as DepMap's files have it."""
    named = [f"{gene} ({i + 1})" for i, gene in enumerate(screen.var_names)]
    effect = screen.to_df().set_axis(named, axis=1)
    models = screen.obs.rename(
        columns={"disease": "OncotreePrimaryDisease", "lineage": "OncotreeLineage"}
    ).reset_index(names="ModelID")
    return effect, models


def test_planted_genes_are_found_and_others_are_not(screen, everything):
    found = everything.index[(everything["q"] < 0.05) & (everything["difference"] < 0)]
    assert set(planted(screen)) <= set(found)
    assert len(set(found) - set(planted(screen))) <= 3
    common = set(everything.index[everything["is_common_essential"]])
    assert common <= set(planted(screen, "common"))
    assert len(common) > 40
    truth = screen.var["true_difference"].reindex(everything.index)
    assert ((everything["low"] <= truth) & (truth <= everything["high"])).mean() > 0.9


def test_numbers_are_those_of_scipy_and_statsmodels(screen, everything):
    effect, obs = screen.to_df(), screen.obs
    inside = (obs["disease"] == "Acute Myeloid Leukemia").to_numpy()
    apart = (obs["lineage"] != "Myeloid").to_numpy()
    means = effect[apart].astype(float).groupby(obs["lineage"].astype(str)[apart]).mean()
    oracle = sp.ttest_ind(effect[inside].astype(float), means, equal_var=False)
    p = pd.Series(oracle.pvalue, index=effect.columns)[everything.index]
    np.testing.assert_allclose(everything["p"], p, rtol=1e-6)
    np.testing.assert_allclose(everything["q"], multipletests(p, method="fdr_bh")[1], rtol=1e-6)
    row = everything.loc["CD34"]
    assert row["effect_median"] == pytest.approx(effect.loc[inside, "CD34"].median())
    assert row["share_dependent"] == (effect.loc[inside, "CD34"] < -0.5).mean()
    assert (row["n_lines"], row["n_other_lines"], row["n_other_lineages"]) == (24, 60, 10)


def test_set_is_more_essential_than_matched_random_sets(screen):
    common = planted(screen, "common")
    table = tl.essentiality(planted(screen), screen, common_essential=common, **FAST)
    test = table.attrs["dtp_essentiality"]["set"]
    assert test["p"] == pytest.approx(1 / 201)
    assert test["n"] == 20
    assert test["n_background"] == 350
    assert test["observed"] == pytest.approx(table["difference"].mean())
    assert "other lineages" in test["matched_on"]


def test_common_essentials_in_a_set_do_not_make_it_selective(screen):
    common = planted(screen, "common")
    table = tl.essentiality(common, screen, common_essential=common, **FAST)
    result = table.attrs["dtp_essentiality"]
    assert result["set"]["n"] == 0
    assert np.isnan(result["set"]["p"])
    listed = tl.essentiality(
        common[:10] + planted(screen, "other")[:10],
        screen,
        common_essential=common,
        **FAST,
    )
    test = listed.attrs["dtp_essentiality"]["set"]
    assert test["n"] == 10
    assert test["note"].startswith("10 of the set's genes left out")
    assert test["p"] > 0.01
    assert listed["in_set"].sum() == 10


def test_files_frames_and_anndata_give_one_answer(screen, tmp_path):
    genes = planted(screen)
    effect, models = files(screen)
    effect.to_csv(tmp_path / "CRISPRGeneEffect.csv")
    models.to_csv(tmp_path / "Model.csv", index=False)
    of_files = tl.essentiality(
        genes, tmp_path / "CRISPRGeneEffect.csv", tmp_path / "Model.csv", **FAST
    )
    pd.testing.assert_frame_equal(of_files, tl.essentiality(genes, screen, **FAST), rtol=1e-4)
    shuffled = effect.sample(frac=1, random_state=0).sample(frac=1, axis=1, random_state=1)
    again = tl.essentiality(genes[::-1], shuffled, models[::-1], **FAST)
    columns = ["difference", "p", "q", "share_dependent", "is_common_essential"]
    pd.testing.assert_frame_equal(again[columns], of_files[columns], rtol=1e-4)


def test_expression_matches_by_tenths(screen):
    expression = screen.to_df("expression")
    by_lines = tl.essentiality(planted(screen), screen, expression=expression, **FAST)
    inside = (screen.obs["disease"] == "Acute Myeloid Leukemia").to_numpy()
    by_gene = tl.essentiality(
        planted(screen), screen, expression=expression[inside].mean(), **FAST
    )
    tests = [table.attrs["dtp_essentiality"]["set"] for table in (by_lines, by_gene)]
    assert tests[0]["matched_on"] == "mean expression"
    assert tests[0]["expected"] == pytest.approx(tests[1]["expected"], rel=1e-4)
    half = expression.iloc[:, ::2]
    part = tl.essentiality(planted(screen), screen, expression=half, **FAST)
    assert part["in_set"].sum() == sum(gene in half for gene in planted(screen))


def test_dependency_decides_who_depends(screen):
    probability = screen.to_df("dependency")
    genes = planted(screen)[:3]
    table = tl.essentiality(genes, screen, dependency=probability, **FAST)
    inside = (screen.obs["disease"] == "Acute Myeloid Leukemia").to_numpy()
    for gene in genes:
        assert table.loc[gene, "share_dependent"] == (probability.loc[inside, gene] > 0.5).mean()
    with pytest.raises(ValueError, match="`dependency` to hold probabilities"):
        tl.essentiality(genes, screen, dependency=screen.to_df(), **FAST)


def test_aliases_missing_and_damaged_genes_are_listed(screen):
    genes = ["C19orf77", "KIAA0125", "CD33L3", "NOTAGENE", "1-Mar"]
    with pytest.warns(UserWarning, match=r"1 of `genes` look like dates.*1-Mar"):
        table = tl.essentiality(genes, screen, **FAST)
    assert set(table.index) == {"SMIM24", "FAM30A"}
    result = table.attrs["dtp_essentiality"]
    assert result["missing"] == ["SIGLEC15"]
    assert "NOTAGENE" in result["unmatched"]
    assert result["damaged"] == ["1-Mar"]


def test_one_gene_is_a_place_in_its_bin(screen):
    table = tl.essentiality(planted(screen)[:1], screen, **FAST)
    test = table.attrs["dtp_essentiality"]["set"]
    assert test["n"] == 1
    assert "a set of one gene" in test["note"]
    assert tl.essentiality(planted(screen)[0], screen, **FAST).shape[0] == 1


def test_without_lineages_other_diseases_are_compared(screen):
    effect, models = files(screen)
    table = tl.essentiality(None, effect, models.drop(columns="OncotreeLineage"), **FAST)
    params = table.attrs["dtp_essentiality"]["params"]
    assert params["compared_with"] == "other diseases"
    assert params["n_lines_same_lineage"] == 0


def test_lines_of_the_own_lineage_and_unknown_ones_are_counted(screen):
    effect, models = files(screen)
    table = tl.essentiality(None, effect, models.iloc[:-5], **FAST)
    params = table.attrs["dtp_essentiality"]["params"]
    assert (params["n_lines_same_lineage"], params["n_lines_unknown"]) == (3, 5)


@pytest.fixture
def summary() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    names = list(datasets.simulate_dependencies(100).var_names)
    return pd.DataFrame(
        {
            "gene": names,
            "mean_effect": np.where(np.arange(100) < 8, -0.8, 0.0) + rng.normal(0, 0.1, 100),
            "n_cell_lines": 43,
            "frac_dep_lt_minus05": 0.1,
        }
    )


def test_a_summary_tells_effect_and_no_selectivity(summary):
    genes = summary["gene"][:8]
    table = tl.essentiality(genes, summary, **FAST)
    empty = ["difference", "low", "high", "p", "q", "effect_others", "share_dependent_others"]
    assert table[empty].isna().all(axis=None)
    assert set(table["reason"]) == {"a summary of one disease: nothing to compare it to"}
    test = table.attrs["dtp_essentiality"]["set"]
    assert not test["selective"]
    assert test["statistic"] == "mean effect_mean"
    assert test["background"].startswith("the 100 genes of DataFrame")
    assert test["matched_on"] == "nothing"
    assert test["p"] < 0.01
    read = datasets.read_depmap_summary(summary.assign(mean_tpm_log1p=1.0))
    again = tl.essentiality(genes, read, common_essential=genes[:2], **FAST)
    assert again.attrs["dtp_essentiality"]["set"]["matched_on"] == "mean expression"
    assert again["in_set"].sum() == 6


def test_result_can_be_kept_in_anndata_and_json(screen, tmp_path):
    table = tl.essentiality(planted(screen), screen, **FAST)
    result = table.attrs["dtp_essentiality"]
    assert json.loads(json.dumps(result))["set"]["n"] == 20
    adata = ad.AnnData(np.zeros((1, 1), np.float32))
    adata.uns["dtp_essentiality"] = {"table": table, **result}
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad").uns["dtp_essentiality"]
    pd.testing.assert_frame_equal(back["table"], table, check_names=False)


def test_bad_input_is_named(screen):
    effect, models = files(screen)
    genes = planted(screen)
    with pytest.raises(
        ValueError, match=r"exactly 'Acute Myeloid'.*Did you mean Acute Myeloid Leu"
    ):
        tl.essentiality(genes, effect, models, disease="Acute Myeloid")
    with pytest.raises(ValueError, match=r"exactly 'Myeloproliferative Neoplasms'.*Lower"):
        tl.essentiality(genes, effect, models, disease="Myeloproliferative Neoplasms", min_lines=4)
    with pytest.raises(ValueError, match="lies on its side"):
        tl.essentiality(genes, effect.T, models)
    with pytest.raises(ValueError, match="`models`, the disease and lineage of each line"):
        tl.essentiality(genes, effect)
    with pytest.raises(ValueError, match="`gene_effect` and `models` to share models"):
        tl.essentiality(genes, effect, models.assign(ModelID=models["ModelID"] + "x"))
    with pytest.raises(ValueError, match="`genes` to be among the genes of `gene_effect`"):
        tl.essentiality(["SIGLEC15"], effect, models)
    with pytest.raises(ValueError, match="`common_essential` to name genes"):
        tl.essentiality(genes, effect, models, common_essential=["NOTAGENE"])
    with pytest.raises(ValueError, match="`expression` to hold lines of the disease"):
        tl.essentiality(genes, effect, models, expression=effect.set_axis(range(len(effect))))
    with pytest.raises(ValueError, match="`gene_effect` to hold gene effects"):
        tl.essentiality(genes, datasets.read_depmap_effect(screen.to_df("dependency")), models)
    with pytest.raises(ValueError, match="`n_boot` to be a whole number"):
        tl.essentiality(genes, effect, models, n_boot=0)
