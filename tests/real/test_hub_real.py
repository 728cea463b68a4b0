"""Bundled models on data of other studies: single cells, bulk by Ensembl id, a table of few genes."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import dtp_scvi as dtp

BEATAML = "beataml2/beataml2_norm_exp_493genes_566samples.csv.gz"
TCGA = "tcga_laml/tcga_laml_rsem_712genes_173patients.csv.gz"
MATURE = ("Mono-like", "ProMono-like", "cDC-like")
PRIMITIVE = ("HSC-like", "Prog-like")


@pytest.fixture(scope="module")
def cells(fresh):
    adata = fresh("vangalen")
    return adata[adata.obs["CellType"].isin([*MATURE, *PRIMITIVE])].copy()


@pytest.mark.parametrize("align", ["none", "moments", "rank"])
def test_monocytic_cells_are_predicted_to_resist_venetoclax(cells, align, record_property):
    """Monocytic leukaemia resists venetoclax (Pei et al. 2020, doi:10.1158/2159-8290.CD-19-0710)."""
    query = cells.copy()
    model = dtp.hub.load("aml-venetoclax")
    dtp.tl.score(query, model, align=align)
    mature = query.obs["CellType"].isin(MATURE)
    found = roc_auc_score(mature, query.obs["dtp_score"])
    record_property("auroc", found)
    record_property("transfer", str(query.uns["dtp"]["transfer"]))
    assert found > 0.85
    median = query.obs.groupby("CellType", observed=True)["dtp_score"].median()
    assert median[list(MATURE)].min() > median[list(PRIMITIVE)].max()
    # 486 under the same name, the rest under old ones.
    assert query.uns["dtp"]["genes"]["n_found"] == 491
    assert query.uns["dtp"]["transfer"]["warranted"] == "rank"


def test_bulk_samples_with_versioned_ensembl_ids(fresh):
    samples = fresh("bulk")
    assert samples.var_names[0].startswith("ENSG")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Transfer check:")
        dtp.tl.score(samples)
    record = samples.uns["dtp"]
    assert record["bundled"]
    assert record["name"] == "aml-tolerance"
    assert record["coverage"] > 0.95
    assert record["transfer"]["warranted"] == "none"
    assert samples.obs["dtp_score"].notna().all()
    assert samples.obs["dtp_score"].nunique() == 100


def test_a_table_with_25_of_the_genes_is_refused(fresh):
    patients = fresh(TCGA)
    with pytest.raises(ValueError, match=r"25 of 493 model genes found \(coverage 5%"):
        dtp.tl.score(patients, dtp.hub.load("aml-venetoclax"))
    assert "dtp" not in patients.uns


def test_scale_of_the_training_table_is_recognised_and_scored(fresh):
    samples = fresh(BEATAML)
    dtp.tl.score(samples, dtp.hub.load("aml-venetoclax"))
    record = samples.uns["dtp"]
    assert record["scale"] == "log2"
    assert record["transfer"]["warranted"] == "none"
    assert record["transfer"]["evidence"]["shifted"] == 0


def test_external_figures_can_be_had_again_from_the_files(path_of):
    """Predict waves 3+4 from the shipped coefficients, by hand."""
    table = pd.read_csv(path_of(BEATAML), index_col=0).T
    where = pd.read_csv(path_of("beataml2/expression_sample_map.csv"))
    where = where.set_index("dbgap_rnaseq_sample").loc[table.index]
    auc = pd.read_csv(path_of("beataml2/drug_auc_569patients_166drugs.csv.gz"), index_col=0)
    late = where["cohort"] == "Waves3+4"
    assert not set(where.loc[late, "dbgap_subject_id"]) & set(where.loc[~late, "dbgap_subject_id"])
    model = dtp.hub.load("aml-venetoclax")
    assert model.inputs_ == "closed"
    fitted, linear = model.fitted_, 2 ** table.loc[late, model.genes_].to_numpy()
    closed = np.log1p(1e4 * linear / linear.sum(axis=1, keepdims=True))
    by_hand = (
        fitted.intercept
        + (closed - fitted.reference.mean[0]) / fitted.reference.sd[0] @ fitted.weight[0]
    )
    samples = ad.AnnData(table[late].astype(np.float32))
    assert model.predict(samples, scale="log2").to_numpy() == pytest.approx(by_hand, rel=1e-4)
    y = auc["Venetoclax"].reindex(where.loc[late, "dbgap_subject_id"]).to_numpy()
    have = ~np.isnan(y)
    assert have.sum() == model.evaluation_["n"]
    found = pd.Series(by_hand[have]).corr(pd.Series(y[have]), method="spearman")
    assert found == pytest.approx(model.evaluation_["spearman"]["value"], abs=1e-3)


def test_survival_of_later_patients_by_scores_of_earlier_ones(beataml):
    """Waves 3+4, which the models have not seen: counts, and intervals whatever they are."""
    pytest.importorskip("lifelines")
    later = beataml[(beataml.obs["wave"] == "Waves3+4") & beataml.obs["time"].notna()].copy()
    ratios = {}
    for name in ("aml-tolerance", "aml-venetoclax", "aml-quizartinib"):
        dtp.tl.score(later, dtp.hub.load(name))
        table = dtp.tl.survival(later, score_key="dtp_score", n_boot=50).set_index("term")
        assert (table["n"] == 170).all()
        assert (table["n_events"] == 98).all()
        ratios[name] = table.loc["hazard_ratio", ["low", "estimate", "high"]].astype(float)
    # What the script's run of lifelines alone gave.
    assert ratios["aml-tolerance"]["estimate"] == pytest.approx(1.06, abs=0.01)
    assert ratios["aml-tolerance"]["low"] < 1 < ratios["aml-tolerance"]["high"]
    assert ratios["aml-quizartinib"]["estimate"] == pytest.approx(1.26, abs=0.01)
