"""Negative controls of tl.drug_response."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import dtp_scvi as dtp

QUICK = {"n_boot": 40, "n_permutations": 60}


@pytest.fixture(scope="module")
def simulated():
    cells = dtp.datasets.simulate_cells(800, 200)
    return dtp.datasets.simulate_cohort(120, cells=cells, n_drugs=4)


@pytest.fixture
def bulk(simulated):
    return simulated.copy()


def run(adata, controls, **options):
    settings = {"score_key": "true_persister_fraction", "min_patients": 30, **QUICK, **options}
    dtp.tl.drug_response(adata, controls=controls, **settings)
    return adata.uns["dtp_drug_response"]


def test_observed_value_is_ranked_among_them(bulk):
    controls = {
        "random_panels": {"panel_size": 30, "n_panels": 50},
        "permuted": {},
        "library_size": {},
        "blast_percentage": {},
    }
    stored = run(bulk, controls)
    table = stored["controls"]["table"].set_index("control")
    values = stored["controls"]["values"].groupby("control")["value"]
    observed = stored["pooled"]["value"].iloc[0]
    assert list(table.index) == list(controls)
    assert table["kind"].tolist() == ["null", "null", "single", "single"]
    assert table.loc[["random_panels", "permuted"], "n"].tolist() == [50, 60]
    for name in ("random_panels", "permuted"):
        null = values.get_group(name).to_numpy()
        assert len(null) == table.loc[name, "n"]
        rank = 1 + np.count_nonzero(np.abs(null) >= observed)
        assert table.loc[name, "rank"] == rank
        assert table.loc[name, "p"] == pytest.approx(rank / (1 + len(null)))
        assert table.loc[name, "value"] == pytest.approx(np.median(null))
        assert table.loc[name, "observed"] == pytest.approx(observed)
    assert table.loc["permuted", "rank"] == 1
    by_drug = stored["controls"]["drugs"]
    assert set(by_drug["drug"]) == set(bulk.obsm["drug_auc"])
    assert by_drug["share_as_far"].between(0, 1).all()


def test_a_column_is_pooled_like_the_score_in_the_patients_who_have_it(bulk):
    stored = run(bulk, ["blast_percentage"])
    row = stored["controls"]["table"].iloc[0]
    kept = bulk.obs["blast_percentage"].notna().to_numpy()
    assert not kept.all()
    auc = bulk.obsm["drug_auc"][kept]
    for name, key in (("value", "blast_percentage"), ("observed", "true_persister_fraction")):
        rho = [spearmanr(bulk.obs[key][kept], c, nan_policy="omit")[0] for _, c in auc.items()]
        assert row[name] == pytest.approx(np.average(rho, weights=auc.notna().sum()))
    assert row["low"] < row["value"] < row["high"]
    assert stored["controls"]["drugs"].empty


def test_the_score_itself_is_no_further_from_0_than_itself(bulk):
    row = run(bulk, ["true_persister_fraction"])["controls"]["table"].iloc[0]
    assert row["value"] == pytest.approx(row["observed"])
    assert row["rank"] == 2


def test_library_size_is_the_row_sum_of_counts(bulk):
    value = run(bulk, ["library_size"])["controls"]["table"]["value"].iloc[0]
    bulk.obs["total"] = np.asarray(bulk.layers["counts"]).sum(axis=1)
    assert value == run(bulk, ["total"])["controls"]["table"]["value"].iloc[0]


def test_library_size_needs_counts(bulk):
    bulk.layers["log"] = np.log1p(bulk.X)
    with pytest.raises(ValueError, match=r"counts, for the library size; found log1p.* in layer"):
        run(bulk, {"library_size": {"layer": "log"}})


def test_counts_are_normalised_before_panels_and_sparse_is_the_same(bulk):
    from scipy.sparse import csr_matrix

    controls = {"random_panels": {"panel_size": 30, "n_panels": 10}}
    first = run(bulk, controls)["controls"]["values"]["value"]
    bulk.X = csr_matrix(bulk.X)
    assert run(bulk, controls)["controls"]["values"]["value"].to_numpy() == pytest.approx(
        first.to_numpy(), abs=1e-6
    )
    total = np.asarray(bulk.X.sum(axis=1))
    bulk.layers["log"] = np.log1p(1e4 * bulk.X.toarray() / total)
    controls["random_panels"]["layer"] = "log"
    found = run(bulk, controls)["controls"]["values"]["value"]
    assert found.to_numpy() == pytest.approx(first.to_numpy(), abs=1e-6)


def test_a_function_rescores_the_panels(bulk):
    asked = []

    def rescore(adata, genes):
        asked.append(genes)
        return np.asarray(adata[:, genes].X).sum(axis=1)

    options = {"panel_size": 20, "n_panels": 5, "rescore": rescore}
    table = run(bulk, {"random_panels": options})["controls"]["table"]
    assert table["n"].tolist() == [5]
    assert [len(set(genes)) for genes in asked] == [20] * 5
    assert set(asked[0]) <= set(bulk.var_names)


def test_planted_random_panels_hold_no_signal_in_noise(measured):
    """A score of noise ranks anywhere among panels of noise."""
    adata = measured(150, seed=4)
    rng = np.random.default_rng(4)
    noise = pd.DataFrame(rng.normal(8, 2, (150, 80)).clip(0), index=adata.obs_names)
    expression = type(adata)(noise.to_numpy(np.float32), obs=adata.obs)
    expression.obsm["drug_auc"] = adata.obsm["drug_auc"]
    table = run(
        expression,
        {"random_panels": {"panel_size": 10, "n_panels": 80}},
        score_key="dtp_score",
    )["controls"]["table"]
    # The score has an effect on every drug; panels of noise do not.
    assert table["rank"].iloc[0] <= 3
    assert table["low"].iloc[0] < 0 < table["high"].iloc[0]


@pytest.mark.parametrize(
    ("controls", "error", "match"),
    [
        ("permuted", TypeError, r"Pass \['permuted'\]"),
        (["blast_percent"], KeyError, "Did you mean blast_percentage"),
        (["random_panels"], ValueError, "the number of genes of the score's own panel"),
        ({"random_panels": {"panel_size": 150}}, ValueError, "at most half of the 200 genes"),
        ({"random_panels": {"panel_size": 0}}, ValueError, "`panel_size` to be a whole number"),
        (
            {"random_panels": {"size": 5}},
            ValueError,
            r"`controls\['random_panels'\]` to be one of",
        ),
        (["sex"], TypeError, r"numbers in adata.obs\['sex'\]"),
        ({"permuted": {"n": 5}}, ValueError, r"`controls\['permuted'\]`"),
    ],
)
def test_bad_controls_are_named(bulk, controls, error, match):
    with pytest.raises(error, match=match):
        run(bulk, controls)


@pytest.mark.parametrize(
    ("rescore", "match"),
    [
        (lambda adata, genes: np.zeros(3), "120 numbers, one per row; found shape"),
        (lambda adata, genes: np.full(120, np.nan), "`rescore` to score every patient"),
    ],
)
def test_a_function_that_scores_badly_is_named(bulk, rescore, match):
    with pytest.raises(ValueError, match=match):
        run(bulk, {"random_panels": {"panel_size": 5, "n_panels": 2, "rescore": rescore}})


def test_a_constant_control_is_named(bulk):
    bulk.obs["one"] = 1.0
    with pytest.raises(ValueError, match="control 'one' to vary over patients"):
        run(bulk, ["one"])
